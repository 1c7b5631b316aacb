"""What luck alone would have earned: portfolios of funds drawn at random, traded under the rules of the strategy.

A draw ranks the same funds, on the same sessions, by noise instead of scores; it holds as many and keeps them by the same
buffer. Its noise is as persistent as makes it trade as much as the strategy does, so that neither costs nor holding
periods set the two apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.validation.annual_performance import annual_return, annual_sharpe, scopes
from etf_pipeline.core.validation.backtest import (
    AccountRules,
    BacktestError,
    Orders,
    TradingMarket,
    backtest_returns,
)
from etf_pipeline.core.validation.backtest.orders import select, selected
from etf_pipeline.core.validation.periods import complete_years

MOST_PERSISTENT = 0.9999
"""Autocorrelation of the noise from one ranking to the next that is not exceeded."""
_MATCHING_DRAWS = 16
_HALVINGS = 24
_PARCEL = 256
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_UNIT = 1.0 / 9007199254740992.0


@dataclass(frozen=True)
class RandomPortfolios:
    """K random strategies beside the one they are drawn for.

    Attributes
    ----------
    returns : (S, K) float64, daily, after costs; NaN before the first trade.
    persistence : (R,) float64, autocorrelation of the noise that leads to each ranking.
    turnover : (R,) float64, share of the funds held that was bought at each ranking, mean of the draws; strategy_turnover :
        (R,) the same of the strategy. NaN at the first ranking, and where nothing is held.
    """

    returns: np.ndarray
    persistence: np.ndarray
    turnover: np.ndarray
    strategy_turnover: np.ndarray


@dataclass(frozen=True)
class Standing:
    """Where a strategy stands among random ones: (P, 2) arrays by year and ``periods.SCOPES``.

    Attributes
    ----------
    year : (P,) int32.
    annual_return, sharpe : float64, of the strategy; the Sharpe ratio annualised.
    median_annual_return, median_sharpe : float64, of the draws.
    annual_return_percentile, sharpe_percentile : float64, per cent of the draws that are worse, and half of those equal.
    annual_return_p_value, sharpe_p_value : float64, ``(1 + draws at least as good) / (1 + K)``.
    """

    year: np.ndarray
    annual_return: np.ndarray
    sharpe: np.ndarray
    median_annual_return: np.ndarray
    median_sharpe: np.ndarray
    annual_return_percentile: np.ndarray
    sharpe_percentile: np.ndarray
    annual_return_p_value: np.ndarray
    sharpe_p_value: np.ndarray


def random_portfolios(
    market: TradingMarket,
    rank: np.ndarray,
    rows: np.ndarray,
    *,
    top: int,
    keep: int | None = None,
    draws: int = 1000,
    seed: int = 0,
    delay: int = 1,
    account: AccountRules | None = None,
    cost_scale: float = 1.0,
) -> RandomPortfolios:
    """Draw random strategies with the funds, sessions, number held, buffer and turnover of one that ranks.

    Parameters
    ----------
    market : TradingMarket of S sessions and N funds; account, cost_scale : as ``backtest_returns`` takes them.
    rank : (R, N) int64 of the strategy, 1 the best, 0 where not ranked; rows : (R,) its rows, ascending.
    top, keep, delay : as ``best_ranked`` takes them.
    draws : K. Draw k depends on neither K nor the number of workers.
    seed : of the draws. The noise of a fund is named by seed, draw, ticker and session: further funds and sessions
        leave it as it is.

    Returns
    -------
    RandomPortfolios.

    Raises
    ------
    BacktestError : no ranking that can be traded, shapes that differ, or impossible top, keep, delay or draws.

    Notes
    -----
    Noise is a stationary first-order autoregression for each fund. Its persistence is found by bisection, for each
    calendar year of rankings on its own, as that with which 16 draws buy as many funds in that year as the strategy; the
    years that are over stay as they are when history grows. A strategy that trades more than independent noise gets noise
    of persistence 0, one that trades less than ``MOST_PERSISTENT`` gets that.

    As Burns (2006), Random portfolios for evaluating trading strategies; Lisi (2011), Dicing with the market: randomized
    procedures for evaluation of mutual funds, Quantitative Finance 11, 163-172.
    """
    keep = top if keep is None else keep
    at = np.asarray(rows, dtype=np.int64)
    if rank.shape != (len(at), len(market.tickers)) or (np.diff(at) <= 0).any():
        raise BacktestError(
            f"rank must be (rows, funds), rows ascending: given are {rank.shape}, {len(at)} rows and "
            f"{len(market.tickers)} funds"
        )
    if not 1 <= top <= keep or delay < 1 or draws < 1:
        raise BacktestError(
            f"top, delay and draws must be at least 1, keep at least top: {top}, {delay}, {draws}, {keep}"
        )
    used = (at + delay < len(market.sessions)) & np.logical_or.accumulate((rank > 0).any(axis=1))
    at, own = at[used], np.ascontiguousarray(rank[used], dtype=np.int64)
    if not len(at):
        raise BacktestError("no session has a ranking that can be traded within the data")
    ranked = own > 0
    days = np.asarray(market.sessions[at], dtype="datetime64[D]").astype(np.int64)
    funds = np.array([_name(ticker) for ticker in market.tickers], dtype=np.uint64)
    year = market.sessions[at].astype("datetime64[Y]").astype(np.int64)
    strategy = _bought(select(own, top, keep), len(market.tickers))
    persistence = _matched(ranked, funds, days, year, strategy, top, keep, np.uint64(seed))
    returns = np.empty((len(market.sessions), draws))
    turnover = np.zeros(len(at))
    for begin in range(0, draws, _PARCEL):
        numbers = np.arange(begin, min(begin + _PARCEL, draws))
        made: list[Orders | None] = [None] * len(numbers)
        shares = np.empty((len(numbers), len(at)))

        def work(
            columns: np.ndarray,
            numbers: np.ndarray = numbers,
            made: list[Orders | None] = made,
            shares: np.ndarray = shares,
        ) -> None:
            for k in columns:
                noise = draw_noise(funds, days, np.uint64(seed), int(numbers[k]))
                rank_of_draw = rank_by_noise(ranked, noise, persistence, np.zeros(ranked.shape[1]))
                chosen = select(rank_of_draw, top, keep)
                shares[k] = _share_bought(chosen, ranked.shape[1])
                made[k] = selected(chosen, at, 1.0 / top, delay=delay)

        over_columns(work, len(numbers))
        wanted = [one for one in made if one is not None]
        returns[:, numbers] = backtest_returns(market, wanted, account, cost_scale=cost_scale)
        turnover += shares.sum(axis=0)
    return RandomPortfolios(
        returns=returns,
        persistence=persistence,
        turnover=turnover / draws,
        strategy_turnover=_share_bought(select(own, top, keep), ranked.shape[1]),
    )


def standing(strategy: np.ndarray, draws: np.ndarray, sessions: np.ndarray) -> Standing:
    """Percentiles of a strategy among draws, for each complete year and to date.

    Parameters
    ----------
    strategy : (S,) float64, daily returns after costs, NaN before its first; draws : (S, K) likewise.
    sessions : (S,) datetime64[D], ascending.

    Returns
    -------
    Standing. Sessions on which the strategy or any draw has no return do not count; NaN where none is left.
    """
    years = complete_years(sessions)
    everyone = np.column_stack([strategy, draws])
    counts = np.isfinite(everyone).all(axis=1)
    shape = (len(years.year), 2)
    found = np.full((*shape, 8), np.nan)
    for p, scope, rows in scopes(years):
        kept = everyone[rows][counts[rows]]
        for m, measure in enumerate((annual_return(kept), annual_sharpe(kept))):
            own, others = measure[0], measure[1:]
            others = others[np.isfinite(others)]
            if np.isfinite(own) and len(others):
                below, equal = int((others < own).sum()), int((others == own).sum())
                found[p, scope, m::2] = (
                    own,
                    np.median(others),
                    100.0 * (below + 0.5 * equal) / len(others),
                    (1 + len(others) - below) / (1 + len(others)),
                )
    return Standing(
        year=years.year,
        annual_return=found[..., 0],
        sharpe=found[..., 1],
        median_annual_return=found[..., 2],
        median_sharpe=found[..., 3],
        annual_return_percentile=found[..., 4],
        sharpe_percentile=found[..., 5],
        annual_return_p_value=found[..., 6],
        sharpe_p_value=found[..., 7],
    )


def _matched(
    ranked: np.ndarray,
    funds: np.ndarray,
    days: np.ndarray,
    year: np.ndarray,
    strategy: np.ndarray,
    top: int,
    keep: int,
    seed: np.uint64,
) -> np.ndarray:
    """(R,) persistence with which draws buy, year by year, as many funds as the strategy, (R,), did."""
    width = ranked.shape[1]
    persistence = np.zeros(len(days))
    fresh = [draw_noise(funds, days, seed, k) for k in range(_MATCHING_DRAWS)]
    # What each draw's noise has come to before the year, and the funds it holds, as a ranking that leads to them.
    level = np.zeros((_MATCHING_DRAWS, width))
    holds = np.zeros((_MATCHING_DRAWS, 1, width), dtype=np.int64)
    for one in np.unique(year):
        rows = np.flatnonzero(year == one)
        at = slice(int(rows[0]), int(rows[-1]) + 1)
        counted = slice(1 if at.start == 0 else 0, None)
        aim = _MATCHING_DRAWS * int(strategy[at][counted].sum())

        def trade(stay: float, at: slice = at) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
            """Funds bought by each draw at each ranking of the year, the noise at its end, and what was chosen."""
            after = level.copy()
            steady = np.full(at.stop - at.start, stay)
            steady[: 1 if at.start == 0 else 0] = 0.0
            chosen: list[np.ndarray] = [np.empty(0)] * _MATCHING_DRAWS
            bought = np.empty((_MATCHING_DRAWS, len(steady)), dtype=np.int64)

            def work(columns: np.ndarray) -> None:
                for k in columns:
                    rank = rank_by_noise(ranked[at], fresh[k][at], steady, after[k])
                    chosen[k] = select(np.concatenate([holds[k], rank]), top, keep)
                    bought[k] = _bought(chosen[k], width)[1:]

            over_columns(work, _MATCHING_DRAWS)
            return bought, after, chosen

        def too_much(stay: float, counted: slice = counted, aim: int = aim) -> bool:
            return bool(trade(stay)[0][:, counted].sum() > aim)

        low, high = 0.0, MOST_PERSISTENT
        if not too_much(low):
            high = low
        elif not too_much(high):
            for _ in range(_HALVINGS):
                middle = 0.5 * (low + high)
                low, high = (middle, high) if too_much(middle) else (low, middle)
        persistence[at] = high
        _, level[:], chosen = trade(high)
        holds[:] = 0
        for k in range(_MATCHING_DRAWS):
            last = chosen[k][-1][chosen[k][-1] >= 0]
            holds[k, 0, last] = 1 + np.arange(len(last))
    persistence[0] = 0.0
    return persistence


def _bought(chosen: np.ndarray, funds: int) -> np.ndarray:
    """(R,) int64 funds held after each of R rankings and not before it, from what ``select`` chose."""
    held = np.zeros((len(chosen) + 1, funds + 1), dtype=bool)
    held[np.arange(1, len(chosen) + 1)[:, None], chosen] = True
    own = held[:, :funds]
    return (own[1:] & ~own[:-1]).sum(axis=1)


def _share_bought(chosen: np.ndarray, funds: int) -> np.ndarray:
    """(R,) float64 share of the funds held that was bought; NaN at the first ranking and where none is held."""
    count = (chosen >= 0).sum(axis=1)
    share = np.where(count > 0, _bought(chosen, funds) / np.maximum(count, 1), np.nan)
    share[:1] = np.nan
    return share


def _name(ticker: str) -> int:
    """A number for a ticker: 64-bit FNV-1a of its letters."""
    value = 0xCBF29CE484222325
    for letter in str(ticker).encode():
        value = ((value ^ letter) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


@njit(cache=True, nogil=True, inline="always")
def _mixed(value: np.uint64) -> np.uint64:
    """Finaliser of splitmix64 (Steele, Lea and Flood 2014)."""
    z = (value ^ (value >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def _normal(seed: np.uint64, draw: int, fund: np.uint64, day: int) -> float:
    """The normal number of a draw, a fund and a day, by Box and Muller."""
    key = _mixed(seed + _GOLDEN)
    key = _mixed(key ^ (np.uint64(draw) * _GOLDEN + _MIX_1))
    key = _mixed(key ^ fund)
    key = _mixed(key ^ (np.uint64(day) * _GOLDEN + _MIX_2))
    u = float(_mixed(key + _GOLDEN) >> np.uint64(11)) * _UNIT
    v = float(_mixed(key + _GOLDEN + _GOLDEN) >> np.uint64(11)) * _UNIT
    return math.sqrt(-2.0 * math.log(1.0 - u)) * math.cos(2.0 * math.pi * v)


@njit(cache=True, nogil=True)
def draw_noise(funds: np.ndarray, days: np.ndarray, seed: np.uint64, draw: int) -> np.ndarray:
    """(R, N) independent normal numbers of one draw, of funds by name, (N,) uint64, and days, (R,) int64."""
    out = np.empty((len(days), len(funds)))
    for r in range(len(days)):
        for i in range(len(funds)):
            out[r, i] = _normal(seed, draw, funds[i], days[r])
    return out


@njit(cache=True, nogil=True)
def rank_by_noise(
    ranked: np.ndarray, noise: np.ndarray, persistence: np.ndarray, level: np.ndarray
) -> np.ndarray:
    """Ranks of the ranked funds by persistent noise.

    Parameters
    ----------
    ranked : (R, N) bool; noise : (R, N) float64, independent and normal.
    persistence : (R,) float64, from one row to the next: ``x[r] = p[r] x[r - 1] + sqrt(1 - p[r]**2) noise[r]``.
    level : (N,) float64, x before the first row; x of the last row is left there.

    Returns
    -------
    (R, N) int64, 1 to the number ranked; 0 elsewhere.
    """
    count, width = ranked.shape
    rank = np.zeros((count, width), dtype=np.int64)
    key = np.empty(width)
    column = np.empty(width, dtype=np.int64)
    for r in range(count):
        stay = persistence[r]
        fresh = math.sqrt(1.0 - stay * stay)
        size = 0
        for i in range(width):
            level[i] = stay * level[i] + fresh * noise[r, i]
            if ranked[r, i]:
                key[size] = -level[i]
                column[size] = i
                size += 1
        order = np.argsort(key[:size], kind="mergesort")
        for place in range(size):
            rank[r, column[order[place]]] = place + 1
    return rank
