"""EWMA volatility against its definition, published values and simulated truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.market.returns import total_return
from etf_pipeline.core.risk import RISKMETRICS_HALF_LIFE, ewma_volatility
from etf_pipeline.core.risk.volatility import ewma_volatility_reference
from etf_pipeline_tests.core.random_market import assert_causal, random_market


def returns_of(market):
    return total_return(
        market.close, market.accepted, market.scale, market.split, market.distribution, basis="as_traded"
    )


def one_fund(returns, spanned=None, **options):
    column = np.array(returns, dtype=float)[:, None]
    spans = np.where(np.isnan(column), 0, 1) if spanned is None else np.array(spanned)[:, None]
    return ewma_volatility(column, spans, **{"min_observations": 1, **options}).volatility_annualised[:, 0]


def test_decay_factors():
    assert pytest.approx(0.9792, abs=5e-5) == 0.5 ** (1 / 33)
    assert pytest.approx(0.94, rel=1e-14) == 0.5 ** (1 / RISKMETRICS_HALF_LIFE)


def test_hand_computed():
    # Half-life 1: weights 1/2, 1/4, 1/8, made to sum to one.
    volatility = one_fund([0.01, -0.02, 0.04], half_life=1.0)
    variance = (0.5 * 0.04**2 + 0.25 * 0.02**2 + 0.125 * 0.01**2) / 0.875
    np.testing.assert_allclose(volatility[2], np.sqrt(252 * variance), rtol=1e-14)
    np.testing.assert_allclose(volatility[0], np.sqrt(252) * 0.01, rtol=1e-14)


def test_consecutive_returns_equal_pandas_ewm():
    returns = np.random.default_rng(2).normal(0, 0.01, 500)
    expected = np.sqrt(252 * (pd.Series(returns) ** 2).ewm(halflife=33, adjust=True).mean())
    np.testing.assert_allclose(one_fund(returns), expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_equals_its_reference_with_spans_and_unknown_returns(seed):
    panel = returns_of(random_market(seed, sessions=90, funds=3, hole=0.3))
    ours = ewma_volatility(
        panel.total_return, panel.sessions_spanned, half_life=10, min_observations=1, max_stale_sessions=90
    ).volatility_annualised
    for j in range(3):
        expected = ewma_volatility_reference(panel.total_return[:, j], panel.sessions_spanned[:, j], 10)
        np.testing.assert_allclose(ours[:, j], expected, rtol=1e-11)


def test_a_return_over_n_sessions_is_n_sessions_of_equal_variance():
    r = 0.03
    spanned = one_fund([0.01, np.nan, np.nan, r], [1, 0, 0, 3], half_life=5.0)
    split_up = one_fund([0.01, *[r / np.sqrt(3)] * 3], half_life=5.0)
    np.testing.assert_allclose(spanned[3], split_up[3], rtol=1e-13)


def test_minimum_history_counts_known_returns():
    returns = np.full(70, 0.01)
    returns[5] = np.nan
    panel = ewma_volatility(returns[:, None], np.ones((70, 1), dtype=int))
    assert np.flatnonzero(~np.isnan(panel.volatility_annualised[:, 0]))[0] == 60
    assert panel.observations[60, 0] == 60


def test_an_estimate_stands_for_a_few_sessions_without_a_bar():
    returns = np.concatenate([np.full(5, 0.01), np.full(8, np.nan)])
    volatility = one_fund(returns, max_stale_sessions=3)
    np.testing.assert_array_equal(np.isnan(volatility), np.arange(13) > 7)
    assert (volatility[4:8] == volatility[4]).all()


def test_a_price_that_never_moves_has_no_volatility():
    assert (one_fund(np.zeros(50)) == 0).all()


def test_no_returns_give_nothing():
    assert np.isnan(one_fund(np.full(20, np.nan))).all()
    assert ewma_volatility(np.zeros((0, 2)), np.zeros((0, 2), int)).volatility_annualised.shape == (0, 2)


def test_finds_the_volatility_that_made_the_returns():
    rng = np.random.default_rng(9)
    truth = np.array([0.05, 0.15, 0.40, 0.80])
    returns = rng.normal(0, truth / np.sqrt(252), (3000, 4))
    estimate = ewma_volatility(returns, np.ones((3000, 4), int)).volatility_annualised
    np.testing.assert_allclose(np.sqrt(np.nanmean(estimate**2, axis=0)), truth, rtol=0.05)


def test_holes_do_not_bias_it():
    rng = np.random.default_rng(10)
    shape = (4000, 6)
    close = 10 * np.exp(np.cumsum(rng.normal(0, 0.01, shape), axis=0))
    accepted = rng.random(shape) > 0.4
    accepted[0] = True
    one = np.ones(shape)
    panel = total_return(close, accepted, one, one, 0 * one, basis="as_traded")
    estimate = ewma_volatility(panel.total_return, panel.sessions_spanned).volatility_annualised
    assert np.sqrt(np.nanmean(estimate**2)) == pytest.approx(0.01 * np.sqrt(252), rel=0.03)


@pytest.mark.parametrize("seed", range(3))
def test_cutting_changes_nothing_earlier(seed):
    panel = returns_of(random_market(seed))

    def stage(returns, spanned):
        result = ewma_volatility(returns, spanned)
        return {"volatility": result.volatility_annualised, "observations": result.observations}

    assert_causal(stage, (panel.total_return, panel.sessions_spanned), (1, 59, 60, 61, 200, 419))


def test_impossible_half_life():
    with pytest.raises(ValueError, match="half_life must be positive"):
        ewma_volatility(np.zeros((1, 1)), np.ones((1, 1), int), half_life=0)
