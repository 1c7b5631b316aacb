"""A loopback server that speaks Yahoo's formats: chart, crumb, cookie, consent, and their errors.

What goes wrong is scripted, for one symbol (`Instrument.faults`) or for a range of all chart requests. Every
request is logged.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from etf_pipeline.sources.yahoo import YahooSource
from etf_pipeline_tests.sources.yahoo_instruments import Fault, Instrument, chart_result

CHART = "/v8/finance/chart/"
DOWN = "<!doctype html><html><body><h1>Will be right back...</h1></body></html>"
NOT_FOUND = "No data found, symbol may be delisted"


@dataclass(frozen=True)
class Request:
    """One request received and the status it got; ``symbol`` for chart requests."""

    path: str
    query: dict[str, str]
    status: int
    symbol: str | None


class YahooServer:
    """The server; `running` starts and stops it.

    Attributes
    ----------
    instruments : by symbol; any other symbol is not found.
    burst : numbers (0, 1, ...) of the chart requests, counted over all symbols, that get HTTP 429.
    retry_after : the header sent with 429.
    crumb_status : HTTP status of the crumb; 200 gives one.
    delay : seconds before each chart response.
    """

    def __init__(
        self,
        instruments: dict[str, Instrument],
        *,
        burst: Iterable[int] = (),
        retry_after: str | None = None,
        crumb_status: int = 200,
        delay: float = 0.0,
    ) -> None:
        self.instruments, self.burst = instruments, set(burst)
        self.retry_after, self.crumb_status, self.delay = retry_after, crumb_status, delay
        self.log: list[Request] = []
        self._lock = threading.Lock()
        self._chart_requests = 0
        self._asked: Counter[str] = Counter()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server._answer(self)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                server._answer(self)

            def log_message(self, *args: Any) -> None:
                """Silence: the log is kept as objects."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @contextmanager
    def running(self) -> Iterator[YahooServer]:
        thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            thread.join()
            self._http.server_close()

    def chart_requests(self, since: int = 0) -> list[Request]:
        """Chart requests from position ``since`` of the log on (``len(server.log)`` marks a moment)."""
        return [r for r in self.log[since:] if r.symbol is not None]

    def symbols_asked(self, since: int = 0) -> Counter[str]:
        """How often each symbol's chart was asked for from position ``since`` of the log on."""
        return Counter(r.symbol for r in self.chart_requests(since) if r.symbol is not None)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        symbol = unquote(url.path[len(CHART) :]) if url.path.startswith(CHART) else None
        headers: dict[str, str] = {}
        if symbol is not None:
            if self.delay:
                time.sleep(self.delay)
            status, body, content = self._chart(symbol, query)
            if status == 429 and self.retry_after is not None:
                headers["Retry-After"] = self.retry_after
        elif url.path == "/v1/test/getcrumb":
            status = self.crumb_status
            body, content = ("lo0pB4ckCrb" if status == 200 else "Too Many Requests"), "text/plain"
        elif url.path in ("", "/"):
            # fc.yahoo.com answers 404 and sets the cookie all the same.
            status, body, content = 404, "", "text/html"
            headers["Set-Cookie"] = "A3=d=loopback; Max-Age=31557600; Path=/; HttpOnly"
        elif url.path == "/consent":
            status, content = 200, "text/html"
            body = (
                '<html><form><input type="hidden" name="csrfToken" value="t0k3n">'
                '<input type="hidden" name="sessionId" value="s3ss10n"></form></html>'
            )
        else:
            status, body, content = 200, "", "text/html"
        with self._lock:
            self.log.append(Request(url.path, query, status, symbol))
        if body == "hang_up":
            handler.close_connection = True
            handler.connection.close()
            return
        data = body.encode()
        handler.send_response(status)
        handler.send_header("Content-Type", f"{content};charset=utf-8")
        handler.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    def _chart(self, symbol: str, query: dict[str, str]) -> tuple[int, str, str]:
        with self._lock:
            number = self._chart_requests
            self._chart_requests += 1
            turn = self._asked[symbol]
            self._asked[symbol] += 1
        instrument = self.instruments.get(symbol)
        fault: Fault | None = 404 if instrument is None else instrument.always
        if instrument is not None and turn < len(instrument.faults):
            fault = instrument.faults[turn]
        if number in self.burst:
            fault = 429
        if isinstance(fault, int):
            return _refusal(fault)
        if fault == "down":
            return 200, DOWN, "text/html"
        if fault == "hang_up":
            return 200, "hang_up", ""
        if fault == "no_such_window":
            words = f"Data doesn't exist for startDate = {query['period1']}, endDate = {query['period2']}"
            return 400, _error("Bad Request", words), "application/json"
        assert instrument is not None
        if fault == "empty":
            instrument = Instrument([], zone=instrument.zone, currency=instrument.currency)
        result = chart_result(
            symbol, instrument, int(query.get("period1", 0)), int(query.get("period2", 2**40))
        )
        if fault == "mismatch":
            result["timestamp"] = result["timestamp"][:-1]
        body = json.dumps({"chart": {"result": [result], "error": None}})
        return 200, (body[: len(body) // 2] if fault == "truncated" else body), "application/json"


def _refusal(status: int) -> tuple[int, str, str]:
    if status == 429:
        return 429, "Too Many Requests\r\n", "text/html"
    if status == 404:
        return 404, _error("Not Found", NOT_FOUND), "application/json"
    if status == 401:
        body = json.dumps(
            {"finance": {"result": None, "error": {"code": "Unauthorized", "description": "Invalid Crumb"}}}
        )
        return 401, body, "application/json"
    if status == 422:
        return 422, _error("Unprocessable Entity", "1d data not available"), "application/json"
    return status, "<html><body>Internal Server Error</body></html>", "text/html"


def _error(code: str, words: str) -> str:
    return json.dumps({"chart": {"result": None, "error": {"code": code, "description": words}}})


class FakeClock:
    """A monotonic clock that only sleeping moves; shared by threads."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def __call__(self) -> float:
        with self._lock:
            return self.time

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.time += seconds


def quick_source(url: str, cache_dir: Path, tickers: list[str]) -> YahooSource:
    """A source on a loopback server with the real clock, in a hurry: batches of five."""
    return YahooSource(
        tickers,
        market="asx",
        base_url=url,
        cache_dir=cache_dir,
        batch_size=5,
        requests_per_minute=60_000,
        base_delay=0.01,
        max_delay=0.02,
        show_progress=False,
    )


def record(source: YahooSource, tickers: list[str], journal: Path) -> None:
    """Fetch ``tickers`` and append one line a batch to ``journal``, on disk before the next is asked for."""
    with journal.open("a") as file:
        for fetch in source.fetch(tickers, None, None):
            statuses = dict(zip(fetch.coverage["ticker"], fetch.coverage["status"], strict=True))
            file.write(json.dumps({"statuses": statuses, "bars": len(fetch.bars)}) + "\n")
            file.flush()
            os.fsync(file.fileno())


def recorded(journal: Path) -> dict[str, str]:
    """Ticker and status of every batch on record; a line cut off by a kill does not count."""
    found: dict[str, str] = {}
    for line in journal.read_text().splitlines(keepends=True) if journal.exists() else []:
        if line.endswith("\n"):
            found |= json.loads(line)["statuses"]
    return found


if __name__ == "__main__":  # a process of its own, to be killed: URL CACHE_DIR JOURNAL TICKER...
    _url, _cache, _journal, *_tickers = sys.argv[1:]
    record(quick_source(_url, Path(_cache), _tickers), _tickers, Path(_journal))
