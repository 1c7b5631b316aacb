"""What a forecast promises beyond what its risk would pay."""

from __future__ import annotations

import numpy as np


def beyond_risk(forecast: np.ndarray, risks: tuple[np.ndarray, ...], member: np.ndarray) -> np.ndarray:
    """Residual of the forecasts of a session, regressed on measures of risk across its members.

    A forecast return holds the reward for risk that all funds share. The risk component counts that risk already, with the
    opposite sign: of two such components little would be left but 50. What remains is particular to the fund, and says
    nothing where the forecast is a reward for risk alone.

    Parameters
    ----------
    forecast : (S, N) float64, any unit; NaN is unknown.
    risks : (S, N) float64 each, for instance volatility and beta.
    member : (S, N) bool, the funds regressed over.

    Returns
    -------
    (S, N) float64, in the unit of the forecast; NaN for non-members and where one of them is unknown. A measure without
    spread, or that the others determine, takes nothing off. Funds that are added to the panel later change no bit.
    """
    on = member & np.isfinite(forecast)
    for risk in risks:
        on &= np.isfinite(risk)
    count = np.maximum(on.sum(axis=1), 1)[:, None]

    def centred(panel: np.ndarray) -> np.ndarray:
        return np.where(on, panel - _sum(np.where(on, panel, 0.0)) / count, 0.0)

    # Gram and Schmidt: each measure less what those before it say, then the forecast less what each says.
    directions: list[np.ndarray] = []
    for risk in risks:
        direction = centred(risk)
        whole = _sum(direction * direction)
        for other in directions:
            direction = direction - _slope(direction, other) * other
        kept = _sum(direction * direction) > 1e-12 * whole
        directions.append(np.where(kept, direction, 0.0))
    residual = centred(forecast)
    for direction in directions:
        residual = residual - _slope(residual, direction) * direction
    return np.where(on, residual, np.nan)


def _sum(panel: np.ndarray) -> np.ndarray:
    """(S, 1): from left to right, so that further columns of zeros change no bit."""
    return np.cumsum(panel, axis=1)[:, -1:] if panel.shape[1] else np.zeros((len(panel), 1))


def _slope(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    spread = _sum(x * x)
    out = np.zeros(spread.shape)
    np.divide(_sum(x * y), spread, out=out, where=spread > 0.0)
    return out
