"""Compounding in plain numpy: what the kernel must give."""

from __future__ import annotations

import numpy as np


def compound_reference(
    loadings: np.ndarray, path: np.ndarray, bend: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As ``compound``: total return (N,), contributions and sensitivities (N, K)."""
    r = loadings @ path.T + bend.sum(axis=1)[:, None]
    lost = r <= -1.0
    scale = np.where(lost, -1.0 / np.where(lost, r, -1.0), 1.0)
    value = np.cumprod(np.where(lost, 0.0, 1.0 + r), axis=1)
    start = np.column_stack([np.ones(len(r)), value[:, :-1]]) * scale
    contribution = loadings * (start @ path) + bend * start.sum(axis=1)[:, None]
    inverse = np.where(lost.any(axis=1)[:, None], 0.0, 1.0 / np.where(lost, 1.0, 1.0 + r))
    total = value[:, -1] - 1.0
    sensitivity = inverse @ path
    contribution[np.isnan(total)] = np.nan
    sensitivity[np.isnan(total)] = np.nan
    return total, contribution, sensitivity
