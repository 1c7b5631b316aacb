"""Every model refitted every month on the past alone, filtered from day to day in between."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.risk.garch.fit import MODELS, START_RULES, StartRule, specification
from etf_pipeline.core.risk.garch.forecast import bound_filter, filtered_forecasts
from etf_pipeline.core.risk.garch.history import HORIZONS, GarchHistory
from etf_pipeline.core.risk.garch.likelihood import (
    AR1_MEAN,
    BETA,
    EGARCH,
    MU,
    OMEGA,
    WORK_ROWS,
    compiled,
    residuals,
    variances,
)
from etf_pipeline.core.risk.garch.optimise import QUICK, SATURATED, fit_fresh, minimise
from etf_pipeline.core.risk.garch.prepare import prepare
from etf_pipeline.core.risk.garch.selection import Criterion, choose
from etf_pipeline.core.risk.garch.transform import free_parameters, to_free, to_natural

REFITS_A_YEAR = 12
WARM_ITERATIONS = 30
"""A refit that starts from last month's optimum and has found none after so many is begun anew from the coarse grid."""
TOLERANCE = 1e-7
"""Log-likelihood a last step may promise: parameters within a thousandth of a standard error."""
_MAX_PARAMETERS = 7


def walk_forward(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    sessions: np.ndarray,
    *,
    models: tuple[str, ...] = MODELS,
    mean: Literal["zero", "constant", "ar1"] = "constant",
    window: int = 1000,
    min_observations: int = 250,
    start: StartRule = "backcast",
    criterion: Criterion = "predictive",
    fresh_every: int = REFITS_A_YEAR,
) -> GarchHistory:
    """Refit on the first session of each month with the returns of the last ``window`` sessions, forecast every day.

    Parameters
    ----------
    total_return : (S, N) float64 simple returns, NaN where unknown.
    sessions_spanned : (S, N) int; a return over n sessions enters as one observation of r / sqrt(n).
    sessions : (S,) datetime64.
    models : names, see ``fit.MODELS``.
    window, min_observations : sessions looked back; returns needed among them.
    start : start value of the recursion, see ``fit_garch``.
    criterion : what chooses the model at each refit, see ``selection.choose``.
    fresh_every : refits after which the search starts anew from a coarse grid; in between it starts from the last optimum,
        and from the grid only for a model that finds no optimum from there.

    Returns
    -------
    GarchHistory. No fit for a short or constant window; then the next fit is a fresh one. Each window is scaled to unit
    variance before it is fitted.

    Notes
    -----
    Sessions without a return are skipped: the recursion steps from observation to observation.
    """
    known = ~np.isnan(total_return) & (sessions_spanned > 0)
    scaled = np.where(known, total_return, 0.0) / np.sqrt(np.maximum(sessions_spanned, 1))
    row = np.nonzero(known.T)[1].astype(np.int64)
    packed = np.ascontiguousarray(scaled.T[known.T])
    counts = known.sum(axis=0).astype(np.int64)
    ends = np.cumsum(counts)
    length, funds = total_return.shape
    refits = month_starts(sessions)
    shape = (len(refits), funds)
    codes = np.array([specification(name, mean).code for name in models], dtype=np.int64)
    history = GarchHistory(
        models=tuple(models),
        horizons=HORIZONS,
        refit_rows=refits,
        parameters=np.full((*shape, len(models), 7), np.nan),
        log_likelihood=np.full((*shape, len(models)), np.nan),
        observations=np.zeros(shape, dtype=np.int64),
        converged=np.zeros((*shape, len(models)), dtype=np.bool_),
        fresh=np.zeros(shape, dtype=np.bool_),
        variance=np.full((len(HORIZONS), len(models), length, funds), np.nan),
        chosen=np.full(shape, -1, dtype=np.int64),
    )
    # Fund by fund in memory, so that threads do not write into one another's cache lines.
    by_fund = np.full((funds, len(models), len(HORIZONS), length), np.nan)
    over_columns(
        lambda which: _walk_columns(
            which, packed, row, ends - counts, ends, refits, codes, np.array(HORIZONS),
            window, min_observations, START_RULES[start], fresh_every, WARM_ITERATIONS, QUICK,
            history.parameters, history.log_likelihood, history.observations, history.converged, history.fresh, by_fund,
        ),
        funds,
        cost=counts,
    )  # fmt: skip
    history.variance[:] = by_fund.transpose(2, 1, 3, 0)
    free = np.array([specification(name, mean).parameters for name in models])
    history.chosen[:] = choose(
        history, np.where(known, scaled, np.nan), known, free, criterion=criterion, window=window
    )
    return history


@compiled
def _walk_columns(
    which: np.ndarray,
    packed: np.ndarray,
    rows: np.ndarray,
    begins: np.ndarray,
    ends: np.ndarray,
    refits: np.ndarray,
    codes: np.ndarray,
    horizons: np.ndarray,
    window: int,
    min_observations: int,
    rule: int,
    fresh_every: int,
    iterations: int,
    effort: int,
    parameters: np.ndarray,
    likelihood: np.ndarray,
    observations: np.ndarray,
    converged: np.ndarray,
    fresh: np.ndarray,
    out: np.ndarray,
) -> None:
    models = len(codes)
    state = np.zeros((models, _MAX_PARAMETERS, _MAX_PARAMETERS))
    last_theta = np.zeros((models, 7))
    theta = np.zeros(7)
    for i in which:
        first, last, after = begins[i], begins[i], begins[i]
        since_fresh, last_scale = -1, 1.0
        for r in range(len(refits)):
            while last < ends[i] and rows[last] <= refits[r]:
                last += 1
            while first < last and rows[first] <= refits[r] - window:
                first += 1
            until = refits[r + 1] if r + 1 < len(refits) else np.iinfo(np.int64).max
            after = last
            while after < ends[i] and rows[after] < until:
                after += 1
            n = last - first
            observations[r, i] = n
            square = 0.0
            for t in range(first, last):
                square += packed[t] * packed[t]
            if n < min_observations or not square > 0.0:
                since_fresh = -1
                continue
            scale = math.sqrt(square / n)
            y = packed[first:after] / scale
            work = np.empty((WORK_ROWS, len(y)))
            is_fresh = since_fresh < 0 or since_fresh + 1 >= fresh_every
            since_fresh = 0 if is_fresh else since_fresh + 1
            fresh[r, i] = is_fresh
            for m in range(models):
                model = (codes[m, 0], codes[m, 1], codes[m, 2])
                begin = 1 if model[2] == AR1_MEAN else 0
                start, target = prepare(y, begin, n, model[2], rule, theta, work)
                if not target > 1e-12 or not start > 0.0:
                    since_fresh = -1
                    continue
                k = free_parameters(model)
                u, inverse = np.zeros(k), np.zeros((k, k))
                value, reached = -np.inf, False
                if not is_fresh and likelihood[r - 1, i, m] == likelihood[r - 1, i, m]:
                    _rescale(last_theta[m], model[0], last_scale / scale, theta)
                    to_free(theta, model, target, u)
                    for a in range(k):
                        u[a] = min(max(u[a], -SATURATED), SATURATED)
                        for b in range(k):
                            inverse[a, b] = state[m, a, b]
                    value, reached = minimise(
                        u, inverse, model, y, begin, n, start, target, work, TOLERANCE, iterations
                    )
                if not reached:
                    # No warm start, or one that led nowhere: from a distant optimum EGARCH may not find back.
                    prepare(y, begin, n, model[2], rule, theta, work)
                    new_u, new_inverse = np.zeros(k), np.zeros((k, k))
                    new_value, settled = fit_fresh(
                        model, y, begin, n, start, target, theta, work, TOLERANCE, effort, new_u, new_inverse
                    )
                    if new_value > value:
                        value, reached, u, inverse = new_value, settled, new_u, new_inverse
                if not math.isfinite(value):
                    continue
                for a in range(k):
                    for b in range(k):
                        state[m, a, b] = inverse[a, b]
                to_natural(u, model, target, theta)
                for a in range(7):
                    last_theta[m, a] = theta[a]
                likelihood[r, i, m] = value - (n - begin) * math.log(scale)
                converged[r, i, m] = reached
                count = len(y) - begin
                residuals(theta, y, begin, len(y), model[2], work)
                bound_filter(n - begin, count, work)
                variances(theta, model[0], count, start, work)
                filtered_forecasts(
                    theta, model[0], n - begin, refits[r], count, horizons, scale * scale, rows[first + begin : after],
                    work, out[i, m],
                )  # fmt: skip
                _rescale(last_theta[m], model[0], scale, parameters[r, i, m])
            last_scale = scale


@compiled
def _rescale(theta: np.ndarray, volatility: int, factor: float, into: np.ndarray) -> None:
    """Natural parameters for returns ``factor`` times as large."""
    for a in range(7):
        into[a] = theta[a]
    into[MU] *= factor
    if volatility == EGARCH:
        into[OMEGA] += (1.0 - theta[BETA]) * 2.0 * math.log(factor)
    else:
        into[OMEGA] *= factor * factor
