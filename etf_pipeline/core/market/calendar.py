"""Exchange sessions: which days a market trades, when each closes, which session is final.

The rules come from ``exchange_calendars`` (XASX, XNYS) between two fixed bounds, so that the answer
depends on nothing but the arguments: there is no clock in here, "now" is always passed in.
"""

from __future__ import annotations

import warnings
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

import exchange_calendars
import numpy as np

Market = Literal["asx", "us"]
Day: TypeAlias = date | str | np.datetime64

FIRST_DAY = np.datetime64("1990-01-01", "D")
LAST_DAY = np.datetime64("2060-12-31", "D")
"""Bounds of the calendar. Future holidays follow today's rules; one-off closures do not show."""

EXCHANGE = {"asx": "XASX", "us": "XNYS"}
TIMEZONE = {"asx": "Australia/Sydney", "us": "America/New_York"}


class CalendarError(ValueError):
    """A market without a calendar or a day outside its bounds; the message names both."""


@lru_cache(maxsize=len(EXCHANGE))
def _sessions_and_closes(market: str) -> tuple[np.ndarray, np.ndarray]:
    """All sessions (datetime64[D]) and their closes (datetime64[s], UTC) between the bounds, read-only."""
    if market not in EXCHANGE:
        raise CalendarError(f"no calendar for market {market!r}: known are {', '.join(sorted(EXCHANGE))}")
    with warnings.catch_warnings():
        # exchange_calendars 4.13 uses a pandas accessor that pandas 3.1 deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        calendar = exchange_calendars.get_calendar(EXCHANGE[market], start=str(FIRST_DAY), end=str(LAST_DAY))
    sessions = calendar.sessions.to_numpy().astype("datetime64[D]")
    closes = calendar.closes.dt.tz_convert(None).to_numpy().astype("datetime64[s]")
    sessions.setflags(write=False)
    closes.setflags(write=False)
    return sessions, closes


def _day(market: str, value: Day, what: str) -> np.datetime64:
    """``value`` as datetime64[D] inside the bounds."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        raise CalendarError(f"{what} {value} carries a time zone: pass the exchange's local date")
    if isinstance(value, str):
        # Not left to numpy, which also takes "today".
        value = date.fromisoformat(value)
    day: np.datetime64 = np.asarray([value], dtype="datetime64[D]")[0]
    if np.isnat(day) or day < FIRST_DAY or day > LAST_DAY:
        raise CalendarError(f"{what} {day} is outside the {market} calendar, {FIRST_DAY} to {LAST_DAY}")
    return day


def timezone_name(market: Market) -> str:
    """The exchange's IANA time zone, e.g. ``Australia/Sydney``.

    Raises
    ------
    CalendarError : no such market.
    """
    if market not in TIMEZONE:
        raise CalendarError(f"no calendar for market {market!r}: known are {', '.join(sorted(TIMEZONE))}")
    return TIMEZONE[market]


def exchange_sessions(market: Market, start: Day, end: Day) -> np.ndarray:
    """Every session in ``[start, end]``, inclusive.

    Returns
    -------
    (S,) datetime64[D], strictly increasing; empty where the range holds none.

    Raises
    ------
    CalendarError : no such market, or a day outside ``FIRST_DAY``..``LAST_DAY``.
    """
    sessions, _ = _sessions_and_closes(market)
    first = np.searchsorted(sessions, _day(market, start, "start"))
    last = np.searchsorted(sessions, _day(market, end, "end"), side="right")
    return sessions[first:last].copy()


def is_session(market: Market, day: Day) -> bool:
    """Whether the exchange trades on ``day``."""
    return len(exchange_sessions(market, day, day)) == 1


def next_session(market: Market, day: Day) -> np.datetime64:
    """The first session strictly after ``day``.

    Raises
    ------
    CalendarError : outside the bounds, or no session is left before ``LAST_DAY``.
    """
    sessions, _ = _sessions_and_closes(market)
    after = int(np.searchsorted(sessions, _day(market, day, "day"), side="right"))
    if after == len(sessions):
        raise CalendarError(f"no {market} session after {day}: the calendar ends on {LAST_DAY}")
    return sessions[after]


def session_close_utc(market: Market, sessions: np.ndarray) -> np.ndarray:
    """Closing time of each session, early closes included.

    Parameters
    ----------
    sessions : (K,) datetime64, each a session of the market.

    Returns
    -------
    (K,) datetime64[s] in UTC.

    Raises
    ------
    CalendarError : a day that is not a session; the first one is named.
    """
    known, closes = _sessions_and_closes(market)
    days = np.asarray(sessions, dtype="datetime64[D]")
    position = np.minimum(np.searchsorted(known, days), len(known) - 1)
    wrong = known[position] != days
    if wrong.any():
        raise CalendarError(f"{days[wrong][0]} is no {market} session between {FIRST_DAY} and {LAST_DAY}")
    return closes[position]


def last_final_session(market: Market, now_utc: datetime, margin_minutes: float = 20) -> np.datetime64:
    """The latest session whose close lies at least ``margin_minutes`` before ``now_utc``.

    The margin covers closing auctions and the vendor's delay: a bar fetched earlier may still change.

    Raises
    ------
    CalendarError : ``now_utc`` without a time zone, or outside the bounds.
    """
    if now_utc.tzinfo is None:
        raise CalendarError(f"now_utc {now_utc} needs a time zone")
    sessions, closes = _sessions_and_closes(market)
    now = np.datetime64(now_utc.astimezone(UTC).replace(tzinfo=None), "s")
    _day(market, now, "now_utc")
    final = int(np.searchsorted(closes, now - np.timedelta64(round(margin_minutes * 60), "s"), side="right"))
    if final == 0:
        raise CalendarError(f"no {market} session was final at {now_utc}: the calendar begins on {FIRST_DAY}")
    return sessions[final - 1]


def holidays(market: Market, start: Day, end: Day) -> list[datetime]:
    """Weekdays in ``[start, end]`` on which the exchange is closed.

    Returns
    -------
    Local midnights with the exchange's time zone, increasing: the form that partition exclusions take.
    """
    first, last = _day(market, start, "start"), _day(market, end, "end")
    zone = ZoneInfo(timezone_name(market))
    days = np.arange(first, last + 1)
    closed = days[np.is_busday(days) & ~np.isin(days, exchange_sessions(market, first, last))]
    return [datetime(d.year, d.month, d.day, tzinfo=zone) for d in closed.astype(object)]


def month_starts(sessions: np.ndarray) -> np.ndarray:
    """Rows of the first session of each calendar month: the days on which models are refitted.

    The first row of all is none: whether its month began on it cannot be known.

    Parameters
    ----------
    sessions : (S,) datetime64, ascending.

    Returns
    -------
    (R,) int64.
    """
    months = np.asarray(sessions, dtype="datetime64[M]").astype(np.int64)
    return np.flatnonzero(np.diff(months) != 0) + 1


def week_starts(sessions: np.ndarray) -> np.ndarray:
    """Rows of the first session of each calendar week, Monday to Sunday; the first row of all is none.

    Parameters
    ----------
    sessions : (S,) datetime64, ascending.

    Returns
    -------
    (R,) int64.
    """
    days = np.asarray(sessions, dtype="datetime64[D]").astype(np.int64)
    weeks = (days + 3) // 7  # 1 January 1970 was a Thursday
    return np.flatnonzero(np.diff(weeks) != 0) + 1


def year_after(sessions: np.ndarray, years: np.ndarray) -> np.ndarray:
    """First session of the calendar year after each of ``years``.

    Parameters
    ----------
    sessions : (S,) datetime64, ascending; years : (K,) int, each followed by a session of a later year.

    Returns
    -------
    (K,) datetime64[s].
    """
    days = np.asarray(sessions, dtype="datetime64[D]")
    first = np.searchsorted(
        days, (np.asarray(years, dtype=np.int64) - 1969).astype("datetime64[Y]").astype("datetime64[D]")
    )
    return days[first].astype("datetime64[s]")
