"""Means of series that are known every session, a calendar year at a time and to date."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.validation.diebold_mariano import add_lagged_products, lag_count, mean_and_statistic


@dataclass(frozen=True)
class YearlyMeans:
    """Statistics of K series over P years, each year alone and everything up to its end: (P, 2, K) arrays.

    Attributes
    ----------
    observations : int64, values that are not NaN.
    mean : float64, NaN without observations.
    standard_deviation : float64, of the single values; NaN with fewer than two.
    t_value : float64, of the mean; NaN with too few observations (``diebold_mariano``) or where nothing varies.
    """

    observations: np.ndarray
    mean: np.ndarray
    standard_deviation: np.ndarray
    t_value: np.ndarray


def yearly_means(series: np.ndarray, ends: np.ndarray, horizon: int) -> YearlyMeans:
    """Mean, spread and autocorrelation-robust t of each series, by year and to date.

    Parameters
    ----------
    series : (K, S) float64, NaN where there is no value; lags are counted in values, not in sessions.
    ends : (P,) int64, ascending: year p holds the sessions ``ends[p - 1]:ends[p]``, the first one from 0.
    horizon : sessions over which neighbouring values overlap; 1 for none.

    Returns
    -------
    YearlyMeans. Sums run forwards in time, so that later sessions change no earlier year.

    Notes
    -----
    The long-run variance is that of ``diebold_mariano``: weight one for the ``horizon - 1`` lags that overlap, then
    a line to zero over ``floor(4 (K / 100)**(2/9))`` more, at least 3, so that the lags always exceed the horizon; at
    horizon 1 this is Newey and West (1987, 1994). The t value has ``K / horizon - 1`` degrees of freedom.
    """
    found = np.full((len(ends), 2, len(series), 4), np.nan)
    found[..., 0] = 0.0
    values = np.ascontiguousarray(series, dtype=np.float64)
    edges = np.asarray(ends, dtype=np.int64)

    def work(which: np.ndarray) -> None:
        _means(values, which, edges, horizon, found)

    over_columns(work, len(values))
    return YearlyMeans(found[..., 0].astype(np.int64), found[..., 1], found[..., 2], found[..., 3])


@njit(cache=True, nogil=True)
def _deviation(squares: float, total: float, count: int) -> float:
    if count < 2:
        return np.nan
    return np.sqrt(max(squares - total * total / count, 0.0) / (count - 1))


@njit(cache=True, nogil=True)
def _means(series: np.ndarray, which: np.ndarray, ends: np.ndarray, horizon: int, found: np.ndarray) -> None:
    rows = series.shape[1]
    kept = np.empty(rows)
    reach = np.zeros(len(ends) + 1, dtype=np.int64)
    for k in which:
        count, t = 0, 0
        for p in range(len(ends)):
            while t < ends[p]:
                if not np.isnan(series[k, t]):
                    kept[count] = series[k, t]
                    count += 1
                t += 1
            reach[p + 1] = count
        lags = lag_count(count, horizon)
        of_year, to_date = np.empty(lags + 1), np.zeros(lags + 1)
        latest_first = kept[:count][::-1].copy()
        all_total = all_squares = 0.0
        for p in range(len(ends)):
            begin, end = reach[p], reach[p + 1]
            of_year[:] = 0.0
            add_lagged_products(latest_first, begin, end, of_year, to_date)
            total = squares = 0.0
            for i in range(begin, end):
                total += kept[i]
                squares += kept[i] * kept[i]
            all_total += total
            all_squares += squares
            for lag in range(lags + 1):
                to_date[lag] += of_year[lag]
            found[p, 0, k, 0], found[p, 1, k, 0] = end - begin, end
            found[p, 0, k, 1], found[p, 0, k, 3] = mean_and_statistic(
                latest_first, begin, end, total, of_year, horizon
            )
            found[p, 1, k, 1], found[p, 1, k, 3] = mean_and_statistic(
                latest_first, 0, end, all_total, to_date, horizon
            )
            found[p, 0, k, 2] = _deviation(squares, total, end - begin)
            found[p, 1, k, 2] = _deviation(all_squares, all_total, end)
