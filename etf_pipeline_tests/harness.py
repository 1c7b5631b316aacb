"""Running the real jobs in this process on a small simulated market, for the tests that need a whole warehouse."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pandas as pd

from etf_pipeline.settings import Settings
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline.storage.hashing import content_hash
from etf_pipeline.storage.tables import from_arrow

with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.BetaWarning)
    from etf_pipeline.definitions import defs
    from etf_pipeline.defs.resources import Pipeline, build_resources

RESEARCH = [
    name for name in CONTRACTS if name.split(".")[0] in {"market", "risk", "signals", "scoring", "validation"}
]
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def evening(day: str) -> datetime:
    """A moment when the ASX session ``day`` is over."""
    return datetime.fromisoformat(f"{day}T10:00:00").replace(tzinfo=UTC)


def small_market(directory: Path, day: str, *, funds: int = 24, **settings: object) -> Pipeline:
    """An installation on the simulated market of ``funds`` funds, at the evening of ``day``."""
    chosen = Settings(
        market="asx", source="simulated", simulated_funds=funds, warehouse=directory,
        end=date.fromisoformat(day), **settings,  # type: ignore[arg-type]
    )  # fmt: skip
    return Pipeline(chosen, clock=lambda: evening(day))


def run(
    pipeline: Pipeline, job: str, partitions: Sequence[str] = (), *, log_level: str = "CRITICAL"
) -> dg.ExecuteInProcessResult:
    """Execute a job; one partition, or a range in a single run. Raises where a step fails."""
    with dg.DagsterInstance.ephemeral() as instance:
        tags = {RANGE_START: partitions[0], RANGE_END: partitions[-1]} if len(partitions) > 1 else None
        return dg.Definitions(
            assets=defs.assets,
            asset_checks=defs.asset_checks,
            jobs=defs.jobs,
            resources=build_resources(pipeline),
            executor=dg.in_process_executor,
        ).resolve_job_def(job).execute_in_process(
            instance=instance, partition_key=partitions[0] if len(partitions) == 1 else None, tags=tags,
            run_config={"loggers": {"console": {"config": {"log_level": log_level}}}},
        )  # fmt: skip


def research_only(pipeline: Pipeline) -> None:
    """Recompute every research table from the raw tier as it stands."""
    with dg.DagsterInstance.ephemeral() as instance:
        keys = [dg.AssetKey(name.split(".")) for name in RESEARCH]
        result = dg.materialize(
            list(defs.assets or []),
            instance=instance,
            resources=build_resources(pipeline),
            selection=dg.AssetSelection.assets(*keys),
        )
        assert result.success


def rows(warehouse: Warehouse, table: str, where: str = "true") -> pd.DataFrame:
    with warehouse.read() as connection:
        return from_arrow(connection.execute(f"SELECT * FROM {table} WHERE {where}").to_arrow_table())


def table_hash(warehouse: Warehouse, table: str, where: str = "true") -> str:
    """Content hash of the rows actually stored, computed anew."""
    return content_hash(rows(warehouse, table, where), CONTRACTS[table])


def research_hashes(warehouse: Warehouse, until: str | None = None) -> dict[str, str]:
    """Hash of each research table, of the rows that could be known by the session ``until``."""
    hashes = {}
    for table in RESEARCH:
        day = "detected_on" if table == "market.quality_events" else "session"
        hashes[table] = table_hash(warehouse, table, f"{day} <= DATE '{until}'" if until else "true")
    return hashes


def cut_raw_tier(full: Warehouse, cut: Warehouse, session: str) -> None:
    """A copy of the raw tier in which nothing after ``session`` has happened, listing facts included."""
    with cut.write() as connection:
        connection.execute(f"ATTACH '{full.path}' AS full_warehouse (READ_ONLY)")
        day = f"DATE '{session}'"
        for table, when in (("bars", "session"), ("actions", "ex_date"), ("macro", "session")):
            connection.execute(
                f"INSERT INTO raw.{table} SELECT * FROM full_warehouse.raw.{table} WHERE {when} <= {day}"
            )
        connection.execute("INSERT INTO raw.fetches SELECT * FROM full_warehouse.raw.fetches")
        connection.execute(
            "INSERT INTO raw.coverage SELECT * REPLACE ("
            f"least(requested_end, {day}) AS requested_end, least(last_session, {day}) AS last_session) "
            f"FROM full_warehouse.raw.coverage WHERE first_session IS NULL OR first_session <= {day}"
        )
        connection.execute(
            "INSERT INTO raw.listings SELECT * REPLACE ("
            f"CASE WHEN delisted_on <= {day} THEN delisted_on END AS delisted_on) "
            f"FROM full_warehouse.raw.listings WHERE listed_on IS NULL OR listed_on <= {day}"
        )
