"""What the killed processes run. Importing this loads the whole package, so that a fork of it starts warm."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.publish import publish
from etf_pipeline.storage.tables import write_table
from etf_pipeline_tests.harness import run, small_market
from etf_pipeline_tests.storage.test_contracts import RUN, volatility

FUNDS = 12
FIRST_DAY = "2023-01-03"


JUDGEMENT = ("validation", "attribution")
"""Stages that only read what the others have made, and take half of a build's time."""


def build(directory: str, day: str, half_life: int, log: str, whole: bool = True) -> None:
    """The real build job on a small simulated market that ends on ``day``; Dagster's events go to ``log``.

    Not ``whole``: without the stages of judgement.
    """
    with Path(log).open("wb", buffering=0) as file:
        os.dup2(file.fileno(), 2)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        pipeline = small_market(
            Path(directory), day, funds=FUNDS, start=FIRST_DAY, windows={"volatility_half_life": half_life}
        )
        assert run(pipeline, "build", without=() if whole else JUDGEMENT, log_level="DEBUG").success


class DyingConnection:
    """A DuckDB connection whose process is killed just before, or after, a given statement."""

    def __init__(self, connection: object, statement: str, when: str) -> None:
        self._connection = connection
        self._statement = statement
        self._when = when

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def cursor(self) -> DyingConnection:
        return DyingConnection(self._connection.cursor(), self._statement, self._when)  # type: ignore[attr-defined]

    def execute(self, query: str, *args: object) -> object:
        hit = query.strip().startswith(self._statement)
        if hit and self._when == "before":
            die()
        result = self._connection.execute(query, *args)  # type: ignore[attr-defined]
        if hit:
            die()
        return result


def die() -> None:
    """End this process as ``kill -9`` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def replace_volatility(directory: str, tickers: list[str], statement: str, when: str) -> None:
    """Replace a table, and be killed at ``statement``."""
    warehouse = Warehouse(directory)
    _die_at(statement, when)
    write_table(warehouse, "risk.volatility", volatility(tickers, value=0.9), RUN)


def publish_and_die(directory: str, point: str) -> None:
    """Publish, and be killed at ``point``: a statement, "copying" (half of the file is there) or "copied"."""
    from etf_pipeline.storage import publish as module

    def half_a_copy(source: Path, target: Path) -> None:
        content = Path(source).read_bytes()
        Path(target).write_bytes(content[: len(content) // 2])
        die()

    def a_copy(source: Path, target: Path) -> None:
        Path(target).write_bytes(Path(source).read_bytes())
        die()

    if point == "copying":
        module.copy_file = half_a_copy
    elif point == "copied":
        module.copy_file = a_copy
    else:
        _die_at(point, "after")
    publish(Warehouse(directory))


def _die_at(statement: str, when: str) -> None:
    original = Warehouse._open

    def opened(self: Warehouse, **options: object) -> DyingConnection:
        return DyingConnection(original(self, **options), statement, when)  # type: ignore[arg-type]

    Warehouse._open = opened  # type: ignore[method-assign, assignment]
