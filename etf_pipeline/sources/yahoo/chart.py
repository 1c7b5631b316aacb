"""What a chart response says: exact ex-dates, missing values, metadata, or Yahoo's error.

``yfinance`` is trusted with the prices. It is not trusted with three things that its frame loses: an event
on a day without a bar is moved to the bar before, an event before the first bar is dropped, and a missing
volume becomes 0. They are read from the response itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

EVENT_COLUMNS = ["ex_date", "kind", "value"]
_KINDS = {"dividends": "dividend", "capitalGains": "capital_gain", "splits": "split"}


class MalformedChart(ValueError):  # noqa: N818 - names what arrived
    """The response is not a chart: HTML, a cut-off body, or fields that do not fit together."""


@dataclass(frozen=True)
class ChartError:
    """Yahoo's own error object: ``code`` such as "Not Found", and its words, which are never interpreted."""

    code: str
    description: str


@dataclass(frozen=True)
class Chart:
    """One chart response.

    Attributes
    ----------
    error : Yahoo's error, or None.
    rows : number of rows, those without a close included.
    null_closes, null_volumes : (k,) datetime64[ns], sessions whose close or volume is null.
    events : EVENT_COLUMNS by ex-date; values as Yahoo gives them, split ratios as new units for one old.
    unusable_events : descriptions of events without a usable date or value.
    """

    error: ChartError | None
    rows: int
    null_closes: np.ndarray
    null_volumes: np.ndarray
    events: pd.DataFrame
    unusable_events: tuple[str, ...]
    currency: str | None
    name: str | None
    first_trade: date | None


def local_sessions(timestamps: list[int] | np.ndarray, zone: str) -> np.ndarray:
    """Exchange-local dates of epoch seconds, (k,) datetime64[ns].

    Yahoo stamps some daily rows an hour or two before local midnight around a change of daylight saving
    time; a full hour of 22 or 23 o'clock therefore belongs to the next day, as in ``yfinance``.
    """
    stamps = pd.to_datetime(np.asarray(timestamps, dtype="int64"), unit="s", utc=True).tz_convert(zone)
    early = (stamps.minute == 0) & stamps.hour.isin([22, 23])
    days = stamps.tz_localize(None).normalize() + pd.to_timedelta(np.where(early, 1, 0), unit="D")
    return days.to_numpy().astype("datetime64[ns]")


def read_chart(body: str) -> Chart:
    """Read the text of a chart response.

    Raises
    ------
    MalformedChart : the text is not JSON, holds neither a result nor an error, or its arrays disagree.
    """
    try:
        envelope = json.loads(body)
    except ValueError:
        raise MalformedChart(f"not JSON: {_excerpt(body)}") from None
    # A gateway reports trouble under another name than the chart service.
    named = envelope if isinstance(envelope, dict) else {}
    holder = named.get("chart") or named.get("finance")
    if not isinstance(holder, dict):
        raise MalformedChart(f"neither a chart nor an error: {_excerpt(body)}")
    error = holder.get("error")
    if error:
        said = error if isinstance(error, dict) else {"description": str(error)}
        return _without_rows(ChartError(str(said.get("code", "")), str(said.get("description", ""))))
    try:
        return _read_result(holder["result"][0])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as problem:
        raise MalformedChart(f"{type(problem).__name__} {problem} in {_excerpt(body)}") from problem


def _read_result(result: dict[str, Any]) -> Chart:
    meta = result["meta"]
    zone = meta["exchangeTimezoneName"]
    stamps = result.get("timestamp") or []
    quote = result["indicators"]["quote"][0]
    closes, volumes = quote.get("close") or [], quote.get("volume") or []
    if len(closes) != len(stamps) or len(volumes) != len(stamps):
        raise ValueError(f"{len(stamps)} timestamps, {len(closes)} closes, {len(volumes)} volumes")
    sessions = local_sessions(stamps, zone)
    events, unusable = _read_events(result.get("events") or {}, zone, meta.get("currency"))
    first = meta.get("firstTradeDate")
    return Chart(
        error=None,
        rows=len(stamps),
        null_closes=sessions[[v is None for v in closes]],
        null_volumes=sessions[[v is None for v in volumes]],
        events=events,
        unusable_events=unusable,
        currency=meta.get("currency"),
        name=meta.get("longName") or meta.get("shortName"),
        first_trade=None if first is None else pd.Timestamp(local_sessions([first], zone)[0]).date(),
    )


def _read_events(
    events: dict[str, Any], zone: str, currency: str | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    rows: list[tuple[np.datetime64, str, float]] = []
    unusable: list[str] = []
    for group, kind in _KINDS.items():
        for event in (events.get(group) or {}).values():
            ex_date = local_sessions([event["date"]], zone)[0]
            value = (
                _ratio(event["numerator"], event["denominator"])
                if kind == "split"
                else float(event["amount"])
            )
            foreign = event.get("currency") or currency
            if not (np.isfinite(value) and value > 0):
                unusable.append(f"{kind} of {str(ex_date)[:10]} has value {value:g}")
            elif foreign != currency:
                unusable.append(
                    f"{kind} of {str(ex_date)[:10]} is {value:g} {foreign}, prices are {currency}"
                )
            elif not (kind == "split" and value == 1.0):
                rows.append((ex_date, kind, value))
    frame = pd.DataFrame(rows, columns=EVENT_COLUMNS)
    frame["ex_date"] = frame["ex_date"].astype("datetime64[ns]")
    frame["value"] = frame["value"].astype("float64")
    return frame.sort_values(["ex_date", "kind"], kind="stable", ignore_index=True), tuple(unusable)


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator) / float(denominator) if denominator else float("nan")


def _without_rows(error: ChartError) -> Chart:
    nothing = np.array([], dtype="datetime64[ns]")
    events, _ = _read_events({}, "UTC", None)
    return Chart(error, 0, nothing, nothing, events, (), None, None, None)


def _excerpt(body: str) -> str:
    return " ".join(body.split())[:120]
