"""Variance of the return over the next h sessions, from the state at a close."""

from __future__ import annotations

import math

import numpy as np

from etf_pipeline.core.risk.garch.likelihood import (
    ALPHA,
    BETA,
    EGARCH,
    GAMMA,
    LOWER,
    MEAN_ABSOLUTE_NORMAL,
    OMEGA,
    PHI,
    RESIDUAL,
    ROOT,
    UPPER,
    VARIANCE,
    compiled,
)

_CORRECTION = math.log(10.0)
DECAY = 0.94
SANE = 16.0
"""A forecast standard deviation at most four times, at least a quarter of, the recent one."""


@compiled
def next_variance(theta: np.ndarray, volatility: int, residual: float, variance: float) -> float:
    """Variance of the next session's return given this session's residual and variance."""
    if volatility == EGARCH:
        z = residual / math.sqrt(variance)
        news = theta[ALPHA] * (abs(z) - MEAN_ABSOLUTE_NORMAL) + theta[GAMMA] * z
        return math.exp(min(theta[OMEGA] + news + theta[BETA] * math.log(variance), 700.0))
    slope = theta[ALPHA] + (theta[GAMMA] if residual < 0.0 else 0.0)
    return theta[OMEGA] + slope * residual * residual + theta[BETA] * variance


@compiled
def news_moments(theta: np.ndarray, n: int, work: np.ndarray) -> tuple[float, float]:
    """Mean and variance of an EGARCH's news term over the first n observations of the work space."""
    e, root = work[RESIDUAL], work[ROOT]
    total, square = 0.0, 0.0
    for t in range(n):
        z = e[t] * root[t]
        news = theta[ALPHA] * (abs(z) - MEAN_ABSOLUTE_NORMAL) + theta[GAMMA] * z
        total += news
        square += news * news
    mean = total / n
    return mean, max(square / n - mean * mean, 0.0)


@compiled
def cumulative_variance(
    theta: np.ndarray, volatility: int, first: float, news_mean: float, news_variance: float, horizon: int
) -> float:
    """Variance of the sum of the next ``horizon`` returns.

    Parameters
    ----------
    first : variance of the next session's return.
    news_mean, news_variance : see ``news_moments``; used by EGARCH only.

    Notes
    -----
    GARCH and GJR: E[s_{t+j}] = omega + (alpha + gamma / 2 + beta) E[s_{t+j-1}], innovations being symmetric. EGARCH: the
    logarithm of the variance is an autoregression; its exponential is expected as that of a normal variable with the
    same mean and variance. (With Student's t the exact expectation does not exist: exp |z| has no mean; the correction
    is held below a factor of ten.) With an AR(1) mean a shock of session j moves the returns of all later sessions, so
    it counts ((1 - phi^k) / (1 - phi))^2 with k sessions left.
    """
    persistence = theta[ALPHA] + 0.5 * theta[GAMMA] + theta[BETA]
    phi = theta[PHI]
    log_mean, log_variance = math.log(first) if volatility == EGARCH else 0.0, 0.0
    variance, total = first, 0.0
    for j in range(horizon):
        weight = 1.0
        if phi != 0.0:
            left = horizon - j
            weight = float(left) if phi == 1.0 else (1.0 - phi**left) / (1.0 - phi)
        total += weight * weight * variance
        if volatility == EGARCH:
            log_mean = theta[OMEGA] + theta[BETA] * log_mean + news_mean
            log_variance = theta[BETA] * theta[BETA] * log_variance + news_variance
            variance = math.exp(min(log_mean + min(0.5 * log_variance, _CORRECTION), 700.0))
        else:
            variance = theta[OMEGA] + persistence * variance
    return total


@compiled
def bound_filter(fitted: int, n: int, work: np.ndarray) -> None:
    """Bounds for the variances after the ``fitted`` observations: those of the forecasts, see ``filtered_forecasts``."""
    e = work[RESIDUAL]
    smooth = 1.0
    for t in range(n):
        if t >= fitted:
            work[LOWER, t] = max(smooth / SANE, 1e-12)
            work[UPPER, t] = SANE * max(smooth, 1.0)
        smooth = DECAY * smooth + (1.0 - DECAY) * e[t] * e[t]


@compiled
def filtered_forecasts(
    theta: np.ndarray,
    volatility: int,
    fitted: int,
    refit_row: int,
    n: int,
    horizons: np.ndarray,
    scale: float,
    rows: np.ndarray,
    work: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the forecasts made at observations of the work space (of unit mean square) from the refit on.

    A forecast is kept within a factor ``SANE`` of an exponentially weighted variance (decay 0.94), above also of the
    window's: an estimate on few or odd returns can otherwise say anything (the insanity filter of Swanson and White 1997).

    Parameters
    ----------
    fitted : observations the parameters were estimated on; the moments of an EGARCH's news come from these.
    refit_row : session at whose close the parameters were estimated; a fund without a bar then has its last observation
        before it, and no forecast of that day is touched.
    horizons : (H,) sessions.
    scale : variance of one unit of the work space in squared returns.
    rows : (n,) session of each observation.
    out : (H, S) variance of the return over the next h sessions.
    """
    news_mean, news_variance = 0.0, 0.0
    if volatility == EGARCH:
        news_mean, news_variance = news_moments(theta, fitted, work)
    e = work[RESIDUAL]
    smooth = 1.0
    for t in range(fitted - 1):
        smooth = DECAY * smooth + (1.0 - DECAY) * e[t] * e[t]
    for t in range(fitted - 1, n):
        smooth = DECAY * smooth + (1.0 - DECAY) * e[t] * e[t]
        first = next_variance(theta, volatility, e[t], work[VARIANCE, t])
        first = min(max(first, smooth / SANE, 1e-12), SANE * max(smooth, 1.0))
        if rows[t] < refit_row:
            continue
        for h in range(len(horizons)):
            out[h, rows[t]] = scale * cumulative_variance(
                theta, volatility, first, news_mean, news_variance, horizons[h]
            )
