"""The working file stays open a moment after use: opening and closing it costs more than most of what is done to it.

A step loads its tables one after the other, writes one, its checks read it, and the next step follows. They share one
open database. It is closed ``LINGER`` after the last use, so that other processes wait that long at most, and never
while something computes for longer.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

LINGER = 0.4
"""Seconds that the file stays open after its last user."""


class WarehouseBusyError(RuntimeError):
    """Somebody holds the warehouse open for longer than we wait."""


class OpenFile:
    """The database of one file in one process, open for reading or for writing. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._free = threading.Condition()
        self._root: duckdb.DuckDBPyConnection | None = None
        self._writes = False
        self._file: tuple[int, ...] = ()
        self._process = os.getpid()
        self._users = 0
        self._due = 0.0
        self._closing: threading.Thread | None = None

    @contextmanager
    def lease(
        self, connect: Callable[[], duckdb.DuckDBPyConnection], *, writes: bool, wait_seconds: float
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of the caller's own.

        Parameters
        ----------
        connect : opens the file, to write or to read as asked; called where it is not open so.
        writes : may the caller write? Who may not has a read-only transaction where the file is open for writing.
        wait_seconds : for readers of this process to end, where the file must be opened anew.

        Raises
        ------
        WarehouseBusyError : they did not.
        """
        with self._free:
            mine = self._open(connect, writes, wait_seconds).cursor()
            guarded = self._writes and not writes
            self._users += 1
        try:
            if guarded:
                mine.execute("BEGIN TRANSACTION READ ONLY")
            yield mine
        finally:
            mine.close()  # whatever transaction is open is rolled back
            with self._free:
                self._users -= 1
                self._free.notify_all()
                self._due = time.monotonic() + LINGER
                if self._closing is None:
                    self._closing = threading.Thread(target=self._close_when_idle, daemon=True)
                    self._closing.start()

    def release(self) -> None:
        """Close the file now, unless somebody of this process is at it."""
        with self._free:
            self._forget_the_parent()
            if not self._users:
                self._close()

    def _open(
        self, connect: Callable[[], duckdb.DuckDBPyConnection], writes: bool, wait_seconds: float
    ) -> duckdb.DuckDBPyConnection:
        self._forget_the_parent()
        if self._root is not None and ((writes and not self._writes) or self._file != self._found()):
            if not self._free.wait_for(lambda: not self._users, timeout=wait_seconds):
                raise WarehouseBusyError(
                    f"{self._path} is being read by this process for over {wait_seconds:.0f} s: end that first, "
                    "nothing can be written while a reader of the same process is at work"
                )
            self._close()
        if self._root is None:
            self._root, self._writes = connect(), writes
            self._file = self._found()
        return self._root

    def _forget_the_parent(self) -> None:
        """What was open when this process was forked belongs to the other one."""
        if os.getpid() != self._process:
            self._root, self._users, self._closing, self._process = None, 0, None, os.getpid()

    def _found(self) -> tuple[int, ...]:
        """Which file is there; for a reader, also what shows that somebody wrote to it."""
        found: list[int] = []
        for path in (
            (self._path,) if self._writes else (self._path, self._path.with_name(self._path.name + ".wal"))
        ):
            with suppress(FileNotFoundError):
                state = path.stat()
                found += [state.st_dev, state.st_ino]
                if not self._writes:
                    found += [state.st_size, state.st_mtime_ns]
        return tuple(found)

    def _close(self) -> None:
        if self._root is not None:
            self._root.close()
            self._root = None

    def _close_when_idle(self) -> None:
        while True:
            time.sleep(max(0.0, self._due - time.monotonic()))
            with self._free:
                if self._users:
                    self._due = time.monotonic() + LINGER
                elif self._root is None or time.monotonic() >= self._due:
                    self._close()
                    self._closing = None
                    return


_files: dict[Path, OpenFile] = {}


def open_file(path: Path) -> OpenFile:
    """The open file at ``path``; one in each process."""
    return _files.setdefault(path.absolute(), OpenFile(path.absolute()))


@atexit.register
def _release_all() -> None:
    for opened in _files.values():
        opened.release()
