"""Rolling lower tails: the lowest of each fund's last observations kept sorted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from etf_pipeline.core.parallel import over_columns


def rolling_tails(
    values: np.ndarray, probabilities: Sequence[float], *, window: int, min_observations: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lower quantiles of the last ``window`` observations and the means beyond them.

    The quantile at p lies at position h = (n + 1) p of the n sorted values, interpolated between neighbours
    (Weibull's plotting position), so that the next draw of the same distribution falls below it with
    probability p on average. The mean beyond it is the integral of that same quantile function,
    ``(1 / p) * integral of Q(u) over 0 < u < p``, with Q(u) flat below the smallest value's position.

    Parameters
    ----------
    values : (S, N) float64, NaN is not observed and takes no place in the window.
    probabilities : P levels in (0, 1), each at least ``1 / (min_observations + 1)`` and at most
        ``min_observations / (min_observations + 1)``.
    window : observations.
    min_observations : needed for an estimate, in 2..window.

    Returns
    -------
    quantile, mean_beyond : (P, S, N) float64. A session without observation repeats the last estimate;
    NaN while there are too few.

    Notes
    -----
    Hyndman and Fan (1996), definition 6. Means are summed afresh from the sorted values: nothing that has
    left the window leaves a trace.
    """
    if not 2 <= min_observations <= window:
        raise ValueError(f"min_observations {min_observations} must lie in 2..window ({window})")
    levels = np.array(probabilities, dtype=np.float64)
    lowest = 1.0 / (min_observations + 1)
    if not ((levels >= lowest) & (levels <= 1.0 - lowest)).all():
        raise ValueError(
            f"probabilities {levels.tolist()} need more than {min_observations} observations: "
            f"they must lie in {lowest:.4g}..{1.0 - lowest:.4g}"
        )
    panel = np.ascontiguousarray(values, dtype=np.float64)
    quantile = np.full((len(levels), *panel.shape), np.nan)
    mean_beyond = np.full((len(levels), *panel.shape), np.nan)
    needed = min(window, max(2, int((window + 1) * levels.max()) + 1))
    limits = np.array([window, min_observations, needed, min(window, 2 * needed + 32)], dtype=np.int64)
    over_columns(
        lambda funds: _rolling_tails(panel, funds, levels, limits, quantile, mean_beyond), panel.shape[1]
    )
    return quantile, mean_beyond


@njit(cache=True, nogil=True)
def _rolling_tails(
    values: np.ndarray,
    funds: np.ndarray,
    levels: np.ndarray,
    limits: np.ndarray,
    quantile: np.ndarray,
    mean_beyond: np.ndarray,
) -> None:
    """Keep the ``size`` lowest values of the window sorted; gather them afresh when too few are left.

    Most observations lie above them when they come and when they go, and then nothing moves. ``limits`` are
    window, least observations, lowest values needed, and room for them.
    """
    rows = values.shape[0]
    window, min_observations, needed, room = limits[0], limits[1], limits[2], limits[3]
    seen = np.empty(rows)
    lowest = np.empty(room)
    for j in funds:
        count = 0
        size = 0
        for t in range(rows):
            new = values[t, j]
            moved = False
            if not np.isnan(new):
                held = min(count, window)
                moved = held < window
                if held == window:
                    old = seen[count - window]
                    if old <= lowest[size - 1]:
                        size = _remove(lowest, size, old)
                        moved = True
                    held -= 1
                seen[count] = new
                count += 1
                if size == held < room or new < lowest[size - 1]:
                    size = _insert(lowest, size, new)
                    moved = True
                held += 1
                if size < min(needed, held):
                    size = 0
                    for k in range(count - held, count):
                        if size < room or seen[k] < lowest[size - 1]:
                            size = _insert(lowest, size, seen[k])
            if count < min_observations:
                continue
            for p in range(len(levels)):
                if moved:
                    position = (min(count, window) + 1) * levels[p]
                    quantile[p, t, j], mean_beyond[p, t, j] = _tail(lowest, size, position)
                else:
                    quantile[p, t, j] = quantile[p, t - 1, j]
                    mean_beyond[p, t, j] = mean_beyond[p, t - 1, j]
    return


@njit(cache=True, nogil=True)
def _insert(ordered: np.ndarray, size: int, value: float) -> int:
    """Put ``value`` in its place, dropping the largest when there is no room; the new size."""
    if size < len(ordered):
        size += 1
    k = size - 1
    while k > 0 and ordered[k - 1] > value:
        ordered[k] = ordered[k - 1]
        k -= 1
    ordered[k] = value
    return size


@njit(cache=True, nogil=True)
def _remove(ordered: np.ndarray, size: int, value: float) -> int:
    """Take one value equal to ``value`` out; the new size."""
    k = 0
    while ordered[k] != value:
        k += 1
    for i in range(k, size - 1):
        ordered[i] = ordered[i + 1]
    return size - 1


@njit(cache=True, nogil=True)
def _tail(ordered: np.ndarray, size: int, position: float) -> tuple[float, float]:
    """Quantile at ``position`` among sorted values and the mean beyond it."""
    below = max(1, min(int(position), size - 1))
    part = position - below
    last = ordered[below - 1]
    value = last + part * (ordered[below] - last)
    # The quantile function integrated in units of 1 / (n + 1): flat, then trapezoids.
    area = 1.5 * ordered[0] - 0.5 * last + 0.5 * part * (last + value)
    for k in range(1, below):
        area += ordered[k]
    return value, min(value, area / position)


def tail_reference(window: np.ndarray, probability: float) -> tuple[float, float]:
    """Quantile and mean beyond it of one window, from the interpolated quantile function itself.

    Parameters
    ----------
    window : (n,) float64 without NaN, n at least ``1 / probability - 1``.
    """
    n = len(window)
    place = np.arange(1, n + 1) / (n + 1)
    ordered = np.sort(window)
    quantile = float(np.interp(probability, place, ordered))
    knots = np.concatenate([[0.0], place[place < probability], [probability]])
    return quantile, float(np.trapezoid(np.interp(knots, place, ordered), knots) / probability)
