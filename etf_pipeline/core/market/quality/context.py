"""What the market did on each session, as far as it excuses a fund's own move."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MINIMUM_FUNDS = 5
"""Fewer moves than this say nothing about a market."""
NORMAL_MAD = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution."""


class MarketContext(NamedTuple):
    """The market's own moves; zeros where fewer than ``MINIMUM_FUNDS`` moved.

    Attributes
    ----------
    cumulative : (S,) float64, running sum of the median log move, from the first session.
    dispersion : (S,) float64, robust standard deviation of the log moves of the session.
    rise, fall : (S,) float64, second-largest log rise and fall of the session, absolute.
    """

    cumulative: np.ndarray
    dispersion: np.ndarray
    rise: np.ndarray
    fall: np.ndarray


def market_context(
    close: np.ndarray,
    volume: np.ndarray,
    bar: np.ndarray,
    split: np.ndarray,
    cash: np.ndarray,
    believable: float = np.inf,
) -> MarketContext:
    """Moves of the funds that traded on this session and had a bar on the session before.

    Parameters
    ----------
    close, volume : (S, N) float64. Volume may be NaN (unknown), which counts as traded.
    bar : (S, N) bool, bars that may be used.
    split, cash : (S, N) float64, actions still to be applied.
    believable : log moves beyond this support nobody else's: they are not believed themselves.

    Returns
    -------
    MarketContext. The moves are raw, so a defective bar takes part: the median and the median deviation are
    what a few bad bars cannot shift, and the second-largest move is what one cannot.
    """
    sessions = len(close)
    median, dispersion = np.zeros(sessions), np.zeros(sessions)
    rise, fall = np.zeros(sessions), np.zeros(sessions)
    if sessions < 2:
        return MarketContext(median, dispersion, rise, fall)
    use = bar[1:] & bar[:-1] & ~(volume[1:] <= 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        move = np.log((close[1:] * split[1:] + cash[1:]) / close[:-1])
    for t in np.flatnonzero(use.sum(axis=1) >= MINIMUM_FUNDS):
        day = np.sort(move[t][use[t]])
        middle = np.median(day)
        median[t + 1] = middle
        dispersion[t + 1] = NORMAL_MAD * np.median(np.abs(day - middle))
        day = day[np.abs(day) <= believable]
        if len(day) > 1:
            rise[t + 1] = max(day[-2], 0.0)
            fall[t + 1] = max(-day[1], 0.0)
    return MarketContext(np.cumsum(median), dispersion, rise, fall)


def around_fiscal_year_end(
    sessions: np.ndarray, months: tuple[int, ...], days_before: int, days_after: int
) -> np.ndarray:
    """(S,) bool: within so many calendar days of the last day of one of ``months``.

    ``days_before`` counts from the month's last day (0 = that day only), ``days_after`` from the first
    day of the next month (1 = that day).
    """
    days = np.asarray(sessions, dtype="datetime64[D]")
    month = days.astype("datetime64[M]")
    number = month.astype(int) % 12 + 1
    to_end = ((month + 1).astype("datetime64[D]") - days).astype(int) - 1
    from_start = (days - month.astype("datetime64[D]")).astype(int) + 1
    ends = np.isin(number, months) & (to_end <= days_before)
    begins = np.isin((number - 2) % 12 + 1, months) & (from_start <= days_after)
    return np.asarray(ends | begins)
