"""Log-likelihood of the GARCH family and its gradient, in one pass forward and one back.

The gradient is the adjoint of the variance recursion: the derivative with respect to every parameter, those of the
mean included, for about the price of a second evaluation, and exact. Logarithms are taken of products of
sixteen variances, which costs one logarithm instead of sixteen. Where no variance meets a bound, the linear recursions
run four steps at a time (``linear_recursion``), and everything else is a plain sum over arrays.

Natural parameters stand in seven slots whatever the model: mu, phi, omega, alpha, gamma, beta, nu. Unused ones are 0.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

GARCH, GJR, EGARCH = 0, 1, 2
NORMAL, STUDENT_T = 0, 1
ZERO_MEAN, CONSTANT_MEAN, AR1_MEAN = 0, 1, 2
MU, PHI, OMEGA, ALPHA, GAMMA, BETA, NU = range(7)
PARAMETERS = ("mu", "phi", "omega", "alpha", "gamma", "beta", "nu")

MEAN_ABSOLUTE_NORMAL = math.sqrt(2.0 / math.pi)
_LOG_2PI = math.log(2.0 * math.pi)
_LOG_VARIANCE_MAX = 700.0
_BLOCK = 16

# Rows of the work space.
VARIANCE, RESIDUAL, PASSED, BY_VARIANCE, BY_RESIDUAL, LOWER, UPPER, LEVEL, ROOT = range(9)
DRIVE, ADJOINT = LEVEL, ROOT  # what EGARCH does not need them for
WORK_ROWS = 9

compiled = njit(cache=True, nogil=True, error_model="numpy")
# Sums may be taken in any order: their order is fixed when they are compiled, whatever the number of workers.
summed = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})


@compiled
def digamma(x: float) -> float:
    """Derivative of log gamma, x > 0: upward recurrence, then the asymptotic series (Abramowitz-Stegun 6.3.18)."""
    shift = 0.0
    while x < 8.0:
        shift -= 1.0 / x
        x += 1.0
    inverse = 1.0 / (x * x)
    series = inverse * (
        1.0 / 12.0
        - inverse * (1.0 / 120.0 - inverse * (1.0 / 252.0 - inverse * (1.0 / 240.0 - inverse / 132.0)))
    )
    return shift + math.log(x) - 0.5 / x - series


@compiled
def residuals(theta: np.ndarray, y: np.ndarray, first: int, last: int, mean: int, work: np.ndarray) -> None:
    """Residuals of the mean equation for the observations first..last-1 into the work space, from position 0."""
    e = work[RESIDUAL]
    mu, phi = theta[MU], theta[PHI]
    if mean == AR1_MEAN:
        for t in range(first, last):
            e[t - first] = y[t] - mu - phi * y[t - 1]
    else:
        for t in range(first, last):
            e[t - first] = y[t] - mu


@compiled
def bound(variance: float, lower: float, upper: float) -> tuple[float, float]:
    """The variance kept between its bounds, and the derivative of what it became by what it was."""
    if variance < lower:
        return lower, 0.0
    if variance > upper:
        return upper + math.log(variance / upper), 1.0 / variance
    return variance, 1.0


@compiled
def linear_recursion(drive: np.ndarray, beta: float, x: float, n: int, out: np.ndarray) -> None:
    """``out[0] = x``, then ``out[t + 1] = drive[t] + beta * out[t]`` up to n - 1.

    Four steps at a time, all four from the first: the processor need not wait for one to begin the next. The last steps
    are taken the same way, so that a value does not depend on how many come after it.
    """
    second, third = beta * beta, beta * beta * beta
    fourth = second * second
    out[0] = x
    full = (n - 1) // 4 * 4
    for t in range(0, full, 4):
        one = drive[t]
        two = drive[t + 1] + beta * one
        three = drive[t + 2] + beta * two
        four = drive[t + 3] + beta * three
        out[t + 1] = one + beta * x
        out[t + 2] = two + second * x
        out[t + 3] = three + third * x
        x = four + fourth * x
        out[t + 4] = x
    gathered, power = 0.0, 1.0
    for t in range(full, n - 1):
        gathered = drive[t] + beta * gathered if t > full else drive[t]
        power = beta if t == full else (second if t == full + 1 else third)
        out[t + 1] = gathered + power * x


@summed
def _drive(omega: float, alpha: float, down: float, n: int, work: np.ndarray) -> None:
    e, drive = work[RESIDUAL], work[DRIVE]
    for t in range(n):
        r = e[t]
        drive[t] = omega + (down if r < 0.0 else alpha) * (r * r)


@summed
def _count_beyond_bounds(n: int, work: np.ndarray) -> int:
    s, lower, upper, passed = work[VARIANCE], work[LOWER], work[UPPER], work[PASSED]
    beyond = 0
    for t in range(n):
        beyond += 0 if (s[t] >= lower[t]) & (s[t] <= upper[t]) else 1
        passed[t] = 1.0
    return beyond


@compiled
def variances(theta: np.ndarray, volatility: int, n: int, start: float, work: np.ndarray) -> bool:
    """Conditional variances of n observations from the residuals in the work space; whether any met a bound.

    ``start`` stands for the squared residual and variance before the first (EGARCH: its logarithm for the variance).
    """
    s, e, passed = work[VARIANCE], work[RESIDUAL], work[PASSED]
    lower, upper = work[LOWER], work[UPPER]
    omega, alpha, gamma, beta = theta[OMEGA], theta[ALPHA], theta[GAMMA], theta[BETA]
    if volatility == EGARCH:
        levels, roots = work[LEVEL], work[ROOT]
        level = omega + beta * math.log(start)
        for t in range(n):
            level = min(max(level, -_LOG_VARIANCE_MAX), _LOG_VARIANCE_MAX)
            root = math.exp(-0.5 * level)
            variance = 1.0 / (root * root)
            passed[t] = 1.0
            if variance < lower[t] or variance > upper[t]:
                free = variance
                variance, slope = bound(variance, lower[t], upper[t])
                passed[t] = slope * free / variance
                level = math.log(variance)
                root = 1.0 / math.sqrt(variance)
            s[t], levels[t], roots[t] = variance, level, root
            z = e[t] * root
            level = omega + alpha * (abs(z) - MEAN_ABSOLUTE_NORMAL) + gamma * z + beta * level
        return True
    first = omega + (alpha + 0.5 * gamma + beta) * start
    _drive(omega, alpha, alpha + gamma, n, work)
    drive = work[DRIVE]
    linear_recursion(drive, beta, first, n, s)
    if _count_beyond_bounds(n, work) == 0:
        return False
    # From the first one beyond on, one after the other: what comes before stays as it is.
    begin = 0
    while lower[begin] <= s[begin] <= upper[begin]:
        begin += 1
    variance = s[begin]
    for t in range(begin, n):
        if not lower[t] <= variance <= upper[t]:
            variance, passed[t] = bound(variance, lower[t], upper[t])
        s[t] = variance
        variance = drive[t] + beta * variance
    return True


@summed
def _log_of_product(values: np.ndarray, n: int) -> float:
    """Sum of the logarithms of the first n values."""
    logs = 0.0
    full = n // _BLOCK * _BLOCK
    for block in range(0, full, _BLOCK):
        product = 1.0
        for j in range(_BLOCK):
            product *= values[block + j]
        logs += math.log(product)
    product = 1.0
    for t in range(full, n):
        product *= values[t]
    return logs + math.log(product)


@summed
def log_likelihood(theta: np.ndarray, distribution: int, n: int, work: np.ndarray) -> float:
    """Sum of the log-densities of n residuals given their variances."""
    s, e, tails = work[VARIANCE], work[RESIDUAL], work[BY_VARIANCE]
    logs = _log_of_product(s, n)
    if distribution == NORMAL:
        total = 0.0
        for t in range(n):
            total += e[t] * e[t] / s[t]
        return -0.5 * (n * _LOG_2PI + logs + total)
    nu = theta[NU]
    scale = 1.0 / (nu - 2.0)
    for t in range(n):
        tails[t] = s[t] + e[t] * e[t] * scale
    tail = _log_of_product(tails, n) - logs
    return n * _student_constant(nu) - 0.5 * logs - 0.5 * (nu + 1.0) * tail


@compiled
def _student_constant(nu: float) -> float:
    return math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(math.pi * (nu - 2.0))


@summed
def _likelihood_and_weights(
    theta: np.ndarray, distribution: int, n: int, work: np.ndarray, gradient: np.ndarray
) -> float:
    """As ``log_likelihood``; also its derivatives by each variance and residual, and by nu."""
    s, e = work[VARIANCE], work[RESIDUAL]
    by_variance, by_residual = work[BY_VARIANCE], work[BY_RESIDUAL]
    logs = _log_of_product(s, n)
    if distribution == NORMAL:
        total = 0.0
        for t in range(n):
            inverse = 1.0 / s[t]
            ratio = e[t] * inverse
            by_residual[t] = -ratio
            by_variance[t] = 0.5 * (ratio * ratio - inverse)
            total += e[t] * ratio
        return -0.5 * (n * _LOG_2PI + logs + total)
    nu = theta[NU]
    scale = 1.0 / (nu - 2.0)
    half = 0.5 * (nu + 1.0)
    for t in range(n):
        by_variance[t] = s[t] + e[t] * e[t] * scale
    tails = _log_of_product(by_variance, n) - logs
    shrunk = 0.0
    for t in range(n):
        # One division for the inverses of the variance and of the variance with its tail.
        both = 1.0 / (s[t] * by_variance[t])
        ratio = e[t] * scale * s[t] * both
        share = e[t] * ratio
        by_residual[t] = -2.0 * half * ratio
        by_variance[t] = by_variance[t] * both * (half * share - 0.5)
        shrunk += share
    gradient[NU] = (
        n * (0.5 * digamma(half) - 0.5 * digamma(0.5 * nu) - 0.5 * scale)
        - 0.5 * tails
        + half * shrunk * scale
    )
    return n * _student_constant(nu) - 0.5 * logs - half * tails


@summed
def _gather(alpha: float, down: float, n: int, start: float, work: np.ndarray, gradient: np.ndarray) -> None:
    """What the adjoints of GARCH's and GJR's variances say of the parameters and, added, of the residuals."""
    s, e, adjoint, by_residual = work[VARIANCE], work[RESIDUAL], work[ADJOINT], work[BY_RESIDUAL]
    omega, rise, fall, beta = adjoint[n - 1], 0.0, 0.0, 0.0
    for t in range(n - 1):
        r, after = e[t], adjoint[t + 1]
        square = after * (r * r)
        omega += adjoint[t]
        rise += square
        fall += square if r < 0.0 else 0.0
        beta += after * s[t]
        by_residual[t] += 2.0 * after * r * (down if r < 0.0 else alpha)
    first = adjoint[0] * start
    gradient[OMEGA], gradient[ALPHA] = omega, rise + first
    gradient[GAMMA], gradient[BETA] = fall + 0.5 * first, beta + first


@summed
def _gather_mean(
    y: np.ndarray, first: int, n: int, mean: int, work: np.ndarray, gradient: np.ndarray
) -> None:
    by_residual = work[BY_RESIDUAL]
    g_mu, g_phi = 0.0, 0.0
    for t in range(n):
        g_mu -= by_residual[t]
    if mean == AR1_MEAN:
        for t in range(n):
            g_phi -= by_residual[t] * y[first + t - 1]
    gradient[MU], gradient[PHI] = g_mu, g_phi


@compiled
def likelihood_and_gradient(
    theta: np.ndarray,
    model: tuple[int, int, int],
    y: np.ndarray,
    first: int,
    last: int,
    start: float,
    work: np.ndarray,
    gradient: np.ndarray,
) -> float:
    """Log-likelihood of y[first:last] and its gradient by the natural parameters.

    Parameters
    ----------
    theta : (7,) natural parameters.
    model : volatility, distribution, mean.
    y : (T,) returns without NaN; an AR(1) mean also reads ``y[first - 1]``.
    start : variance before the first observation, a constant of the fit.
    work : (9, >= last - first), with lower and upper bounds of the variances filled in.
    gradient : (7,), overwritten.
    """
    volatility, distribution, mean = model
    n = last - first
    for i in range(7):
        gradient[i] = 0.0
    residuals(theta, y, first, last, mean, work)
    bounded = variances(theta, volatility, n, start, work)
    value = _likelihood_and_weights(theta, distribution, n, work, gradient)
    s, e, passed = work[VARIANCE], work[RESIDUAL], work[PASSED]
    by_variance, by_residual = work[BY_VARIANCE], work[BY_RESIDUAL]
    alpha, gamma, beta = theta[ALPHA], theta[GAMMA], theta[BETA]
    adjoint = 0.0
    if volatility == EGARCH:
        g_omega, g_alpha, g_gamma, g_beta = 0.0, 0.0, 0.0, 0.0
        levels, roots = work[LEVEL], work[ROOT]
        for t in range(n - 1, -1, -1):
            z = e[t] * roots[t]
            sign = 1.0 if z > 0.0 else (-1.0 if z < 0.0 else 0.0)
            news = alpha * sign + gamma
            by_residual[t] += adjoint * news * roots[t]
            adjoint = passed[t] * (s[t] * by_variance[t] + adjoint * (beta - 0.5 * news * z))
            g_omega += adjoint
            if t > 0:
                before = e[t - 1] * roots[t - 1]
                g_alpha += adjoint * (abs(before) - MEAN_ABSOLUTE_NORMAL)
                g_gamma += adjoint * before
                g_beta += adjoint * levels[t - 1]
            else:
                g_beta += adjoint * math.log(start)
        gradient[OMEGA], gradient[ALPHA], gradient[GAMMA], gradient[BETA] = g_omega, g_alpha, g_gamma, g_beta
    else:
        adjoints = work[ADJOINT]
        if bounded:
            for t in range(n - 1, -1, -1):
                adjoint = passed[t] * (by_variance[t] + beta * adjoint)
                adjoints[t] = adjoint
        else:
            linear_recursion(by_variance[n - 2 :: -1], beta, by_variance[n - 1], n, adjoints[n - 1 :: -1])
        _gather(alpha, alpha + gamma, n, start, work, gradient)
    if mean != ZERO_MEAN:
        _gather_mean(y, first, n, mean, work, gradient)
    return value
