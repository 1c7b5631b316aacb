"""The forecast as it is published: corrected, with its interval, hit rate and confidence."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.signals.forecast.correction import Correction, Moments
from etf_pipeline.core.signals.forecast.ensemble import LIMIT, EnsembleForecast
from etf_pipeline.core.signals.forecast.features import FeatureTable
from etf_pipeline.core.signals.forecast.interval import MEMORY, ConformalBands

PRIOR_FORECASTS = 24.0
"""Forecasts of a fund's (or class's) own at which its hit rate weighs as much as its class's (or the pool's)."""

FEWEST_ERRORS = 12
"""Sessions with forecasts that have come due, before there is an interval."""

INTERLEAVED = 5
"""Sets of forecasts that do not overlap themselves, from which biases are estimated."""

BAND_STRIDE = 5
"""Errors of every fifth session are remembered for the intervals."""


@dataclass(frozen=True)
class ServedForecast:
    """Simple total returns over the horizon. R rows.

    Attributes
    ----------
    horizon : sessions.
    raw, corrected : (R,), the ensemble's forecast and what is left of it.
    lower, upper : (R,), interval that should hold 80 % of outcomes.
    hit_rate : (R,), share of the fund's past corrected forecasts with the right sign, drawn to its class's.
    confidence : (R,) 0 to 1: share of the ensemble's selection that the correction keeps, times the share of the
        fund's features that are known.
    corrections : (month's first session, coefficients) in force from then on, renewed at each refit.

    NaN before the first refit (interval and hit rate: before enough forecasts have come due).
    """

    horizon: int
    raw: np.ndarray
    corrected: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    hit_rate: np.ndarray
    confidence: np.ndarray
    corrections: tuple[tuple[int, Correction], ...]


def serve(
    features: FeatureTable,
    ensemble: EnsembleForecast,
    realised: np.ndarray,
    scale: np.ndarray,
    classes: np.ndarray,
    categories: np.ndarray,
    sessions: np.ndarray,
) -> ServedForecast:
    """Correct each quarter's forecasts, and set each month's intervals, by those that had come due at its first session.

    Parameters
    ----------
    features : R rows.
    ensemble : its forecasts over one horizon.
    realised : (R,), return that followed, NaN where unknown; scale : (R,), its expected standard deviation.
    classes, categories : (R,) int64, -1 for unknown.
    sessions : (S,) datetime64.

    Returns
    -------
    ServedForecast. Outcomes of session ``t`` are used from the close of ``t + horizon`` on.
    """
    horizon, rows = ensemble.horizon, len(features.row)
    shape = int(classes.max(initial=-1)) + 2, int(categories.max(initial=-1)) + 2
    classes, categories = classes % shape[0], categories % shape[1]
    outcome = realised / scale
    known = np.isfinite(outcome) & (ensemble.refit >= 0)
    apart = known & (features.row % horizon == 0)  # forecasts that do not overlap
    sets = max(1, horizon // INTERLEAVED)
    entire = known & (features.row % sets == 0)
    groups = classes, categories
    moments, used = _moments(
        features, ensemble, outcome - ensemble.premium, entire, groups, shape, -(-horizon // sets)
    )
    corrected = np.full(rows, np.nan)
    band = np.full((rows, 2), np.nan)
    hits = np.full(rows, np.nan)
    confidence = np.full(rows, np.nan)
    inside = ConformalBands(shape[0])
    remembered = known & (features.row % BAND_STRIDE == 0)
    begins = month_starts(sessions)
    begins = begins[begins >= (ensemble.folds.refit[0] if len(ensemble.folds.refit) else len(sessions))]
    corrections: list[tuple[int, Correction]] = []
    correction: Correction | None = None
    refits = set(ensemble.folds.refit.tolist())
    due_before = 0
    for begin, end in pairwise(np.append(begins, len(sessions))):
        due = int(features.start[max(0, begin - horizon + 1)])
        oldest = int(features.start[max(0, begin - horizon + 1 - MEMORY)])
        ahead = slice(features.start[begin], features.start[end])
        if correction is None or begin in refits:
            correction = moments.fit(int(np.searchsorted(used, begin - horizon, side="right")))
            corrections.append((int(begin), correction))
        parts = ensemble.timing[ahead], ensemble.selection[ahead]
        corrected[ahead] = ensemble.premium[ahead] + correction.apply(
            *parts, classes[ahead], categories[ahead]
        )
        confidence[ahead] = correction.slopes(classes[ahead], categories[ahead]) * features.known_share[ahead]
        new = np.flatnonzero(remembered[due_before:due]) + due_before
        new = new[np.isfinite(band[new, 0])]
        inside.adapt((outcome[new] < band[new, 0]) | (outcome[new] > band[new, 1]))
        due_before = due
        past = np.flatnonzero(remembered[oldest:due]) + oldest
        if len(np.unique(features.row[past])) >= FEWEST_ERRORS:
            edges = inside.quantiles(outcome[past] - corrected[past], classes[past], features.row[past])
            band[ahead] = corrected[ahead, None] + edges[classes[ahead]]
        told = np.flatnonzero(apart[:due])
        hits[ahead] = _hit_rate(
            corrected[told] * outcome[told],
            features.column[told],
            classes[told],
            features.column[ahead],
            classes[ahead],
        )
    return ServedForecast(
        horizon=horizon,
        raw=ensemble.raw * scale,
        corrected=corrected * scale,
        lower=band[:, 0] * scale,
        upper=band[:, 1] * scale,
        hit_rate=hits,
        confidence=confidence,
        corrections=tuple(corrections),
    )


def _moments(
    features: FeatureTable,
    ensemble: EnsembleForecast,
    outcome: np.ndarray,
    apart: np.ndarray,
    groups: tuple[np.ndarray, np.ndarray],
    shape: tuple[int, int],
    overlap: int,
) -> tuple[Moments, np.ndarray]:
    """Moments of the forecasts that do not overlap, and the sessions they were made on."""
    at = np.flatnonzero(apart)
    used, day, count = np.unique(features.row[at], return_inverse=True, return_counts=True)
    columns = ensemble.timing[at], ensemble.selection[at], np.clip(outcome[at], -LIMIT, LIMIT)
    weight = 1.0 / np.sqrt(count)[day]
    return Moments(day, groups[0][at], groups[1][at], (len(used), *shape), columns, weight, overlap), used


def _hit_rate(
    product: np.ndarray, fund: np.ndarray, classes: np.ndarray, of_fund: np.ndarray, of_class: np.ndarray
) -> np.ndarray:
    """Share of past products of forecast and outcome above zero, by fund, drawn to the class's, drawn to the pool's."""
    told = product != 0.0
    if not told.any():
        return np.full(len(of_fund), np.nan)
    right, fund, classes = (product > 0.0)[told], fund[told], classes[told]
    pool = float(right.mean())
    size = int(max(classes.max(), of_class.max(initial=0))) + 1
    by_class = (np.bincount(classes, right, size) + PRIOR_FORECASTS * pool) / (
        np.bincount(classes, minlength=size) + PRIOR_FORECASTS
    )
    size = int(max(fund.max(), of_fund.max(initial=0))) + 1
    n, hits = np.bincount(fund, minlength=size)[of_fund], np.bincount(fund, right, size)[of_fund]
    return np.asarray((hits + PRIOR_FORECASTS * by_class[of_class]) / (n + PRIOR_FORECASTS))
