"""When diversification fails: a portfolio's volatility with all correlations at one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri


@dataclass(frozen=True)
class CorrelationStress:
    """Of one portfolio, volatilities of one session.

    Attributes
    ----------
    volatility : as the covariance has it.
    volatility_same_sign : every fund moves fully with the portfolio or fully against it, as it does on average now: hedges
        go on hedging.
    volatility_worst : every position loses at once: hedges fail, too.
    diversification : ``volatility / volatility_worst``, 1 for none; NaN for a portfolio without risk.
    loss, loss_same_sign, loss_worst : over the horizon, fraction of the value, positive; at the confidence level of a
        normal log return without drift.
    """

    volatility: float
    volatility_same_sign: float
    volatility_worst: float
    diversification: float
    loss: float
    loss_same_sign: float
    loss_worst: float


def correlations_to_one(
    weights: np.ndarray, covariance: np.ndarray, *, horizon: int = 21, confidence: float = 0.99
) -> CorrelationStress:
    """Volatility and loss, now and with correlations of one.

    Parameters
    ----------
    weights : (N,) float64, shares of the value; 0 for funds whose covariance is NaN.
    covariance : (N, N) float64, of one session's returns: ``exposure_covariance`` of loadings, or any other.
    horizon : sessions; confidence : e.g. 0.99.

    Returns
    -------
    CorrelationStress. Always ``volatility <= volatility_worst`` and ``volatility_same_sign <= volatility_worst``; the second
    can be below the first where hedges become perfect.

    Raises
    ------
    ValueError : a held fund without variance estimate, shapes, or a confidence outside (0.5, 1).
    """
    n = len(weights)
    if covariance.shape != (n, n):
        raise ValueError(f"{n} weights need a covariance ({n}, {n}), not {covariance.shape}")
    if not 0.5 < confidence < 1 or horizon < 1:
        raise ValueError(
            f"confidence ({confidence}) in (0.5, 1) and a horizon ({horizon}) of at least 1 are needed"
        )
    held = np.flatnonzero(weights)
    w, within = weights[held], covariance[np.ix_(held, held)]
    if np.isnan(within).any() or np.isnan(w).any():
        # Of a row and column of NaN all others have one NaN: the fund at fault has most.
        worst = int(held[np.argmax(np.isnan(within).sum(axis=1) + np.isnan(w))])
        raise ValueError(
            f"fund {worst} is held but has no covariance: leave it out, and say how much is left"
        )
    own = w * np.sqrt(np.diag(within))
    now = math.sqrt(max(float(w @ within @ w), 0.0))
    along = np.where(within @ w >= 0, 1.0, -1.0)
    same, worst_case = abs(float(along @ own)), float(np.abs(own).sum())

    def lost(sigma: float) -> float:
        return -math.expm1(-float(ndtri(confidence)) * sigma * math.sqrt(horizon))

    share = now / worst_case if worst_case > 0 else math.nan
    return CorrelationStress(now, same, worst_case, share, lost(now), lost(same), lost(worst_case))


def exposure_covariance(
    loadings: np.ndarray, factor_covariance: np.ndarray, residual_variance: np.ndarray
) -> np.ndarray:
    """Covariance (N, N) of returns that loadings imply: ``B S B' + diag(residual variance)``; NaN without exposures."""
    return loadings @ factor_covariance @ loadings.T + np.diag(residual_variance)
