"""Raw prices, listings and reference series: asked of the source, kept in every version."""

from datetime import date

import dagster as dg

from etf_pipeline.core.market.calendar import timezone_name
from etf_pipeline.defs.partitions import daily_sessions
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.plots import markdown_table
from etf_pipeline.sources import open_factor_source, open_reference_source
from etf_pipeline.sources.ingest import (
    IngestReport,
    daily_window,
    incomplete_sessions,
    ingest,
    ingest_factors,
    ingest_listings,
    ingest_reference,
)
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline.storage.io_manager import table_schema
from etf_pipeline.storage.lineage import Written
from etf_pipeline.storage.tables import record_raw

OWNERS = ["team:data"]


@dg.asset(
    key=["raw", "price_history"],
    group_name="ingest",
    kinds={"duckdb", "python"},
    owners=OWNERS,
    pool="warehouse",
    metadata={"dagster/column_schema": table_schema(CONTRACTS["raw.bars"])},
)
def price_history(context: dg.AssetExecutionContext, pipeline: PipelineResource) -> dg.MaterializeResult:
    """Bars and actions of every fund from the first day on offer to the last final session, in one load.

    Writes `raw.bars`, `raw.actions`, `raw.coverage`, `raw.fetches`: only versions that differ from what
    is held. Interrupted, it goes on where it stopped.
    """
    settings = pipeline.settings
    report = ingest(
        pipeline.source,
        pipeline.warehouse,
        market=settings.market,
        start=settings.start,
        end=pipeline.last_final_session(),
        run_id=context.run.run_id,
        refetch=settings.refetch,
    )
    written = record_raw(pipeline.warehouse, "raw.price_history", None, pipeline.run_info(context.run.run_id))
    return _result(report, written, pipeline.source.simulated)


@dg.asset(
    key=["raw", "raw_prices"],
    group_name="ingest",
    kinds={"duckdb", "python"},
    owners=OWNERS,
    pool="warehouse",
    partitions_def=daily_sessions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    metadata={"dagster/column_schema": table_schema(CONTRACTS["raw.bars"])},
)
def raw_prices(context: dg.AssetExecutionContext, pipeline: PipelineResource) -> dg.MaterializeResult:
    """The bars of one session (or of a range of sessions), with the days before it asked for again.

    Refuses a session that is not over: its bars could still change.
    """
    keys = list(context.partition_keys)
    first, last = date.fromisoformat(keys[0]), date.fromisoformat(keys[-1])
    final = pipeline.last_final_session()
    if last > final:
        raise dg.Failure(
            f"session {last} is not final: the last final session is {final}. Run this partition after the "
            f"close in {timezone_name(pipeline.settings.market)}."
        )
    report = ingest(
        pipeline.source,
        pipeline.warehouse,
        market=pipeline.settings.market,
        start=daily_window(pipeline.warehouse, first, pipeline.settings.start),
        end=last,
        run_id=context.run.run_id,
        refetch=pipeline.settings.refetch,
    )
    written = [
        record_raw(pipeline.warehouse, "raw.raw_prices", key, pipeline.run_info(context.run.run_id))
        for key in keys
    ]
    short = incomplete_sessions(pipeline.warehouse, keys, pipeline.settings.min_daily_coverage)
    if short:
        day, held, usual = short[0]
        raise dg.Failure(
            f"session {day}: {held} funds have a bar where {usual} are usual ({len(short)} such sessions). "
            f"{report.summary()}. What is published is never rewritten, so nothing was published. Run the "
            "partition again when the vendor is complete, or lower min_daily_coverage (ETF_MIN_DAILY_COVERAGE)."
        )
    return _result(report, written[-1], pipeline.source.simulated)


@dg.asset(
    key=["raw", "listings"],
    group_name="ingest",
    kinds={"duckdb", "python"},
    owners=OWNERS,
    pool="warehouse",
    metadata={"dagster/column_schema": table_schema(CONTRACTS["raw.listings"])},
)
def listings(context: dg.AssetExecutionContext, pipeline: PipelineResource) -> dg.MaterializeResult:
    """What is known of each fund: name, asset class, listing and delisting dates."""
    new = ingest_listings(pipeline.source, pipeline.warehouse)
    written = record_raw(pipeline.warehouse, "raw.listings", None, pipeline.run_info(context.run.run_id))
    return dg.MaterializeResult(metadata={"new_versions": new, "dagster/row_count": written.row_count})


@dg.asset(
    key=["raw", "reference_series"],
    group_name="ingest",
    kinds={"duckdb", "python"},
    owners=OWNERS,
    pool="warehouse",
    metadata={"dagster/column_schema": table_schema(CONTRACTS["raw.macro"])},
    # Before everything else in a run: the snapshot at its end holds these series too. An edge to it would say
    # so as well, but the lineage page would then draw this asset among the last.
    op_tags={"dagster/priority": "1"},
)
def reference_series(context: dg.AssetExecutionContext, pipeline: PipelineResource) -> dg.MaterializeResult:
    """Volatility index, yields and exchange rates, where the source has them, or from `reference_source`."""
    settings = pipeline.settings
    source = open_reference_source(settings, pipeline.source)
    new = ingest_reference(
        source,
        pipeline.warehouse,
        settings.start,
        pipeline.last_final_session(),
        known_at=settings.known_at if source.name == "files" else None,
    )
    written = record_raw(
        pipeline.warehouse, "raw.reference_series", None, pipeline.run_info(context.run.run_id)
    )
    return dg.MaterializeResult(metadata={"new_versions": new, "dagster/row_count": written.row_count})


@dg.asset(
    key=["raw", "factor_returns"],
    group_name="ingest",
    kinds={"duckdb", "python"},
    owners=OWNERS,
    pool="warehouse",
    metadata={"dagster/column_schema": table_schema(CONTRACTS["raw.factors"])},
    # Early, for the same reason as reference_series.
    op_tags={"dagster/priority": "1"},
)
def factor_returns(context: dg.AssetExecutionContext, pipeline: PipelineResource) -> dg.MaterializeResult:
    """Returns of market, style and momentum factors, every vintage at hand: each table as it was published then.

    From `factor_path` or `factor_source`; the simulated market has its own. Empty where none is named.
    """
    settings = pipeline.settings
    report = ingest_factors(
        open_factor_source(settings, pipeline.source),
        pipeline.warehouse,
        settings.start,
        pipeline.last_final_session(),
    )
    written = record_raw(
        pipeline.warehouse, "raw.factor_returns", None, pipeline.run_info(context.run.run_id)
    )
    return dg.MaterializeResult(
        metadata={
            "new_versions": report.new_versions,
            "dagster/row_count": written.row_count,
            "vintages": dg.MetadataValue.md(markdown_table(report.vintages)),
        }
    )


def _result(report: IngestReport, written: Written, simulated: bool) -> dg.MaterializeResult:
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": written.row_count,
            "dagster/table_name": "raw.bars",
            "content_hash": written.content_hash,
            "simulated": simulated,
            "tickers": report.tickers,
            "already_stored": report.already_stored,
            "bars_received": report.bars_received,
            "new_versions": report.new_versions,
            "missing": dg.MetadataValue.md(markdown_table(report.missing)),
        }
    )
