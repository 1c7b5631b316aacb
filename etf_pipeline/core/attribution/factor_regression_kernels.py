"""Compiled pass behind ``factor_regression``, fund by fund. Panels are (N, S): a fund's history lies together."""

from __future__ import annotations

import numpy as np
from numba import njit

from etf_pipeline.core.attribution.rolling_exposure_kernels import (
    COLLINEAR,
    ESTIMATED,
    NO_VINTAGE,
    TOO_FEW,
    inverse_cholesky,
)
from etf_pipeline.core.risk.beta_kernels import FLAT, _dot, _sum


@njit(cache=True, nogil=True, error_model="numpy")
def regressions_at(
    funds: np.ndarray,
    y: np.ndarray,
    span: np.ndarray,
    table: np.ndarray,
    known: np.ndarray,
    ends: np.ndarray,
    vintage: np.ndarray,
    window: int,
    min_observations: int,
    lags: np.ndarray,
    max_variance_inflation: float,
    slopes: np.ndarray,
    errors: np.ndarray,
    single: np.ndarray,
    whole: np.ndarray,
) -> None:
    """Each window afresh, from its own rows.

    ``table`` is (V, M, S, K); ``lags[n]`` the lags for n observations. ``slopes`` and ``errors`` are (N, R, K);
    ``single`` (4, N, R): constant, its error, R squared, residual variance; ``whole`` (4, N, R): observations, first
    row, lags, reason.
    """
    rows = y.shape[1]
    count = table.shape[3]
    x = np.empty((count, rows))
    own = np.empty(rows)
    row = np.empty(rows, dtype=np.int64)
    centred = np.empty((count, rows))
    rest = np.empty(rows)
    score = np.empty(rows)
    smooth = np.empty(rows)
    mean = np.empty(count)
    scale = np.empty(count)
    factor = np.empty((count, count))
    inverse = np.empty((count, count))
    projected = np.empty(count)
    weight = np.empty(count)
    for j in funds:
        high = 0
        reached = 0
        low = 0
        held = -1
        for r in range(len(ends)):
            v = vintage[r]
            if v < 0:
                whole[3, j, r] = NO_VINTAGE
                continue
            if v != held:
                held, high, low, reached = v, 0, 0, 0
            for t in range(reached, ends[r] + 1):
                m = span[j, t] - 1
                if m >= 0 and known[v, m, t]:
                    row[high] = t
                    own[high] = y[j, t]
                    for a in range(count):
                        x[a, high] = table[v, m, t, a]
                    high += 1
            reached = ends[r] + 1
            while low < high and row[low] <= ends[r] - window:
                low += 1
            n = high - low
            whole[0, j, r] = n
            if n > 0:
                whole[1, j, r] = row[low]
            if n < min_observations:
                whole[3, j, r] = TOO_FEW
                continue
            whole[3, j, r] = COLLINEAR
            moving = True
            for a in range(count):
                part = x[a, low:high]
                mean[a] = _sum(part) / n
                shifted = centred[a, :n]
                for i in range(n):
                    shifted[i] = part[i] - mean[a]
                spread = _dot(shifted, shifted)
                if not spread > FLAT * (spread + n * mean[a] * mean[a]):
                    moving = False
                    break
                scale[a] = 1.0 / np.sqrt(spread)
                for b in range(a):
                    factor[a, b] = _dot(shifted, centred[b, :n]) * scale[a] * scale[b]
                factor[a, a] = 1.0
            if not moving or not inverse_cholesky(factor, inverse, count):
                continue
            for a in range(count):
                inflation = 0.0
                for b in range(a, count):
                    inflation += inverse[b, a] * inverse[b, a]
                if inflation > max_variance_inflation:
                    moving = False
            if not moving:
                continue
            window_y = own[low:high]
            centre = _sum(window_y) / n
            e = rest[:n]
            for i in range(n):
                e[i] = window_y[i] - centre
            moved = _dot(e, e)
            for a in range(count):
                weight[a] = _dot(centred[a, :n], e) * scale[a]
            for a in range(count):
                projected[a] = 0.0
                for b in range(a + 1):
                    projected[a] += inverse[a, b] * weight[b]
            constant = centre
            for a in range(count):
                slope = 0.0
                for b in range(a, count):
                    slope += inverse[b, a] * projected[b]
                slope *= scale[a]
                slopes[j, r, a] = slope
                constant -= slope * mean[a]
                shifted = centred[a, :n]
                for i in range(n):
                    e[i] -= slope * shifted[i]
            square = _dot(e, e)
            used = min(lags[n], n - 1)
            correction = n / (n - count - 1.0)
            # Row a of the inverse of X'X in centred terms; the constant's is 1/n less the means' part.
            u = score[:n]
            for a in range(count + 1):
                for b in range(count):
                    weight[b] = 0.0
                if a < count:
                    for b in range(count):
                        for c in range(max(a, b), count):
                            weight[b] += inverse[c, a] * inverse[c, b]
                        weight[b] *= scale[a] * scale[b]
                    start = 0.0
                else:
                    for b in range(count):
                        for c in range(count):
                            part_sum = 0.0
                            for d in range(max(b, c), count):
                                part_sum += inverse[d, b] * inverse[d, c]
                            weight[b] -= part_sum * scale[b] * scale[c] * mean[c]
                    start = 1.0 / n
                for i in range(n):
                    u[i] = start
                for b in range(count):
                    shifted = centred[b, :n]
                    w = weight[b]
                    for i in range(n):
                        u[i] += w * shifted[i]
                for i in range(n):
                    u[i] *= e[i]
                variance = bartlett_sum(u, used, smooth[:n]) * correction
                if a < count:
                    errors[j, r, a] = np.sqrt(max(variance, 0.0))
                else:
                    single[1, j, r] = np.sqrt(max(variance, 0.0))
            single[0, j, r] = constant
            if moved > FLAT * (moved + n * centre * centre):
                single[2, j, r] = min(1.0, max(1.0 - square / moved, 0.0))
            single[3, j, r] = square / (n - count - 1.0)
            whole[2, j, r] = used
            whole[3, j, r] = ESTIMATED


@njit(cache=True, nogil=True)
def bartlett_sum(series: np.ndarray, lags: int, smooth: np.ndarray) -> float:
    """``sum_i u_i**2 + 2 sum_l (1 - l / (lags + 1)) sum_i u_i u_{i-l}``; ``smooth`` is working space."""
    n = len(series)
    for i in range(n):
        smooth[i] = series[i]
    for lag in range(1, lags + 1):
        weight = 2.0 * (1.0 - lag / (lags + 1.0))
        later = smooth[lag:]
        earlier = series[: n - lag]
        for i in range(n - lag):
            later[i] += weight * earlier[i]
    return _dot(smooth, series)
