"""Momentum and volume signals of every fund at every close."""

import numpy as np
import pandas as pd

from etf_pipeline.core.market.long import from_long_column, to_long
from etf_pipeline.core.signals import accumulation
from etf_pipeline.core.signals import momentum as compute_momentum
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_asset
from etf_pipeline.storage.panels import panel_axes


@table_asset("signals.momentum", reads={"returns": "market.total_return", "sessions": "market.sessions"})
def momentum(returns: pd.DataFrame, sessions: pd.DataFrame, pipeline: PipelineResource) -> pd.DataFrame:
    """Total-return momentum over twelve and six months, the last month left out."""
    windows = pipeline.settings.windows
    axis, tickers = panel_axes(sessions, returns)
    total = from_long_column(returns, "total_return", axis, tickers)
    spanned = np.nan_to_num(from_long_column(returns, "sessions_spanned", axis, tickers), nan=0.0)
    spanned = spanned.astype(np.int64)
    long = compute_momentum(total, spanned, lookback=windows.momentum, skip=windows.momentum_skip).momentum
    short = compute_momentum(
        total, spanned, lookback=windows.momentum // 2, skip=windows.momentum_skip
    ).momentum
    return to_long(
        axis, tickers, np.isfinite(long) | np.isfinite(short), momentum_12_1=long, momentum_6_1=short
    )


@table_asset(
    "signals.volume",
    reads={"bars": "market.bars", "returns": "market.total_return", "sessions": "market.sessions"},
)
def volume(
    bars: pd.DataFrame, returns: pd.DataFrame, sessions: pd.DataFrame, pipeline: PipelineResource
) -> pd.DataFrame:
    """Accumulation: is money coming in or going out, by the fund's own normal turnover."""
    axis, tickers = panel_axes(sessions, bars)
    column = {c: from_long_column(bars, c, axis, tickers) for c in ("close", "volume", "accepted")}
    panel = accumulation(
        column["close"],
        column["volume"],
        column["accepted"] == 1.0,
        from_long_column(returns, "total_return", axis, tickers),
        short=pipeline.settings.windows.volume_short,
        long=pipeline.settings.windows.volume_long,
    )
    return to_long(
        axis,
        tickers,
        np.isfinite(panel.accumulation),
        accumulation=panel.accumulation,
        relative_turnover=panel.relative_turnover,
    )
