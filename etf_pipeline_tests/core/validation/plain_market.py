"""A market made of total returns alone, and composite inputs drawn at random."""

from __future__ import annotations

import numpy as np

from etf_pipeline.core.portfolio.costs import TradingCosts
from etf_pipeline.core.validation.backtest import TradingMarket, trading_market


def weekdays(count: int, first: str = "2005-01-03") -> np.ndarray:
    """(count,) sessions."""
    return np.busday_offset(np.datetime64(first), np.arange(count), roll="forward")


def market_of(
    total_return: np.ndarray,
    *,
    sessions: np.ndarray | None = None,
    half_spread: float = 0.0,
    impact: float = 0.0,
    gone: np.ndarray | None = None,
) -> TradingMarket:
    """Prices compounded from returns (S, N); a fund has no bar where its return is NaN."""
    there = np.isfinite(total_return)
    close = 100.0 * np.cumprod(1.0 + np.where(there, total_return, 0.0), axis=0)
    ones = np.ones(close.shape)
    return trading_market(
        weekdays(len(close)) if sessions is None else sessions,
        np.array([f"F{i:03d}" for i in range(close.shape[1])]),
        close,
        close,
        there,
        ones,
        ones,
        0.0 * ones,
        np.zeros(close.shape, dtype=bool) if gone is None else gone,
        TradingCosts(half_spread * ones, impact * ones),
        basis="total_return_adjusted",
    )


def ranked_by(score: np.ndarray) -> np.ndarray:
    """(S, N) int64 ranks, 1 the largest score, 0 where NaN; ties by column."""
    order = np.argsort(np.where(np.isfinite(score), -score, np.inf), axis=1, kind="stable")
    rank = np.empty(score.shape, dtype=np.int64)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(1, score.shape[1] + 1), score.shape), axis=1)
    return np.where(np.isfinite(score), rank, 0)
