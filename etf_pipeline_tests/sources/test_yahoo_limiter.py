from __future__ import annotations

import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_pipeline.sources.yahoo.limiter import LONGEST_RETRY_AFTER, RateLimiter, full_jitter
from etf_pipeline.sources.yahoo.session import parse_retry_after
from etf_pipeline_tests.sources.yahoo_server import FakeClock


def limiter(clock: FakeClock, **changes: float) -> RateLimiter:
    arguments: dict = {"burst": 4, "base_delay": 1.0, "max_delay": 60.0, "patience": 12} | changes
    rate = arguments.pop("requests_per_minute", 60.0)
    return RateLimiter(rate, rng=np.random.default_rng(1), monotonic=clock, sleep=clock.sleep, **arguments)


def test_burst_then_steady_rate() -> None:
    clock = FakeClock()
    bucket = limiter(clock)
    times = []
    for _ in range(34):
        bucket.acquire()
        times.append(clock.time)
    assert times[:4] == [0.0] * 4
    np.testing.assert_allclose(np.diff(times[3:]), 1.0, atol=1e-5)


def test_tokens_do_not_pile_up_beyond_the_burst() -> None:
    clock = FakeClock()
    bucket = limiter(clock)
    clock.time = 3600.0
    for _ in range(5):
        bucket.acquire()
    assert clock.time == pytest.approx(3601.0, abs=1e-5)


def test_threads_share_the_rate() -> None:
    clock = FakeClock()
    bucket = limiter(clock, requests_per_minute=600.0, burst=1)
    threads = [threading.Thread(target=lambda: [bucket.acquire() for _ in range(10)]) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.time >= 49 / 10 - 1e-4, "50 requests at 10 a second after a burst of one"


def test_refusal_silences_everybody_for_retry_after() -> None:
    clock = FakeClock()
    bucket = limiter(clock)
    generation = bucket.acquire()
    bucket.refused(generation, retry_after=30.0)
    bucket.acquire()
    assert clock.time >= 30.0


def test_requests_of_one_burst_count_as_one_refusal() -> None:
    clock = FakeClock()
    bucket = limiter(clock, patience=2)
    generations = [bucket.acquire() for _ in range(4)]
    for generation in generations:
        bucket.refused(generation, None)
    assert not bucket.exhausted
    bucket.refused(bucket.acquire(), None)
    assert bucket.exhausted


def test_an_answer_ends_the_series_of_refusals() -> None:
    bucket = limiter(FakeClock(), patience=2)
    for _ in range(5):
        bucket.refused(bucket.acquire(), None)
        bucket.served()
    assert not bucket.exhausted


def test_told_to_stay_away_for_long_is_exhausted_at_once_and_forgotten_by_a_new_run() -> None:
    bucket = limiter(FakeClock())
    bucket.refused(bucket.acquire(), LONGEST_RETRY_AFTER + 1)
    assert bucket.exhausted
    bucket.forget_refusals()
    assert not bucket.exhausted


def test_cool_downs_grow_and_respect_the_cap() -> None:
    waits = np.zeros((300, 9))
    for run in range(len(waits)):
        clock = FakeClock()
        bucket = RateLimiter(
            6e6,
            burst=1000,
            base_delay=1.0,
            max_delay=60.0,
            patience=100,
            rng=np.random.default_rng(run),
            monotonic=clock,
            sleep=clock.sleep,
        )
        for refusal in range(waits.shape[1]):
            before = clock.time
            bucket.refused(bucket.acquire(), None)
            bucket.acquire()
            waits[run, refusal] = clock.time - before
    mean = waits.mean(axis=0)
    # Full jitter: the mean is half the exponential ceiling until the cap of 60 seconds.
    np.testing.assert_allclose(mean, np.minimum(60.0, 2.0 ** np.arange(9)) / 2, rtol=0.12)
    assert waits.max() <= 60.0 + 1e-3
    assert waits[:, -1].std() > 10.0, "jitter spreads the clients"


@given(st.integers(0, 2**32), st.integers(0, 5000), st.floats(0.001, 10), st.floats(0.001, 600))
def test_full_jitter_stays_inside_its_envelope(seed: int, attempt: int, base: float, cap: float) -> None:
    delay = full_jitter(np.random.default_rng(seed), attempt, base, cap)
    assert 0.0 <= delay <= min(cap, base * 2.0 ** min(attempt, 60))


def test_impossible_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="requests_per_minute"):
        limiter(FakeClock(), requests_per_minute=0.0)
    with pytest.raises(ValueError, match="burst"):
        limiter(FakeClock(), burst=0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("17", 17.0),
        ("Mon, 06 Jan 2025 00:01:30 GMT", 90.0),
        ("Sun, 05 Jan 2025 00:00:00 GMT", 0.0),
        ("soon", None),
    ],
)
def test_retry_after_header(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, datetime(2025, 1, 6, tzinfo=UTC)) == seconds
