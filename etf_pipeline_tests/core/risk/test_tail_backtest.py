"""The backtest's tests against published cases, simulation and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from etf_pipeline.core.risk.tail_backtest import backtest_tail, christoffersen_p_value, kupiec_p_value


@pytest.mark.parametrize(
    ("forecasts", "probability", "accepted"),
    [
        (255, 0.01, (1, 6)),
        (510, 0.01, (2, 10)),
        (1000, 0.01, (5, 16)),
        (255, 0.05, (7, 20)),
        (1000, 0.05, (38, 64)),
    ],
)
def test_kupiecs_regions_of_non_rejection(forecasts, probability, accepted):
    # Kupiec (1995), test level 5 %: N < 7, 1 < N < 11, 4 < N < 17, 6 < N < 21, 37 < N < 65. The first is
    # printed without a lower end, but no violation at all has a likelihood ratio of 5.1 and is rejected.
    p_values = [kupiec_p_value(forecasts, n, probability) for n in range(100)]
    kept = np.flatnonzero(np.array(p_values) >= 0.05)
    assert (kept[0], kept[-1]) == accepted


def test_kupiec_is_certain_at_the_stated_rate():
    assert kupiec_p_value(1000, 50, 0.05) == pytest.approx(1.0)


def test_independence_equals_the_g_test_of_the_transition_table():
    hits = np.random.default_rng(1).random(2000) < 0.2
    table = np.array([[np.sum((hits[:-1] == i) & (hits[1:] == k)) for k in (0, 1)] for i in (0, 1)])
    expected = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").pvalue
    assert christoffersen_p_value(hits) == pytest.approx(expected, rel=1e-9)


def test_independence_rejects_clusters_and_not_coins():
    rng = np.random.default_rng(2)
    coins = [christoffersen_p_value(rng.random(1000) < 0.05) for _ in range(400)]
    assert 0.01 < np.mean(np.array(coins) < 0.05) < 0.10
    assert christoffersen_p_value(np.repeat(rng.random(200) < 0.05, 5)) < 1e-6


@pytest.mark.parametrize("hits", [np.zeros(50, bool), np.ones(50, bool), np.zeros(1, bool)])
def test_nothing_to_compare_is_no_evidence(hits):
    assert christoffersen_p_value(hits) == pytest.approx(1.0)


def test_a_return_meets_the_forecast_of_the_close_it_starts_from():
    returns = np.array([[np.nan], [-0.03], [np.nan], [-0.05], [0.01]])
    spanned = np.array([[0], [1], [0], [2], [1]])
    limit = np.array([[-0.02], [-0.04], [-0.001], [-0.02], [np.nan]])
    result = backtest_tail(returns, spanned, limit, 1.5 * limit, 0.05)
    # -0.03 < -0.02 breaks; -0.05 / sqrt(2) = -0.035 holds against -0.04; 0.01 holds.
    assert (result.forecasts[0], result.violations[0]) == (3, 1)
    assert result.shortfall_ratio[0] == pytest.approx(0.03 / 0.03)


def test_right_forecasts_pass_and_doubled_ones_fail():
    rng = np.random.default_rng(3)
    returns = rng.normal(size=(3000, 60))
    spanned = np.ones(returns.shape, int)
    shape = np.ones(returns.shape)
    quantile = stats.norm.ppf(0.05)
    shortfall = -stats.norm.pdf(quantile) / 0.05
    right = backtest_tail(returns, spanned, quantile * shape, shortfall * shape, 0.05)
    assert (right.coverage_p_value < 0.05).mean() < 0.15
    assert right.shortfall_ratio.mean() == pytest.approx(1.0, abs=0.01)
    wide = backtest_tail(returns, spanned, 2 * quantile * shape, 2 * shortfall * shape, 0.05)
    assert (wide.coverage_p_value < 1e-6).all()
    assert np.nanmean(wide.shortfall_ratio) < 0.9


def test_no_forecasts_give_no_verdict():
    nan = np.full((20, 1), np.nan)
    result = backtest_tail(nan, np.ones((20, 1), int), nan, nan, 0.01)
    assert (result.forecasts[0], result.violations[0]) == (0, 0)
    assert np.isnan([result.coverage_p_value, result.independence_p_value, result.shortfall_ratio]).all()


def test_impossible_probability():
    with pytest.raises(ValueError, match="probability must lie"):
        backtest_tail(np.zeros((2, 1)), np.ones((2, 1), int), np.zeros((2, 1)), np.zeros((2, 1)), 1.0)
