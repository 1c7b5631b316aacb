"""How fast a vendor is asked: a token bucket, and a common silence after a refusal.

All threads share one limiter, because the vendor counts the requests of an address, not of a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

LONGEST_RETRY_AFTER = 600.0
"""Seconds. A vendor that asks to be left alone for longer is left alone for the rest of the run."""


def full_jitter(rng: np.random.Generator, attempt: int, base_delay: float, max_delay: float) -> float:
    """Seconds to wait before the retry after failure number ``attempt`` (0, 1, ...).

    Uniform between 0 and ``min(max_delay, base_delay * 2**attempt)``, so that clients refused together do
    not come back together (Brooker, "Exponential Backoff And Jitter", 2015).
    """
    return float(rng.uniform(0.0, min(max_delay, base_delay * 2.0 ** min(attempt, 60))))


class RateLimiter:
    """A token bucket shared by threads, with a cool-down after a refusal (HTTP 429).

    Parameters
    ----------
    requests_per_minute : the steady rate.
    burst : requests that may go out at once after a quiet time.
    base_delay, max_delay : seconds; the cool-down after n refusals in a row is drawn by `full_jitter`.
    patience : refusals in a row after which `exhausted` turns true.
    monotonic, sleep : the clock, in seconds, and how to wait; replaced in tests.
    """

    def __init__(
        self,
        requests_per_minute: float,
        *,
        burst: int,
        base_delay: float,
        max_delay: float,
        patience: int,
        rng: np.random.Generator,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        if requests_per_minute <= 0 or burst < 1:
            raise ValueError(
                f"requests_per_minute must be positive and burst at least 1, got "
                f"{requests_per_minute} and {burst}"
            )
        self._rate = requests_per_minute / 60.0
        self._burst = float(burst)
        self._base_delay, self._max_delay, self._patience = base_delay, max_delay, patience
        self._rng, self._monotonic, self._sleep = rng, monotonic, sleep
        self._lock = threading.Lock()
        self._tokens = float(burst)
        self._refilled_at = monotonic()
        self._quiet_until = -np.inf
        self._generation = 0
        self._refusals = 0
        self._told_to_leave = False

    @property
    def exhausted(self) -> bool:
        """True where the vendor has refused so often, or for so long, that asking on is pointless."""
        return self._told_to_leave or self._refusals >= self._patience

    def acquire(self) -> int:
        """Wait for leave to send one request; the number returned belongs to `refused`."""
        while True:
            with self._lock:
                now = self._monotonic()
                self._tokens = min(self._burst, self._tokens + (now - self._refilled_at) * self._rate)
                self._refilled_at = now
                wait = max(self._quiet_until - now, (1.0 - self._tokens) / self._rate)
                # A remainder below a microsecond is rounding: without this a clock could stand still.
                if wait <= 1e-6:
                    self._tokens -= 1.0
                    return self._generation
            self._sleep(wait)

    def refused(self, generation: int, retry_after: float | None) -> None:
        """Start a cool-down for all threads: at least ``retry_after`` seconds where the vendor named them.

        Requests that were already under way when a cool-down began are part of the same refusal and
        neither prolong nor count.
        """
        with self._lock:
            if generation != self._generation:
                return
            delay = full_jitter(self._rng, self._refusals, self._base_delay, self._max_delay)
            self._generation += 1
            self._refusals += 1
            if retry_after is not None:
                self._told_to_leave = self._told_to_leave or retry_after > LONGEST_RETRY_AFTER
                delay = max(delay, min(retry_after, LONGEST_RETRY_AFTER))
            self._quiet_until = self._monotonic() + delay

    def served(self) -> None:
        """The vendor answered: the next refusal counts as the first again."""
        with self._lock:
            self._refusals = 0

    def forget_refusals(self) -> None:
        """Begin a new run: earlier refusals no longer count (a running cool-down still holds)."""
        with self._lock:
            self._refusals, self._told_to_leave = 0, False
