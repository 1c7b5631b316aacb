"""The record of what was said each day, and the snapshot that readers open."""

import dagster as dg
import pandas as pd

from etf_pipeline.backtest_evidence import NoBacktestError
from etf_pipeline.defs.partitions import daily_sessions
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_asset
from etf_pipeline.defs.validation.backtest import STRATEGIES
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline.storage.lineage import utc_now
from etf_pipeline.storage.publish import publish
from etf_pipeline.tear_sheet import tear_sheet, write_page

OWNERS = ["team:research"]
JUDGED = (
    "readiness", "backtest_trades", "backtest_holdings", "capacity", "trials", "trial_returns", "parameter_sweep",
    "walk_forward", "cross_validation", "listing_bias",
)  # fmt: skip
"""Tables of the validation stage that nothing else reads, which are to be in the snapshot too."""
EXPLAINED = tuple(name for name in CONTRACTS if name.startswith("attribution."))
"""Nothing reads the attribution stage but people."""


@table_asset(
    "production.published_ranking",
    reads={"ranking": "scoring.composite_ranking"},
    after=["raw.raw_prices"],
    partitions_def=daily_sessions,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def published_ranking(
    context: dg.AssetExecutionContext,
    ranking: pd.DataFrame,
    pipeline: PipelineResource,
) -> pd.DataFrame:
    """What the system says of each session with what it knows tonight. Once written, never rewritten."""
    days = pd.to_datetime(pd.Series(list(context.partition_keys)))
    unranked = sorted(set(days) - set(ranking.loc[ranking["rank"].notna(), "session"]))
    if unranked:
        raise dg.Failure(
            f"no fund is ranked on {unranked[0]:%Y-%m-%d}: what is published is never rewritten, so nothing was. "
            "See exclusion_reason in scoring.composite_ranking for why."
        )
    said = ranking[ranking["session"].isin(days)]
    return said.assign(simulated=pipeline.source.simulated, published_at=utc_now())[
        list(CONTRACTS["production.published_ranking"].names)
    ]


@dg.asset(
    key=["production", "published_snapshot"],
    deps=[
        dg.AssetKey(["production", "published_ranking"]),
        *(
            dg.AssetKey(["scoring", name])
            for name in ("composite_ranking", "rank_uncertainty", "device_effects")
        ),
        *(dg.AssetKey(["validation", f"signal_{name}"]) for name in ("evaluation", "correlation", "decay")),
        *(dg.AssetKey(["validation", name]) for name in JUDGED),
        *(dg.AssetKey(name.split(".")) for name in EXPLAINED),
    ],
    group_name="production",
    kinds={"duckdb", "file"},
    owners=OWNERS,
    pool="warehouse",
)
def published_snapshot(pipeline: PipelineResource) -> dg.MaterializeResult:
    """`published.duckdb`: a whole copy of the warehouse, swapped in at one stroke for readers."""
    path = publish(pipeline.warehouse)
    return dg.MaterializeResult(
        metadata={"path": dg.MetadataValue.path(path.resolve()), "megabytes": path.stat().st_size / 1e6}
    )


@dg.asset(
    key=["production", "tear_sheets"],
    deps=[published_snapshot],
    group_name="production",
    kinds={"html", "file"},
    owners=OWNERS,
    pool="warehouse",
)
def tear_sheets(pipeline: PipelineResource) -> dg.MaterializeResult:
    """`reports/STRATEGY.html`: what each strategy would have earned, and whether that is luck, as pages."""
    pages = {}
    with pipeline.warehouse.read_published() as connection:
        for strategy in STRATEGIES:
            try:
                pages[strategy] = tear_sheet(connection, strategy)
            except NoBacktestError:
                continue
    paths = [write_page(pipeline.warehouse.directory, strategy, page) for strategy, page in pages.items()]
    return dg.MaterializeResult(
        metadata={"pages": len(paths), **{path.stem: dg.MetadataValue.path(path.resolve()) for path in paths}}
    )
