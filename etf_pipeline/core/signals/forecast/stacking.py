"""Weights of an ensemble's members, learned on forecasts that have come due."""

from __future__ import annotations

from itertools import combinations

import numpy as np


def stacking_weights(gram: np.ndarray, prior_share: float, prior_total: float = 0.5) -> np.ndarray:
    """Non-negative weights that add up to at most one, shrunk toward equal ones.

    Minimises ``w' A w - 2 b' w`` plus a penalty on the distance from equal weights, over ``w >= 0`` and
    ``sum(w) <= 1``: what is missing to one goes to the mean of the past.

    Parameters
    ----------
    gram : (M + 1, M + 1), second moments of (forecasts, outcome), both less the mean in force when the forecast
        was made.
    prior_share : weight of the prior as a share of the mean of A's diagonal.
    prior_total : sum of the equal weights shrunk to.

    Returns
    -------
    (M,) float64. The equal weights where the forecasts have no variance (no past yet).

    Notes
    -----
    Breiman (1996), Stacked regressions, Machine Learning 24, 49-64. With few members the quadratic programme is
    solved exactly, by looking at every set of active constraints.
    """
    members = len(gram) - 1
    prior = np.full(members, prior_total / members)
    a, b = gram[:-1, :-1], gram[:-1, -1]
    strength = prior_share * np.trace(a) / members
    if not strength > 0:
        return prior
    a = a + strength * np.eye(members)
    b = b + strength * prior
    best, best_loss = np.zeros(members), 0.0
    for size in range(1, members + 1):
        for chosen in combinations(range(members), size):
            at = np.array(chosen)
            inner, target = a[np.ix_(at, at)], b[at]
            free = np.linalg.solve(inner, target)
            if free.sum() > 1.0:
                ones = np.linalg.solve(inner, np.ones(size))
                free = free - ones * (free.sum() - 1.0) / ones.sum()
            if (free < 0).any():
                continue
            w = np.zeros(members)
            w[at] = free
            loss = float(w @ a @ w - 2.0 * b @ w)
            if loss < best_loss:
                best, best_loss = w, loss
    return best
