"""Unusual volume: today's traded value against the fund's own past."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.signals.trading import (
    NO_RECENT_BAR,
    NO_TRADING,
    NO_VARIATION,
    SILENT_SESSION,
    TOO_LITTLE_TRADING,
    VOLUME_UNKNOWN,
    Trading,
)

NORMAL_MAD = 1.4826022185056018
"""Standard deviation of a normal variable over its median absolute deviation."""


@dataclass(frozen=True)
class SpikePanel:
    """Volume spikes per session.

    Attributes
    ----------
    volume_spike : (S, N) float64, robust standard deviations of the log of traded value; 3 = far above usual.
    reason : (S, N) int8, index into ``VOLUME_REASONS``: why there is no value.
    """

    volume_spike: np.ndarray
    reason: np.ndarray


def volume_spike(trades: Trading, *, window: int = 252, min_traded: int = 126) -> SpikePanel:
    """``(log value - median) / (1.4826 MAD)``, median and MAD over the traded of the ``window`` sessions before.

    Parameters
    ----------
    trades : of ``trading``.
    window : sessions before today's.
    min_traded : of them on which units must have changed hands, at least 2.

    Returns
    -------
    SpikePanel. Silent sessions have no logarithm: they are left out of the past, and have no value themselves
    (``silent_session``). NaN with a reason too where the past holds too little trade or always the same.

    Notes
    -----
    Median and median absolute deviation for mean and standard deviation: Hampel (1974), Journal of the American
    Statistical Association 69; logarithms since traded value is close to lognormal (Ajinkya and Jain 1989,
    Journal of Accounting and Economics 11).
    """
    if not 2 <= min_traded <= window:
        raise ValueError(f"2 <= min_traded ({min_traded}) <= window ({window}) must hold")
    size = np.full(trades.value.shape, np.nan)
    np.log(trades.value, out=size, where=trades.traded)
    score = np.full(size.shape, np.nan)
    seen = np.zeros(size.shape, dtype=np.int32)

    def work(funds: np.ndarray) -> None:
        robust_scores(funds, size, window, min_traded, score, seen)

    over_columns(work, trades.value.shape[1], trades.traded.sum(axis=0))
    reason = np.zeros(size.shape, dtype=np.int8)
    reason[np.isnan(score)] = NO_VARIATION
    reason[trades.known & ~trades.traded] = SILENT_SESSION
    reason[seen < min_traded] = TOO_LITTLE_TRADING
    reason[seen == 0] = NO_TRADING
    reason[~trades.known] = VOLUME_UNKNOWN
    reason[~trades.serves] = NO_RECENT_BAR
    return SpikePanel(np.where(reason == 0, score, np.nan), reason)


@njit(cache=True, nogil=True)
def robust_scores(
    funds: np.ndarray, x: np.ndarray, window: int, min_count: int, out: np.ndarray, seen: np.ndarray
) -> None:
    """Score of each value among the observed ones of the ``window`` rows before, kept sorted as they come and go."""
    rows = x.shape[0]
    ordered = np.empty(window + 1)
    for j in funds:
        count = 0
        for t in range(rows):
            seen[t, j] = count
            new = x[t, j]
            observed = not np.isnan(new)
            if observed and count >= min_count:
                middle = _middle(ordered, count)
                spread = _spread(ordered, count, middle)
                if spread > 0.0:
                    out[t, j] = (new - middle) / (NORMAL_MAD * spread)
            if t >= window and not np.isnan(x[t - window, j]):
                at = np.searchsorted(ordered[:count], x[t - window, j])
                for k in range(at, count - 1):
                    ordered[k] = ordered[k + 1]
                count -= 1
            if observed:
                at = np.searchsorted(ordered[:count], new)
                for k in range(count, at, -1):
                    ordered[k] = ordered[k - 1]
                ordered[at] = new
                count += 1


@njit(cache=True, nogil=True)
def _middle(ordered: np.ndarray, count: int) -> float:
    """Median of the first ``count``."""
    half = count // 2
    if count % 2:
        return ordered[half]
    return 0.5 * (ordered[half - 1] + ordered[half])


@njit(cache=True, nogil=True)
def _spread(ordered: np.ndarray, count: int, middle: float) -> float:
    """Median absolute deviation of the first ``count`` from their median."""
    half = count // 2
    upper = _reach(ordered, count, middle, half + 1)
    return upper if count % 2 else 0.5 * (_reach(ordered, count, middle, half) + upper)


@njit(cache=True, nogil=True)
def _reach(ordered: np.ndarray, count: int, middle: float, nearest: int) -> float:
    """How far the ``nearest`` values about ``middle`` reach: they stand side by side in the sorted list.

    The further their run begins to the right, the nearer its left end and the farther its right end: bisection finds
    where the two are level.
    """
    low, high = 0, count - nearest
    while low < high:
        begin = (low + high) // 2
        if ordered[begin + nearest - 1] - middle >= middle - ordered[begin]:
            high = begin
        else:
            low = begin + 1
    reach = max(middle - ordered[low], ordered[low + nearest - 1] - middle)
    if low > 0:
        reach = min(reach, max(middle - ordered[low - 1], ordered[low + nearest - 2] - middle))
    return reach


def robust_score_reference(x: np.ndarray, t: int, window: int) -> float:
    """One fund's score on row ``t`` from its sorted past."""
    past = x[max(0, t - window) : t]
    past = past[~np.isnan(past)]
    middle = np.median(past)
    return float((x[t] - middle) / (NORMAL_MAD * np.median(np.abs(past - middle))))
