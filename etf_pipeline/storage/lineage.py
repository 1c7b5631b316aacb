"""Who read what: a row in meta.materializations and meta.inputs inside the transaction of each write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb

from etf_pipeline.storage.hashing import code_version


@dataclass(frozen=True)
class RunInfo:
    """What every materialisation of a run has in common."""

    run_id: str
    settings_hash: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Written:
    """The outcome of one write."""

    table: str
    row_count: int
    content_hash: str
    changed: bool
    materialization_id: int


def utc_now() -> datetime:
    """Now as the warehouse stores it: UTC without a time zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def record(
    connection: duckdb.DuckDBPyConnection,
    run: RunInfo,
    *,
    asset: str,
    partition: str | None,
    inputs: Sequence[str],
    row_count: int,
    content_hash: str,
    changed: bool,
    started: datetime,
) -> Written:
    """Write one materialisation and its inputs; call it inside the write's own transaction.

    ``inputs`` are asset names; each counts with one materialisation: of the writer's own partition where
    it has one, otherwise the newest. The raw tier only ever grows, so the newest materialisation of a
    partitioned raw asset stands for all that was held by then, and the number of edges stays bounded.
    """
    connection.execute(
        "INSERT INTO meta.settings SELECT ?, ?, ? WHERE NOT EXISTS "
        "(SELECT 1 FROM meta.settings WHERE settings_hash = ?)",
        [run.settings_hash, json.dumps(run.settings, sort_keys=True), utc_now(), run.settings_hash],
    )
    row = connection.execute(
        "SELECT coalesce(max(materialization_id), 0) + 1 FROM meta.materializations"
    ).fetchone()
    identifier = int(row[0]) if row else 1
    connection.execute(
        "INSERT INTO meta.materializations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            identifier, asset, partition, run.run_id, code_version(), run.settings_hash,
            row_count, content_hash, changed, started, utc_now(),
        ],
    )  # fmt: skip
    if inputs:
        connection.execute(
            """
            INSERT INTO meta.inputs
            SELECT ?, coalesce(max(materialization_id) FILTER (partition = ?), max(materialization_id))
            FROM meta.materializations
            WHERE asset IN (SELECT unnest(?::VARCHAR[])) AND materialization_id < ?
            GROUP BY asset
            """,
            [identifier, partition, list(inputs), identifier],
        )
    return Written(asset, row_count, content_hash, changed, identifier)


def latest(
    connection: duckdb.DuckDBPyConnection, asset: str, partition: str | None = None
) -> tuple[str, int] | None:
    """(content hash, row count) of the newest materialisation, or None if there is none."""
    row = connection.execute(
        "SELECT content_hash, row_count FROM meta.materializations "
        "WHERE asset = ? AND partition IS NOT DISTINCT FROM ? ORDER BY materialization_id DESC LIMIT 1",
        [asset, partition],
    ).fetchone()
    return (str(row[0]), int(row[1])) if row else None
