"""Maximum likelihood of one window: starts from a coarse grid, then BFGS with the exact gradient."""

from __future__ import annotations

import math

import numpy as np

from etf_pipeline.core.risk.garch.likelihood import (
    ALPHA,
    BETA,
    EGARCH,
    GAMMA,
    GJR,
    NU,
    OMEGA,
    STUDENT_T,
    compiled,
    likelihood_and_gradient,
    log_likelihood,
    residuals,
    variances,
)
from etf_pipeline.core.risk.garch.transform import chain, free_parameters, to_free, to_natural

MAX_ITERATIONS = 80
SCREENING = 5
"""Iterations every start is given; the best go on."""
HOPELESS = 4.0
"""A start that is then so far in log-likelihood below the best optimum found is given up."""

QUICK, THOROUGH, WIDE, EXHAUSTIVE = 0, 1, 2, 3
SATURATED = 8.0  # a logistic so near its border that the search would not come back
_LARGEST_STEP = 2.0
_PROBE = 1e-4  # step down the slope that shows its curvature
_DOUBT = 200.0
"""Where the slope alone promises this times half the tolerance, an inverse Hessian that promises none is wrong."""


@compiled
def _evaluate(
    u: np.ndarray,
    model: tuple[int, int, int],
    y: np.ndarray,
    first: int,
    last: int,
    start: float,
    target: float,
    work: np.ndarray,
    theta: np.ndarray,
    natural: np.ndarray,
    free: np.ndarray,
) -> float:
    """Negative log-likelihood at ``u`` and its gradient into ``free``; infinite where it is not a number."""
    to_natural(u, model, target, theta)
    value = likelihood_and_gradient(theta, model, y, first, last, start, work, natural)
    chain(u, model, target, theta, natural, free)
    if not math.isfinite(value):
        return np.inf
    for i in range(len(u)):
        free[i] = -free[i]
        if not math.isfinite(free[i]):
            return np.inf
    return -value


@compiled
def minimise(
    u: np.ndarray,
    inverse: np.ndarray,
    model: tuple[int, int, int],
    y: np.ndarray,
    first: int,
    last: int,
    start: float,
    target: float,
    work: np.ndarray,
    tolerance: float,
    iterations: int,
) -> tuple[float, bool]:
    """BFGS from ``u``, which is overwritten by the optimum, as ``inverse`` is by the inverse Hessian there.

    Parameters
    ----------
    inverse : (K, K), the first guess of the inverse Hessian; all zero for none.
    tolerance : stops when a step promises less than this in log-likelihood, and the slope not much more.

    Returns
    -------
    log-likelihood at the optimum, and whether the tolerance was reached.
    """
    k = len(u)
    theta, natural = np.zeros(7), np.zeros(7)
    gradient, new_gradient = np.zeros(k), np.zeros(k)
    step, candidate, change, product = np.zeros(k), np.zeros(k), np.zeros(k), np.zeros(k)
    value = _evaluate(u, model, y, first, last, start, target, work, theta, natural, gradient)
    if not math.isfinite(value):
        return -np.inf, False
    fresh = inverse[0, 0] == 0.0
    idle = 0
    if fresh:
        _scaled_identity(inverse, 1.0 / (last - first))
    for _ in range(iterations):
        promised, longest = 0.0, 0.0
        for i in range(k):
            step[i] = 0.0
            for j in range(k):
                step[i] -= inverse[i, j] * gradient[j]
            promised -= step[i] * gradient[i]
            longest = max(longest, abs(step[i]))
        if not promised > 0.0:
            if fresh:
                return -value, False
            _scaled_identity(inverse, 1.0 / (last - first))
            fresh = True
            continue
        if promised < 2.0 * tolerance:
            # A damaged inverse, last month's perhaps, promises nothing anywhere: look down the slope itself.
            slope, along = 0.0, 0.0
            for i in range(k):
                slope += gradient[i] * gradient[i]
            slope = math.sqrt(slope)
            if fresh or not slope > 0.0:
                return -value, True
            for i in range(k):
                candidate[i] = u[i] - _PROBE * gradient[i] / slope
            _evaluate(candidate, model, y, first, last, start, target, work, theta, natural, new_gradient)
            for i in range(k):
                along += new_gradient[i] * gradient[i] / slope
            if _PROBE * slope * slope < _DOUBT * tolerance * (slope - along):
                return -value, True
            _scaled_identity(inverse, 1.0 / (last - first))
            fresh = True
            continue
        scale = min(1.0, _LARGEST_STEP / longest)
        found = False
        for _attempt in range(30):
            for i in range(k):
                candidate[i] = u[i] + scale * step[i]
            new_value = _evaluate(
                candidate, model, y, first, last, start, target, work, theta, natural, new_gradient
            )
            if new_value <= value - 1e-4 * scale * promised:
                found = True
                break
            # The minimum of the parabola through value, slope and the new value.
            shrink = 0.1
            if math.isfinite(new_value):
                rise = new_value - value + scale * promised
                if rise > 0.0:
                    shrink = 0.5 * scale * promised / rise
            scale *= min(max(shrink, 0.1), 0.5)
        if not found:
            if fresh:
                # Rounding leaves nothing to gain along the steepest descent.
                return -value, promised < 1e-3
            _scaled_identity(inverse, 1.0 / (last - first))
            fresh = True
            continue
        curvature, weight = 0.0, 0.0
        for i in range(k):
            change[i] = new_gradient[i] - gradient[i]
            curvature += change[i] * scale * step[i]
        if curvature > 1e-12:
            if fresh:
                squared = 0.0
                for i in range(k):
                    squared += change[i] * change[i]
                _scaled_identity(inverse, curvature / squared)
            for i in range(k):
                product[i] = 0.0
                for j in range(k):
                    product[i] += inverse[i, j] * change[j]
                weight += change[i] * product[i]
            for i in range(k):
                for j in range(k):
                    si, sj = scale * step[i], scale * step[j]
                    inverse[i, j] += (1.0 + weight / curvature) * si * sj / curvature - (
                        product[i] * sj + si * product[j]
                    ) / curvature
            fresh = False
        for i in range(k):
            u[i] = candidate[i]
            gradient[i] = new_gradient[i]
        idle = idle + 1 if value - new_value < 1e-7 else 0
        value = new_value
        if idle == 4:
            # A kink: steps no longer gain what the slope promises.
            return -value, promised < 1e-3
    return -value, False


@compiled
def _scaled_identity(matrix: np.ndarray, scale: float) -> None:
    for i in range(len(matrix)):
        for j in range(len(matrix)):
            matrix[i, j] = scale if i == j else 0.0


_LEVELS = 5
_NEWS = 3


@compiled
def _grid_point(
    level: int, place: int, model: tuple[int, int, int], nu: float, target: float, theta: np.ndarray
) -> None:
    """Fill the variance parameters of a grid point; the last level is a variance that drifts, hardly moved by news."""
    volatility, distribution, _ = model
    news = (0.03, 0.08, 0.2)[place] if level < 4 else (0.0001, 0.003, 0.02)[place]
    if volatility == EGARCH:
        beta = (0.5, 0.85, 0.95, 0.985, 0.998)[level]
        theta[BETA], theta[ALPHA], theta[GAMMA] = beta, 2.0 * news, -0.5 * news
        if level == _LEVELS - 1 and place == 0:
            theta[ALPHA], theta[GAMMA] = -0.06, 0.0  # calmer after large moves: it happens
        theta[OMEGA] = (1.0 - beta) * math.log(target)
    else:
        persistence = (0.4, 0.85, 0.96, 0.99, 0.99999)[level]
        theta[BETA], theta[ALPHA], theta[GAMMA] = persistence - news, news, 0.0
        if volatility == GJR:
            theta[ALPHA], theta[GAMMA] = 0.6 * news, 0.8 * news
        theta[OMEGA] = target * max(1.0 - persistence, 0.001)
    if distribution == STUDENT_T:
        theta[NU] = nu


_CORNERS = 8


@compiled
def _corner(corner: int, model: tuple[int, int, int], target: float, theta: np.ndarray) -> None:
    """Fill the variance parameters of a start near a border, where a short or thinly traded fund may have its optimum.

    GARCH and GJR: a variance that decays unmoved by news, one without memory but the last news, one that only gains
    or only losses move, one at its floor, a heavy tail upon a large variance. EGARCH: calmer after large moves.
    """
    volatility, distribution, _ = model
    nu = (6.0, 6.0, 4.0, 4.0, 2.06, 2.06, 2.2, 12.0)[corner]
    if volatility == EGARCH:
        beta = (0.99, 0.99, 0.95, 0.95, 0.98, 0.98, 0.9, 0.6)[corner]
        theta[BETA] = beta
        theta[ALPHA] = (-0.05, -0.1, -0.2, -0.1, -0.2, 0.2, 0.4, 0.6)[corner]
        theta[GAMMA] = (0.0, -0.01, -0.07, 0.05, 0.2, -0.1, 0.2, -0.2)[corner]
        theta[OMEGA] = (1.0 - beta) * math.log(target)
    else:
        news = (1e-7, 0.2, 0.1, 0.1, 1e-7, 0.6, 0.05, 0.35)[corner]
        memory = (0.995, 1e-4, 0.78, 0.78, 1e-4, 1e-4, 0.95, 0.4)[corner]
        gains = (0.5, 0.2, 0.999, 0.001, 0.5, 0.5, 0.05, 0.95)[corner]
        level = (1e-5, 0.8, 0.1, 0.1, 1e-7, 3.0, 1e-6, 0.3)[corner]
        theta[BETA], theta[ALPHA], theta[GAMMA] = memory, news, 0.0
        if volatility == GJR:
            theta[ALPHA], theta[GAMMA] = 2.0 * news * gains, 2.0 * news * (1.0 - 2.0 * gains)
        theta[OMEGA] = level * target
    if distribution == STUDENT_T:
        theta[NU] = nu


@compiled
def is_thin(y: np.ndarray, first: int, last: int, target: float) -> bool:
    """Whether more than a tenth of the returns are next to nothing: a fund that often does not trade.

    The likelihood of such a series has several maxima, and kinks where the mean meets the many zeros.
    """
    small, limit = 0, 0.02 * math.sqrt(target)
    for t in range(first, last):
        if abs(y[t]) < limit:
            small += 1
    return small > 0.1 * (last - first)


@compiled
def _starts(
    model: tuple[int, int, int],
    y: np.ndarray,
    first: int,
    last: int,
    start: float,
    target: float,
    mean_theta: np.ndarray,
    work: np.ndarray,
    effort: int,
    starts: np.ndarray,
) -> int:
    """Fill the rows of ``starts`` with free vectors to climb from; returns how many.

    QUICK: of each persistence the best news, of these the two best. THOROUGH: the three best, and every drifting variance.
    WIDE: all there are, also with a heavy tail and with mean zero. EXHAUSTIVE: the corners, too (see ``_corner``).
    """
    volatility, distribution, mean = model
    n, count = last - first, 0
    theta = np.zeros(7)
    if effort == EXHAUSTIVE:
        for corner in range(_CORNERS):
            for i in range(7):
                theta[i] = mean_theta[i]
            _corner(corner, model, target, theta)
            to_free(theta, model, target, starts[count])
            count += 1
    values, places = np.zeros(_LEVELS), np.zeros(_LEVELS, dtype=np.int64)
    variants = 1
    if effort >= WIDE:
        variants = (2 if distribution == STUDENT_T else 1) * (2 if mean != 0 else 1)
    for variant in range(variants):
        nu = 2.3 if distribution == STUDENT_T and variant % 2 == 1 else 6.0
        zero = variant > 0 and (distribution != STUDENT_T or variant > 1)
        if zero and nu > 3.0 and distribution == STUDENT_T:
            continue  # many zeros go with a heavy tail
        for i in range(7):
            theta[i] = 0.0 if zero else mean_theta[i]
        residuals(theta, y, first, last, mean, work)
        for level in range(_LEVELS):
            values[level] = -np.inf
            for place in range(_NEWS):
                _grid_point(level, place, model, nu, target, theta)
                variances(theta, volatility, n, start, work)
                value = log_likelihood(theta, distribution, n, work)
                if value > values[level]:
                    values[level], places[level] = value, place
        for level in range(_LEVELS):
            better = 0
            for other in range(_LEVELS - 1):
                if values[other] > values[level]:
                    better += 1
            drifts = level == _LEVELS - 1
            for place in range(_NEWS):
                best = not drifts and better < 2 + min(effort, 1) and place == places[level]
                if effort >= WIDE or best or (drifts and effort == THOROUGH):
                    _grid_point(level, place, model, nu, target, theta)
                    to_free(theta, model, target, starts[count])
                    count += 1
    return count


@compiled
def fit_fresh(
    model: tuple[int, int, int],
    y: np.ndarray,
    first: int,
    last: int,
    start: float,
    target: float,
    mean_theta: np.ndarray,
    work: np.ndarray,
    tolerance: float,
    effort: int,
    u: np.ndarray,
    inverse: np.ndarray,
) -> tuple[float, bool]:
    """Maximum likelihood from several starts; the optimum and the inverse Hessian there into u and inverse.

    Every start (see ``_starts`` for ``effort``) is climbed from for a few iterations, the best to the end, the best of all
    once more from off the borders.
    """
    k = free_parameters(model)
    starts = np.zeros((_CORNERS + 4 * _LEVELS * _NEWS + 1, k))
    count = _starts(model, y, first, last, start, target, mean_theta, work, effort, starts)
    values = np.full(len(starts), -np.inf)
    inverses = np.zeros((len(starts), k, k))
    to_finish = min(count, (2, 3, 8, 16)[effort])
    top, converged, last_climb = -np.inf, False, count + to_finish
    for climb in range(last_climb + 1):
        if climb < count:
            at, iterations = climb, SCREENING
        elif climb < last_climb:
            at, iterations = 0, MAX_ITERATIONS
            for other in range(1, count):
                if values[other] > values[at]:
                    at = other
            if values[at] < top - HOPELESS:
                continue
        else:
            at, iterations = count, MAX_ITERATIONS
            stuck = False
            for i in range(k):
                stuck = stuck or abs(u[i]) > SATURATED
                starts[at, i] = min(max(u[i], -SATURATED), SATURATED)
            if not stuck:
                break
        value, reached = minimise(
            starts[at], inverses[at], model, y, first, last, start, target, work, tolerance, iterations
        )
        values[at] = value if climb < count else -np.inf
        if climb >= count and value > top:
            top, converged = value, reached
            for i in range(k):
                u[i] = starts[at, i]
                for j in range(k):
                    inverse[i, j] = inverses[at, i, j]
    return top, converged
