"""Compiled passes of filtered historical simulation: the variance filter by fund, and the paths.

``parameters`` is (4, N): omega, alpha, gamma, beta of ``h' = omega + (alpha + gamma [e < 0]) e**2 + beta h``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from etf_pipeline.core.validation.stationary_bootstrap import draw_block, stream


@njit(cache=True, nogil=True, error_model="numpy")
def filter_variance(
    funds: np.ndarray,
    returns: np.ndarray,
    parameters: np.ndarray,
    start: np.ndarray,
    standardised: np.ndarray,
    variance: np.ndarray,
) -> None:
    """Standardised returns (S, N) and the variance (N,) of the session after the last, for the named funds."""
    rows = returns.shape[0]
    for j in funds:
        omega, alpha, gamma, beta = parameters[0, j], parameters[1, j], parameters[2, j], parameters[3, j]
        h = start[j]
        seen = False
        for t in range(rows):
            e = returns[t, j]
            if np.isnan(e):
                # Nothing seen: the squared return is what was expected of it. Before the first the variance waits.
                if seen:
                    h = omega + (alpha + 0.5 * gamma + beta) * h
                continue
            seen = True
            standardised[t, j] = e / np.sqrt(h) if h > 0.0 else np.nan
            down = gamma if e < 0.0 else 0.0
            h = omega + (alpha + down) * e * e + beta * h
        variance[j] = h


@njit(cache=True, nogil=True, error_model="numpy")
def simulate_paths(
    paths: np.ndarray,
    standardised: np.ndarray,
    parameters: np.ndarray,
    variance: np.ndarray,
    horizon: int,
    law: float,
    seed: np.uint64,
    out: np.ndarray,
) -> None:
    """Summed log returns ``out`` (paths, N) of the named paths; ``standardised`` (J, N) without NaN."""
    rows, funds = standardised.shape
    h = np.empty(funds)
    total = np.empty(funds)
    omega, alpha, gamma, beta = parameters[0], parameters[1], parameters[2], parameters[3]
    for p in paths:
        state = stream(seed, p)
        for j in range(funds):
            h[j] = variance[j]
            total[j] = 0.0
        left = horizon
        while left > 0:
            state, begin, length = draw_block(state, rows, law, left)
            for i in range(length):
                z = standardised[(begin + i) % rows]
                for j in range(funds):
                    e = np.sqrt(h[j]) * z[j]
                    total[j] += e
                    h[j] = omega[j] + (alpha[j] + (gamma[j] if e < 0.0 else 0.0)) * e * e + beta[j] * h[j]
            left -= length
        for j in range(funds):
            out[p, j] = total[j]
