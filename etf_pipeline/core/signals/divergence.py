"""Divergence of price and momentum: a price near its high on fading momentum, or near its low on rising."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from etf_pipeline.core.market.rolling import rolling_sum
from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.signals.return_path import (
    NO_MOVEMENT,
    delayed,
    return_path,
    window_reason,
    window_variance,
)


@dataclass(frozen=True)
class DivergencePanel:
    """Divergence per session.

    Attributes
    ----------
    divergence : (S, N) float64, in standard deviations of a change of momentum: positive where momentum rises
        though the price is low in its range (bullish), negative where it fades though the price is high
        (bearish), near 0 where each confirms the other.
    position : (S, N) float64, where the index stands between its low (0) and its high (1) of the window.
    momentum_change : (S, N) float64, of the momentum over one span, in standard deviations.
    reason : (S, N) int8, index into ``PATH_REASONS``: why there is no value.
    """

    divergence: np.ndarray
    position: np.ndarray
    momentum_change: np.ndarray
    reason: np.ndarray


def divergence(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    *,
    window: int = 252,
    span: int = 63,
    min_observed_share: float = 0.8,
    max_stale_sessions: int = 5,
) -> DivergencePanel:
    """Change of momentum, as far as the price's position does not confirm it.

    With y the log total-return index, p its position between the lowest and highest of the sessions ``t - window``
    to ``t``, and v the variance of its returns in them, the change of momentum is
    ``z = ((y_t - y_{t-span}) - (y_{t-span} - y_{t-2 span})) / sqrt(2 span v)``, of variance 1 for a random walk, and

    ``divergence = z (1 - p)`` where momentum rises (z > 0), ``z p`` where it fades.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int.
    window : sessions of the price's range.
    span : sessions of a momentum, ``2 * span <= window``.
    min_observed_share : share of the window's sessions that need a bar.
    max_stale_sessions : a value stands for this many sessions without a bar of the fund.

    Returns
    -------
    DivergencePanel. NaN with a reason where the history is too short, the fund's last bar is too long ago, too
    few sessions have a bar, a return is unknown, or the price did not move.

    Notes
    -----
    The idea of a divergence is the chartist's (Murphy 1999, Technical Analysis of the Financial Markets, chapter
    10); position in the year's range follows George and Hwang (2004), The 52-week high and momentum investing,
    Journal of Finance 59, on total returns. Putting them together by this formula is our own choice: it is
    continuous, 0 where nothing diverges, and judged by its information coefficient like any other signal.
    """
    if span < 1 or window < 2 * span:
        raise ValueError(f"1 <= span ({span}) and 2 * span <= window ({window}) must hold")
    path = return_path(total_return, sessions_spanned, max_stale_sessions)
    reason, _ = window_reason(path, window, 0, min_observed_share)
    variance = window_variance(path, window)
    reason[(reason == 0) & ~(variance > 0)] = NO_MOVEMENT
    position = np.full(variance.shape, np.nan)

    def work(funds: np.ndarray) -> None:
        range_position(funds, path.growth, window, reason, position)

    over_columns(work, path.growth.shape[1])
    recent = rolling_sum(path.growth, span)
    change = np.full(variance.shape, np.nan)
    np.divide(recent - delayed(recent, span), np.sqrt(2.0 * span * variance), out=change, where=reason == 0)
    return DivergencePanel(
        divergence=change * np.where(change > 0, 1.0 - position, position),
        position=position,
        momentum_change=change,
        reason=reason,
    )


@njit(cache=True, nogil=True)
def range_position(
    funds: np.ndarray, growth: np.ndarray, window: int, reason: np.ndarray, out: np.ndarray
) -> None:
    """Position of the index between its extremes over the last ``window`` sessions and their start.

    Rows that may still be the extreme of a window to come wait in a queue, best first.
    """
    rows = growth.shape[0]
    index = np.empty(rows)
    lows = np.empty(rows, dtype=np.int64)
    highs = np.empty(rows, dtype=np.int64)
    for j in funds:
        low_begin = low_end = high_begin = high_end = 0
        level = 0.0
        for t in range(rows):
            level += growth[t, j]
            index[t] = level
            while low_end > low_begin and index[lows[low_end - 1]] >= level:
                low_end -= 1
            while high_end > high_begin and index[highs[high_end - 1]] <= level:
                high_end -= 1
            lows[low_end], highs[high_end] = t, t
            low_end += 1
            high_end += 1
            if lows[low_begin] < t - window:
                low_begin += 1
            if highs[high_begin] < t - window:
                high_begin += 1
            low, high = index[lows[low_begin]], index[highs[high_begin]]
            if reason[t, j] == 0 and high > low:
                out[t, j] = (level - low) / (high - low)
