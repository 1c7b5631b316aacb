"""The working file stays open a moment after use: opening and closing it costs more than most of what is done to it.

A step loads its tables one after the other, writes one, its checks read it, and the next step follows. They share one
open database. It is closed ``LINGER`` after the last use, at the latest when it is free ``LONGEST`` after it was opened,
and never held while something computes for longer. An idle file has no log beside it: what was written is in the file
itself before anybody waits, so that nothing depends on how the process ends, or on who copies the file.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

LINGER = 0.4
"""Seconds that the file stays open after its last user."""

LONGEST = 2.0
"""Seconds after its opening from which on it is closed as soon as nobody uses it, however soon the next one comes."""

_BROKEN = (duckdb.FatalException, duckdb.InternalException)
# Databases of processes this one was forked from: closing one here would harm them.
_of_parents: list[object] = []


class WarehouseBusyError(RuntimeError):
    """Somebody holds the warehouse open for longer than we wait."""


class OpenFile:
    """The database of one file in one process, open for reading or for writing. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._root: duckdb.DuckDBPyConnection | None = None
        self._file: tuple[int, ...] = ()
        self._inherited = False
        self._begin()

    def _begin(self) -> None:
        self._free = threading.Condition(threading.Lock())
        self._writes = self._changed = self._broken = False
        self._holders: Counter[int] = Counter()  # leases of each thread
        self._opened = self._due = 0.0
        self._closing: threading.Thread | None = None

    @contextmanager
    def lease(
        self, connect: Callable[[float], duckdb.DuckDBPyConnection], *, writes: bool, wait_seconds: float
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of the caller's own.

        Parameters
        ----------
        connect : opens the file, to write or to read as asked, waiting so many seconds at most; called where it is not
            open so.
        writes : may the caller write? Who may not has a read-only transaction where the file is open for writing: after
            an error in a query it has to ask anew.
        wait_seconds : for other processes, and for readers of this one where the file must be opened anew.

        Raises
        ------
        WarehouseBusyError : they did not end in time, or this thread is reading and asks to write.
        """
        me, broken = threading.get_ident(), False
        mine, guarded = self._enter(me, connect, writes, wait_seconds)
        try:
            if guarded:
                mine.execute("BEGIN TRANSACTION READ ONLY")
            yield mine
        except _BROKEN:
            broken = True
            raise
        finally:
            try:
                mine.close()  # whatever transaction is open is rolled back
            finally:
                self._leave(me, writes, broken)

    def release(self, wait_seconds: float = 60.0) -> None:
        """Close the file now, unless somebody of this process is at it."""
        if self._free.acquire(timeout=wait_seconds):
            try:
                if not self._holders:
                    self._close()
            finally:
                self._free.release()

    def forked(self) -> None:
        """Told in a process forked off another, which may have the file open: it stays the other's."""
        if self._root is not None:
            _of_parents.append(self._root)
            self._inherited = True
        self._root = None
        self._begin()

    def _enter(
        self,
        me: int,
        connect: Callable[[float], duckdb.DuckDBPyConnection],
        writes: bool,
        wait_seconds: float,
    ) -> tuple[duckdb.DuckDBPyConnection, bool]:
        deadline = time.monotonic() + wait_seconds
        if self._inherited:
            raise WarehouseBusyError(
                f"{self._path} was in use when this process was forked, and cannot be opened here: start processes by "
                "spawning them, or while nobody is at the warehouse"
            )
        if not self._free.acquire(timeout=wait_seconds):
            raise self._busy(wait_seconds)
        try:
            if writes and not self._writes and self._holders[me]:
                raise WarehouseBusyError(
                    f"{self._path} is being read by who asks to write: end the reading first"
                )
            if self._broken or (writes and not self._writes):
                left = max(0.0, deadline - time.monotonic())
                if self._holders and not self._free.wait_for(lambda: not self._holders, timeout=left):
                    raise self._busy(wait_seconds)
                self._close()
            if not self._holders and self._file != self._found():
                self._close()
            if self._root is None:
                self._root = connect(max(0.0, deadline - time.monotonic()))
                self._writes, self._changed, self._opened = writes, False, time.monotonic()
                self._file = self._found()
            try:
                mine = self._root.cursor()
            except BaseException:
                self._leave_open()
                raise
            self._holders[me] += 1
            return mine, self._writes and not writes
        finally:
            self._free.release()

    def _leave(self, thread: int, wrote: bool, broken: bool) -> None:
        with self._free:
            self._holders[thread] -= 1
            self._holders += Counter()  # drops who holds none
            self._changed |= wrote
            self._broken |= broken
            self._free.notify_all()
            if not self._holders:
                self._leave_open()

    def _leave_open(self) -> None:
        """Nobody is at it: close it by and by, or at once where it has been open for long or is not to be used again."""
        if self._root is None or self._holders:
            return
        now = time.monotonic()
        if self._broken or now - self._opened > LONGEST:
            self._close()
            return
        if self._changed:
            self._changed = False
            try:
                self._root.execute("CHECKPOINT")
            except _BROKEN:
                self._broken = True
                self._close()
                return
            except duckdb.Error:
                pass  # the log that cannot be folded in now is folded in when the file is closed
        self._due = now + LINGER
        if self._closing is None:
            self._closing = threading.Thread(target=self._close_when_idle, daemon=True)
            self._closing.start()

    def _busy(self, waited: float) -> WarehouseBusyError:
        return WarehouseBusyError(
            f"{self._path} is in use by this process for over {waited:.1f} s: nothing can be written while a reader is "
            "at work, nor the other way round; let it end and run again"
        )

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
        root, broken = self._root, self._broken
        self._root, self._broken, self._writes = None, False, False
        if root is not None:
            with suppress(*(_BROKEN if broken else ())):
                root.close()

    def _close_when_idle(self) -> None:
        while True:
            time.sleep(max(0.0, self._due - time.monotonic()))
            with self._free:
                if self._holders or self._root is None:
                    self._closing = None  # who leaves last starts the next
                    return
                if time.monotonic() >= self._due:
                    self._closing = None
                    self._close()
                    return


_files: dict[str, OpenFile] = {}


def open_file(path: Path) -> OpenFile:
    """The open file at ``path``; one in each process, whatever way leads to it."""
    real = os.path.realpath(path)
    return _files.setdefault(real, OpenFile(Path(real)))


def _release_idle() -> None:
    for opened in list(_files.values()):
        opened.release(1.0)


def _forked() -> None:
    for opened in list(_files.values()):
        opened.forked()


os.register_at_fork(before=_release_idle, after_in_child=_forked)
atexit.register(_release_idle)
