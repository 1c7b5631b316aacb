"""A warehouse cut off at a session, and the hashes by which it is compared with the whole one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb

from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline.storage.hashing import content_hash
from etf_pipeline.storage.tables import from_arrow

NOT_COMPARED = {
    "market.sessions": "tells how many bars are held, and its last session has not ended yet in the cut",
    "validation.readiness": "is asked of the newest session, whichever that is",
}
RESEARCH = tuple(
    name
    for name in CONTRACTS
    if name.split(".")[0] in {"market", "risk", "signals", "scoring", "validation", "attribution"}
)
"""Tables that are a pure function of the raw tier, the settings and, for the ledger, of what was tried before."""


def cut_raw_tier(full: Warehouse, cut: Warehouse, session: str) -> None:
    """A copy of the raw tier in which nothing after ``session`` has happened, listing facts included.

    The ledger of trials comes along, up to the session: what was tried is remembered, not computed.
    """
    with cut.write() as connection, _attached(connection, full):
        day = f"DATE '{session}'"
        for table, when in (
            ("raw.bars", "session"), ("raw.actions", "ex_date"), ("raw.macro", "session"),
            ("raw.factors", "session"), ("validation.trials", "session"), ("validation.trial_returns", "session"),
        ):  # fmt: skip
            connection.execute(
                f"INSERT INTO {table} SELECT * FROM full_warehouse.{table} WHERE {when} <= {day}"  # noqa: S608
            )
        connection.execute("INSERT INTO raw.fetches SELECT * FROM full_warehouse.raw.fetches")
        connection.execute(
            "INSERT INTO raw.coverage SELECT * REPLACE ("  # noqa: S608
            f"least(requested_end, {day}) AS requested_end, least(last_session, {day}) AS last_session) "
            f"FROM full_warehouse.raw.coverage WHERE first_session IS NULL OR first_session <= {day}"
        )
        connection.execute(
            f"INSERT INTO raw.factor_vintages SELECT * REPLACE (least(last_session, {day}) AS last_session) "  # noqa: S608
            f"FROM full_warehouse.raw.factor_vintages WHERE first_session <= {day}"
        )
        connection.execute(
            "INSERT INTO raw.listings SELECT * REPLACE ("  # noqa: S608
            f"CASE WHEN delisted_on <= {day} THEN delisted_on END AS delisted_on) "
            f"FROM full_warehouse.raw.listings WHERE listed_on IS NULL OR listed_on <= {day}"
        )


@contextmanager
def _attached(connection: duckdb.DuckDBPyConnection, full: Warehouse) -> Iterator[None]:
    """``full`` to be read as ``full_warehouse``: by everybody who has the connection's file open, so not for longer."""
    full.release()
    connection.execute(f"ATTACH '{full.path}' AS full_warehouse (READ_ONLY)")
    try:
        yield
    finally:
        connection.execute("DETACH full_warehouse")


def table_hash(warehouse: Warehouse, table: str, where: str = "true") -> str:
    """Content hash of the rows actually stored, computed anew."""
    with warehouse.read() as connection:
        rows = from_arrow(connection.execute(f"SELECT * FROM {table} WHERE {where}").to_arrow_table())  # noqa: S608
    return content_hash(rows, CONTRACTS[table])


def research_hashes(
    warehouse: Warehouse, until: str | None = None, tables: Sequence[str] = RESEARCH
) -> dict[str, str]:
    """Hash of each research table, of the rows that could be known by the session ``until``."""
    hashes = {}
    for table in tables:
        day = "detected_on" if table == "market.quality_events" else "session"
        hashes[table] = table_hash(warehouse, table, f"{day} <= DATE '{until}'" if until else "true")
    return hashes


def differing_tables(
    full: Warehouse, cut: Warehouse, session: str, tables: Sequence[str] = RESEARCH
) -> list[str]:
    """Those of ``tables`` whose rows up to ``session`` depend on what came after it; none where nothing looked ahead."""
    compared = [table for table in tables if table not in NOT_COMPARED]
    expected, got = research_hashes(full, session, compared), research_hashes(cut, None, compared)
    return [table for table in compared if expected[table] != got[table]]
