"""What a fit holds fixed: the start value of the recursion and the bounds of its variances."""

from __future__ import annotations

import numpy as np

from etf_pipeline.core.risk.garch.likelihood import (
    AR1_MEAN,
    LOWER,
    MU,
    PHI,
    RESIDUAL,
    UPPER,
    ZERO_MEAN,
    compiled,
    residuals,
)


@compiled
def prepare(
    y: np.ndarray, first: int, last: int, mean: int, start_rule: int, theta: np.ndarray, work: np.ndarray
) -> tuple[float, float]:
    """What a fit of y[first:last] holds fixed: start value and bounds of the variance, from least-squares residuals.

    Fills the mean parameters of ``theta`` with the least-squares estimates and the bounds into ``work``.

    Parameters
    ----------
    start_rule : 0 mean squared residual; 1 exponentially weighted over the first 75 (decay 0.94).

    Returns
    -------
    start : variance before the first observation.
    target : mean squared residual; 0 for a series its mean equation explains exactly.

    Notes
    -----
    The bounds are those of ``arch``: a millionth and a million times an exponentially weighted variance, within
    1e-8 of the sample variance and 1e7 (1 + the largest squared residual).
    """
    n = last - first
    theta[MU], theta[PHI] = 0.0, 0.0
    if mean != ZERO_MEAN:
        m = 0.0
        for t in range(first, last):
            m += y[t]
        m /= n
        theta[MU] = m
        if mean == AR1_MEAN:
            before = 0.0
            for t in range(first, last):
                before += y[t - 1]
            before /= n
            cross, square = 0.0, 0.0
            for t in range(first, last):
                cross += (y[t - 1] - before) * (y[t] - m)
                square += (y[t - 1] - before) ** 2
            theta[PHI] = cross / square if square > 0.0 else 0.0
            theta[MU] = m - theta[PHI] * before
    residuals(theta, y, first, last, mean, work)
    e = work[RESIDUAL]
    centre, target, largest = 0.0, 0.0, 0.0
    for t in range(n):
        centre += e[t]
        target += e[t] * e[t]
        largest = max(largest, e[t] * e[t])
    centre /= n
    target /= n
    variance = max(target - centre * centre, 0.0)
    weighted, weights, weight = 0.0, 0.0, 1.0
    for t in range(min(75, n)):
        weighted += weight * e[t] * e[t]
        weights += weight
        weight *= 0.94
    smooth = weighted / weights
    start = smooth if start_rule == 1 else target
    floor, ceiling = variance / 1e8, 1e7 * (1.0 + largest)
    for t in range(n):
        if t > 0:
            smooth = 0.94 * smooth + 0.06 * e[t - 1] * e[t - 1]
        work[LOWER, t] = max(smooth / 1e6, floor)
        work[UPPER, t] = min(max(smooth * 1e6, 1.0 + largest), ceiling)
    return start, target
