"""Bookkeeping: what was materialised, by which code, from which inputs."""

from __future__ import annotations

from etf_pipeline.storage.contracts.base import Column, Contract

META_CONTRACTS = (
    Contract(
        "meta.materializations",
        "Every time an asset was materialised.",
        "one row a materialisation of one asset and partition",
        (
            Column("materialization_id", "BIGINT", "rising number"),
            Column("asset", "VARCHAR", "asset, which is also the table: schema.name"),
            Column("partition", "VARCHAR", "session of a partitioned asset", nullable=True),
            Column("run_id", "VARCHAR", "Dagster run"),
            Column("code_version", "VARCHAR", "hash of the package's source"),
            Column("settings_hash", "VARCHAR", "see meta.settings"),
            Column("row_count", "BIGINT", "rows of the slice", "rows"),
            Column("content_hash", "VARCHAR", "hash of the slice's facts, bookkeeping left out"),
            Column("changed", "BOOLEAN", "false where the content was already there"),
            Column("started", "TIMESTAMP", "UTC"),
            Column("finished", "TIMESTAMP", "UTC"),
        ),
        ("materialization_id",),
    ),
    Contract(
        "meta.inputs",
        "Which materialisations a materialisation read.",
        "one row an edge",
        (
            Column("materialization_id", "BIGINT", "the reader"),
            Column("input_id", "BIGINT", "materialization_id of what it read"),
        ),
        ("materialization_id", "input_id"),
    ),
    Contract(
        "meta.settings",
        "The settings behind each settings hash.",
        "one row a settings hash",
        (
            Column("settings_hash", "VARCHAR", "16 hex digits"),
            Column("settings", "VARCHAR", "JSON of the settings that change numbers"),
            Column("first_used", "TIMESTAMP", "UTC"),
        ),
        ("settings_hash",),
    ),
    Contract(
        "meta.point_in_time_proofs",
        "Every time the raw tier was cut at a session, everything computed again and compared: `etf prove`.",
        "one row a proof",
        (
            Column("proof_id", "VARCHAR", "random"),
            Column("session", "DATE", "where the raw tier was cut"),
            Column("tables", "INTEGER", "compared, row by row up to the session", "tables"),
            Column(
                "different",
                "VARCHAR",
                "those that were not the same bit for bit; empty: nothing looked ahead",
            ),
            Column("code_version", "VARCHAR", "hash of the package's source"),
            Column("settings_hash", "VARCHAR", "see meta.settings"),
            Column("proved_at", "TIMESTAMP", "UTC"),
        ),
        ("proof_id",),
    ),
)
