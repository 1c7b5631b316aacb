"""Filtered historical simulation in plain numpy: what the kernels must give."""

from __future__ import annotations

import numpy as np

from etf_pipeline.core.validation.stationary_bootstrap import block_law, draw_block, stream


def filter_variance_reference(
    returns: np.ndarray, parameters: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As ``filter_variance``: standardised returns (S, N) and the next variance (N,)."""
    omega, alpha, gamma, beta = parameters
    h = start.copy()
    standardised = np.full(returns.shape, np.nan)
    seen = np.zeros(len(h), dtype=bool)
    for t, e in enumerate(returns):
        known = ~np.isnan(e)
        seen |= known
        positive = known & (h > 0)
        standardised[t, positive] = e[positive] / np.sqrt(h[positive])
        after = omega + (alpha + gamma * (e < 0)) * e * e + beta * h
        expected = np.where(seen, omega + (alpha + 0.5 * gamma + beta) * h, h)
        h = np.where(known, after, expected)
    return standardised, h


def simulate_paths_reference(
    standardised: np.ndarray,
    parameters: np.ndarray,
    variance: np.ndarray,
    *,
    horizon: int,
    paths: int,
    block_length: float,
    seed: int,
) -> np.ndarray:
    """As ``simulate_paths``: (paths, N) summed log returns."""
    omega, alpha, gamma, beta = parameters
    law = block_law(block_length, circular=False)
    out = np.zeros((paths, standardised.shape[1]))
    for p in range(paths):
        state = stream(np.uint64(seed), p)
        h = variance.copy()
        drawn: list[int] = []
        while len(drawn) < horizon:
            state, begin, length = draw_block(np.uint64(state), len(standardised), law, horizon - len(drawn))
            drawn += [(begin + i) % len(standardised) for i in range(length)]
        for row in drawn:
            e = np.sqrt(h) * standardised[row]
            out[p] += e
            h = omega + (alpha + gamma * (e < 0)) * e * e + beta * h
    return out
