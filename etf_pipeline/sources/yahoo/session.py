"""The HTTP session handed to ``yfinance``: every request waits for the limiter, every answer is observed.

``yfinance`` reports an unknown symbol, a server error and an empty window in the same words, repeats a
refused request at once, and keeps some answers in a cache. So the status of a chart request is taken here,
where it arrives, and a refusal is raised as `ChartRefused`, which passes through ``yfinance`` unchanged.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from curl_cffi import requests

from etf_pipeline.sources.yahoo.limiter import RateLimiter

CHART_PATH = "/v8/finance/chart/"
# A cookie or crumb went stale. yfinance knows how to renew it, so these are left to it.
STALE_COOKIE = (401, 403)


class ChartRefused(Exception):  # noqa: N818 - a refusal is an answer, not an error of ours
    """Yahoo answered a chart request with an HTTP status that carries no prices."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body


@dataclass(frozen=True)
class ChartResponse:
    """The last answer to a chart request of one thread."""

    status: int
    body: str


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds named by a Retry-After header, which holds seconds or an HTTP date; None where unreadable."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


class YahooSession(requests.Session[requests.Response]):
    """A browser-like session behind a rate limiter.

    Parameters
    ----------
    limiter : asked before every request, the cookie and crumb requests of ``yfinance`` included.
    base_url : an address that speaks Yahoo's formats, such as a recording proxy or a loopback server; all
        requests go there, whatever host they name. None: Yahoo itself.
    """

    def __init__(self, limiter: RateLimiter, base_url: str | None = None) -> None:
        super().__init__(impersonate="chrome")
        self._limiter = limiter
        self._origin = urlsplit(base_url) if base_url else None
        self._seen = threading.local()
        self._counts = threading.Lock()
        self.sent = 0
        self.answered = 0

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        """Send one request; a chart request refused by Yahoo raises `ChartRefused`."""
        generation = self._limiter.acquire()
        with self._counts:
            self.sent += 1
        response = super().request(method, self._route(url), *args, **kwargs)
        with self._counts:
            self.answered += 1
        if CHART_PATH in urlsplit(url).path:
            self._observe(response, generation)
        return response

    def forget_chart(self) -> None:
        """Forget the calling thread's last chart response, before the next is asked for."""
        self._seen.chart = None

    def last_chart(self) -> ChartResponse | None:
        """The calling thread's last chart response; None where none arrived since `forget_chart`."""
        return getattr(self._seen, "chart", None)

    def _route(self, url: str) -> str:
        if self._origin is None:
            return url
        return urlunsplit(urlsplit(url)._replace(scheme=self._origin.scheme, netloc=self._origin.netloc))

    def _observe(self, response: requests.Response, generation: int) -> None:
        status = int(response.status_code)
        self._seen.chart = ChartResponse(status, response.text)
        if status == 429:
            wait = parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
            self._limiter.refused(generation, wait)
        else:
            self._limiter.served()
        if status >= 400 and status not in STALE_COOKIE:
            raise ChartRefused(status, response.text)
