"""Portfolios with all correlations at one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_pipeline.core.attribution.stress.correlations import correlations_to_one, exposure_covariance
from etf_pipeline_tests.core.attribution.stress.stress_market import COVARIANCE, exposures

FUNDS = exposures(6)
WITHIN = exposure_covariance(FUNDS.loadings, COVARIANCE, FUNDS.residual_variance)


def test_uncorrelated_funds() -> None:
    got = correlations_to_one(np.full(4, 0.25), np.eye(4) * 0.01**2, horizon=16)
    assert got.volatility == pytest.approx(0.005)
    assert got.volatility_worst == got.volatility_same_sign == pytest.approx(0.01)
    assert got.diversification == pytest.approx(0.5)
    assert got.loss_worst == pytest.approx(1 - np.exp(-2.3263478740 * 0.04))


def test_a_hedge_goes_on_hedging_or_fails() -> None:
    sigma = 0.01
    covariance = sigma**2 * np.array([[1, -0.8], [-0.8, 1]])
    got = correlations_to_one(np.array([0.7, 0.3]), covariance)
    assert got.volatility_same_sign == pytest.approx(0.4 * sigma)
    assert got.volatility_worst == pytest.approx(sigma)
    # Short a fund that goes along with what is held: the same hedge.
    covariance[0, 1] = covariance[1, 0] = 0.8 * sigma**2
    short = correlations_to_one(np.array([0.7, -0.3]), covariance)
    assert short.volatility == pytest.approx(got.volatility)
    assert short.volatility_same_sign == pytest.approx(0.4 * sigma)


@given(st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=6, max_size=6))
def test_no_correlations_are_worse(weights) -> None:
    got = correlations_to_one(np.array(weights), WITHIN)
    assert got.volatility <= got.volatility_worst * (1 + 1e-12)
    assert got.volatility_same_sign <= got.volatility_worst * (1 + 1e-12)
    assert 0 <= got.loss <= got.loss_worst * (1 + 1e-12) < 1


def test_the_covariance_of_exposures_is_that_of_returns() -> None:
    rng = np.random.default_rng(0)
    own = rng.normal(size=(200_000, 6)) * np.sqrt(FUNDS.residual_variance)
    r = rng.multivariate_normal(np.zeros(6), COVARIANCE, 200_000) @ FUNDS.loadings.T + own
    np.testing.assert_allclose(np.cov(r.T), WITHIN, rtol=0.05, atol=3e-7)


def test_what_does_not_fit_is_refused() -> None:
    unknown = WITHIN.copy()
    unknown[2] = unknown[:, 2] = np.nan
    with pytest.raises(ValueError, match="fund 2 is held"):
        correlations_to_one(np.array([0.5, 0, 0.5, 0, 0, 0]), unknown)
    assert correlations_to_one(np.array([0.5, 0.5, 0, 0, 0, 0]), unknown).volatility > 0
    with pytest.raises(ValueError, match="confidence"):
        correlations_to_one(np.ones(6), WITHIN, confidence=99)
    with pytest.raises(ValueError, match=r"need a covariance \(5, 5\)"):
        correlations_to_one(np.ones(5), WITHIN)
