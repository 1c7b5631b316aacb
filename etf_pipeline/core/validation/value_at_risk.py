"""Value at risk and expected shortfall against the returns that followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit

from etf_pipeline.core.validation.coverage import (
    acceptance_band,
    chi_squared_p_value,
    independence_statistic,
    kupiec_statistic,
)
from etf_pipeline.core.validation.periods import SCOPES, complete_years
from etf_pipeline.core.validation.shortfall import z1_p_value, z2_p_value

# What became of a return: no forecast to hold it against, then the two outcomes.
_NO_RETURN, _MISSING, _INVALID, _WITHIN, _EXCEPTION = range(5)
# Counts of the last four, of transitions 00, 01, 10, 11, then sums of severity and of VaR / ES, counts of forecasts of a
# loss and of the exceptions to these.
_FIELDS = 12


@dataclass(frozen=True)
class ValueAtRiskBacktest:
    """Two long tables as equally long columns.

    Attributes
    ----------
    coverage : one row a year, scope, fund and level, in this order, with

        * fund : int64, column of the panel; level : float64, e.g. 0.99;
        * year : int32; scope : "year", or "to_date" for everything up to that year's end;
        * observations : int64, returns held against a forecast;
        * forecasts_missing, forecasts_invalid : int64, returns left out for want of a forecast, or of
          a finite one with ``expected shortfall <= value at risk``;
        * forecasts_not_negative : int64, observations whose value at risk was zero or a gain;
        * exceptions : int64, returns below value at risk; expected_exceptions : float64;
        * judged : bool, enough exceptions were to be expected; if not, what follows is NaN but for the band;
        * lowest_accepted, highest_accepted : int64, exceptions Kupiec's test does not reject at 95 %;
        * kupiec_, independence_ and conditional_coverage_ each with ``statistic`` and ``p_value``;
        * z1, z1_p_value, z2, z2_p_value : Acerbi and Szekely's tests of expected shortfall.
    exceptions : one row an exception, in order of session, fund and level, with fund, row (of the
        panel), session, level, total_return, sessions_spanned, value_at_risk and expected_shortfall, these for
        the sessions the return spans. It reaches to the last session, not to the last complete year.
    """

    coverage: dict[str, np.ndarray]
    exceptions: dict[str, np.ndarray]


def evaluate_value_at_risk(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    sessions: np.ndarray,
    forecasts: Mapping[float, tuple[np.ndarray, np.ndarray]],
    *,
    min_expected_exceptions: float = 1.0,
) -> ValueAtRiskBacktest:
    """Count exceptions and test coverage, independence and shortfall, by fund and calendar year.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int.
    sessions : (S,) datetime64[D].
    forecasts : level, e.g. 0.99, to value at risk and expected shortfall, (S, N) float64 each: returns of one
        session, losses negative, as forecast at the row's close; NaN where there is no forecast.
    min_expected_exceptions : observations times the probability of an exception from which a period is judged: 1
        needs 20 observations at 95 %, 100 at 99 %. Of fewer every outcome is ordinary.

    Returns
    -------
    ValueAtRiskBacktest, for years that are over (``complete_years``) and funds with a return to judge in the
    period. Statistics are NaN where a period is not judged, Z1 without exceptions.

    Raises
    ------
    ValueError : a level outside (0.5, 1), a forecast of another shape.

    Notes
    -----
    Each return is held against the forecast made at the fund's previous close. A return over n sessions is
    held against sqrt(n) times the forecast of one. A value at risk of zero (a price that mostly stands still) or of a
    gain (a fund that all but always rises) is a forecast like any other: a return below it is an exception.
    Under zero the exceptions may rightly be rarer than stated, for no quantile lies between the zeros and the losses: a
    fund with many ``forecasts_not_negative`` is then called too cautious. Z1 and Z2 measure losses by the loss
    expected, and leave these forecasts out.

    Christoffersen's chain runs over the fund's observations; sessions in between that could not be judged are
    passed over, and a year's chain begins with its first. Conditional coverage adds the two statistics.
    With few expected exceptions (2.5 a year at 99 %) the chi-squared p-values are rough: Kupiec's test then rejects
    a correct model in up to one of ten years, and has little power.
    """
    for level, pair in forecasts.items():
        if not 0.5 < level < 1:
            raise ValueError(f"level must lie between 0.5 and 1, not {level}")
        for panel in pair:
            if panel.shape != total_return.shape:
                raise ValueError(f"forecasts at {level} are {panel.shape}, returns {total_return.shape}")
    years = complete_years(sessions)
    span = np.asarray(sessions_spanned, dtype=np.int64)
    made_at = np.arange(len(span))[:, None] - span
    known = (span > 0) & (made_at >= 0) & np.isfinite(total_return)
    made_at = np.where(known, made_at, 0)
    levels = np.array(list(forecasts), dtype=np.float64)
    counts = np.zeros((len(levels), len(years.year), 2, total_return.shape[1], _FIELDS))
    scale = np.sqrt(np.where(known, span, 1))
    at, details = [], []
    for i, (value_at_risk, expected_shortfall) in enumerate(forecasts.values()):
        var = np.take_along_axis(np.asarray(value_at_risk, dtype=np.float64), made_at, axis=0) * scale
        es = np.take_along_axis(np.asarray(expected_shortfall, dtype=np.float64), made_at, axis=0) * scale
        missing = np.isnan(var) | np.isnan(es)
        valid = (es <= var) & np.isfinite(es) & np.isfinite(var)
        loss = valid & (var < 0)
        exceeded = known & valid & (total_return < var)
        state = np.select(
            [~known, missing, ~valid, exceeded], [_NO_RETURN, _MISSING, _INVALID, _EXCEPTION], _WITHIN
        )
        severity = np.divide(total_return, es, out=np.zeros(es.shape), where=exceeded & loss)
        tail_ratio = np.divide(var, es, out=np.zeros(es.shape), where=known & loss)
        _count(state.astype(np.int64), loss, severity, tail_ratio, years.end, counts[i])
        where = np.nonzero(exceeded)
        at.append(np.stack([*where, np.full(len(where[0]), i)]))
        details.append(np.stack([total_return[where], var[where], es[where]]))
    return ValueAtRiskBacktest(
        _coverage_table(np.moveaxis(counts, 0, 3), years.year, levels, min_expected_exceptions),
        _exception_table(at, details, sessions, span, levels),
    )


def _coverage_table(
    counts: np.ndarray, year: np.ndarray, levels: np.ndarray, min_expected: float
) -> dict[str, np.ndarray]:
    """Long columns of the rows with a return, with every test."""
    p, s, j, i = np.nonzero(counts[..., :4].sum(axis=-1) > 0)
    rows = counts[p, s, j, i]
    missing, invalid, within, exceptions = rows[:, :4].T
    # 1 - 0.99 is not 0.01 in floating point.
    probability = np.round(1.0 - levels, 12)[i]
    observations = within + exceptions
    expected = observations * probability
    # A count of 100 times 0.01 is 1, whatever the last bit says.
    judged, shortfall_judged = (
        np.round(count * probability, 9) >= min_expected for count in (observations, rows[:, 10])
    )
    judged &= observations > 0
    lowest, highest = acceptance_band(observations.astype(np.int64), probability)
    kupiec = np.where(judged, kupiec_statistic(exceptions, observations, probability), np.nan)
    independence = np.where(judged, independence_statistic(rows[:, 4:8].reshape(-1, 2, 2)), np.nan)
    losses, beyond = (np.where(shortfall_judged, count, 0.0) for count in rows[:, 10:12].T)
    severity, tail_ratio = rows[:, 8], rows[:, 9] / np.maximum(losses, 1)
    z1 = 1.0 - severity / np.where(beyond > 0, beyond, np.nan)
    z2 = 1.0 - severity / np.where(losses > 0, losses * probability, np.nan)
    conditional = kupiec + independence
    return {
        "fund": j,
        "level": levels[i],
        "year": year[p],
        "scope": SCOPES[s],
        "observations": observations.astype(np.int64),
        "forecasts_missing": missing.astype(np.int64),
        "forecasts_invalid": invalid.astype(np.int64),
        "forecasts_not_negative": (observations - rows[:, 10]).astype(np.int64),
        "exceptions": exceptions.astype(np.int64),
        "expected_exceptions": expected,
        "judged": judged,
        "lowest_accepted": lowest,
        "highest_accepted": highest,
        "kupiec_statistic": kupiec,
        "kupiec_p_value": chi_squared_p_value(kupiec, 1),
        "independence_statistic": independence,
        "independence_p_value": chi_squared_p_value(independence, 1),
        "conditional_coverage_statistic": conditional,
        "conditional_coverage_p_value": chi_squared_p_value(conditional, 2),
        "z1": z1,
        "z1_p_value": z1_p_value(z1, beyond, tail_ratio),
        "z2": z2,
        "z2_p_value": z2_p_value(z2, losses, probability, tail_ratio),
    }


def _exception_table(
    at: list[np.ndarray],
    details: list[np.ndarray],
    sessions: np.ndarray,
    span: np.ndarray,
    levels: np.ndarray,
) -> dict[str, np.ndarray]:
    """Long columns of all levels' exceptions, in order of session, fund and level."""
    row, fund, level = np.concatenate([np.zeros((3, 0), dtype=np.int64), *at], axis=1)
    order = np.lexsort((level, fund, row))
    row, fund, level = row[order], fund[order], level[order]
    returns, value_at_risk, expected_shortfall = np.concatenate([np.zeros((3, 0)), *details], axis=1)[
        :, order
    ]
    return {
        "fund": fund,
        "row": row,
        "session": np.asarray(sessions, dtype="datetime64[D]")[row],
        "level": levels[level],
        "total_return": returns,
        "sessions_spanned": span[row, fund],
        "value_at_risk": value_at_risk,
        "expected_shortfall": expected_shortfall,
    }


@njit(cache=True, nogil=True)
def _count(
    state: np.ndarray,
    loss: np.ndarray,
    severity: np.ndarray,
    tail_ratio: np.ndarray,
    ends: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Counts and sums of every year and up to its end, added session by session."""
    funds = state.shape[1]
    previous, seen_in = np.full(funds, -1), np.full(funds, -1)
    begin = 0
    for p in range(len(ends)):
        for t in range(begin, ends[p]):
            for j in range(funds):
                now = state[t, j]
                if now == _NO_RETURN:
                    continue
                counts[p, 0, j, now - _MISSING] += 1.0
                if now < _WITHIN:
                    continue
                hit = now - _WITHIN
                if previous[j] >= 0:
                    # A year's chain begins with its first observation; the longer one goes on.
                    for scope in range(0 if seen_in[j] == p else 1, 2):
                        counts[p, scope, j, 4 + 2 * previous[j] + hit] += 1.0
                previous[j] = hit
                seen_in[j] = p
                counts[p, 0, j, 8] += severity[t, j]
                counts[p, 0, j, 9] += tail_ratio[t, j]
                if loss[t, j]:
                    counts[p, 0, j, 10] += 1.0
                    counts[p, 0, j, 11] += hit
        begin = ends[p]
        for j in range(funds):
            for k in range(_FIELDS):
                if k < 4 or k >= 8:
                    counts[p, 1, j, k] = counts[p, 0, j, k]
                if p > 0:
                    counts[p, 1, j, k] += counts[p - 1, 1, j, k]
