"""Sessions of the two exchanges, against published trading calendars."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.market.calendar import (
    FIRST_DAY,
    LAST_DAY,
    CalendarError,
    exchange_sessions,
    holidays,
    is_session,
    last_final_session,
    month_starts,
    next_session,
    session_close_utc,
    timezone_name,
    week_starts,
    year_after,
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("market", "year", "count"),
    # NYSE: 252 sessions in 2024, 250 in 2025 (with the closure of 9 January), 248 in 2001.
    [("us", 2024, 252), ("us", 2025, 250), ("us", 2001, 248), ("asx", 2024, 254)],
)
def test_sessions_in_a_year(market, year, count):
    assert len(exchange_sessions(market, date(year, 1, 1), date(year, 12, 31))) == count


@pytest.mark.parametrize(
    ("market", "closed"),
    [
        ("asx", "2024-01-26"),  # Australia Day
        ("asx", "2024-04-25"),  # Anzac Day
        ("asx", "2015-12-28"),  # Boxing Day observed
        ("asx", "2022-09-22"),  # day of mourning
        ("us", "2001-09-11"),
        ("us", "2012-10-29"),  # hurricane Sandy
        ("us", "2025-01-09"),  # day of mourning
    ],
)
def test_closed_days(market, closed):
    assert not is_session(market, closed)


def test_range_is_inclusive_and_may_be_empty():
    sessions = exchange_sessions("asx", "2024-10-18", "2024-10-21")
    assert sessions.dtype == "datetime64[D]"
    assert sessions.astype(str).tolist() == ["2024-10-18", "2024-10-21"]
    assert len(exchange_sessions("asx", "2024-10-19", "2024-10-20")) == 0
    assert len(exchange_sessions("asx", "2024-10-21", "2024-10-18")) == 0


@pytest.mark.parametrize("market", ["asx", "us"])
def test_reaches_back_before_2004_and_ahead(market):
    assert is_session(market, "1993-01-29")  # SPY's first day
    assert 5 * 245 < len(exchange_sessions(market, "2030-01-01", "2034-12-31")) < 5 * 256
    days = exchange_sessions(market, FIRST_DAY, LAST_DAY)
    assert (np.diff(days) > np.timedelta64(0)).all()
    assert np.is_busday(days).all(), "no weekend sessions"


def test_result_is_the_callers_own():
    sessions = exchange_sessions("us", "2024-01-01", "2024-01-31")
    sessions[:] = np.datetime64("1999-01-01")
    assert exchange_sessions("us", "2024-01-01", "2024-01-31")[0] == np.datetime64("2024-01-02")


def test_close_in_both_halves_of_the_year_and_early_closes():
    asx = session_close_utc(
        "asx", np.array(["2024-07-01", "2024-12-02", "2024-12-24"], dtype="datetime64[D]")
    )
    assert asx.astype(str).tolist() == ["2024-07-01T06:00:00", "2024-12-02T05:00:00", "2024-12-24T03:10:00"]
    us = session_close_utc("us", np.array(["2024-07-01", "2024-07-03"], dtype="datetime64[D]"))
    assert us.astype(str).tolist() == ["2024-07-01T20:00:00", "2024-07-03T17:00:00"]


def test_close_of_a_closed_day_is_refused_by_name():
    with pytest.raises(CalendarError, match="2024-12-25 is no asx session"):
        session_close_utc("asx", np.array(["2024-12-24", "2024-12-25"], dtype="datetime64[D]"))


@pytest.mark.parametrize(
    ("now", "margin", "expected"),
    [
        ("2024-07-02T06:19:59", 20, "2024-07-01"),  # the close was 19 min 59 s ago
        ("2024-07-02T06:20:00", 20, "2024-07-02"),
        ("2024-07-02T06:00:00", 0, "2024-07-02"),
        ("2024-07-06T12:00:00", 20, "2024-07-05"),  # Saturday
        ("2024-04-25T23:00:00", 20, "2024-04-24"),  # Anzac Day
    ],
)
def test_last_final_session(now, margin, expected):
    assert last_final_session("asx", utc(now), margin) == np.datetime64(expected)


def test_last_final_session_takes_any_time_zone():
    sydney = datetime(2024, 7, 2, 16, 20, tzinfo=ZoneInfo("Australia/Sydney"))
    assert last_final_session("asx", sydney) == np.datetime64("2024-07-02")
    with pytest.raises(CalendarError, match="time zone"):
        last_final_session("asx", datetime(2024, 7, 2, 16, 20))


def test_next_session():
    assert next_session("us", "2024-07-03") == np.datetime64("2024-07-05")
    assert next_session("asx", date(2024, 12, 24)) == np.datetime64("2024-12-27")
    assert next_session("asx", pd.Timestamp("2024-10-18")) == np.datetime64("2024-10-21")


@pytest.mark.parametrize("market", ["asx", "us"])
def test_holidays_and_sessions_make_up_the_weekdays(market):
    closed = holidays(market, "2024-01-01", "2026-12-31")
    zone = ZoneInfo(timezone_name(market))
    assert all(d.tzinfo == zone and (d.hour, d.minute) == (0, 0) for d in closed)
    together = np.sort(
        np.concatenate(
            [
                exchange_sessions(market, "2024-01-01", "2026-12-31"),
                np.array([d.date() for d in closed], dtype="datetime64[D]"),
            ]
        )
    )
    days = np.arange("2024-01-01", "2027-01-01", dtype="datetime64[D]")
    np.testing.assert_array_equal(together, days[np.is_busday(days)])


def test_holidays_of_a_known_year():
    us = [d.date().isoformat() for d in holidays("us", "2024-01-01", "2024-12-31")]
    assert us == [
        "2024-01-01", "2024-01-15", "2024-02-19", "2024-03-29", "2024-05-27",
        "2024-06-19", "2024-07-04", "2024-09-02", "2024-11-28", "2024-12-25",
    ]  # fmt: skip


@pytest.mark.parametrize("bad", ["1989-12-31", "2061-01-01"])
def test_errors_name_the_bounds(bad):
    with pytest.raises(CalendarError, match=f"{bad} is outside the us calendar, 1990-01-01 to 2060-12-31"):
        is_session("us", bad)


def test_unknown_market_is_named_with_the_known_ones():
    for call in (lambda: exchange_sessions("lse", "2024-01-01", "2024-01-02"), lambda: timezone_name("lse")):
        with pytest.raises(CalendarError, match=r"'lse': known are asx, us"):
            call()


def test_the_words_today_and_now_are_not_days():
    for word in ("today", "now"):
        with pytest.raises(ValueError, match="Invalid isoformat"):
            is_session("us", word)


@pytest.mark.data
def test_every_session_is_in_the_australian_data_and_few_bars_are_not(market_data):
    bars = pd.read_parquet(market_data / "asx" / "asx_prices_adj.parquet", columns=["date"])
    day = bars["date"].to_numpy().astype("datetime64[D]")
    sessions = exchange_sessions("asx", day.min(), day.max())
    assert np.isin(sessions, day).all()
    assert np.isin(day, sessions).mean() > 0.999  # the rest are bars on closed days, a known defect


@pytest.mark.data
def test_sessions_are_exactly_the_days_of_the_american_data(market_data):
    bars = pd.read_parquet(market_data / "us" / "us_etf_ohlcv_adj_div_2026-05.parquet", columns=["date"])
    day = np.unique(bars["date"].to_numpy().astype("datetime64[D]"))
    np.testing.assert_array_equal(exchange_sessions("us", day[0], day[-1]), day)


def test_models_are_refitted_on_the_first_session_of_a_month_but_never_on_the_first_of_all() -> None:
    days = np.array(
        ["2020-01-30", "2020-01-31", "2020-02-03", "2020-02-04", "2020-04-01"], dtype="datetime64[D]"
    )
    np.testing.assert_array_equal(month_starts(days), [2, 4])
    assert month_starts(days[:1]).size == 0
    assert month_starts(days[:0]).size == 0


@pytest.mark.parametrize("market", ["asx", "us"])
def test_month_starts_are_the_first_sessions_of_their_months(market):
    days = exchange_sessions(market, "2019-03-11", "2024-06-28")
    starts = month_starts(days)
    assert len(starts) == 63
    naive = [t for t in range(1, len(days)) if str(days[t])[:7] != str(days[t - 1])[:7]]
    np.testing.assert_array_equal(starts, naive)
    assert starts.dtype == np.int64
    for cut in (1, naive[4], naive[4] + 1, naive[4] + 2, 700):
        np.testing.assert_array_equal(month_starts(days[:cut]), starts[starts < cut])


def test_a_year_between_two_sessions_of_the_same_month_is_a_new_month():
    days = np.array(["2020-05-29", "2021-05-03"], dtype="datetime64[D]")
    np.testing.assert_array_equal(month_starts(days), [1])


@pytest.mark.parametrize(
    ("market", "year", "first"),
    [
        ("asx", 2019, "2020-01-02"),
        ("us", 2019, "2020-01-02"),
        ("us", 2022, "2023-01-03"),  # 1 January was a Sunday, 2 January its holiday
        ("us", 2017, "2018-01-02"),
        ("asx", 1999, "2000-01-04"),  # the exchange stayed closed on Monday 3 January
    ],
)
def test_the_first_session_of_the_year_after(market, year, first):
    days = exchange_sessions(market, "1995-01-01", "2024-12-31")
    got = year_after(days, np.array([year]))
    np.testing.assert_array_equal(got, np.array([first], dtype="datetime64[s]"))
    assert got.dtype == np.dtype("datetime64[s]")


def test_years_after_in_any_order_and_of_none():
    days = exchange_sessions("us", "2010-06-01", "2015-03-31").astype("datetime64[s]")
    got = year_after(days, np.array([2014, 2010, 2014, 2003]))
    expected = ["2015-01-02", "2011-01-03", "2015-01-02", "2010-06-01"]
    np.testing.assert_array_equal(got, np.array(expected, dtype="datetime64[s]"))
    assert year_after(days, np.zeros(0, dtype=np.int64)).shape == (0,)


def test_a_year_without_a_session_after_it_is_an_error():
    days = exchange_sessions("us", "2010-06-01", "2015-03-31")
    with pytest.raises(IndexError):
        year_after(days, np.array([2015]))


def test_week_starts_are_first_sessions_whatever_comes_after() -> None:
    sessions = exchange_sessions("asx", np.datetime64("2019-12-16"), np.datetime64("2020-05-01"))
    rows = week_starts(sessions)
    weeks = [d.isocalendar()[:2] for d in sessions.astype(object)]
    assert rows.tolist() == [i for i in range(1, len(weeks)) if weeks[i] != weeks[i - 1]]
    # Monday as a rule, Tuesday after Easter.
    assert str(sessions[rows[-3]]) == "2020-04-14"
    for cut in range(len(sessions)):
        assert week_starts(sessions[:cut]).tolist() == rows[rows < cut].tolist()
