"""Losses of funds and portfolios with intervals."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.attribution.stress.exposures import Exposures, from_standard_errors
from etf_pipeline.core.attribution.stress.intervals import interval
from etf_pipeline.core.attribution.stress.losses import fund_losses, portfolio_losses
from etf_pipeline.core.attribution.stress.scenarios import FactorPath, hypothetical_path, replay_path
from etf_pipeline_tests.core.attribution.stress.stress_market import COVARIANCE, exposures, factor_history

FUNDS = exposures(12)
PATHS = [
    hypothetical_path({"equity": -0.4}, 126, COVARIANCE),
    hypothetical_path({"rates": 2.0}, 126, COVARIANCE, others="unchanged"),
    replay_path(factor_history(300), 20, 60, COVARIANCE),
]


def test_factors_add_up_for_funds_and_portfolios() -> None:
    losses = fund_losses(FUNDS, PATHS)
    assert losses.total_return.shape == (3, 12)
    assert losses.low.shape == (2, 3, 12)
    np.testing.assert_allclose(losses.contribution.sum(axis=2), losses.total_return, rtol=0, atol=1e-12)
    weights = np.random.default_rng(0).dirichlet(np.ones(12), 5)
    held = portfolio_losses(losses, FUNDS, PATHS, weights)
    np.testing.assert_allclose(held.total_return, losses.total_return @ weights.T, atol=1e-12)
    np.testing.assert_allclose(held.contribution.sum(axis=2), held.total_return, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(held.covered_weight, 1.0)


def test_a_portfolio_of_one_fund_is_the_fund() -> None:
    losses = fund_losses(FUNDS, PATHS)
    held = portfolio_losses(losses, FUNDS, PATHS, np.eye(12))
    for field in ("total_return", "log_variance", "low", "high"):
        np.testing.assert_allclose(getattr(held, field), getattr(losses, field), rtol=1e-9, atol=1e-12)


def test_spreading_narrows_what_is_the_funds_own_but_not_what_is_common() -> None:
    n = 40
    loading = np.tile([1.0, 0, 0, 0.5, 0, 0], (n, 1))
    same = from_standard_errors(loading, np.zeros((n, 6)), np.full(n, 0.01**2))
    paths = [
        hypothetical_path({"equity": -0.2}, 21, COVARIANCE, others=o) for o in ("unchanged", "conditional")
    ]
    losses = fund_losses(same, paths)
    held = portfolio_losses(losses, same, paths, np.full((1, n), 1 / n))
    assert held.log_variance[0, 0] == pytest.approx(losses.log_variance[0, 0] / n)
    own = losses.log_variance[0, 0]
    common = losses.log_variance[1, 0] - own
    assert common > 0
    assert held.log_variance[1, 0] == pytest.approx(common + own / n)


def test_a_fund_without_exposures_is_told_not_zero() -> None:
    loadings = FUNDS.loadings.copy()
    loadings[3] = np.nan
    partly = Exposures(loadings, FUNDS.loading_covariance, FUNDS.residual_variance)
    losses = fund_losses(partly, PATHS)
    assert np.isnan(losses.total_return[:, 3]).all()
    held = portfolio_losses(losses, partly, PATHS, np.full((1, 12), 1 / 12))
    assert held.covered_weight[0] == pytest.approx(11 / 12)
    assert np.isfinite(held.low).all()
    nobody = portfolio_losses(losses, partly, PATHS, np.zeros((1, 12)))
    assert nobody.covered_weight[0] == 0
    assert not nobody.total_return.any()


def test_intervals_hold_on_simulated_funds() -> None:
    """The fund's loadings are drawn around the estimate, its residuals and unseen factors afresh."""
    rng = np.random.default_rng(5)
    fund = exposures(1)
    days, draws = 21, 4000
    named = np.full((days, 6), np.nan)
    named[:, :2] = 1.2 * factor_history(days)[:, :2]
    seen = np.vstack([np.zeros((1, 6)), named])
    path = replay_path(seen, 0, days, COVARIANCE)
    scale = path.turbulence
    filled = np.linalg.cholesky(scale * path.uncertainty[2:, 2:] / days)
    known = fund_losses(fund, [path])
    outcome = np.empty(draws)
    for i in range(draws):
        b = rng.multivariate_normal(fund.loadings[0], fund.loading_covariance[0])
        moves = path.moves.copy()
        moves[:, 2:] += rng.normal(size=(days, 4)) @ filled.T
        own = rng.normal(0, np.sqrt(scale * fund.residual_variance[0]), days)
        outcome[i] = np.prod(1 + moves @ b + own) - 1
    for i, level in enumerate((0.80, 0.95)):
        inside = ((outcome >= known.low[i, 0, 0]) & (outcome <= known.high[i, 0, 0])).mean()
        assert inside == pytest.approx(level, abs=0.02)


def test_bounds() -> None:
    low, high = interval(np.array([-0.9, -1.0, 0.2]), np.array([4.0, 1.0, 0.0]), 0.95)
    assert (low >= -1).all()
    assert low[1] == high[1] == -1
    assert low[2] == high[2] == pytest.approx(0.2)
    wide, _ = interval(np.array([-0.2]), np.array([0.01]), 0.95, inflation=2.0)
    narrow, _ = interval(np.array([-0.2]), np.array([0.01]), 0.95)
    assert np.log1p(wide) - np.log(0.8) == pytest.approx(2 * (np.log1p(narrow) - np.log(0.8)))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one path"):
        fund_losses(FUNDS, [])
    with pytest.raises(ValueError, match="as many inflation factors"):
        fund_losses(FUNDS, PATHS, inflation=np.ones(3))
    with pytest.raises(ValueError, match=r"weights are \(P, 12\)"):
        portfolio_losses(fund_losses(FUNDS, PATHS), FUNDS, PATHS, np.ones(12))
    with pytest.raises(ValueError, match="use from_standard_errors"):
        Exposures(FUNDS.loadings, np.ones((12, 6)), FUNDS.residual_variance)
    with pytest.raises(ValueError, match="lies between 0 and 1"):
        interval(np.zeros(1), np.zeros(1), 95)


def test_turbulence_widens() -> None:
    path = PATHS[2]
    wild = FactorPath(path.moves, path.sessions, path.uncertainty, 4.0)
    calm = FactorPath(path.moves, path.sessions, path.uncertainty, 1.0)
    losses = fund_losses(
        Exposures(FUNDS.loadings, 0 * FUNDS.loading_covariance, FUNDS.residual_variance), [calm, wild]
    )
    np.testing.assert_allclose(losses.log_variance[1], 4 * losses.log_variance[0])
