"""The two jobs: everything from the beginning, and one session."""

from __future__ import annotations

import dagster as dg

from etf_pipeline.defs.partitions import daily_sessions

HISTORY = dg.AssetSelection.assets(["raw", "price_history"])
PARTITIONED = dg.AssetSelection.assets(["raw", "raw_prices"], ["production", "published_ranking"])

build = dg.define_asset_job(
    "build",
    selection=dg.AssetSelection.all() - PARTITIONED,
    description="Everything: load the whole history, judge it, rank every session, publish the snapshot.",
    tags={"dagster/max_retries": 1},
)

daily = dg.define_asset_job(
    "daily",
    selection=dg.AssetSelection.all() - HISTORY,
    partitions_def=daily_sessions,
    description="One session (or a range in one run): bring in its bars, recompute, publish its ranking.",
    tags={"dagster/max_retries": 2},
)
