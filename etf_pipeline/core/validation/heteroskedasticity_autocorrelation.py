"""The variance of a mean whose terms depend on their past: prewhitened quadratic spectral kernel, and Bartlett's."""

from __future__ import annotations

import math

import numpy as np

_LARGEST = 0.97
"""Bound on the singular values of the autoregression taken out first (Andrews and Monahan 1992)."""


def quadratic_spectral(lag: np.ndarray, bandwidth: float) -> np.ndarray:
    """Weights of the quadratic spectral kernel at each lag, 1 at lag 0.

    Parameters
    ----------
    lag : (L,) not negative; bandwidth : in lags; 0 leaves lag 0 alone.

    Notes
    -----
    Andrews (1991), Heteroskedasticity and autocorrelation consistent covariance matrix estimation, Econometrica 59,
    equation 2.7: ``3 / a**2 (sin(a) / a - cos(a))`` with ``a = 6 pi lag / (5 bandwidth)``.
    """
    at = np.asarray(lag, dtype=np.float64)
    if not bandwidth > 0:
        return (at == 0).astype(np.float64)
    a = 1.2 * math.pi * at / bandwidth
    near = a < 0.02  # the closed form loses its digits there; its series has all of them
    far = np.where(near, 1.0, a)
    series = 1.0 - a * a / 10.0 + a**4 / 280.0
    return np.where(near, series, 3.0 / far**2 * (np.sin(far) / far - np.cos(far)))


def andrews_bandwidth(moments: np.ndarray) -> float:
    """Bandwidth of the quadratic spectral kernel that first-order autoregressions of the moments call for.

    Parameters
    ----------
    moments : (T, M) float64 without NaN and of mean about zero, each weighing the same.

    Returns
    -------
    Lags, not negative and not whole; 0 where nothing varies.

    Notes
    -----
    Andrews (1991), equations 5.2 and 6.4: ``1.3221 (alpha(2) T)**(1/5)``. Coefficients are kept within 0.97.
    """
    x = np.asarray(moments, dtype=np.float64)
    past, now = x[:-1], x[1:]
    size = (past * past).sum(axis=0)
    rho = np.clip((past * now).sum(axis=0) / np.where(size > 0, size, 1.0), -_LARGEST, _LARGEST)
    fourth = ((now - rho * past) ** 2).mean(axis=0) ** 2
    below = (fourth / (1.0 - rho) ** 4).sum()
    if not below > 0:
        return 0.0
    alpha = (4.0 * rho * rho * fourth / (1.0 - rho) ** 8).sum() / below
    return float(1.3221 * (alpha * len(x)) ** 0.2)


def prewhitened_variance(moments: np.ndarray, gradient: np.ndarray) -> float:
    """Variance of sqrt(T) times the mean of ``moments @ gradient``.

    Parameters
    ----------
    moments : (T, M) float64 without NaN, in order of time, in units of comparable size: the bound on the
        autoregression and the bandwidth treat all columns alike.
    gradient : (M,) float64.

    Returns
    -------
    Not negative; NaN with fewer than M + 3 observations.

    Notes
    -----
    Andrews and Monahan (1992), An improved heteroskedasticity and autocorrelation consistent covariance matrix
    estimator, Econometrica 60, 953-966: a vector autoregression of first order is taken out, its singular values bounded
    by 0.97; the quadratic spectral kernel with ``andrews_bandwidth`` weighs what is left; then the autoregression is put
    back. Multiplied by ``T / (T - M)`` as in Ledoit and Wolf (2008), section 3.1.
    """
    x = np.asarray(moments, dtype=np.float64)
    count, width = x.shape
    if count < width + 3:
        return float("nan")
    x = x - x.mean(axis=0)
    past, now = x[:-1], x[1:]
    coefficients = np.linalg.lstsq(past, now, rcond=None)[0].T
    left, singular, right = np.linalg.svd(coefficients)
    coefficients = (left * np.minimum(singular, _LARGEST)) @ right
    rest = now - past @ coefficients.T
    # Recolouring is linear, so that one series says it all: gradient' (I - A)^-1 e.
    recoloured = rest @ np.linalg.solve(np.eye(width) - coefficients.T, np.asarray(gradient, np.float64))
    weight = quadratic_spectral(np.arange(len(rest)), andrews_bandwidth(rest))
    covariance = autocovariances(recoloured)
    variance = covariance[0] + 2.0 * float(weight[1:] @ covariance[1:])
    return max(variance, 0.0) * count / (count - width)


def autocovariances(series: np.ndarray) -> np.ndarray:
    """(T,) sums of ``x[t] x[t - k]`` over T for every lag k, of a series (T,) without NaN taken to have mean zero."""
    x = np.asarray(series, dtype=np.float64)
    length = 1 << (2 * len(x) - 1).bit_length()
    return np.fft.irfft(np.abs(np.fft.rfft(x, length)) ** 2, length)[: len(x)] / len(x)


def newey_west_lags(observations: int) -> int:
    """Lags of Bartlett's kernel by the rule of Newey and West (1994): ``floor(4 (T / 100)**(2/9))``."""
    return int(4.0 * (observations / 100.0) ** (2.0 / 9.0))


def bartlett_variance(series: np.ndarray, lags: int) -> np.ndarray:
    """Variance of sqrt(T) times the mean of each series, taken to have mean zero, with weights ``1 - k / (lags + 1)``.

    Parameters
    ----------
    series : (T, K) float64 without NaN, in order of time; lags : not negative, no more than T - 1 are used.

    Returns
    -------
    (K,) float64, not negative.

    Notes
    -----
    Newey and West (1987), A simple, positive semi-definite, heteroskedasticity and autocorrelation consistent
    covariance matrix, Econometrica 55, 703-708.
    """
    x = np.asarray(series, dtype=np.float64)
    total = np.einsum("tk,tk->k", x, x)
    for lag in range(1, min(lags, len(x) - 1) + 1):
        total += 2.0 * (1.0 - lag / (lags + 1.0)) * np.einsum("tk,tk->k", x[lag:], x[:-lag])
    return np.maximum(total, 0.0) / len(x)
