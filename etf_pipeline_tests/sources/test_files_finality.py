"""Which last bars may change, and what the file vouches for."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_pipeline.sources.files.finality import download_edges, last_closed_day, vouch

NAT = np.datetime64("NaT", "D")


def ends(counts: dict[str, int]) -> np.ndarray:
    return np.repeat(np.array(list(counts), dtype="datetime64[D]"), list(counts.values()))


def test_many_ending_together_is_an_edge_a_few_are_deaths() -> None:
    # The shape of the shared Australian set: 2 % of 253 is 5.06.
    last = ends(
        {
            "2025-02-14": 3,
            "2025-05-28": 1,
            "2025-10-31": 175,
            "2025-11-28": 5,
            "2025-12-04": 6,
            "2026-01-02": 63,
        }
    )
    assert len(last) == 253
    assert [str(d) for d in download_edges(last)] == ["2025-10-31", "2025-12-04", "2026-01-02"]


def test_the_last_session_of_a_file_is_always_an_edge() -> None:
    assert [str(d) for d in download_edges(ends({"2024-01-02": 3, "2024-01-05": 1}))] == ["2024-01-05"]
    assert len(download_edges(np.array([NAT]))) == 0


def test_a_death_is_vouched_for_to_the_end_and_an_edge_is_not() -> None:
    code = np.array([0, 0, 1, 2, 2, 3])
    session = np.array(
        ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-02", "2024-01-05", "2024-01-05"], "datetime64[D]"
    )
    said = vouch(code, session, 5)
    assert [str(d) for d in said.end] == ["2024-01-05"] * 4 + ["2024-01-05"]
    assert said.on_edge.tolist() == [False, False, True, True, False]
    assert [str(d) for d in said.last[:4]] == ["2024-01-03", "2024-01-04", "2024-01-05", "2024-01-05"]
    assert np.isnat(said.last[4])
    assert (said.start == np.datetime64("2024-01-02")).all()


def test_nothing_is_said_of_a_ticker_beyond_an_early_edge() -> None:
    early, late, death = (np.datetime64(day) for day in ("2024-01-03", "2024-01-09", "2024-01-02"))
    last = np.array([early] * 6 + [late] * 6 + [death])
    said = vouch(np.arange(13), last, 13)
    assert said.end.tolist() == [early] * 6 + [late] * 7
    assert said.on_edge.tolist() == [True] * 12 + [False]


def test_no_bars_at_all() -> None:
    said = vouch(np.array([], dtype=int), np.array([], dtype="datetime64[D]"), 2)
    assert np.isnat(said.end).all()
    assert not said.on_edge.any()


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 60)), min_size=1, max_size=300))
def test_nothing_is_vouched_for_outside_the_file(pairs: list[tuple[int, int]]) -> None:
    code = np.array([c for c, _ in pairs])
    session = np.datetime64("2024-01-01") + np.array([d for _, d in pairs])
    said = vouch(code, session, 20)
    has = ~np.isnat(said.last)
    assert (said.end[has] >= said.last[has]).all()
    assert (said.end[has] <= session.max()).all()
    assert (said.start == session.min()).all()
    np.testing.assert_array_equal(said.end[said.on_edge], said.last[said.on_edge])
    assert said.on_edge[code[np.argmax(session)]]


@pytest.mark.parametrize(
    ("known_at", "day"),
    [
        # Sydney closes at 16:00 standard time = 06:00 UTC, daylight time = 05:00 UTC; the closing
        # auction takes some minutes more.
        (datetime(2024, 6, 12, 6, 5, tzinfo=UTC), "2024-06-11"),
        (datetime(2024, 6, 12, 6, 30, tzinfo=UTC), "2024-06-12"),
        (datetime(2024, 1, 10, 4, 59, tzinfo=UTC), "2024-01-09"),
        (datetime(2024, 1, 10, 5, 30, tzinfo=UTC), "2024-01-10"),
        # Sunday in Sydney: Saturday is over, though nobody traded.
        (datetime(2024, 6, 15, 20, 0, tzinfo=UTC), "2024-06-15"),
        # Christmas Eve closes early, at 14:10.
        (datetime(2024, 12, 24, 3, 45, tzinfo=UTC), "2024-12-24"),
    ],
)
def test_the_last_closed_day_in_sydney(known_at: datetime, day: str) -> None:
    assert str(last_closed_day("asx", known_at)) == day


def test_the_last_closed_day_in_new_york() -> None:
    assert str(last_closed_day("us", datetime(2021, 1, 27, 20, 59, tzinfo=UTC))) == "2021-01-26"
    assert str(last_closed_day("us", datetime(2021, 1, 27, 21, 30, tzinfo=UTC))) == "2021-01-27"
