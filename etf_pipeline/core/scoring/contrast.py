"""Contrast: component scores moved away from 50, so that a session's weighted scores spread out and can be told apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from etf_pipeline.core.scoring.rules import SpreadRules

STEPS = 1.2 ** np.arange(14)
"""Contrasts that are tried, the smallest that suffices is taken: 1 (none) to 10.7."""

BAND = 20.0
"""Width of the band, in points, that must not hold too many funds."""

_FEW = 10  # funds: with fewer, a spread says nothing


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
) -> np.ndarray:
    """The contrast of each session: the smallest with which its final scores spread as the rules ask.

    Parameters
    ----------
    percentiles : component -> (S, N) float64, 0 to 100, NaN where missing; percentiles of unrelated components average
        out, the more of them there are.
    weights : component -> (S, N) float64, weights used; they sum to one over what is present, NaN where a fund is not
        scored.
    kept : (S, N) float64, share of the raw score that penalties leave.
    rules : points between the 5th and the 95th percentile that final scores must span, and largest share of the funds
        that any band of ``BAND`` points may hold; a session keeps the largest contrast that one of its last ``hold``
        sessions needed.

    Returns
    -------
    (S,) float64, of ``STEPS``; the one that comes nearest where none suffices, 1 on sessions with fewer than ten scored
    funds.
    """
    scored = np.ones(kept.shape, dtype=bool)
    for weight in weights.values():
        scored &= ~np.isnan(weight)
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
        nearer = lack < least[open_rows] - 1e-12
        needed[open_rows[nearer]] = step
        least[open_rows[nearer]] = lack[nearer]
        open_rows = open_rows[lack > 0.0]
    return STEPS[_rolling_maximum(needed, rules.hold)]


def _lack(scores: np.ndarray, rules: SpreadRules) -> float:
    """How far scores are from spreading as asked, 0 where they do: a share of the span, and of the funds."""
    low, high = np.percentile(scores, [5.0, 95.0])
    return max(0.0, 1.0 - (high - low) / rules.span) + max(0.0, _fullest_band(scores) - rules.band_share)


def _fullest_band(scores: np.ndarray) -> float:
    """Largest share of the scores within ``BAND`` points of one another."""
    ordered = np.sort(scores)
    inside = np.searchsorted(ordered, ordered + BAND, side="right") - np.arange(len(ordered))
    return float(inside.max()) / len(ordered)


def _rolling_maximum(values: np.ndarray, window: int) -> np.ndarray:
    padded = np.concatenate([np.zeros(window - 1, dtype=values.dtype), values])
    return np.lib.stride_tricks.sliding_window_view(padded, window).max(axis=1)
