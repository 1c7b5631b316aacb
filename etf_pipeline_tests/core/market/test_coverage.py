"""Holes and ends of the source, told apart from funds that do not trade."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.market.coverage import market_traded, source_ended
from etf_pipeline_tests.core.random_market import assert_causal, random_market


def test_a_session_with_few_bars_is_a_hole_in_the_source():
    accepted = np.ones((30, 10), dtype=bool)
    accepted[12, :6] = False  # four of ten
    accepted[15, :5] = False  # five of ten: thin, but a session
    accepted[20] = False
    assert np.flatnonzero(~market_traded(accepted)).tolist() == [12, 20]


def test_when_the_file_ends_for_all_nobody_saw_a_market():
    accepted = np.ones((80, 4), dtype=bool)
    accepted[30:] = False
    assert not market_traded(accepted)[30:].any()


def test_a_growing_or_shrinking_market_is_no_hole():
    accepted = np.arange(200)[:, None] >= np.arange(0, 200, 10)
    assert market_traded(accepted).all()
    assert market_traded(accepted[::-1])[:150].all()  # from twenty funds to five


def test_a_group_that_falls_silent_on_one_day_is_the_sources_end():
    accepted = np.ones((30, 20), dtype=bool)
    accepted[10:, :6] = False  # last bar in row 9; said from row 15 on
    ended = source_ended(accepted)
    assert ended[15:, :6].all()
    assert not ended[:15].any()
    assert not ended[:, 6:].any()


def test_a_thin_fund_that_last_traded_shortly_before_belongs_to_the_group():
    accepted = np.ones((40, 20), dtype=bool)
    accepted[10:, :6] = False
    accepted[5:, 6] = False  # last bar five sessions before the group's
    accepted[4:, 7] = False  # six sessions before
    ended = source_ended(accepted)
    assert ended[15:, 6].all()
    assert not ended[:15].any()
    assert not ended[:, 7].any()


@pytest.mark.parametrize(
    ("funds", "silent"),
    [(20, 4), (30, 5)],  # fewer than five; fewer than a fifth
)
def test_a_few_funds_are_deaths(funds, silent):
    accepted = np.ones((30, funds), dtype=bool)
    accepted[10:, :silent] = False
    assert not source_ended(accepted).any()


def test_deaths_one_by_one_are_deaths_however_many():
    accepted = np.arange(60)[:, None] < np.arange(5, 55, 2)
    assert not source_ended(accepted).any()


def test_funds_that_come_back_leave_the_group():
    accepted = np.ones((30, 20), dtype=bool)
    accepted[10:, :6] = False
    accepted[20:, :2] = True
    ended = source_ended(accepted)
    assert ended[16, :6].all()
    assert not ended[20:].any(), "four are left: no group any more"


def test_equals_its_definition():
    accepted = np.random.default_rng(4).random((90, 15)) < 0.5
    accepted[40:, :7] = False
    ours = source_ended(accepted, wait=2)
    for t in range(90):
        last = [max(np.flatnonzero(accepted[: t + 1, k]), default=None) for k in range(15)]
        ends = [
            end
            for end in range(t - 2)
            if last.count(end) >= 5 and last.count(end) >= 0.2 * accepted[end].sum()
        ]
        for j in range(15):
            assert ours[t, j] == any(last[j] is not None and end - 2 <= last[j] <= end for end in ends)
    assert ours.any()


def test_cutting_changes_nothing_earlier():
    m = random_market(5, hole=0.3)
    assert_causal(
        lambda a: {"traded": market_traded(a), "ended": source_ended(a)}, (m.accepted,), (1, 9, 20, 21, 300)
    )
