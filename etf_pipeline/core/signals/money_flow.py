"""Accumulation and distribution: where in the day's range a fund closes, weighed by what was traded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.rolling import rolling_sum
from etf_pipeline.core.signals.trading import TOO_LITTLE_TRADING, Trading, trading_reason


@dataclass(frozen=True)
class MoneyFlowPanel:
    """Chaikin's money flow per session.

    Attributes
    ----------
    accumulation_distribution : (S, N) float64 in [-1, 1]: 1 where every session closed at its high, -1 at its low.
    reason : (S, N) int8, index into ``VOLUME_REASONS``: why there is no value.
    """

    accumulation_distribution: np.ndarray
    reason: np.ndarray


def money_flow(
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    trades: Trading,
    *,
    window: int = 21,
    min_ranged_share: float = 0.5,
) -> MoneyFlowPanel:
    """``sum of value * ((close - low) - (high - close)) / (high - low)`` over ``sum of value``.

    Parameters
    ----------
    high, low, close : (S, N) float64, of the same session.
    trades : of ``trading``; its traded value weighs the sessions.
    window : sessions.
    min_ranged_share : share of the window's sessions that need trade at more than one price.

    Returns
    -------
    MoneyFlowPanel. A session traded at one price says nothing of who pressed: it is left out on both sides, where
    the published formula counts it as balanced. NaN with a reason where too few sessions remain.

    Notes
    -----
    Chaikin's money flow over 21 sessions (Achelis 2000, Technical Analysis from A to Z, 2nd ed.), a ratio, thus
    comparable across funds, by traded value rather than units, thus untouched by splits.
    """
    reason = trading_reason(trades, window, min_ranged_share, min_ranged_share)
    ranged = trades.traded & (high > low) & (close >= low) & (close <= high)
    place = np.zeros(high.shape)
    np.divide(2.0 * close - low - high, high - low, out=place, where=ranged)
    weight = np.where(ranged, trades.value, 0.0)
    sessions = rolling_sum(ranged.astype(np.int32), window)
    reason[(reason == 0) & (sessions < min_ranged_share * window)] = TOO_LITTLE_TRADING
    value = np.full(place.shape, np.nan)
    np.divide(rolling_sum(place * weight, window), rolling_sum(weight, window), out=value, where=reason == 0)
    return MoneyFlowPanel(np.clip(value, -1.0, 1.0), reason)
