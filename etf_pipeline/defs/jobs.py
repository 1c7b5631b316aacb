"""The two jobs: everything from the beginning, and one session."""

import dagster as dg

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
    description="One session (or a range in one run): bring in its bars, recompute, publish its ranking.",
    tags={"dagster/max_retries": 2},
)
