"""One run at a time: the second waits, gives up with the holder's name, and takes over after a kill."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from etf_pipeline.storage.run_lock import RunInProgressError, run_lock


def _hold(directory: Path, ready: str) -> None:
    with run_lock(directory):
        Path(ready).touch()
        time.sleep(60)


def test_a_second_run_waits_and_a_killed_run_lets_go(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    other = multiprocessing.get_context("spawn").Process(target=_hold, args=(tmp_path / "w", str(ready)))
    other.start()
    try:
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with (
            pytest.raises(RunInProgressError, match=rf"process {other.pid} has held"),
            run_lock(tmp_path / "w", 0.3),
        ):
            pass
        os.kill(other.pid or 0, signal.SIGKILL)
        other.join()
        with run_lock(tmp_path / "w", 5.0):
            assert (tmp_path / "w" / "run.lock").read_text() == str(os.getpid())
    finally:
        other.kill()
        other.join()


def test_it_can_be_taken_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), run_lock(tmp_path):
        1 / 0  # noqa: B018
    with run_lock(tmp_path, 0.1):
        pass
