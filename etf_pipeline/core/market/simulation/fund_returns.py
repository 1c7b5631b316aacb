"""True returns of the funds: factors, carry, slowly wandering skill and fat-tailed shocks of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.simulation.catalogue import Fund
from etf_pipeline.core.market.simulation.factors import INDEX, Economy, combine
from etf_pipeline.core.market.simulation.model import TRADING_DAYS
from etf_pipeline.core.market.simulation.streams import fund_panel, standard_student_t, stream

RETURN_FLOOR = -0.95
_ARCH, _GARCH = 0.06, 0.90
_ALPHA_MEMORY = 0.9945
"""Daily persistence of skill around its mean: half-life of half a year."""
_REGIME_LEVEL = np.array([0.85, 1.0, 1.55])
_BOND_CARRY_DURATION = 7.0


@dataclass(frozen=True)
class FundReturns:
    """(S, N) daily simple returns and their makings; see ``SimulationTruth`` for each."""

    total_return: np.ndarray
    expected_return: np.ndarray
    idiosyncratic_return: np.ndarray
    alpha_annualised: np.ndarray
    daily_volatility: np.ndarray
    conditional_market_beta: np.ndarray
    market_beta: np.ndarray


def simulate_fund_returns(seed: int, funds: Sequence[Fund], economy: Economy) -> FundReturns:
    """Returns of every fund on every session, as if it lived throughout; fund 0 is the benchmark.

    A fund earns the cash rate, its loadings times the factors as it feels them, a bond's carry over cash for
    its duration, skill, its own GARCH(1,1) shock with Student-t innovations, less its fee. Skill follows an
    autoregression around a constant: about a quarter of the own volatility a year, so the best attainable
    daily information coefficient is of the order of 0.015.
    """
    n_sessions, n_funds = len(economy.regime), len(funds)
    loadings = np.array([f.loadings for f in funds])
    own_volatility = np.array([f.idiosyncratic for f in funds]) / np.sqrt(TRADING_DAYS)
    innovation = np.empty((n_sessions, n_funds))
    for i, fund in enumerate(funds):
        innovation[:, i] = standard_student_t(
            stream(seed, "idiosyncratic", fund.index), fund.degrees_of_freedom, n_sessions
        )
    wandering = fund_panel(seed, "alpha", n_sessions, n_funds, "normal")
    mean_alpha = np.array([f.alpha for f in funds])
    alpha_step = np.array([f.alpha_spread for f in funds]) * np.sqrt(1.0 - _ALPHA_MEMORY**2)
    cycle, excess_alpha = np.ones(n_funds), np.zeros(n_funds)
    deviation, alpha = np.empty((n_sessions, n_funds)), np.empty((n_sessions, n_funds))
    for t in range(n_sessions):
        deviation[t] = own_volatility * _REGIME_LEVEL[economy.regime[t]] * np.sqrt(cycle)
        cycle = (1.0 - _ARCH - _GARCH) + cycle * (_GARCH + _ARCH * innovation[t] * innovation[t])
        alpha[t] = mean_alpha + excess_alpha
        excess_alpha = _ALPHA_MEMORY * excess_alpha + alpha_step * wandering[t]
    own = deviation * innovation
    expected = _carry(funds, loadings, economy) + alpha / TRADING_DAYS
    total = np.maximum(expected + combine(loadings, economy.felt_factor_return) + own, RETURN_FLOOR)
    # Exposures to the independent shocks; plain sums, so that a fund's row depends on no other fund.
    exposure = combine(economy.mixture.T, loadings)
    of_market = exposure[0]
    variance = combine(exposure * exposure, economy.felt_shock_variance) + deviation * deviation
    market_variance = combine((of_market * of_market)[None, :], economy.felt_shock_variance)
    covariance = combine(exposure * of_market[None, :], economy.felt_shock_variance)
    long_run = economy.long_run_shock_variance[None, :]
    long_run_covariance = combine(exposure * of_market[None, :], long_run)[0]
    return FundReturns(
        total_return=total,
        expected_return=expected,
        idiosyncratic_return=own,
        alpha_annualised=alpha,
        daily_volatility=np.sqrt(variance),
        conditional_market_beta=covariance / market_variance,
        market_beta=long_run_covariance / combine((of_market * of_market)[None, :], long_run)[0, 0],
    )


def _carry(funds: Sequence[Fund], loadings: np.ndarray, economy: Economy) -> np.ndarray:
    """(S, N) cash, bond carry over cash and fees, a session; known the session before."""
    cash = np.concatenate([economy.cash_rate[:1], economy.cash_rate[:-1]]) / 100.0
    bond = np.concatenate([economy.home_yield[:1], economy.home_yield[:-1]]) / 100.0
    duration = loadings[:, INDEX["rates"]] / _BOND_CARRY_DURATION
    fee = np.array([f.fee for f in funds])
    return (cash[:, None] + (bond - cash)[:, None] * duration[None, :] - fee[None, :]) / TRADING_DAYS
