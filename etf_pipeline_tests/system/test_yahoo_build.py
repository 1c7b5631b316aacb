"""The whole build on Yahoo's formats: killed half-way, it goes on, repeats nothing, and says what is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from etf_pipeline.storage.connection import Warehouse
from etf_pipeline_tests.sources.yahoo_instruments import sixty_tickers
from etf_pipeline_tests.sources.yahoo_server import YahooServer


def start_build(directory: Path, server: YahooServer, tickers: list[str]) -> subprocess.Popen[str]:
    universe = directory / "universe.csv"
    universe.write_text("ticker\n" + "\n".join(tickers) + "\n", encoding="utf-8")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ETF_", "DAGSTER_"))} | {
        "ETF_MARKET": "asx",
        "ETF_SOURCE": "yahoo",
        "ETF_UNIVERSE_FILE": str(universe),
        "ETF_BENCHMARK": tickers[0],
        "ETF_START": "2025-01-01",
        "ETF_END": "2025-03-31",
        "ETF_WAREHOUSE": str(directory / "warehouse"),
        "ETF_YAHOO_URL": server.url,
        "ETF_YAHOO_REQUESTS_PER_MINUTE": "2000",
        "NO_PROXY": "127.0.0.1",
    }
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "etf_pipeline.cli", "build"],
        cwd=directory, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def stored(warehouse: Warehouse) -> dict[str, str]:
    """Newest status of each ticker on record; empty while the file is busy or absent."""
    try:
        with warehouse.read(wait_seconds=0.0) as connection:
            return dict(
                connection.execute(
                    "SELECT ticker, arg_max(status, known_at) FROM raw.coverage GROUP BY 1"
                ).fetchall()
            )
    except (OSError, RuntimeError, duckdb.Error):
        return {}


@pytest.mark.slow
def test_killed_half_way_it_resumes_and_reports_exactly_what_is_missing(tmp_path: Path) -> None:
    instruments, expected = sixty_tickers()
    tickers = sorted(expected)
    warehouse = Warehouse(tmp_path / "warehouse")
    with YahooServer(instruments, burst=range(12, 15), delay=0.05).running() as server:
        first = start_build(tmp_path, server, tickers)
        deadline = time.monotonic() + 120
        while len(stored(warehouse)) < 20:
            assert first.poll() is None, first.communicate()[0][-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
        finished = {t for t, s in stored(warehouse).items() if s in ("ok", "no_such_symbol", "empty")}
        assert 15 <= len(finished) < 55
        time.sleep(0.3)  # requests already sent by the killed process arrive
        mark, server.delay = len(server.log), 0.0
        second = start_build(tmp_path, server, tickers)
        output = second.communicate(timeout=240)[0]
        assert second.returncode == 0, output[-3000:]
        asked = set(server.symbols_asked(mark))
        assert not asked & finished, "a finished ticker was asked for again"
        assert asked >= set(tickers) - finished
    assert stored(warehouse) == expected
    with warehouse.read_published() as connection:
        bars = dict(connection.execute("SELECT ticker, count(*) FROM raw.bars_latest GROUP BY 1").fetchall())
        health = dict(connection.execute("SELECT ticker, last_fetch_status FROM data_health").fetchall())
    assert set(bars) == {t for t, s in expected.items() if s == "ok"}
    assert health == expected, "data_health says which are missing and why"
    for ticker, status in expected.items():
        if status != "ok":
            assert ticker in output or status in output
