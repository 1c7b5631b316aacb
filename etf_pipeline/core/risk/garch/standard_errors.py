"""Standard errors of one fit: from the Hessian, and robust to the wrong distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.risk.garch.fit import START_RULES, Specification, StartRule
from etf_pipeline.core.risk.garch.likelihood import (
    AR1_MEAN,
    EGARCH,
    NORMAL,
    PARAMETERS,
    RESIDUAL,
    VARIANCE,
    WORK_ROWS,
    compiled,
    likelihood_and_gradient,
    residuals,
    variances,
)
from etf_pipeline.core.risk.garch.prepare import prepare
from etf_pipeline.core.risk.garch.transform import NU_BOUNDS

_BORDER = 1e-6


@dataclass(frozen=True)
class StandardErrors:
    """Of the natural parameters, in the order of ``likelihood.PARAMETERS``.

    Attributes
    ----------
    hessian : (7,) float64, from the inverse of the negative Hessian of the log-likelihood.
    robust : (7,) float64, Bollerslev and Wooldridge: inverse Hessian, outer product of scores, inverse Hessian.
    covariance_hessian, covariance_robust : (7, 7) float64.

    NaN for parameters the model does not have and for those on a border, which are held fixed for the others.
    """

    hessian: np.ndarray
    robust: np.ndarray
    covariance_hessian: np.ndarray
    covariance_robust: np.ndarray


def standard_errors(
    returns: np.ndarray, parameters: np.ndarray, model: Specification, *, start: StartRule = "backcast"
) -> StandardErrors:
    """Standard errors of ``fit_garch``'s estimates for one series.

    Parameters
    ----------
    returns : (T,) float64, the returns of the fit; NaN are skipped.
    parameters : (7,) float64, its estimates.
    start : its start value.

    Returns
    -------
    StandardErrors; all NaN where the Hessian is not negative definite.

    Notes
    -----
    The Hessian is the central difference of the exact gradient; the scores are central differences of each observation's
    log-density. Bollerslev and Wooldridge (1992), Quasi-maximum likelihood estimation of dynamic models with
    time-varying covariances, Econometric Reviews 11.
    """
    y = np.ascontiguousarray(returns[~np.isnan(returns)], dtype=np.float64)
    code = model.code
    first = 1 if code[2] == AR1_MEAN else 0
    n = len(y) - first
    work = np.empty((WORK_ROWS, n))
    value, _ = prepare(y, first, len(y), code[2], START_RULES[start], np.zeros(7), work)
    free = _inside(parameters, model)
    step = 1e-5 * np.maximum(np.abs(parameters), 1e-3)
    step[2] = 1e-5 * abs(parameters[2]) if code[0] != EGARCH else step[2]
    gradient = np.zeros((2, 7))
    hessian, scores = np.zeros((7, 7)), np.zeros((n, 7))
    for i in np.flatnonzero(free):
        for side, sign in enumerate((1.0, -1.0)):
            moved = parameters.copy()
            moved[i] += sign * step[i]
            likelihood_and_gradient(moved, code, y, first, len(y), value, work, gradient[side])
            scores[:, i] += sign * _densities(moved, code, y, first, value, work)
        hessian[i] = (gradient[0] - gradient[1]) / (2.0 * step[i])
        scores[:, i] /= 2.0 * step[i]
    at = np.ix_(free, free)
    information = -0.5 * (hessian + hessian.T)[at]
    classic, robust = np.full((7, 7), np.nan), np.full((7, 7), np.nan)
    if information.size and np.linalg.eigvalsh(information)[0] > 0.0:
        inverse = np.linalg.inv(information)
        classic[at] = inverse
        robust[at] = inverse @ (scores[:, free].T @ scores[:, free]) @ inverse
    return StandardErrors(np.sqrt(np.diagonal(classic)), np.sqrt(np.diagonal(robust)), classic, robust)


def _inside(parameters: np.ndarray, model: Specification) -> np.ndarray:
    """(7,) bool, estimated and not on a border."""
    value = dict(zip(PARAMETERS, parameters, strict=True))
    named = {"omega": True, "beta": _BORDER < value["beta"] < 1.0 - _BORDER}
    named["mu"] = model.mean != "zero"
    named["phi"] = model.mean == "ar1"
    named["nu"] = model.distribution == "t" and NU_BOUNDS[0] * 1.001 < value["nu"] < NU_BOUNDS[1] * 0.999
    if model.volatility == "egarch":
        named["alpha"] = named["gamma"] = True
    else:
        persistence = value["alpha"] + 0.5 * value["gamma"] + value["beta"]
        named["alpha"] = value["alpha"] > _BORDER
        named["gamma"] = model.volatility == "gjr" and value["alpha"] + value["gamma"] > _BORDER
        named["beta"] = named["beta"] and persistence < 1.0 - _BORDER
    return np.array([named[name] for name in PARAMETERS])


@compiled
def _densities(
    theta: np.ndarray, model: tuple[int, int, int], y: np.ndarray, first: int, start: float, work: np.ndarray
) -> np.ndarray:
    """(n,) log-density of each observation."""
    volatility, distribution, mean = model
    n = len(y) - first
    residuals(theta, y, first, len(y), mean, work)
    variances(theta, volatility, n, start, work)
    out = np.empty(n)
    nu = theta[6]
    for t in range(n):
        s, e = work[VARIANCE, t], work[RESIDUAL, t]
        if distribution == NORMAL:
            out[t] = -0.5 * (math.log(2.0 * math.pi * s) + e * e / s)
        else:
            out[t] = (
                math.lgamma(0.5 * (nu + 1.0))
                - math.lgamma(0.5 * nu)
                - 0.5 * math.log(math.pi * (nu - 2.0) * s)
                - 0.5 * (nu + 1.0) * math.log(1.0 + e * e / (s * (nu - 2.0)))
            )
    return out
