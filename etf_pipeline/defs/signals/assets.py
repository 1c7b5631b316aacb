"""Momentum and volume signals of every fund at every close."""

from collections.abc import Mapping, Sequence

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.market.long import from_long_column, to_long
from etf_pipeline.core.signals import (
    PATH_REASONS,
    VOLUME_REASONS,
    accumulation,
    divergence,
    efficiency_ratio,
    hull_trend,
    local_linear_trend,
    money_flow,
    on_balance_volume,
    price_volume_correlation,
    residual_momentum,
    trading,
    trading_activity,
    volume_spike,
)
from etf_pipeline.core.signals import momentum as compute_momentum
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_asset
from etf_pipeline.storage.panels import column_of, panel_axes, price_panels, return_panel


@table_asset("signals.momentum", reads={"returns": "market.total_return", "sessions": "market.sessions"})
def momentum(
    returns: pd.DataFrame, sessions: pd.DataFrame, pipeline: PipelineResource
) -> dg.Output[pd.DataFrame]:
    """Momentum over twelve and six months, over its risk and beside the market; trends; how straight the way was."""
    panel, settings = return_panel(returns, sessions), pipeline.settings
    lookback, skip = settings.windows.momentum, settings.windows.momentum_skip
    path = (panel.total_return, panel.spanned)
    market = column_of(panel.tickers, settings.benchmark_ticker)
    long = compute_momentum(*path, lookback=lookback, skip=skip)
    short = compute_momentum(*path, lookback=lookback // 2, skip=skip)
    residual = residual_momentum(
        *path,
        panel.total_return[:, market],
        panel.spanned[:, market],
        lookback=lookback,
        skip=skip,
        estimation=3 * lookback,
        min_observations=2 * lookback,
    )
    trend = local_linear_trend(*path, month_starts(panel.sessions))
    hull, efficiency, diverging = hull_trend(*path), efficiency_ratio(*path), divergence(*path)
    measures = {
        "momentum_12_1": long.momentum,
        "momentum_6_1": short.momentum,
        "risk_adjusted_momentum": long.risk_adjusted,
        "residual_momentum": residual.residual_momentum,
        "trend_slope_annualised": trend.slope_annualised,
        "trend_t_value": trend.t_value,
        "hull_trend": hull.hull_trend,
        "efficiency_ratio": efficiency.efficiency_ratio,
        "divergence": diverging.divergence,
    }
    reasons = {
        "momentum_12_1": long.reason,
        "momentum_6_1": short.reason,
        "risk_adjusted_momentum": long.risk_adjusted_reason,
        "residual_momentum": residual.reason,
        "trend_t_value": trend.reason,
        "hull_trend": hull.reason,
        "efficiency_ratio": efficiency.reason,
        "divergence": diverging.reason,
    }
    frame = to_long(panel.sessions, panel.tickers, _any_value(measures), **measures)
    return dg.Output(frame, metadata=_without_value(reasons, PATH_REASONS, panel.spanned > 0))


@table_asset(
    "signals.volume",
    reads={"bars": "market.bars", "returns": "market.total_return", "sessions": "market.sessions"},
)
def volume(
    bars: pd.DataFrame, returns: pd.DataFrame, sessions: pd.DataFrame, pipeline: PipelineResource
) -> dg.Output[pd.DataFrame]:
    """Is money coming in or going out, by the fund's own normal turnover; and how much of it is traded at all."""
    axis, tickers = panel_axes(sessions, bars)
    short, long = pipeline.settings.windows.volume_short, pipeline.settings.windows.volume_long
    prices, units = price_panels(bars, axis, tickers), from_long_column(bars, "volume", axis, tickers)
    close, accepted = prices["close"], prices["accepted"]
    total = from_long_column(returns, "total_return", axis, tickers)
    spanned = np.nan_to_num(from_long_column(returns, "sessions_spanned", axis, tickers), nan=0.0)
    trades = trading(close, units, accepted, prices["scale"], prices["split"], basis=bars["basis"].iloc[0])
    inflow = accumulation(close, units, accepted, total, short=short, long=long)
    spike = volume_spike(trades, window=long, min_traded=long // 2)
    flow = money_flow(prices["high"], prices["low"], close, trades, window=short)
    balance = on_balance_volume(total, trades)
    together = price_volume_correlation(total, spanned.astype(np.int64), trades)
    activity = trading_activity(trades, long=long)
    measures = {
        "accumulation": inflow.accumulation,
        "relative_turnover": inflow.relative_turnover,
        "volume_spike": spike.volume_spike,
        "accumulation_distribution": flow.accumulation_distribution,
        "on_balance_volume": balance.on_balance_volume,
        "price_volume_correlation": together.price_volume_correlation,
        "zero_volume_share": activity.zero_volume_share,
        "average_daily_units": activity.average_daily_units,
        "traded_share": activity.traded_share,
    }
    reasons = {
        "accumulation": inflow.reason,
        "volume_spike": spike.reason,
        "accumulation_distribution": flow.reason,
        "on_balance_volume": balance.reason,
        "price_volume_correlation": together.reason,
        "zero_volume_share": activity.long_reason,
        "average_daily_units": activity.short_reason,
    }
    frame = to_long(axis, tickers, _any_value(measures), **measures)
    return dg.Output(frame, metadata=_without_value(reasons, VOLUME_REASONS, accepted))


def _any_value(measures: Mapping[str, np.ndarray]) -> np.ndarray:
    """(S, N) bool: at least one measure has a value."""
    return np.any([np.isfinite(panel) for panel in measures.values()], axis=0)


def _without_value(
    reasons: Mapping[str, np.ndarray], names: Sequence[str], has_bar: np.ndarray
) -> dict[str, dg.MetadataValue]:
    """Of the funds with a bar on the newest session that has bars: how many have no value of a measure, and why."""
    with_bars = np.flatnonzero(has_bar.any(axis=1))
    row = int(with_bars[-1]) if len(with_bars) else -1
    newest = has_bar[row]
    lines = ["| measure | no value | of funds | why |", "|---|---|---|---|"]
    for measure, panel in reasons.items():
        count = np.bincount(panel[row][newest], minlength=len(names))
        why = ", ".join(f"{name} {n}" for name, n in zip(names[1:], count[1:], strict=True) if n)
        lines.append(f"| {measure} | {count[1:].sum()} | {newest.sum()} | {why} |")
    return {"without_value": dg.MetadataValue.md("\n".join(lines))}
