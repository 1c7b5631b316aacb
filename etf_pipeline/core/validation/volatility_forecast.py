"""Variance forecasts against the variance that followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from etf_pipeline.core.market.rolling import rolling_sum, sessions_since
from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.validation.diebold_mariano import (
    add_lagged_products,
    lag_count,
    mean_and_statistic,
    p_value,
)
from etf_pipeline.core.validation.periods import SCOPES, complete_years

BASELINES = ("ewma", "rolling_63", "rolling_252")
SMALLEST_VARIANCE = 1e-12
"""Of one session: a volatility of 0.01 basis points. A forecast at or below it is taken for zero."""

SAME_FORECAST = 1e-12
"""Forecasts that differ by no more than this share are one forecast, computed in another order."""

_LOSS_FIELDS = 7  # targets, observations, missing, not positive, sums of QLIKE, MSE, forecast
_TEST_FIELDS = 5  # observations, then mean difference and statistic of QLIKE and of MSE


@dataclass(frozen=True)
class ForecastEvaluation:
    """Two long tables as equally long columns, in order of year, scope, fund and model.

    Attributes
    ----------
    losses : one row a year, scope, fund and model with

        * fund : int64, column of the panel; model : str; horizon : int32, sessions;
        * year : int32; scope : "year", or "to_date" for everything up to that year's end;
        * targets : int64, sessions of the period at which a target became complete;
        * observations : int64, those of them for which every model had a usable forecast;
        * forecasts_missing, forecasts_not_positive : int64, targets for which this model had none, or
          one that is not finite or not above ``SMALLEST_VARIANCE`` a session;
        * qlike : mean of ``log(forecast) + realised / forecast`` over the observations;
        * mse : mean of ``(realised - forecast)**2``, variances of horizon-session returns;
        * forecast_variance, realised_variance : means over the observations.
    tests : one row a year, scope, fund, model and baseline (another model) with the keys above, baseline,
        observations and, for either loss, ``_difference`` (model less baseline, negative where the model is
        better), ``_statistic`` and ``_p_value`` of the Diebold-Mariano test.
    """

    losses: dict[str, np.ndarray]
    tests: dict[str, np.ndarray]


def rolling_variance(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    *,
    window: int,
    min_observations: int,
    max_stale_sessions: int = 5,
) -> np.ndarray:
    """Sample variance of one session's return over the last ``window`` sessions.

    A forecast of the next h sessions is h times this. A return r over n sessions has n times the mean and
    n times the variance; with these, the unbiased estimate is
    ``(sum r**2 / n - (sum r)**2 / sum n) / (observations - 1)``.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int, 0 where there is no bar.
    window : sessions.
    min_observations : known returns needed in the window, at least 2.
    max_stale_sessions : the estimate stands for this many sessions without a bar of the fund.

    Returns
    -------
    (S, N) float64, NaN where there are too few returns or the last bar is too long ago; zero for a price that
    never moved.
    """
    if min_observations < 2 or window < min_observations:
        raise ValueError(f"2 <= min_observations ({min_observations}) <= window ({window}) must hold")
    known = ~np.isnan(total_return) & (sessions_spanned > 0)
    span = np.where(known, sessions_spanned, 1)
    r = np.where(known, total_return, 0.0)
    squared = rolling_sum(r * r / span, window)
    count = rolling_sum(known.astype(np.int64), window)
    elapsed = rolling_sum(np.where(known, span, 0).astype(np.int64), window)
    total = rolling_sum(r, window)
    centred = squared - total * total / np.maximum(elapsed, 1)
    # Below this the centred sum is rounding: the price did not move about its trend.
    centred = np.where(centred > 1e-13 * squared, centred, 0.0)
    stale = sessions_since(sessions_spanned > 0)
    serves = (count >= min_observations) & (stale >= 0) & (stale <= max_stale_sessions)
    return np.where(serves, centred / np.maximum(count - 1, 1), np.nan)


def realised_variance(total_return: np.ndarray, sessions_spanned: np.ndarray, horizon: int) -> np.ndarray:
    """Sum of squared returns over ``horizon`` sessions, at the last of them.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int, 0 where there is no bar.
    horizon : sessions, at least 1.

    Returns
    -------
    (S, N) float64: row t is the target of the forecast made at row ``t - horizon``. NaN unless complete: the
    fund has bars at both rows and every return in between is known. A return over several sessions
    counts once, squared as it is.
    """
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1 session, not {horizon}")
    span = np.asarray(sessions_spanned, dtype=np.int64)
    unknown = (span > 0) & ~np.isfinite(total_return)
    squared = np.where((span > 0) & ~unknown, total_return, 0.0) ** 2
    # A return that is not known makes every window it lies in too long.
    length = np.where(unknown, np.iinfo(np.int32).max, span)
    total, covered = squared.copy(), length.copy()
    for k in range(1, min(horizon, len(span))):
        total[k:] += squared[:-k]
        covered[k:] += length[:-k]
    complete = (span > 0) & (covered == horizon)
    complete[:horizon] = False
    return np.where(complete, total, np.nan)


def evaluate_volatility_forecasts(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    sessions: np.ndarray,
    forecasts: Mapping[str, np.ndarray],
    horizon: int,
    *,
    baselines: Sequence[str] = BASELINES,
    made: np.ndarray | None = None,
) -> ForecastEvaluation:
    """Losses of variance forecasts and whether they beat the baselines, by fund and calendar year.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int.
    sessions : (S,) datetime64[D].
    forecasts : model to (S, N) float64, variance of the return over the next ``horizon`` sessions as forecast
        at the row's close; NaN where there is no forecast.
    horizon : sessions.
    baselines : models each of the others is tested against.
    made : (S, N) bool, rows whose forecasts are judged, all without. Targets of other rows are none.

    Returns
    -------
    ForecastEvaluation, for years that are over (``complete_years``) and funds with a complete target in
    the period. A target belongs to the year in which it is complete, whenever the forecast was made.
    Means are NaN without observations.

    Raises
    ------
    ValueError : a baseline without forecasts, a forecast of another shape.

    Notes
    -----
    Squared returns are a noisy measure of variance; QLIKE and MSE order forecasts by their true merit all the
    same (Patton 2011, Volatility forecast comparison using imperfect volatility proxies, J. Econometrics
    160). QLIKE is finite for a return of zero. All models are judged on the same sessions: a model without
    forecasts for a fund leaves that fund without observations. So a model that serves where another has none is judged on
    its own, with ``made`` the rows where it served. Observations that lie on both sides of a hole
    are neighbours in the test (equal spacing, Datta and Du 2012), so that lags up to ``horizon - 1`` still
    hold every pair of targets that overlap. Where two models' forecasts agree to ``SAME_FORECAST`` they do not differ: a
    statistic has no scale, and would find significance in rounding.
    """
    for name in baselines:
        if name not in forecasts:
            raise ValueError(f"baseline {name!r} is not among the forecasts: {', '.join(forecasts)}")
    for name, panel in forecasts.items():
        if panel.shape != total_return.shape:
            raise ValueError(f"forecasts of {name!r} are {panel.shape}, returns {total_return.shape}")
    if made is not None and made.shape != total_return.shape:
        raise ValueError(f"made is {made.shape}, returns {total_return.shape}")
    models, panels = list(forecasts), list(forecasts.values())
    baseline = np.array([models.index(name) for name in baselines], dtype=np.int64)
    years = complete_years(sessions)
    target = realised_variance(total_return, sessions_spanned, horizon)
    if made is not None:
        target[horizon:][~made[: max(len(made) - horizon, 0)]] = np.nan
    funds, periods = total_return.shape[1], len(years.year)
    losses = np.zeros((periods, 2, funds, len(models), _LOSS_FIELDS))
    realised = np.zeros((periods, 2, funds))
    tests = np.full((periods, 2, funds, len(models), len(baseline), _TEST_FIELDS), np.nan)

    def work(indices: np.ndarray) -> None:
        own = np.empty((len(panels), len(indices), len(target)))
        for i, panel in enumerate(panels):
            own[i] = panel[:, indices].T
        own_target = np.ascontiguousarray(target[:, indices].T)
        _evaluate(own_target, own, indices, years.end, baseline, horizon, losses, realised, tests)

    over_columns(work, funds if periods and models else 0)
    return ForecastEvaluation(
        _loss_table(losses, realised, years.year, models, horizon),
        _test_table(tests, losses[..., 0] > 0, years.year, models, baseline, horizon),
    )


def _loss_table(
    losses: np.ndarray, realised: np.ndarray, year: np.ndarray, models: list[str], horizon: int
) -> dict[str, np.ndarray]:
    """Long columns of the rows with a target."""
    p, s, j, m = np.nonzero(losses[..., 0] > 0)
    targets, observations, missing, not_positive, qlike, mse, forecast = losses[p, s, j, m].T
    divisor = np.where(observations > 0, observations, np.nan)
    return {
        "fund": j,
        "model": np.array(models, dtype=str)[m],
        "horizon": np.full(len(j), horizon, dtype=np.int32),
        "year": year[p],
        "scope": SCOPES[s],
        "targets": targets.astype(np.int64),
        "observations": observations.astype(np.int64),
        "forecasts_missing": missing.astype(np.int64),
        "forecasts_not_positive": not_positive.astype(np.int64),
        "qlike": qlike / divisor,
        "mse": mse / divisor,
        "forecast_variance": forecast / divisor,
        "realised_variance": realised[p, s, j] / divisor,
    }


def _test_table(
    tests: np.ndarray,
    judged: np.ndarray,
    year: np.ndarray,
    models: list[str],
    baseline: np.ndarray,
    horizon: int,
) -> dict[str, np.ndarray]:
    """Long columns of the rows with a target, a model against itself left out."""
    another = np.arange(len(models))[:, None] != baseline
    p, s, j, m, b = np.nonzero(judged[..., None] & another)
    observations, qlike, qlike_statistic, mse, mse_statistic = tests[p, s, j, m, b].T
    names = np.array(models, dtype=str)
    return {
        "fund": j,
        "model": names[m],
        "baseline": names[baseline[b]],
        "horizon": np.full(len(j), horizon, dtype=np.int32),
        "year": year[p],
        "scope": SCOPES[s],
        "observations": observations.astype(np.int64),
        "qlike_difference": qlike,
        "qlike_statistic": qlike_statistic,
        "qlike_p_value": p_value(qlike_statistic, observations, horizon),
        "mse_difference": mse,
        "mse_statistic": mse_statistic,
        "mse_p_value": p_value(mse_statistic, observations, horizon),
    }


@njit(cache=True, nogil=True)
def _evaluate(
    target: np.ndarray,
    forecasts: np.ndarray,
    indices: np.ndarray,
    ends: np.ndarray,
    baseline: np.ndarray,
    horizon: int,
    losses: np.ndarray,
    realised: np.ndarray,
    tests: np.ndarray,
) -> None:
    """Fill the tables of the funds ``indices``; ``target`` (K, S) and ``forecasts`` (M, K, S) hold only these."""
    models, rows = forecasts.shape[0], target.shape[1]
    loss, variance = np.empty((2, models, rows)), np.empty((models, rows))
    reach = np.zeros(len(ends) + 1, dtype=np.int64)
    for c in range(len(indices)):
        j = indices[c]
        count = 0
        begin = 0
        for p in range(len(ends)):
            for t in range(begin, ends[p]):
                y = target[c, t]
                if np.isnan(y):
                    continue
                common = True
                for m in range(models):
                    losses[p, 0, j, m, 0] += 1.0
                    f = forecasts[m, c, t - horizon]
                    if np.isnan(f):
                        losses[p, 0, j, m, 2] += 1.0
                        common = False
                    elif not (SMALLEST_VARIANCE * horizon < f < np.inf):
                        losses[p, 0, j, m, 3] += 1.0
                        common = False
                if not common:
                    continue
                realised[p, 0, j] += y
                for m in range(models):
                    f = forecasts[m, c, t - horizon]
                    variance[m, count] = f
                    loss[0, m, count] = np.log(f) + y / f
                    loss[1, m, count] = (y - f) * (y - f)
                    losses[p, 0, j, m, 1] += 1.0
                    losses[p, 0, j, m, 4] += loss[0, m, count]
                    losses[p, 0, j, m, 5] += loss[1, m, count]
                    losses[p, 0, j, m, 6] += f
                count += 1
            begin = ends[p]
            reach[p + 1] = count
            realised[p, 1, j] = realised[p, 0, j] + (realised[p - 1, 1, j] if p > 0 else 0.0)
            for m in range(models):
                for k in range(_LOSS_FIELDS):
                    before = losses[p - 1, 1, j, m, k] if p > 0 else 0.0
                    losses[p, 1, j, m, k] = losses[p, 0, j, m, k] + before
        for m in range(models):
            for b in range(len(baseline)):
                if m != baseline[b]:
                    other = variance[baseline[b], :count]
                    same = np.abs(variance[m, :count] - other) <= SAME_FORECAST * other
                    for which in range(2):
                        _compare(
                            loss[which, m, :count],
                            loss[which, baseline[b], :count],
                            same,
                            reach,
                            horizon,
                            tests[:, :, j, m, b],
                            1 + 2 * which,
                        )


@njit(cache=True, nogil=True)
def _compare(
    loss: np.ndarray,
    other: np.ndarray,
    same: np.ndarray,
    reach: np.ndarray,
    horizon: int,
    out: np.ndarray,
    field: int,
) -> None:
    """Diebold-Mariano for every year and up to its end; each product of differences is taken once."""
    count = len(loss)
    difference = np.empty(count)
    for i in range(count):
        difference[count - 1 - i] = 0.0 if same[i] else loss[i] - other[i]
    lags = lag_count(count, horizon)
    inside, to_date = np.empty(lags + 1), np.zeros(lags + 1)
    total = 0.0
    for p in range(len(reach) - 1):
        begin, end = reach[p], reach[p + 1]
        for k in range(lags + 1):
            inside[k] = 0.0
        add_lagged_products(difference, begin, end, inside, to_date)
        of_year = 0.0
        for i in range(begin, end):
            of_year += difference[count - 1 - i]
        total += of_year
        for k in range(lags + 1):
            to_date[k] += inside[k]
        out[p, 0, 0], out[p, 1, 0] = end - begin, end
        out[p, 0, field], out[p, 0, field + 1] = mean_and_statistic(
            difference, begin, end, of_year, inside, horizon
        )
        out[p, 1, field], out[p, 1, field + 1] = mean_and_statistic(
            difference, 0, end, total, to_date, horizon
        )
