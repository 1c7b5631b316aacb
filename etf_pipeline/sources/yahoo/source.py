"""The ``yahoo`` source: batches of tickers, each with its status, as traded."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import yfinance as yf

from etf_pipeline.core.market.calendar import Market, last_final_session, timezone_name
from etf_pipeline.sources.base import (
    ACTION_COLUMNS,
    BAR_COLUMNS,
    COVERAGE_COLUMNS,
    LISTING_COLUMNS,
    REFERENCE_COLUMNS,
    Fetch,
    SourceError,
)
from etf_pipeline.sources.yahoo.basis import as_traded
from etf_pipeline.sources.yahoo.chart import Chart
from etf_pipeline.sources.yahoo.client import Answer, YahooClient, yfinance_raises
from etf_pipeline.sources.yahoo.frames import NO_ACTIONS, NO_BARS, NO_REFERENCE, stack
from etf_pipeline.sources.yahoo.limiter import RateLimiter
from etf_pipeline.sources.yahoo.progress import BatchProgress
from etf_pipeline.sources.yahoo.session import YahooSession

logger = logging.getLogger(__name__)

EARLIEST = date(1960, 1, 1)
"""Asked for where no start is given: older than any fund."""
HIGHEST_YIELD = 25.0
"""Percent. ^TNX was once quoted at ten times the yield; the yield itself has never been above 16."""
EVIDENCE = (
    "documented: Yahoo divides prices, dividends and volumes by later splits (auto_adjust=False); undone "
    "with the splits up to known_at, each checked against the prices around its ex-date"
)


SUFFIX: dict[Market, str] = {"asx": ".AX", "us": ""}


@dataclass(frozen=True)
class ReferenceSeries:
    """A reference series and its symbol; complete for a day once that day is over in ``zone``."""

    series: str
    symbol: str
    unit: str
    zone: str
    highest: float = np.inf


REFERENCE_SERIES = (
    ReferenceSeries("vix", "^VIX", "index points", "America/Chicago"),
    ReferenceSeries("us_10y_yield", "^TNX", "percent", "America/Chicago", HIGHEST_YIELD),
    ReferenceSeries("audusd", "AUDUSD=X", "USD per AUD", "Europe/London"),
)


class YahooSource:
    """Daily bars, dividends, capital gains and splits of ``tickers`` from Yahoo Finance.

    Parameters
    ----------
    tickers : Yahoo's symbols ("VAS.AX", "SPY").
    market : "asx" or "us".
    batch_size : tickers in one `Fetch`. Nothing of the next batch is asked for before it is wanted, so an
        interruption loses at most one batch.
    threads : requests under way at once, within a batch.
    requests_per_minute : the steady rate, shared by all threads; ``threads`` requests may go at once.
    max_attempts : requests for one ticker before its trouble becomes its status.
    base_delay, max_delay : seconds, of the exponential back-off with full jitter.
    close_margin_minutes : how long after a session's close its bar may still change: the closing auction
        (ASX: 16:10), and Yahoo's delay of up to 20 minutes.
    timeout : seconds for one request.
    seed : of the jitter.
    listings : LISTING_COLUMNS of the universe file; what Yahoo says (name, currency, first trade date) only
        fills its gaps.
    cache_dir : where ``yfinance`` keeps cookies and time zones; its own place in the home directory by
        default.
    base_url : an address that speaks Yahoo's formats, instead of Yahoo: a recording proxy, or the loopback
        server of the tests.
    show_progress : a progress bar on a terminal, log lines elsewhere.
    now, monotonic, sleep : clocks and waiting, replaced in tests.

    Notes
    -----
    ``yfinance`` keeps one session for the whole process, so use one YahooSource at a time.
    """

    name = "yahoo"
    simulated = False
    resumable = True

    def __init__(
        self,
        tickers: Sequence[str],
        *,
        market: Market,
        batch_size: int = 20,
        threads: int = 4,
        requests_per_minute: float = 60.0,
        max_attempts: int = 6,
        base_delay: float = 1.0,
        max_delay: float = 60.0,
        close_margin_minutes: float = 45.0,
        timeout: float = 30.0,
        seed: int = 0,
        listings: pd.DataFrame | None = None,
        cache_dir: Path | None = None,
        base_url: str | None = None,
        show_progress: bool = True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if market not in SUFFIX:
            raise SourceError(f"yahoo: unknown market {market!r}; allowed: {', '.join(SUFFIX)}")
        if min(batch_size, threads, max_attempts) < 1:
            raise SourceError("yahoo: batch_size, threads and max_attempts must be at least 1")
        self._market, self._zone = market, timezone_name(market)
        self.ticker_suffix = SUFFIX[market]
        self._tickers = sorted(set(tickers))
        self._check_symbols(self._tickers)
        self._batch_size, self._threads = batch_size, threads
        self._close_margin_minutes, self._show_progress = close_margin_minutes, show_progress
        self._listings = listings
        self._now = now
        self._limiter = RateLimiter(
            requests_per_minute,
            burst=threads,
            base_delay=base_delay,
            max_delay=max_delay,
            patience=2 * max_attempts,
            rng=np.random.default_rng(seed),
            monotonic=monotonic,
            sleep=sleep,
        )
        self._session = YahooSession(self._limiter, base_url)
        self._address = base_url or "https://query2.finance.yahoo.com"
        self._client = YahooClient(
            self._session,
            self._limiter,
            max_attempts=max_attempts,
            base_delay=base_delay,
            max_delay=max_delay,
            seed=seed,
            timeout=timeout,
            now=now,
            sleep=sleep,
        )
        self._charts: dict[str, Chart] = {}
        if cache_dir is not None:
            cache_dir.mkdir(parents=True, exist_ok=True)
            yf.set_tz_cache_location(str(cache_dir))

    def tickers(self) -> list[str]:
        """Every ticker on offer, sorted."""
        return list(self._tickers)

    def fetch(self, tickers: Sequence[str], start: date | None, end: date | None) -> Iterator[Fetch]:
        """One `Fetch` a batch, in the order of ``tickers``; see `Source.fetch`.

        To resume, ask for the tickers that are not stored yet. Where Yahoo refuses twelve times in a row
        (twice ``max_attempts``) the rest of the run is not asked for and is reported as ``rate_limited``.

        Raises
        ------
        SourceError : a ticker is not written as this market's tickers are, the window is upside down, or
            no request of the first batch was answered at all.
        """
        wanted = list(dict.fromkeys(tickers))
        self._check_symbols(wanted)
        if start is not None and end is not None and start > end:
            raise SourceError(f"yahoo: the window starts on {start}, after its end {end}")
        return self._batches(wanted, start, end)

    def _batches(self, tickers: list[str], start: date | None, end: date | None) -> Iterator[Fetch]:
        self._limiter.forget_refusals()
        answered_before = self._session.answered
        batches = [tickers[i : i + self._batch_size] for i in range(0, len(tickers), self._batch_size)]
        with BatchProgress(len(tickers), show=self._show_progress) as progress:
            for number, batch in enumerate(batches, start=1):
                sent_before = self._session.sent
                answers = self._ask_all(batch, start or EARLIEST, progress)
                if self._session.answered == answered_before:
                    words = next(iter(answers.values())).message
                    raise SourceError(
                        f"yahoo: nothing answers at {self._address} ({words}); "
                        "check the network and yahoo_url"
                    )
                progress.batch_done(number, len(batches))
                detail = (
                    f"{self._address}/v8/finance/chart, yfinance {yf.__version__}, batch {number} of "
                    f"{len(batches)}, {self._session.sent - sent_before} requests"
                )
                yield self._assemble(answers, start, end, detail)

    def _ask_all(self, batch: list[str], start: date, progress: BatchProgress) -> dict[str, Answer]:
        answers: dict[str, Answer] = {}
        with yfinance_raises(), ThreadPoolExecutor(self._threads, "yahoo") as pool:
            asked = {t: pool.submit(self._client.history, t, start, self._zone) for t in batch}
            try:
                for ticker, future in asked.items():
                    answers[ticker] = future.result()
                    progress.ticker_done(answers[ticker].status)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return answers

    def _assemble(
        self, answers: dict[str, Answer], start: date | None, end: date | None, detail: str
    ) -> Fetch:
        parts = [self._read(ticker, answer, start, end) for ticker, answer in answers.items()]
        coverage = [row for _, _, row in parts]
        dates = ["requested_start", "requested_end", "first_session", "last_session"]
        return Fetch(
            source=self.name,
            known_at=self._now(),
            detail=detail,
            basis="as_traded",
            basis_evidence=EVIDENCE,
            bars=stack([bars for bars, _, _ in parts], NO_BARS),
            actions=stack([actions for _, actions, _ in parts], NO_ACTIONS),
            coverage=pd.DataFrame(coverage, columns=COVERAGE_COLUMNS).astype(
                dict.fromkeys(dates, "datetime64[ns]")
            ),
        )

    def _read(
        self, ticker: str, answer: Answer, start: date | None, end: date | None
    ) -> tuple[pd.DataFrame, pd.DataFrame, tuple[object, ...]]:
        """Bars and actions as traded, cut to the window, and the coverage row of one ticker."""
        first = np.datetime64("NaT", "D") if start is None else np.datetime64(start, "D")
        last = _local_day(answer.asked_at, self._zone) if end is None else np.datetime64(end, "D")
        bars, actions = NO_BARS, NO_ACTIONS
        status, notes = answer.status, [answer.message, *answer.notes]
        if answer.frame is not None and answer.chart is not None:
            self._charts[ticker] = answer.chart
            traded, events, doubts = as_traded(answer.frame, answer.chart.events)
            earliest = np.datetime64(start or EARLIEST, "D")
            traded = traded[traded["session"].between(earliest, last)]
            events = events[events["ex_date"].between(earliest, last)]
            final = self._final(traded["session"], answer.asked_at)
            bars = traded.assign(ticker=ticker, is_final=final)[BAR_COLUMNS]
            actions = events.assign(ticker=ticker)[ACTION_COLUMNS]
            status = "ok" if len(bars) else "empty"
            notes += doubts
        sessions = bars["session"]
        message = "; ".join(filter(None, notes))
        return (
            bars,
            actions,
            (
                ticker,
                status,
                first,
                last,
                sessions.min(),
                sessions.max(),
                len(sessions),
                message,
            ),
        )

    def _final(self, sessions: pd.Series, asked_at: datetime) -> np.ndarray:
        """Whether each session was over, closing auction and delay included, when Yahoo was asked."""
        days = sessions.to_numpy().astype("datetime64[D]")
        closed = last_final_session(self._market, asked_at, self._close_margin_minutes)
        # A bar on a closed day has no close to wait for: its day must be over.
        return (days <= closed) | (days < _local_day(asked_at, self._zone))

    def listings(self) -> pd.DataFrame:
        """The universe file's rows, their gaps filled with what Yahoo said in the fetches of this object.

        ``listed_on`` from Yahoo is the first day of its own history, which for some funds precedes the
        listing (net asset values) or follows it.
        """
        known = (
            pd.DataFrame(columns=LISTING_COLUMNS)
            if self._listings is None
            else self._listings[LISTING_COLUMNS].drop_duplicates("ticker")
        ).set_index("ticker")
        said = pd.DataFrame(
            {
                "name": {t: c.name for t, c in self._charts.items()},
                "currency": {t: c.currency for t, c in self._charts.items()},
                "listed_on": {t: c.first_trade for t, c in self._charts.items()},
            },
            dtype=object,
        )
        wanted = sorted(set(self._tickers) & (set(known.index) | set(said.index)))
        table = known.reindex(wanted).astype(object)
        for column in said:
            table[column] = table[column].where(table[column].notna(), said[column].reindex(wanted))
        table = table.where(table.notna(), None).rename_axis("ticker").reset_index()[LISTING_COLUMNS]
        for column in ("listed_on", "delisted_on"):
            table[column] = pd.to_datetime(table[column]).astype("datetime64[ns]")
        for column in ("expense_ratio", "fund_size"):
            table[column] = table[column].astype("float64")
        return table

    def reference(self, start: date | None, end: date | None) -> pd.DataFrame:
        """VIX, US 10-year yield and AUD/USD, closes of completed days; a series in trouble is left out."""
        first = start or EARLIEST
        parts = []
        self._limiter.forget_refusals()
        with yfinance_raises():
            for wanted in REFERENCE_SERIES:
                answer = self._client.history(wanted.symbol, first, wanted.zone)
                if answer.frame is None or answer.frame.empty:
                    logger.warning(
                        "yahoo: no %s (%s): %s %s",
                        wanted.series,
                        wanted.symbol,
                        answer.status,
                        answer.message,
                    )
                    continue
                today = _local_day(answer.asked_at, wanted.zone)
                frame = answer.frame[answer.frame["session"] < today]
                frame = frame[frame["session"].between(np.datetime64(first), np.datetime64(end or today))]
                if (frame["close"] > wanted.highest).any():
                    logger.warning(
                        "yahoo: %s (%s) holds %g, not %s; left out",
                        wanted.series,
                        wanted.symbol,
                        frame["close"].max(),
                        wanted.unit,
                    )
                    continue
                part = frame[["session", "close"]].rename(columns={"close": "value"})
                parts.append(part.assign(series=wanted.series, unit=wanted.unit)[REFERENCE_COLUMNS])
        return stack(parts, NO_REFERENCE)

    def _check_symbols(self, tickers: Sequence[str]) -> None:
        suffix = self.ticker_suffix
        for ticker in tickers:
            if ticker != ticker.strip().upper() or not ticker:
                raise SourceError(f"yahoo: {ticker!r} is not a symbol; write it in capitals, without blanks")
            if suffix and not ticker.endswith(suffix):
                raise SourceError(
                    f"yahoo: {ticker} does not end with {suffix}; without it Yahoo answers with another "
                    f"instrument. Write {ticker}{suffix}"
                )
            if not suffix and "." in ticker:
                raise SourceError(
                    f"yahoo: {ticker} names another exchange; Yahoo writes US share classes with a hyphen "
                    f"({ticker.replace('.', '-')})"
                )


def _local_day(moment: datetime, zone: str) -> np.datetime64:
    """The date at ``moment`` in ``zone``."""
    return np.datetime64(moment.astimezone(ZoneInfo(zone)).date(), "D")
