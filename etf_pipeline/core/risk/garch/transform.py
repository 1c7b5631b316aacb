"""Between the natural parameters and a space without borders in which the optimiser moves.

GARCH and GJR: persistence P = alpha + gamma / 2 + beta in (0, 1); the share of P that is news (alpha + gamma / 2)
in (0, 1); for GJR the share of the news that falls on gains in (0, 1), so that alpha >= 0 and alpha + gamma >= 0; omega =
target exp(u) (1 - P + 0.01), which keeps the long-run variance apart from the persistence.
EGARCH: omega = (1 - beta) log target + w, alpha and gamma free, beta in (0, 1).
Mean in units of the residual's standard deviation; log(nu - 2) between those of nu = 2.05 and 500.
"""

from __future__ import annotations

import math

import numpy as np

from etf_pipeline.core.risk.garch.likelihood import (
    ALPHA,
    AR1_MEAN,
    BETA,
    EGARCH,
    GAMMA,
    GJR,
    MU,
    NU,
    OMEGA,
    PHI,
    STUDENT_T,
    ZERO_MEAN,
    compiled,
)

NU_BOUNDS = (2.05, 500.0)
_NU_LOW, _NU_HIGH = math.log(NU_BOUNDS[0] - 2.0), math.log(NU_BOUNDS[1] - 2.0)
_SPREAD = 0.01
_FAR = 34.0  # beyond this a logistic is 0 or 1 to the last digit


@compiled
def free_parameters(model: tuple[int, int, int]) -> int:
    """How many parameters the model estimates."""
    volatility, distribution, mean = model
    return mean + (3 if volatility == 0 else 4) + (1 if distribution == STUDENT_T else 0)


@compiled
def _logistic(u: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(u, -_FAR), _FAR)))


@compiled
def _logit(p: float) -> float:
    p = min(max(p, 1e-12), 1.0 - 1e-12)
    return math.log(p / (1.0 - p))


@compiled
def to_natural(u: np.ndarray, model: tuple[int, int, int], target: float, theta: np.ndarray) -> None:
    """Natural parameters of the free vector ``u``; ``target`` is the mean squared residual."""
    volatility, distribution, mean = model
    for i in range(7):
        theta[i] = 0.0
    k = 0
    if mean != ZERO_MEAN:
        theta[MU] = u[0] * math.sqrt(target)
        k = 1
        if mean == AR1_MEAN:
            theta[PHI] = u[1]
            k = 2
    if volatility == EGARCH:
        theta[BETA] = _logistic(u[k + 3])
        theta[OMEGA] = (1.0 - theta[BETA]) * math.log(target) + u[k]
        theta[ALPHA], theta[GAMMA] = u[k + 1], u[k + 2]
        k += 4
    else:
        persistence = _logistic(u[k + 1])
        news = persistence * _logistic(u[k + 2])
        theta[OMEGA] = target * math.exp(min(max(u[k], -_FAR), _FAR)) * (1.0 - persistence + _SPREAD)
        theta[BETA] = persistence - news
        theta[ALPHA] = news
        if volatility == GJR:
            gain = _logistic(u[k + 3])
            theta[ALPHA] = 2.0 * news * gain
            theta[GAMMA] = 2.0 * news * (1.0 - 2.0 * gain)
            k += 1
        k += 3
    if distribution == STUDENT_T:
        theta[NU] = 2.0 + math.exp(_NU_LOW + (_NU_HIGH - _NU_LOW) * _logistic(u[k]))


@compiled
def to_free(theta: np.ndarray, model: tuple[int, int, int], target: float, u: np.ndarray) -> None:
    """The free vector of natural parameters inside the borders; on a border, very near to it."""
    volatility, distribution, mean = model
    k = 0
    if mean != ZERO_MEAN:
        u[0] = theta[MU] / math.sqrt(target)
        k = 1
        if mean == AR1_MEAN:
            u[1] = theta[PHI]
            k = 2
    if volatility == EGARCH:
        u[k] = theta[OMEGA] - (1.0 - theta[BETA]) * math.log(target)
        u[k + 1], u[k + 2] = theta[ALPHA], theta[GAMMA]
        u[k + 3] = _logit(theta[BETA])
        k += 4
    else:
        news = theta[ALPHA] + 0.5 * theta[GAMMA]
        persistence = min(news + theta[BETA], 1.0 - 1e-12)
        u[k] = math.log(max(theta[OMEGA], 1e-300) / (target * (1.0 - persistence + _SPREAD)))
        u[k + 1] = _logit(persistence)
        u[k + 2] = _logit(news / persistence if persistence > 0.0 else 0.0)
        if volatility == GJR:
            u[k + 3] = _logit(0.5 * theta[ALPHA] / news if news > 0.0 else 0.5)
            k += 1
        k += 3
    if distribution == STUDENT_T:
        u[k] = _logit((math.log(theta[NU] - 2.0) - _NU_LOW) / (_NU_HIGH - _NU_LOW))


@compiled
def chain(
    u: np.ndarray,
    model: tuple[int, int, int],
    target: float,
    theta: np.ndarray,
    natural: np.ndarray,
    free: np.ndarray,
) -> None:
    """Gradient by the free vector (into ``free``) from that by the natural parameters."""
    volatility, distribution, mean = model
    k = 0
    if mean != ZERO_MEAN:
        free[0] = natural[MU] * math.sqrt(target)
        k = 1
        if mean == AR1_MEAN:
            free[1] = natural[PHI]
            k = 2
    if volatility == EGARCH:
        beta = theta[BETA]
        free[k], free[k + 1], free[k + 2] = natural[OMEGA], natural[ALPHA], natural[GAMMA]
        free[k + 3] = (natural[BETA] - math.log(target) * natural[OMEGA]) * beta * (1.0 - beta)
        k += 4
    else:
        persistence, share = _logistic(u[k + 1]), _logistic(u[k + 2])
        level = theta[OMEGA] / (1.0 - persistence + _SPREAD)
        by_news, by_gain = natural[ALPHA], 0.0
        news = persistence * share
        if volatility == GJR:
            gain = _logistic(u[k + 3])
            by_news = 2.0 * gain * natural[ALPHA] + 2.0 * (1.0 - 2.0 * gain) * natural[GAMMA]
            by_gain = news * (2.0 * natural[ALPHA] - 4.0 * natural[GAMMA]) * gain * (1.0 - gain)
            free[k + 3] = by_gain
        free[k] = natural[OMEGA] * theta[OMEGA] if abs(u[k]) < _FAR else 0.0
        by_persistence = share * by_news + (1.0 - share) * natural[BETA] - level * natural[OMEGA]
        free[k + 1] = by_persistence * persistence * (1.0 - persistence)
        free[k + 2] = persistence * (by_news - natural[BETA]) * share * (1.0 - share)
        k += 4 if volatility == GJR else 3
    if distribution == STUDENT_T:
        place = _logistic(u[k])
        free[k] = natural[NU] * (theta[NU] - 2.0) * (_NU_HIGH - _NU_LOW) * place * (1.0 - place)
