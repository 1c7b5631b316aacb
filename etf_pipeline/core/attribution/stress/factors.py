"""The stress factors, their units, and how a move of many sessions is spread over them."""

from __future__ import annotations

import numpy as np

FACTORS: tuple[str, ...] = ("equity", "rates", "credit", "currency", "oil", "volatility")
"""In the order of every (K,) array of this package.

* equity : return of the market, a fraction;
* rates : change of the 10-year government yield, percentage points;
* credit : change of the high-yield spread, percentage points;
* currency : return of one Australian dollar in US dollars, a fraction (a fall is a weak Australian dollar);
* oil : return of West Texas Intermediate, a fraction;
* volatility : change of the VIX, index points.
"""
RETURNS: tuple[str, ...] = ("equity", "currency", "oil")
"""Factors that compound; the others add up."""
IS_RETURN = np.array([name in RETURNS for name in FACTORS])


def factor_moves(levels: np.ndarray) -> np.ndarray:
    """Moves of one session from the factors' levels.

    Parameters
    ----------
    levels : (S, K) float64 in the order of ``FACTORS``: an index of total return, a yield and a spread in per cent, a
        price in US dollars, a price of oil, the VIX; NaN where there is no observation.

    Returns
    -------
    (S, K) float64: since the last session that had a level, a simple return or a difference; NaN on sessions without
    one and up to the first. A return from or to a level that is not positive is NaN (oil on 20 April 2020), and so the
    next one starts from the last positive level.
    """
    x = np.array(levels, dtype=np.float64)
    _check_width(x)
    x[:, IS_RETURN] = np.where(x[:, IS_RETURN] > 0, x[:, IS_RETURN], np.nan)
    row = np.arange(len(x))[:, None]
    seen = np.maximum.accumulate(np.where(np.isnan(x), -1, row), axis=0)
    before = np.vstack([np.full((1, x.shape[1]), -1), seen[:-1]])
    base = np.where(before >= 0, np.take_along_axis(x, np.maximum(before, 0), axis=0), np.nan)
    with np.errstate(invalid="ignore"):
        return np.where(IS_RETURN, x / base - 1.0, x - base)


def per_session(moves: np.ndarray, horizon: int) -> np.ndarray:
    """The equal moves of single sessions that make up ``moves`` within ``horizon`` sessions.

    Parameters
    ----------
    moves : (..., K) float64 over the horizon; returns at least -1.
    horizon : sessions, at least 1.

    Returns
    -------
    (..., K) float64: ``(1 + move)**(1 / horizon) - 1`` for returns, ``move / horizon`` for the others.

    Raises
    ------
    ValueError : a return below -1, or a horizon below 1.
    """
    x = np.asarray(moves, dtype=np.float64)
    _check_width(x)
    if horizon < 1:
        raise ValueError(f"a horizon is at least 1 session, not {horizon}")
    fallen = (x < -1.0) & IS_RETURN
    if fallen.any():
        names = ", ".join(FACTORS[k] for k in np.flatnonzero(fallen.reshape(-1, x.shape[-1]).any(axis=0)))
        raise ValueError(f"a return below -100 % cannot be: {names}; give a fraction such as -0.4")
    if horizon == 1:
        return x.copy()
    return np.where(IS_RETURN, np.expm1(np.log1p(np.where(IS_RETURN, x, 0.0)) / horizon), x / horizon)


def over_sessions(step: np.ndarray, horizon: int) -> np.ndarray:
    """The move over ``horizon`` sessions of equal moves ``step`` (..., K): the inverse of ``per_session``."""
    x = np.asarray(step, dtype=np.float64)
    _check_width(x)
    return np.where(IS_RETURN, np.expm1(horizon * np.log1p(np.where(IS_RETURN, x, 0.0))), x * horizon)


def _check_width(x: np.ndarray) -> None:
    if x.shape[-1] != len(FACTORS):
        raise ValueError(f"the factors are {', '.join(FACTORS)} ({len(FACTORS)}), not {x.shape[-1]} columns")
