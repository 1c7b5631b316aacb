"""Long-run variances against arch, statsmodels and sums written out."""

from __future__ import annotations

import numpy as np
import pytest
from arch.covariance.kernel import Bartlett, QuadraticSpectral
from statsmodels.stats.sandwich_covariance import S_hac_simple

from etf_pipeline.core.validation.heteroskedasticity_autocorrelation import (
    andrews_bandwidth,
    autocovariances,
    bartlett_variance,
    newey_west_lags,
    prewhitened_variance,
    quadratic_spectral,
)


def autoregression(seed: int, count: int, phi: float, width: int = 1) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((count, width))
    for t in range(1, count):
        x[t] += phi * x[t - 1]
    return x


@pytest.mark.parametrize("bandwidth", [0.7, 3.0, 25.0, 900.0])
def test_quadratic_spectral_weights_are_those_of_arch(bandwidth: float) -> None:
    x = autoregression(0, 300, 0.3)
    theirs = QuadraticSpectral(x, bandwidth=bandwidth, center=False)
    covariance = autocovariances(x[:, 0])
    weight = quadratic_spectral(np.arange(300), bandwidth)
    ours = covariance[0] + 2 * weight[1:] @ covariance[1:]
    assert ours == pytest.approx(float(np.asarray(theirs.cov.long_run)[0, 0]), rel=1e-6)


def test_weights_are_smooth_where_the_series_takes_over() -> None:
    lag = np.linspace(0.0, 0.02, 2001)
    weight = quadratic_spectral(lag, 1.2 * np.pi * 0.5)
    assert weight[0] == 1.0
    assert (np.diff(weight) < 1e-10).all()
    assert np.abs(np.diff(weight, 2)).max() < 1e-9
    assert quadratic_spectral(np.arange(4), 0.0).tolist() == [1.0, 0.0, 0.0, 0.0]


def test_autocovariances_are_sums_of_products() -> None:
    x = np.random.default_rng(1).standard_normal(77)
    expected = [x[k:] @ x[: 77 - k] / 77 for k in range(77)]
    np.testing.assert_allclose(autocovariances(x), expected, atol=1e-14)


@pytest.mark.parametrize("lags", [0, 1, 9, 400])
def test_bartlett_agrees_with_statsmodels_and_arch(lags: int) -> None:
    x = autoregression(2, 300, 0.4, 3)
    ours = bartlett_variance(x, lags)
    if lags < 300:
        np.testing.assert_allclose(ours, np.diag(S_hac_simple(x, lags)) / 300, rtol=1e-12)
        arch = Bartlett(x, bandwidth=lags, center=False).cov.long_run
        np.testing.assert_allclose(ours, np.diag(np.asarray(arch)), rtol=1e-12)
    assert (ours >= 0).all()


def test_newey_west_lags() -> None:
    assert [newey_west_lags(n) for n in (100, 252, 4000)] == [4, 4, 9]


def test_andrews_bandwidth_written_out() -> None:
    """Equation 6.4 for two columns, coefficient by coefficient."""
    x = autoregression(3, 500, 0.5, 2)
    above = below = 0.0
    for column in x.T:
        rho = (column[1:] @ column[:-1]) / (column[:-1] @ column[:-1])
        s2 = ((column[1:] - rho * column[:-1]) ** 2).mean()
        above += 4 * rho**2 * s2**2 / (1 - rho) ** 8
        below += s2**2 / (1 - rho) ** 4
    assert andrews_bandwidth(x) == pytest.approx(1.3221 * (above / below * 500) ** 0.2, rel=1e-12)
    assert andrews_bandwidth(np.zeros((50, 2))) == 0.0


def written_out(x: np.ndarray, gradient: np.ndarray) -> float:
    """Andrews and Monahan's estimator as a (M, M) matrix, lag by lag."""
    count, width = x.shape
    x = x - x.mean(axis=0)
    a = np.linalg.solve(x[:-1].T @ x[:-1], x[:-1].T @ x[1:]).T
    u, s, vt = np.linalg.svd(a)
    a = u @ np.diag(np.minimum(s, 0.97)) @ vt
    e = x[1:] - x[:-1] @ a.T
    bandwidth = andrews_bandwidth(e)
    psi = np.zeros((width, width))
    for lag in range(-(len(e) - 1), len(e)):
        gamma = sum(np.outer(e[t], e[t - abs(lag)]) for t in range(abs(lag), len(e))) / len(e)
        gamma = gamma if lag >= 0 else gamma.T
        psi += quadratic_spectral(np.array([abs(lag)]), bandwidth)[0] * gamma
    d = np.linalg.inv(np.eye(width) - a)
    return float(gradient @ d @ psi @ d.T @ gradient) * count / (count - width)


@pytest.mark.parametrize("phi", [-0.3, 0.0, 0.6, 0.999])
def test_prewhitened_variance_is_the_matrix_formula(phi: float) -> None:
    x = autoregression(4, 60, phi, 3)
    gradient = np.array([1.0, -0.5, 0.3])
    assert prewhitened_variance(x, gradient) == pytest.approx(written_out(x, gradient), rel=1e-8)


@pytest.mark.parametrize(("phi", "truth"), [(0.0, 1.0), (0.5, 4.0), (-0.5, 1 / 2.25)])
def test_prewhitened_variance_is_consistent(phi: float, truth: float) -> None:
    found = [prewhitened_variance(autoregression(s, 5000, phi), np.ones(1)) for s in range(20)]
    assert np.mean(found) == pytest.approx(truth, rel=0.05)


def test_too_short() -> None:
    assert np.isnan(prewhitened_variance(np.ones((4, 2)), np.ones(2)))
    assert prewhitened_variance(np.ones((9, 2)), np.ones(2)) == 0.0
