"""What the volume signals share: traded units and value without holes, and the reasons for having no value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.returns import PriceBasis
from etf_pipeline.core.market.rolling import rolling_sum, sessions_since
from etf_pipeline.core.market.traded_value import traded_value
from etf_pipeline.core.risk.liquidity import units_change

VOLUME_REASONS = (
    "",  # there is a value
    "no_recent_bar",  # the fund's last bar is too long ago: the value has ended with it
    "volume_unknown",  # traded value known on less than the required share of a window's sessions
    "no_trading",  # nothing was traded over the window
    "too_little_trading",  # sessions with trade, and what else the signal needs, are too few in the window
    "silent_session",  # nothing was traded on the session itself
    "no_variation",  # volume or price was the same throughout: there is nothing to measure by
)
"""Names of the reason codes; the first that applies, in this order, is given."""

NO_RECENT_BAR, VOLUME_UNKNOWN, NO_TRADING, TOO_LITTLE_TRADING, SILENT_SESSION, NO_VARIATION = range(1, 7)


@dataclass(frozen=True)
class Trading:
    """Trading of every fund at every session.

    Attributes
    ----------
    value : (S, N) float64, quote currency; 0 where nothing was traded, NaN where that is not known.
    units : (S, N) float64, the same in units of the panel's first session, so that splits leave no jump.
    units_now : (S, N) float64, today's units for one of the first session's.
    known, traded : (S, N) bool, it is known whether units changed hands; they did.
    serves : (S, N) bool, the fund's last bar is recent enough for a value to stand.
    """

    value: np.ndarray
    units: np.ndarray
    units_now: np.ndarray
    known: np.ndarray
    traded: np.ndarray
    serves: np.ndarray


def trading(
    close: np.ndarray,
    volume: np.ndarray,
    accepted: np.ndarray,
    scale: np.ndarray,
    split: np.ndarray,
    *,
    basis: PriceBasis,
    max_stale_sessions: int = 5,
) -> Trading:
    """Traded units and value, as ``traded_value`` tells silence from ignorance.

    Parameters
    ----------
    close, volume : (S, N) float64, quote currency and units; a volume of NaN is unknown.
    accepted : (S, N) bool.
    scale : (S, N) float64, ``close / scale`` is on the basis of the previous accepted close.
    split : (S, N) float64, new units for one old unit with that ex-date, 1 where none.
    basis : what prices and volumes are; splits are applied to volumes that are ``as_traded`` only.
    max_stale_sessions : a value stands for this many sessions without a bar of the fund.
    """
    value = traded_value(close, volume, accepted)
    known = ~np.isnan(value)
    units_now = np.cumprod(units_change(accepted, scale, split, basis), axis=0)
    units = np.where(accepted, volume, 0.0) / units_now
    stale = sessions_since(accepted)
    return Trading(
        value=value,
        units=np.where(known, units, np.nan),
        units_now=units_now,
        known=known,
        traded=known & (value > 0),
        serves=(stale >= 0) & (stale <= max_stale_sessions),
    )


def trading_reason(
    trades: Trading, window: int, min_known_share: float, min_traded_share: float
) -> np.ndarray:
    """(S, N) int8 index into ``VOLUME_REASONS``: why the last ``window`` sessions cannot be used; 0: they can.

    A ``min_traded_share`` of 0 lets a window pass in which nothing was traded at all.
    """
    if window < 1 or not (0 < min_known_share <= 1 and 0 <= min_traded_share <= 1):
        raise ValueError(
            f"window ({window}) must be at least 1, min_known_share ({min_known_share}) must lie in (0, 1], "
            f"min_traded_share ({min_traded_share}) in 0..1"
        )
    known = rolling_sum(trades.known.astype(np.int32), window)
    traded = rolling_sum(trades.traded.astype(np.int32), window)
    reason = np.zeros(known.shape, dtype=np.int8)
    reason[traded < min_traded_share * window] = TOO_LITTLE_TRADING
    reason[(traded == 0) & (min_traded_share > 0)] = NO_TRADING
    reason[known < min_known_share * window] = VOLUME_UNKNOWN
    reason[~trades.serves] = NO_RECENT_BAR
    return reason
