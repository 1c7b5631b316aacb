"""The Newey-West error of beta against statsmodels, and what it covers."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from etf_pipeline.core.risk.beta import hac_standard_error, rolling_beta
from etf_pipeline_tests.core.risk.beta_fixtures import consecutive, inputs


@pytest.mark.parametrize("lags", [0, 1, 5, 12])
def test_hac_equals_statsmodels(lags):
    y, spanned, x, x_spanned = inputs(11, sessions=500, funds=4)
    window, need = 120, 60
    ours = hac_standard_error(
        y, spanned, x, x_spanned, window=window, min_observations=need, max_stale_sessions=0, lags=lags
    )
    slope = rolling_beta(
        y, spanned, x, x_spanned, window=window, min_observations=need, max_stale_sessions=0
    ).beta
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(slope))
    compared = 0
    for j in range(1, 4):
        for t in range(70, 500, 9):
            if np.isnan(ours[t, j]):
                continue
            rows = slice(max(0, t - window + 1), t + 1)
            use = (
                (spanned[rows, j] == 1) & (x_spanned[rows] == 1) & ~np.isnan(y[rows, j]) & ~np.isnan(x[rows])
            )
            fit = sm.OLS(y[rows, j][use], sm.add_constant(x[rows][use])).fit(
                cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}
            )
            np.testing.assert_allclose(ours[t, j], fit.bse[1], rtol=1e-9)
            compared += 1
    assert compared > 60


def test_hac_covers_the_truth_where_the_classical_error_does_not():
    rng = np.random.default_rng(5)
    length, funds = 260, 1500

    def persistent(shape):
        noise = rng.normal(0, 0.01, shape)
        for t in range(1, length):
            noise[t] += 0.7 * noise[t - 1]
        return noise

    x = persistent((length, funds))
    y = 0.9 * x + persistent((length, funds))
    panels = y, consecutive(y), x, consecutive(x)
    wrong = np.abs(rolling_beta(*panels).beta[-1] - 0.9)
    classical = (wrong < 1.96 * rolling_beta(*panels).standard_error[-1]).mean()
    robust = (wrong < 1.96 * hac_standard_error(*panels)[-1]).mean()
    assert classical < 0.80
    assert classical + 0.06 < robust < 0.95


def test_hac_equals_the_classical_error_on_average_where_that_is_right():
    rng = np.random.default_rng(6)
    x = rng.normal(0, 0.01, 252)
    y = 0.9 * x[:, None] + rng.normal(0, 0.01, (252, 800))
    panels = y, consecutive(y), x, consecutive(x)
    ratio = hac_standard_error(*panels)[-1] / rolling_beta(*panels).standard_error[-1]
    assert ratio.mean() == pytest.approx(1.0, abs=0.05)


def test_hac_refuses_negative_lags():
    y = np.zeros((4, 1))
    with pytest.raises(ValueError, match="lags"):
        hac_standard_error(y, consecutive(y), y[:, 0], consecutive(y[:, 0]), lags=-1)
