"""How the market goes together at each close: shares, bonds, gold, fear and rates, and funds among themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.rolling import rolling_sum
from etf_pipeline.core.signals.forecast.features import as_known
from etf_pipeline.core.signals.forecast.market_state import across_funds
from etf_pipeline.core.signals.momentum import momentum
from etf_pipeline.core.signals.return_path import FLAT

AMERICAN_LAG = 2
"""Sessions by which American values are held back. The VIX of a date is known one session on, the yield two; both
are taken of the same American days, so both wait for the yield."""

MAX_GAP = np.timedelta64(7, "D")
"""Days between two American values beyond which their difference is not a day's change."""

Series = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class MarketContext:
    """One value a session, NaN where there is none.

    Attributes
    ----------
    equity_bond_correlation : (S,) float64 in [-1, 1], daily returns of the market fund and of bond funds.
    gold_equity_correlation : (S,) float64 in [-1, 1], daily returns of gold (see ``market_context``) and the market.
    vix_rates_correlation : (S,) float64 in [-1, 1], daily changes of the VIX and of the ten-year yield.
    dispersion : (S,) float64, fraction, standard deviation across members of their returns of a month.
    """

    equity_bond_correlation: np.ndarray
    gold_equity_correlation: np.ndarray
    vix_rates_correlation: np.ndarray
    dispersion: np.ndarray


def market_context(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    eligible: np.ndarray,
    sessions: np.ndarray,
    *,
    market: int,
    bonds: np.ndarray,
    gold: np.ndarray,
    vix: Series,
    rates: Series,
    window: int = 63,
    min_pairs: int = 42,
    dispersion_window: int = 21,
) -> MarketContext:
    """Correlations between asset classes, and the spread of returns among funds.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int; only returns over one session are daily ones.
    eligible : (S, N) bool, members of the universe on the session.
    sessions : (S,) datetime64, ascending.
    market : column of the market fund.
    bonds, gold : (N,) bool, funds whose equal-weighted mean return of the session's members stands for the class.
        No source brings a gold price, so ``gold`` is the class of commodity funds: silver and oil are among them.
    vix, rates : (K,) days, ascending, and (K,) values of each American series; empty where there is none.
    window : sessions of a correlation, American trading days for the American series.
    min_pairs : pairs of known values in it that a correlation needs, at least 3.
    dispersion_window : sessions of the returns whose spread is taken.

    Returns
    -------
    MarketContext. A session on which either return is unknown is left out of its window, never filled. NaN with
    fewer than ``min_pairs`` pairs, without movement, and for dispersion with fewer than five members. An American
    correlation stands for ten sessions after the last day on which both series have a value.

    Notes
    -----
    Equity and bonds: Gulko (2002), Decoupling, Journal of Portfolio Management 28; Campbell, Sunderam and Viceira
    (2017), Inflation bets or deflation hedges?, Critical Finance Review 6: the sign turns positive when inflation is
    what is feared. Gold: Baur and Lucey (2010), Is gold a hedge or a safe haven?, Financial Review 45. VIX: Whaley
    (2000), The investor fear gauge, Journal of Portfolio Management 26. Dispersion: Stivers and Sun (2010),
    Cross-sectional return dispersion and time variation in value and momentum premiums, Journal of Financial and
    Quantitative Analysis 45. A correlation's error is about (1 - r^2) / sqrt(pairs), at most 0.13 on a full window.
    """
    daily = np.where(np.asarray(sessions_spanned) == 1, total_return, np.nan)
    equity = daily[:, market]
    month = momentum(total_return, sessions_spanned, lookback=dispersion_window, skip=0).momentum
    return MarketContext(
        rolling_correlation(equity, mean_return(daily, eligible & bonds), window, min_pairs),
        rolling_correlation(equity, mean_return(daily, eligible & gold), window, min_pairs),
        _american_correlation(vix, rates, sessions, window, min_pairs),
        across_funds(month, eligible)[1],
    )


def mean_return(daily: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Equal-weighted mean of the known returns of the funds held.

    Parameters
    ----------
    daily : (S, N) float64, NaN where unknown; held : (S, N) bool.

    Returns
    -------
    (S,) float64, NaN where no fund held has a known return.
    """
    use = held & np.isfinite(daily)
    mean = np.full(len(daily), np.nan)
    for t in np.flatnonzero(use.any(axis=1)):
        # Of the known values alone: how sums are grouped depends on the length of what is added.
        mean[t] = np.mean(daily[t, use[t]])
    return mean


def rolling_correlation(x: np.ndarray, y: np.ndarray, window: int, min_pairs: int) -> np.ndarray:
    """Correlation of the pairs of known values in the last ``window`` rows.

    Parameters
    ----------
    x, y : (S,) float64, NaN where unknown: the pair is left out.
    window : rows, the current one included.
    min_pairs : pairs needed, at least 3.

    Returns
    -------
    (S,) float64 in [-1, 1]; NaN with fewer pairs, or where either side does not move.
    """
    if not 3 <= min_pairs <= window:
        raise ValueError(f"3 <= min_pairs ({min_pairs}) <= window ({window}) must hold")
    known = np.isfinite(x) & np.isfinite(y)
    a, b = np.where(known, x, 0.0), np.where(known, y, 0.0)
    n = rolling_sum(known.astype(np.int64), window)
    sa, sb, aa, ab, bb = (rolling_sum(v, window) for v in (a, b, a * a, a * b, b * b))
    count = np.maximum(n, 1)
    own, other = aa - sa * sa / count, bb - sb * sb / count
    has_value = (n >= min_pairs) & (own > FLAT * aa) & (other > FLAT * bb)
    value = np.full(len(a), np.nan)
    scale = np.sqrt(np.where(has_value, own, 1.0)) * np.sqrt(np.where(has_value, other, 1.0))
    np.divide(ab - sa * sb / count, scale, out=value, where=has_value)
    return np.clip(value, -1.0, 1.0)


def _american_correlation(
    first: Series, second: Series, sessions: np.ndarray, window: int, min_pairs: int
) -> np.ndarray:
    """Correlation of changes between days on which both series have a value, as known at each close."""
    days, levels = _common(first, second)
    changes = np.diff(levels, axis=0, prepend=np.full((1, 2), np.nan))
    changes[1:][np.diff(days) > MAX_GAP] = np.nan
    correlation = rolling_correlation(changes[:, 0], changes[:, 1], window, min_pairs)
    return as_known(days, correlation, sessions, lag=AMERICAN_LAG)


def _common(first: Series, second: Series) -> tuple[np.ndarray, np.ndarray]:
    """(K,) days on which both series have a value, and (K, 2) values."""
    known = [
        (np.asarray(d, dtype="datetime64[D]")[np.isfinite(v)], v[np.isfinite(v)]) for d, v in (first, second)
    ]
    days, a, b = np.intersect1d(known[0][0], known[1][0], assume_unique=True, return_indices=True)
    return days, np.column_stack([known[0][1][a], known[1][1][b]])
