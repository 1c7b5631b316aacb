"""Weights of the components: base weights times the risk category's multipliers, made to sum to one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from etf_pipeline.core.scoring.rules import CATEGORY_NAMES, UNKNOWN_CATEGORY

Weights = Mapping[str, float] | Mapping[str, np.ndarray]
"""component -> a number, or (S,) one a session."""


def weights_used(
    base_weights: Weights,
    multipliers: Mapping[str, Mapping[str, float]] | None,
    category: np.ndarray,
    present: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """The weight of each component in each fund's raw score.

    Parameters
    ----------
    base_weights : component -> weight, for all sessions or (S,) by session.
    multipliers : risk category -> component -> factor; None for none.
    category : (S, N) int, index into ``CATEGORY_NAMES``; -1, unknown, is treated as MEDIUM.
    present : component -> (S, N) bool, whether the fund has the score.

    Returns
    -------
    component -> (S, N) float64: they sum to one over the components present, 0 where one is missing, NaN where all are.
    """
    codes = np.where(category < 0, UNKNOWN_CATEGORY, category)
    out: dict[str, np.ndarray] = {}
    total = np.zeros(category.shape)
    for name, weight in base_weights.items():
        per_session = np.asarray(weight, dtype=float).reshape(-1, 1)
        factor = np.ones(1)
        if multipliers is not None:
            factor = np.array([multipliers[c][name] for c in CATEGORY_NAMES])[codes]
        out[name] = np.where(present[name], per_session * factor, 0.0)
        total += out[name]
    total = np.where(total > 0.0, total, np.nan)
    return {name: weight / total for name, weight in out.items()}
