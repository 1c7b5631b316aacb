"""Invariant 4 at chosen points: killed, or failing, in the middle of a transaction or of a publication."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.hashing import content_hash
from etf_pipeline.storage.publish import publish
from etf_pipeline.storage.tables import CONTRACTS, read_table, write_table
from etf_pipeline_tests.crash.conftest import Spawn
from etf_pipeline_tests.crash.victim import DyingConnection, publish_and_die, replace_volatility
from etf_pipeline_tests.storage.test_contracts import RUN, volatility

TABLE = "risk.volatility"
OLD, NEW = ["A", "B"], ["A", "B", "C"]


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    warehouse = Warehouse(tmp_path)
    write_table(warehouse, TABLE, volatility(OLD, value=0.1), RUN)
    return warehouse


def held(warehouse: Warehouse) -> list[str]:
    """The tickers held, after checking that rows and recorded hash agree."""
    frame = read_table(warehouse, TABLE)
    with warehouse.read() as connection:
        recorded = connection.execute(
            "SELECT content_hash FROM meta.latest_materializations WHERE asset = ?", [TABLE]
        ).fetchone()
    assert recorded == (content_hash(frame, CONTRACTS[TABLE]),)
    return sorted(frame["ticker"])


KILL_POINTS = [
    ("BEGIN", "after", OLD),
    ("DELETE FROM risk.volatility", "before", OLD),
    ("DELETE FROM risk.volatility", "after", OLD),
    ("INSERT INTO risk.volatility", "after", OLD),
    ("INSERT INTO meta.materializations", "after", OLD),
    ("COMMIT", "before", OLD),
    ("COMMIT", "after", NEW),
]


@pytest.mark.parametrize(
    ("statement", "when", "expected"), KILL_POINTS, ids=[f"{p[1]} {p[0]}" for p in KILL_POINTS]
)
def test_killed_inside_a_replacement(
    warehouse: Warehouse, spawn: Spawn, statement: str, when: str, expected: list[str]
) -> None:
    process = spawn(replace_volatility, str(warehouse.directory), NEW, statement, when)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert held(warehouse) == expected
    write_table(warehouse, TABLE, volatility(NEW, value=0.9), RUN)
    assert held(warehouse) == NEW


def test_an_error_between_delete_and_insert_leaves_the_old_rows(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    class DiskFullError(RuntimeError):
        pass

    class Failing(DyingConnection):
        def execute(self, query: str, *args: object) -> object:
            if query.startswith(f"INSERT INTO {TABLE}"):
                left = self._connection.execute(f"SELECT count(*) FROM {TABLE}").fetchone()  # type: ignore[attr-defined]
                assert left == (0,), "the rows are gone inside the transaction"
                raise DiskFullError
            return self._connection.execute(query, *args)  # type: ignore[attr-defined]

    original = Warehouse.write

    @contextmanager
    def write(self: Warehouse) -> Iterator[object]:
        with original(self) as connection:
            yield Failing(connection, "", "")

    with monkeypatch.context() as patch:
        patch.setattr(Warehouse, "write", write)
        with pytest.raises(DiskFullError):
            write_table(warehouse, TABLE, volatility(NEW, value=0.9), RUN)
    assert held(warehouse) == OLD
    assert write_table(warehouse, TABLE, volatility(NEW, value=0.9), RUN)[0].changed
    assert held(warehouse) == NEW


@pytest.mark.parametrize("point", ["CHECKPOINT", "copying", "copied"])
@pytest.mark.parametrize("first", [True, False], ids=["first publication", "replacement"])
def test_killed_while_publishing(warehouse: Warehouse, spawn: Spawn, point: str, first: bool) -> None:
    if not first:
        publish(warehouse)
        write_table(warehouse, TABLE, volatility(NEW, value=0.9), RUN)
    process = spawn(publish_and_die, str(warehouse.directory), point)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert warehouse.published_path.exists() is not first
    if not first:
        assert published(warehouse) == OLD, "readers keep the whole old snapshot"
    publish(warehouse)
    assert published(warehouse) == (OLD if first else NEW)
    assert {p.name for p in warehouse.directory.iterdir()} == {"etf.duckdb", "published.duckdb"}


def published(warehouse: Warehouse) -> list[str]:
    with warehouse.read_published() as connection:
        return [r[0] for r in connection.execute(f"SELECT ticker FROM {TABLE} ORDER BY 1").fetchall()]


def test_half_a_snapshot_would_be_noticed(warehouse: Warehouse) -> None:
    """Were the copy written in place, the tests above would see it: half a file does not open."""
    publish(warehouse)
    content = warehouse.published_path.read_bytes()
    warehouse.published_path.write_bytes(content[: len(content) // 2])
    with pytest.raises((duckdb.Error, AssertionError)):
        assert published(warehouse) == OLD
