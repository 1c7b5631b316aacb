"""Recent accumulation: is money coming in or going out, measured by the fund's own normal turnover."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.rolling import rolling_sum, sessions_since
from etf_pipeline.core.market.traded_value import traded_value
from etf_pipeline.core.signals.trading import NO_RECENT_BAR, NO_TRADING, TOO_LITTLE_TRADING, VOLUME_UNKNOWN


@dataclass(frozen=True)
class AccumulationPanel:
    """Accumulation per session.

    Attributes
    ----------
    accumulation : (S, N) float64, in sessions of normal turnover a session; 0.2 means that up-days
        outweighed down-days by a fifth of a normal day's traded value, every day of the short window.
    relative_turnover : (S, N) float64, average traded value of the short window over that of the long
        one; 1 = as usual.
    reason : (S, N) int8, index into ``VOLUME_REASONS``: why there is no value.
    """

    accumulation: np.ndarray
    relative_turnover: np.ndarray
    reason: np.ndarray


def accumulation(
    close: np.ndarray,
    volume: np.ndarray,
    accepted: np.ndarray,
    total_return: np.ndarray,
    *,
    short: int = 21,
    long: int = 252,
    min_known_share: float = 0.5,
    min_traded_share: float = 0.5,
    max_stale_sessions: int = 5,
) -> AccumulationPanel:
    """Signed traded value of the last ``short`` sessions over normal traded value.

    ``mean over short of sign(total return) * traded value / mean over long of traded value``: on-balance
    volume (Granville 1963) over a window, in units that compare across funds. More traded value on an
    up-day never lowers it, more on a down-day never raises it; it lies between ``-long / short`` and
    ``long / short`` where all sessions are known.

    Parameters
    ----------
    close, volume : (S, N) float64, quote currency and units.
    accepted : (S, N) bool.
    total_return : (S, N) float64; its sign is the day's direction, none where NaN.
    short, long : sessions, ``1 <= short < long``.
    min_known_share : share of each window's sessions on which traded value must be known.
    min_traded_share : share of the long window's sessions on which units must have changed hands.
    max_stale_sessions : a value stands for this many sessions without a bar of the fund.

    Returns
    -------
    AccumulationPanel. A session without trade counts as zero. NaN with a reason where too little is known or
    traded over the long window, or the fund's last bar is too long ago: of a fund that hardly trades neither
    a value near zero nor one of several normal sessions, which are a few orders, says anything.
    """
    if not 1 <= short < long:
        raise ValueError(f"1 <= short ({short}) < long ({long}) must hold")
    value = traded_value(close, volume, accepted)
    known = ~np.isnan(value)
    value = np.where(known, value, 0.0)
    direction = np.sign(np.where(np.isnan(total_return), 0.0, total_return))
    count = known.astype(np.int32)
    known_short, known_long = rolling_sum(count, short), rolling_sum(count, long)
    total_long = rolling_sum(value, long)

    reason = np.zeros(value.shape, dtype=np.int8)
    traded_long = rolling_sum((value > 0).astype(np.int32), long)
    reason[traded_long < min_traded_share * long] = TOO_LITTLE_TRADING
    reason[traded_long == 0] = NO_TRADING
    few = (known_short < min_known_share * short) | (known_long < min_known_share * long)
    reason[few] = VOLUME_UNKNOWN
    stale = sessions_since(accepted)
    reason[(stale < 0) | (stale > max_stale_sessions)] = NO_RECENT_BAR
    has_value = reason == 0
    normal = np.full(value.shape, np.nan)
    np.divide(total_long, known_long, out=normal, where=has_value)
    result = []
    for recent in (rolling_sum(direction * value, short), rolling_sum(value, short)):
        ratio = np.full(value.shape, np.nan)
        np.divide(recent, known_short * normal, out=ratio, where=has_value)
        result.append(ratio)
    return AccumulationPanel(result[0], result[1], reason)
