"""One ticker, asked until there is an answer or the attempts are used up.

The verdict rests on what arrived over HTTP (the status, whether the body is a chart, Yahoo's error code),
not on the words of an exception: ``yfinance`` says "possibly delisted" of a server error and of a quiet
week alike. No verdict here means that a fund is dead.
"""

from __future__ import annotations

import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import yfinance as yf
from pandas.errors import Pandas4Warning
from yfinance.cache import get_tz_cache
from yfinance.data import YfData
from yfinance.exceptions import YFException

from etf_pipeline.sources.base import FetchStatus
from etf_pipeline.sources.yahoo.chart import Chart, ChartError, MalformedChart, read_chart
from etf_pipeline.sources.yahoo.limiter import RateLimiter, full_jitter
from etf_pipeline.sources.yahoo.session import ChartRefused, YahooSession

PRICE_COLUMNS = {
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Adj Close": "adj_close",
    "Volume": "volume",
}
# What yfinance lets through where a response is not of the shape it expects.
_UNREADABLE = (YFException, LookupError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True)
class Answer:
    """What Yahoo said about one ticker.

    Attributes
    ----------
    asked_at : just before the request that was answered, UTC: a bar is final only if it was final then.
    frame : columns session, open, high, low, close, adj_close, volume; split-adjusted as Yahoo gives them,
        rows without a close left out, ascending. None without a valid response.
    chart : the response read, None without a valid one.
    retry : whether asking again may help.
    """

    status: FetchStatus
    message: str
    asked_at: datetime
    attempts: int = 1
    frame: pd.DataFrame | None = None
    chart: Chart | None = None
    retry: bool = False
    notes: tuple[str, ...] = field(default=())


@contextmanager
def yfinance_raises() -> Iterator[None]:
    """Make ``yfinance`` raise instead of logging and returning nothing, as long as the block lasts.

    Its use of what pandas 4 will remove is not reported: on import it sets those warnings to be shown, and
    nobody who downloads prices can act on them.
    """
    before = yf.config.debug.hide_exceptions
    yf.config.debug.hide_exceptions = False
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=Pandas4Warning, module="yfinance")
            yield
    finally:
        yf.config.debug.hide_exceptions = before


class YahooClient:
    """Asks for daily histories, with retries.

    Parameters
    ----------
    session, limiter : shared by all threads.
    max_attempts : requests for one ticker before its trouble is its status.
    base_delay, max_delay : seconds, the exponential back-off after server trouble; refusals for asking too
        often are waited out by the limiter instead, for all threads at once.
    seed : of the jitter, which differs from ticker to ticker.
    timeout : seconds for one request.
    now, sleep : the wall clock (UTC) and how to wait.
    """

    def __init__(
        self,
        session: YahooSession,
        limiter: RateLimiter,
        *,
        max_attempts: int,
        base_delay: float,
        max_delay: float,
        seed: int,
        timeout: float,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
    ) -> None:
        self._session, self._limiter = session, limiter
        self._max_attempts, self._base_delay, self._max_delay = max_attempts, base_delay, max_delay
        self._seed, self._timeout = seed, timeout
        self._now, self._sleep = now, sleep
        self._zones: set[str] = set()
        self._zones_lock = threading.Lock()

    def history(self, symbol: str, start: date, zone: str) -> Answer:
        """Daily bars and events of ``symbol`` from ``start`` to this moment.

        The window always reaches the present: Yahoo's prices are divided by every split since, and only
        the events up to now tell by how much.

        Parameters
        ----------
        symbol : as Yahoo writes it.
        start : first day asked for.
        zone : the exchange's time zone, used to place ``start``; the sessions come in the time zone that
            Yahoo names.
        """
        rng = np.random.default_rng([self._seed, zlib.crc32(symbol.encode())])
        answer = Answer("rate_limited", "not asked: Yahoo refuses all requests", self._now(), attempts=0)
        for attempt in range(self._max_attempts):
            if self._limiter.exhausted:
                break
            answer = self._ask_once(symbol, start, zone, attempt + 1)
            if not answer.retry:
                return answer
            if answer.status != "rate_limited" and attempt + 1 < self._max_attempts:
                self._sleep(full_jitter(rng, attempt, self._base_delay, self._max_delay))
        return answer

    def _ask_once(self, symbol: str, start: date, zone: str, attempt: int) -> Answer:
        asked_at = self._now()
        # Two days ahead is past the end of today in every time zone.
        end = asked_at.date() + timedelta(days=2)
        self._session.forget_chart()
        # yfinance keeps chart responses of past windows, also unusable ones: ask for a new one.
        YfData.cache_get.cache_clear()
        self._know_zone(symbol, zone)
        history: pd.DataFrame | None = None
        trouble = ""
        try:
            history = yf.Ticker(symbol, session=self._session).history(
                start=start,
                end=end,
                auto_adjust=False,
                back_adjust=False,
                actions=True,
                repair=False,
                keepna=True,
                timeout=self._timeout,
            )
        except ChartRefused as refusal:
            return self._refused(refusal.status, refusal.body, asked_at, attempt)
        except OSError as problem:  # curl's errors: no connection, cut off, timed out
            trouble = f"{type(problem).__name__}: {problem}"
        except _UNREADABLE as problem:
            trouble = f"{type(problem).__name__}: {problem}"
        response = self._session.last_chart()
        if response is None:
            return _trouble(f"no answer: {trouble}", asked_at, attempt)
        if response.status != 200:
            return self._refused(response.status, response.body, asked_at, attempt)
        try:
            chart = read_chart(response.body)
        except MalformedChart as problem:
            return _trouble(f"HTTP 200 with an unusable body: {problem}", asked_at, attempt)
        if chart.error is not None:
            return _error_answer(200, chart.error, asked_at, attempt)
        if history is None and chart.rows:
            return _trouble(f"yfinance cannot read the response: {trouble}", asked_at, attempt)
        return _served(history, chart, asked_at, attempt)

    def _know_zone(self, symbol: str, zone: str) -> None:
        """Tell ``yfinance`` the time zone of a ticker, which it would otherwise spend a request on."""
        with self._zones_lock:
            if symbol not in self._zones:
                get_tz_cache().store(symbol.upper(), zone)
                self._zones.add(symbol)

    def _refused(self, status: int, body: str, asked_at: datetime, attempt: int) -> Answer:
        if status == 429:
            words = f"HTTP 429 after {_attempts(attempt)}: {_words(body)}"
            return Answer("rate_limited", words, asked_at, attempt, retry=True)
        try:
            error = read_chart(body).error
        except MalformedChart:
            error = None
        if error is not None:
            return _error_answer(status, error, asked_at, attempt)
        return _trouble(f"HTTP {status}: {_words(body)}", asked_at, attempt)


def _error_answer(status: int, error: ChartError, asked_at: datetime, attempt: int) -> Answer:
    """The answer where Yahoo sent its own error object."""
    words = f"HTTP {status} {error.code}: {error.description}"
    if status == 404 and error.code == "Not Found":
        return Answer("no_such_symbol", words, asked_at, attempt)
    if error.description.startswith("Data doesn't exist for startDate"):
        return Answer("empty", words, asked_at, attempt)
    # Any other 4xx says that the request is wrong, and it will not become right by repetition.
    permanent = 400 <= status < 500 and status not in (401, 403, 404, 408)
    return _trouble(words, asked_at, attempt, retry=not permanent)


def _served(history: pd.DataFrame | None, chart: Chart, asked_at: datetime, attempt: int) -> Answer:
    frame = _bars(history, chart)
    notes = list(chart.unusable_events)
    if len(chart.null_closes):
        first, last = str(chart.null_closes.min())[:10], str(chart.null_closes.max())[:10]
        notes.insert(0, f"{len(chart.null_closes)} rows without a close ({first}..{last})")
    status: FetchStatus = "ok" if len(frame) else "empty"
    return Answer(status, "", asked_at, attempt, frame, chart, notes=tuple(notes))


def _bars(history: pd.DataFrame | None, chart: Chart) -> pd.DataFrame:
    """The rows of ``yfinance``'s frame that are bars, by session; missing volumes are NaN again."""
    if history is None or history.empty:
        empty = pd.DataFrame(columns=["session", *PRICE_COLUMNS.values()], dtype="float64")
        return empty.astype({"session": "datetime64[ns]"})
    stamps = pd.DatetimeIndex(history.index)
    frame = history[list(PRICE_COLUMNS)].rename(columns=PRICE_COLUMNS).astype("float64")
    frame = frame.replace([np.inf, -np.inf], np.nan).reset_index(drop=True)
    frame.insert(0, "session", stamps.tz_localize(None).normalize().astype("datetime64[ns]"))
    frame.loc[frame["session"].isin(chart.null_volumes), "volume"] = np.nan
    frame = frame[frame["close"].notna()].drop_duplicates("session", keep="last")
    return frame.sort_values("session", ignore_index=True)


def _trouble(words: str, asked_at: datetime, attempt: int, *, retry: bool = True) -> Answer:
    after = f" (after {_attempts(attempt)})" if attempt > 1 else ""
    return Answer("server_error", f"{words}{after}", asked_at, attempt, retry=retry)


def _attempts(number: int) -> str:
    return f"{number} attempt" if number == 1 else f"{number} attempts"


def _words(body: str) -> str:
    return " ".join(body.split())[:160] or "no words"
