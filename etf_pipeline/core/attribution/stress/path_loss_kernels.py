"""Compiled pass behind ``path_loss``: sessions of one fund after the other."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def compound(
    loadings: np.ndarray,
    path: np.ndarray,
    bend: np.ndarray,
    total: np.ndarray,
    contribution: np.ndarray,
    sensitivity: np.ndarray,
) -> None:
    """Total return (N,), contributions and sensitivities (N, K) of loadings (N, K) on a path (D, K).

    ``bend`` (N, K) is added to each session's parts. The account of one unit: what a factor earns in a session is the value
    at its start times its part. A session that would lose more than everything loses everything, in the same proportions.
    """
    funds, k = loadings.shape
    weighted = np.empty(k)  # sum over sessions of value times move
    slope = np.empty(k)
    for j in range(funds):
        own = 0.0
        for i in range(k):
            own += bend[j, i]
            weighted[i] = 0.0
            slope[i] = 0.0
        value = 1.0
        held = 0.0  # sum over sessions of value
        lost = False
        for d in range(len(path)):
            r = own
            for i in range(k):
                r += loadings[j, i] * path[d, i]
            start = value
            if r <= -1.0:
                start = -value / r
                value = 0.0
                lost = True
            else:
                value *= 1.0 + r
            inverse = 1.0 / (1.0 + r)
            held += start
            for i in range(k):
                weighted[i] += start * path[d, i]
                slope[i] += inverse * path[d, i]
            if lost:
                break
        total[j] = value - 1.0
        for i in range(k):
            contribution[j, i] = loadings[j, i] * weighted[i] + bend[j, i] * held
            sensitivity[j, i] = 0.0 if lost else slope[i]
        if np.isnan(value):
            for i in range(k):
                contribution[j, i] = np.nan
                sensitivity[j, i] = np.nan
