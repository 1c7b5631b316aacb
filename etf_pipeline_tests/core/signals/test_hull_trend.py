"""Hull's average: exact on a line, equal to its definition."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.signals import PATH_REASONS, hull_trend
from etf_pipeline.core.signals.hull_trend import hull_average_reference, hull_weights
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.signals.paths import arrays, dead_after, market_returns, one_fund


@pytest.mark.parametrize(("length", "slope_sessions"), [(126, 5), (16, 1), (21, 10), (4, 1)])
def test_equals_the_change_of_the_average_by_its_definition(length, slope_sessions):
    growth = np.random.default_rng(length).normal(0.0005, 0.01, 200)
    average = hull_average_reference(np.concatenate([[0.0], np.cumsum(growth)]), length)
    change = np.full(201, np.nan)
    change[slope_sessions:] = (average[slope_sessions:] - average[:-slope_sessions]) * 252 / slope_sessions
    panel = hull_trend(*one_fund(growth), length=length, slope_sessions=slope_sessions)
    np.testing.assert_allclose(panel.hull_trend[:, 0], change, rtol=1e-9, atol=1e-11)
    assert np.isfinite(change).sum() > 50


def test_a_straight_line_has_its_slope():
    panel = hull_trend(*one_fund(np.full(300, 0.1 / 252)))
    np.testing.assert_allclose(panel.hull_trend[-100:, 0], 0.1, rtol=1e-11)
    assert hull_weights(126, 5).sum() == pytest.approx(1.0, rel=1e-12)


def test_it_turns_within_a_fortnight_where_the_average_of_half_a_year_takes_longer():
    growth = np.concatenate([np.full(200, 0.001), np.full(100, -0.001)])
    trend = hull_trend(*one_fund(growth)).hull_trend[200:, 0]
    plain = np.convolve(growth, np.full(126, 1 / 126))[199:300]
    assert np.argmax(trend < 0) < 30 < np.argmax(plain < 0)


def test_a_missing_bar_brings_its_return_later():
    growth = np.random.default_rng(1).normal(0, 0.01, 300)
    returns, spanned = one_fund(growth)
    expected = growth.copy()
    expected[199], expected[200] = 0.0, growth[199] + growth[200]
    returns[200], spanned[200] = np.nan, 0
    returns[201], spanned[201] = np.expm1(expected[200]), 2
    np.testing.assert_allclose(
        hull_trend(returns, spanned).hull_trend, hull_trend(*one_fund(expected)).hull_trend
    )


def test_reasons():
    growth = np.random.default_rng(2).normal(0, 0.01, 600)
    returns, spanned = one_fund(growth)
    returns[300] = np.nan  # unknown
    names = np.array(PATH_REASONS)[hull_trend(*dead_after(returns, spanned, 500)).reason[:, 0]]
    reach = len(hull_weights(126, 5))
    assert (names[:reach] == "short_history").all()
    assert (names[reach:300] == "").all()
    assert (names[300 : 300 + reach] == "unknown_return").all()
    assert (names[300 + reach : 506] == "").all()
    assert (names[506:] == "no_recent_bar").all()


def test_too_few_bars():
    growth = np.random.default_rng(3).normal(0, 0.01, 300)
    returns, spanned = one_fund(growth)
    missing = np.arange(301) % 4 == 2
    returns[missing], spanned[missing], spanned[np.roll(missing, 1)] = np.nan, 0, 2
    panel = hull_trend(returns, spanned)
    assert {PATH_REASONS[c] for c in panel.reason[200:, 0]} == {"too_few_sessions"}
    assert np.isfinite(hull_trend(returns, spanned, min_observed_share=0.7).hull_trend[200:]).all()


@pytest.mark.parametrize("seed", range(2))
def test_cutting_changes_nothing_earlier(seed):
    _, returns, spanned = market_returns(seed)
    assert_causal(
        lambda r, s: arrays(hull_trend(r, s, length=40)), (returns, spanned), (1, 48, 49, 50, 200, 419)
    )


@pytest.mark.parametrize("options", [{"length": 3}, {"slope_sessions": 0}])
def test_impossible_lengths(options):
    with pytest.raises(ValueError, match="at least"):
        hull_trend(*one_fund(np.zeros(5)), **options)
