"""One engine, one warehouse attached at a time: the file is whole and free as soon as it is closed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from etf_pipeline.storage import engine
from etf_pipeline.storage.connection import Warehouse, transaction

HELD = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('CREATE TABLE seen (a INT)')"


def filled(directory: Path, value: int = 1) -> Warehouse:
    warehouse = Warehouse(directory)
    with warehouse.write() as connection:
        connection.execute("CREATE TABLE raw.mine AS SELECT ? AS a", [value])
    return warehouse


def test_closed_it_is_whole_and_free_for_another_process(tmp_path: Path) -> None:
    warehouse = filled(tmp_path)
    assert not warehouse.path.with_suffix(".duckdb.wal").exists()
    subprocess.run([sys.executable, "-c", HELD, str(warehouse.path)], check=True)
    with warehouse.read() as connection:
        assert connection.execute("SELECT a FROM raw.mine").fetchall() == [(1,)]
    subprocess.run([sys.executable, "-c", HELD.replace("seen", "again"), str(warehouse.path)], check=True)


def test_open_it_is_nobody_elses(tmp_path: Path) -> None:
    warehouse = filled(tmp_path)
    with warehouse.write():
        found = subprocess.run(
            [sys.executable, "-c", HELD, str(warehouse.path)], capture_output=True, text=True, check=False
        )
    assert "lock" in found.stderr.lower()


def test_one_within_another_and_the_same_twice(tmp_path: Path) -> None:
    one, two = filled(tmp_path / "one", 1), filled(tmp_path / "two", 2)
    with one.read() as outer, two.read() as inner, one.read() as again:
        assert [c.execute("SELECT a FROM raw.mine").fetchone() for c in (outer, inner, again)] == [
            (1,),
            (2,),
            (1,),
        ]
    with two.write() as connection:
        connection.execute("DROP TABLE raw.mine")
    with one.read() as connection:
        assert connection.execute("SELECT a FROM raw.mine").fetchone() == (1,)


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    with (
        filled(tmp_path).read() as connection,
        pytest.raises(duckdb.InvalidInputException, match="read-only"),
    ):
        connection.execute("INSERT INTO raw.mine VALUES (2)")


def test_what_broke_off_in_the_middle_leaves_the_next_one_alone(tmp_path: Path) -> None:
    warehouse = filled(tmp_path)

    def break_off() -> None:
        with warehouse.write() as connection:
            connection.execute("BEGIN TRANSACTION")
            connection.execute("INSERT INTO raw.mine VALUES (2)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    with warehouse.write() as connection:
        with transaction(connection):
            connection.execute("INSERT INTO raw.mine VALUES (3)")
        assert connection.execute("SELECT a FROM raw.mine ORDER BY a").fetchall() == [(1,), (3,)]
    subprocess.run([sys.executable, "-c", HELD, str(warehouse.path)], check=True)


def test_threads_do_not_meet(tmp_path: Path) -> None:
    warehouses = [filled(tmp_path / str(n), n) for n in range(4)]
    wrong: list[object] = []

    def ask(number: int) -> None:
        for _ in range(20):
            with Warehouse(warehouses[number].directory).read() as connection:
                found = connection.execute("SELECT a FROM raw.mine").fetchone()
            if found != (number,):
                wrong.append(found)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_forked_child_has_an_engine_of_its_own(tmp_path: Path) -> None:
    warehouse = filled(tmp_path)
    before = engine._engines[-1]
    child = os.fork()
    if child == 0:
        with warehouse.write() as connection:
            connection.execute("INSERT INTO raw.mine VALUES (9)")
        os._exit(0 if engine._engines[-1] is not before else 1)
    assert os.waitpid(child, 0)[1] == 0
    with warehouse.read() as connection:
        assert connection.execute("SELECT a FROM raw.mine ORDER BY a").fetchall() == [(1,), (9,)]
