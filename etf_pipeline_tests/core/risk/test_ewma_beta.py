"""Exponentially weighted beta against weighted least squares."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from etf_pipeline.core.risk.beta import ewma_beta, rolling_beta
from etf_pipeline_tests.core.risk.beta_fixtures import consecutive, inputs


@pytest.mark.parametrize("half_life", [5.0, 63.0, np.inf])
def test_ewma_equals_weighted_least_squares(half_life):
    y, spanned, x, x_spanned = inputs(12, sessions=300, funds=4)
    panel = ewma_beta(
        y, spanned, x, x_spanned, half_life=half_life, min_observations=40, max_stale_sessions=0
    )
    compared = 0
    for j in range(1, 4):
        use = (spanned[:, j] == 1) & (x_spanned == 1) & ~np.isnan(y[:, j]) & ~np.isnan(x)
        for t in range(60, 300, 17):
            rows = np.flatnonzero(use[: t + 1])
            assert panel.observations[t, j] == len(rows)
            if np.isnan(panel.beta[t, j]):
                assert spanned[t, j] == 0 or len(rows) < 40
                continue
            w = 0.5 ** ((t - rows) / half_life)
            design = sm.add_constant(x[rows])
            fit = sm.WLS(y[rows, j], design, weights=w).fit()
            np.testing.assert_allclose(
                [panel.alpha[t, j], panel.beta[t, j]], fit.params, rtol=1e-9, atol=1e-12
            )
            effective = w.sum() ** 2 / (w**2).sum()
            variance = w @ fit.resid**2 / w.sum() * effective / (effective - 2)
            bread = np.linalg.inv(design.T @ (w[:, None] * design))
            covariance = variance * bread @ (design.T @ (w[:, None] ** 2 * design)) @ bread
            np.testing.assert_allclose(panel.standard_error[t, j], np.sqrt(covariance[1, 1]), rtol=1e-8)
            mean_x, mean_y = np.average(x[rows], weights=w), np.average(y[rows, j], weights=w)
            dx, dy = x[rows] - mean_x, y[rows, j] - mean_y
            correlation = w @ (dx * dy) / np.sqrt((w @ dx**2) * (w @ dy**2))
            np.testing.assert_allclose(panel.correlation[t, j], correlation, rtol=1e-9)
            compared += 1
    assert compared > 20


def test_an_infinite_half_life_is_the_expanding_regression():
    y, spanned, x, x_spanned = inputs(13)
    ours = ewma_beta(y, spanned, x, x_spanned, half_life=np.inf)
    expanding = rolling_beta(y, spanned, x, x_spanned, window=len(y))
    for name in ("beta", "alpha", "correlation", "standard_error", "observations"):
        np.testing.assert_allclose(
            getattr(ours, name)[:, 1:], getattr(expanding, name)[:, 1:], rtol=1e-9, atol=1e-12
        )


def test_ewma_follows_a_change_of_beta_by_half_in_one_half_life():
    rng = np.random.default_rng(14)
    x = rng.choice([-0.01, 0.01], 2063)  # of one size, so that weights are sessions
    y = (np.where(np.arange(2063) < 2000, 0.5, 1.5) * x)[:, None]
    panel = ewma_beta(y, consecutive(y), x, consecutive(x), half_life=63.0)
    assert panel.beta[1999, 0] == pytest.approx(0.5)
    assert panel.beta[2062, 0] == pytest.approx(1.0, abs=0.03)


def test_ewma_error_covers_the_truth():
    rng = np.random.default_rng(15)
    x = rng.normal(0, 0.01, 400)
    y = 0.9 * x[:, None] + rng.normal(0, 0.01, (400, 2000))
    panel = ewma_beta(y, consecutive(y), x, consecutive(x))
    assert 0.93 < (np.abs(panel.beta[-1] - 0.9) < 1.96 * panel.standard_error[-1]).mean() < 0.97


def test_ewma_without_effective_observations_has_no_error():
    rng = np.random.default_rng(15)
    x = rng.normal(0, 0.01, 200)
    y = rng.normal(0, 0.01, (200, 1))
    panel = ewma_beta(y, consecutive(y), x, consecutive(x), half_life=0.5)
    assert np.isnan(panel.standard_error).all()
    assert not np.isnan(panel.beta[126:]).any()


@pytest.mark.parametrize("options", [{"half_life": 0.0}, {"half_life": np.nan}, {"min_observations": 2}])
def test_impossible_ewma(options):
    y = np.zeros((4, 1))
    with pytest.raises(ValueError, match="must"):
        ewma_beta(y, consecutive(y), y[:, 0], consecutive(y[:, 0]), **options)
