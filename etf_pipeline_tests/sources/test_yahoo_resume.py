"""Killed half-way, the download goes on with what is missing and repeats nothing that is on record."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from etf_pipeline_tests.conftest import ROOT
from etf_pipeline_tests.sources.yahoo_instruments import sixty_tickers
from etf_pipeline_tests.sources.yahoo_server import YahooServer, quick_source, record, recorded


def killed_after(batches: int, server: YahooServer, cache: Path, journal: Path, tickers: list[str]) -> None:
    """Run the recorder in its own process; kill it with ``batches`` on record and the next under way."""
    command = [sys.executable, "-m", "etf_pipeline_tests.sources.yahoo_server", server.url]
    process = subprocess.Popen([*command, str(cache), str(journal), *tickers], cwd=ROOT)
    try:
        deadline = time.monotonic() + 120
        while len(recorded(journal)) < 5 * batches or len(server.symbols_asked()) <= len(recorded(journal)):
            assert process.poll() is None, "the recorder ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("batches", [1, 6])
def test_nothing_on_record_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    instruments, expected = sixty_tickers()
    tickers, journal = sorted(expected), tmp_path / "journal.jsonl"
    with YahooServer(instruments, burst=range(12, 15), delay=0.02).running() as server:
        killed_after(batches, server, tmp_path / "first", journal, tickers)
        finished = recorded(journal)
        assert 5 * batches <= len(finished) < 60
        under_way = set(server.symbols_asked()) - set(finished)
        assert 0 < len(under_way) <= 5, "a kill costs at most one batch"

        time.sleep(0.1)  # what the killed process had sent has arrived
        mark = len(server.log)
        server.delay = 0.0
        rest = [t for t in tickers if t not in finished]
        record(quick_source(server.url, tmp_path / "second", rest), rest, journal)
        assert set(server.symbols_asked(mark)) == set(rest)
        assert not set(server.symbols_asked(mark)) & set(finished)
    assert recorded(journal) == expected
