"""Whether a configuration stands on a plateau of its neighbours or on a spike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import special

from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.validation.annual_performance import SESSIONS_PER_YEAR, annual_sharpe

VERDICTS = ("nothing", "spike", "plateau")
"""What ``stability`` says of a configuration: it has no edge to lose; its neighbours lose it; they keep it."""


@dataclass(frozen=True)
class Stability:
    """Whether K configurations are worth what their neighbours are: (K,) arrays.

    Attributes
    ----------
    sharpe : float64, annualised, over the periods that all configurations have.
    neighbours : int64, how many there are.
    mean_sharpe, worst_sharpe : float64, of the neighbours; NaN without any.
    mean_kept, worst_kept : float64, the same relative to ``sharpe``; NaN where that is not positive.
    mean_error : float64, annualised standard error of ``share * sharpe - mean_sharpe``.
    worst_excess : float64, by how many of its own standard errors the neighbour furthest below ``share * sharpe`` lies
        below it; negative where all lie above.
    verdict : str, of ``VERDICTS``; without neighbours a positive ratio is a spike.
    """

    sharpe: np.ndarray
    neighbours: np.ndarray
    mean_sharpe: np.ndarray
    worst_sharpe: np.ndarray
    mean_kept: np.ndarray
    worst_kept: np.ndarray
    mean_error: np.ndarray
    worst_excess: np.ndarray
    verdict: np.ndarray


def stability(
    returns: np.ndarray,
    neighbours: np.ndarray,
    *,
    share: float = 0.8,
    significance: float = 0.05,
    periods_per_year: float = SESSIONS_PER_YEAR,
) -> Stability:
    """Tell plateaus from spikes: what only one value of a parameter earns is luck more often than skill.

    Parameters
    ----------
    returns : (T, K) float64 per period, in excess of a benchmark or the risk-free rate, NaN where there is none; periods
        that not all configurations have do not count.
    neighbours : (K, D) int64, -1 for none; of ``SweepGrid.neighbours``.
    share : of its Sharpe ratio that the neighbours of a plateau keep.
    significance : probability with which chance alone may make the worst neighbour of a plateau fail.

    Returns
    -------
    Stability.

    Raises
    ------
    ValueError : fewer than 30 periods in common, or a share that is not between 0 and 1.

    Notes
    -----
    A configuration is a plateau where its neighbours keep ``share`` of its Sharpe ratio on average, as estimated, and none
    falls short of it by more than chance explains: one-sided, at ``significance`` over the number of neighbours
    (Bonferroni). The first part has no allowance for error, as the luck of the configuration chosen is just what is looked
    for; the second has, or many neighbours could not all pass. Errors are those of differences between returns of the same
    periods, by the delta method (Lo 2002: ``z - S/2 (z**2 - 1)``) with Newey and West's (1994) ``4 (T/100)**(2/9)``
    lags: neighbours do much the same, so that small differences count. Without a positive ratio there is nothing to keep.
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"share must lie between 0 and 1, not {share}")
    r = np.asarray(returns, dtype=np.float64)
    r = r[np.isfinite(r).all(axis=1)]
    if len(r) < 30:
        raise ValueError(f"configurations are compared on 30 periods in common or more; given are {len(r)}")
    sharpe = annual_sharpe(r, periods_per_year)
    deviation = r.std(axis=0)
    z = (r - r.mean(axis=0)) / np.where(np.isfinite(sharpe), deviation, np.inf)
    # Columns in rows, so that a series is contiguous.
    influence = np.ascontiguousarray((z - 0.5 * sharpe / math.sqrt(periods_per_year) * (z * z - 1.0)).T)
    numbers = np.ascontiguousarray(neighbours, dtype=np.int64)
    found = np.full((len(sharpe), 4), np.nan)
    lags = int(4.0 * (len(r) / 100.0) ** (2.0 / 9.0))

    def work(columns: np.ndarray) -> None:
        _compare(influence, sharpe, numbers, share, lags, math.sqrt(periods_per_year), columns, found)

    over_columns(work, len(sharpe))
    mean, worst, error, excess = found.T
    count = (numbers >= 0).sum(axis=1)
    bound = special.ndtri(1.0 - significance / np.maximum(count, 1))
    positive = sharpe > 0
    own = np.where(positive, sharpe, np.nan)
    flat = positive & (mean >= share * sharpe) & (excess <= bound)
    return Stability(
        sharpe=sharpe,
        neighbours=count,
        mean_sharpe=mean,
        worst_sharpe=worst,
        mean_kept=mean / own,
        worst_kept=worst / own,
        mean_error=error,
        worst_excess=excess,
        verdict=np.array(VERDICTS)[np.where(positive, 1 + flat.astype(np.int64), 0)],
    )


@njit(cache=True, nogil=True)
def _error(series: np.ndarray, lags: int) -> float:
    """Newey-West standard error of the mean of a series whose mean is zero."""
    count = len(series)
    variance = 0.0
    for lag in range(lags + 1):
        products = 0.0
        for t in range(lag, count):
            products += series[t] * series[t - lag]
        variance += products if lag == 0 else 2.0 * (1.0 - lag / (lags + 1.0)) * products
    return math.sqrt(max(variance, 0.0)) / count


@njit(cache=True, nogil=True)
def _compare(
    influence: np.ndarray,
    sharpe: np.ndarray,
    neighbours: np.ndarray,
    share: float,
    lags: int,
    scale: float,
    columns: np.ndarray,
    found: np.ndarray,
) -> None:
    """Mean and worst of the neighbours, error of the mean, and the largest shortfall in its errors, of the columns named."""
    periods = influence.shape[1]
    apart, mean_apart = np.empty(periods), np.empty(periods)
    for k in columns:
        count, total, worst, excess = 0, 0.0, np.inf, -np.inf
        mean_apart[:] = 0.0
        for n in neighbours[k]:
            if n < 0:
                continue
            for t in range(periods):
                apart[t] = share * influence[k, t] - influence[n, t]
                mean_apart[t] += apart[t]
            short = share * sharpe[k] - sharpe[n]
            error = scale * _error(apart, lags)
            if error > 0.0:
                excess = max(excess, short / error)
            elif short > 0.0:
                excess = np.inf
            worst = min(worst, sharpe[n])
            total += sharpe[n]
            count += 1
        if count > 0:
            for t in range(periods):
                mean_apart[t] /= count
            found[k, 0], found[k, 1] = total / count, worst
            found[k, 2], found[k, 3] = scale * _error(mean_apart, lags), excess
