"""Bias and slope of forecasts, from those that have come due, and what is left of a forecast after them.

Realised returns are regressed on past forecasts (Mincer and Zarnowitz), each in units of the fund's expected
standard deviation, the forecast in its parts:

    outcome - premium = a + b_timing * timing + b_selection * selection + error.

A forecast that knows nothing has slopes of zero, one that exaggerates has slopes below one. Each coefficient is
believed as far as it is distinguishable from nothing, in three layers: all funds; what an asset class differs by;
what a risk category differs by beyond that. A slope stays between zero and one: a correction takes back what a forecast
exaggerates, and never makes it louder. Without skill the premium is what remains: what bearing such risk has
earned, which an investor should still expect, and no ordering by anything else.

The forecasts are taken in interleaved sets, each of which does not overlap itself. The estimate is that of all
sets, its error that of one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVEL, TIMING, SELECTION = range(3)
"""Coefficients of the pooled regression, in this order."""

FEWEST_OUTCOMES = 12
"""Outcomes, one after the other without overlap, that have come due, below which nothing is corrected."""

FEWEST_OF_A_GROUP = 24
"""Such outcomes below which a class or category is not set apart."""

DOUBT = np.array([4.0, 1.0, 1.0])
"""A coefficient keeps the share ``1 - DOUBT / t^2`` of itself: a slope none below |t| = 1 (James and Stein), the pooled
level none below |t| = 2, as the premium already is the mean of all outcomes that were known at the refit.

The levels of classes are measured from what is believed of the pooled one, and drawn to it. Where all classes were missed
in the same direction they take most of what was refused upon themselves: they are told apart by more than chance from a
level of zero, not from each other, since what moves the market moves them in the same sessions."""


@dataclass(frozen=True)
class Correction:
    """Coefficients in force from one date on. C classes, V categories.

    Attributes
    ----------
    pooled : (3,) level, slope of timing, slope of selection, shrunk.
    believed : (3,) share of each estimate kept, 0 to 1.
    by_class : (C, 2) what level and selection differ by in each class; by_category : (V, 2) likewise.
    sessions : that had come due.
    """

    pooled: np.ndarray
    believed: np.ndarray
    by_class: np.ndarray
    by_category: np.ndarray
    sessions: int

    def apply(
        self, timing: np.ndarray, selection: np.ndarray, classes: np.ndarray, categories: np.ndarray
    ) -> np.ndarray:
        """Corrected forecast less the premium. Index -1 of a class or category stands for unknown, the last."""
        level = self.pooled[LEVEL] + self.by_class[classes, 0] + self.by_category[categories, 0]
        return level + self.pooled[TIMING] * timing + self.slopes(classes, categories) * selection

    def slopes(self, classes: np.ndarray, categories: np.ndarray) -> np.ndarray:
        """What the selection is multiplied by, 0 to 1: how much of it past forecasts support."""
        slope = self.pooled[SELECTION] + self.by_class[classes, 1] + self.by_category[categories, 1]
        return np.clip(slope, 0.0, 1.0)


class Moments:
    """Second moments of (1, timing, selection, outcome) by session and group, from which every layer is fitted.

    Parameters
    ----------
    day : (R,) int64 ascending, number of the session among those used, 0 to D - 1.
    classes, categories : (R,) int64, 0 to C - 1 and 0 to V - 1.
    timing, selection, outcome : (R,) finite; weight : (R,).
    overlap : interleaved sets of sessions, see ``clustered_regression``.
    """

    def __init__(
        self,
        day: np.ndarray,
        classes: np.ndarray,
        categories: np.ndarray,
        shape: tuple[int, int, int],
        columns: tuple[np.ndarray, np.ndarray, np.ndarray],
        weight: np.ndarray,
        overlap: int,
    ) -> None:
        self.overlap = overlap
        days, self.classes, self.categories = shape
        cell = (day * self.classes + classes) * self.categories + categories
        x = (np.ones(len(day)), *columns)
        self.cells = np.zeros((days, self.classes, self.categories, 4, 4))
        for i in range(4):
            for j in range(i, 4):
                flat = np.bincount(
                    cell, weight * x[i] * x[j], minlength=days * self.classes * self.categories
                )
                self.cells[..., i, j] = self.cells[..., j, i] = flat.reshape(self.cells.shape[:3])

    def fit(self, days: int) -> Correction:
        """Coefficients from the first ``days`` sessions."""
        pooled, believed = np.zeros(3), np.zeros(3)
        by_class, by_category = np.zeros((self.classes, 2)), np.zeros((self.categories, 2))
        cells = self.cells[:days]
        if days >= FEWEST_OUTCOMES * self.overlap:
            estimate, variance = clustered_regression(_added(_added(cells, 2), 1), np.arange(3), self.overlap)
            believed = believed_share(estimate, variance)
            pooled = estimate * believed
            pooled[1:] = np.clip(pooled[1:], 0.0, 1.0)
            by_class = _layer(_left_over(_added(cells, 2), pooled), self.overlap)
            full = np.column_stack([pooled[LEVEL] + by_class[:, 0], np.full(self.classes, pooled[TIMING])])
            full = np.column_stack([full, pooled[SELECTION] + by_class[:, 1]])
            after = np.stack([_left_over(cells[:, c], full[c]) for c in range(self.classes)], axis=1)
            by_category = _layer(_added(after, 1), self.overlap)
        return Correction(pooled, believed, by_class, by_category, days)


def clustered_regression(
    moments: np.ndarray, columns: np.ndarray, overlap: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Least squares with variances that allow for anything common to a session.

    Parameters
    ----------
    moments : (D, K + 1, K + 1) second moments of (regressors, outcome) of each session.
    columns : which of the K regressors to use.
    overlap : interleaved sets in the sample, each of outcomes that do not overlap. The variance is the mean of
        theirs, each taken alone: they say nearly the same, and that they are many is not counted.

    Returns
    -------
    estimate, variance : one each column; a column that does not vary has estimate 0 and variance infinity.

    Notes
    -----
    Liang and Zeger (1986), Biometrika 73, 13-22, with D / (D - k), D the sessions of one set.
    """
    estimate, variance = np.zeros(len(columns)), np.full(len(columns), np.inf)
    total = np.cumsum(moments, axis=0)[-1]
    use = columns[np.diag(total)[columns] > 0]
    sessions = int((moments[:, columns[0], columns[0]] > 0).sum())
    apart = sessions / overlap
    if not len(use) or apart <= len(use):
        return estimate, variance
    inner = total[np.ix_(use, use)]
    scale = np.sqrt(np.diag(inner))
    correlation = inner / np.outer(scale, scale)
    if np.linalg.cond(correlation) > 1e10:
        return estimate, variance
    inverse = np.linalg.inv(correlation) / np.outer(scale, scale)
    slopes = inverse @ total[use, -1]
    score = moments[:, use, -1] - np.einsum("dij,j->di", moments[:, use[:, None], use], slopes)
    meat = score.T @ score * (overlap * apart / (apart - len(use)))
    at = np.searchsorted(columns, use)
    estimate[at] = slopes
    variance[at] = np.diag(inverse @ meat @ inverse)
    return estimate, variance


def shrink_to_zero(estimate: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Empirical-Bayes estimates of groups' differences from the pool.

    Parameters
    ----------
    estimate, variance : (G,); a group without an estimate has variance infinity.

    Returns
    -------
    (G,) ``estimate * tau2 / (tau2 + variance)``, with the variance between groups by the method of moments about
    zero, at least zero: where the groups differ by no more than chance, all are zero.

    Notes
    -----
    DerSimonian and Laird (1986), Controlled Clinical Trials 7, 177-188; Efron and Morris (1975), JASA 70, 311-319.
    """
    known = np.isfinite(variance) & (variance > 0)
    out = np.zeros(len(estimate))
    if known.sum() < 2:
        return out
    weight = 1.0 / variance[known]
    heterogeneity = float(np.cumsum(weight * estimate[known] ** 2)[-1]) - known.sum()
    between = max(0.0, heterogeneity / float(np.cumsum(weight)[-1]))
    out[known] = estimate[known] * between / (between + variance[known])
    return out


def believed_share(estimate: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """(3,) share of each pooled estimate that is kept: of ``LEVEL``, of timing, of ``SELECTION``."""
    square = np.divide(estimate**2, variance, out=np.zeros(len(estimate)), where=variance > 0)
    return np.asarray(np.maximum(0.0, 1.0 - DOUBT / np.maximum(square, DOUBT)))


def _layer(moments: np.ndarray, overlap: int) -> np.ndarray:
    """(G, 2) shrunk differences in level and selection, from (D, G, 4, 4) moments of what is left to explain.

    A variance from few outcomes may be small by luck: none is believed to be below what the median group's would
    be with as many outcomes.
    """
    sessions = (moments[:, :, 0, 0] > 0).sum(axis=0)
    estimate, variance = np.zeros((len(sessions), 2)), np.full((len(sessions), 2), np.inf)
    for g in np.flatnonzero(sessions >= FEWEST_OF_A_GROUP * overlap):
        estimate[g], variance[g] = clustered_regression(moments[:, g], np.array([LEVEL, SELECTION]), overlap)
    for k in range(2):
        known = np.isfinite(variance[:, k])
        if known.any():
            usual = np.median(variance[known, k] * sessions[known])
            variance[known, k] = np.maximum(variance[known, k], usual / sessions[known])
    return np.column_stack([shrink_to_zero(estimate[:, k], variance[:, k]) for k in range(2)])


def _left_over(moments: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Moments with the outcome replaced by what the coefficients leave of it."""
    out = moments.copy()
    out[..., :3, 3] -= np.einsum("...ij,j->...i", moments[..., :3, :3], coefficients)
    out[..., 3, :3] = out[..., :3, 3]
    return out


def _added(cells: np.ndarray, axis: int) -> np.ndarray:
    """Sum over one axis of groups, one after the other: a group without rows changes no bit of it."""
    out = np.zeros(cells.shape[:axis] + cells.shape[axis + 1 :])
    for part in np.moveaxis(cells, axis, 0):
        out += part
    return out
