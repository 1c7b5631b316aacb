"""Compiled filter and likelihood of a regression on one variable whose slope is a random walk.

``y_i = b_i x_i + e_i``, ``b_i = b_{i-1} + w_i``, var e = s, var w = s q a session. Everything is a function of the
ratio q once s is concentrated out, and the filter runs in units of s. Observations are listed without their gaps;
``gap[i]`` is the number of sessions from observation i-1 to i, over which the slope wanders on.

The slope starts diffuse: nothing is known of it before the first x that is not zero, which then determines it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

CANDIDATES = 16
"""Ratios that one pass over the data evaluates side by side: as long as one, since a division takes its time."""
LARGEST_RATIO = 1e3
RULED_OUT = 12.0
"""A ratio whose deviance exceeds the least by more than this has no part in the error of the slope."""
_REFINEMENTS = 2
_ACCURATE = 1e100  # products of prediction variances are logged before they leave this range
_LOG_TWO_PI = np.log(2.0 * np.pi)


@njit(cache=True, nogil=True, error_model="numpy")
def first_informative(x: np.ndarray) -> int:
    """Index of the first x that is not zero, or the length."""
    for i in range(len(x)):
        if x[i] != 0.0:
            return i
    return len(x)


@njit(cache=True, nogil=True, error_model="numpy")
def deviances(
    y: np.ndarray, x: np.ndarray, gap: np.ndarray, q: np.ndarray, state: np.ndarray, out: np.ndarray
) -> None:
    """(n - 1) log s + sum of log F for each of the ascending ratios q: least where the likelihood is greatest.

    ``state`` is (4, CANDIDATES) scratch: slope, its variance, squares of innovations, product of F.
    """
    n = len(y)
    begin = first_informative(x)
    early = 0.0
    for i in range(begin):
        early += y[i] * y[i]
    for k in range(CANDIDATES):
        state[0, k] = y[begin] / x[begin]
        state[1, k] = 1.0 / (x[begin] * x[begin])
        state[2, k] = early
        state[3, k] = 1.0
        out[k] = 0.0
    for i in range(begin + 1, n):
        xi = x[i]
        yi = y[i]
        square = xi * xi
        sessions = gap[i]
        for k in range(CANDIDATES):
            p = state[1, k] + q[k] * sessions
            f = p * square + 1.0
            inverse = 1.0 / f
            v = yi - xi * state[0, k]
            state[2, k] += v * v * inverse
            state[0, k] += p * xi * v * inverse
            state[1, k] = p * inverse
            state[3, k] *= f
        if state[3, CANDIDATES - 1] > _ACCURATE:  # the largest q has the largest F throughout
            for k in range(CANDIDATES):
                out[k] += np.log(state[3, k])
                state[3, k] = 1.0
    for k in range(CANDIDATES):
        out[k] += np.log(state[3, k]) + (n - 1) * np.log(state[2, k])


@njit(cache=True, nogil=True, error_model="numpy")
def filter_slope(
    y: np.ndarray, x: np.ndarray, gap: np.ndarray, q: float, slope: np.ndarray, variance: np.ndarray
) -> tuple[float, float]:
    """Filtered slope and its variance, in units of s, at every observation.

    Returns the sum of squared standardised innovations and the sum of log F. NaN before the diffuse start.
    """
    n = len(y)
    begin = first_informative(x)
    squares = 0.0
    for i in range(begin):
        squares += y[i] * y[i]
        slope[i] = np.nan
        variance[i] = np.nan
    if begin == n:
        return squares, 0.0
    b = y[begin] / x[begin]
    p = 1.0 / (x[begin] * x[begin])
    slope[begin] = b
    variance[begin] = p
    product = 1.0
    logs = 0.0
    for i in range(begin + 1, n):
        p += q * gap[i]
        f = p * x[i] * x[i] + 1.0
        v = y[i] - x[i] * b
        squares += v * v / f
        b += p * x[i] * v / f
        p /= f
        slope[i] = b
        variance[i] = p
        product *= f
        if product > _ACCURATE:
            logs += np.log(product)
            product = 1.0
    return squares, logs + np.log(product)


@njit(cache=True, nogil=True, error_model="numpy")
def fit_ratio(y: np.ndarray, x: np.ndarray, gap: np.ndarray, scratch: np.ndarray) -> float:
    """The ratio q >= 0 of greatest likelihood, with q = 0 (a constant slope) where nothing beats it.

    A grid over all orders of magnitude, two refinements between the best point's neighbours, and the vertex of a
    parabola in log q. ``scratch`` is (6, CANDIDATES).
    """
    n = len(y)
    q = scratch[0]
    loss = scratch[1]
    state = scratch[2:]
    scale = 0.0
    for i in range(n):
        scale += x[i] * x[i]
    scale /= n
    # Below the lowest ratio a slope wanders too little in n sessions for the likelihood to tell.
    low = np.log(0.01 / (float(n) * n) / scale)
    high = np.log(LARGEST_RATIO / scale)
    left = low - (high - low) / (CANDIDATES - 2)
    right = high
    constant = 0.0
    for refinement in range(_REFINEMENTS + 1):
        step = (right - left) / (CANDIDATES - 1)
        for k in range(CANDIDATES):
            q[k] = np.exp(left + step * k)
        if refinement == 0:
            q[0] = 0.0
        deviances(y, x, gap, q, state, loss)
        best = 0
        for k in range(1, CANDIDATES):
            if loss[k] < loss[best]:
                best = k
        if refinement == 0:
            constant = loss[0]
            if best == 0:
                return 0.0
        middle = left + step * best
        left = middle - step
        right = min(middle + step, high)
    if loss[best] >= constant:
        return 0.0
    if best == 0 or best == CANDIDATES - 1:
        return q[best]
    bend = loss[best - 1] - 2.0 * loss[best] + loss[best + 1]
    if not bend > 0.0:
        return q[best]
    return np.exp(middle + 0.5 * step * (loss[best - 1] - loss[best + 1]) / bend)


@njit(cache=True, nogil=True, error_model="numpy")
def plausible_ratios(
    y: np.ndarray, x: np.ndarray, gap: np.ndarray, fitted: float, scratch: np.ndarray, weight: np.ndarray
) -> None:
    """Ratios that the likelihood does not rule out, and how plausible each is, for the error of the filtered slope.

    Fills ``weight`` (CANDIDATES,), which sums to one, and ``scratch`` as ``deviances`` leaves it at the end of the
    data: its rows are ratio, deviance, slope, the slope's variance, squares of innovations, product of F.

    With the prior ds / s on the observation variance the posterior of q is exp(-deviance / 2) times its prior. That
    is uniform in the size of a step, sqrt(q), so the ratios are evenly spaced in it, around ``fitted`` as far as the
    deviance stays within ``RULED_OUT`` of the least.
    """
    n = len(y)
    q = scratch[0]
    loss = scratch[1]
    state = scratch[2:]
    scale = 0.0
    for i in range(n):
        scale += x[i] * x[i]
    scale /= n
    least = np.sqrt(0.01 / (float(n) * n) / scale)
    low = 0.0
    high = max(np.sqrt(fitted), least)
    # Twofold steps up and down, then even ones between the last that count.
    q[0] = 0.0
    for k in range(1, CANDIDATES):
        q[k] = (high * 2.0 ** (k - 5.0)) ** 2
    if fitted == 0.0:
        for k in range(1, CANDIDATES):
            q[k] = (least * 2.0**k) ** 2
    deviances(y, x, gap, q, state, loss)
    best = 0
    for k in range(1, CANDIDATES):
        if loss[k] < loss[best]:
            best = k
    last = CANDIDATES - 1
    for k in range(CANDIDATES - 1, best, -1):
        if loss[k] > loss[best] + RULED_OUT:
            last = k
    for k in range(best):
        if loss[k] > loss[best] + RULED_OUT:
            low = np.sqrt(q[k])
    high = np.sqrt(q[last])
    for k in range(CANDIDATES):
        q[k] = (low + (high - low) * k / (CANDIDATES - 1.0)) ** 2
    deviances(y, x, gap, q, state, loss)
    best = 0
    for k in range(1, CANDIDATES):
        if loss[k] < loss[best]:
            best = k
    total = 0.0
    for k in range(CANDIDATES):
        weight[k] = np.exp(0.5 * (loss[best] - loss[k]))
        if k == 0 or k == CANDIDATES - 1:
            weight[k] *= 0.5  # the trapezoidal rule
        total += weight[k]
    for k in range(CANDIDATES):
        weight[k] /= total


@njit(cache=True, nogil=True, error_model="numpy")
def log_likelihood(squares: float, logs: float, n: int, first_x: float, s: float) -> float:
    """Exact diffuse log-likelihood from what ``filter_slope`` returns, at observation variance s."""
    return -0.5 * (n * _LOG_TWO_PI + np.log(first_x * first_x) + logs + (n - 1) * np.log(s) + squares / s)


@njit(cache=True, nogil=True, error_model="numpy")
def walk_forward(
    funds: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    usable: np.ndarray,
    serves: np.ndarray,
    refit_rows: np.ndarray,
    window: int,
    min_observations: int,
    flat: float,
    beta: np.ndarray,
    error: np.ndarray,
    fits: np.ndarray,
) -> None:
    """Fit at each of ``refit_rows`` on the window that ends there, then filter on until the next.

    ``fits`` is (4, R, N): observation variance, state variance, log-likelihood, observations.

    ``error`` is that of the slope about its truth when the ratio is not known either (Hamilton 1986): over the
    plausible ratios, the mean of the filter's variance and of the squared distance of its slope from ``beta``.
    """
    rows = y.shape[0]
    step = 1 if x.shape[1] > 1 else 0
    row = np.empty(rows, dtype=np.int64)
    xs = np.empty(rows)
    ys = np.empty(rows)
    gap = np.empty(rows)
    dx = np.empty(window)
    dy = np.empty(window)
    slope = np.empty(window)
    variance = np.empty(window)
    scratch = np.empty((6, CANDIDATES))
    plausible = np.empty((6, CANDIDATES))
    ratio, slopes, variances, scales = plausible[0], plausible[2], plausible[3], plausible[4]
    weight = np.zeros(CANDIDATES)
    for j in funds:
        known = 0
        for t in range(rows):
            if usable[t, j]:
                row[known] = t
                xs[known] = x[t, j * step]
                ys[known] = y[t, j]
                gap[known] = t - row[known - 1] if known else 1.0
                known += 1
        low = 0
        high = 0
        for r in range(len(refit_rows)):
            begin = refit_rows[r]
            end = refit_rows[r + 1] if r + 1 < len(refit_rows) else rows
            while high < known and row[high] <= begin:
                high += 1
            while low < high and row[low] <= begin - window:
                low += 1
            n = high - low
            fits[3, r, j] = n
            if n < min_observations:
                continue
            mean_x = mean_y = 0.0
            for i in range(low, high):
                mean_x += xs[i]
                mean_y += ys[i]
            mean_x /= n
            mean_y /= n
            sxx = sxy = syy = raw_xx = raw_yy = 0.0
            for i in range(n):
                dx[i] = xs[low + i] - mean_x
                dy[i] = ys[low + i] - mean_y
                sxx += dx[i] * dx[i]
                sxy += dx[i] * dy[i]
                syy += dy[i] * dy[i]
                raw_xx += xs[low + i] * xs[low + i]
                raw_yy += ys[low + i] * ys[low + i]
            if sxx <= flat * raw_xx:
                continue
            # A constant slope has closed forms; the filter runs only where the slope was found to move.
            q = 0.0
            b = sxy / sxx
            p = 1.0 / sxx
            first = dx[first_informative(dx[:n])]
            squares = syy - sxy * b
            logs = np.log(sxx / (first * first))
            if squares <= flat * raw_yy:
                squares = 0.0  # an exact line, or a fund that does not move
            else:
                q = fit_ratio(dy[:n], dx[:n], gap[low:high], scratch)
                if q > 0.0:
                    squares, logs = filter_slope(dy[:n], dx[:n], gap[low:high], q, slope, variance)
                    b = slope[n - 1]
                    p = variance[n - 1] + q * (begin - row[high - 1])
            if squares > 0.0:
                plausible_ratios(dy[:n], dx[:n], gap[low:high], q, plausible, weight)
                for k in range(CANDIDATES):
                    scales[k] /= n - 1.0
                    variances[k] += ratio[k] * (begin - row[high - 1])
            s = squares / (n - 1.0)
            fits[2, r, j] = log_likelihood(squares, logs, n, first, s) if s > 0.0 else np.inf
            fits[0, r, j] = s
            fits[1, r, j] = s * q
            for t in range(begin, end):
                if t > begin:
                    p += q
                    if squares > 0.0:
                        for k in range(CANDIDATES):
                            variances[k] += ratio[k]
                    if usable[t, j]:
                        a = x[t, j * step] - mean_x
                        own = y[t, j] - mean_y
                        f = p * a * a + 1.0
                        b += p * a * (own - a * b) / f
                        p /= f
                        if squares > 0.0:
                            for k in range(CANDIDATES):
                                f = variances[k] * a * a + 1.0
                                slopes[k] += variances[k] * a * (own - a * slopes[k]) / f
                                variances[k] /= f
                if serves[t, j]:
                    beta[t, j] = b
                    total = 0.0
                    if squares > 0.0:
                        for k in range(CANDIDATES):
                            total += weight[k] * (scales[k] * variances[k] + (slopes[k] - b) ** 2)
                    error[t, j] = np.sqrt(total)
