"""Which of many findings are sure to be none of luck: p-values that bound the chance of even one false one."""

from __future__ import annotations

import numpy as np


def holm(p_value: np.ndarray) -> np.ndarray:
    """Adjusted p-values: rejecting those up to q keeps the chance of any false one up to q, whatever the dependence.

    Parameters
    ----------
    p_value : (K,) float64 between 0 and 1; NaN was not tested and does not count.

    Returns
    -------
    (K,) float64, never below ``p_value``, at most 1; NaN where it is.

    Raises
    ------
    ValueError : a p-value outside 0 to 1.

    Notes
    -----
    Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian J. of Statistics 6, 65-70.
    """
    p = np.asarray(p_value, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(p))
    outside = tested[(p[tested] < 0.0) | (p[tested] > 1.0)]
    if len(outside):
        raise ValueError(f"p-value {p[outside[0]]} at {outside[0]} must lie between 0 and 1")
    adjusted = np.full(p.shape, np.nan)
    order = tested[np.argsort(p[tested], kind="stable")]
    left = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * left), 1.0)
    return adjusted


def step_down(statistic: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Adjusted p-values from resamples, which know how the findings depend on each other: less is lost than with Holm.

    Parameters
    ----------
    statistic : (K,) float64, large where the null hypothesis fails; NaN was not tested and does not count.
    null : (B, K) float64, draws of the statistics together if every null hypothesis held.

    Returns
    -------
    (K,) float64: share of draws whose largest statistic, among those no larger than this one, exceeds it; never less
    than that of a larger one. NaN where the statistic is.

    Notes
    -----
    Romano and Wolf (2005), Exact and approximate stepdown methods for multiple hypothesis testing, JASA 100, 94-108,
    and (2016), Efficient computation of adjusted p-values, Statistics and Probability Letters 113, 38-40. The findings
    with p up to q are those that their StepM (2005, Econometrica 73) rejects at q.
    """
    tested = np.flatnonzero(~np.isnan(statistic))
    adjusted = np.full(len(statistic), np.nan)
    order = tested[np.argsort(-statistic[tested], kind="stable")]
    draws = np.ascontiguousarray(np.asarray(null).T)
    largest = np.full(len(null), -np.inf)
    for k in order[::-1]:  # from the smallest up: each draw's largest so far is that of the ones left
        np.maximum(largest, draws[k], out=largest)
        adjusted[k] = (largest > statistic[k]).mean()
    adjusted[order] = np.maximum.accumulate(adjusted[order])
    return adjusted
