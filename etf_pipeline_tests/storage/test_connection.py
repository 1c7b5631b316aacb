"""Opening the warehouse: who waits, who is never disturbed, and what the refusals say."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import duckdb
import pytest

from etf_pipeline.storage.connection import (
    SCHEMAS,
    Warehouse,
    WarehouseMissingError,
    ensure_schema,
    transaction,
)
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline.storage.open_file import LINGER, LONGEST, OpenFile, WarehouseBusyError
from etf_pipeline.storage.publish import publish

HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
"""


FORKING = """
import multiprocessing, sys
from pathlib import Path
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.open_file import WarehouseBusyError

def child(directory):
    warehouse = Warehouse(directory)
    warehouse.release()
    try:
        with warehouse.read(wait_seconds=20) as connection:
            print(connection.execute("SELECT count(*) FROM meta.settings").fetchone()[0], flush=True)
    except WarehouseBusyError as error:
        print("refused" if "was in use when this process was forked" in str(error) else error, flush=True)

warehouse = Warehouse(Path(sys.argv[1]) / "forking")
with warehouse.write() as connection:
    connection.execute("INSERT INTO meta.settings VALUES ('one', '{}', now())")
    log = warehouse.path.with_name("etf.duckdb.wal")
    process = multiprocessing.get_context("fork").Process(target=child, args=(warehouse.directory,))
    print("log" if log.exists() else "none", flush=True)
    process.start()
    process.join(30)
    print("kept" if log.exists() else "gone", flush=True)
    connection.execute("INSERT INTO meta.settings VALUES ('two', '{}', now())")
process = multiprocessing.get_context("fork").Process(target=child, args=(warehouse.directory,))
process.start()
process.join(30)
with warehouse.read() as connection:
    print(connection.execute("SELECT count(*) FROM meta.settings").fetchone()[0], flush=True)
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    warehouse = Warehouse(tmp_path / "warehouse")
    with warehouse.write():
        pass
    return warehouse


@contextmanager
def held_by_another_process(warehouse: Warehouse) -> Iterator[subprocess.Popen[str]]:
    warehouse.release()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(warehouse.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            if not process.stdin.closed:
                process.stdin.close()


@pytest.mark.parametrize("how", ["write", "read"])
def test_a_busy_warehouse_says_who_and_what_to_do(warehouse: Warehouse, how: str) -> None:
    with held_by_another_process(warehouse) as holder:
        began = time.monotonic()
        with (
            pytest.raises(WarehouseBusyError) as caught,
            getattr(warehouse, how)(wait_seconds=0.3),
        ):
            pass
        waited = time.monotonic() - began
    assert 0.3 <= waited < 5
    message = str(caught.value)
    assert str(warehouse.path) in message
    assert "close it (readers should open published.duckdb) and run again" in message
    assert str(holder.pid) in message, "DuckDB names the process that holds the file"


def test_a_writer_waits_for_the_one_before(warehouse: Warehouse) -> None:
    with held_by_another_process(warehouse) as holder:
        assert holder.stdin is not None
        closing = threading.Timer(0.4, holder.stdin.close)
        closing.start()
        with warehouse.write(wait_seconds=20) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        closing.join()


def test_trouble_that_waiting_cannot_mend_is_not_waited_for(warehouse: Warehouse) -> None:
    warehouse.release()
    warehouse.path.write_bytes(b"this is no database" * 1000)
    began = time.monotonic()
    with pytest.raises(duckdb.Error, match="not a valid DuckDB database"), warehouse.write(wait_seconds=30):
        pass
    assert time.monotonic() - began < 5


def test_a_reader_of_the_published_snapshot_is_undisturbed_by_a_write(warehouse: Warehouse) -> None:
    publish(warehouse)
    with warehouse.read_published() as reader:
        with warehouse.write() as writer:
            writer.execute("INSERT INTO meta.settings VALUES ('new', '{}', now())")
            assert reader.execute("SELECT count(*) FROM meta.settings").fetchone() == (0,)
            with warehouse.read_published() as second:
                assert second.execute("SELECT count(*) FROM meta.settings").fetchone() == (0,)
        publish(warehouse)
        assert reader.execute("SELECT count(*) FROM meta.settings").fetchone() == (0,)
    with warehouse.read_published() as reader:
        assert reader.execute("SELECT count(*) FROM meta.settings").fetchone() == (1,)


def test_readers_cannot_write(warehouse: Warehouse) -> None:
    publish(warehouse)  # so that the working file is open for writing
    for opened in (warehouse.read, warehouse.read_published):
        with opened() as connection, pytest.raises(duckdb.Error, match="read-only"):
            connection.execute("DELETE FROM raw.bars")
    warehouse.release()
    with warehouse.read() as connection, pytest.raises(duckdb.Error, match="read-only"):
        connection.execute("DELETE FROM raw.bars")


@pytest.fixture
def opened(warehouse: Warehouse) -> Iterator[tuple[OpenFile, list[duckdb.DuckDBPyConnection]]]:
    """The file of the warehouse, and what was opened of it so far."""
    warehouse.release()
    roots: list[duckdb.DuckDBPyConnection] = []
    file = OpenFile(warehouse.path)
    yield file, roots
    file.release()


def leased(
    opened: tuple[OpenFile, list[duckdb.DuckDBPyConnection]], writes: bool
) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    file, roots = opened

    def connect(left: float) -> duckdb.DuckDBPyConnection:
        roots.append(duckdb.connect(str(file._path)))
        return roots[-1]

    return file.lease(connect, writes=writes, wait_seconds=1)


def test_the_file_is_opened_once_for_many_and_let_go_of_soon_after(
    warehouse: Warehouse, opened: tuple[OpenFile, list[duckdb.DuckDBPyConnection]]
) -> None:
    for writes in (True, False, True, False):
        with leased(opened, writes) as connection:
            assert connection.execute("SELECT count(*) FROM raw.bars").fetchone() == (0,)
    assert len(opened[1]) == 1
    time.sleep(LINGER + 0.3)
    with held_by_another_process(warehouse):
        pass
    with leased(opened, writes=False):
        assert len(opened[1]) == 2


def test_a_steady_reader_lets_go_all_the_same(
    warehouse: Warehouse, opened: tuple[OpenFile, list[duckdb.DuckDBPyConnection]]
) -> None:
    end = time.monotonic() + LONGEST + 3 * LINGER
    while time.monotonic() < end:
        with leased(opened, writes=False):
            time.sleep(0.02)
        time.sleep(0.05)
    assert 2 <= len(opened[1]) <= 3


def test_what_was_written_is_in_the_file_before_anybody_waits(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        connection.execute("INSERT INTO meta.settings VALUES ('a', '{}', now())")
        log = warehouse.path.with_name("etf.duckdb.wal")
        assert log.exists()
    assert not log.exists()


def test_a_broken_database_is_opened_anew(
    opened: tuple[OpenFile, list[duckdb.DuckDBPyConnection]],
) -> None:
    def breaking() -> None:
        with leased(opened, writes=True) as connection:
            connection.execute("INSERT INTO meta.settings VALUES ('a', '{}', now())")
            connection.execute("SET debug_checkpoint_abort = 'before_header'")
            connection.execute("CHECKPOINT")

    with pytest.raises(duckdb.FatalException):
        breaking()
    with leased(opened, writes=False) as connection:
        assert connection.execute("SELECT count(*) FROM meta.settings").fetchone() == (1,)
    assert len(opened[1]) == 2


def test_an_error_on_the_way_in_or_out_leaves_nobody_inside(
    warehouse: Warehouse, opened: tuple[OpenFile, list[duckdb.DuckDBPyConnection]]
) -> None:
    class Failing:
        def __init__(self, root: duckdb.DuckDBPyConnection, on: str) -> None:
            self.root, self.on = root, on

        def cursor(self) -> Failing:
            if self.on == "cursor":
                raise RuntimeError("cursor")
            return self

        def close(self) -> None:
            if self.on == "leaving":
                self.on = ""
                raise RuntimeError("leaving")
            self.root.close()

    file, _ = opened
    for on in ("cursor", "leaving"):
        root = Failing(duckdb.connect(str(file._path)), on)
        with (
            pytest.raises(RuntimeError, match=on),
            file.lease(lambda _, root=root: root, writes=False, wait_seconds=1),  # type: ignore[misc, arg-type, return-value]
        ):
            pass
        time.sleep(LINGER + 0.3)
        with held_by_another_process(warehouse):
            pass


def test_a_file_in_use_stays_open_however_long(warehouse: Warehouse) -> None:
    with warehouse.read() as connection:
        with warehouse.read():
            pass
        time.sleep(2 * LINGER)
        assert connection.execute("SELECT count(*) FROM raw.bars").fetchone() == (0,)


def test_a_writer_waits_for_readers_of_its_own_process(warehouse: Warehouse) -> None:
    warehouse.release()
    reading, end = threading.Event(), threading.Event()

    def reader() -> None:
        with warehouse.read():
            reading.set()
            end.wait(10)

    thread = threading.Thread(target=reader)
    thread.start()
    reading.wait(10)
    with (
        pytest.raises(WarehouseBusyError, match="in use by this process"),
        warehouse.write(wait_seconds=0.1),
    ):
        pass
    threading.Timer(0.2, end.set).start()
    with warehouse.write(wait_seconds=10) as connection:
        connection.execute("INSERT INTO meta.settings VALUES ('a', '{}', now())")
    thread.join()


def test_another_file_in_the_same_place_is_seen(warehouse: Warehouse, tmp_path: Path) -> None:
    other = Warehouse(tmp_path / "other")
    with other.write() as connection:
        connection.execute("INSERT INTO meta.settings VALUES ('other', '{}', now())")
    other.release()
    with warehouse.read() as connection:
        assert connection.execute("SELECT count(*) FROM meta.settings").fetchone() == (0,)
    other.path.replace(warehouse.path)
    with warehouse.read() as connection:
        assert connection.execute("SELECT count(*) FROM meta.settings").fetchone() == (1,)


def test_who_reads_cannot_ask_to_write_whatever_happened_just_before(warehouse: Warehouse) -> None:
    warehouse.release()
    began = time.monotonic()
    with (
        warehouse.read(),
        pytest.raises(WarehouseBusyError, match="end the reading first"),
        warehouse.write(),
    ):
        pass
    assert time.monotonic() - began < 5


def test_a_process_forked_off_leaves_what_was_open_alone(warehouse: Warehouse) -> None:
    """Were the parent's database closed in the child, its log would be deleted, and what the parent commits then lost."""
    forked = subprocess.run(
        [sys.executable, "-c", FORKING, str(warehouse.directory)], capture_output=True, text=True, check=False
    )
    assert forked.stdout.split() == ["log", "refused", "kept", "2", "2"], forked.stderr


def test_an_update_is_seen_by_readers_after_it_and_not_by_those_before(warehouse: Warehouse) -> None:
    with warehouse.write() as writer:
        with warehouse.read() as before:
            assert before.execute("SELECT count(*) FROM meta.settings").fetchone() == (0,)
            writer.execute("INSERT INTO meta.settings VALUES ('a', '{}', now())")
            assert before.execute("SELECT count(*) FROM meta.settings").fetchone() == (0,)
        with warehouse.read() as after:
            assert after.execute("SELECT count(*) FROM meta.settings").fetchone() == (1,)


def test_nothing_there_is_said_with_the_remedy(tmp_path: Path) -> None:
    nowhere = Warehouse(tmp_path / "none")
    with (
        pytest.raises(WarehouseMissingError, match=r"no warehouse at .*etf.duckdb: run `etf build` first"),
        nowhere.read(),
    ):
        pass
    with (
        pytest.raises(WarehouseMissingError, match=r"nothing is published at .*published.duckdb"),
        nowhere.read_published(),
    ):
        pass
    assert not nowhere.directory.exists(), "asking leaves nothing behind"


def test_a_new_warehouse_has_every_table_and_view(warehouse: Warehouse) -> None:
    with warehouse.read() as connection:
        schemas = {
            row[0] for row in connection.execute("SELECT schema_name FROM duckdb_schemas()").fetchall()
        }
        tables = {
            f"{schema}.{table}"
            for schema, table in connection.execute(
                "SELECT schema_name, table_name FROM duckdb_tables()"
            ).fetchall()
        }
        views = {
            f"{schema}.{view}"
            for schema, view in connection.execute(
                "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"
            ).fetchall()
        }
        for view in views:
            connection.execute(f"SELECT * FROM {view}")
    assert set(SCHEMAS) <= schemas
    assert set(CONTRACTS) <= tables
    assert {
        "main.latest_ranking", "main.latest_risk", "main.market_regime", "main.fund_card", "main.data_health",
        "raw.restatements",
    } <= views  # fmt: skip


def test_opening_again_changes_nothing_and_rows_stay(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        connection.execute("INSERT INTO meta.settings VALUES ('a', '{}', now())")
        connection.execute("CHECKPOINT")
    before = warehouse.path.read_bytes()
    with warehouse.write():
        pass
    assert warehouse.path.read_bytes() == before


def test_a_changed_view_is_replaced_and_rows_stay(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        connection.execute("INSERT INTO meta.settings VALUES ('a', '{}', now())")
        connection.execute("CREATE OR REPLACE VIEW main.latest_ranking AS SELECT 1 AS outdated")
        connection.execute("UPDATE meta.schema_fingerprint SET fingerprint = 'of an older version'")
    with warehouse.write() as connection:
        names = [c[0] for c in connection.execute("SELECT * FROM latest_ranking").description]
        assert "final_score" in names
        assert connection.execute("SELECT count(*) FROM meta.settings").fetchone() == (1,)


def test_the_schema_comes_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    from etf_pipeline.storage import connection as module

    def broken(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("CREATE VIEW main.broken AS SELECT * FROM nowhere")

    monkeypatch.setattr(module, "create_views", broken)
    with duckdb.connect() as memory:
        with pytest.raises(duckdb.CatalogException):
            ensure_schema(memory)
        assert memory.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)


def test_a_transaction_is_all_or_nothing() -> None:
    with duckdb.connect() as memory:
        memory.execute("CREATE TABLE t (i INT)")

        def interrupted() -> None:
            with transaction(memory):
                memory.execute("INSERT INTO t VALUES (1)")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert memory.execute("SELECT count(*) FROM t").fetchone() == (0,)
        with transaction(memory):
            memory.execute("INSERT INTO t VALUES (1)")
        assert memory.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_an_error_in_the_transaction_is_the_one_reported() -> None:
    """DuckDB aborts the transaction itself on some errors; the rollback must not hide the reason."""
    with duckdb.connect() as memory:
        memory.execute("CREATE TABLE t (i INT PRIMARY KEY)")
        memory.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(duckdb.ConstraintException, match=r"[Dd]uplicate key"), transaction(memory):
            memory.execute("INSERT INTO t VALUES (1)")


def test_the_connection_closes_after_an_error(warehouse: Warehouse) -> None:
    with pytest.raises(RuntimeError, match="mine"), warehouse.write():
        raise RuntimeError("mine")
    with held_by_another_process(warehouse):
        pass


def test_a_table_of_an_earlier_version_gains_columns_and_keeps_its_rows(tmp_path: Path) -> None:
    """Raw facts and the published record survive an upgrade; what they did not know is NULL."""
    warehouse = Warehouse(tmp_path)
    with duckdb.connect(str(warehouse.path)) as old:
        old.execute("CREATE SCHEMA production; CREATE SCHEMA raw")
        old.execute(
            "CREATE TABLE production.published_ranking AS SELECT DATE '2026-01-07' AS session, 'VAS.AX' AS ticker, "
            "1 AS rank, 70.5 AS final_score"
        )
    with warehouse.write() as connection:
        row = connection.execute(
            "SELECT ticker, rank, final_score, momentum_score FROM production.published_ranking"
        ).fetchall()
        assert row == [("VAS.AX", 1, 70.5, None)]
        columns = {r[0] for r in connection.execute("DESCRIBE production.published_ranking").fetchall()}
    assert columns == set(CONTRACTS["production.published_ranking"].names)
