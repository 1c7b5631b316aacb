"""How near spread estimates come to a known spread, by how often a fund trades."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

_BASIS_POINT = 1e-4


@dataclass(frozen=True)
class SpreadAccuracy:
    """Accuracy of one estimator on the fund-sessions of one class of trading.

    Attributes
    ----------
    estimator : its name.
    untraded_from, untraded_to : share of sessions without trade, above the first and up to the second.
    median_ratio : median of the signed estimate over the true spread; 1 is right.
    rmse_bps : root of the mean squared error of the estimate, zero where negative, in basis points.
    median_true_bps : median true spread, in basis points.
    estimates : how many there are.
    """

    estimator: str
    untraded_from: float
    untraded_to: float
    median_ratio: float
    rmse_bps: float
    median_true_bps: float
    estimates: int


def spread_accuracy(
    estimates: Mapping[str, np.ndarray],
    true_spread: np.ndarray,
    untraded_share: np.ndarray,
    edges: tuple[float, ...] = (0.0, 0.05, 0.2, 0.5, 1.0),
) -> list[SpreadAccuracy]:
    """Median ratio and root mean squared error of each estimator by share of sessions without trade.

    Parameters
    ----------
    estimates : name to (K,) float64, signed spreads, fraction of the price.
    true_spread : (K,) float64, positive.
    untraded_share : (K,) float64, of the sessions behind each estimate.
    edges : class limits, increasing; a share of exactly the first belongs to the first class.

    Returns
    -------
    One SpreadAccuracy a class and estimator, classes without estimates left out. Only the cases that every
    estimator has are compared.
    """
    common = ~np.isnan(true_spread)
    for values in estimates.values():
        common &= ~np.isnan(values)
    result = []
    for k, (low, high) in enumerate(pairwise(edges)):
        above = untraded_share >= low if k == 0 else untraded_share > low
        chosen = common & above & (untraded_share <= high)
        if not chosen.any():
            continue
        truth = true_spread[chosen]
        for name, values in estimates.items():
            miss = np.maximum(values[chosen], 0.0) - truth
            result.append(
                SpreadAccuracy(
                    estimator=name,
                    untraded_from=low,
                    untraded_to=high,
                    median_ratio=float(np.median(values[chosen] / truth)),
                    rmse_bps=float(np.sqrt(np.mean(miss**2)) / _BASIS_POINT),
                    median_true_bps=float(np.median(truth) / _BASIS_POINT),
                    estimates=int(chosen.sum()),
                )
            )
    return result
