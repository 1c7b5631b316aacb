"""Which funds a strategy wants, and when."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_pipeline.core.validation.backtest import BacktestError, best_ranked, every, month_ends
from etf_pipeline.core.validation.backtest.orders import select

DAYS = np.arange(np.datetime64("2023-01-02"), np.datetime64("2024-04-10"))


def test_months_that_are_not_over_are_left_out() -> None:
    ends = DAYS[month_ends(DAYS)]
    assert str(ends[0]) == "2023-01-31"
    assert str(ends[-1]) == "2024-03-31"
    assert len(ends) == 15
    assert [str(day) for day in DAYS[every(DAYS, 3)]][:2] == ["2023-03-31", "2023-06-30"]
    np.testing.assert_array_equal(every(DAYS, 1), month_ends(DAYS))
    # More history changes none of them.
    np.testing.assert_array_equal(month_ends(DAYS[:200]), month_ends(DAYS)[: len(month_ends(DAYS[:200]))])


def plainly(rank: np.ndarray, top: int, keep: int) -> list[set[int]]:
    held: set[int] = set()
    out = []
    for row in rank:
        place = {i: int(p) for i, p in enumerate(row) if p > 0}
        stay = sorted((i for i in held if place.get(i, keep + 1) <= keep), key=place.__getitem__)[:top]
        more = sorted((i for i in place if i not in stay and place[i] <= keep), key=place.__getitem__)
        held = set(stay + more[: top - len(stay)])
        out.append(held)
    return out


@given(seed=st.integers(0, 10_000), top=st.integers(1, 6), more=st.integers(0, 6))
@settings(max_examples=60, deadline=None)
def test_the_kernel_chooses_as_the_words_say(seed: int, top: int, more: int) -> None:
    rng = np.random.default_rng(seed)
    rank = np.zeros((12, 10), dtype=np.int64)
    for row in rank:
        ranked = rng.permutation(10)[: rng.integers(0, 11)]
        row[ranked] = 1 + np.arange(len(ranked))
    chosen = select(rank, top, top + more)
    assert [set(row[row >= 0]) for row in chosen] == plainly(rank, top, top + more)


def test_equal_parts_leave_cash_where_funds_are_few() -> None:
    rank = np.zeros((40, 5), dtype=int)
    rank[:, [2, 4]] = [1, 2]
    wanted = best_ranked(rank, np.array([10, 20]), top=4, delay=2)
    np.testing.assert_array_equal(wanted.executed, [12, 22])
    np.testing.assert_array_equal(wanted.fund, [2, 4, 2, 4])
    np.testing.assert_allclose(wanted.weight, 0.25)
    np.testing.assert_array_equal(wanted.start, [0, 2, 4])


def test_sizes_are_brought_to_a_whole_at_most() -> None:
    rank = np.array([[1, 2, 3]] * 5)
    for size, expected in (([0.1, 0.2, np.nan], [0.1, 0.2, 0.0]), ([1.0, 2.0, 1.0], [0.25, 0.5, 0.25])):
        wanted = best_ranked(rank, np.array([1]), top=3, weight=np.array([size] * 5))
        np.testing.assert_allclose(wanted.weight, expected)


def test_a_decision_too_late_to_be_traded_is_left_out() -> None:
    rank = np.ones((5, 1), dtype=int)
    assert best_ranked(rank, np.array([1, 4]), top=1).decided.tolist() == [1]


def test_a_buffer_spares_turnover() -> None:
    rng = np.random.default_rng(0)
    score = np.cumsum(rng.standard_normal((300, 40)), axis=0)
    rank = 1 + np.argsort(np.argsort(-score, axis=1), axis=1)
    renewed = [
        sum(len(set(a) - set(b)) for a, b in zip(held[1:], held[:-1], strict=True))
        for held in (select(rank[::5], 10, keep) for keep in (10, 20))
    ]
    assert renewed[1] < 0.5 * renewed[0]


def test_the_close_of_the_ranking_is_never_traded() -> None:
    rank = np.ones((5, 1), dtype=int)
    with pytest.raises(BacktestError, match="cannot be traded"):
        best_ranked(rank, np.array([1]), top=1, delay=0)
    with pytest.raises(BacktestError, match="keep at least top"):
        best_ranked(rank, np.array([1]), top=2, keep=1)
