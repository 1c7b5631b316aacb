"""Signals: what the past of price and volume says about a fund, from data up to each session."""

from etf_pipeline.core.signals.divergence import DivergencePanel, divergence
from etf_pipeline.core.signals.efficiency_ratio import EfficiencyPanel, efficiency_ratio
from etf_pipeline.core.signals.hull_trend import HullTrendPanel, hull_trend
from etf_pipeline.core.signals.market_context import MarketContext, market_context
from etf_pipeline.core.signals.momentum import MomentumPanel, momentum
from etf_pipeline.core.signals.money_flow import MoneyFlowPanel, money_flow
from etf_pipeline.core.signals.on_balance_volume import OnBalancePanel, on_balance_volume
from etf_pipeline.core.signals.price_volume_correlation import PriceVolumePanel, price_volume_correlation
from etf_pipeline.core.signals.residual_momentum import ResidualMomentumPanel, residual_momentum
from etf_pipeline.core.signals.return_path import PATH_REASONS
from etf_pipeline.core.signals.trading import VOLUME_REASONS, Trading, trading
from etf_pipeline.core.signals.trading_activity import ActivityPanel, trading_activity
from etf_pipeline.core.signals.trend import TrendPanel, local_linear_trend
from etf_pipeline.core.signals.volume import AccumulationPanel, accumulation
from etf_pipeline.core.signals.volume_spike import SpikePanel, volume_spike

__all__ = [
    "PATH_REASONS",
    "VOLUME_REASONS",
    "AccumulationPanel",
    "ActivityPanel",
    "DivergencePanel",
    "EfficiencyPanel",
    "HullTrendPanel",
    "MarketContext",
    "MomentumPanel",
    "MoneyFlowPanel",
    "OnBalancePanel",
    "PriceVolumePanel",
    "ResidualMomentumPanel",
    "SpikePanel",
    "Trading",
    "TrendPanel",
    "accumulation",
    "divergence",
    "efficiency_ratio",
    "hull_trend",
    "local_linear_trend",
    "market_context",
    "momentum",
    "money_flow",
    "on_balance_volume",
    "price_volume_correlation",
    "residual_momentum",
    "trading",
    "trading_activity",
    "volume_spike",
]
