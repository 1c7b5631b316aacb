"""Volatility and beta of every fund at every close."""

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.long import from_long_column, to_long
from etf_pipeline.core.risk import ewma_volatility, rolling_beta
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_asset
from etf_pipeline.plots import band
from etf_pipeline.storage.panels import column_of, panel_axes

READS = {"returns": "market.total_return", "sessions": "market.sessions"}


@table_asset("risk.volatility", reads=READS)
def volatility(
    returns: pd.DataFrame, sessions: pd.DataFrame, pipeline: PipelineResource
) -> dg.Output[pd.DataFrame]:
    """Exponentially weighted volatility, annualised."""
    axis, tickers = panel_axes(sessions, returns)
    spanned = from_long_column(returns, "sessions_spanned", axis, tickers)
    panel = ewma_volatility(
        from_long_column(returns, "total_return", axis, tickers),
        np.nan_to_num(spanned, nan=0.0).astype(np.int64),
        half_life=float(pipeline.settings.windows.volatility_half_life),
    )
    frame = to_long(
        axis,
        tickers,
        np.isfinite(panel.volatility_annualised),
        volatility_annualised=panel.volatility_annualised,
    ).assign(model="ewma")
    plot = band(
        frame.rename(columns={"volatility_annualised": "value"}),
        "Annualised volatility, all funds",
        "fraction a year",
    )
    return dg.Output(frame, metadata={"volatility_over_time": dg.MetadataValue.md(plot)})


@table_asset("risk.beta", reads=READS)
def beta(
    returns: pd.DataFrame, sessions: pd.DataFrame, pipeline: PipelineResource
) -> dg.Output[pd.DataFrame]:
    """Rolling beta to the market fund, with its standard error."""
    axis, tickers = panel_axes(sessions, returns)
    spanned = np.nan_to_num(from_long_column(returns, "sessions_spanned", axis, tickers), nan=0.0)
    spanned = spanned.astype(np.int64)
    total = from_long_column(returns, "total_return", axis, tickers)
    benchmark = pipeline.settings.benchmark_ticker
    market = column_of(tickers, benchmark)
    panel = rolling_beta(
        total, spanned, total[:, market], spanned[:, market], window=pipeline.settings.windows.beta
    )
    frame = to_long(
        axis,
        tickers,
        np.isfinite(panel.beta),
        beta=panel.beta,
        standard_error=panel.standard_error,
        correlation=panel.correlation,
        observations=panel.observations,
    ).assign(benchmark=benchmark)
    plot = band(frame.rename(columns={"beta": "value"}), f"Beta to {benchmark}, all funds", "ratio")
    return dg.Output(frame, metadata={"beta_over_time": dg.MetadataValue.md(plot)})
