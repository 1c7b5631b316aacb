"""Every model refitted every month on the past alone, filtered from day to day in between."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.risk.garch.fit import MODELS, START_RULES, TOLERANCE, StartRule, specification
from etf_pipeline.core.risk.garch.forecast import filtered_forecasts
from etf_pipeline.core.risk.garch.likelihood import (
    AR1_MEAN,
    BETA,
    EGARCH,
    LOWER,
    MU,
    OMEGA,
    UPPER,
    WORK_ROWS,
    compiled,
    prepare,
    residuals,
    variances,
)
from etf_pipeline.core.risk.garch.optimise import MAX_ITERATIONS, fit_fresh, minimise
from etf_pipeline.core.risk.garch.transform import free_parameters, to_free, to_natural

HORIZONS: tuple[int, ...] = (1, 5, 21)
REFITS_A_YEAR = 12
_MAX_PARAMETERS = 7
_REENTRY = 8.0  # a warm start is taken back so far from a border


@dataclass(frozen=True)
class GarchHistory:
    """Monthly fits of M models to N funds and what they forecast on S sessions; R refits.

    Attributes
    ----------
    models : names, in the order of the axis M.
    horizons : sessions ahead, in the order of the axis H.
    refit_rows : (R,) int64, sessions at whose close the models were refitted.
    parameters : (R, N, M, 7) natural parameters in units of returns (fractions); NaN where there is no fit.
    log_likelihood : (R, N, M) of the window's returns; NaN where there is no fit.
    observations : (R, N) int64, returns in the window.
    converged : (R, N, M) bool.
    fresh : (R, N) bool, estimated from the coarse grid rather than from last month's optimum.
    variance : (H, M, S, N) variance of the return over the next h sessions, forecast at the close; NaN without a bar or fit.
    chosen : (R, N) int64, model with the smallest information criterion; -1 where there is no fit.
    """

    models: tuple[str, ...]
    horizons: tuple[int, ...]
    refit_rows: np.ndarray
    parameters: np.ndarray
    log_likelihood: np.ndarray
    observations: np.ndarray
    converged: np.ndarray
    fresh: np.ndarray
    variance: np.ndarray
    chosen: np.ndarray

    def model_in_force(self) -> np.ndarray:
        """(S, N) int64, the model chosen at the last refit up to each session; -1 where there was none."""
        sessions, funds = self.variance.shape[2:]
        last = np.searchsorted(self.refit_rows, np.arange(sessions), side="right") - 1
        if not len(self.refit_rows):
            return np.full((sessions, funds), -1)
        return np.where((last >= 0)[:, None], self.chosen[np.maximum(last, 0)], -1)

    def served_variance(self) -> np.ndarray:
        """(H, S, N) forecast of the model in force; NaN where there is none."""
        model = self.model_in_force()
        picked = np.take_along_axis(self.variance, np.maximum(model, 0)[None, None], axis=1)[:, 0]
        return np.where(model >= 0, picked, np.nan)


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
    criterion: Literal["aic", "bic"] = "bic",
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
    criterion : information criterion that chooses the model at each refit.
    fresh_every : refits after which the search starts anew from a coarse grid; in between it starts from the last optimum.

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
            window, min_observations, START_RULES[start], fresh_every, history.parameters,
            history.log_likelihood, history.observations, history.converged, history.fresh, by_fund,
        ),
        funds,
        cost=counts,
    )  # fmt: skip
    history.variance[:] = by_fund.transpose(2, 1, 3, 0)
    if len(models):
        free = np.array([specification(name, mean).parameters for name in models])
        weight = 2.0 if criterion == "aic" else np.log(np.maximum(history.observations, 1))[:, :, None]
        score = -2.0 * history.log_likelihood + weight * free
        some = ~np.isnan(score).all(axis=2)
        history.chosen[some] = np.argmin(np.where(np.isnan(score), np.inf, score), axis=2)[some]
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
                        u[a] = min(max(u[a], -_REENTRY), _REENTRY)
                        for b in range(k):
                            inverse[a, b] = state[m, a, b]
                    value, reached = minimise(
                        u, inverse, model, y, begin, n, start, target, work, TOLERANCE, MAX_ITERATIONS
                    )
                if not math.isfinite(value):
                    prepare(y, begin, n, model[2], rule, theta, work)
                    value, reached = fit_fresh(
                        model, y, begin, n, start, target, theta, work, TOLERANCE, False, u, inverse
                    )
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
                for t in range(n - begin, count):
                    work[LOWER, t] = 1e-8
                    work[UPPER, t] = 1e12
                residuals(theta, y, begin, len(y), model[2], work)
                variances(theta, model[0], count, start, work)
                filtered_forecasts(
                    theta, model[0], n - begin, count, horizons, scale * scale, rows[first + begin : after],
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
