"""Return forecasts judged by what followed."""

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.calendar import year_after
from etf_pipeline.core.market.long import from_long_column
from etf_pipeline.core.signals.forecast import HORIZONS
from etf_pipeline.core.validation.forecast_bias import JudgedForecasts, judge_forecasts
from etf_pipeline.core.validation.forward_return import forward_return
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_asset
from etf_pipeline.plots import lines, markdown_table
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline.storage.panels import read_classes, return_panel

INTEGERS = ("year", "observations", "sessions")


@table_asset(
    "validation.forecast_bias",
    reads={"forecast": "signals.forecast", "returns": "market.total_return", "market": "market.sessions"},
    after=["raw.listings"],
)
def forecast_bias(
    forecast: pd.DataFrame, returns: pd.DataFrame, market: pd.DataFrame, pipeline: PipelineResource
) -> dg.Output[pd.DataFrame]:
    """Bias, Mincer-Zarnowitz slope, coverage and Brier score of every horizon, by asset class and year."""
    panel = return_panel(returns, market)
    index, names, _ = read_classes(pipeline.warehouse, panel.tickers)
    frames = []
    for horizon in HORIZONS:
        columns = {
            name: from_long_column(forecast, f"{name}_{horizon}", panel.sessions, panel.tickers)
            for name in ("raw", "corrected", "lower", "upper")
        }
        realised = forward_return(panel.total_return, panel.spanned, horizon, delay=0)
        judged = JudgedForecasts(horizon=horizon, realised=realised, **columns)
        rows = pd.DataFrame(judge_forecasts(judged, panel.sessions, index, names))
        frames.append(rows.assign(horizon=np.int32(horizon)))
    table = pd.concat(frames, ignore_index=True)
    if table.empty:
        return dg.Output(pd.DataFrame(columns=list(CONTRACTS["validation.forecast_bias"].names)))
    table = table.astype(dict.fromkeys(INTEGERS, "int32"))
    table["session"] = year_after(panel.sessions, table["year"].to_numpy())
    return dg.Output(
        table,
        metadata={
            "bias_by_year": dg.MetadataValue.md(_by_year(table)),
            "to_date": dg.MetadataValue.md(markdown_table(_to_date(table))),
        },
    )


def _by_year(table: pd.DataFrame) -> str:
    """Bias of the longest horizon before and after, a year at a time."""
    horizon = max(HORIZONS)
    one = table[(table["horizon"] == horizon) & (table["asset_class"] == "all") & (table["scope"] == "year")]
    if one.empty:
        return "no complete year yet"
    one = one.sort_values("year").set_index("year")
    series = {"raw": one["bias_raw"], "corrected": one["bias_corrected"]}
    return lines(series, f"Realised less forecast, {horizon} sessions ahead, by year", "fraction")


def _to_date(table: pd.DataFrame) -> pd.DataFrame:
    """All funds, to the newest year's end."""
    newest = table[(table["year"] == table["year"].max()) & (table["scope"] == "to_date")]
    shown = [
        "horizon", "observations", "bias_raw", "bias_corrected", "slope_raw", "slope_corrected",
        "slope_within_corrected", "coverage",
        "brier_raw", "brier_corrected", "rank_correlation", "rank_t_value", "verdict",
    ]  # fmt: skip
    return newest[newest["asset_class"] == "all"][shown]
