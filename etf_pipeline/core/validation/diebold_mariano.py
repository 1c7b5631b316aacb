"""Which of two forecasts loses less: the test of Diebold and Mariano.

Losses of forecasts over ``horizon`` sessions made every session share returns, so that their autocovariances up to
lag ``horizon - 1`` are large by construction. These get full weight; further lags, for what dependence there
is besides, taper off as Newey and West have it.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy import special

MIN_OBSERVATIONS = 30
MIN_TARGETS = 5
"""The test needs 30 observations and as many as make 5 targets that do not overlap."""


def diebold_mariano(loss: np.ndarray, baseline_loss: np.ndarray, horizon: int) -> tuple[float, float, float]:
    """Mean difference of two losses, its t statistic and two-sided p-value.

    Parameters
    ----------
    loss, baseline_loss : (K,) float64 without NaN, losses of the two forecasts for the same targets, in
        order of time.
    horizon : sessions each target covers, at least 1.

    Returns
    -------
    mean_difference : ``loss - baseline_loss``, negative where the baseline loses more.
    statistic, p_value : NaN with too few observations (``MIN_OBSERVATIONS``, ``MIN_TARGETS``) or a
        difference that does not vary.

    Notes
    -----
    Diebold and Mariano (1995), Comparing predictive accuracy, JBES 13. The long-run variance weighs lags
    up to ``horizon - 1`` by one and the ``floor(4 (K / 100)**(2/9))`` after them (Newey and West 1994) by a
    line to zero, a trapezoid as in Politis and Romano (1995); at horizon 1 this is the Bartlett kernel.
    Where that is not positive, the Bartlett kernel over the same lags, which always is, takes its place
    (Harvey, Leybourne and Whitehouse 2017).

    The small-sample correction of Harvey, Leybourne and Newbold (1997), IJF 13, is exact for weights of one
    up to lag ``horizon - 1``. Its argument for weights w_k divides the variance by
    ``1 - (1 + 2 sum w_k (1 - k / K)) / K``, which equals theirs where w_k is one. They take Student's t with
    K - 1 degrees of freedom; here it is ``K / horizon - 1``, what targets that do not overlap would leave: equal at
    horizon 1, and nearer the nominal size in one year of 21-session targets.
    """
    difference = np.asarray(loss, dtype=np.float64) - np.asarray(baseline_loss, dtype=np.float64)
    count = len(difference)
    if count == 0:
        return float("nan"), float("nan"), float("nan")
    mean = difference.mean()
    lags = int(lag_count(count, horizon))
    centred = difference - mean
    covariance = (
        np.array([centred[k:] @ centred[: count - k] for k in range(min(lags, count - 1) + 1)]) / count
    )
    varies = covariance[0] > 1e-13 * (difference @ difference) / count
    if not enough_observations(count, horizon) or not varies:
        return float(mean), float("nan"), float("nan")
    k = np.arange(1, lags + 1)
    trapezoid = np.minimum(1.0, (lags + 1 - k) / (lags + 2 - horizon))
    bartlett = 1.0 - k / (lags + 1)
    for weight in (trapezoid, bartlett):
        variance = covariance[0] + 2 * weight @ covariance[1:]
        if variance > 0:
            break
    variance /= 1.0 - (1.0 + 2 * weight @ (1.0 - k / count)) / count
    statistic = mean / np.sqrt(variance / count)
    return float(mean), float(statistic), float(p_value(statistic, count, horizon))


def p_value(statistic: np.ndarray | float, count: np.ndarray | int, horizon: int) -> np.ndarray:
    """Two-sided, of Student's t with ``count / horizon - 1`` degrees of freedom; NaN where the statistic is."""
    freedom = np.maximum(np.asarray(count, dtype=np.float64) / horizon - 1.0, 1.0)
    return 2.0 * special.stdtr(freedom, -np.abs(statistic))


@njit(cache=True, nogil=True)
def enough_observations(count: int, horizon: int) -> bool:
    """Whether there are observations enough for a test."""
    return count >= MIN_OBSERVATIONS and count >= MIN_TARGETS * horizon


@njit(cache=True, nogil=True)
def lag_count(count: int, horizon: int) -> int:
    """Lags in the long-run variance: ``horizon - 1 + floor(4 (count / 100)**(2/9))``."""
    return horizon - 1 + int(4.0 * (count / 100.0) ** (2.0 / 9.0))


@njit(cache=True, nogil=True)
def add_lagged_products(
    difference: np.ndarray, begin: int, end: int, inside: np.ndarray, across: np.ndarray
) -> None:
    """Sums of ``d[i] d[i - k]`` for i in ``begin:end`` and every lag k, apart by where ``i - k`` lies.

    Parameters
    ----------
    difference : (K,) latest first: d[i] stands at ``K - 1 - i``, so that lags are neighbours in memory.
    inside, across : (L + 1,) added to: partners from ``begin`` on, and before it.
    """
    last = len(difference) - 1
    lags = len(inside) - 1
    for i in range(begin, end):
        past = difference[last - i :]
        now = past[0]
        own = min(lags, i - begin)
        for k in range(own + 1):
            inside[k] += now * past[k]
        for k in range(own + 1, min(lags, i) + 1):
            across[k] += now * past[k]


@njit(cache=True, nogil=True)
def mean_and_statistic(
    difference: np.ndarray, begin: int, end: int, total: float, products: np.ndarray, horizon: int
) -> tuple[float, float]:
    """``diebold_mariano`` of d[begin:end] from its sum and its lagged products.

    Parameters
    ----------
    difference : (K,) latest first, as in ``add_lagged_products``.
    total : sum of d[begin:end].
    products : (L + 1,), L at least ``lag_count(end - begin, horizon)``.
    """
    count = end - begin
    if count == 0:
        return np.nan, np.nan
    mean = total / count
    variance = products[0] - count * mean * mean
    if not enough_observations(count, horizon) or not variance > 1e-13 * products[0]:
        return mean, np.nan
    last = len(difference) - 1
    lags = lag_count(count, horizon)
    flat, flat_share, slope, slope_share = variance, 1.0, variance, 1.0
    first_values, last_values = 0.0, 0.0
    for k in range(1, lags + 1):
        first_values += difference[last - (begin + k - 1)]
        last_values += difference[last - (end - k)]
        covariance = (
            products[k] - mean * (2.0 * total - first_values - last_values) + (count - k) * mean * mean
        )
        trapezoid = min(1.0, (lags + 1.0 - k) / (lags + 2.0 - horizon))
        bartlett = 1.0 - k / (lags + 1.0)
        flat += 2.0 * trapezoid * covariance
        flat_share += 2.0 * trapezoid * (1.0 - k / count)
        slope += 2.0 * bartlett * covariance
        slope_share += 2.0 * bartlett * (1.0 - k / count)
    variance, share = (flat, flat_share) if flat > 0.0 else (slope, slope_share)
    return mean, mean / np.sqrt(variance / count / count / (1.0 - share / count))
