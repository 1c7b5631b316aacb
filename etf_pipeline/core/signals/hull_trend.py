"""Hull's smoothed trend of the total-return index."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.risk.volatility import SESSIONS_A_YEAR
from etf_pipeline.core.signals.return_path import return_path, window_reason


@dataclass(frozen=True)
class HullTrendPanel:
    """Smoothed trend per session.

    Attributes
    ----------
    hull_trend : (S, N) float64, slope of the smoothed log index, log return a year.
    reason : (S, N) int8, index into ``PATH_REASONS``: why there is no value.
    """

    hull_trend: np.ndarray
    reason: np.ndarray


def hull_trend(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    *,
    length: int = 126,
    slope_sessions: int = 5,
    min_observed_share: float = 0.8,
    max_stale_sessions: int = 5,
) -> HullTrendPanel:
    """Change of the Hull moving average of the log total-return index over the last sessions, annualised.

    With WMA(n) the average under weights n, n - 1, ..., 1 from the newest value back, the Hull average is
    ``WMA(round(sqrt(length)))`` of ``2 WMA(length // 2) - WMA(length)``: smooth, with next to no lag.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int.
    length : sessions of the average, at least 4.
    slope_sessions : sessions over which its change is taken, at least 1.
    min_observed_share : share of the sessions looked back on that need a bar.
    max_stale_sessions : a value stands for this many sessions without a bar of the fund.

    Returns
    -------
    HullTrendPanel. On a session without a bar the index stands where the last bar left it, and the next bar's
    return comes in whole. NaN with a reason where the history is too short, too few sessions have a bar, a
    return is unknown, or the fund's last bar is too long ago.

    Notes
    -----
    Hull (2005), How to reduce lag in a moving average. An average and a difference of averages of the index are
    weighted sums of its returns, so that one filter gives the slope (``hull_weights``): it is exact on a straight
    line, adds up anew for every session, and knows no index level to lose digits on.
    """
    weights = hull_weights(length, slope_sessions)
    path = return_path(total_return, sessions_spanned, max_stale_sessions)
    reason, _ = window_reason(path, len(weights), 0, min_observed_share)
    value = np.full(path.growth.shape, np.nan)

    def work(funds: np.ndarray) -> None:
        weighted_sums(funds, path.growth, weights * SESSIONS_A_YEAR, reason, value)

    over_columns(work, path.growth.shape[1])
    return HullTrendPanel(value, reason)


def hull_weights(length: int, slope_sessions: int) -> np.ndarray:
    """Weight of each log return, the newest first, in the mean change of the Hull average, a session.

    Returns
    -------
    (W,) float64 that add up to 1, some of them negative; W = length + round(sqrt(length)) + slope_sessions - 2.
    """
    if length < 4 or slope_sessions < 1:
        raise ValueError(
            f"length ({length}) must be at least 4 and slope_sessions ({slope_sessions}) at least 1"
        )
    raw = -_falling(length)
    raw[: length // 2] += 2.0 * _falling(length // 2)
    average = np.convolve(raw, _falling(round(math.sqrt(length))))
    change = np.zeros(len(average) + slope_sessions)
    change[: len(average)] += average
    change[slope_sessions:] -= average
    # The index is the sum of the returns so far: a return counts wherever the index does that comes after it.
    return np.cumsum(change)[:-1] / slope_sessions


def _falling(n: int) -> np.ndarray:
    """Weights of WMA(n), the newest first."""
    weights = np.arange(n, 0, -1, dtype=np.float64)
    return weights / weights.sum()


@njit(cache=True, nogil=True)
def weighted_sums(
    funds: np.ndarray, values: np.ndarray, weights: np.ndarray, reason: np.ndarray, out: np.ndarray
) -> None:
    """``sum_i weights[i] * values[t - i]`` for every session with reason 0; nothing before the first."""
    rows, reach = values.shape[0], len(weights)
    column = np.empty(rows)
    oldest_first = weights[::-1].copy()
    for j in funds:
        for t in range(rows):
            column[t] = values[t, j]
        for t in range(rows):
            if reason[t, j] != 0:
                continue
            total = 0.0
            for i in range(max(0, reach - 1 - t), reach):
                total += oldest_first[i] * column[t - reach + 1 + i]
            out[t, j] = total


def hull_average_reference(index: np.ndarray, length: int) -> np.ndarray:
    """The Hull average of one series by its definition, three weighted averages.

    Parameters
    ----------
    index : (S,) float64 without NaN.

    Returns
    -------
    (S,) float64, NaN until it is complete.
    """

    def average(values: np.ndarray, n: int) -> np.ndarray:
        out = np.full(len(values), np.nan)
        for t in range(n - 1, len(values)):
            out[t] = np.average(values[t - n + 1 : t + 1], weights=np.arange(1, n + 1))
        return out

    return average(2.0 * average(index, length // 2) - average(index, length), round(math.sqrt(length)))
