"""What a beta is worth: the risk that is left after hedging with the one known the day before."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numba import njit

from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.risk.paired_returns import pair_returns
from etf_pipeline.core.validation.diebold_mariano import (
    add_lagged_products,
    lag_count,
    mean_and_statistic,
    p_value,
)
from etf_pipeline.core.validation.periods import SCOPES, complete_years

SESSIONS_A_YEAR = 252
_FIELDS = 4  # observations, sums of squared errors of the estimator and of the static beta, statistic


def hedging_error(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    benchmark_return: np.ndarray,
    benchmark_spanned: np.ndarray,
    beta: np.ndarray,
    *,
    horizon: int = 1,
) -> np.ndarray:
    """Return that the hedge leaves: ``e_t = r_t - beta_{t-1} r_m,t``.

    Parameters
    ----------
    total_return, sessions_spanned : (S, N), as for ``rolling_beta``.
    benchmark_return, benchmark_spanned : (S,) or (S, N).
    beta : (S, N) float64, known at the close of each session.
    horizon : sessions over which both returns are summed, at least 1: the error of a hedge set up ``horizon``
        sessions ago and left alone. Over several sessions a fund whose assets trade in other hours has caught up.

    Returns
    -------
    (S, N) float64. NaN where fund or benchmark lack a one-session return within the horizon, or there was no beta
    before it.
    """
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1 session, not {horizon}")
    p = pair_returns(total_return, sessions_spanned, benchmark_return, benchmark_spanned, 0)
    fund = np.where(p.usable, p.fund, np.nan)
    error = np.full(fund.shape, np.nan)
    rows = max(len(fund) - horizon, 0)
    whole, market = np.zeros((rows, fund.shape[1])), np.zeros((rows, p.benchmark.shape[1]))
    for k in range(1, horizon + 1):
        whole += fund[k : k + rows]
        market += p.benchmark[k : k + rows]
    error[horizon:] = whole - beta[:rows] * market
    return error


def judge_hedges(
    errors: Mapping[str, np.ndarray], sessions: np.ndarray, *, static: str = "static", horizon: int = 1
) -> dict[str, np.ndarray]:
    """Compare estimators of beta by the squared errors of their hedges, a year at a time and to date.

    All estimators of a fund are judged on the same sessions: those on which every one has an error.

    Parameters
    ----------
    errors : name of the estimator -> (S, N) float64 of ``hedging_error``, all at the same horizon.
    sessions : (S,) datetime64, ascending.
    static : name of the estimator that the others are compared with.
    horizon : sessions each error spans.

    Returns
    -------
    Equally long columns, in order of year, scope, fund and estimator, for years that are over (``complete_years``)
    and funds with an error in the period:

        * fund : int64, column of the panel; estimator : str; horizon : int32, sessions;
        * year : int32; scope : "year", or "to_date" for everything up to that year's end;
        * observations : int64, errors, the same for all estimators of a fund;
        * rmse_annualised : root mean squared error times sqrt(252 / horizon);
        * ratio_to_static : mean squared error over the static beta's, below 1 is better; NaN where the static
          hedge left nothing;
        * statistic, p_value : Diebold-Mariano test of the squared errors, negative where better than the static
          beta; NaN for the static beta itself and where there are too few errors (``diebold_mariano``).

    Raises
    ------
    ValueError : no errors under the name ``static``, or shapes that differ.

    Notes
    -----
    The betas are estimates that are renewed along the way, not fixed forecasts: read the p-value as a guide.
    """
    if static not in errors:
        raise ValueError(
            f"errors must hold the estimator {static!r} to compare with, not only {list(errors)}"
        )
    shape = errors[static].shape
    for name, panel in errors.items():
        if panel.shape != shape or len(sessions) != shape[0]:
            raise ValueError(
                f"errors of {name!r} are {panel.shape}, of {static!r} {shape}, {len(sessions)} sessions"
            )
    years = complete_years(sessions)
    names, panels = np.array(list(errors), dtype=str), list(errors.values())
    at = list(errors).index(static)
    found = np.full((len(years.year), 2, shape[1], len(names), _FIELDS), np.nan)

    def work(funds: np.ndarray) -> None:
        own = np.empty((len(panels), len(funds), len(sessions)))
        for e, panel in enumerate(panels):
            own[e] = panel[:, funds].T
        _judge(funds, own, at, years.end, horizon, found)

    over_columns(work, shape[1])
    p, s, j, e = np.nonzero(found[..., 0] > 0)
    observations, squares, base, statistic = found[p, s, j, e].T
    return {
        "fund": j,
        "estimator": names[e],
        "horizon": np.full(len(j), horizon, dtype=np.int32),
        "year": years.year[p],
        "scope": SCOPES[s],
        "observations": observations.astype(np.int64),
        "rmse_annualised": np.sqrt(squares / observations * (SESSIONS_A_YEAR / horizon)),
        "ratio_to_static": squares / np.where(base > 0.0, base, np.nan),
        "statistic": statistic,
        "p_value": p_value(statistic, observations, horizon),
    }


@njit(cache=True, nogil=True, error_model="numpy")
def _judge(
    funds: np.ndarray, errors: np.ndarray, static: int, ends: np.ndarray, horizon: int, found: np.ndarray
) -> None:
    """``errors`` (E, K, S) holds only ``funds``; sums go forwards in time, so later sessions change nothing."""
    estimators, rows = errors.shape[0], errors.shape[2]
    squared = np.empty((estimators, rows))
    latest_first = np.empty(rows)
    reach = np.zeros(len(ends) + 1, dtype=np.int64)
    for c in range(len(funds)):
        count = 0
        t = 0
        for p in range(len(ends)):
            while t < ends[p]:
                known = True
                for e in range(estimators):
                    squared[e, count] = errors[e, c, t] * errors[e, c, t]
                    known = known and not np.isnan(squared[e, count])
                count += 1 if known else 0
                t += 1
            reach[p + 1] = count
        lags = lag_count(count, horizon)
        of_year, to_date = np.empty(lags + 1), np.empty(lags + 1)
        difference = latest_first[:count]
        for e in range(estimators):
            for i in range(count):
                difference[count - 1 - i] = squared[e, i] - squared[static, i]
            to_date[:] = 0.0
            all_own = all_base = all_difference = 0.0
            for p in range(len(ends)):
                begin, end = reach[p], reach[p + 1]
                of_year[:] = 0.0
                add_lagged_products(difference, begin, end, of_year, to_date)
                own = base = total = 0.0
                for i in range(begin, end):
                    own += squared[e, i]
                    base += squared[static, i]
                    total += difference[count - 1 - i]
                for k in range(lags + 1):
                    to_date[k] += of_year[k]
                all_own += own
                all_base += base
                all_difference += total
                out = found[p, :, funds[c], e]
                out[0, 0], out[1, 0] = end - begin, end
                out[0, 1], out[1, 1] = own, all_own
                out[0, 2], out[1, 2] = base, all_base
                out[0, 3] = mean_and_statistic(difference, begin, end, total, of_year, horizon)[1]
                out[1, 3] = mean_and_statistic(difference, 0, end, all_difference, to_date, horizon)[1]


def hedging_by_class(
    records: Mapping[str, np.ndarray], class_index: np.ndarray, *, significance: float = 0.05
) -> dict[str, np.ndarray]:
    """Medians over the funds of each asset class, and how many funds an estimator served better or worse.

    Parameters
    ----------
    records : of ``judge_hedges``.
    class_index : (N,) int, of the funds, -1 where it is not known.
    significance : two-sided level of the test.

    Returns
    -------
    Equally long columns asset_class (int64), horizon, year, scope, estimator, in this order; funds : int64;
    median_rmse_annualised, median_ratio_to_static : over the funds that have one, else NaN;
    share_better, share_worse : of the funds, by the test at this level.
    """
    keys = [records["estimator"], records["scope"], records["year"], records["horizon"]]
    keys.append(class_index[records["fund"]].astype(np.int64))
    order = np.lexsort(keys)
    ordered = [key[order] for key in keys]
    new = np.ones(len(order), dtype=bool)
    new[1:] = np.any([key[1:] != key[:-1] for key in ordered], axis=0)
    first = np.flatnonzero(new)
    groups = np.split(order, first[1:]) if len(order) else []
    significant = records["p_value"] < significance
    better, worse = significant & (records["statistic"] < 0), significant & (records["statistic"] > 0)

    def median(measure: np.ndarray) -> np.ndarray:
        known = [measure[group][~np.isnan(measure[group])] for group in groups]
        return np.array([float(np.median(values)) if len(values) else np.nan for values in known])

    estimator, scope, year, horizon, asset_class = (key[first] for key in ordered)
    return {
        "asset_class": asset_class,
        "horizon": horizon,
        "year": year,
        "scope": scope,
        "estimator": estimator,
        "funds": np.array([len(group) for group in groups], dtype=np.int64),
        "median_rmse_annualised": median(records["rmse_annualised"]),
        "median_ratio_to_static": median(records["ratio_to_static"]),
        "share_better": np.array([float(better[group].mean()) for group in groups]),
        "share_worse": np.array([float(worse[group].mean()) for group in groups]),
    }
