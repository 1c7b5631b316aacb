"""What a forecast promises beyond what its risk would pay."""

from __future__ import annotations

import numpy as np


def beyond_risk(forecast: np.ndarray, volatility: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Residual of the forecasts of a session, regressed on volatility across its members.

    A forecast return holds the reward that all funds of much risk share. The risk component counts that risk already, with
    the opposite sign: of two such components little would be left but 50. What remains is particular to the fund.

    Parameters
    ----------
    forecast, volatility : (S, N) float64, any unit; NaN is unknown.
    member : (S, N) bool, the funds regressed over.

    Returns
    -------
    (S, N) float64, in the unit of the forecast; NaN for non-members and where either is unknown. They sum to zero on every
    session. With no spread in volatility, or one fund, only the mean is taken off.
    """
    on = member & np.isfinite(forecast) & np.isfinite(volatility)
    count = np.maximum(on.sum(axis=1), 1)[:, None]
    y, x = np.where(on, forecast, 0.0), np.where(on, volatility, 0.0)
    dy = np.where(on, y - y.sum(axis=1)[:, None] / count, 0.0)
    dx = np.where(on, x - x.sum(axis=1)[:, None] / count, 0.0)
    spread = (dx * dx).sum(axis=1)
    slope = np.zeros(len(spread))
    np.divide((dx * dy).sum(axis=1), spread, out=slope, where=spread > 0.0)
    return np.where(on, dy - slope[:, None] * dx, np.nan)
