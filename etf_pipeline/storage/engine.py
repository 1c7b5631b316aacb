"""One DuckDB engine a process, to which a warehouse is attached for moments: a file opened alone starts one of its own.

Starting an engine and stopping it again takes longer than much of what a run asks of it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

import duckdb

NAME = "etf"
"""What an attached warehouse is called: as DuckDB itself would call a file ``etf.duckdb``."""


class _Engine:
    """An engine of this process, and who has it."""

    def __init__(self, config: Mapping[str, str]) -> None:
        self.process = os.getpid()
        self.taken = threading.Lock()
        self.connection = duckdb.connect(":memory:", config=dict(config))


_engines: list[_Engine] = []
"""The newest is in use. One that a fork brought along is kept and never touched: its threads stayed with the parent."""


def attach(path: Path, *, read_only: bool, config: Mapping[str, str]) -> duckdb.DuckDBPyConnection | None:
    """A connection with the file as its default database; None where the engine is taken by another warehouse.

    Raises
    ------
    duckdb.IOException : the file cannot be opened, or is held by another process.
    """
    if not _engines or _engines[-1].process != os.getpid():
        _engines.append(_Engine(config))
    engine = _engines[-1]
    if not engine.taken.acquire(blocking=False):
        return None
    try:
        connection = engine.connection.cursor()
        quoted = str(path).replace("'", "''")
        connection.execute(f"ATTACH '{quoted}' AS {NAME}{' (READ_ONLY)' if read_only else ''}")
        connection.execute(f"USE {NAME}")
    except BaseException:
        engine.taken.release()
        raise
    return connection


def detach(connection: duckdb.DuckDBPyConnection) -> None:
    """Close what ``attach`` gave: changes are in the file, and the file is nobody's."""
    engine = _engines[-1]
    try:
        connection.execute("USE memory")
        connection.execute(f"DETACH {NAME}")
        connection.close()
    except duckdb.Error:
        # Left in the middle of something: the engine goes, and with it whatever it held.
        _engines.remove(engine)
        connection.close()
        engine.connection.close()
    finally:
        engine.taken.release()
