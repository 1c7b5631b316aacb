"""Returns over several sessions, one ending at each: for funds that trade in other hours than what they hold.

At Sydney's close a fund of New York's shares is worth what their futures then say: part of the New York day that ends
hours later is in today's price, the rest in tomorrow's. Neither day's factors alone have the whole, and a loading on
either is too small. Over a week the ends matter little.
"""

from __future__ import annotations

import numpy as np


def overlapping_returns(
    total_return: np.ndarray, sessions_spanned: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Total return of each fund from its bar ``length`` sessions ago to its bar of the session.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns since the fund's bar before, NaN where unknown.
    sessions_spanned : (S, N) int, sessions each spans; 0 where there is no bar or no earlier one.
    length : sessions, at least 1; 5 is a week.

    Returns
    -------
    (S, N) float64 and (S, N) int: the return, compounded, and ``length`` where there is one, NaN and 0 elsewhere: the fund
    has no bar at either end, or a return between them is unknown. Bars may be missing in between. They go into
    ``excess_return`` with factors aligned over as many sessions (``align_factors(longest_span=length)``).

    Raises
    ------
    ValueError : shapes that differ, no length.

    Notes
    -----
    Neighbouring returns share ``length - 1`` sessions: errors must allow for that with at least as many lags, as those of
    ``factor_regression`` do; the classical ones of ``rolling_exposure`` are too small by about the root of ``length``
    (Hansen and Hodrick 1980, Journal of Political Economy 88, 829-853).
    """
    if sessions_spanned.shape != total_return.shape:
        raise ValueError(f"sessions_spanned {sessions_spanned.shape} must match {total_return.shape}")
    if length < 1:
        raise ValueError(f"length must be at least 1 session, not {length}")
    rows, funds = total_return.shape
    at = np.broadcast_to(np.arange(rows)[:, None], (rows, funds)).copy()
    growth = np.ones((rows, funds))
    column = np.arange(funds)
    start = np.arange(rows)[:, None] - length
    # From each bar back to the one before, as long as that lies inside the span; at most ``length`` steps.
    for _ in range(length):
        span = sessions_spanned[at, column]
        step = (span > 0) & (at > start)
        growth = np.where(step, growth * (1.0 + total_return[at, column]), growth)
        at = np.where(step, at - span, at)
    whole = (at == start) & ~np.isnan(growth)
    return np.where(whole, growth - 1.0, np.nan), np.where(whole, length, 0)
