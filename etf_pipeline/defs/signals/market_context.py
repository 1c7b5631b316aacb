"""How the market goes together at each close."""

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.long import from_long_column
from etf_pipeline.core.signals import market_context as compute_context
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_asset
from etf_pipeline.plots import lines
from etf_pipeline.storage.panels import column_of, read_classes, read_reference, return_panel


@table_asset(
    "signals.market_context",
    reads={"returns": "market.total_return", "universe": "market.universe", "sessions": "market.sessions"},
    after=("raw.listings", "raw.reference_series"),
)
def market_context(
    returns: pd.DataFrame, universe: pd.DataFrame, sessions: pd.DataFrame, pipeline: PipelineResource
) -> dg.Output[pd.DataFrame]:
    """Correlations of shares with bonds and gold, of the VIX with rates, and how far funds are apart."""
    panel = return_panel(returns, sessions)
    members = universe[universe["ticker"].isin(panel.tickers)]
    classes, names, _ = read_classes(pipeline.warehouse, panel.tickers)
    asset_class = np.array([*names, "unknown"], dtype=object)[classes]
    reference = read_reference(pipeline.warehouse)
    nothing = np.zeros(0, dtype="datetime64[D]"), np.zeros(0)
    context = compute_context(
        panel.total_return,
        panel.spanned,
        from_long_column(members, "is_member", panel.sessions, panel.tickers) == 1.0,
        panel.sessions,
        market=column_of(panel.tickers, pipeline.settings.benchmark_ticker),
        bonds=asset_class == "fixed_income",
        gold=asset_class == "commodity",
        vix=reference.get("vix", nothing),
        rates=reference.get("us_10y_yield", nothing),
    )
    measures = pd.DataFrame(vars(context)).dropna(how="all")
    days = pd.Series(panel.sessions.astype("datetime64[s]"), name="session")
    frame = measures.join(days)[["session", *measures.columns]].reset_index(drop=True)
    correlations = frame.set_index("session").filter(like="_correlation")
    title = "Correlations of the last 63 sessions"
    plot = lines({str(name): one for name, one in correlations.items()}, title, "correlation")
    return dg.Output(frame, metadata={"correlations": dg.MetadataValue.md(plot)})
