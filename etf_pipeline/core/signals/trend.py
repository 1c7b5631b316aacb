"""The trend of a fund's total-return index: slope of a local linear trend, by Kalman's filter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.risk.volatility import SESSIONS_A_YEAR
from etf_pipeline.core.signals.return_path import (
    FLAT,
    NO_MOVEMENT,
    NO_RECENT_BAR,
    SHORT_HISTORY,
    TOO_FEW_SESSIONS,
    return_path,
)
from etf_pipeline.core.signals.trend_kernels import BANK, K, run_bank, walk_forward

MEMORIES = (np.inf, 504.0, 252.0, 126.0, 63.0, 42.0, 21.0, 10.0)
"""Sessions over which the slope remembers, one for each ratio b: var(slope step) = var(level step) / memory**2."""
NOISES = (0.0, 0.1, 0.3, 1.0)
"""Ratios a: variance of the observation's noise over that of the level's step."""


@dataclass(frozen=True)
class TrendPanel:
    """Filtered trends, and the weights they rest on.

    Attributes
    ----------
    slope_annualised : (S, N) float64, of the log total-return index, log return a year.
    t_value : (S, N) float64, slope over its standard error.
    reason : (S, N) int8, index into ``PATH_REASONS``: why there is no value.
    refit_rows : (R,) int64, rows at which the weights were estimated.
    weights : (R, K, N) float64, of each pair of ratios in ``trend_ratios()``; NaN where not fitted.
    """

    slope_annualised: np.ndarray
    t_value: np.ndarray
    reason: np.ndarray
    refit_rows: np.ndarray
    weights: np.ndarray


def trend_ratios() -> np.ndarray:
    """(2, K) float64: every pair of observation and slope ratios."""
    noise, memory = np.meshgrid(NOISES, MEMORIES, indexing="ij")
    return np.stack([noise.ravel(), 1.0 / memory.ravel() ** 2])


def local_linear_trend(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    refit_rows: np.ndarray,
    *,
    window: int = 504,
    min_observations: int = 252,
    max_stale_sessions: int = 5,
) -> TrendPanel:
    """Filtered slope of ``y_t = level_t + e_t``, ``level_{t+1} = level_t + slope_t + u_t``, a random-walk slope.

    y is the log total-return index. The variance of u is concentrated out of the likelihood; of the other two,
    as ratios to it, a grid (``trend_ratios``) is held possible, each pair alike beforehand. At every refit row
    all filters run through the last ``window`` sessions and are weighed by their likelihood; from there to the
    row before the next refit they run on with these weights and variances. The slope is the weighted mean of
    theirs, its variance the mean of their variances plus the variance among their slopes.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int.
    refit_rows : (R,) int, ascending, such as ``month_starts(sessions)``.
    window : sessions.
    min_observations : known returns needed for a fit, at least 4.
    max_stale_sessions : a value stands for this many sessions without a bar of the fund.

    Returns
    -------
    TrendPanel. NaN with a reason before the first refit, where a refit has too few known returns or a price that
    stood still (until the next refit), and where the fund's last bar is too long ago. Sessions without a bar are
    missing observations, over which the state wanders on; at an unknown return the level starts anew, diffuse,
    and the slope is kept.

    Raises
    ------
    ValueError : windows that cannot be, refit rows out of order.

    Notes
    -----
    Harvey (1989), Forecasting, Structural Time Series Models and the Kalman Filter, section 2.3.2; exact diffuse
    start by Durbin and Koopman (2012), section 5.2. Why not the single most likely pair: daily returns say little
    of how fast a drift changes, and the likelihood then often has its maximum at a slope that never does though
    the truth is above it (Stock and Watson 1998, Journal of the American Statistical Association 93); a slope
    served from there is too sure of itself, and jumps when the maximum leaves zero. A bank of filters weighed by
    their likelihood: Magill (1965), IEEE Transactions on Automatic Control 10.

    Each fit starts at its window and ends at its refit row, so cutting the panel changes nothing.
    """
    if min_observations < 4 or window < min_observations:
        raise ValueError(f"4 <= min_observations ({min_observations}) <= window ({window}) must hold")
    refits = np.ascontiguousarray(refit_rows, dtype=np.int64)
    if refits.size and (refits[0] < 0 or refits[-1] >= len(total_return) or (np.diff(refits) <= 0).any()):
        raise ValueError(f"refit_rows must ascend within 0..{len(total_return) - 1}")
    path = return_path(total_return, sessions_spanned, max_stale_sessions)
    shape, ratios = path.growth.shape, trend_ratios()
    slope, error = np.full(shape, np.nan), np.full(shape, np.nan)
    state = np.zeros(shape, dtype=np.int8)
    weights = np.full((len(refits), ratios.shape[1], shape[1]), np.nan)

    def work(funds: np.ndarray) -> None:
        walk_forward(
            funds,
            path.growth,
            path.spanned,
            path.known,
            path.serves,
            refits,
            ratios,
            window,
            min_observations,
            FLAT,
            slope,
            error,
            state,
            weights,
        )

    over_columns(work, shape[1], path.known.sum(axis=0))
    reason = np.array([SHORT_HISTORY, 0, TOO_FEW_SESSIONS, NO_MOVEMENT], dtype=np.int8)[state]
    reason[~path.serves & (state > 0)] = NO_RECENT_BAR
    return TrendPanel(slope * SESSIONS_A_YEAR, slope / error, reason, refits, weights)


@dataclass(frozen=True)
class TrendFilter:
    """One window under one pair of ratios.

    Attributes
    ----------
    level, slope : float, filtered, at the last bar.
    slope_variance, level_variance, covariance : float, in units of ``scale``.
    scale : float, variance of the level's step that is most likely.
    deviance : float, -2 log likelihood at that scale, but for a constant that is the same for all ratios.
    """

    level: float
    slope: float
    level_variance: float
    covariance: float
    slope_variance: float
    scale: float
    deviance: float


def filter_trend(
    growth: np.ndarray, spanned: np.ndarray, observation_ratio: float, slope_ratio: float
) -> TrendFilter:
    """Filter one series of log returns as ``local_linear_trend`` does.

    Parameters
    ----------
    growth : (M,) float64, log return of each bar since the one before; NaN unknown. At least three known.
    spanned : (M,) int, sessions each spans, at least 1.
    observation_ratio, slope_ratio : of the variances to that of the level's step, 0 or more.

    Returns
    -------
    TrendFilter. The level is the log index, 0 at the first bar.
    """
    if not (observation_ratio >= 0 and slope_ratio >= 0):
        raise ValueError(f"ratios must be 0 or more, not {observation_ratio} and {slope_ratio}")
    bank, deviance = np.empty(BANK), np.empty(K)
    bank[:K], bank[K : 2 * K] = observation_ratio, slope_ratio
    known = ~np.isnan(growth)
    innovations, _, _ = run_bank(
        np.nan_to_num(np.asarray(growth, dtype=np.float64)),
        np.asarray(spanned, np.int64),
        known,
        bank,
        deviance,
    )
    _, _, level, slope, level_variance, covariance, slope_variance, squares = (float(v) for v in bank[::K])
    return TrendFilter(
        level,
        slope,
        level_variance,
        covariance,
        slope_variance,
        squares / innovations if innovations else float("nan"),
        float(deviance[0]),
    )


def trend_reference(
    y: np.ndarray, observation_ratio: float, slope_ratio: float, diffuse: float = 1e9
) -> tuple[np.ndarray, np.ndarray]:
    """Filtered states and their variances, in units of the level step's, by the textbook matrix recursion.

    Parameters
    ----------
    y : (S,) float64, log index; NaN is a missing observation.
    diffuse : prior variance of level and slope, for infinity.

    Returns
    -------
    (S, 2) and (S, 2, 2) float64.
    """
    transition, observe = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([1.0, 0.0])
    noise = np.diag([1.0, slope_ratio])
    state, variance = np.zeros(2), diffuse * np.eye(2)
    states, variances = np.empty((len(y), 2)), np.empty((len(y), 2, 2))
    for t, value in enumerate(y):
        if t:
            state, variance = transition @ state, transition @ variance @ transition.T + noise
        if not np.isnan(value):
            gain = variance @ observe / (observe @ variance @ observe + observation_ratio)
            state = state + gain * (value - observe @ state)
            variance = variance - np.outer(gain, observe @ variance)
        states[t], variances[t] = state, variance
    return states, variances
