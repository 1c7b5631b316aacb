"""On-balance volume: units traded on rising sessions less those on falling ones, and where the sum is heading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.rolling import rolling_sum
from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.signals.hull_trend import weighted_sums
from etf_pipeline.core.signals.trading import Trading, trading_reason


@dataclass(frozen=True)
class OnBalancePanel:
    """On-balance volume per session.

    Attributes
    ----------
    on_balance_volume : (S, N) float64, slope of the cumulated signed units, in average sessions a session: 1 where
        every session of a steady volume rises, -1 where every one falls; up to 1.5 where all was traded mid-window.
    reason : (S, N) int8, index into ``VOLUME_REASONS``: why there is no value.
    """

    on_balance_volume: np.ndarray
    reason: np.ndarray


def on_balance_volume(
    total_return: np.ndarray,
    trades: Trading,
    *,
    window: int = 63,
    min_known_share: float = 0.8,
    min_traded_share: float = 0.5,
) -> OnBalancePanel:
    """Least-squares slope of on-balance volume over ``window`` sessions, over the average volume in them.

    Parameters
    ----------
    total_return : (S, N) float64; its sign is the day's direction.
    trades : of ``trading``; its units, to which splits are nothing.
    window : sessions, at least 2.
    min_known_share, min_traded_share : shares of the window's sessions on which volume and direction must be known,
        and units must have changed hands.

    Returns
    -------
    OnBalancePanel. Units traded on a session whose return is unknown have no direction and count as unknown, and
    the line stays where it was. NaN with a reason where too little is known or traded.

    Notes
    -----
    Granville (1963), New Key to Stock Market Profits. The slope over n values of a sum weighs what was added to it
    k values after the first by ``k (n - k)``, so that it needs no sum from a start that differs from fund to
    fund; unlike ``accumulation`` the middle of the window counts most.
    """
    if window < 2:
        raise ValueError(f"window must be at least 2 sessions, not {window}")
    directed = trades.known & ~(trades.traded & np.isnan(total_return))
    known = Trading(
        value=np.where(directed, trades.value, np.nan),
        units=np.where(directed, trades.units, np.nan),
        units_now=trades.units_now,
        known=directed,
        traded=trades.traded & directed,
        serves=trades.serves,
    )
    reason = trading_reason(known, window, min_known_share, min_traded_share)
    units = np.where(directed, trades.units, 0.0)
    signed = np.sign(np.where(np.isnan(total_return), 0.0, total_return)) * units
    ages = np.arange(window - 1, dtype=np.float64)  # the first of the n values only sets the level
    weights = 6.0 * (window - 1 - ages) * (ages + 1.0) / (window * (window**2 - 1.0))
    slope = np.full(units.shape, np.nan)

    def work(funds: np.ndarray) -> None:
        weighted_sums(funds, signed, weights, reason, slope)

    over_columns(work, units.shape[1])
    value = np.full(units.shape, np.nan)
    sessions = rolling_sum(directed.astype(np.int32), window)
    np.divide(slope * sessions, rolling_sum(units, window), out=value, where=reason == 0)
    return OnBalancePanel(value, reason)


def on_balance_reference(returns: np.ndarray, units: np.ndarray) -> float:
    """Slope of one window's on-balance volume by ``polyfit``, over the average of its units.

    Parameters
    ----------
    returns, units : (n,) float64 without NaN.
    """
    line = np.cumsum(np.sign(returns) * units)
    return float(np.polyfit(np.arange(len(line)), line, 1)[0] / units.mean())
