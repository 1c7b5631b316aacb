"""Losses of scenarios: by fund, by portfolio and by factor, with intervals. The factors' parts add up to the return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.attribution.stress.exposures import Exposures
from etf_pipeline.core.attribution.stress.intervals import filled_variance, interval, own_variance
from etf_pipeline.core.attribution.stress.path_loss import path_loss
from etf_pipeline.core.attribution.stress.scenarios import FactorPath


@dataclass(frozen=True)
class Losses:
    """Of C scenarios for N funds (or portfolios), L interval levels.

    Attributes
    ----------
    total_return : (C, N) float64, simple, over the scenario's sessions; losses negative, at least -1.
    contribution : (C, N, K) float64, return earned by each factor; adds up to ``total_return``.
    log_variance : (C, N) float64, of the log return.
    low, high : (L, C, N) float64, bounds of the intervals.
    """

    total_return: np.ndarray
    contribution: np.ndarray
    log_variance: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class PortfolioLosses(Losses):
    """Losses of P portfolios; and the part of each that has exposures.

    Attributes
    ----------
    covered_weight : (P,) float64, sum of absolute weights of funds with exposures over that of all. Nothing is assumed of
        the rest: the return is what the covered funds bring, and is not scaled up.
    """

    covered_weight: np.ndarray


def fund_losses(
    exposures: Exposures,
    paths: Sequence[FactorPath],
    *,
    levels: Sequence[float] = (0.80, 0.95),
    inflation: np.ndarray | None = None,
    convexity: np.ndarray | None = None,
) -> Losses:
    """Every fund in every scenario.

    Parameters
    ----------
    exposures : of N funds at a session.
    paths : C scenarios, set at the same session.
    levels : of the intervals.
    inflation : (L,) float64, factors on the intervals' width from ``coverage.inflation_factors``; none if None.
    convexity : (N, K) float64 or None, as in ``path_loss``.

    Returns
    -------
    Losses; NaN for funds without exposures.

    Raises
    ------
    ValueError : no scenario, or inflation that does not belong to the levels.
    """
    if not paths:
        raise ValueError("no scenario is given: losses need at least one path")
    factor = _factors(levels, inflation)
    returns, contributions, variances = [], [], []
    for path in paths:
        loss = path_loss(exposures.loadings, path.moves, repeat=path.repeat, convexity=convexity)
        returns.append(loss.total_return)
        contributions.append(loss.contribution)
        variances.append(own_variance(exposures, loss, path) + filled_variance(exposures.loadings, path))
    total, variance = np.array(returns), np.array(variances)
    low, high = _bounds(total, variance, levels, factor)
    return Losses(total, np.array(contributions), variance, low, high)


def portfolio_losses(
    losses: Losses,
    exposures: Exposures,
    paths: Sequence[FactorPath],
    weights: np.ndarray,
    *,
    levels: Sequence[float] = (0.80, 0.95),
    inflation: np.ndarray | None = None,
) -> PortfolioLosses:
    """Portfolios that are held, not rebalanced, through every scenario.

    Parameters
    ----------
    losses, exposures, paths : as given by and to ``fund_losses``.
    weights : (P, N) float64, shares of the portfolio's value at the start; what is missing to 1 is cash, which earns
        nothing. NaN counts as 0.
    levels, inflation : as in ``fund_losses``.

    Returns
    -------
    PortfolioLosses. A fund's own variance counts by its squared share; factors that were filled move all funds together.

    Raises
    ------
    ValueError : weights of another number of funds.
    """
    w = np.where(np.isfinite(weights), weights, 0.0)
    if w.ndim != 2 or w.shape[1] != losses.total_return.shape[1]:
        raise ValueError(f"weights are (P, {losses.total_return.shape[1]}), not {weights.shape}")
    factor = _factors(levels, inflation)
    known = ~np.isnan(losses.total_return[0])
    w_known = np.where(known, w, 0.0)
    fund_return = np.where(known, losses.total_return, 0.0)
    contribution = np.einsum("pn,cnk->cpk", w_known, np.where(known[:, None], losses.contribution, 0.0))
    total = contribution.sum(axis=2)
    loadings = np.where(known[:, None], exposures.loadings, 0.0)
    variance = np.empty(total.shape)
    for c, path in enumerate(paths):
        own = np.where(known, losses.log_variance[c] - filled_variance(loadings, path), 0.0)
        share = w_known * (1.0 + fund_return[c])  # derivative of the portfolio's value to each log return
        jointly = share @ loadings
        joint = path.turbulence * np.einsum("pk,kl,pl->p", jointly, path.uncertainty, jointly)
        left = np.maximum(1.0 + total[c], 1e-12)
        variance[c] = (share**2 @ np.maximum(own, 0.0) + np.maximum(joint, 0.0)) / left**2
    low, high = _bounds(total, variance, levels, factor)
    gross = np.abs(w).sum(axis=1)
    covered = np.divide(np.abs(w_known).sum(axis=1), gross, out=np.zeros(len(w)), where=gross > 0)
    return PortfolioLosses(total, contribution, variance, low, high, covered)


def _factors(levels: Sequence[float], inflation: np.ndarray | None) -> np.ndarray:
    factor = np.ones(len(levels)) if inflation is None else np.asarray(inflation, dtype=np.float64)
    if factor.shape != (len(levels),):
        raise ValueError(f"{len(levels)} levels need as many inflation factors, not {factor.shape}")
    return factor


def _bounds(
    total: np.ndarray, variance: np.ndarray, levels: Sequence[float], factor: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    pairs = [interval(total, variance, v, inflation=x) for v, x in zip(levels, factor, strict=True)]
    return np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
