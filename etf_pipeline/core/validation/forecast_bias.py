"""Return forecasts against what followed: bias, slope, coverage, and whether the sign was known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from etf_pipeline.core.validation.information_coefficient import fund_groups, rank_correlation
from etf_pipeline.core.validation.periods import SCOPES, complete_years
from etf_pipeline.core.validation.yearly_mean import yearly_means

FEWEST_OUTCOMES = 12
"""Outcomes, one after the other without overlap, below which there is no verdict."""

CRITICAL = 1.645
"""One-sided 5 % of the normal distribution."""

TEN_PER_CENT = 1.2815515655446004


@dataclass(frozen=True)
class JudgedForecasts:
    """Forecasts of one horizon as (S, N) panels, NaN where none.

    Attributes
    ----------
    horizon : sessions.
    raw, corrected, lower, upper : as they were published at each close.
    realised : what followed, in the row of the forecast.
    """

    horizon: int
    raw: np.ndarray
    corrected: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    realised: np.ndarray


def judge_forecasts(
    forecasts: JudgedForecasts, sessions: np.ndarray, classes: np.ndarray, names: np.ndarray
) -> dict[str, np.ndarray]:
    """Bias, slope, coverage and Brier score by asset class and year.

    Parameters
    ----------
    forecasts : panels; a row counts where forecast, interval and outcome are known.
    sessions : (S,) datetime64, ascending.
    classes : (N,) int64, -1 for unknown, which counts among all only; names : of the classes.

    Returns
    -------
    Columns of equal length: asset_class, year, scope and the measures. Rows exist for complete years, and a
    forecast belongs to the year in which its outcome was known. bias: mean of realised less forecast. slope: of
    realised on forecast (Mincer and Zarnowitz 1969), its error clustered by session, of one set of forecasts that
    do not overlap; slope_within: the same of what both differ by from their session's mean, which is all that an
    ordering of funds uses, without the market's moves that no ordering can tell. brier: mean square of
    P(return > 0) less whether it was, both forecasts with the interval's width. rank_correlation: mean over
    sessions, with a t value that allows for the overlap (``yearly_means``).

    Notes
    -----
    The verdict is ``skill`` where realised returns rise with the corrected forecast and their order was known
    better than chance would in one of twenty cases; the slope is asked where there are too few funds to order.
    """
    years = complete_years(sessions)
    horizon, ends = forecasts.horizon, np.maximum(years.end - forecasts.horizon, 0)
    known = np.isfinite(forecasts.lower) & np.isfinite(forecasts.realised) & np.isfinite(forecasts.raw)
    groups = fund_groups(classes, names)
    correlation, _ = rank_correlation(
        groups.arrange(np.where(known, forecasts.corrected, np.nan)),
        groups.arrange(np.where(known, forecasts.realised, np.nan)),
        groups.bounds,
    )
    ranked = yearly_means(correlation, ends, horizon)
    columns: dict[str, list[object]] = {}
    for g, name in enumerate(groups.names):
        mine = groups.order[groups.bounds[g, 0] : groups.bounds[g, 1]]
        rows = _Rows.of(forecasts, known, np.sort(mine))
        for p, year in enumerate(years.year):
            for k, scope in enumerate(SCOPES):
                first = ends[p - 1] if p and scope == "year" else 0
                row = rows.between(int(first), int(ends[p]))
                if row is not None:
                    row |= {
                        "rank_correlation": ranked.mean[p, k, g],
                        "rank_t_value": ranked.t_value[p, k, g],
                    }
                    row["verdict"] = _verdict(row, horizon)
                    for key, value in {"asset_class": name, "year": year, "scope": scope, **row}.items():
                        columns.setdefault(key, []).append(value)
    return {key: np.array(values) for key, values in columns.items()}


def _verdict(row: Mapping[str, Any], horizon: int) -> str:
    slope, error = row["slope_corrected"], row["slope_corrected_standard_error"]
    evidence = row["rank_t_value"]
    if not np.isfinite(evidence):
        evidence = slope / error if error > 0 else np.nan
    if row["sessions"] < FEWEST_OUTCOMES * horizon:
        return "too_short"
    return "skill" if evidence > CRITICAL and slope > 0 else "no_skill_shown"


@dataclass(frozen=True)
class _Rows:
    """A group's forecasts with outcomes, as rows in order of sessions."""

    horizon: int
    start: np.ndarray
    row: np.ndarray
    values: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, forecasts: JudgedForecasts, known: np.ndarray, funds: np.ndarray) -> _Rows:
        """Those of ``funds``, columns of the panels."""
        row, place = np.nonzero(known[:, funds])
        start = np.searchsorted(row, np.arange(len(known) + 1))
        names = ("raw", "corrected", "lower", "upper", "realised")
        values = {name: getattr(forecasts, name)[row, funds[place]] for name in names}
        return cls(forecasts.horizon, start, row, values)

    def between(self, first: int, last: int) -> dict[str, Any] | None:
        """Measures of forecasts made on the sessions ``first:last``; None without any."""
        at = slice(self.start[first], self.start[last])
        v = {name: values[at] for name, values in self.values.items()}
        realised = v["realised"]
        if not len(realised):
            return None
        day = self.row[at]
        sigma = (v["upper"] - v["lower"]) / (2.0 * TEN_PER_CENT)
        out: dict[str, Any] = {
            "observations": len(realised),
            "sessions": len(np.unique(day)),
            "mean_realised": float(realised.mean()),
            "coverage": float(((realised >= v["lower"]) & (realised <= v["upper"])).mean()),
        }
        for name in ("raw", "corrected"):
            slope, error = mincer_zarnowitz_slope(v[name], realised, day, self.horizon)
            within = mincer_zarnowitz_slope(*_beyond_the_session(v[name], realised, day), self.horizon)
            chance = ndtr(v[name] / np.maximum(sigma, np.finfo(float).tiny))
            out[f"bias_{name}"] = float((realised - v[name]).mean())
            out[f"slope_{name}"] = slope
            out[f"slope_{name}_standard_error"] = error
            out[f"slope_within_{name}"], out[f"slope_within_{name}_standard_error"] = within
            out[f"brier_{name}"] = float(((chance - (realised > 0)) ** 2).mean())
            out[f"dispersion_{name}"] = float(v[name].std())
        return out


def _beyond_the_session(
    forecast: np.ndarray, realised: np.ndarray, day: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forecasts and outcomes less the mean of their session, and the session, on those on which forecasts differ."""
    at = day - day.min()
    count = np.maximum(np.bincount(at), 1)
    x, y = (values - (np.bincount(at, values) / count)[at] for values in (forecast, realised))
    differ = np.bincount(at, np.abs(x) > 1e-12, minlength=len(count))[at] > 0
    return x[differ], y[differ], day[differ]


def mincer_zarnowitz_slope(
    forecast: np.ndarray, realised: np.ndarray, day: np.ndarray, horizon: int
) -> tuple[float, float]:
    """Slope of realised returns on forecasts, and its standard error.

    Parameters
    ----------
    forecast, realised : (n,) finite; day : (n,) int64, session of each; horizon : sessions.

    Returns
    -------
    slope, standard error : clustered by session, as if only one of ``horizon`` interleaved sets of sessions were
        known. NaN for fewer than three sessions or forecasts that are all the same.

    Notes
    -----
    Mincer and Zarnowitz (1969), The evaluation of economic forecasts.
    """
    sessions = len(np.unique(day))
    if sessions < 3:
        return np.nan, np.nan
    x = forecast - forecast.mean()
    square = float((x * x).sum())
    if square <= 1e-24 * len(x):
        return np.nan, np.nan
    slope = float((x * realised).sum() / square)
    residual = realised - realised.mean() - slope * x
    score = np.bincount(day - day.min(), x * residual)
    return slope, float(np.sqrt(horizon * (score @ score)) / square)
