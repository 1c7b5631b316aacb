"""Dimson beta against multiple regression, and the late exposure it is there to find."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from etf_pipeline.core import parallel
from etf_pipeline.core.risk.beta import rolling_beta
from etf_pipeline.core.risk.dimson_beta import dimson_beta, dimson_reference, lagged_exposure_by_class
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.risk.beta_fixtures import consecutive, inputs, own_benchmarks


@pytest.mark.parametrize("lags", [0, 1, 2, 5])
def test_equals_multiple_regression_in_every_window(lags):
    y, spanned, x, x_spanned = inputs(21, sessions=420, funds=4)
    window, need = 100, 40
    panel = dimson_beta(
        y, spanned, x, x_spanned, lags=lags, window=window, min_observations=need, max_stale_sessions=0
    )
    known = (x_spanned == 1) & ~np.isnan(x)
    compared = 0
    for j in range(1, 4):
        use = (spanned[:, j] == 1) & ~np.isnan(y[:, j])
        for lag in range(lags + 1):
            use[:lag] = False
            use[lag:] &= known[: len(x) - lag]
        for t in range(0, 420, 3):
            rows = np.flatnonzero(use[: t + 1])
            rows = rows[rows > t - window]
            assert panel.observations[t, j] == len(rows)
            if len(rows) < need or spanned[t, j] == 0:
                assert np.isnan(panel.beta[t, j])
                continue
            total, error, slopes = dimson_reference(y[:, j], x, lags, rows)
            np.testing.assert_allclose(panel.slopes[:, t, j], slopes, rtol=1e-9, atol=1e-11)
            np.testing.assert_allclose(panel.beta[t, j], total, rtol=1e-9, atol=1e-11)
            np.testing.assert_allclose(panel.standard_error[t, j], error, rtol=1e-9)
            compared += 1
    assert compared > 200


def test_the_reference_equals_statsmodels():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=120), rng.normal(size=120)
    rows = np.arange(2, 120)
    fit = sm.OLS(y[2:], sm.add_constant(np.column_stack([x[2:], x[1:-1], x[:-2]]))).fit()
    total, error, slopes = dimson_reference(y, x, 2, rows)
    np.testing.assert_allclose(slopes, fit.params[1:], rtol=1e-11)
    together = fit.t_test([0, 1, 1, 1])
    np.testing.assert_allclose([total, error], [together.effect.item(), together.sd.item()], rtol=1e-11)


def test_without_lags_it_is_the_rolling_beta():
    panels = inputs(22)
    dimson, plain = dimson_beta(*panels, lags=0), rolling_beta(*panels)
    np.testing.assert_allclose(dimson.beta, plain.beta, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(dimson.standard_error[:, 1:], plain.standard_error[:, 1:], rtol=1e-9)
    np.testing.assert_array_equal(dimson.observations, plain.observations)


def test_finds_exposure_that_shows_one_session_late():
    rng = np.random.default_rng(23)
    x = rng.normal(0, 0.01, 600)
    late = np.concatenate([[0.0], x[:-1]])
    y = (0.3 * x + 0.9 * late + rng.normal(0, 0.003, 600))[:, None]
    panels = y, consecutive(y), x, consecutive(x)
    panel = dimson_beta(*panels)
    np.testing.assert_allclose(panel.slopes[:, -1, 0], [0.3, 0.9], atol=0.06)
    assert abs(panel.beta[-1, 0] - 1.2) < 3 * panel.standard_error[-1, 0]
    assert rolling_beta(*panels).beta[-1, 0] < 0.5


def test_error_of_the_sum_covers_the_truth():
    rng = np.random.default_rng(24)
    x = rng.normal(0, 0.01, 254)
    late = np.concatenate([[0.0], x[:-1]])
    y = (0.3 * x + 0.9 * late)[:, None] + rng.normal(0, 0.01, (254, 2000))
    panel = dimson_beta(y, consecutive(y), x, consecutive(x))
    assert 0.93 < (np.abs(panel.beta[-1] - 1.2) < 1.96 * panel.standard_error[-1]).mean() < 0.97


def test_a_session_needs_the_benchmark_of_the_session_before():
    x = np.random.default_rng(25).normal(0, 0.01, 200)
    y = 1.5 * x[:, None]
    spanned, x_spanned = consecutive(y), consecutive(x)
    x[50], x_spanned[60] = np.nan, 2  # each spoils its own session and the next
    spanned[80] = 2
    panel = dimson_beta(y, spanned, x, x_spanned)
    assert panel.observations[-1, 0] == 200 - 1 - 2 - 2 - 1
    np.testing.assert_allclose(panel.slopes[:, -1, 0], [1.5, 0.0], atol=1e-12)


def test_collinear_lags_and_flat_series_are_defined():
    x = np.tile([0.01, -0.01], 100)  # x_t = -x_{t-1}
    y = np.random.default_rng(26).normal(0, 0.01, (200, 1))
    assert np.isnan(dimson_beta(y, consecutive(y), x, consecutive(x)).beta).all()
    flat = np.full(200, 1 / 3)
    assert np.isnan(dimson_beta(y, consecutive(y), flat, consecutive(flat)).slopes).all()
    moving = y[:, 0]
    still = dimson_beta(np.zeros((200, 1)), consecutive(y), moving, consecutive(moving))
    assert still.beta[-1, 0] == 0
    assert still.standard_error[-1, 0] == 0


@pytest.mark.parametrize("lags", [1, 3])
def test_a_huge_return_leaves_no_trace(lags):
    rng = np.random.default_rng(27)
    x = rng.normal(0, 0.01, 700)
    y = (0.8 * x + rng.normal(0, 0.002, 700))[:, None]
    clean = dimson_beta(y, consecutive(y), x, consecutive(x), lags=lags)
    x[300] = 1e9
    dirty = dimson_beta(y, consecutive(y), x, consecutive(x), lags=lags)
    np.testing.assert_allclose(dirty.beta[552 + lags :], clean.beta[552 + lags :], rtol=1e-12)
    assert not np.isclose(dirty.beta[551, 0], clean.beta[551, 0])


def stage(*panels, lags=2):
    return vars(dimson_beta(*panels, lags=lags, window=100, min_observations=30))


@pytest.mark.parametrize("make", [inputs, own_benchmarks])
def test_no_look_ahead(make):
    def rows_first(*panels):
        found = stage(*panels)
        return {**found, "slopes": np.moveaxis(found["slopes"], 0, 2)}

    assert_causal(rows_first, make(1), (1, 2, 31, 99, 100, 101, 102, 200, 300, 419))


def test_a_fund_has_the_same_bits_alone_and_with_more_workers():
    y, spanned, x, x_spanned = inputs(2)
    whole = stage(y, spanned, x, x_spanned)
    some = stage(np.ascontiguousarray(y[:, 3:6]), np.ascontiguousarray(spanned[:, 3:6]), x, x_spanned)
    each = stage(y, spanned, np.repeat(x[:, None], 12, axis=1), np.repeat(x_spanned[:, None], 12, axis=1))
    parallel.set_workers(5)
    try:
        spread = stage(y, spanned, x, x_spanned)
    finally:
        parallel.set_workers(0)
    for name, values in whole.items():
        np.testing.assert_array_equal(some[name], values[..., 3:6])
        np.testing.assert_array_equal(spread[name], values)
        np.testing.assert_array_equal(each[name], values)


@pytest.mark.parametrize(
    "options", [{"lags": -1}, {"lags": 6}, {"min_observations": 3}, {"window": 50, "min_observations": 51}]
)
def test_impossible_options(options):
    y = np.zeros((4, 1))
    with pytest.raises(ValueError, match="must"):
        dimson_beta(y, consecutive(y), y[:, 0], consecutive(y[:, 0]), **options)


def test_empty_panels():
    panel = dimson_beta(np.zeros((0, 2)), np.zeros((0, 2), int), np.zeros(0), np.zeros(0, int), lags=3)
    assert panel.slopes.shape == (4, 0, 2)
    short = dimson_beta(np.zeros((2, 1)), np.ones((2, 1), int), np.zeros(2), np.ones(2, int), lags=3)
    assert np.isnan(short.beta).all()


def test_late_exposure_is_the_median_of_each_class():
    dimson = np.array([[1.0, 2.0, 4.0, 9.0, 5.0], [1.0, np.nan, 4.0, 9.0, 5.0], [np.nan] * 5])
    plain = np.array([[1.0, 1.0, 1.0, 1.0, 5.0]] * 3)
    classes = np.array([1, 1, 1, 1, -1])
    found = lagged_exposure_by_class(dimson, plain, classes)
    np.testing.assert_array_equal(found[:, 1], [2.0, 3.0, np.nan])
    assert np.isnan(found[:, 0]).all()
    assert lagged_exposure_by_class(dimson, plain, np.full(5, -1)).shape == (3, 0)
