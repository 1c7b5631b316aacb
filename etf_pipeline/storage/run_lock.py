"""One run at a time on a warehouse, whoever starts it: the command, the UI, a schedule."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)


class RunInProgressError(RuntimeError):
    """Another run has held the warehouse for longer than we wait."""


@contextmanager
def run_lock(directory: Path, wait_seconds: float = 1800.0) -> Iterator[None]:
    """Hold ``run.lock`` in ``directory`` while a run lasts; wait for another run to end first.

    The operating system releases it when the process ends, however it ends. Readers need no lock.

    Raises
    ------
    RunInProgressError : still held after ``wait_seconds``; the message names the other process.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "run.lock"
    with path.open("a+", encoding="utf-8") as handle:
        deadline, told = time.monotonic() + wait_seconds, False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                handle.seek(0)
                holder = handle.read().strip() or "unknown"
                if time.monotonic() >= deadline:
                    raise RunInProgressError(
                        f"a run of process {holder} has held {path} for over {wait_seconds:.0f} s: two runs would "
                        "mix their tables. Wait for it, or end that process."
                    ) from None
                if not told:
                    log.warning(
                        "another run (process %s) is under way in %s: waiting for it", holder, directory
                    )
                    told = True
                time.sleep(0.2)
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        yield
