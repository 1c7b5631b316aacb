"""The economy: regimes, factor shocks with GARCH volatility and fat tails, rates and implied volatility.

Twelve factors are fixed mixtures of twelve independent shocks. Each shock has GJR-GARCH(1,1) volatility
(Glosten, Jagannathan and Runkle 1993) scaled by the level of a three-state Markov chain (calm, normal,
stress), with Student-t innovations. Mean returns differ by regime and regimes last for weeks, so returns are
very slightly predictable, as they are thought to be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.simulation.model import TRADING_DAYS
from etf_pipeline.core.market.simulation.streams import standard_student_t, stream

FACTORS = (
    "market",  # the home equity market
    "overseas_equity",  # United States equity for asx
    "technology",  # United States technology in excess of overseas_equity
    "emerging",
    "rates",  # return of a government bond for each year of duration
    "credit",
    "property",
    "gold",
    "energy",
    "currency",  # foreign currency in home currency: positive when the home currency falls
    "crypto",
    "small_size",  # small companies in excess of large
    "defensive",  # infrastructure and utilities
)
INDEX = {name: k for k, name in enumerate(FACTORS)}
LAGGED_FACTORS = ("overseas_equity", "technology")
"""Factors of the United States session, which on the asx is felt one home session late."""

_PERSISTENCE = np.array(
    [
        [0.987, 0.012, 0.001],
        [0.012, 0.982, 0.006],
        [0.002, 0.036, 0.962],
    ]
)
"""Daily transition probabilities, from row to column: calm 77, normal 56, stress 26 sessions on average."""

# Of each factor's own shock: annualised volatility in the normal regime, then the multiplier in calm and in
# stress, then the annual excess return of the factor in calm, normal and stress.
_SHOCKS = {
    "market": (0.125, 0.65, 2.10, 0.120, 0.095, -0.52),
    "overseas_equity": (0.150, 0.65, 2.00, 0.130, 0.105, -0.48),
    "technology": (0.090, 0.75, 1.60, 0.025, 0.020, -0.08),
    "emerging": (0.095, 0.75, 1.70, 0.100, 0.080, -0.55),
    "rates": (0.0080, 0.85, 1.40, 0.000, 0.001, 0.010),
    "credit": (0.018, 0.60, 3.00, 0.012, 0.012, -0.08),
    "property": (0.090, 0.70, 2.10, 0.090, 0.075, -0.50),
    "gold": (0.140, 0.90, 1.40, 0.010, 0.030, 0.12),
    "energy": (0.270, 0.75, 1.90, 0.070, 0.050, -0.45),
    "currency": (0.080, 0.80, 1.50, -0.012, -0.002, 0.08),
    "crypto": (0.600, 0.85, 1.50, 0.350, 0.150, -0.60),
    "small_size": (0.065, 0.80, 1.60, 0.010, 0.000, -0.06),
    "defensive": (0.070, 0.75, 1.80, 0.060, 0.055, -0.25),
}
# What a factor takes of the other factors' own shocks, beside its own.
_MIXTURE = {
    "market": {"overseas_equity": 0.45},
    "emerging": {"overseas_equity": 0.50, "market": 0.35},
    "rates": {"overseas_equity": -0.010, "market": -0.006},
    "credit": {"overseas_equity": 0.10, "market": 0.06},
    "property": {"market": 0.80, "overseas_equity": 0.30, "rates": 2.5},
    "gold": {"overseas_equity": -0.10, "rates": 4.0},
    "energy": {"market": 0.50, "overseas_equity": 0.30},
    "currency": {"overseas_equity": -0.20, "market": -0.15},
    "crypto": {"overseas_equity": 0.90, "technology": 0.60},
    "small_size": {"market": 0.12},
    "defensive": {"market": 0.50, "overseas_equity": 0.22, "rates": 2.5},
}
_DEGREES_OF_FREEDOM = 5.5
_ARCH, _ASYMMETRY, _GARCH = 0.035, 0.060, 0.905
_NO_ASYMMETRY = ("rates", "gold", "currency", "credit")

_MEAN_YIELD_HOME, _YIELD_PULL = 3.6, 0.0012
_CASH_STEP = 0.25
_MEAN_EXCHANGE_RATE, _EXCHANGE_PULL = {"asx": 0.72, "us": 0.90}, 0.0018


@dataclass(frozen=True)
class Economy:
    """S sessions, K factors; all daily and simple.

    Attributes
    ----------
    regime : (S,) int8.
    factor_return : (S, K) on each factor's own session date.
    factor_volatility : (S, K) daily.
    felt_factor_return : (S, K) as home funds feel it, United States factors ``lag`` sessions late, zero
        before the first.
    felt_shock_variance : (S, K) daily variance of each own shock as felt.
    mixture : (K, K) factor k is ``sum_j mixture[k, j] * shock j``.
    long_run_shock_variance : (K,) unconditional daily variance of each own shock.
    factor_lag : (K,) int.
    cash_rate, home_yield, overseas_yield : (S,) percent a year.
    exchange_rate : (S,) foreign currency for one unit of home currency.
    implied_volatility : (S,) index points.
    """

    regime: np.ndarray
    factor_return: np.ndarray
    factor_volatility: np.ndarray
    felt_factor_return: np.ndarray
    felt_shock_variance: np.ndarray
    mixture: np.ndarray
    long_run_shock_variance: np.ndarray
    factor_lag: np.ndarray
    cash_rate: np.ndarray
    home_yield: np.ndarray
    overseas_yield: np.ndarray
    exchange_rate: np.ndarray
    implied_volatility: np.ndarray


def stationary_regimes() -> np.ndarray:
    """(3,) long-run share of sessions in each regime."""
    share = np.full(3, 1.0 / 3.0)
    for _ in range(5000):
        share = np.array([sum(share[a] * _PERSISTENCE[a, b] for a in range(3)) for b in range(3)])
    return share


def simulate_regimes(seed: int, n_sessions: int) -> np.ndarray:
    """(S,) int8 states of the Markov chain, starting in normal."""
    ladder = np.cumsum(_PERSISTENCE, axis=1)
    draws = stream(seed, "regime").random(n_sessions)
    regime = np.empty(n_sessions, dtype=np.int8)
    state = 1
    for t, draw in enumerate(draws):
        state = min(int(np.count_nonzero(draw > ladder[state])), 2) if t else 1
        regime[t] = state
    return regime


def mixture_matrix() -> np.ndarray:
    """(K, K) weights of the own shocks in each factor."""
    mixture = np.eye(len(FACTORS))
    for name, others in _MIXTURE.items():
        for other, weight in others.items():
            mixture[INDEX[name], INDEX[other]] = weight
    return mixture


def combine(weights: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(S, N) ``columns @ weights.T`` for (N, K) weights, (S, K) columns, added up factor by factor.

    Plain additions in a fixed order: unlike a matrix product the result of a cell does not depend on how
    many rows or columns there are.
    """
    total = np.zeros((columns.shape[0], weights.shape[0]))
    for k in range(columns.shape[1]):
        total += columns[:, k, None] * weights[None, :, k]
    return total


def simulate_economy(seed: int, sessions: np.ndarray, market: str) -> Economy:
    """Regimes, factor returns, yields, cash rate, exchange rate and implied volatility.

    Parameters
    ----------
    sessions : (S,) datetime64[D]; only their months are read (central banks meet monthly).
    market : ``asx``: United States factors are felt one session late; ``us``: at once.
    """
    n, k = len(sessions), len(FACTORS)
    regime = simulate_regimes(seed, n)
    table = np.array([_SHOCKS[name] for name in FACTORS])
    level = np.stack([table[:, 1], np.ones(k), table[:, 2]])  # (3, K)
    base = table[:, 0] / np.sqrt(TRADING_DAYS)
    innovation = np.empty((n, k))
    for j in range(k):
        innovation[:, j] = standard_student_t(stream(seed, "factor", j), _DEGREES_OF_FREEDOM, n)
    asymmetry = np.where([name in _NO_ASYMMETRY for name in FACTORS], 0.0, _ASYMMETRY)
    arch = np.where(asymmetry > 0, _ARCH, _ARCH + _ASYMMETRY / 2)
    constant = 1.0 - arch - asymmetry / 2 - _GARCH
    cycle = np.ones(k)
    deviation = np.empty((n, k))
    next_cycle = np.empty(n)
    for t in range(n):
        deviation[t] = base * level[regime[t]] * np.sqrt(cycle)
        squared = innovation[t] * innovation[t]
        cycle = constant + cycle * (_GARCH + squared * (arch + asymmetry * (innovation[t] < 0)))
        next_cycle[t] = cycle[INDEX["overseas_equity"]]
    mixture = mixture_matrix()
    shock = deviation * innovation
    premium = table[:, 3:6].T[regime] / TRADING_DAYS  # (S, K)
    lag = np.array([int(market == "asx" and name in LAGGED_FACTORS) for name in FACTORS])
    felt_shock, felt_variance, felt_premium = shock.copy(), deviation * deviation, premium.copy()
    for column in np.flatnonzero(lag):
        felt_shock[:, column] = np.concatenate([[0.0], shock[:-1, column]])
        felt_premium[:, column] = np.concatenate([[0.0], premium[:-1, column]])
        felt_variance[:, column] = np.concatenate([[base[column] ** 2], deviation[:-1, column] ** 2])
    felt = felt_premium + combine(mixture, felt_shock)
    own_date = felt.copy()
    own_variance = combine(mixture * mixture, felt_variance)
    for column in np.flatnonzero(lag):  # these take nothing of other shocks
        own_date[:, column] = premium[:, column] + shock[:, column]
        own_variance[:, column] = deviation[:, column] ** 2
    share = stationary_regimes()
    home_yield, overseas_yield, cash_rate, rates_felt = _rates(
        seed, sessions, felt[:, INDEX["rates"]], own_date[:, INDEX["overseas_equity"]]
    )
    exchange_rate, currency_felt = _exchange_rate(felt[:, INDEX["currency"]], market)
    for panel in (felt, own_date):
        panel[:, INDEX["rates"]] = rates_felt
        panel[:, INDEX["currency"]] = currency_felt
    noise = stream(seed, "implied_volatility").standard_normal(n)
    ahead = base[INDEX["overseas_equity"]] * level[regime, INDEX["overseas_equity"]] * np.sqrt(next_cycle)
    implied = 100.0 * np.sqrt(TRADING_DAYS) * (0.30 * base[INDEX["overseas_equity"]] + 0.92 * ahead)
    return Economy(
        regime=regime,
        factor_return=own_date,
        factor_volatility=np.sqrt(own_variance),
        felt_factor_return=felt,
        felt_shock_variance=felt_variance,
        mixture=mixture,
        long_run_shock_variance=base * base * (share @ (level * level)),
        factor_lag=lag,
        cash_rate=cash_rate,
        home_yield=home_yield,
        overseas_yield=overseas_yield,
        exchange_rate=exchange_rate,
        implied_volatility=np.maximum(implied * (1.0 + 0.04 * np.clip(noise, -4, 4)), 8.0),
    )


def _exchange_rate(currency_return: np.ndarray, market: str) -> tuple[np.ndarray, np.ndarray]:
    """Foreign currency for one unit of home currency, and the currency factor it implies.

    The exchange rate is pulled to its mean over about a year and a half; the pull is part of the factor.
    """
    mean = _MEAN_EXCHANGE_RATE[market]
    rate, implied = np.empty(len(currency_return)), np.empty(len(currency_return))
    now = mean
    for t, change in enumerate(currency_return):
        implied[t] = change + _EXCHANGE_PULL * (now / mean - 1.0)
        now /= 1.0 + implied[t]
        rate[t] = now
    return rate, implied


def _rates(
    seed: int, sessions: np.ndarray, bond_return: np.ndarray, overseas_return: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Yields and cash rate (percent), and the bond return a year of duration they imply.

    The home ten-year yield falls by what the bond factor gains and is pulled to its mean; the pull is part of
    the returned bond return. The cash rate follows the yield in quarter-point steps, one meeting a month.
    """
    n = len(sessions)
    noise = stream(seed, "cash_rate").standard_normal((n, 2))
    month = sessions.astype("datetime64[M]")
    home, overseas, cash = np.empty(n), np.empty(n), np.empty(n)
    implied = np.empty(n)
    home_now, overseas_now, cash_now = 2.8, 2.3, 2.0
    for t in range(n):
        change = -100.0 * bond_return[t] + _YIELD_PULL * (_MEAN_YIELD_HOME - home_now)
        change = max(home_now + change, 0.25) - home_now
        home_now += change
        implied[t] = -change / 100.0
        overseas_now += 0.7 * change + 2.5 * overseas_return[t] + 0.03 * noise[t, 0]
        overseas_now = max(overseas_now + 0.004 * (home_now - 0.2 - overseas_now), 0.25)
        if t and month[t] != month[t - 1]:
            gap = home_now - 0.9 + 0.3 * noise[t, 1] - cash_now
            cash_now = max(cash_now + _CASH_STEP * float(np.clip(np.rint(gap / 0.6), -2, 2)), 0.10)
        home[t], overseas[t], cash[t] = home_now, overseas_now, cash_now
    return home, overseas, cash, implied
