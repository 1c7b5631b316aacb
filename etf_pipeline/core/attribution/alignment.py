"""Factor days to a market's sessions, and fund returns into the factors' currency over their risk-free rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Days = np.ndarray


@dataclass(frozen=True)
class AlignedFactors:
    """Factor returns as a market's sessions see them.

    ``M`` is the longest span: row ``[m - 1, t]`` is the return from the close of session ``t - m`` to that of ``t``.

    Attributes
    ----------
    value : (M, S, K) float64, NaN where not (yet) published and where the span begins before the first session.
    risk_free : (M, S) float64, compounded over the same days.
    first_day, last_day : (S,) datetime64[D], the factor days that a return over one session covers, both included;
        NaT where there are none or they are not all published.
    days : (S,) int32, how many; 0 for a session on whose factor days that market was closed (the values are 0 then: no
        factor moved), -1 where they are not published.
    names : (K,).
    """

    value: np.ndarray
    risk_free: np.ndarray
    first_day: Days
    last_day: Days
    days: np.ndarray
    names: tuple[str, ...]


def align_factors(
    sessions: Days,
    factor_days: Days,
    value: np.ndarray,
    risk_free: np.ndarray,
    names: tuple[str, ...],
    *,
    lag_days: int,
    market: str = "market_excess",
    longest_span: int = 1,
) -> AlignedFactors:
    """Returns of the factors over the days that each session's return has seen.

    With previous session s, session t sees the factor days d with ``s - lag < d <= t - lag``. A market that closes
    before the factors' day has ended has lag 1: New York's day d ends after Sydney's, so that Sydney's session t sees
    s, ..., t - 1, over a weekend and after a holiday of its own more than one.

    Parameters
    ----------
    sessions : (S,) datetime64, ascending. factor_days : (D,) datetime64, ascending.
    value : (D, K) float64, a fraction a day, NaN where missing. risk_free : (D,).
    names : K of them. The one called ``market`` is in excess of the risk-free rate: over several days the market and the
        rate are compounded each and then subtracted. All others are returns of long-short portfolios, which are summed:
        they are rebuilt to equal sides every day.
    lag_days : calendar days, 0 or 1.
    longest_span : M, sessions; returns over more of them find no partner.

    Returns
    -------
    AlignedFactors. A factor is NaN where a day of the span has no value, and everything is where the last weekday of the
    span is no factor day and none up to the session follows it: it may still be published. Before the first factor day
    likewise.

    Raises
    ------
    ValueError : days out of order or of another length than their values, another lag, no span.

    Notes
    -----
    Rows up to session T depend on factor days up to T alone. The lag of one day is the "Thursday's New York is Friday's
    Sydney" of asynchronous closes (Martens and Poon 2001, Journal of Banking and Finance 25, 1805-1827).
    """
    t = np.asarray(sessions, dtype="datetime64[D]")
    d = np.asarray(factor_days, dtype="datetime64[D]")
    _check(t, d, value, risk_free, names, lag_days, longest_span)
    count, width = len(t), value.shape[1]
    end = np.searchsorted(d, t - lag_days, side="right")  # factor days seen by the close of each session
    table = np.full((longest_span, count, width), np.nan)
    rate = np.full((longest_span, count), np.nan)
    told = _published(t, d, lag_days)
    for m in range(1, min(longest_span, count - 1) + 1):
        begin = end[:-m]
        inside = (begin > 0) & told[m:]
        table[m - 1, m:], rate[m - 1, m:] = _over_days(
            value, risk_free, begin, end[m:], inside, np.array([name == market for name in names])
        )
    first = np.full(count, np.datetime64("NaT"), dtype="datetime64[D]")
    last, days = first.copy(), np.full(count, -1, dtype=np.int32)
    if count > 1 and len(d):
        begin, stop = end[:-1], end[1:]
        inside = (begin > 0) & told[1:]
        days[1:] = np.where(inside, stop - begin, -1)
        some = np.flatnonzero(inside & (stop > begin))
        first[some + 1], last[some + 1] = d[begin[some]], d[stop[some] - 1]
    return AlignedFactors(table, rate, first, last, days, tuple(names))


def excess_return(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    aligned: AlignedFactors,
    *,
    exchange_rate: np.ndarray | None = None,
    convert: np.ndarray | None = None,
) -> np.ndarray:
    """Fund returns in the factors' currency, over the risk-free rate of the days they saw.

    ``(1 + r) X_t / X_s - 1 - rf``, where s is the session of the fund's previous bar and X the price of the fund's currency
    in the factors' (USD per AUD).

    Parameters
    ----------
    total_return : (S, N) float64, NaN where unknown. sessions_spanned : (S, N) int.
    aligned : factors on the same sessions.
    exchange_rate : (S,) at each session's close, NaN where missing; None where no fund needs it.
    convert : (N,) bool, the funds quoted in that currency; by default all where a rate is given.

    Returns
    -------
    (S, N) float64; NaN where the return is, where it spans more sessions than ``aligned`` has, or where the rate of
    exchange at either end or the risk-free rate is missing.

    Raises
    ------
    ValueError : shapes that differ, funds to be converted without a rate, a rate that is not positive.
    """
    count, funds = total_return.shape
    longest = len(aligned.value)
    if sessions_spanned.shape != total_return.shape or aligned.value.shape[1] != count:
        raise ValueError(
            f"total_return {total_return.shape}, sessions_spanned {sessions_spanned.shape} and the factors' "
            f"{aligned.value.shape[1]} sessions must belong together"
        )
    chosen = np.full(funds, exchange_rate is not None) if convert is None else np.asarray(convert, dtype=bool)
    if chosen.shape != (funds,):
        raise ValueError(f"convert {chosen.shape} must be ({funds},), one a fund")
    rate = np.ones(count) if exchange_rate is None else np.asarray(exchange_rate, dtype=np.float64)
    if exchange_rate is None and chosen.any():
        raise ValueError(
            "funds are to be converted, but exchange_rate is missing: hand in the series on the sessions"
        )
    if rate.shape != (count,) or (rate <= 0).any():
        raise ValueError("exchange_rate must be (sessions,) and positive, NaN where unknown")
    usable = (sessions_spanned >= 1) & (sessions_spanned <= longest)
    span = np.where(usable, sessions_spanned, 1)
    row = np.arange(count)[:, None]
    base = np.maximum(row - span, 0)
    ratio = np.where(chosen, rate[:, None] / rate[base], 1.0)
    out = (1.0 + total_return) * ratio - 1.0 - aligned.risk_free[span - 1, row]
    return np.where(usable & (row >= span), out, np.nan)


def _published(sessions: Days, factor_days: Days, lag_days: int) -> np.ndarray:
    """(S,) bool: the last weekday that the session sees has its factors, or a factor day after it shows it had none.

    Days after the session are no evidence: the row would change when they come.
    """
    if not len(factor_days):
        return np.zeros(len(sessions), dtype=bool)
    last_weekday = np.busday_offset(sessions - lag_days, 0, roll="backward")
    place = np.searchsorted(factor_days, last_weekday)
    following = factor_days[np.minimum(place, len(factor_days) - 1)]
    return np.asarray((following >= last_weekday) & (following <= sessions))


def _over_days(
    value: np.ndarray,
    risk_free: np.ndarray,
    begin: np.ndarray,
    stop: np.ndarray,
    inside: np.ndarray,
    compounded: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """(R, K) factor and (R,) risk-free returns over the factor days begin..stop - 1 of each row; NaN unless inside."""
    growth = np.ones((len(begin), value.shape[1]))  # of the market, or 1 plus the sum
    bank = np.ones(len(begin))
    for i in range(int(np.max(stop - begin, initial=0, where=inside))):
        use = inside & (begin + i < stop)
        day = np.where(use, begin + i, 0)
        move, rate = np.where(use[:, None], value[day], 0.0), np.where(use, risk_free[day], 0.0)
        growth = np.where(compounded, growth * (1.0 + move + rate[:, None]), growth + move)
        bank = bank * (1.0 + rate)
    moved = np.where(compounded, growth - bank[:, None], growth - 1.0)
    one = inside & (stop - begin == 1)  # a single day as it stands, without a rounding
    bank_return = bank - 1.0
    moved[one] = value[begin[one]]
    bank_return[one] = risk_free[begin[one]]
    return np.where(inside[:, None], moved, np.nan), np.where(inside, bank_return, np.nan)


def _check(
    sessions: Days,
    days: Days,
    value: np.ndarray,
    risk_free: np.ndarray,
    names: tuple[str, ...],
    lag_days: int,
    longest_span: int,
) -> None:
    for what, calendar in (("sessions", sessions), ("factor_days", days)):
        late = np.flatnonzero(np.diff(calendar).astype(np.int64) <= 0)
        if len(late):
            raise ValueError(f"{what} must ascend without repeats; {calendar[late[0] + 1]} does not follow")
    if value.shape != (len(days), len(names)) or risk_free.shape != (len(days),):
        raise ValueError(
            f"value {value.shape} must be ({len(days)}, {len(names)}): factor_days by names; "
            f"risk_free {risk_free.shape} ({len(days)},)"
        )
    if lag_days not in (0, 1):
        raise ValueError(f"lag_days must be 0 or 1, not {lag_days}")
    if longest_span < 1:
        raise ValueError(f"longest_span must be at least 1 session, not {longest_span}")
