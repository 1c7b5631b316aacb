"""Pooled ridge regression from sums that are accumulated block by block."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

PENALTIES = (0.01, 0.1, 1.0, 10.0)
"""Penalties tried, each times the weight of the sample: past forecasts choose among them."""


def gram_blocks(
    features: np.ndarray, target: np.ndarray, weight: np.ndarray, edges: np.ndarray
) -> np.ndarray:
    """Weighted second moments of (1, features, target), block by block.

    Parameters
    ----------
    features : (R, K) finite; target : (R,), NaN rows are left out; weight : (R,) not negative.
    edges : (B + 1,) int64 ascending: block ``b`` is the rows ``edges[b]:edges[b + 1]``.

    Returns
    -------
    (B, K + 2, K + 2) float64.
    """
    size = features.shape[1] + 2
    out = np.zeros((len(edges) - 1, size, size))
    for b, (begin, end) in enumerate(pairwise(edges)):
        keep = np.isfinite(target[begin:end])
        x = features[begin:end][keep]
        z = np.column_stack([np.ones(len(x)), x, target[begin:end][keep]])
        out[b] = z.T @ (z * weight[begin:end][keep, None])
    return out


def ridge_from_gram(gram: np.ndarray, penalty: float) -> tuple[float, np.ndarray]:
    """Intercept and coefficients from accumulated moments.

    Parameters
    ----------
    gram : (K + 2, K + 2), a sum of blocks of ``gram_blocks``.
    penalty : times the sum of weights is what is added to the diagonal; the intercept is not penalised.

    Returns
    -------
    intercept, (K,) coefficients: those of ``sklearn.linear_model.Ridge(alpha=penalty * weight.sum())``.
    Zeros for an empty sample.

    Notes
    -----
    Hoerl and Kennard (1970), Technometrics 12, 55-67.
    """
    total = gram[0, 0]
    if total <= 0:
        return 0.0, np.zeros(len(gram) - 2)
    mean = gram[0, 1:] / total
    centred = gram[1:, 1:] / total - np.outer(mean, mean)
    system = centred[:-1, :-1] + penalty * np.eye(len(gram) - 2)
    slopes = np.linalg.solve(system, centred[:-1, -1])
    return float(mean[-1] - mean[:-1] @ slopes), slopes


def linear_forecast(features: np.ndarray, intercept: float, slopes: np.ndarray) -> np.ndarray:
    """Intercept plus features times slopes, added up column by column.

    A matrix product groups rows by the size of the block they come in, and a forecast must not depend in its
    last bit on how many others are made beside it.
    """
    out = np.full(len(features), intercept)
    for k, slope in enumerate(slopes):
        out += features[:, k] * slope
    return out
