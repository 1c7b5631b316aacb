"""The log-likelihood spelled out, for the kernels to be held against."""

from __future__ import annotations

import math

import numpy as np

from etf_pipeline.core.risk.garch.likelihood import AR1_MEAN, EGARCH, MEAN_ABSOLUTE_NORMAL, NORMAL

_LOG_2PI = math.log(2.0 * math.pi)


def log_likelihood_reference(
    theta: np.ndarray, model: tuple[int, int, int], y: np.ndarray, start: float
) -> float:
    """The log-likelihood of y spelled out observation by observation, without bounds on the variance.

    Parameters
    ----------
    theta : (7,) natural parameters; model : volatility, distribution, mean.
    y : (T,) float64; an AR(1) mean conditions on the first observation.
    start : variance before the first observation.
    """
    volatility, distribution, mean = model
    mu, phi, omega, alpha, gamma, beta, nu = (float(p) for p in theta)
    e = y[1:] - mu - phi * y[:-1] if mean == AR1_MEAN else y - mu
    variance = start
    total = 0.0
    for t, r in enumerate(e):
        if volatility == EGARCH:
            news = 0.0
            if t > 0:
                z = e[t - 1] / math.sqrt(variance)
                news = alpha * (abs(z) - MEAN_ABSOLUTE_NORMAL) + gamma * z
            variance = math.exp(omega + news + beta * math.log(variance))
        elif t == 0:
            variance = omega + (alpha + gamma / 2 + beta) * start
        else:
            variance = omega + (alpha + gamma * (e[t - 1] < 0)) * e[t - 1] ** 2 + beta * variance
        if distribution == NORMAL:
            total -= 0.5 * (_LOG_2PI + math.log(variance) + r * r / variance)
        else:
            total += math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(math.pi * (nu - 2))
            total -= 0.5 * math.log(variance) + (nu + 1) / 2 * math.log1p(r * r / variance / (nu - 2))
    return total
