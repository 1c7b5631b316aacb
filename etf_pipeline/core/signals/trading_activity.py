"""How much of a fund's time is really traded, and how many units on a usual session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.rolling import rolling_sum
from etf_pipeline.core.signals.trading import Trading, trading_reason


@dataclass(frozen=True)
class ActivityPanel:
    """Trading activity per session.

    Attributes
    ----------
    zero_volume_share : (S, N) float64, share of the long window's sessions without trade, of those on which it is
        known.
    average_daily_units : (S, N) float64, today's units a session over the short window, silent sessions as zero.
    traded_share : (S, N) float64, share of all sessions of the short window on which units are known to have
        changed hands; what is unknown, or lies before the fund's first bar, counts as not traded.
    long_reason, short_reason : (S, N) int8, index into ``VOLUME_REASONS``: why there is no zero_volume_share, and
        no average_daily_units. ``traded_share`` is there as long as the fund is.
    """

    zero_volume_share: np.ndarray
    average_daily_units: np.ndarray
    traded_share: np.ndarray
    long_reason: np.ndarray
    short_reason: np.ndarray


def trading_activity(
    trades: Trading, *, long: int = 252, short: int = 63, min_known_share: float = 0.5
) -> ActivityPanel:
    """Silent sessions, usual units and the share of sessions with trade.

    Parameters
    ----------
    trades : of ``trading``.
    long, short : sessions.
    min_known_share : share of a window's sessions on which it must be known whether and how much was traded.

    Returns
    -------
    ActivityPanel. A fund that never trades has a zero_volume_share of 1 and 0 average units: that is what is
    known of it. NaN where too little is known or the fund's last bar is too long ago.
    """
    long_reason = trading_reason(trades, long, min_known_share, 0.0)
    short_reason = trading_reason(trades, short, min_known_share, 0.0)
    known, traded = trades.known.astype(np.int32), trades.traded.astype(np.int32)
    known_long, known_short = rolling_sum(known, long), rolling_sum(known, short)
    silent, units = np.full(known.shape, np.nan), np.full(known.shape, np.nan)
    np.divide(known_long - rolling_sum(traded, long), known_long, out=silent, where=long_reason == 0)
    total = rolling_sum(np.where(trades.known, trades.units, 0.0), short)
    np.divide(total, known_short, out=units, where=short_reason == 0)
    return ActivityPanel(
        zero_volume_share=silent,
        average_daily_units=units * trades.units_now,
        traded_share=np.where(trades.serves, rolling_sum(traded, short) / short, np.nan),
        long_reason=long_reason,
        short_reason=short_reason,
    )
