"""Instruments as a vendor holds them, and the chart Yahoo makes of one.

Each is kept as traded and served as Yahoo does: prices divided by every split up to today (also by those
after the window asked for), volumes multiplied, single precision, nulls for missing values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

SYDNEY, NEW_YORK = "Australia/Sydney", "America/New_York"
OPENS = {
    SYDNEY: clock(10),
    NEW_YORK: clock(9, 30),
    "America/Chicago": clock(8, 30),
    "Europe/London": clock(0),
}

LATER = datetime(2025, 6, 2, 9, 0, tzinfo=UTC)
"""A moment after every session of the tests."""

# One answer to one chart request: an HTTP status, or the name of a body that is wrong in a known way:
# "down", "truncated", "mismatch", "no_such_window", "empty", "hang_up".
Fault = int | str


@dataclass
class Bar:
    """One session as traded; ``close`` None makes a null row, ``volume`` None a null volume."""

    day: date
    close: float | None
    volume: float | None = 1000.0
    open: float | None = None
    high: float | None = None
    low: float | None = None

    def price(self, name: str) -> float | None:
        value = getattr(self, name)
        return self.close if value is None else value


@dataclass
class Instrument:
    """One symbol.

    Attributes
    ----------
    faults : answers to its first chart requests, in order; after them ``always``, or the truth.
    not_carried_back : ex-dates of splits that are listed although earlier prices are not divided by them.
    live_quote : a second row for the last session, as Yahoo appends it while the market is open.
    """

    bars: list[Bar]
    splits: dict[date, tuple[float, float]] = field(default_factory=dict)
    dividends: dict[date, float] = field(default_factory=dict)
    capital_gains: dict[date, float] = field(default_factory=dict)
    dividend_currency: str | None = None
    zone: str = SYDNEY
    currency: str = "AUD"
    kind: str = "ETF"
    name: str = "Loopback Fund"
    faults: list[Fault] = field(default_factory=list)
    always: Fault | None = None
    not_carried_back: frozenset[date] = frozenset()
    live_quote: Bar | None = None

    def later_splits(self, day: date) -> float:
        """What Yahoo divides the prices of ``day`` by."""
        return float(
            np.prod(
                [n / d for ex, (n, d) in self.splits.items() if ex > day and ex not in self.not_carried_back]
            )
        )


def sessions(start: date, count: int) -> list[date]:
    """``count`` weekdays from ``start``."""
    days: list[date] = []
    day = start
    while len(days) < count:
        if day.weekday() < 5:
            days.append(day)
        day += timedelta(days=1)
    return days


def walk(days: list[date], *, seed: int, level: float = 50.0) -> list[Bar]:
    """Bars of a plausible price, two decimals."""
    rng = np.random.default_rng(seed)
    close = np.round(level * np.exp(np.cumsum(rng.normal(0, 0.01, len(days)))), 2)
    volume = rng.integers(1_000, 100_000, len(days))
    return [
        Bar(d, float(c), float(v), float(c), round(float(c) * 1.01, 2), round(float(c) * 0.99, 2))
        for d, c, v in zip(days, close, volume, strict=True)
    ]


def chart_result(symbol: str, instrument: Instrument, period1: int, period2: int) -> dict[str, Any]:
    """``chart.result[0]`` for the window in epoch seconds, as Yahoo writes it."""
    stamp = {bar.day: _epoch(bar.day, instrument.zone) for bar in instrument.bars}
    bars = [bar for bar in instrument.bars if period1 <= stamp[bar.day] < period2]
    quote: dict[str, list[float | None]] = {name: [] for name in ("open", "high", "low", "close", "volume")}
    adjusted: list[float | None] = []
    stamps = [stamp[bar.day] for bar in bars]
    if instrument.live_quote is not None and bars:
        bars = [*bars, instrument.live_quote]
        stamps.append(stamps[-1] + 7530)
    for bar in bars:
        factor = instrument.later_splits(bar.day)
        for name in ("open", "high", "low", "close"):
            quote[name].append(_single(bar.price(name), 1 / factor))
        missing = bar.volume is None or bar.close is None
        quote["volume"].append(None if missing else round(bar.volume * factor))
        adjusted.append(_single(bar.close, _dividend_factor(instrument, bar.day) / factor))
    result: dict[str, Any] = {
        "meta": _meta(symbol, instrument),
        "indicators": {
            "quote": [quote if bars else {}],
            "adjclose": [{"adjclose": adjusted} if bars else {}],
        },
    }
    if bars:
        result["timestamp"] = stamps
    events = _events(instrument, period1, period2)
    if events:
        result["events"] = events
    return result


def _events(instrument: Instrument, period1: int, period2: int) -> dict[str, dict[str, Any]]:
    events: dict[str, dict[str, Any]] = {}

    def add(group: str, day: date, **values: Any) -> None:
        at = _epoch(day, instrument.zone)
        if period1 <= at < period2:
            events.setdefault(group, {})[str(at)] = {**values, "date": at}

    extra = {} if instrument.dividend_currency is None else {"currency": instrument.dividend_currency}
    for day, amount in instrument.dividends.items():
        add("dividends", day, amount=round(amount / instrument.later_splits(day), 6), **extra)
    for day, amount in instrument.capital_gains.items():
        add("capitalGains", day, amount=round(amount / instrument.later_splits(day), 6))
    for day, (numerator, denominator) in instrument.splits.items():
        add(
            "splits",
            day,
            numerator=numerator,
            denominator=denominator,
            splitRatio=f"{numerator:g}:{denominator:g}",
        )
    return events


def _meta(symbol: str, instrument: Instrument) -> dict[str, Any]:
    offset = datetime(2024, 1, 15, tzinfo=ZoneInfo(instrument.zone)).utcoffset()
    first = instrument.bars[0].day if instrument.bars else None
    return {
        "currency": instrument.currency,
        "symbol": symbol,
        "exchangeName": "ASX" if instrument.zone == SYDNEY else "PCX",
        "instrumentType": instrument.kind,
        "firstTradeDate": None if first is None else _epoch(first, instrument.zone),
        "gmtoffset": int(offset.total_seconds()) if offset else 0,
        "exchangeTimezoneName": instrument.zone,
        "longName": instrument.name,
        "shortName": instrument.name,
        "priceHint": 2,
        "dataGranularity": "1d",
        "range": "",
        "validRanges": ["1d", "5d", "1mo", "1y", "max"],
    }


def _dividend_factor(instrument: Instrument, day: date) -> float:
    """Yahoo's adjustment of ``day`` for later distributions: the product of 1 - amount / close before."""
    factor = 1.0
    for ex, amount in [*instrument.dividends.items(), *instrument.capital_gains.items()]:
        before = [bar.close for bar in instrument.bars if bar.day < ex and bar.close is not None]
        if day < ex and before:
            factor *= 1 - amount / before[-1]
    return factor


def _single(value: float | None, factor: float) -> float | None:
    return None if value is None else float(np.float32(value * factor))


def _epoch(day: date, zone: str) -> int:
    return int(datetime.combine(day, OPENS[zone], ZoneInfo(zone)).timestamp())


SIXTY_START, SIXTY_SESSIONS = date(2025, 1, 6), 60


def sixty_tickers() -> tuple[dict[str, Instrument], dict[str, str]]:
    """Sixty ASX symbols with every kind of trouble, and the status each must end with.

    Unknown symbols, passing and lasting 500s, passing and lasting 429s, pages that promise to be right back,
    null rows, a symbol without rows; the rest are in order.
    """
    days = sessions(SIXTY_START, SIXTY_SESSIONS)
    instruments: dict[str, Instrument] = {}
    expected: dict[str, str] = {}
    for i in range(60):
        symbol, status = f"F{i:02d}.AX", "ok"
        fund = Instrument(walk(days, seed=i, level=10.0 + i))
        match i % 12:
            case 1:
                fund.faults = [500, 500]
            case 2:
                fund.faults = [429]
            case 3:
                for bar in fund.bars[10:13]:
                    bar.close = bar.open = bar.high = bar.low = None
            case 4:
                fund.dividends = {days[20]: 0.25}
                fund.splits = {days[30]: (2, 1)}
                for bar in fund.bars[30:]:
                    bar.close, bar.open = round(bar.close / 2, 2), round(bar.open / 2, 2)
                    bar.high, bar.low = round(bar.high / 2, 2), round(bar.low / 2, 2)
            case 5:
                fund.faults = ["down", "truncated"]
        if i in (7, 31):
            expected[symbol] = "no_such_symbol"
            continue
        if i == 19:
            fund.always, status = 503, "server_error"
        if i == 43:
            fund.always, status = "empty", "empty"
        instruments[symbol], expected[symbol] = fund, status
    return instruments, expected
