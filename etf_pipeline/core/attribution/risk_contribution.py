"""Which factors and which funds a portfolio's volatility comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RiskContribution:
    """Euler's decomposition of a portfolio's variance, a session; leading axes as handed in.

    Attributes
    ----------
    variance, volatility : (...,) float64.
    exposure : (..., K), of the portfolio to the factors.
    factor_variance : (..., K), contribution of each factor; with ``specific_variance`` they sum to ``variance``.
    specific_variance : (...,), of what the factors do not explain.
    factor_volatility, specific_volatility : the same over the volatility: they sum to ``volatility``.
    fund_volatility : (..., N), contribution of each fund, weight times marginal; they sum to ``volatility`` too.
    fund_specific_volatility : (..., N), of it what its own specific risk adds.
    marginal : (..., N), by how much the volatility rises for each unit of the fund's weight.
    unexplained_weight : (...,), gross weight of funds without loadings or residual variance, which are left out.
    """

    variance: np.ndarray
    volatility: np.ndarray
    exposure: np.ndarray
    factor_variance: np.ndarray
    specific_variance: np.ndarray
    factor_volatility: np.ndarray
    specific_volatility: np.ndarray
    fund_volatility: np.ndarray
    fund_specific_volatility: np.ndarray
    marginal: np.ndarray
    unexplained_weight: np.ndarray


def risk_contribution(
    weight: np.ndarray, loading: np.ndarray, factor_covariance: np.ndarray, residual_variance: np.ndarray
) -> RiskContribution:
    """``w' B F B' w + sum_i w_i**2 s_i**2``, by factor and by fund.

    Parameters
    ----------
    weight : (..., N) float64, of the portfolio's value; no NaN. The rest is cash without risk.
    loading : (..., N, K). factor_covariance : (..., K, K) a session, ``factor_covariance``.
    residual_variance : (..., N) a session. Residuals are taken to be independent between funds: two funds of one index
        are not, and their risk together is then understated.

    Returns
    -------
    RiskContribution. Funds with NaN in loadings or residual variance count for nothing but ``unexplained_weight``, and
    have NaN contributions where their weight is not 0. A NaN in the covariance makes all NaN. Contributions to the
    volatility of a portfolio without any are 0. Signs: a factor or fund that hedges contributes less than nothing.

    Raises
    ------
    ValueError : shapes that do not belong together, a NaN weight.

    Notes
    -----
    Volatility is homogeneous of degree one in the weights: Euler's theorem makes the contributions add up (Litterman 1996,
    Hot spots and hedges, Journal of Portfolio Management 23; Meucci 2005, Risk and asset allocation, chapter 3).
    """
    funds, count = loading.shape[-2:]
    if weight.shape[-1] != funds or residual_variance.shape[-1] != funds:
        raise ValueError(
            f"weight {weight.shape}, loading {loading.shape} and residual_variance {residual_variance.shape} differ in funds"
        )
    if factor_covariance.shape[-2:] != (count, count):
        raise ValueError(
            f"factor_covariance {factor_covariance.shape} must be (..., {count}, {count}) as loading has factors"
        )
    if np.isnan(weight).any():
        raise ValueError("weight is NaN: a fund that is not held has weight 0")
    known = ~np.isnan(loading).any(axis=-1) & ~np.isnan(residual_variance)
    w = np.where(known, weight, 0.0)
    b = np.where(known[..., None], loading, 0.0)
    own = w * np.where(known, residual_variance, 0.0)
    exposure = np.einsum("...n,...nk->...k", w, b)
    toward = np.einsum("...kl,...l->...k", factor_covariance, exposure)
    factor_variance = exposure * toward
    specific_variance = (w * own).sum(axis=-1)
    variance = factor_variance.sum(axis=-1) + specific_variance
    volatility = np.sqrt(np.maximum(variance, 0.0))
    flat = volatility == 0.0
    over = np.where(flat, 0.0, 1.0 / np.where(flat, 1.0, volatility))
    marginal = (np.einsum("...nk,...k->...n", b, toward) + own) * over[..., None]
    left_out = ~known & (weight != 0.0)
    return RiskContribution(
        variance=variance,
        volatility=volatility,
        exposure=exposure,
        factor_variance=factor_variance,
        specific_variance=specific_variance,
        factor_volatility=factor_variance * over[..., None],
        specific_volatility=specific_variance * over,
        fund_volatility=np.where(left_out, np.nan, w * marginal),
        fund_specific_volatility=np.where(left_out, np.nan, w * own * over[..., None]),
        marginal=np.where(known, marginal, np.nan),
        unexplained_weight=np.abs(np.where(known, 0.0, weight)).sum(axis=-1),
    )
