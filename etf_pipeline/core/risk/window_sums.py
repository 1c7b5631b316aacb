"""Sums over the last sessions of one fund, for kernels that walk its bars once."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def advance(terms: np.ndarray, stored: np.ndarray, head: np.ndarray, total: np.ndarray, session: int) -> None:
    """Sums of each term over the last ``len(stored)`` sessions, this one included.

    Parameters
    ----------
    terms : (M,) float64, what this session adds.
    stored : (W, M) float64, zeros before session 0. Holds, beyond this session's place, the sums of the
        previous block from each place to its end; up to it, the terms of the current block.
    head : (M,) float64, zeros before session 0: sums of the current block so far.
    total : (M,) float64, receives the window's sums.
    session : row of the panel; to be called for 0, 1, 2, ... without gaps.

    Notes
    -----
    As in ``core.market.rolling.rolling_sum``: blocks lie at absolute rows and sums are only ever added, so
    that a value which has left the window leaves no trace.
    """
    window, count = stored.shape
    place = session % window
    for m in range(count):
        head[m] += terms[m]
    if place < window - 1:
        for m in range(count):
            total[m] = head[m] + stored[place + 1, m]
            stored[place, m] = terms[m]
        return
    for m in range(count):
        total[m] = head[m]
        stored[place, m] = terms[m]
        head[m] = 0.0
    for k in range(window - 2, -1, -1):
        for m in range(count):
            stored[k, m] += stored[k + 1, m]
