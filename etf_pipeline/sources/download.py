"""One file over HTTP: a time limit, patience with a busy server, and a clear word where there is nothing to be had."""

from __future__ import annotations

import http.client
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from etf_pipeline.sources.base import SourceError

log = logging.getLogger(__name__)

USER_AGENT = "etf_pipeline (research; one request at a time)"
LONGEST_WAIT_SECONDS = 120.0


@dataclass(frozen=True)
class Downloader:
    """Fetches files, one at a time.

    Attributes
    ----------
    timeout_seconds : without an answer, of each attempt.
    attempts : at most, for one file.
    backoff_seconds : before the second attempt; doubled before each one after it, unless the server says how long.
    largest_bytes : a longer answer is not what was asked for.
    sleep : waits; replaced in tests.
    """

    timeout_seconds: float = 30.0
    attempts: int = 4
    backoff_seconds: float = 2.0
    largest_bytes: int = 50_000_000
    sleep: Callable[[float], None] = time.sleep

    def get(self, url: str) -> bytes:
        """The content at ``url`` (http or https).

        HTTP 429 and 5xx, time-outs, broken connections and answers cut short are tried again.

        Raises
        ------
        SourceError : another status, or all attempts failed; it names the address, the reason and the remedy.
        """
        if not url.startswith(("http://", "https://")):
            raise SourceError(f"{url}: only http and https addresses can be downloaded")
        for attempt in range(1, self.attempts + 1):
            try:
                return self._once(url)
            except urllib.error.HTTPError as error:
                error.close()
                reason = f"HTTP {error.code} {error.reason}"
                if error.code != 429 and error.code < 500:
                    raise SourceError(
                        f"{url}: {reason}. The address may have changed: look it up, set the base address, or download the "
                        "files by hand and name their directory"
                    ) from error
                stated = error.headers.get("Retry-After", "")
                wait = float(stated) if stated.isdigit() else None
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                reason, wait = str(getattr(error, "reason", error)) or type(error).__name__, None
            if attempt < self.attempts:
                pause = min(wait or self.backoff_seconds * 2 ** (attempt - 1), LONGEST_WAIT_SECONDS)
                log.info("%s: %s; attempt %d in %.0f s", url, reason, attempt + 1, pause)
                self.sleep(pause)
        raise SourceError(
            f"{url}: {reason}, after {self.attempts} attempts. Try again later, or download the files by hand and name "
            "their directory"
        )

    def _once(self, url: str) -> bytes:
        request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT})  # noqa: S310 (http(s) only, checked)
        with urllib.request.urlopen(request, timeout=self.timeout_seconds) as response:  # noqa: S310
            content: bytes = response.read(self.largest_bytes + 1)
            stated = response.headers.get("Content-Length")
        if len(content) > self.largest_bytes:
            raise SourceError(
                f"{url}: more than {self.largest_bytes:,} bytes; this is not the file that was asked for"
            )
        if stated is not None and stated.isdigit() and len(content) < int(stated):
            raise http.client.IncompleteRead(content, int(stated) - len(content))
        return content
