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
from etf_pipeline.storage.tables import from_arrow

with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.BetaWarning)
    from etf_pipeline.definitions import defs
    from etf_pipeline.defs.jobs import build
    from etf_pipeline.defs.resources import Pipeline, build_resources

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def evening(day: str) -> datetime:
    """A moment when the ASX session ``day`` is over."""
    return datetime.fromisoformat(f"{day}T10:00:00").replace(tzinfo=UTC)


def small_market(directory: Path, day: str, *, funds: int = 24, **settings: object) -> Pipeline:
    """An installation on the simulated market of ``funds`` funds, at the evening of ``day``."""
    small = {"top": 5, "keep": 8, "random_portfolios": 20, "weight_steps": 0}
    chosen = Settings(
        market="asx", source="simulated", simulated_funds=funds, warehouse=directory,
        end=date.fromisoformat(day), **{"backtest": small, **settings},  # type: ignore[arg-type]
    )  # fmt: skip
    return Pipeline(chosen, clock=lambda: evening(day))


def resolve_job(pipeline: Pipeline, job: str, without: Sequence[str] = ()) -> dg.JobDefinition:
    """A job of the installation; ``without`` names groups of assets that a ``build`` is to leave out."""
    jobs = defs.jobs
    if without:
        jobs = [dg.define_asset_job("part", selection=build.selection - dg.AssetSelection.groups(*without))]
        job = "part"
    return dg.Definitions(
        assets=defs.assets,
        asset_checks=defs.asset_checks,
        jobs=jobs,
        resources=build_resources(pipeline),
        executor=dg.in_process_executor,
    ).resolve_job_def(job)


def run(
    pipeline: Pipeline,
    job: str,
    partitions: Sequence[str] = (),
    *,
    without: Sequence[str] = (),
    log_level: str = "CRITICAL",
) -> dg.ExecuteInProcessResult:
    """Execute a job; one partition, or a range in a single run. Raises where a step fails."""
    with dg.DagsterInstance.ephemeral() as instance:
        tags = {RANGE_START: partitions[0], RANGE_END: partitions[-1]} if len(partitions) > 1 else None
        return resolve_job(pipeline, job, without).execute_in_process(
            instance=instance, partition_key=partitions[0] if len(partitions) == 1 else None, tags=tags,
            run_config={"loggers": {"console": {"config": {"log_level": log_level}}}},
        )  # fmt: skip


def rows(warehouse: Warehouse, table: str, where: str = "true") -> pd.DataFrame:
    with warehouse.read() as connection:
        return from_arrow(connection.execute(f"SELECT * FROM {table} WHERE {where}").to_arrow_table())
