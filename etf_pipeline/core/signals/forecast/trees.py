"""The ensemble's two tree members."""

from __future__ import annotations

import numpy as np

from etf_pipeline.core.signals.forecast.boosting import boost

SMALLEST_LEAF = 0.02
"""Share of the sample a leaf must hold: returns are mostly noise, and a small leaf learns it by heart."""

TREES = 40
"""Randomised trees a fit."""

FEWEST_ROWS = 200
"""Rows a leaf must hold however small the sample."""

TREE_MEMBERS = ("boosting", "extra_trees")


def fit_and_forecast(
    member: str,
    binned: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    ahead: np.ndarray,
    *,
    seed: int,
) -> np.ndarray:
    """Fit one tree member and forecast.

    Parameters
    ----------
    member : boosting (gradient boosting on histograms) or extra_trees (extremely randomised trees).
    binned : (R, K) uint8, see ``to_bins``; target : (R,) finite; weight : (R,) positive.
    ahead : (F, K) uint8, what to forecast.
    seed : of the randomised trees.

    Returns
    -------
    (F,) float64. Each row depends on itself and the sample alone.

    Notes
    -----
    Friedman (2001), Annals of Statistics 29, 1189-1232; Geurts, Ernst and Wehenkel (2006), Machine Learning 63,
    3-42. The latter draw split points at random instead of searching them: less variance, and a fit that is
    unlike the boosted one's.
    """
    if member not in TREE_MEMBERS:
        raise ValueError(f"member must be one of {', '.join(TREE_MEMBERS)}, not {member}")
    if not len(ahead):
        return np.zeros(0)
    leaf = max(FEWEST_ROWS, int(SMALLEST_LEAF * len(binned)))
    if member == "boosting":
        return boost(binned, target, weight, ahead, 60, 0.05, 8, leaf)
    return _randomised(binned, target, weight, ahead, leaf // 2, seed)


def _randomised(
    binned: np.ndarray, target: np.ndarray, weight: np.ndarray, ahead: np.ndarray, leaf: int, seed: int
) -> np.ndarray:
    """Mean of ``TREES`` randomised trees, each on its own half of the sample.

    Grown one by one: scikit-learn's forest changes the process's warning filters while it works, which other
    threads would see.
    """
    # Here and not above: a second of import that only a build needs.
    from sklearn.tree import ExtraTreeRegressor

    draws = np.random.RandomState(seed)
    sample, asked = binned.astype(np.float32), ahead.astype(np.float32)
    out = np.zeros(len(ahead))
    for _ in range(TREES):
        half = np.sort(draws.permutation(len(binned))[: -(-len(binned) // 2)])
        tree = ExtraTreeRegressor(
            max_leaf_nodes=32,
            min_samples_leaf=leaf,
            max_features=0.33,
            random_state=int(draws.randint(2**31 - 1)),
        )
        # Single precision and contiguous, as the trees want it: looking again would take as long as growing.
        tree.fit(sample[half], target[half], sample_weight=weight[half], check_input=False)
        out += tree.predict(asked, check_input=False)
    return out / TREES
