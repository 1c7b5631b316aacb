"""Liquidity: spreads estimated from daily bars, illiquidity, silent sessions."""

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.long import from_long_column, to_long
from etf_pipeline.core.risk import liquidity, spread_estimates
from etf_pipeline.defs.table_asset import table_asset
from etf_pipeline.plots import band
from etf_pipeline.storage.panels import panel_axes, price_panels


@table_asset(
    "risk.liquidity",
    reads={"bars": "market.bars", "returns": "market.total_return", "sessions": "market.sessions"},
)
def liquidity_table(
    bars: pd.DataFrame, returns: pd.DataFrame, sessions: pd.DataFrame
) -> dg.Output[pd.DataFrame]:
    """Bid-ask spreads (EDGE, Corwin-Schultz, Abdi-Ranaldo), Amihud illiquidity, volumes."""
    axis, tickers = panel_axes(sessions, bars)
    prices, basis = price_panels(bars, axis, tickers), bars["basis"].iloc[0]
    spread = spread_estimates(**prices, basis=basis)
    spanned = np.nan_to_num(from_long_column(returns, "sessions_spanned", axis, tickers), nan=0.0)
    trading = liquidity(
        prices["close"],
        from_long_column(bars, "volume", axis, tickers),
        prices["accepted"],
        from_long_column(returns, "total_return", axis, tickers),
        spanned.astype(np.int64),
        prices["scale"],
        prices["split"],
        basis=basis,
    )
    seen = np.maximum.accumulate(prices["accepted"], axis=0)
    frame = to_long(
        axis,
        tickers,
        seen,
        spread=spread.spread,
        spread_standard_error=spread.standard_error,
        spread_lower=spread.interval[0],
        spread_upper=spread.interval[1],
        edge_signed=spread.edge,
        corwin_schultz_signed=spread.corwin_schultz,
        abdi_ranaldo_signed=spread.abdi_ranaldo,
        spread_pairs=spread.pairs,
        amihud_per_million=trading.amihud_per_million,
        zero_volume_sessions=trading.zero_volume_sessions,
        known_sessions=trading.known_sessions,
        median_traded_value=trading.median_traded_value,
        average_volume=trading.average_volume,
        recent_average_volume=trading.recent_average_volume,
    )
    plot = band(
        frame.rename(columns={"spread": "value"}), "Estimated bid-ask spread, all funds", "fraction of price"
    )
    return dg.Output(frame, metadata={"spread_over_time": dg.MetadataValue.md(plot)})
