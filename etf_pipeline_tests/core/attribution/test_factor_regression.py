"""Robust factor regressions against statsmodels, and against what others published."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.api import OLS, add_constant

from etf_pipeline.core.attribution.alignment import align_factors, excess_return
from etf_pipeline.core.attribution.factor_regression import factor_regression
from etf_pipeline.core.attribution.rolling_exposure import REASONS
from etf_pipeline.core.attribution.rolling_exposure_reference import paired_rows
from etf_pipeline.core.parallel import set_workers
from etf_pipeline.core.validation.heteroskedasticity_autocorrelation import newey_west_lags
from etf_pipeline_tests.core.attribution.factor_fixtures import factor_market, us_six
from etf_pipeline_tests.core.risk.us_funds import us_returns


def assert_like_statsmodels(panel, y, spanned, f, ends, window, lags=None, vintage=None):
    compared = 0
    for r, t in enumerate(ends):
        v = 0 if vintage is None else vintage[r]
        for j in range(y.shape[1]):
            if panel.reason[r, j]:
                assert np.isnan(panel.loading[r, j]).all()
                continue
            x, own = paired_rows(y[:, j], spanned[:, j], f, t, vintage=v, window=window)
            n = len(own)
            used = newey_west_lags(n) if lags is None else lags
            fit = OLS(own, add_constant(x)).fit(
                cov_type="HAC", cov_kwds={"maxlags": used, "use_correction": True}
            )
            assert panel.observations[r, j] == n
            assert panel.lags[r, j] == used
            close = {"rtol": 1e-9, "atol": 1e-9}
            error = np.r_[panel.alpha_error[r, j], panel.standard_error[r, j]]
            np.testing.assert_allclose(error, fit.bse, rtol=1e-9)
            np.testing.assert_allclose(panel.loading[r, j], fit.params[1:], **close)
            np.testing.assert_allclose(panel.t_value[r, j], fit.tvalues[1:], **close)
            np.testing.assert_allclose(panel.alpha[r, j], fit.params[0], rtol=1e-9, atol=1e-13)
            np.testing.assert_allclose(panel.alpha_t[r, j], fit.tvalues[0], **close)
            np.testing.assert_allclose(panel.r_squared[r, j], fit.rsquared, **close)
            np.testing.assert_allclose(panel.adjusted_r_squared[r, j], fit.rsquared_adj, **close)
            np.testing.assert_allclose(panel.residual_variance[r, j], fit.scale, rtol=1e-9)
            assert panel.alpha_annualised[r, j] == pytest.approx(252 * fit.params[0], rel=1e-9, abs=1e-11)
            compared += 1
    return compared


@pytest.mark.parametrize("window", [100, None])
@pytest.mark.parametrize("lags", [None, 0, 11])
def test_equals_statsmodels(window, lags):
    y, spanned, f = factor_market(2)
    ends = np.arange(20, len(y), 29)
    panel = factor_regression(y, spanned, f, ends, window=window, min_observations=50, lags=lags)
    assert assert_like_statsmodels(panel, y, spanned, f, ends, window, lags) > 50


def test_window_start_is_the_first_row_that_entered():
    y, spanned, f = factor_market(3)
    ends = np.array([10, 200, 419])
    panel = factor_regression(y, spanned, f, ends, window=150, min_observations=60)
    for r, t in enumerate(ends):
        for j in range(y.shape[1]):
            usable = (spanned[:, j] == 1) & ~np.isnan(y[:, j]) & ~np.isnan(f).any(axis=1)
            rows = np.flatnonzero(usable & (np.arange(len(y)) <= t) & (np.arange(len(y)) > t - 150))
            assert panel.window_start[r, j] == (rows[0] if len(rows) else -1)
    assert {REASONS[code] for code in panel.reason[0]} == {"too_few_observations"}


def test_each_end_is_read_from_its_vintage():
    y, spanned, f = factor_market(4)
    tables = np.stack([f, f + np.random.default_rng(0).normal(0, 0.003, f.shape)])[:, None]
    ends = np.array([150, 250, 300, 419])
    vintage = np.array([-1, 0, 1, 1])
    for window in (120, None):
        panel = factor_regression(
            y, spanned, tables, ends, window=window, min_observations=60, vintage=vintage
        )
        assert {REASONS[code] for code in panel.reason[0]} == {"factors_unknown"}
        assert assert_like_statsmodels(panel, y, spanned, tables, ends, window, vintage=vintage) > 10


def test_cuts_other_ends_and_workers_change_nothing():
    y, spanned, f = factor_market(5, funds=9)
    ends = np.arange(60, len(y), 31)
    names = ("loading", "standard_error", "alpha_t", "r_squared", "window_start")
    for window in (80, None):
        whole = factor_regression(y, spanned, f, ends, window=window, min_observations=50)
        for r in (2, 7):
            cut = ends[r] + 1
            part = factor_regression(
                y[:cut], spanned[:cut], f[:cut], ends[r : r + 1], window=window, min_observations=50
            )
            for name in names:
                np.testing.assert_array_equal(getattr(part, name)[0], getattr(whole, name)[r], err_msg=name)
        try:
            set_workers(1)
            one = factor_regression(y, spanned, f, ends, window=window, min_observations=50)
        finally:
            set_workers(0)
        for name in names:
            np.testing.assert_array_equal(getattr(one, name), getattr(whole, name))


def test_collinear_factors_are_refused_with_the_reason():
    y, spanned, f = factor_market(6)
    panel = factor_regression(y, spanned, np.column_stack([f, f[:, 0] - f[:, 1]]), np.array([419]))
    assert np.isnan(panel.loading).all()
    assert np.isnan(panel.alpha_t).all()
    assert REASONS[panel.reason[0, 0]] == "collinear_factors"


def test_the_published_exposures_of_doubly_sorted_portfolios():
    from linearmodels.datasets import french

    data = french.load().set_index("dates").loc["1963-07":"1991-12"]
    y = data[["S1V1", "S5V5"]].to_numpy() - data[["RF"]].to_numpy()
    f = data[["MktRF", "SMB", "HML"]].to_numpy()
    panel = factor_regression(y, np.ones(y.shape, dtype=int), f, np.array([len(y) - 1]), window=None)
    np.testing.assert_array_equal(panel.observations[0], 342)
    published = [[1.0358, 1.4079, -0.2877], [1.0249, -0.0409, 0.7574]]
    np.testing.assert_allclose(panel.loading[0], published, atol=6e-5)
    np.testing.assert_allclose(panel.adjusted_r_squared[0], [0.938, 0.825], atol=6e-4)


@pytest.mark.data
def test_real_funds_over_all_their_days(market_data):
    days, value, rf = us_six(market_data)
    sessions, returns, spanned = us_returns(market_data, ["SPY", "IWM", "TLT"])
    names = ("market_excess", "size", "value", "profitability", "investment", "momentum")
    aligned = align_factors(sessions, days, value, rf, names, lag_days=0)
    y = excess_return(returns, spanned, aligned)
    last = np.flatnonzero(~np.isnan(aligned.value[0]).any(axis=1))[-1]
    assert sessions[last] == np.datetime64("2025-11-28")
    months = pd.Series(np.arange(last + 1)).groupby(sessions[: last + 1].astype("datetime64[M]")).max()
    ends = months.to_numpy()[12::40]
    ends = np.append(ends[ends < last], last)
    for window in (252, None):
        panel = factor_regression(y, spanned, aligned.value, ends, window=window)
        assert assert_like_statsmodels(panel, y, spanned, aligned.value, ends, window) >= 15
    assert 0.97 < panel.loading[-1, 0, 0] < 1.01
    assert panel.loading[-1, 1, 1] > 0.7
    assert panel.loading[-1, 2, 0] < 0  # long Treasuries
    assert panel.adjusted_r_squared[-1, 0] > 0.98
