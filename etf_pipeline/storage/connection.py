"""Opening the warehouse: one writer for a moment, or many readers; not held while computing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import duckdb

from etf_pipeline.storage.contracts import CONTRACTS, Contract
from etf_pipeline.storage.open_file import WarehouseBusyError, open_file
from etf_pipeline.storage.views import create_views

SCHEMAS = ("raw", "market", "risk", "signals", "scoring", "validation", "attribution", "production", "meta")
# Extensions ship inside the wheel; nothing is ever fetched from the network.
CONFIG = {"autoinstall_known_extensions": "false", "preserve_insertion_order": "true", "threads": "2"}


class WarehouseMissingError(FileNotFoundError):
    """There is no warehouse yet where one was expected."""


class Warehouse:
    """The DuckDB files of one directory.

    ``etf.duckdb`` is the working file that runs write; ``published.duckdb`` is the snapshot readers open.
    """

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        self.path = self.directory / "etf.duckdb"
        self.published_path = self.directory / "published.duckdb"

    @contextmanager
    def write(self, wait_seconds: float = 60.0) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-write connection, with every table and view in place.

        Raises
        ------
        WarehouseBusyError : another process, or a reader of this one, kept the file longer than ``wait_seconds``.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._lease(read_only=False, wait_seconds=wait_seconds) as connection:
            ensure_schema(connection)
            yield connection

    @contextmanager
    def read(self, wait_seconds: float = 60.0) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection to the working file.

        Raises
        ------
        WarehouseMissingError : nothing was ever written here.
        """
        if not self.path.exists():
            raise WarehouseMissingError(f"no warehouse at {self.path}: run `etf build` first")
        with self._lease(read_only=True, wait_seconds=wait_seconds) as connection:
            yield connection

    def release(self) -> None:
        """Let go of the working file at once, where nobody of this process is at it (see ``OpenFile``)."""
        open_file(self.path).release()

    @contextmanager
    def read_published(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection to the published snapshot; a run in progress never disturbs it."""
        if not self.published_path.exists():
            raise WarehouseMissingError(
                f"nothing is published at {self.published_path}: run `etf build` first"
            )
        connection = duckdb.connect(str(self.published_path), read_only=True, config=dict(CONFIG))
        try:
            yield connection
        finally:
            connection.close()

    def _lease(
        self, *, read_only: bool, wait_seconds: float
    ) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        return open_file(self.path).lease(
            lambda left: self._open(read_only=read_only, wait_seconds=left),
            writes=not read_only,
            wait_seconds=wait_seconds,
        )

    def _open(self, *, read_only: bool, wait_seconds: float) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                return duckdb.connect(str(self.path), read_only=read_only, config=dict(CONFIG))
            except duckdb.IOException as error:
                if "lock" not in str(error).lower():
                    raise
                if time.monotonic() >= deadline:
                    raise WarehouseBusyError(
                        f"{self.path} is held by another process for over {wait_seconds:.1f} s: close it "
                        f"(readers should open {self.published_path.name}) and run again. {error}"
                    ) from error
                time.sleep(0.1)


def ensure_schema(connection: duckdb.DuckDBPyConnection) -> None:
    """Create what is missing of schemas, tables, columns and views, in one transaction.

    A table made by an earlier version keeps its rows; columns its contract has gained are added, NULL in them. A research
    table is made anew by its contract the next time it is written, see ``tables.write_table``.
    """
    fingerprint = _fingerprint()
    if _stored_fingerprint(connection) == fingerprint:
        return
    with transaction(connection):
        for schema in SCHEMAS:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for contract in CONTRACTS.values():
            connection.execute(contract.create())
            _add_columns(connection, contract)
            connection.execute(contract.comments())
        create_views(connection)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS meta.schema_fingerprint (fingerprint VARCHAR NOT NULL)"
        )
        connection.execute("DELETE FROM meta.schema_fingerprint")
        connection.execute("INSERT INTO meta.schema_fingerprint VALUES (?)", [fingerprint])


def stored_columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    """Columns that ``table`` ("schema.name") has in the warehouse; none where there is no such table."""
    schema, name = table.split(".")
    rows = connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = ? AND table_name = ? "
        "AND table_catalog = current_database() ORDER BY ordinal_position",
        [schema, name],
    ).fetchall()
    return [str(row[0]) for row in rows]


def _add_columns(connection: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    held = stored_columns(connection, contract.table)
    for column in contract.columns:
        if column.name not in held:
            connection.execute(f'ALTER TABLE {contract.table} ADD COLUMN "{column.name}" {column.type}')


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All or nothing: commit at the end, roll back on any exception."""
    connection.execute("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _fingerprint() -> str:
    import hashlib

    from etf_pipeline.storage import view_comments
    from etf_pipeline.storage.views import VIEWS

    text = "".join(c.ddl() for c in CONTRACTS.values()) + "".join(VIEWS)
    text += f"{view_comments.VIEWS}{view_comments.MACROS}"
    return hashlib.sha256(text.encode()).hexdigest()


def _stored_fingerprint(connection: duckdb.DuckDBPyConnection) -> str | None:
    known = connection.execute(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = 'meta' AND table_name = 'schema_fingerprint'"
    ).fetchone()
    if not known:
        return None
    tables = connection.execute(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables"
    ).fetchall()
    if not set(CONTRACTS) <= {str(row[0]) for row in tables}:
        return None
    row = connection.execute("SELECT fingerprint FROM meta.schema_fingerprint").fetchone()
    return str(row[0]) if row else None
