"""Residual of a cross-sectional regression, against numpy's."""

from __future__ import annotations

import numpy as np

from etf_pipeline.core.scoring.beyond_risk import beyond_risk
from etf_pipeline_tests.core.random_market import assert_causal

RNG = np.random.default_rng(4)
FORECAST, VOLATILITY = RNG.normal(0.01, 0.02, (40, 25)), RNG.lognormal(-2, 0.5, (40, 25))
BETA = 4 * VOLATILITY + RNG.normal(0, 0.3, (40, 25))
FORECAST[RNG.random(FORECAST.shape) < 0.1] = np.nan
VOLATILITY[RNG.random(FORECAST.shape) < 0.1] = np.nan
MEMBER = RNG.random(FORECAST.shape) < 0.8


def test_it_is_the_residual_of_least_squares():
    out = beyond_risk(FORECAST, (VOLATILITY, BETA), MEMBER)
    for t in range(len(out)):
        on = MEMBER[t] & np.isfinite(FORECAST[t]) & np.isfinite(VOLATILITY[t])
        x = np.column_stack([np.ones(on.sum()), VOLATILITY[t, on], BETA[t, on]])
        fitted = x @ np.linalg.lstsq(x, FORECAST[t, on], rcond=None)[0]
        np.testing.assert_allclose(out[t, on], FORECAST[t, on] - fitted, atol=1e-13)
        assert np.isnan(out[t, ~on]).all()


def test_a_reward_for_risk_that_all_share_leaves_nothing():
    out = beyond_risk(0.02 + 0.3 * VOLATILITY - 0.01 * BETA, (VOLATILITY, BETA), MEMBER)
    assert np.nanmax(np.abs(out)) < 1e-12


def test_more_forecast_is_more_of_it():
    better = FORECAST.copy()
    better[:, 3] += 0.05
    before, after = (beyond_risk(f, (VOLATILITY, BETA), MEMBER)[:, 3] for f in (FORECAST, better))
    known = np.isfinite(before)
    assert (after[known] > before[known]).all()


def test_degenerate_sessions():
    nobody, one = np.zeros((1, 25), bool), np.zeros((1, 25), bool)
    one[0, 2] = True
    row, flat = np.full((1, 25), 0.01), np.full((1, 25), 0.2)
    assert np.isnan(beyond_risk(row, (flat, flat), nobody)).all()
    assert beyond_risk(row, (flat, flat), one)[0, 2] == 0.0
    assert (beyond_risk(row, (flat, flat), ~nobody) == 0.0).all()


def test_cutting_changes_nothing_earlier():
    def stage(forecast, volatility, beta, member):
        return {"beyond": beyond_risk(forecast, (volatility, beta), member)}

    assert_causal(stage, (FORECAST, VOLATILITY, BETA, MEMBER), (1, 7, 39))


def test_funds_that_are_listed_later_change_no_bit():
    def wider(panel, fill):
        return np.hstack([panel, np.full((len(panel), 60), fill)])

    alone = beyond_risk(FORECAST, (VOLATILITY, BETA), MEMBER)
    among = beyond_risk(
        wider(FORECAST, np.nan), (wider(VOLATILITY, np.nan), wider(BETA, np.nan)), wider(MEMBER, False)
    )
    assert alone.tobytes() == among[:, :25].copy().tobytes()


def test_a_measure_that_says_nothing_new_takes_nothing_off():
    once = beyond_risk(FORECAST, (VOLATILITY,), MEMBER)
    twice = beyond_risk(FORECAST, (VOLATILITY, 3 * VOLATILITY + 1), MEMBER)
    np.testing.assert_allclose(twice, once, atol=1e-12)
