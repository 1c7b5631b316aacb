"""Least squares with White's errors over windows of sessions, a fund at a time."""

from __future__ import annotations

import numpy as np
from numba import njit

_SINGULAR = 1e-14
"""Pivots below this part of a column's own square: factors that cannot be told apart."""


@njit(cache=True, nogil=True, error_model="numpy")
def fit_windows(
    columns: np.ndarray,
    returns: np.ndarray,
    design: np.ndarray,
    usable: np.ndarray,
    ends: np.ndarray,
    window: int,
    head: int,
    tail: int,
    min_observations: int,
    loadings: np.ndarray,
    covariance: np.ndarray,
    residual: np.ndarray,
) -> None:
    """Fill (R, N, K), (R, N, K, K) and (R, N) for the funds named, from returns (N, S) and a design (S, W)."""
    width = design.shape[1]
    count = loadings.shape[2]
    lags = (width - 1) // count
    inverse = np.empty((width, width))
    meat = np.empty((width, width))
    moment = np.empty(width)
    coefficient = np.empty(width)
    scale = np.empty(width)
    row = np.empty(design.shape[0], dtype=np.int64)
    for j in columns:
        for r in range(len(ends)):
            n = 0
            for t in range(max(0, ends[r] - window + 1 + head), ends[r] - tail + 1):
                if usable[t] and not np.isnan(returns[j, t]):
                    row[n] = t
                    n += 1
            if n < min_observations:
                continue
            inverse[:] = 0.0
            moment[:] = 0.0
            for i in range(n):
                x, y = design[row[i]], returns[j, row[i]]
                for a in range(width):
                    moment[a] += x[a] * y
                    for b in range(a + 1):
                        inverse[a, b] += x[a] * x[b]
            if not _invert(inverse, scale):
                continue
            for a in range(width):
                total = 0.0
                for b in range(width):
                    total += inverse[a, b] * moment[b]
                coefficient[a] = total
            meat[:] = 0.0
            squares = 0.0
            for i in range(n):
                x = design[row[i]]
                error = returns[j, row[i]]
                for a in range(width):
                    error -= coefficient[a] * x[a]
                square = error * error
                squares += square
                for a in range(width):
                    weighted = square * x[a]
                    for b in range(a + 1):
                        meat[a, b] += weighted * x[b]
            for a in range(width):
                for b in range(a):
                    meat[b, a] = meat[a, b]
            free = n - width
            residual[r, j] = squares / free
            sandwich = inverse @ meat @ inverse
            for k in range(count):
                total = 0.0
                for g in range(lags):
                    total += coefficient[1 + g * count + k]
                loadings[r, j, k] = total
                for m in range(count):
                    total = 0.0
                    for g in range(lags):
                        for h in range(lags):
                            total += sandwich[1 + g * count + k, 1 + h * count + m]
                    covariance[r, j, k, m] = total * n / free


@njit(cache=True, nogil=True, error_model="numpy")
def _invert(lower: np.ndarray, scale: np.ndarray) -> bool:
    """Replace a positive matrix, given by its lower triangle, by its inverse; False where it is singular."""
    n = len(lower)
    for a in range(n):
        # A factor that stood still throughout has no loading: 0, and no error.
        scale[a] = 1.0 / np.sqrt(lower[a, a]) if lower[a, a] > 0.0 else 0.0
    for a in range(n):
        for b in range(a + 1):
            lower[a, b] *= scale[a] * scale[b]
    root = np.zeros((n, n))
    for a in range(n):
        for b in range(a + 1):
            total = lower[a, b]
            for c in range(b):
                total -= root[a, c] * root[b, c]
            if a == b:
                if scale[a] == 0.0:
                    root[a, a] = 1.0
                elif total > _SINGULAR:
                    root[a, a] = np.sqrt(total)
                else:
                    return False
            else:
                root[a, b] = total / root[b, b]
    half = np.zeros((n, n))  # inverse of the root
    for b in range(n):
        half[b, b] = 1.0 / root[b, b]
        for a in range(b + 1, n):
            total = 0.0
            for c in range(b, a):
                total -= root[a, c] * half[c, b]
            half[a, b] = total / root[a, a]
    for a in range(n):
        for b in range(n):
            total = 0.0
            for c in range(max(a, b), n):
                total += half[c, a] * half[c, b]
            lower[a, b] = total * scale[a] * scale[b]
    return True
