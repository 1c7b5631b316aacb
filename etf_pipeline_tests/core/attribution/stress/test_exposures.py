"""Exposures by least squares on chosen sessions."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from etf_pipeline.core.attribution.stress.exposures import exposures_at, fit_exposures
from etf_pipeline.core.attribution.stress.exposures_reference import fit_exposures_reference
from etf_pipeline_tests.core.attribution.stress.stress_market import exposures, factor_history

MOVES = factor_history(900)


def returns(seed: int = 3) -> np.ndarray:
    funds = exposures(4)
    noise = np.random.default_rng(seed).normal(size=(900, 4)) * np.sqrt(funds.residual_variance)
    out = MOVES @ funds.loadings.T + noise + 0.0002
    out[:500, 1] = np.nan
    out[::7, 2] = np.nan
    out[:800, 3] = np.nan
    return out


def test_equals_statsmodels() -> None:
    y = returns()
    use = np.ones(900, dtype=bool)
    use[300:340] = False
    got = fit_exposures(y, MOVES, use)
    for j in range(3):
        known = use & ~np.isnan(y[:, j])
        fit = sm.OLS(y[known, j], sm.add_constant(MOVES[known])).fit(cov_type="HC1")
        np.testing.assert_allclose(got.loadings[j], fit.params[1:], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(got.loading_covariance[j], fit.cov_params()[1:, 1:], rtol=1e-7, atol=1e-16)
        assert got.residual_variance[j] == pytest.approx(fit.mse_resid)
    assert np.isnan(got.loadings[3]).all()


def test_sessions_outside_use_do_not_matter() -> None:
    y, use = returns(), np.arange(900) < 600
    before = fit_exposures(y, MOVES, use, lags=(-1, 0, 1))
    changed_y, changed_moves = y.copy(), MOVES.copy()
    changed_y[600:] *= 5
    changed_moves[600:] += 1
    after = fit_exposures(changed_y, changed_moves, use, lags=(-1, 0, 1))
    np.testing.assert_array_equal(after.loadings, before.loadings)
    np.testing.assert_array_equal(after.loading_covariance, before.loading_covariance)


def test_late_news_is_caught_by_lags() -> None:
    y = np.full((900, 1), np.nan)
    y[1:, 0] = 0.5 * MOVES[1:, 0] + 0.5 * MOVES[:-1, 0]
    y[:, 0] += np.random.default_rng(0).normal(0, 0.001, 900)
    use = np.ones(900, dtype=bool)
    assert fit_exposures(y, MOVES, use).loadings[0, 0] == pytest.approx(0.5, abs=0.05)
    assert fit_exposures(y, MOVES, use, lags=(0, 1)).loadings[0, 0] == pytest.approx(1.0, abs=0.02)


def test_factors_that_are_one_tell_nothing() -> None:
    twice = MOVES.copy()
    twice[:, 4] = 2 * twice[:, 0]
    assert np.isnan(fit_exposures(returns(), twice, np.ones(900, dtype=bool)).loadings).all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="must exceed the 19 coefficients"):
        fit_exposures(returns(), MOVES, np.ones(900, dtype=bool), lags=(-1, 0, 1), min_observations=19)
    with pytest.raises(ValueError, match="899 of use"):
        fit_exposures(returns(), MOVES, np.ones(899, dtype=bool))


@pytest.mark.parametrize("lags", [(0,), (-1, 0), (0, 1), (-1, 0, 2)])
def test_the_kernel_equals_its_reference(lags: tuple[int, ...]) -> None:
    y, use = returns(), np.random.default_rng(5).random(900) > 0.1
    moves = MOVES.copy()
    moves[np.random.default_rng(6).random(900) < 0.03, 2] = np.nan
    got = fit_exposures(y, moves, use, lags=lags)
    expected = fit_exposures_reference(y, moves, use, lags=lags)
    np.testing.assert_allclose(got.loadings, expected.loadings, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(got.loading_covariance, expected.loading_covariance, rtol=1e-7, atol=1e-14)
    np.testing.assert_allclose(got.residual_variance, expected.residual_variance, rtol=1e-9)
    assert np.isfinite(got.loadings).any()


@pytest.mark.parametrize("lags", [(0,), (-1, 0), (0, 1)])
def test_windows_are_the_fits_of_their_sessions_and_know_nothing_later(lags: tuple[int, ...]) -> None:
    y, ends = returns(), np.array([200, 500, 899])
    found = exposures_at(y, MOVES, ends, window=300, lags=lags)
    for end, one in zip(ends, found, strict=True):
        row = np.arange(900)
        alone = fit_exposures(y, MOVES, (row <= end) & (row > end - 300), lags=lags)
        np.testing.assert_allclose(one.loadings, alone.loadings, rtol=1e-10, atol=1e-13)
        (cut,) = exposures_at(y[: end + 1, :3], MOVES[: end + 1], np.array([end]), window=300, lags=lags)
        np.testing.assert_array_equal(cut.loadings, one.loadings[:3])
        np.testing.assert_array_equal(cut.loading_covariance, one.loading_covariance[:3])


def test_a_factor_that_stands_still_has_no_loading() -> None:
    y, use = returns(), np.ones(900, dtype=bool)
    still = MOVES.copy()
    still[:, [2, 4]] = 0.0
    got, expected = fit_exposures(y, still, use), fit_exposures_reference(y, still, use)
    assert (got.loadings[:3, [2, 4]] == 0.0).all()
    assert (got.loading_covariance[:3][:, [2, 4]] == 0.0).all()
    np.testing.assert_allclose(got.loadings, expected.loadings, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(got.loading_covariance, expected.loading_covariance, rtol=1e-7, atol=1e-14)
    assert np.isfinite(got.loadings[:3]).all()
