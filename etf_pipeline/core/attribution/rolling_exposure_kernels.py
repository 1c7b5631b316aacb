"""Compiled passes behind ``rolling_exposure``, fund by fund.

Each call writes the funds ``funds`` only, so that threads can share the panels. Panels here are (N, S): a fund's
history lies together.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from etf_pipeline.core.risk.beta_kernels import FLAT

ESTIMATED, TOO_FEW, COLLINEAR, STALE, NO_VINTAGE = range(5)


@njit(cache=True, nogil=True)
def outer_products(factors: np.ndarray, known: np.ndarray, out: np.ndarray) -> None:
    """Products of (1, x1 ... xK) with itself, upper triangle: what a row adds whatever the fund.

    ``factors`` is (V, M, S, K), ``known`` (V, M, S), ``out`` (V, M, S, (K + 1)(K + 2)/2), zeros before.
    """
    vintages, spans, rows, count = factors.shape
    for v in range(vintages):
        for m in range(spans):
            for t in range(rows):
                if not known[v, m, t]:
                    continue
                out[v, m, t, 0] = 1.0
                place = 1
                for a in range(count):
                    out[v, m, t, place] = factors[v, m, t, a]
                    place += 1
                for a in range(count):
                    for b in range(a, count):
                        out[v, m, t, place] = factors[v, m, t, a] * factors[v, m, t, b]
                        place += 1


@njit(cache=True, nogil=True)
def _add(sums: np.ndarray, shared: np.ndarray, y: float, width: int) -> None:
    """One observation more: the factors' products, then y times (1, x1 ... xK), then y squared."""
    common = len(shared)
    for i in range(common):
        sums[i] += shared[i]
    for i in range(width):
        sums[common + i] += y * shared[i]
    sums[common + width] += y * y


@njit(cache=True, nogil=True, error_model="numpy")
def shared_parts(
    products: np.ndarray,
    known: np.ndarray,
    vintage: np.ndarray,
    count: int,
    window: int,
    max_variance_inflation: float,
    parts: np.ndarray,
    sound: np.ndarray,
) -> None:
    """The factors' part of the regression for a fund that misses no session of the window, once for all such funds.

    ``products`` (V, S, ...) and ``known`` (V, S) are those of one span; ``parts`` (S, 2 + 2K + K K), ``sound`` (S,).
    The sums are made in the order of ``rolling_regression``, so that a fund's own would be the same, bit for bit.
    """
    common = products.shape[2]
    head = np.empty(common)
    total = np.empty(common)
    tail = np.empty((window + 1, common))
    factor = np.empty((count, count))
    inverse = np.empty((count, count))
    head[:] = 0.0
    tail[:] = 0.0
    for t in range(len(vintage)):
        place = t % window
        begin = t - place
        v = vintage[t]
        if v < 0:
            continue
        if place == 0 or t == 0 or vintage[t - 1] != v:
            head[:] = 0.0
            tail[window, :] = 0.0
            for k in range(window - 1, -1, -1):
                s = begin - window + k
                tail[k] = tail[k + 1]
                if s >= 0 and known[v, s]:
                    tail[k] += products[v, s]
            for s in range(begin, t):
                if known[v, s]:
                    head += products[v, s]
        if known[v, t]:
            head += products[v, t]
        for i in range(common):
            total[i] = head[i] + tail[place + 1, i]
        parts[t, 0] = total[0]
        if total[0] >= count + 2:
            sound[t] = factor_part(total, count, max_variance_inflation, factor, inverse, parts[t])


@njit(cache=True, nogil=True, error_model="numpy")
def rolling_regression(
    funds: np.ndarray,
    y: np.ndarray,
    span: np.ndarray,
    serves: np.ndarray,
    products: np.ndarray,
    known: np.ndarray,
    vintage: np.ndarray,
    parts: np.ndarray,
    sound: np.ndarray,
    shares: np.ndarray,
    count: int,
    window: int,
    min_observations: int,
    max_variance_inflation: float,
    slopes: np.ndarray,
    errors: np.ndarray,
    single: np.ndarray,
    observations: np.ndarray,
    reason: np.ndarray,
) -> None:
    """Sums of the current block so far (head) plus those of the previous block's tail, then the regression.

    ``span`` (N, S) picks the row of factors a return is paired with, 0 where it takes no part. ``parts`` and ``sound`` are
    those of ``shared_parts``, ``shares`` (N,) the funds whose returns all have its span. ``single`` is (4, N, S):
    constant, its error, R squared, residual variance. A change of vintage sums both blocks afresh.
    """
    rows = y.shape[1]
    common = products.shape[3]
    width = count + 1
    size = common + width + 1
    head = np.empty(size)
    total = np.empty(size)
    tail = np.empty((window + 1, size))  # tail[k]: rows k.. of the previous block
    inverse = np.empty((count, count))
    factor = np.empty((count, count))
    own = np.empty(parts.shape[1])
    for j in funds:
        head[:] = 0.0
        tail[:] = 0.0
        for t in range(rows):
            place = t % window
            begin = t - place
            v = vintage[t]
            if v < 0:
                reason[j, t] = NO_VINTAGE
                continue
            changed = t == 0 or vintage[t - 1] != v
            if place == 0 or changed:
                head[:] = 0.0
                tail[window, :] = 0.0
                for k in range(window - 1, -1, -1):
                    s = begin - window + k
                    tail[k] = tail[k + 1]
                    if s >= 0:
                        m = span[j, s] - 1
                        if m >= 0 and known[v, m, s]:
                            _add(tail[k], products[v, m, s], y[j, s], width)
                for s in range(begin, t):
                    m = span[j, s] - 1
                    if m >= 0 and known[v, m, s]:
                        _add(head, products[v, m, s], y[j, s], width)
            m = span[j, t] - 1
            if m >= 0 and known[v, m, t]:
                _add(head, products[v, m, t], y[j, t], width)
            n = head[0] + tail[place + 1, 0]
            observations[j, t] = int(n)
            if not serves[j, t]:
                reason[j, t] = STALE
                continue
            if n < min_observations:
                reason[j, t] = TOO_FEW
                continue
            for i in range(size):
                total[i] = head[i] + tail[place + 1, i]
            if shares[j] and n == parts[t, 0]:
                part = parts[t]
                good = sound[t]
            else:
                part = own
                good = factor_part(total, count, max_variance_inflation, factor, inverse, own)
            if not good:
                reason[j, t] = COLLINEAR
                continue
            _fund_part(total, part, count, slopes[j, t], errors[j, t], single[:, j, t])
            reason[j, t] = ESTIMATED


@njit(cache=True, nogil=True, error_model="numpy")
def factor_part(
    total: np.ndarray,
    count: int,
    max_variance_inflation: float,
    factor: np.ndarray,
    inverse: np.ndarray,
    part: np.ndarray,
) -> bool:
    """What of the regression does not depend on the fund; False where the factors are (nearly) collinear.

    ``part`` receives the observations n, ``mean' Sxx^-1 mean``, K means, K roots of the diagonal of ``Sxx^-1``, and a lower
    triangle L (K, K) with ``L' L = Sxx^-1``. The Cholesky factor is that of the factors' correlations: a factor's variance
    inflation is the squared length of its column in that factor's inverse.
    """
    n = total[0]
    part[0] = n
    mean = part[2 : 2 + count]
    root = part[2 + count : 2 + 2 * count]
    lower = part[2 + 2 * count :].reshape(count, count)
    place = count + 1
    for a in range(count):
        mean[a] = total[1 + a] / n
    for a in range(count):
        for b in range(a, count):
            factor[b, a] = total[place] - total[1 + a] * mean[b]
            if a == b:
                if not factor[a, a] > FLAT * total[place]:
                    return False
                root[a] = 1.0 / np.sqrt(factor[a, a])
            place += 1
    for a in range(count):
        for b in range(a):
            factor[a, b] *= root[a] * root[b]
        factor[a, a] = 1.0
    if not inverse_cholesky(factor, inverse, count):
        return False
    offset = 0.0
    for a in range(count):
        centre = 0.0
        for b in range(a + 1):
            lower[a, b] = inverse[a, b] * root[b]
            centre += lower[a, b] * mean[b]
        offset += centre * centre
    part[1] = offset
    for a in range(count):
        inflation = 0.0
        for b in range(a, count):
            inflation += inverse[b, a] * inverse[b, a]
        if inflation > max_variance_inflation:
            return False
        root[a] *= np.sqrt(inflation)
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _fund_part(
    total: np.ndarray,
    part: np.ndarray,
    count: int,
    slopes: np.ndarray,
    errors: np.ndarray,
    single: np.ndarray,
) -> None:
    """The regression from the fund's sums and the factors' part."""
    n = part[0]
    mean = part[2 : 2 + count]
    root = part[2 + count : 2 + 2 * count]
    lower = part[2 + 2 * count :].reshape(count, count)
    width = count + 1
    common = width * (width + 1) // 2
    sum_y = total[common]
    raw_yy = total[common + width]
    syy = raw_yy - sum_y * sum_y / n
    explained = 0.0
    for a in range(count):
        slopes[a] = 0.0
        errors[a] = total[common + 1 + a] - mean[a] * sum_y  # for the moment
    for a in range(count):
        projected = 0.0
        for b in range(a + 1):
            projected += lower[a, b] * errors[b]
        for b in range(a + 1):
            slopes[b] += lower[a, b] * projected
        explained += projected * projected
    constant = sum_y / n
    for a in range(count):
        constant -= slopes[a] * mean[a]
    residual = max(syy - explained, 0.0) / (n - count - 1.0)
    deviation = np.sqrt(residual)
    for a in range(count):
        errors[a] = deviation * root[a]
    single[0] = constant
    single[1] = deviation * np.sqrt(1.0 / n + part[1])
    if syy > FLAT * raw_yy:
        single[2] = min(1.0, max(explained / syy, 0.0))
    single[3] = residual


@njit(cache=True, nogil=True, error_model="numpy")
def inverse_cholesky(factor: np.ndarray, inverse: np.ndarray, count: int) -> bool:
    """Lower triangle of a correlation matrix to its Cholesky factor, and that factor's inverse; False if singular."""
    for a in range(count):
        for b in range(a):
            value = factor[a, b]
            for c in range(b):
                value -= factor[a, c] * factor[b, c]
            factor[a, b] = value * inverse[b, b]
        pivot = factor[a, a]
        for c in range(a):
            pivot -= factor[a, c] * factor[a, c]
        if not pivot > FLAT:
            return False
        inverse[a, a] = 1.0 / np.sqrt(pivot)
        for b in range(a):
            value = 0.0
            for c in range(b, a):
                value -= factor[a, c] * inverse[c, b]
            inverse[a, b] = value * inverse[a, a]
    return True
