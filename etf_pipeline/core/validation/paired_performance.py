"""By how much one history of returns did better than another of the same sessions, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.validation.annual_performance import SESSIONS_PER_YEAR, annual_return, annual_sharpe
from etf_pipeline.core.validation.stationary_bootstrap import optimal_block_length, resampled_means

MEASURES = np.array(["annual_return", "sharpe"])
"""What is compared: compound growth a year, fraction; and the annualised Sharpe ratio."""
MIN_SESSIONS = 30
"""In common, below which nothing is said."""


@dataclass(frozen=True)
class PairedDifference:
    """The first less the second of two histories: (2,) float64 by ``MEASURES``.

    Attributes
    ----------
    sessions : in common.
    first, second : of each; difference : of the two; lower, upper : its interval. NaN with fewer than ``MIN_SESSIONS``, and
        for Sharpe ratios where one history does not vary.
    """

    sessions: int
    first: np.ndarray
    second: np.ndarray
    difference: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def paired_difference(
    first: np.ndarray,
    second: np.ndarray,
    *,
    replications: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    periods_per_year: float = SESSIONS_PER_YEAR,
) -> PairedDifference:
    """Compare two histories over the sessions they share.

    Parameters
    ----------
    first, second : (T,) float64 daily returns above -1, in order of time; sessions on which either is NaN do not count.
    replications, seed : of the stationary bootstrap; both histories are resampled by the same blocks, of the longest of the
        optimal mean lengths of the differences and of their squared deviations.
    confidence : of the intervals, which are the quantiles of the resampled differences.

    Returns
    -------
    PairedDifference.

    Raises
    ------
    ValueError : different lengths, or a return of -1 or less.

    Notes
    -----
    Politis and Romano (1994), The stationary bootstrap, JASA 89, 1303-1313.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"histories must be of the same sessions: {first.shape} and {second.shape}")
    both = np.isfinite(first) & np.isfinite(second)
    a, b = first[both], second[both]
    nothing = np.full(2, np.nan)
    if len(a) < MIN_SESSIONS:
        return PairedDifference(len(a), nothing, nothing, nothing, nothing, nothing)
    if min(float(a.min()), float(b.min())) <= -1.0:
        raise ValueError("a return of -1 or less leaves nothing to compound")
    pair = np.column_stack([a, b])
    own = np.array([annual_return(pair, periods_per_year), annual_sharpe(pair, periods_per_year)])
    difference = own[:, 0] - own[:, 1]
    if not (a != b).any():
        return PairedDifference(len(a), own[:, 0], own[:, 1], difference, difference, difference)
    apart = a - b
    block = max(optimal_block_length(apart), optimal_block_length((apart - apart.mean()) ** 2))
    # Standardised before squaring, so that the variances of resamples lose no digits.
    centre = pair.mean(axis=0)
    scale = np.where(pair.std(axis=0) > 0, pair.std(axis=0), 1.0)
    z = (pair - centre) / scale
    means = resampled_means(np.column_stack([np.log1p(pair), z, z * z]), block, replications, seed)
    growth = np.expm1(periods_per_year * means[:, :2])
    variance = np.maximum(means[:, 4:] - means[:, 2:4] ** 2, 0.0)
    unbiased = math.sqrt((len(a) - 1.0) / len(a) * periods_per_year)
    varies = variance > 1e-12
    ratio = unbiased * (centre / scale + means[:, 2:4]) / np.sqrt(np.where(varies, variance, np.nan))
    tails = [0.5 - 0.5 * confidence, 0.5 + 0.5 * confidence]
    bounds = np.full((2, 2), np.nan)
    for m, resampled in enumerate((growth[:, 0] - growth[:, 1], ratio[:, 0] - ratio[:, 1])):
        known = resampled[np.isfinite(resampled)]
        if len(known) and np.isfinite(difference[m]):
            bounds[m] = np.quantile(known, tails)
    return PairedDifference(len(a), own[:, 0], own[:, 1], difference, bounds[:, 0], bounds[:, 1])
