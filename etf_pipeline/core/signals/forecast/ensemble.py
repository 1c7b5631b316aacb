"""The ensemble walked forward: refitted every quarter on what was known, forecasting until the next.

A forecast has three parts, in units of each fund's expected standard deviation: the premium (what bearing its
risk has earned: so much for its correlation with the market, so much for itself), timing (how the market will
differ from its premium, by the market's state, times the correlation) and selection (how the fund will differ
from what its correlation makes of the market). They are learned apart, because the market has one observation a
session and selection has as many as there are funds.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.parallel import over_tasks
from etf_pipeline.core.signals.forecast.boosting import to_bins
from etf_pipeline.core.signals.forecast.features import CLIP, FeatureTable
from etf_pipeline.core.signals.forecast.folds import Folds
from etf_pipeline.core.signals.forecast.ridge import (
    PENALTIES,
    gram_blocks,
    linear_forecast,
    ridge_from_gram,
)
from etf_pipeline.core.signals.forecast.stacking import stacking_weights
from etf_pipeline.core.signals.forecast.trees import TREE_MEMBERS, fit_and_forecast

MEMBERS = ("ridge", *TREE_MEMBERS)
"""Of the selection stack. Timing is a ridge of its own, stacked against the mean."""

TREE_STRIDE = 10
"""Trees learn from every tenth session: targets of neighbouring sessions overlap and say nearly the same."""

LIMIT = 4.0
"""Scaled outcomes are learned from as if they were at most this."""

PRIOR_SHARE = 1.0
"""Strength of the equal weights a stack is shrunk to, as a share of the forecasts' variance."""


@dataclass(frozen=True)
class EnsembleForecast:
    """Forecasts of one horizon, in units of each fund's scale. R rows, Q refits, M members.

    Attributes
    ----------
    horizon : sessions.
    folds : the refits.
    refit : (R,) int64, which refit a row was forecast by; -1 before the first.
    mean : (Q, 2), means in force: of the market's part and of the funds' own.
    premium : (R,), exposure times the one plus the other; NaN before the first refit.
    timing : (R,), exposure times the forecast of the market less its mean, weighted.
    selection : (R,), forecast of the fund's own part less its mean, weighted; zero on average over a session.
    weights : (Q, 1 + M), of timing in its stack, and of the members in the selection stack.
    past_r_squared : (Q, 1 + M), of each one's past forecasts against none; NaN before any has come due.
    past_rows : (Q,) int64, forecasts that had come due.
    """

    horizon: int
    folds: Folds
    refit: np.ndarray
    mean: np.ndarray
    premium: np.ndarray
    timing: np.ndarray
    selection: np.ndarray
    weights: np.ndarray
    past_r_squared: np.ndarray
    past_rows: np.ndarray

    @property
    def raw(self) -> np.ndarray:
        """(R,) the three parts together, NaN before the first refit."""
        return self.premium + self.timing + self.selection


def walk_forward(
    features: FeatureTable,
    outcome: np.ndarray,
    exposure: np.ndarray,
    horizons: Sequence[int],
    folds: Sequence[Folds],
    *,
    seed: int,
) -> list[EnsembleForecast]:
    """Fit the members at each refit and stack what they say.

    Parameters
    ----------
    features : R rows.
    outcome : (H, R) float64, what followed each row over each horizon, divided by its scale; NaN where unknown.
    exposure : (R,) float64, correlation with the market; where unknown, the session's mean is taken, or 1.
    horizons : sessions; folds : one set of refits each.
    seed : of the trees' random draws.

    Returns
    -------
    One EnsembleForecast a horizon. A refit reads outcomes of rows before ``folds.learned`` only; penalties and
    weights of the stacks come from forecasts of earlier refits that had come due by then.
    """
    usual = np.nan_to_num(session_mean(exposure, features.start), nan=1.0)
    exposure = np.where(np.isfinite(exposure), exposure, usual[features.row])
    parts = [_Outcome.split(features, rows, exposure) for rows in outcome]
    limit = np.where(np.arange(features.values.shape[1]) < features.own, 1.0, CLIP)
    binned = to_bins(features.values, limit)
    importlib.import_module("sklearn.tree")  # before threads are counted: it brings its own OpenMP
    tasks = [
        (h, q, m)
        for h in range(len(horizons))
        for q in range(len(folds[h].refit))
        for m in range(len(TREE_MEMBERS))
    ]

    def grow(task: int) -> np.ndarray:
        h, q, m = tasks[task]
        past, ahead = _past(features, folds[h], q), _ahead(features, folds[h], q)
        own = parts[h].own[past]
        use = (features.row[past] % TREE_STRIDE == 0) & np.isfinite(own)
        return fit_and_forecast(
            TREE_MEMBERS[m],
            binned[past][use],
            own[use],
            parts[h].weight[past][use],
            binned[ahead],
            seed=seed + 1000 * q + 10 * h + m,
        )

    cost = [
        float(features.start[folds[h].learned[q]] - features.start[folds[h].begin[q]]) for h, q, _ in tasks
    ]
    grown = dict(zip(tasks, over_tasks(grow, len(tasks), cost), strict=True))

    def finish(h: int) -> EnsembleForecast:
        trees = np.full((len(features.row), len(TREE_MEMBERS)), np.nan)
        for q in range(len(folds[h].refit)):
            for m in range(len(TREE_MEMBERS)):
                trees[_ahead(features, folds[h], q), m] = grown[h, q, m]
        return _combine(features, parts[h], folds[h], horizons[h], trees)

    return over_tasks(finish, len(horizons))


def session_mean(values: np.ndarray, start: np.ndarray) -> np.ndarray:
    """(S,) mean over each session's rows that are known; NaN where none is."""
    known = np.isfinite(values)
    count = np.diff(np.concatenate([[0], np.cumsum(known)])[start])
    total = np.zeros(len(start) - 1)
    some = np.diff(start) > 0
    if some.any():
        total[some] = np.add.reduceat(np.where(known, values, 0.0), start[:-1][some])
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@dataclass(frozen=True)
class _Outcome:
    """A horizon's outcomes taken apart: ``exposure * market + own``, with weights. A market (S,), the rest (R,).

    The market is the session's regression of outcomes on exposures through zero. A session with n outcomes weighs
    as the root of n: between one voice each and one in all.
    """

    exposure: np.ndarray
    market: np.ndarray
    market_weight: np.ndarray
    own: np.ndarray
    weight: np.ndarray

    @classmethod
    def split(cls, features: FeatureTable, outcome: np.ndarray, exposure: np.ndarray) -> _Outcome:
        limited = np.clip(outcome, -LIMIT, LIMIT)
        known = np.isfinite(limited)
        together = session_mean(limited * exposure, features.start)
        square = session_mean(np.where(known, exposure**2, np.nan), features.start)
        market = np.full(len(square), np.nan)
        np.divide(together, square, out=market, where=square > 0)
        count = np.diff(np.concatenate([[0], np.cumsum(known)])[features.start])
        root = np.sqrt(count.astype(np.float64))
        each = (1.0 / np.maximum(root, 1.0))[features.row]
        return cls(exposure, market, root, limited - exposure * market[features.row], each)


def _past(features: FeatureTable, folds: Folds, q: int) -> slice:
    return slice(features.start[folds.begin[q]], features.start[folds.learned[q]])


def _ahead(features: FeatureTable, folds: Folds, q: int) -> slice:
    return slice(features.start[folds.refit[q]], features.start[folds.end[q]])


def _combine(
    features: FeatureTable, outcome: _Outcome, folds: Folds, horizon: int, trees: np.ndarray
) -> EnsembleForecast:
    """Fit both ridges, then weigh timing against nothing and the selections against each other."""
    refits, sessions = len(folds.refit), len(features.start) - 1
    refit_of_session = np.full(sessions, -1, dtype=np.int64)
    for q in range(refits):
        refit_of_session[folds.refit[q] : folds.end[q]] = q
    first_row = np.minimum(features.start[:-1], max(len(features.row) - 1, 0))
    state = features.values[first_row, features.own :] if len(features.row) else np.zeros((sessions, 0))
    days = np.arange(sessions + 1)
    market_mean, timings = _ridges(state, outcome.market, outcome.market_weight, folds, days)
    own_features = features.values[:, : features.own]
    own_mean, ridges = _ridges(own_features, outcome.own, outcome.weight, folds, features.start)
    refit = refit_of_session[features.row]
    members = np.column_stack([ridges, trees])
    for m in range(members.shape[1]):
        members[:, m] -= session_mean(members[:, m], features.start)[features.row]
    surprise = outcome.market - np.append(market_mean, np.nan)[refit_of_session]
    own = outcome.own - np.append(own_mean, np.nan)[refit]
    market = _stack(timings, surprise, outcome.market_weight, folds, days, 0)
    funds = _stack(members, own, outcome.weight, folds, features.start, len(TREE_MEMBERS))
    due = np.concatenate([[0], np.cumsum(np.isfinite(outcome.own))])[features.start]
    return EnsembleForecast(
        horizon=horizon,
        folds=folds,
        refit=refit,
        mean=np.column_stack([market_mean, own_mean]),
        premium=outcome.exposure * np.append(market_mean, np.nan)[refit] + np.append(own_mean, np.nan)[refit],
        timing=outcome.exposure * market[0][features.row],
        selection=funds[0],
        weights=np.column_stack([market[1], funds[1]]),
        past_r_squared=np.column_stack([market[2], funds[2]]),
        past_rows=np.maximum(due[folds.learned] - due[folds.refit[:1]], 0)
        if refits
        else np.zeros(0, np.int64),
    )


def _ridges(
    values: np.ndarray,
    outcome: np.ndarray,
    weight: np.ndarray,
    folds: Folds,
    start: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """(Q,) mean of the outcome in each window, and forecasts less that mean, one column a penalty.

    ``start`` says on which of the rows each session begins.
    """
    forecasts = np.full((len(values), len(PENALTIES)), np.nan)
    mean = np.zeros(len(folds.refit))
    edges = folds.edges
    blocks = gram_blocks(values, outcome, weight, start[edges])
    for q in range(len(folds.refit)):
        first, last = np.searchsorted(edges, (folds.begin[q], folds.learned[q]))
        gram = np.zeros(blocks.shape[1:])
        for block in blocks[first:last]:
            gram += block
        if gram[0, 0] > 0:
            mean[q] = gram[0, -1] / gram[0, 0]
        ahead = slice(start[folds.refit[q]], start[folds.end[q]])
        for p, penalty in enumerate(PENALTIES):
            forecasts[ahead, p] = linear_forecast(values[ahead], *ridge_from_gram(gram, penalty)) - mean[q]
    return mean, forecasts


def _stack(
    forecasts: np.ndarray,
    outcome: np.ndarray,
    weight: np.ndarray,
    folds: Folds,
    start: np.ndarray,
    others: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose one penalty of the ridge, and weigh it and the ``others`` by forecasts that had come due.

    Returns
    -------
    (R,) stacked forecast, (Q, 1 + others) weights, (Q, 1 + others) past R squared.
    """
    refits, size = len(folds.refit), len(PENALTIES)
    stacked = np.full(len(forecasts), np.nan)
    weights, r_squared = np.zeros((refits, 1 + others)), np.full((refits, 1 + others), np.nan)
    if not refits:
        return stacked, weights, r_squared
    # Blocks between the sessions up to which outcomes are known: each is added once, when it has come due.
    edges = np.concatenate([folds.refit[:1], np.maximum(folds.learned, folds.refit[0])])
    moments = gram_blocks(forecasts, outcome, weight, start[edges])[:, 1:, 1:]
    gram = np.zeros(moments.shape[1:])
    for q in range(refits):
        gram = gram + moments[q]
        due = gram[-1, -1] > 0
        loss = np.diag(gram)[:size] - 2.0 * gram[:size, -1]
        pick = np.array([int(np.argmin(loss)) if due else size - 1, *range(size, len(gram))])
        chosen = gram[np.ix_(pick, pick)]
        weights[q] = stacking_weights(chosen, PRIOR_SHARE)
        if due:
            r_squared[q] = (2.0 * chosen[:-1, -1] - np.diag(chosen)[:-1]) / chosen[-1, -1]
        ahead = slice(start[folds.refit[q]], start[folds.end[q]])
        stacked[ahead] = linear_forecast(forecasts[ahead][:, pick[:-1]], 0.0, weights[q])
    return stacked, weights, r_squared
