"""Markets in which nothing, or something known, can be predicted; and a sweep of configurations run on them.

All funds have the same expected return, so that no ranking is worth anything, whatever it looks at; factors and funds have
heterogeneous, clustering volatilities and fat tails.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from etf_pipeline.core.portfolio.costs import TradingCosts
from etf_pipeline.core.validation.backtest import (
    AccountRules,
    TradingMarket,
    backtest_returns,
    month_ends,
    trading_market,
)
from etf_pipeline.core.validation.backtest.orders import selected
from etf_pipeline.core.validation.parameter_sweep import (
    Configuration,
    RankingInputs,
    SweepGrid,
    parameter_sweep,
    ranking_inputs,
    weight_lattice,
)
from etf_pipeline_tests.core.scoring.shipped_rules import RULES
from etf_pipeline_tests.core.validation.plain_market import weekdays

BASE = (0.35, 0.25, 0.25, 0.15)
GRID = SweepGrid(weight_lattice(BASE, 0.2), 0.2, (True,), (False,), top=(8, 15), keep=(1.5,), months=(1,))
"""40 configurations of the composite, over the whole simplex of weights."""
DEFAULT = GRID.number(Configuration(BASE, penalties=False, top=8))
WARM_UP = 260
EDGE_OF_BEST, EDGE_OF_DEFAULT = 0.037, 0.077
"""Edges with which the best configuration, or the default one, has an information ratio of 1.0 over equal weights after
costs, on average over markets."""


@dataclass(frozen=True)
class Drawn:
    """Returns (S, N) and what belongs to them."""

    total_return: np.ndarray
    overnight: np.ndarray
    forecast: np.ndarray
    sessions: np.ndarray
    half_spread: np.ndarray


def persistent(rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> np.ndarray:
    """Stationary autoregressions of variance one, along the first axis."""
    noise = np.sqrt(1 - memory**2) * rng.standard_normal(shape)
    noise[0] /= np.sqrt(1 - memory**2)
    return lfilter([1.0], [1.0, -memory], noise, axis=0)


def draw_market(seed: int, *, years: int = 15, funds: int = 60, edge: float = 0.0) -> Drawn:
    """One market.

    Parameters
    ----------
    edge : mean daily return, in standard deviations of its own noise, of a fund whose forecast yesterday was one; forecasts
        are normal and have a memory of two months.
    """
    rng = np.random.default_rng(seed)
    count = WARM_UP + 252 * years
    factor_volatility = np.array([0.008, 0.004, 0.004]) * np.exp(0.4 * persistent(rng, (count, 3), 0.985))
    factors = factor_volatility * rng.standard_t(5, (count, 3)) * np.sqrt(3 / 5)
    loading = np.column_stack(
        [rng.uniform(0.3, 1.5, funds), rng.standard_normal(funds), rng.standard_normal(funds)]
    )
    own = np.exp(rng.normal(np.log(0.007), 0.5, funds))
    noise = own * np.exp(0.3 * persistent(rng, (count, funds), 0.98))
    noise *= rng.standard_t(5, (count, funds)) * np.sqrt(3 / 5)
    forecast = persistent(rng, (count, funds), np.exp(-1 / 42))
    returns = 0.0003 + factors @ loading.T + noise
    returns[1:] += edge * own * forecast[:-1]
    returns = np.maximum(returns, -0.5)
    return Drawn(
        total_return=returns,
        overnight=_overnight(rng, returns, own),
        forecast=forecast,
        sessions=weekdays(count),
        half_spread=np.exp(rng.normal(np.log(0.0006), 0.5, funds)),
    )


def _overnight(rng: np.random.Generator, returns: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Move from close to open: three tenths of the session's, and noise of its own that the session takes back."""
    return 0.3 * returns + 0.3 * own * rng.standard_normal(returns.shape)


def features(
    close: np.ndarray, forecast: np.ndarray, rows: np.ndarray, leak: int = 0
) -> dict[str, np.ndarray]:
    """Component scores at the rows named: percentiles of momentum, forecast, calm and short reversal.

    Parameters
    ----------
    leak : sessions after its own that the last feature sees.
    """
    log_close = np.log(close)
    daily = np.diff(log_close, axis=0, prepend=log_close[:1])
    calm = np.array([-daily[t - 62 : t + 1].std(axis=0) for t in rows])
    ahead = np.minimum(rows + leak, len(close) - 1)
    raw = {
        "momentum": log_close[rows - 21] - log_close[rows - 252],
        "forecast": forecast[rows],
        "risk": calm,
        "volume": log_close[ahead] - log_close[rows - 5],
    }
    funds = close.shape[1]
    return {name: 100.0 * (x.argsort(axis=1).argsort(axis=1) + 0.5) / funds for name, x in raw.items()}


def prepared(drawn: Drawn, *, at_open: bool = False, leak: int = 0) -> tuple[TradingMarket, RankingInputs]:
    """The market as an account meets it, and month-end rankings after the warm-up."""
    close = 100.0 * np.cumprod(1.0 + drawn.total_return, axis=0)
    before = np.concatenate([close[:1], close[:-1]])
    ones = np.ones(close.shape)
    volatility = drawn.total_return.std(axis=0)
    market = trading_market(
        drawn.sessions,
        np.array([f"F{i:03d}" for i in range(close.shape[1])]),
        before * (1.0 + drawn.overnight),
        close,
        ones > 0,
        ones,
        ones,
        0.0 * ones,
        ones < 0,
        TradingCosts(drawn.half_spread * ones, volatility / np.sqrt(1e6) * ones),
        basis="total_return_adjusted",
        trade_at="open" if at_open else "close",
    )
    rows = month_ends(drawn.sessions)
    rows = rows[rows >= WARM_UP]
    scores = features(close, drawn.forecast, rows, leak)
    volatile = np.argsort(np.argsort(volatility)) * 3 // len(volatility)
    shape = (len(rows), close.shape[1])
    inputs = ranking_inputs(
        rows, scores, np.ones(shape, dtype=bool), np.broadcast_to(volatile, shape), np.zeros(shape), np.ones(shape),
        market.tickers,
    )  # fmt: skip
    return market, inputs


def run_sweep(
    market: TradingMarket, inputs: RankingInputs, *, costs: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Daily returns after costs of all configurations (T, K), and of the equally weighted universe (T,), from the first
    trade's next session on."""
    account = AccountRules(costs=costs)
    returns = parameter_sweep(market, inputs, GRID, RULES, account)
    funds = len(market.tickers)
    everyone = np.broadcast_to(np.arange(funds), (len(inputs.rows), funds))
    used = inputs.rows + 1 < len(market.sessions)
    wanted = selected(everyone[used], inputs.rows[used], 1.0 / funds)
    equal = backtest_returns(market, [wanted], account)[:, 0]
    first = int(inputs.rows[0]) + 2
    return returns[first:], equal[first:]


def leaks(drawn: Drawn, leak: int = 0) -> bool:
    """Whether any feature of a session is another once the data end with it: the point-in-time check."""
    close = 100.0 * np.cumprod(1.0 + drawn.total_return, axis=0)
    rows = month_ends(drawn.sessions)
    for row in rows[rows >= WARM_UP][::24]:
        whole = features(close, drawn.forecast, np.array([row]), leak)
        cut = features(close[: row + 1], drawn.forecast[: row + 1], np.array([row]), leak)
        if any(not np.array_equal(whole[name], cut[name]) for name in whole):
            return True
    return False
