"""The simplex of Nelder and Mead, for likelihoods with kinks."""

from __future__ import annotations

import math

import numpy as np

from etf_pipeline.core.risk.garch.likelihood import compiled, log_likelihood, residuals, variances
from etf_pipeline.core.risk.garch.transform import to_natural

_STEPS = 80
_RESTARTS = 3


@compiled
def _value(
    u: np.ndarray,
    model: tuple[int, int, int],
    y: np.ndarray,
    first: int,
    last: int,
    start: float,
    target: float,
    work: np.ndarray,
    theta: np.ndarray,
) -> float:
    to_natural(u, model, target, theta)
    residuals(theta, y, first, last, model[2], work)
    variances(theta, model[0], last - first, start, work)
    value = -log_likelihood(theta, model[1], last - first, work)
    return value if math.isfinite(value) else np.inf


@compiled
def polish(
    u: np.ndarray,
    model: tuple[int, int, int],
    y: np.ndarray,
    first: int,
    last: int,
    start: float,
    target: float,
    work: np.ndarray,
) -> None:
    """Improve the free vector ``u`` in place; at most 80 steps a parameter, from three simplices.

    A step evaluates once or twice; a shrinking one, which is rare, once more for every parameter.

    Notes
    -----
    Nelder and Mead (1965), with the usual coefficients: reflection 1, expansion 2, contraction and shrinking 1/2.
    """
    k = len(u)
    points, values = np.zeros((k + 1, k)), np.zeros(k + 1)
    centre, trial, other = np.zeros(k), np.zeros(k), np.zeros(k)
    theta = np.zeros(7)
    for restart in range(_RESTARTS):
        size = (0.3, 0.1, 0.03)[restart]
        for i in range(k + 1):
            for j in range(k):
                points[i, j] = u[j]
            if i > 0:
                points[i, i - 1] += size
            values[i] = _value(points[i], model, y, first, last, start, target, work, theta)
        for _ in range(_STEPS * k // _RESTARTS):
            best, worst, second = 0, 0, 0
            for i in range(1, k + 1):
                if values[i] < values[best]:
                    best = i
                if values[i] > values[worst]:
                    worst = i
            second = best
            for i in range(k + 1):
                if i != worst and values[i] > values[second]:
                    second = i
            if values[worst] - values[best] < 1e-8:
                break
            for j in range(k):
                centre[j] = 0.0
                for i in range(k + 1):
                    if i != worst:
                        centre[j] += points[i, j] / k
                trial[j] = 2.0 * centre[j] - points[worst, j]
            value = _value(trial, model, y, first, last, start, target, work, theta)
            if value < values[second]:
                if value < values[best]:
                    for j in range(k):
                        other[j] = 2.0 * trial[j] - centre[j]
                    further = _value(other, model, y, first, last, start, target, work, theta)
                    if further < value:
                        value = further
                        for j in range(k):
                            trial[j] = other[j]
                _replace(points[worst], trial)
                values[worst] = value
                continue
            inside = value >= values[worst]
            for j in range(k):
                far = points[worst, j] if inside else trial[j]
                other[j] = 0.5 * (centre[j] + far)
            closer = _value(other, model, y, first, last, start, target, work, theta)
            if closer < min(value, values[worst]):
                _replace(points[worst], other)
                values[worst] = closer
                continue
            for i in range(k + 1):
                if i != best:
                    for j in range(k):
                        points[i, j] = 0.5 * (points[i, j] + points[best, j])
                    values[i] = _value(points[i], model, y, first, last, start, target, work, theta)
        best = 0
        for i in range(1, k + 1):
            if values[i] < values[best]:
                best = i
        _replace(u, points[best])


@compiled
def _replace(into: np.ndarray, by: np.ndarray) -> None:
    for j in range(len(into)):
        into[j] = by[j]
