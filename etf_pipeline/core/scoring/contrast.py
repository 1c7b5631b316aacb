"""Contrast: component scores moved away from 50, so that a session's weighted scores spread out and can be told apart.

All components alike, as long as that suffices; by a contrast of its own each where it does not.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from etf_pipeline.core.scoring.rules import SpreadRules

STEPS = 1.2 ** np.arange(14)
"""Contrasts that are tried, the smallest that suffice are taken: 1 (none) to 10.7."""

BAND = 20.0
"""Width of the band, in points, that must not hold too many funds."""

_FEW = 10  # funds: with fewer, a spread says nothing
_ROUNDING = 1e-12  # lacks nearer than this differ by rounding only


def sharpen(percentile: np.ndarray, contrast: np.ndarray | float) -> np.ndarray:
    """``50 + 50 sign(x) |x| ** (1 / contrast)``, x = (percentile - 50) / 50.

    Rising in the percentile, the identity for contrast 1, and it leaves 0, 50 and 100 where they are. NaN stays NaN.
    """
    x = (percentile - 50.0) / 50.0
    return 50.0 + 50.0 * np.sign(x) * np.abs(x) ** (1.0 / np.asarray(contrast, dtype=float))


def flatten(score: np.ndarray | float, contrast: np.ndarray | float) -> np.ndarray:
    """The percentile that ``sharpen`` made this score of."""
    x = (np.asarray(score, dtype=float) - 50.0) / 50.0
    return 50.0 + 50.0 * np.sign(x) * np.abs(x) ** np.asarray(contrast, dtype=float)


def contrast(
    percentiles: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
    kept: np.ndarray,
    rules: SpreadRules,
) -> dict[str, np.ndarray]:
    """The contrast of each component and session, with which final scores spread as the rules ask.

    The same for all components where one of ``STEPS`` suffices, the smallest that does. Where none does, every second of
    ``STEPS`` is tried for each component, 7 ** C combinations: of those that suffice, the one that is fewest steps away
    from the common contrast that came nearest is taken, then the one with the smallest sum of steps. It shifts weight
    between components for the sake of spread, and such sessions' ranks move more than others'.

    Parameters
    ----------
    percentiles : component -> (S, N) float64, 0 to 100, NaN where missing; percentiles of unrelated components average
        out, the more of them there are.
    weights : component -> (S, N) float64, weights used; they sum to one over what is present, NaN where a fund is not
        scored.
    kept : (S, N) float64, share of the raw score that penalties leave.
    rules : points between the 5th and the 95th percentile that final scores must span, and largest share of the funds
        that any band of ``BAND`` points may hold; a session keeps the largest contrasts that its last ``hold`` sessions
        needed, itself included, unless its scores spread less with them than with its own.

    Returns
    -------
    component -> (S,) float64, of ``STEPS``; what comes nearest where nothing suffices, 1 on sessions with fewer than ten
    scored funds. A session depends on itself and the ``hold - 1`` before.
    """
    scored = np.ones(kept.shape, dtype=bool)
    for weight in weights.values():
        scored &= ~np.isnan(weight)
    needed, least = _in_common(percentiles, weights, kept, scored, rules)
    steps = np.repeat(needed[:, None], len(percentiles), axis=1)
    grid = _grid(len(percentiles))
    short = np.isfinite(least) & (least > 0.0)
    for t in map(int, np.flatnonzero(short)):
        lack = _lacks(_scores(percentiles, weights, kept, scored, t, grid), rules)
        # The least apart from the common one, so that components keep about their weights; the smallest of equals.
        good = np.flatnonzero(lack <= lack.min() + _ROUNDING)
        best = int(good[np.argmin(np.abs(grid[good] - needed[t]).sum(axis=1))])
        if lack[best] < least[t] - _ROUNDING:
            steps[t], least[t] = grid[best], lack[best]
    held = _rolling_maximum(steps, rules.hold)
    for t in map(int, np.flatnonzero(np.isfinite(least) & (held != steps).any(axis=1))):
        lack = _lacks(_scores(percentiles, weights, kept, scored, t, held[t][None]), rules)
        if lack[0] <= least[t] + _ROUNDING:
            steps[t] = held[t]
    return {name: STEPS[steps[:, c]] for c, name in enumerate(percentiles)}


def _in_common(
    percentiles: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
    kept: np.ndarray,
    scored: np.ndarray,
    rules: SpreadRules,
) -> tuple[np.ndarray, np.ndarray]:
    """(S,) smallest step that suffices, or comes nearest, if all components take it, and what it lacks; inf where few."""
    needed = np.zeros(len(kept), dtype=np.int64)
    least = np.full(len(kept), np.inf)
    open_rows = np.flatnonzero(scored.sum(axis=1) >= _FEW)
    for step, value in enumerate(STEPS):
        if not len(open_rows):
            break
        score = np.zeros((len(open_rows), kept.shape[1]))
        for name, panel in percentiles.items():
            sharp = np.nan_to_num(sharpen(panel[open_rows], value), nan=0.0)
            score += weights[name][open_rows] * sharp
        score *= kept[open_rows]
        lack = np.array([_lack(row[on], rules) for row, on in zip(score, scored[open_rows], strict=True)])
        nearer = lack < least[open_rows] - _ROUNDING
        needed[open_rows[nearer]] = step
        least[open_rows[nearer]] = lack[nearer]
        open_rows = open_rows[lack > 0.0]
    return needed, least


def _grid(components: int) -> np.ndarray:
    """(G, C) int64, combinations of every second step, in the order of their sum, then of their largest."""
    steps = np.arange(0, len(STEPS), 2)
    grid = steps[np.indices((len(steps),) * components).reshape(components, -1).T]
    return grid[np.lexsort((grid.max(axis=1), grid.sum(axis=1)))]


def _scores(
    percentiles: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
    kept: np.ndarray,
    scored: np.ndarray,
    t: int,
    steps: np.ndarray,
) -> np.ndarray:
    """(G, n) final scores of session t's n scored funds with each of (G, C) combinations of steps."""
    on = scored[t]
    total = np.zeros((len(steps), int(on.sum())))
    for c, (name, panel) in enumerate(percentiles.items()):
        sharp = np.nan_to_num(sharpen(panel[t, on], STEPS[:, None]), nan=0.0)
        total += (weights[name][t, on] * sharp)[steps[:, c]]
    return total * kept[t, on]


def _lack(scores: np.ndarray, rules: SpreadRules) -> float:
    """How far scores are from spreading as asked, 0 where they do: a share of the span, and of the funds."""
    low, high = np.percentile(scores, [5.0, 95.0])
    return max(0.0, 1.0 - (high - low) / rules.span) + max(0.0, _fullest_band(scores) - rules.band_share)


def _lacks(scores: np.ndarray, rules: SpreadRules) -> np.ndarray:
    """``_lack`` of each row of (G, n) scores."""
    ordered = np.sort(scores, axis=1)
    funds = ordered.shape[1]
    place = np.array([0.05, 0.95]) * (funds - 1)
    below = place.astype(np.int64)
    above = np.minimum(below + 1, funds - 1)
    low, high = (ordered[:, below] + (place - below) * (ordered[:, above] - ordered[:, below])).T
    # Only bands that hold more than may be need counting.
    most = np.zeros(len(ordered))
    for count in range(max(1, int(rules.band_share * funds)), funds + 1):
        holds = (ordered[:, count - 1 :] <= ordered[:, : funds + 1 - count] + BAND).any(axis=1)
        if not holds.any():
            break
        most[holds] = count
    return np.maximum(0.0, 1.0 - (high - low) / rules.span) + np.maximum(0.0, most / funds - rules.band_share)


def _fullest_band(scores: np.ndarray) -> float:
    """Largest share of the scores within ``BAND`` points of one another."""
    ordered = np.sort(scores)
    inside = np.searchsorted(ordered, ordered + BAND, side="right") - np.arange(len(ordered))
    return float(inside.max()) / len(ordered)


def _rolling_maximum(values: np.ndarray, window: int) -> np.ndarray:
    """Largest of each column's last ``window`` rows."""
    padded = np.concatenate([np.zeros((window - 1, values.shape[1]), dtype=values.dtype), values])
    return np.lib.stride_tricks.sliding_window_view(padded, window, axis=0).max(axis=-1)
