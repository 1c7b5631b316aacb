"""Downside beta against least squares on the falling sessions."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.risk.beta import downside_beta, ols_reference, rolling_beta
from etf_pipeline_tests.core.risk.beta_fixtures import consecutive, inputs


def test_downside_equals_least_squares_on_the_falling_sessions():
    y, spanned, x, x_spanned = inputs(16, sessions=400, funds=4)
    panel = downside_beta(y, spanned, x, x_spanned, window=150, min_observations=30, max_stale_sessions=0)
    compared = 0
    for j in range(4):
        for t in range(400):
            rows = slice(max(0, t - 149), t + 1)
            use = (
                (spanned[rows, j] == 1) & (x_spanned[rows] == 1) & ~np.isnan(y[rows, j]) & ~np.isnan(x[rows])
            )
            a, b = x[rows][use], y[rows, j][use]
            below = a < a.mean() if len(a) else np.zeros(0, bool)
            assert panel.observations[t, j] == below.sum()
            if below.sum() < 30 or spanned[t, j] == 0:
                assert np.isnan(panel.beta[t, j])
                continue
            slope, alpha, correlation, error = ols_reference(b[below], a[below])
            ours = [panel.beta[t, j], panel.alpha[t, j], panel.correlation[t, j], panel.standard_error[t, j]]
            np.testing.assert_allclose(
                ours, [slope, alpha, correlation, error], rtol=1e-9, atol=1e-10 if j else 1e-7
            )
            compared += 1
    assert compared > 500


def test_a_sold_call_has_more_downside_than_beta():
    rng = np.random.default_rng(17)
    x = rng.normal(0, 0.01, 300)
    y = np.minimum(x, 0.0)[:, None]
    down = downside_beta(y, consecutive(y), x, consecutive(x)).beta[-1, 0]
    assert down == pytest.approx(1.0, abs=0.02)
    assert rolling_beta(y, consecutive(y), x, consecutive(x)).beta[-1, 0] < 0.6


def test_impossible_downside():
    y = np.zeros((4, 1))
    for options in ({"min_observations": 2}, {"window": 40, "min_observations": 50}):
        with pytest.raises(ValueError, match="must hold"):
            downside_beta(y, consecutive(y), y[:, 0], consecutive(y[:, 0]), **options)
