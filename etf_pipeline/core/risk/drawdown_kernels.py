"""Rolling peak and deepest fall of a level."""

from __future__ import annotations

import numpy as np
from numba import njit

from etf_pipeline.core.parallel import over_columns


def rolling_peak_and_fall(level: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Highest level of the last ``window`` sessions, and the deepest fall from a peak inside them.

    Parameters
    ----------
    level : (S, N) float64, not negative, no NaN.
    window : sessions, the row included, at least 1.

    Returns
    -------
    peak : (S, N) float64.
    fall : (S, N) float64, the least ``level_v / level_u - 1`` over u <= v in the window; 0 where it only
        rises, -1 where it falls to, or stands at, zero. The first ``window - 1`` rows use what there is.

    Notes
    -----
    The sessions are cut into blocks of ``window``; a window is the tail of one block and the head of the
    next (van Herk 1992, Gil and Werman 1993). Peak, low and fall of two adjacent stretches give those of
    both: the fall is the deepest of the two and of the later low from the earlier peak.
    """
    if window < 1:
        raise ValueError(f"window must be at least 1 session, not {window}")
    panel = np.ascontiguousarray(level, dtype=np.float64)
    peak, fall = np.empty(panel.shape), np.empty(panel.shape)
    over_columns(lambda funds: _rolling_peak_and_fall(panel, funds, window, peak, fall), panel.shape[1])
    return peak, fall


@njit(cache=True, nogil=True)
def _rolling_peak_and_fall(
    level: np.ndarray, funds: np.ndarray, window: int, peak: np.ndarray, fall: np.ndarray
) -> None:
    """``later_*[k]`` describes the previous block from its row k to its end."""
    rows = level.shape[0]
    later_peak = np.zeros(window + 1)
    later_fall = np.zeros(window + 1)
    for j in funds:
        for k in range(window + 1):
            later_peak[k] = later_fall[k] = 0.0
        high = low = deepest = 0.0
        for t in range(rows):
            place = t % window
            x = level[t, j]
            if place == 0:
                if t > 0:
                    later_peak[window] = 0.0
                    later_fall[window] = 0.0
                    bottom = np.inf
                    for k in range(window - 1, -1, -1):
                        y = level[t - window + k, j]
                        bottom = min(bottom, y)
                        later_peak[k] = max(later_peak[k + 1], y)
                        later_fall[k] = min(later_fall[k + 1], _change(bottom, y))
                high = low = x
                deepest = _change(x, x)
            else:
                high = max(high, x)
                low = min(low, x)
                deepest = min(deepest, _change(x, high))
            peak[t, j] = max(high, later_peak[place + 1])
            fall[t, j] = min(deepest, later_fall[place + 1])
            if later_peak[place + 1] > 0.0:
                fall[t, j] = min(fall[t, j], _change(low, later_peak[place + 1]))
    return


@njit(cache=True, nogil=True)
def _change(x: float, high: float) -> float:
    """Fall to ``x`` from ``high``; what stands at zero has lost everything."""
    return x / high - 1.0 if high > 0.0 else -1.0


def fall_reference(level: np.ndarray) -> float:
    """Deepest fall of one window from its own running peak.

    Parameters
    ----------
    level : (K,) float64, positive.
    """
    return float((level / np.maximum.accumulate(level) - 1.0).min())
