"""What could break it: crises replayed, shocks supposed, simulated months and dry markets, for funds and accounts."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from etf_pipeline.core.attribution.period_ends import period_ends
from etf_pipeline.defs.attribution.portfolios import TRADED
from etf_pipeline.defs.attribution.stress_liquidity import selling_losses
from etf_pipeline.defs.attribution.stress_losses import month_losses
from etf_pipeline.defs.attribution.stress_replays import replay_coverage
from etf_pipeline.defs.attribution.stress_scene import make_scene
from etf_pipeline.defs.attribution.stress_simulation import simulated_months
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_out
from etf_pipeline.defs.validation.backtest import together
from etf_pipeline.plots import markdown_table


@dg.multi_asset(
    outs={
        "stress_losses": table_out(
            "attribution.stress_losses", "What each fund would lose in each scenario."
        ),
        "portfolio_stress": table_out("attribution.portfolio_stress", "What the accounts would lose."),
        "reverse_stress": table_out("attribution.reverse_stress", "The most likely way to a given loss."),
        "portfolio_fragility": table_out(
            "attribution.portfolio_fragility", "The accounts when diversification fails."
        ),
        "liquidity_stress": table_out(
            "attribution.liquidity_stress", "Selling the accounts in a dry market."
        ),
        "simulated_losses": table_out(
            "attribution.simulated_losses", "The next month, simulated from past shocks."
        ),
        "replay_coverage": table_out(
            "attribution.replay_coverage", "How good predictions of past crises are."
        ),
    },
    ins={name: dg.AssetIn(table.split(".")) for name, table in TRADED.items()},
    deps=[dg.AssetKey(["raw", name]) for name in ("factor_returns", "reference_series", "listings")],
    name="stress_tests",
    pool="warehouse",
)
def stress_tests(pipeline: PipelineResource, **frames: pd.DataFrame) -> Iterator[dg.Output[pd.DataFrame]]:
    """Put every scenario to the funds and accounts of each month's end, by what was known then."""
    scene = make_scene(frames, pipeline)
    judged, inflation = replay_coverage(scene)
    yield dg.Output(
        judged,
        "replay_coverage",
        metadata={
            "to_date": dg.MetadataValue.md(markdown_table(judged[judged["year"] == judged["year"].max()]))
        },
    )
    funds, accounts, reverse, fragile = [], [], [], []
    settings = pipeline.settings.attribution
    rows = period_ends(scene.panel.sessions, pipeline.settings.market)
    found = scene.market.exposures(scene.single, rows, settings.stress_window, settings.min_observations)
    left_out: dict[str, str] = {}
    for row, exposures in zip(rows, found, strict=True):
        made = month_losses(scene, int(row), exposures, inflation[row], left_out)
        if made is not None:
            funds.append(made[0])
            accounts.append(made[1])
            reverse.append(made[2])
            fragile.append(made[3])
    losses = together(funds, "attribution.stress_losses")
    yield dg.Output(
        losses,
        "stress_losses",
        metadata={
            "simulated": pipeline.source.simulated,
            "left_out": dg.MetadataValue.json(left_out),
            "newest": dg.MetadataValue.md(_worst(losses)),
        },
    )
    yield dg.Output(together(accounts, "attribution.portfolio_stress"), "portfolio_stress")
    yield dg.Output(together(reverse, "attribution.reverse_stress"), "reverse_stress")
    yield dg.Output(together(fragile, "attribution.portfolio_fragility"), "portfolio_fragility")
    yield dg.Output(selling_losses(scene, rows), "liquidity_stress")
    yield dg.Output(simulated_months(scene), "simulated_losses")


def _worst(losses: pd.DataFrame) -> str:
    """The newest month's worst funds by scenario."""
    newest = losses[(losses["session"] == losses["session"].max()) & (losses["others"] == "conditional")]
    if newest.empty:
        return "nothing has exposures yet"
    at = newest.groupby(["kind", "scenario"])["served_return"].agg(["min", "median", "max"]).reset_index()
    return markdown_table(at)
