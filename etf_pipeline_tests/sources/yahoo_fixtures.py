"""Fixtures of the Yahoo tests; a test module names this one in ``pytest_plugins``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etf_pipeline.sources.yahoo import YahooSource
from etf_pipeline_tests.sources.yahoo_instruments import LATER
from etf_pipeline_tests.sources.yahoo_server import FakeClock, YahooServer


@pytest.fixture(scope="session")
def yfinance_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("yfinance")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def open_source(yfinance_cache: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``open_source(server, tickers, **changes)``: a source on the loopback server, waiting in no time."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def build(server: YahooServer, tickers: list[str], **changes: Any) -> YahooSource:
        arguments: dict[str, Any] = {
            "market": "asx",
            "base_url": server.url,
            "cache_dir": yfinance_cache,
            "now": lambda: LATER,
            "monotonic": clock,
            "sleep": clock.sleep,
            "show_progress": False,
        }
        return YahooSource(tickers, **(arguments | changes))

    return build
