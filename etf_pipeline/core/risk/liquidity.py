"""How much a fund trades, and how much trading moves its price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.returns import PRICE_BASES, PriceBasis
from etf_pipeline.core.market.rolling import rolling_median, rolling_sum, sessions_since
from etf_pipeline.core.market.traded_value import traded_value

_MILLION = 1e6


@dataclass(frozen=True)
class LiquidityPanel:
    """Liquidity per session, from traded volume.

    Attributes
    ----------
    amihud_per_million : (S, N) float64, mean absolute one-session return for each million of quote currency
        traded: 0.002 = a million moves the price by 0.2 %. An estimate: it ends with the fund's bars.
    amihud_observations : (S, N) int32, sessions in that mean.
    zero_volume_sessions : (S, N) int32, sessions of the long window on which nothing was traded.
    known_sessions : (S, N) int32, sessions of the long window since the fund's first bar on which it is known
        whether it traded; what ``zero_volume_sessions`` is to be compared with.
    median_traded_value : (S, N) float64, quote currency a session, silent sessions as zero.
    average_volume : (S, N) float64, units of this session a session over the long window, silent sessions as
        zero.
    recent_average_volume : (S, N) float64, the same over the short window.
    """

    amihud_per_million: np.ndarray
    amihud_observations: np.ndarray
    zero_volume_sessions: np.ndarray
    known_sessions: np.ndarray
    median_traded_value: np.ndarray
    average_volume: np.ndarray
    recent_average_volume: np.ndarray


def liquidity(
    close: np.ndarray,
    volume: np.ndarray,
    accepted: np.ndarray,
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    scale: np.ndarray,
    split: np.ndarray,
    *,
    basis: PriceBasis,
    long: int = 252,
    short: int = 21,
    min_known_share: float = 0.5,
    min_returns: int = 60,
    max_stale_sessions: int = 5,
) -> LiquidityPanel:
    """Illiquidity, silent sessions, traded value and volume over trailing windows.

    Parameters
    ----------
    close, volume : (S, N) float64, quote currency and units; a volume of NaN is unknown.
    accepted : (S, N) bool.
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int, sessions each return spans.
    scale : (S, N) float64, ``close / scale`` is on the basis of the previous accepted close.
    split : (S, N) float64, new units for one old unit with that ex-date, 1 where none.
    basis : what prices and volumes are; splits are applied to volumes that are ``as_traded`` only.
    long, short : sessions, ``1 <= short <= long``.
    min_known_share : share of a window's sessions on which it must be known whether and how much was traded.
    min_returns : sessions with trade and a known one-session return that the Amihud ratio needs.
    max_stale_sessions : the Amihud ratio stands for this many sessions without a bar of the fund.

    Returns
    -------
    LiquidityPanel. A session without a bar on which the market traded is one without volume, from a fund's
    first bar on and for ever; holes in the source, bars without volume, and sessions on which no fund shows
    any, are unknown and left out (``traded_value.traded_value``). Averages and the median are NaN where too
    little is known. Counts are never NaN: read ``zero_volume_sessions`` beside ``known_sessions``.

    What is counted or averaged over the window's sessions is an observation of each of them, and silence is
    one: it goes on after a fund's last bar and falls to zero. The Amihud ratio is a mean over the sessions
    *with* trade: once there are none it would show the past as if it were today.

    Raises
    ------
    ValueError : windows or a share that cannot be, an unknown basis.

    Notes
    -----
    Sessions without volume have no Amihud ratio and are left out of its mean (as in the paper), and so are
    returns over several sessions, which the volume of one has not made: a fund that hardly trades looks
    better by this ratio than it is. Sessions on which a handful of units changed hands dominate the mean: compare
    funds by its rank or logarithm. On prices adjusted for later distributions traded value is understated for
    earlier sessions and the ratio overstated.

    Units change with splits; volumes are counted in the units of the session they are reported for. Where a
    scale is unknown, units are taken to have stayed the same.

    Amihud (2002), Illiquidity and stock returns: cross-section and time-series effects, Journal of Financial
    Markets 5(1), 31-56, equation 1.
    """
    if not 1 <= short <= long:
        raise ValueError(f"1 <= short ({short}) <= long ({long}) must hold")
    if not 0 < min_known_share <= 1 or not 1 <= min_returns <= long:
        raise ValueError(
            f"min_known_share ({min_known_share}) must lie in (0, 1], min_returns ({min_returns}) in 1..{long}"
        )
    value = traded_value(close, volume, accepted)
    known = ~np.isnan(value)
    count = known.astype(np.int32)
    known_long = rolling_sum(count, long)
    amihud, observations = _amihud(value, total_return, sessions_spanned, long, min_returns)
    stale = sessions_since(accepted)
    amihud[(stale < 0) | (stale > max_stale_sessions)] = np.nan

    # Old units for one of today; carried forward session by session, so that later splits change nothing.
    change = units_change(accepted, scale, split, basis)
    units = np.cumprod(change, axis=0)
    old_units = np.where(known & accepted, volume, 0.0) / units
    averages = []
    for window, seen in ((long, known_long), (short, rolling_sum(count, short))):
        mean = np.full(value.shape, np.nan)
        np.divide(rolling_sum(old_units, window), seen, out=mean, where=seen >= min_known_share * window)
        averages.append(mean * units)
    return LiquidityPanel(
        amihud_per_million=amihud,
        amihud_observations=observations,
        zero_volume_sessions=rolling_sum((value == 0.0).astype(np.int32), long),
        known_sessions=known_long,
        median_traded_value=rolling_median(value, long, max(1, int(np.ceil(min_known_share * long)))),
        average_volume=averages[0],
        recent_average_volume=averages[1],
    )


def _amihud(
    value: np.ndarray, total_return: np.ndarray, sessions_spanned: np.ndarray, window: int, min_returns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of absolute one-session returns over traded value in millions, and how many there were."""
    usable = (value > 0) & (sessions_spanned == 1) & ~np.isnan(total_return)
    ratio = np.zeros(value.shape)
    np.divide(np.abs(total_return) * _MILLION, value, out=ratio, where=usable)
    observations = rolling_sum(usable.astype(np.int32), window)
    mean = np.full(value.shape, np.nan)
    np.divide(rolling_sum(ratio, window), observations, out=mean, where=observations >= min_returns)
    return mean, observations


def units_change(accepted: np.ndarray, scale: np.ndarray, split: np.ndarray, basis: PriceBasis) -> np.ndarray:
    """(S, N) units after for one before, by recorded splits (``as_traded`` only) and unrecorded ones.

    A close that jumps to ``scale`` times its basis is one of ``1 / scale`` as many units. 1 where nothing is
    known.
    """
    if basis not in PRICE_BASES:
        raise ValueError(f"basis {basis!r} is none of {', '.join(PRICE_BASES)}")
    change = np.where(accepted & (scale > 0), 1.0 / np.where(scale > 0, scale, 1.0), 1.0)
    if basis == "as_traded":
        change *= np.where(split > 0, split, 1.0)
    return change
