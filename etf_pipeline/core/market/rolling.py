"""Trailing windows over the session axis of (sessions, tickers) panels.

Everything here is causal, and cutting the panel after any session leaves the earlier rows as they are,
bit for bit: sums are built from blocks whose edges lie at absolute positions, medians are exact.
"""

from __future__ import annotations

import numpy as np
from numba import njit


def sessions_since(mask: np.ndarray) -> np.ndarray:
    """Sessions elapsed since ``mask`` was last True.

    Parameters
    ----------
    mask : (S, N) bool.

    Returns
    -------
    (S, N) int32: 0 where True, -1 before the first True.
    """
    row = np.arange(len(mask), dtype=np.int32)[:, None]
    last = np.maximum.accumulate(np.where(mask, row, np.int32(-1)), axis=0)
    return np.where(last < 0, np.int32(-1), row - last)


def rolling_sum(values: np.ndarray, window: int) -> np.ndarray:
    """Sum over the last ``window`` sessions, each row included.

    Parameters
    ----------
    values : (S, N) or (S,) float64 or integer.
    window : sessions, at least 1.

    Returns
    -------
    Same shape and kind. The first ``window - 1`` rows sum what there is. NaN exactly where the window
    holds a NaN.

    Notes
    -----
    The sessions are cut into blocks of ``window``; a window is the tail of one block plus the head of the
    next (van Herk 1992, Gil and Werman 1993). Only additions occur, so nothing cancels, however large a
    value has just left the window, and an all-zero window is exactly zero.
    """
    if window < 1:
        raise ValueError(f"window must be at least 1 session, not {window}")
    if len(values) == 0:
        return values.copy()
    flat = np.ascontiguousarray(values).reshape(len(values), -1)
    total = np.empty_like(flat)
    _rolling_sum(flat, window, total)
    return total.reshape(values.shape)


@njit(cache=True, nogil=True)
def _rolling_sum(values: np.ndarray, window: int, total: np.ndarray) -> None:
    """Block by block: sums from the block's begin, and to them what the window holds of the block before."""
    rows, columns = values.shape
    tail = np.empty((min(window, rows), columns), dtype=values.dtype)
    for begin in range(0, rows, window):
        end = min(begin + window, rows)
        total[begin] = values[begin]
        for t in range(begin + 1, end):
            for j in range(columns):
                total[t, j] = total[t - 1, j] + values[t, j]
        if begin > 0:
            for t in range(begin, min(end, begin + window - 1)):
                for j in range(columns):
                    total[t, j] += tail[t - begin + 1, j]
        if end < rows:
            tail[window - 1] = values[end - 1]
            for k in range(window - 2, 0, -1):
                for j in range(columns):
                    tail[k, j] = tail[k + 1, j] + values[begin + k, j]


def rolling_median(values: np.ndarray, window: int, min_count: int) -> np.ndarray:
    """Median of the observed values in the last ``window`` sessions.

    Parameters
    ----------
    values : (S, N) float64; NaN is not observed and is left out.
    window : sessions, at least 1.
    min_count : observed values needed, at least 1.

    Returns
    -------
    (S, N) float64, NaN where fewer than ``min_count`` values are observed.
    """
    if not 1 <= min_count <= window:
        raise ValueError(f"min_count {min_count} must lie in 1..window ({window})")
    return _rolling_median(np.ascontiguousarray(values, dtype=np.float64), window, min_count)


@njit(cache=True)
def _rolling_median(values: np.ndarray, window: int, min_count: int) -> np.ndarray:
    """The window's values kept sorted: each session inserts one and removes one."""
    rows, columns = values.shape
    out = np.full((rows, columns), np.nan)
    ordered = np.empty(window)
    for j in range(columns):
        count = 0
        for t in range(rows):
            if t >= window and not np.isnan(values[t - window, j]):
                at = np.searchsorted(ordered[:count], values[t - window, j])
                for k in range(at, count - 1):
                    ordered[k] = ordered[k + 1]
                count -= 1
            new = values[t, j]
            if not np.isnan(new):
                at = np.searchsorted(ordered[:count], new)
                for k in range(count, at, -1):
                    ordered[k] = ordered[k - 1]
                ordered[at] = new
                count += 1
            if count >= min_count:
                middle = count // 2
                if count % 2:
                    out[t, j] = ordered[middle]
                else:
                    out[t, j] = 0.5 * (ordered[middle - 1] + ordered[middle])
    return out


def rolling_median_reference(values: np.ndarray, window: int, min_count: int) -> np.ndarray:
    """``rolling_median`` spelled out, one window at a time: what the compiled kernel is tested against."""
    out = np.full(values.shape, np.nan)
    for t, j in np.ndindex(values.shape):
        seen = values[max(0, t - window + 1) : t + 1, j]
        seen = seen[~np.isnan(seen)]
        if len(seen) >= min_count:
            out[t, j] = np.median(seen)
    return out
