"""Signals: what the past of price and volume says about a fund, from data up to each session."""

from etf_pipeline.core.signals.momentum import MOMENTUM_REASONS, MomentumPanel, momentum
from etf_pipeline.core.signals.volume import VOLUME_REASONS, AccumulationPanel, accumulation

__all__ = [
    "MOMENTUM_REASONS",
    "VOLUME_REASONS",
    "AccumulationPanel",
    "MomentumPanel",
    "accumulation",
    "momentum",
]
