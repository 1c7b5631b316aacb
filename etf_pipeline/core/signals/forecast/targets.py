"""The scale forecasts are learned on: a return over the sessions ahead in units of what is expected of its size."""

from __future__ import annotations

import numpy as np

from etf_pipeline.core.risk.volatility import SESSIONS_A_YEAR

FLOOR = 0.25
"""Share of the session's median volatility below which no fund's scale falls: or cash funds would rule the fits."""


def horizon_scale(volatility_annualised: np.ndarray, eligible: np.ndarray, horizon: int) -> np.ndarray:
    """Standard deviation expected of each fund's return over the horizon.

    Parameters
    ----------
    volatility_annualised : (S, N) float64, forecast made at the close, 0.20 = 20 % a year.
    eligible : (S, N) bool, funds whose median sets the floor.
    horizon : sessions.

    Returns
    -------
    (S, N) float64, NaN without a volatility; at least ``FLOOR`` times the median over eligible funds.
    """
    among = np.where(eligible, volatility_annualised, np.nan)
    floor = np.full(len(among), np.nan)
    some = np.isfinite(among).any(axis=1)
    floor[some] = FLOOR * np.nanmedian(among[some], axis=1)
    floored = np.fmax(volatility_annualised, floor[:, None])
    return np.where(np.isnan(volatility_annualised), np.nan, floored) * np.sqrt(horizon / SESSIONS_A_YEAR)
