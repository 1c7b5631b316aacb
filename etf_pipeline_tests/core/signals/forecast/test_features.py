"""Features: ranks of the session alone, states from the past alone, series no earlier than they were known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from etf_pipeline.core.signals.forecast.features import (
    as_known,
    causal_score,
    change,
    cross_sectional_rank,
    feature_table,
)
from etf_pipeline.core.signals.forecast.market_state import MACRO_STATES, across_funds, macro_state
from etf_pipeline.core.signals.forecast.targets import FLOOR, horizon_scale


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_ranks_are_those_of_scipy(seed):
    rng = np.random.default_rng(seed)
    panel = rng.integers(0, 5, (6, 9)).astype(float)
    panel[rng.random(panel.shape) < 0.2] = np.nan
    eligible = rng.random(panel.shape) < 0.8
    ours = cross_sectional_rank(panel, eligible)
    for t in range(len(panel)):
        use = eligible[t] & np.isfinite(panel[t])
        assert np.isnan(ours[t, ~use]).all()
        np.testing.assert_allclose(ours[t, use], (2 * rankdata(panel[t, use]) - 1) / max(use.sum(), 1) - 1)


def test_rows_stand_in_order_of_sessions_and_unknown_features_in_the_middle():
    eligible = np.array([[True, False, True], [False, False, False], [True, True, True]])
    first = np.array([[1.0, 5.0, np.nan], [1.0, 1.0, 1.0], [3.0, 2.0, 1.0]])
    table = feature_table({"a": first, "b": -first}, {"m": np.array([0.5, 1.0, np.nan])}, eligible)
    assert table.row.tolist() == [0, 0, 2, 2, 2]
    assert table.column.tolist() == [0, 2, 0, 1, 2]
    assert table.start.tolist() == [0, 2, 2, 5]
    assert table.names == ("a", "b", "m")
    assert table.own == 2
    assert table.known_share.tolist() == [1.0, 0.0, 1.0, 1.0, 1.0]
    np.testing.assert_allclose(table.values[0], [0, 0, 0.5])
    np.testing.assert_allclose(table.values[1], [0, 0, 0.5])
    np.testing.assert_allclose(table.values[2], [2 / 3, -2 / 3, 0])


def test_a_score_never_changes_with_what_comes_later():
    series = np.cumsum(np.random.default_rng(0).normal(size=900))
    series[[5, 300, 301]] = np.nan
    whole = causal_score(series, 200, 50)
    assert np.isfinite(whole[100:]).mean() > 0.9
    assert np.abs(whole[np.isfinite(whole)]).max() <= 3
    for cut in (60, 301, 777):
        assert causal_score(series[:cut].copy(), 200, 50).tobytes() == whole[:cut].tobytes()


def test_a_series_that_does_not_move_has_no_score():
    assert np.isnan(causal_score(np.ones(500), 100, 20)).all()


def test_a_foreign_series_is_held_back_and_goes_stale():
    sessions = np.datetime64("2024-01-01") + np.arange(20)
    known = as_known(sessions[[2, 5]], np.array([1.0, 2.0]), sessions, lag=1, max_age=4)
    assert np.isnan(known[:3]).all()
    assert known[3:6].tolist() == [1.0, 1.0, 1.0]
    assert known[6:11].tolist() == [2.0] * 5
    assert np.isnan(known[11:]).all()


@pytest.mark.parametrize("lag", [1, 2])
def test_no_value_of_the_lag_is_ever_seen(lag):
    sessions = np.datetime64("2024-01-01") + np.arange(50)
    values = np.arange(50.0)
    known = as_known(sessions, values, sessions, lag=lag)
    np.testing.assert_array_equal(known[lag:], values[:-lag])


def test_american_series_are_held_back_a_session_or_two():
    assert {(s.series, s.lag) for s in MACRO_STATES} == {
        ("vix", 1), ("audusd", 1), ("us_10y_yield", 2), ("us_10y_2y_spread", 2), ("us_high_yield_spread", 2),
    }  # fmt: skip
    sessions = np.datetime64("2020-01-01") + np.arange(800)
    vix = np.exp(np.random.default_rng(3).normal(3, 0.3, 800))
    state = macro_state({"vix": (sessions, vix)}, sessions)
    assert np.isfinite(state["vix"][400:]).all()
    assert np.isnan(state["us_10y_yield_change_63"]).all()
    later = vix.copy()
    later[700:] *= 3
    assert (
        macro_state({"vix": (sessions, later)}, sessions)["vix"][:701].tobytes()
        == state["vix"][:701].tobytes()
    )


def test_change_is_the_difference_to_the_past():
    assert change(np.array([1.0, 2.0, 4.0]), 2).tolist()[2] == 3.0
    assert np.isnan(change(np.array([1.0, 2.0]), 5)).all()


def test_across_funds_needs_five():
    panel = np.array([[1.0, 2, 3, 4, 100], [1, 2, 3, 4, np.nan]])
    middle, spread = across_funds(panel, np.ones((2, 5), dtype=bool))
    assert middle[0] == 3.0
    assert spread[0] == pytest.approx(np.std(panel[0]))
    assert np.isnan([middle[1], spread[1]]).all()


def test_funds_that_are_not_there_yet_change_no_bit():
    rng = np.random.default_rng(8)
    panel, eligible = rng.normal(size=(40, 37)), rng.random((40, 37)) < 0.7
    wider = np.full((40, 90), np.nan)
    wider[:, ::2][:, :37] = panel
    there = np.zeros(wider.shape, dtype=bool)
    there[:, ::2][:, :37] = eligible
    for narrow, wide in zip(across_funds(panel, eligible), across_funds(wider, there), strict=True):
        assert narrow.tobytes() == wide.tobytes()
    one = horizon_scale(np.abs(panel), eligible, 5)
    assert (
        one.tobytes()
        == np.ascontiguousarray(horizon_scale(np.abs(wider), there, 5)[:, ::2][:, :37]).tobytes()
    )


def test_scale_has_a_floor_and_grows_with_the_root_of_the_horizon():
    vol = np.array([[0.001, 0.2, 0.2, np.nan]])
    scale = horizon_scale(vol, np.ones((1, 4), dtype=bool), 63)
    np.testing.assert_allclose(scale[0, :3], np.array([FLOOR * 0.2, 0.2, 0.2]) / 2)
    assert np.isnan(scale[0, 3])
