"""Maximum-likelihood fits of one model to every fund."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.risk.garch.likelihood import (
    AR1_MEAN,
    CONSTANT_MEAN,
    EGARCH,
    GARCH,
    GJR,
    NORMAL,
    NU,
    STUDENT_T,
    WORK_ROWS,
    ZERO_MEAN,
    compiled,
)
from etf_pipeline.core.risk.garch.optimise import (
    EXHAUSTIVE,
    MAX_ITERATIONS,
    SATURATED,
    THOROUGH,
    WIDE,
    fit_fresh,
    is_thin,
    minimise,
)
from etf_pipeline.core.risk.garch.prepare import prepare
from etf_pipeline.core.risk.garch.simplex import polish
from etf_pipeline.core.risk.garch.transform import free_parameters, to_natural

TOLERANCE = 1e-9
"""Log-likelihood a last step may promise: far below a thousandth of a standard error."""

MIN_SPREAD = 1e-12
"""A series whose variance about its mean equation is below this share of its mean square is constant."""

DOUBTFUL = 3.0
"""Fewer degrees of freedom on a thin fund: the likelihood has several maxima, and the search is repeated from everywhere."""

FEW = 400
"""Fewer observations: the likelihood may have several maxima too, and searching from everywhere costs little."""

NEAR_BORDER, BORDER = 4.0, 40.0
"""Free parameters, logistic ones, from which on a border is near; and where it is."""

POLISHINGS = 6
WORTH_MORE = 1e-4
"""Gain in log-likelihood for which a doubtful optimum is polished again."""

StartRule = Literal["mean_square", "backcast"]
Search = Literal["thorough", "exhaustive"]
START_RULES: dict[str, int] = {"mean_square": 0, "backcast": 1}
_VOLATILITY = {"garch": GARCH, "gjr": GJR, "egarch": EGARCH}
_DISTRIBUTION = {"normal": NORMAL, "t": STUDENT_T}
_MEAN = {"zero": ZERO_MEAN, "constant": CONSTANT_MEAN, "ar1": AR1_MEAN}


@dataclass(frozen=True)
class Specification:
    """One member of the family.

    Attributes
    ----------
    volatility : garch, gjr or egarch, each of order (1, 1).
    distribution : normal, or t standardised to unit variance.
    mean : zero, constant or ar1.
    """

    volatility: Literal["garch", "gjr", "egarch"] = "gjr"
    distribution: Literal["normal", "t"] = "t"
    mean: Literal["zero", "constant", "ar1"] = "constant"

    @property
    def name(self) -> str:
        """As tables name it, for instance ``gjr_t``; the mean is the same for all models of a run."""
        return f"{self.volatility}_{self.distribution}"

    @property
    def code(self) -> tuple[int, int, int]:
        """As the kernels take it."""
        return _VOLATILITY[self.volatility], _DISTRIBUTION[self.distribution], _MEAN[self.mean]

    @property
    def parameters(self) -> int:
        """Estimated parameters."""
        return int(free_parameters(self.code))


MODELS: tuple[str, ...] = ("garch_normal", "garch_t", "gjr_normal", "gjr_t", "egarch_normal", "egarch_t")


def specification(name: str, mean: Literal["zero", "constant", "ar1"] = "constant") -> Specification:
    """The specification that ``Specification.name`` names.

    Raises
    ------
    ValueError : an unknown name, with those that are known.
    """
    if name not in MODELS:
        raise ValueError(f"no volatility model {name!r}: known are {', '.join(MODELS)}")
    volatility, distribution = name.split("_")
    return Specification(volatility, distribution, mean)  # type: ignore[arg-type]


@dataclass(frozen=True)
class GarchFits:
    """Fits of one specification to N series.

    Attributes
    ----------
    specification : what was fitted.
    parameters : (N, 7) mu, phi, omega, alpha, gamma, beta, nu (``likelihood.PARAMETERS``), in units of the
        returns; 0 where the model has no such parameter, NaN where there is no fit.
    log_likelihood : (N,), NaN where there is no fit.
    observations : (N,) int64 entering the likelihood.
    converged : (N,) bool.
    start : (N,) variance before the first observation.
    """

    specification: Specification
    parameters: np.ndarray
    log_likelihood: np.ndarray
    observations: np.ndarray
    converged: np.ndarray
    start: np.ndarray

    def information_criterion(self, criterion: Literal["aic", "bic"] = "bic") -> np.ndarray:
        """(N,) -2 log-likelihood + penalty; smaller is better."""
        k = self.specification.parameters
        weight = 2.0 if criterion == "aic" else np.log(np.maximum(self.observations, 1))
        return -2.0 * self.log_likelihood + weight * k


def fit_garch(
    returns: np.ndarray,
    model: Specification,
    *,
    start: StartRule = "backcast",
    min_observations: int = 250,
    search: Search = "thorough",
) -> GarchFits:
    """Maximum-likelihood estimates for every column.

    Parameters
    ----------
    returns : (T, N) float64; NaN are skipped, the rest is taken as consecutive. Any unit; percent keeps the
        variance bounds, which hold an absolute 1, where ``arch`` has them.
    start : variance before the first observation: ``mean_square`` of the residuals, or ``backcast``, exponentially
        weighted over the first 75 with decay 0.94, as ``arch`` does.
    min_observations : fewer give no fit.
    search : ``thorough`` climbs from the best starts of a coarse grid, for a thinly traded fund with a heavy tail or an
        EGARCH from all of them. ``exhaustive``, three to five times as long, does so for every fund that is short,
        thinly traded, heavy-tailed or not settled, also from the corners of the parameter space, then by repeated
        simplex, and tries every border that is near: for funds whose likelihood has several maxima.

    Returns
    -------
    GarchFits. No fit (NaN) for short histories and for a constant series.

    Notes
    -----
    Bollerslev (1986); Glosten, Jagannathan, Runkle (1993); Nelson (1991); Bollerslev (1987) for Student's t. Borders:
    omega > 0, alpha >= 0, alpha + gamma >= 0, beta >= 0, alpha + gamma / 2 + beta <= 1; EGARCH 0 <= beta <= 1;
    2.05 <= nu <= 500. The likelihood of a bounded variance is used, see ``prepare``.
    """
    known = ~np.isnan(returns)
    counts = known.sum(axis=0).astype(np.int64)
    ends = np.cumsum(counts)
    packed = np.ascontiguousarray(returns.T[known.T], dtype=np.float64)
    funds = returns.shape[1]
    parameters = np.full((funds, 7), np.nan)
    likelihood, starts = np.full(funds, np.nan), np.full(funds, np.nan)
    observations = np.zeros(funds, dtype=np.int64)
    converged = np.zeros(funds, dtype=np.bool_)
    code, rule = model.code, START_RULES[start]
    exhaustive = search == "exhaustive"
    over_columns(
        lambda which: _fit_columns(
            which, packed, ends - counts, ends, code, rule, min_observations, exhaustive, MAX_ITERATIONS,
            parameters, likelihood, observations, converged, starts,
        ),
        funds,
        cost=counts,
    )  # fmt: skip
    return GarchFits(model, parameters, likelihood, observations, converged, starts)


@compiled
def _fit_columns(
    which: np.ndarray,
    packed: np.ndarray,
    begins: np.ndarray,
    ends: np.ndarray,
    model: tuple[int, int, int],
    rule: int,
    min_observations: int,
    exhaustive: bool,
    iterations: int,
    parameters: np.ndarray,
    likelihood: np.ndarray,
    observations: np.ndarray,
    converged: np.ndarray,
    starts: np.ndarray,
) -> None:
    k = free_parameters(model)
    u = np.zeros(k)
    trial, trial_inverse = np.zeros(k), np.zeros((k, k))
    for i in which:
        first, last = begins[i], ends[i]
        if model[2] == 2:
            first += 1
        n = last - first
        observations[i] = max(n, 0)
        if n < max(min_observations, 2 * k):
            continue
        work = np.empty((WORK_ROWS, n))
        theta, mean_theta = np.zeros(7), np.zeros(7)
        value, reached = -np.inf, False
        start, target = prepare(packed, first, last, model[2], rule, mean_theta, work)
        square = 0.0
        for t in range(first, last):
            square += packed[t] * packed[t]
        if not target > MIN_SPREAD * square / n or not start > 0.0:
            continue
        thin = is_thin(packed, first, last, target)
        search, again = THOROUGH, True
        while again:
            for a in range(7):
                theta[a] = mean_theta[a]
            found, settled = fit_fresh(
                model,
                packed,
                first,
                last,
                start,
                target,
                theta,
                work,
                TOLERANCE,
                search,
                trial,
                trial_inverse,
            )
            if found > value:
                value, reached = found, settled
                for a in range(k):
                    u[a] = trial[a]
            to_natural(u, model, target, theta)
            heavy = model[1] != NORMAL and theta[NU] < DOUBTFUL
            again = search == THOROUGH
            if exhaustive:
                again = again and (not reached or thin or n < FEW or heavy)
                search = EXHAUSTIVE if again else search
            else:
                again = again and thin and (model[0] == EGARCH or heavy)
                search = WIDE if again else search
        if search > THOROUGH:
            # The simplex passes the kinks of such a likelihood; from where it ends, once more uphill.
            # In turn on the borders it has reached and a little off them.
            gained = 0
            for polishing in range(POLISHINGS if exhaustive else 1):
                before = value
                border = SATURATED if polishing % 2 == 1 or not exhaustive else np.inf
                for a in range(k):
                    trial[a] = min(max(u[a], -border), border)
                    for b in range(k):
                        trial_inverse[a, b] = 0.0
                polish(trial, model, packed, first, last, start, target, work)
                found, settled = minimise(
                    trial,
                    trial_inverse,
                    model,
                    packed,
                    first,
                    last,
                    start,
                    target,
                    work,
                    TOLERANCE,
                    iterations,
                )
                if found > value:
                    value, reached = found, settled
                    for a in range(k):
                        u[a] = trial[a]
                if value > before + WORTH_MORE:
                    gained = polishing
                elif polishing > gained:
                    break
        if not np.isfinite(value):
            continue
        # Near a border the slope is next to nothing: once from the border itself, each in turn.
        for near in range(model[2] + 1, k):
            if not exhaustive or not NEAR_BORDER < abs(u[near]) < BORDER:
                continue
            for a in range(k):
                trial[a] = u[a]
                for b in range(k):
                    trial_inverse[a, b] = 0.0
            trial[near] = math.copysign(BORDER, u[near])
            found, settled = minimise(
                trial,
                trial_inverse,
                model,
                packed,
                first,
                last,
                start,
                target,
                work,
                TOLERANCE,
                iterations,
            )
            if found > value:
                value, reached = found, settled
                for a in range(k):
                    u[a] = trial[a]
        to_natural(u, model, target, theta)
        parameters[i] = theta
        likelihood[i], converged[i], starts[i] = value, reached, start
