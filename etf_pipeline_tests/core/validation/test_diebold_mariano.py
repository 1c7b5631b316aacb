"""The Diebold-Mariano test: statsmodels, hand-computed values, size and power."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from etf_pipeline.core.validation.diebold_mariano import (
    add_lagged_products,
    diebold_mariano,
    enough_observations,
    lag_count,
    mean_and_statistic,
)


def overlapping(rng, paths, count, horizon):
    """Skewed noise summed over ``horizon`` sessions: (paths, count), mean zero."""
    noise = rng.chisquare(1, (paths, count + horizon - 1)) - 1
    summed = np.cumsum(np.pad(noise, ((0, 0), (1, 0))), axis=1)
    return summed[:, horizon:] - summed[:, :-horizon]


@pytest.mark.parametrize(("count", "lags"), [(100, 4), (250, 4), (1000, 6), (4600, 9)])
def test_lags_follow_newey_and_west(count, lags):
    assert lag_count(count, 1) == lags
    assert lag_count(count, 21) == 20 + lags


def test_one_session_ahead_is_statsmodels_newey_west():
    d = np.random.default_rng(1).gamma(2, 1, 500) - 1.9
    ours = diebold_mariano(d, np.zeros(500), 1)
    fit = sm.OLS(d, np.ones(500)).fit(cov_type="HAC", cov_kwds={"maxlags": 5, "use_correction": False})
    weight = 1 - np.arange(1, 6) / 6
    correction = 1 - (1 + 2 * weight @ (1 - np.arange(1, 6) / 500)) / 500
    assert ours[0] == pytest.approx(d.mean(), rel=1e-12)
    assert ours[1] == pytest.approx(float(fit.tvalues[0]) * np.sqrt(correction), rel=1e-10)
    assert ours[2] == pytest.approx(2 * stats.t.sf(abs(ours[1]), 499), rel=1e-10)


def test_correction_is_harvey_leybourne_newbold_where_weights_are_one():
    n, h = 300, 5
    share = 1 + 2 * sum(1 - k / n for k in range(1, h))
    assert 1 - share / n == pytest.approx((n + 1 - 2 * h + h * (h - 1) / n) / n, rel=1e-14)


def test_degrees_of_freedom_count_targets_that_do_not_overlap():
    d = np.random.default_rng(8).normal(0.05, 1, 252)
    _, statistic, p = diebold_mariano(d, np.zeros(252), 21)
    assert p == pytest.approx(2 * stats.t.sf(abs(statistic), 11), rel=1e-10)


def test_sign_and_antisymmetry():
    rng = np.random.default_rng(2)
    better, worse = rng.gamma(2, 1, 300), rng.gamma(2, 1.5, 300)
    ours, swapped = diebold_mariano(better, worse, 5), diebold_mariano(worse, better, 5)
    assert ours[0] < 0
    assert ours[1] < -3
    assert ours[2] < 0.01
    np.testing.assert_allclose(swapped, [-ours[0], -ours[1], ours[2]], rtol=1e-12)


@pytest.mark.parametrize("horizon", [1, 5, 21])
@pytest.mark.parametrize("span", [(0, 40), (0, 250), (250, 700), (0, 700), (700, 700), (0, 29)])
def test_the_kernel_equals_the_reference(horizon, span):
    rng = np.random.default_rng(3)
    d = overlapping(rng, 1, 700, horizon)[0] * 1e-7 + 3e-8
    begin, end = span
    inside, across = np.zeros((2, lag_count(700, horizon) + 1))
    latest_first = np.ascontiguousarray(d[::-1])
    add_lagged_products(latest_first, begin, end, inside, across)
    ours = mean_and_statistic(latest_first, begin, end, d[begin:end].sum(), inside, horizon)
    expected = diebold_mariano(d[begin:end], np.zeros(end - begin), horizon)[:2]
    assert np.isnan(expected[1]) == (end - begin < max(30, 5 * horizon))
    np.testing.assert_allclose(ours, expected, rtol=1e-8)


def test_products_of_years_and_between_them_add_up():
    d = np.random.default_rng(4).normal(size=300)
    latest_first = np.ascontiguousarray(d[::-1])
    parts, whole, unused = np.zeros((3, 25))
    for begin, end in ((0, 10), (10, 120), (120, 300)):
        add_lagged_products(latest_first, begin, end, parts, parts)
    add_lagged_products(latest_first, 0, 300, whole, unused)
    assert not unused.any()
    np.testing.assert_allclose(parts, whole, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(whole, [d[k:] @ d[: 300 - k] for k in range(25)], rtol=1e-12, atol=1e-12)


def test_bartlett_takes_over_where_the_trapezoid_is_not_positive():
    # Alternating: the first autocovariance is nearly minus the variance.
    d = np.tile([1.0, -1.0], 100) + 0.01 * (np.arange(200) % 3)
    mean, statistic, p = diebold_mariano(d, np.zeros(200), 2)
    assert np.isfinite([mean, statistic, p]).all()


@pytest.mark.parametrize("horizon", [1, 5])
def test_losses_that_differ_by_a_constant_have_no_statistic(horizon):
    loss = np.random.default_rng(5).gamma(2, 1, 200)
    for shift in (0.0, 0.1):
        mean, statistic, p = diebold_mariano(loss + shift, loss, horizon)
        assert mean == pytest.approx(shift, abs=1e-14)
        assert np.isnan([statistic, p]).all()


def test_too_few_observations():
    assert not enough_observations(29, 1)
    assert enough_observations(30, 1)
    assert not enough_observations(104, 21)
    assert enough_observations(105, 21)
    assert np.isnan(diebold_mariano(np.zeros(0), np.zeros(0), 1)).all()
    mean, statistic, p = diebold_mariano(np.arange(29.0), np.zeros(29), 1)
    assert mean == 14
    assert np.isnan([statistic, p]).all()


@pytest.mark.parametrize(
    ("count", "horizon", "largest"), [(250, 1, 0.08), (250, 21, 0.11), (1000, 5, 0.07), (1000, 21, 0.08)]
)
def test_size(count, horizon, largest):
    """Equal losses are told apart about once in twenty times, somewhat more often in one year at 21 sessions."""
    d = overlapping(np.random.default_rng(6), 1000, count, horizon)
    zero = np.zeros(count)
    rejected = np.mean([diebold_mariano(path, zero, horizon)[2] < 0.05 for path in d])
    assert 0.03 < rejected < largest


def test_power():
    d = overlapping(np.random.default_rng(7), 200, 1000, 5)
    shifted = d + 0.5 * d.std()
    rejected = np.mean([diebold_mariano(path, np.zeros(1000), 5)[2] < 0.05 for path in shifted])
    assert rejected > 0.95
