"""From efficient prices to trades: spread, ticks, thin days, volume, and the vendor's bar of each session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.simulation.catalogue import Fund
from etf_pipeline.core.market.simulation.fund_returns import FundReturns
from etf_pipeline.core.market.simulation.life import Lives
from etf_pipeline.core.market.simulation.prices import Prices
from etf_pipeline.core.market.simulation.streams import fund_panel, stream

INTRADAY_POINTS = 12
"""Moments of a session at which a fund can trade: the opening auction, ten between, the closing auction."""
_AVERAGE_TRADE = 11_000.0
_AUCTION_TRADES = 20
"""A fund with at least so many trades in a session takes part in the closing auction."""
_HOLE_EVERY = (250, 700)
_HOLE_SHARE = 0.55


@dataclass
class WideBars:
    """(S, N) bars as the vendor shows them; NaN where it shows none. Altered in place by the defects.

    ``traded`` : at least one trade. ``clean_close`` : last traded price, NaN without a trade.
    ``market_hole`` : bars the vendor lost for most of the market at once.
    """

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    traded: np.ndarray
    clean_close: np.ndarray
    market_hole: np.ndarray

    def blank(self, rows: np.ndarray | slice, column: int) -> None:
        """Remove the bars of ``rows`` of a fund."""
        for panel in (self.open, self.high, self.low, self.close, self.volume):
            panel[rows, column] = np.nan


def to_tick(price: np.ndarray, market: str) -> np.ndarray:
    """The nearest price on the exchange's grid.

    ASX: 0.1 cent below 10 cents, 0.5 cent below 2 dollars, 1 cent above. United States: 1 cent.
    Each result is the float nearest to its decimal.
    """
    cents = np.maximum(np.rint(price * 100.0), 1.0) / 100.0
    if market == "us":
        return cents
    half_cents = np.rint(price * 200.0) / 200.0
    mills = np.maximum(np.rint(price * 1000.0), 1.0) / 1000.0
    return np.where(price < 0.10, mills, np.where(price < 2.0, half_cents, cents))


def trade(
    seed: int,
    funds: Sequence[Fund],
    returns: FundReturns,
    lives: Lives,
    prices: Prices,
    market: str,
    last_session_progress: float,
) -> WideBars:
    """Bars of every fund before its own vendor defects.

    The part ``Fund.overnight`` of a session's variance falls before the open; between open and close the
    efficient price follows a Brownian bridge. Trades happen at some of ``INTRADAY_POINTS`` moments, at bid or
    ask with equal chance. A session without a trade is left out or shown with the last close and volume 0, as
    the fund's vendor data has it; a fund always trades on the first session and on ex-dates.
    """
    n_sessions, n_funds = prices.price.shape
    shape = (n_sessions, n_funds)
    bars = WideBars(
        open=np.full(shape, np.nan),
        high=np.full(shape, np.nan),
        low=np.full(shape, np.nan),
        close=np.full(shape, np.nan),
        volume=np.full(shape, np.nan),
        traded=np.zeros(shape, dtype=bool),
        clean_close=np.full(shape, np.nan),
        market_hole=_market_holes(seed, n_sessions, n_funds),
    )
    missing = fund_panel(seed, "missing_bar", n_sessions, n_funds, "uniform")
    for i, fund in enumerate(funds):
        _trade_fund(seed, i, fund, returns, lives, prices, market, last_session_progress, bars)
        ordinary = prices.split[:, i] == 1.0
        bars.blank((missing[:, i] < fund.missing_rate) & ordinary, i)
        bars.market_hole[:, i] &= np.isfinite(bars.close[:, i]) & ordinary
        bars.blank(bars.market_hole[:, i], i)
    return bars


def _market_holes(seed: int, n_sessions: int, n_funds: int) -> np.ndarray:
    """(S, N) bars lost on the few sessions that the vendor lost for most funds; never the benchmark's."""
    rng = stream(seed, "market_hole")
    rows, at = [], 40 + int(rng.integers(*_HOLE_EVERY))
    while at < n_sessions:
        rows.append(at)
        at += int(rng.integers(*_HOLE_EVERY))
    holes = np.zeros((n_sessions, n_funds), dtype=bool)
    for i in range(1, n_funds):
        draws = stream(seed, "market_hole_member", i).random(len(rows))
        holes[rows, i] = draws < _HOLE_SHARE
    return holes


def _trade_fund(
    seed: int,
    i: int,
    fund: Fund,
    returns: FundReturns,
    lives: Lives,
    prices: Prices,
    market: str,
    last_session_progress: float,
    bars: WideBars,
) -> None:
    """Fill column ``i`` of ``bars``."""
    n = len(prices.price)
    close, previous = prices.price[:, i], prices.previous[:, i]
    exists = np.isfinite(close)
    if not exists.any():
        return
    listed = exists & (np.arange(n) >= fund.listing)
    money = np.concatenate([[fund.assets], lives.assets[:-1, i]])
    expected = np.clip(money * fund.turnover / _AVERAGE_TRADE * lives.activity[:, i], 0.05, 20_000.0)
    count = stream(seed, "trade_count", fund.index).poisson(expected)
    event = (prices.split[:, i] != 1.0) | (prices.distribution[:, i] > 0.0)
    event[min(fund.listing, n - 1)] = True
    count = np.where(event | (fund.index == 0), np.maximum(count, _AUCTION_TRADES), count)
    path = _efficient_path(seed, fund, close, previous, returns.daily_volatility[:, i])
    points = INTRADAY_POINTS
    heads = stream(seed, "side", fund.index).random((n, points)) < 0.5
    quote = to_tick(path * (1.0 + np.where(heads, fund.half_spread, -fund.half_spread)), market)
    when = stream(seed, "trade_time", fund.index).random((n, points))
    happens = when < (1.0 - np.exp(-count / points))[:, None]
    happens[np.arange(n), np.argmin(when, axis=1)] = True
    happens[:, -1] |= count >= _AUCTION_TRADES
    happens[:, 0] |= count >= 5 * _AUCTION_TRADES
    happens[count == 0] = False
    size = _trade_size(seed, fund, n)
    volume = np.maximum(count, np.rint(count * size / np.maximum(np.where(exists, close, 1.0), 0.01)))
    if last_session_progress < 1.0:
        reached = max(int(points * last_session_progress), 1)
        happens[-1, reached:] = False
        volume[-1] = np.maximum(1.0, np.rint(volume[-1] * last_session_progress))
    traded = listed & happens.any(axis=1)
    rows = np.flatnonzero(traded)
    first = np.argmax(happens, axis=1)
    last = points - 1 - np.argmax(happens[:, ::-1], axis=1)
    bars.open[rows, i] = quote[rows, first[rows]]
    bars.close[rows, i] = quote[rows, last[rows]]
    bars.high[rows, i] = np.where(happens, quote, -np.inf).max(axis=1)[rows]
    bars.low[rows, i] = np.where(happens, quote, np.inf).min(axis=1)[rows]
    bars.volume[rows, i] = volume[rows]
    bars.traded[:, i] = traded
    bars.clean_close[rows, i] = bars.close[rows, i]
    if not fund.omits_untraded:
        idle = np.flatnonzero(listed & ~traded)
        source = np.maximum.accumulate(np.where(traded, np.arange(n), -1))[idle]
        idle, source = idle[source >= 0], source[source >= 0]
        for panel in (bars.open, bars.high, bars.low, bars.close):
            panel[idle, i] = bars.clean_close[source, i]
        bars.volume[idle, i] = 0.0
    early = np.flatnonzero(exists & ~listed)  # net asset values before listing, to a hundredth of a cent
    for panel in (bars.open, bars.high, bars.low, bars.close):
        panel[early, i] = np.round(close[early], 4)
    bars.volume[early, i] = 0.0


def _efficient_path(
    seed: int, fund: Fund, close: np.ndarray, previous: np.ndarray, daily_volatility: np.ndarray
) -> np.ndarray:
    """(S, P) efficient price at each moment of the session; the last column is the close."""
    n, steps = len(close), INTRADAY_POINTS - 1
    share = fund.overnight
    before = np.where(np.isfinite(previous), previous, close)
    deviation = daily_volatility * np.where(np.isfinite(close), before, np.nan)
    draw = stream(seed, "overnight", fund.index).standard_normal(n)
    opening = before + share * (close - before) + np.sqrt(share * (1.0 - share)) * deviation * draw
    walk = np.cumsum(stream(seed, "intraday", fund.index).standard_normal((n, steps)), axis=1)
    elapsed = np.arange(1, steps + 1) / steps
    bridge = (walk - elapsed * walk[:, -1:]) / np.sqrt(steps)
    inner = opening[:, None] + elapsed * (close - opening)[:, None]
    inner += np.sqrt(1.0 - share) * deviation[:, None] * bridge
    path = np.concatenate([opening[:, None], inner], axis=1)
    path[:, -1] = close
    return np.maximum(path, 0.05 * close[:, None])


def _trade_size(seed: int, fund: Fund, n_sessions: int) -> np.ndarray:
    """(S,) mean traded value of a trade; one session in sixty sees a block many times that."""
    rng = stream(seed, "trade_size", fund.index)
    draws = rng.standard_normal((n_sessions, 2))
    ordinary = np.exp(0.45 * draws[:, 0])
    block = np.where(draws[:, 1] > 2.13, np.exp(1.2 * (draws[:, 1] - 1.0)), 1.0)
    return _AVERAGE_TRADE * ordinary * block
