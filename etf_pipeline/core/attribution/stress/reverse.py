"""The most likely scenario that loses a given part of a portfolio."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, fdtrc, ndtr, stdtr

from etf_pipeline.core.attribution.stress.conditional import check_covariance


@dataclass(frozen=True)
class ReverseStress:
    """How a portfolio comes to lose ``loss``.

    Attributes
    ----------
    moves : (K,) float64, summed moves of the factors over the horizon (of returns: summed, so that ``expm1`` of it is the
        compounded move).
    specific : (N,) float64, log return of each fund beside its factors.
    contribution : (K + 1,) float64, part of the portfolio's log return by factor, and by all specific moves: adds up to
        ``log(1 - loss)``.
    distance : Mahalanobis distance of the scenario, in standard deviations of the portfolio's return: none with this loss
        is nearer.
    probability_normal, probability_t : that the portfolio loses at least as much over the horizon.
    scenario_probability_normal, scenario_probability_t : that any scenario at least as unusual comes, in whatever direction.
    """

    moves: np.ndarray
    specific: np.ndarray
    contribution: np.ndarray
    distance: float
    probability_normal: float
    probability_t: float
    scenario_probability_normal: float
    scenario_probability_t: float


def reverse_stress(
    weights: np.ndarray,
    loadings: np.ndarray,
    factor_covariance: np.ndarray,
    residual_variance: np.ndarray,
    *,
    loss: float = 0.20,
    horizon: int = 21,
    degrees_of_freedom: float = 4.0,
) -> ReverseStress:
    """Closed form: the smallest Mahalanobis distance on the plane of scenarios that lose ``loss``.

    Parameters
    ----------
    weights : (N,) float64, shares of the portfolio's value, rebalanced by the session; the rest is cash. Funds without
        exposures must have none.
    loadings : (N, K) float64; residual_variance : (N,) float64; factor_covariance : (K, K) float64; of one session,
        estimated up to the session at hand. No drift.
    loss : fraction of the value, between 0 and 1.
    horizon : sessions.
    degrees_of_freedom : of the Student t, above 2; its covariance is the given one.

    Returns
    -------
    ReverseStress.

    Raises
    ------
    ValueError : a loss or horizon that cannot be, a held fund without exposures, or a portfolio without any risk.

    Notes
    -----
    With b the portfolio's loadings, S the covariance of h sessions and s**2 the specific variance of them, minimise
    ``f' S^-1 f + u**2 / s**2`` subject to ``b'f + u = log(1 - loss)``: ``f = S b v``, ``u = s**2 v`` with
    ``v = log(1 - loss) / (b' S b + s**2)``, at distance ``-log(1 - loss) / sqrt(b' S b + s**2)``; the conditional
    expectation of all moves given the loss. Glasserman, Kang and Kang (2015), Stress scenario selection by empirical
    likelihood, Quantitative Finance 15, 25-41, section 2. The normal is the one without fat tails: its probabilities of
    large losses are lower bounds.
    """
    if not 0 < loss < 1:
        raise ValueError(f"a loss lies between 0 and 1 of the value, not {loss}")
    if horizon < 1:
        raise ValueError(f"a horizon is at least 1 session, not {horizon}")
    if not degrees_of_freedom > 2:
        raise ValueError(f"degrees_of_freedom must exceed 2 for a variance, not {degrees_of_freedom}")
    check_covariance(factor_covariance, loadings.shape[1])
    held = weights != 0
    unknown = held & (np.isnan(loadings).any(axis=1) | np.isnan(residual_variance) | np.isnan(weights))
    if unknown.any():
        raise ValueError(
            f"fund {int(np.argmax(unknown))} is held but has no exposures: leave it out, and say how much of the portfolio"
            " is left"
        )
    b = weights[held] @ loadings[held]
    own = horizon * weights[held] ** 2 * residual_variance[held]
    together = horizon * (factor_covariance @ b)
    variance = float(b @ together + own.sum())
    if not variance > 0:
        raise ValueError(f"the portfolio has no risk under this covariance: it cannot lose {loss:.0%}")
    target = math.log1p(-loss)
    moves = together * (target / variance)
    specific = np.zeros(len(weights))
    specific[held] = target / variance * horizon * weights[held] * residual_variance[held]
    part = np.append(b * moves, own.sum() * target / variance)
    distance = -target / math.sqrt(variance)
    # Directions a scenario can take: those in which the factors move at all, and the portfolio's specific one.
    directions = int(np.linalg.matrix_rank(factor_covariance, hermitian=True)) + int(own.sum() > 0)
    nu = degrees_of_freedom
    stretch = nu / (nu - 2.0)
    return ReverseStress(
        moves=moves,
        specific=specific,
        contribution=part,
        distance=distance,
        probability_normal=float(ndtr(-distance)),
        probability_t=float(stdtr(nu, -distance * math.sqrt(stretch))),
        scenario_probability_normal=float(chdtrc(directions, distance**2)),
        scenario_probability_t=float(fdtrc(directions, nu, distance**2 * stretch / directions)),
    )
