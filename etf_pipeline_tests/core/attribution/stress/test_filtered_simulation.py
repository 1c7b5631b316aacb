"""Filtered historical simulation: against its reference, against closed forms, and where funds are young."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from etf_pipeline.core.attribution.stress.filtered_simulation import (
    START,
    ewma_parameters,
    filter_returns,
    joint_residuals,
    simulate_returns,
    simulated_tail,
)
from etf_pipeline.core.attribution.stress.filtered_simulation_reference import (
    filter_variance_reference,
    simulate_paths_reference,
)
from etf_pipeline.core.parallel import set_workers, workers

GJR = np.array([[2e-6, 1e-6, 3e-6], [0.05, 0.02, 0.08], [0.08, 0.1, 0.04], [0.88, 0.9, 0.88]])


def history(sessions: int = 600, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    common = rng.standard_t(5, (sessions, 1))
    r = 0.007 * common + 0.005 * rng.standard_t(5, (sessions, 3))
    r[:300, 1] = np.nan
    r[::11, 2] = np.nan
    return np.clip(r, -0.3, 0.3)


def prepared():
    got = filter_returns(history(), GJR)
    return joint_residuals(got.standardised, got.standardised[:, :1]), got.variance


def test_the_filter_equals_its_reference() -> None:
    r = history()
    got = filter_returns(r, GJR)
    logs = np.log1p(r)
    start = np.array([np.mean(c[~np.isnan(c)][:START] ** 2) for c in logs.T])
    standardised, variance = filter_variance_reference(logs, GJR, start)
    np.testing.assert_allclose(got.standardised, standardised, rtol=1e-12)
    np.testing.assert_allclose(got.variance, variance, rtol=1e-12)


def test_truncation_changes_no_residual() -> None:
    r = history()
    np.testing.assert_array_equal(
        filter_returns(r, GJR).standardised[:500], filter_returns(r[:500], GJR).standardised
    )


@pytest.mark.parametrize("block_length", [1.0, 6.0])
def test_paths_equal_their_reference(block_length: float) -> None:
    z, variance = prepared()
    got = simulate_returns(z, variance, GJR, paths=200, block_length=block_length, seed=4)
    want = simulate_paths_reference(
        z, GJR, variance, horizon=21, paths=200, block_length=block_length, seed=4
    )
    np.testing.assert_allclose(got, np.expm1(want), rtol=1e-12, atol=1e-15)


def test_neither_workers_nor_the_number_of_paths_show() -> None:
    z, variance = prepared()
    held = workers()
    outcomes = []
    try:
        for count in (1, 2, 5):
            set_workers(count)
            outcomes.append(simulate_returns(z, variance, GJR, paths=501, seed=9))
    finally:
        set_workers(held)
    np.testing.assert_array_equal(outcomes[0], outcomes[1])
    np.testing.assert_array_equal(outcomes[0], outcomes[2])
    np.testing.assert_array_equal(simulate_returns(z, variance, GJR, paths=100, seed=9), outcomes[0][:100])
    assert (simulate_returns(z, variance, GJR, paths=100, seed=10) != outcomes[0][:100]).any()


def test_normal_residuals_of_constant_variance_give_the_normal_tail() -> None:
    sigma = np.array([0.01, 0.02])
    z = np.random.default_rng(1).normal(size=(4000, 2))
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    constant = np.array([sigma**2, [0, 0], [0, 0], [0, 0]])
    tail = simulated_tail(simulate_returns(z, sigma**2, constant, paths=40_000))
    total = sigma * np.sqrt(21)
    for i, level in enumerate((0.95, 0.99)):
        q = stats.norm.ppf(1 - level)
        np.testing.assert_allclose(tail.value_at_risk[i], np.expm1(q * total), rtol=0.03)
        # Mean of a lognormal below its quantile.
        mean = np.exp(total**2 / 2) * stats.norm.cdf(q - total) / (1 - level) - 1
        np.testing.assert_allclose(tail.expected_shortfall[i], mean, rtol=0.03)
    for i, loss in enumerate((0.1, 0.2)):
        np.testing.assert_allclose(
            tail.probability_of_loss[i], stats.norm.cdf(np.log1p(-loss) / total), rtol=0.15, atol=2e-4
        )


def test_variance_of_paths_is_that_of_the_recursion() -> None:
    """The mean variance of a GARCH forecast, from a start far above the long run."""
    z = np.random.default_rng(1).normal(size=(5000, 1))
    z = (z - z.mean()) / z.std()
    theta = np.array([[4e-6], [0.05], [0.0], [0.9]])
    first, steps = 9e-4, 63
    total, h = 0.0, first
    for _ in range(steps):
        total += h
        h = 4e-6 + 0.95 * h
    paths = np.log1p(simulate_returns(z, np.array([first]), theta, horizon=steps, paths=20_000))
    assert paths.var() == pytest.approx(total, rel=0.05)


def test_funds_crash_together() -> None:
    """A session's row is drawn whole: the same fund twice makes the same paths, and correlation stays."""
    z, variance = prepared()
    twin = simulate_returns(
        np.column_stack([z, z[:, 0]]),
        np.append(variance, variance[0]),
        np.column_stack([GJR, GJR[:, 0]]),
        paths=3000,
    )
    np.testing.assert_array_equal(twin[:, 0], twin[:, 3])
    drawn = np.corrcoef(np.log1p(twin[:, [0, 2]]).T)[0, 1]
    assert drawn == pytest.approx(np.corrcoef(z[:, [0, 2]].T)[0, 1], abs=0.07)


def test_a_young_fund_is_filled_with_what_moved_all() -> None:
    rng = np.random.default_rng(0)
    driver = rng.normal(size=(1000, 1))
    z = 0.8 * driver + 0.6 * rng.normal(size=(1000, 2))
    young = z.copy()
    young[:800, 1] = np.nan
    filled = joint_residuals(young, driver)
    assert np.isfinite(filled).all()
    np.testing.assert_allclose(filled.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose((filled**2).mean(axis=0), 1)
    assert np.corrcoef(filled[:800, 1], driver[:800, 0])[0, 1] == pytest.approx(0.8, abs=0.06)
    np.testing.assert_array_equal(filled, joint_residuals(young, driver))
    assert (joint_residuals(young, driver, seed=1)[:, 1] != filled[:, 1]).any()


def test_too_young_a_fund_has_no_paths() -> None:
    z, variance = prepared()
    short = np.column_stack([z, np.full(len(z), np.nan)])
    paths = simulate_returns(short, np.append(variance, np.nan), np.column_stack([GJR, GJR[:, 0]]), paths=50)
    assert np.isnan(paths[:, 3]).all()
    np.testing.assert_array_equal(paths[:, :3], simulate_returns(z, variance, GJR, paths=50))
    tail = simulated_tail(paths)
    assert np.isnan(tail.value_at_risk[:, 3]).all()
    assert np.isnan(tail.probability_of_loss[:, 3]).all()
    few = np.full((600, 1), np.nan)
    few[-100:] = 1.0
    assert np.isnan(joint_residuals(few, np.ones((600, 1)) * np.arange(600)[:, None])).all()


def test_tails_by_hand() -> None:
    tail = simulated_tail(np.arange(-50, 50)[::-1, None] / 100.0, levels=(0.95, 0.99), losses=(0.1, 0.2))
    np.testing.assert_allclose(tail.value_at_risk[:, 0], [-0.46, -0.5])
    np.testing.assert_allclose(tail.expected_shortfall[:, 0], [-0.48, -0.5])
    np.testing.assert_allclose(tail.probability_of_loss[:, 0], [0.41, 0.31])


def test_ewma_is_the_filter_of_riskmetrics() -> None:
    r = history()[:, :1]
    logs = np.log1p(r[:, 0])
    h = np.mean(logs[:START] ** 2)
    for x in logs:
        h = 0.94 * h + 0.06 * x * x
    assert filter_returns(r, ewma_parameters(1)).variance[0] == pytest.approx(h)


def test_what_does_not_fit_is_refused() -> None:
    z, variance = prepared()
    holed = z.copy()
    holed[3, 1] = np.nan
    with pytest.raises(ValueError, match="fund 1 misses some residuals: complete them by joint_residuals"):
        simulate_returns(holed, variance, GJR)
    with pytest.raises(ValueError, match="must be at least 1"):
        simulate_returns(z, variance, GJR, horizon=0)
    with pytest.raises(ValueError, match="a parameter of fund 2 is negative"):
        filter_returns(history(), GJR * np.array([1, 1, -1]) - 1e-9 * np.array([0, 0, 1]))
    lost = history()
    lost[5, 0] = -1.0
    with pytest.raises(ValueError, match="session 5, fund 0"):
        filter_returns(lost, GJR)
    with pytest.raises(ValueError, match="599 of drivers"):
        joint_residuals(z, z[1:, :1])
    with pytest.raises(ValueError, match="decay"):
        ewma_parameters(3, 94)
