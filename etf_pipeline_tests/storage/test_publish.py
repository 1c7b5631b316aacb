"""The snapshot: whole, swapped in at one stroke, and never pulled from under a reader."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from etf_pipeline.storage import publish as module
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.publish import publish


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    warehouse = Warehouse(tmp_path)
    put(warehouse, "one")
    return warehouse


def put(warehouse: Warehouse, name: str) -> None:
    with warehouse.write() as connection:
        connection.execute("INSERT INTO meta.settings VALUES (?, '{}', now())", [name])


def names(warehouse: Warehouse) -> list[str]:
    with warehouse.read_published() as connection:
        return [
            r[0] for r in connection.execute("SELECT settings_hash FROM meta.settings ORDER BY 1").fetchall()
        ]


def files(warehouse: Warehouse) -> set[str]:
    return {path.name for path in warehouse.directory.iterdir()}


def test_the_snapshot_holds_all_that_was_committed(warehouse: Warehouse) -> None:
    assert publish(warehouse) == warehouse.published_path
    assert names(warehouse) == ["one"]
    put(warehouse, "two")
    assert names(warehouse) == ["one"], "readers see what was published, not what is worked on"
    publish(warehouse)
    assert names(warehouse) == ["one", "two"]
    assert files(warehouse) == {"etf.duckdb", "published.duckdb"}, "one file a database, no log beside it"


def test_an_open_reader_keeps_the_old_file(warehouse: Warehouse) -> None:
    publish(warehouse)
    inode = warehouse.published_path.stat().st_ino
    with warehouse.read_published() as old:
        put(warehouse, "two")
        publish(warehouse)
        assert warehouse.published_path.stat().st_ino != inode
        assert old.execute("SELECT count(*) FROM meta.settings").fetchone() == (1,)
    assert names(warehouse) == ["one", "two"]


def test_the_published_name_is_only_ever_a_whole_file(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(warehouse)
    put(warehouse, "two")
    during = []
    copy_file = module.copy_file

    def watched(source: Path, target: Path) -> None:
        assert Path(target) != warehouse.published_path
        during.append(names(warehouse))
        copy_file(source, target)
        during.append(names(warehouse))

    monkeypatch.setattr(module, "copy_file", watched)
    publish(warehouse)
    assert during == [["one"], ["one"]]
    assert names(warehouse) == ["one", "two"]


def test_a_failed_copy_leaves_the_old_snapshot(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(warehouse)
    put(warehouse, "two")

    def full(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "copy_file", full)
        with pytest.raises(OSError, match="No space left"):
            publish(warehouse)
    assert names(warehouse) == ["one"]
    publish(warehouse)
    assert names(warehouse) == ["one", "two"]
    assert files(warehouse) == {"etf.duckdb", "published.duckdb"}


def test_why_a_copy_failed_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    target = tmp_path / "copy"
    with pytest.raises(OSError, match=r"cannot publish .*missing: .*No such file"):
        module.copy_file(tmp_path / "missing", target)
    assert not target.exists()


def test_the_working_file_stays_locked_while_and_after_it_is_copied(warehouse: Warehouse) -> None:
    """Reading it in this process would give up the lock that keeps other writers out."""
    attempt = "import sys, duckdb; duckdb.connect(sys.argv[1])"
    with warehouse.write():
        publish(warehouse)
        other = subprocess.run(
            [sys.executable, "-c", attempt, str(warehouse.path)], capture_output=True, text=True, check=False
        )
    assert "Could not set lock" in other.stderr


def test_what_a_killed_publication_left_is_removed(warehouse: Warehouse) -> None:
    for left in ("published.4711.tmp", f"published.{os.getpid()}.tmp"):
        (warehouse.directory / left).write_bytes(b"half a file")
    (warehouse.directory / "published.duckdb.backup").write_text("mine")
    (warehouse.directory / "notes.tmp").write_text("mine")
    publish(warehouse)
    assert files(warehouse) == {"etf.duckdb", "published.duckdb", "published.duckdb.backup", "notes.tmp"}


def test_the_file_is_safe_on_disk_before_it_takes_the_name(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(module.os, "fsync", lambda fd: (order.append("fsync"), fsync(fd)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (order.append("rename"), replace(self, to))[1])
    publish(warehouse)
    assert order[:2] == ["fsync", "rename"]


def test_readers_all_through_many_publications(warehouse: Warehouse) -> None:
    """Every opening succeeds, and what it sees only grows."""
    publish(warehouse)
    stop = threading.Event()
    seen: list[int] = []
    troubles: list[duckdb.Error] = []

    def read() -> None:
        while not stop.is_set():
            try:
                seen.append(len(names(warehouse)))
            except duckdb.Error as error:
                troubles.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(10):
        put(warehouse, f"more-{number}")
        publish(warehouse)
    stop.set()
    reader.join()
    assert troubles == []
    assert seen == sorted(seen)
    assert len(names(warehouse)) == 11
