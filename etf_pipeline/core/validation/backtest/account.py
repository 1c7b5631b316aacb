"""The account: what a strategy's orders would have earned, day by day, to the cent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.validation.backtest.account_kernels import END, ITEMS, START, TRADE_ITEMS, run_account
from etf_pipeline.core.validation.backtest.market import BacktestError, TradingMarket
from etf_pipeline.core.validation.backtest.orders import Orders

CENT = 0.01


@dataclass(frozen=True)
class AccountRules:
    """How an account trades.

    Attributes
    ----------
    capital : quote currency at the start; what impact costs depends on it.
    whole_units : buy whole units only; what is left over stays cash. Prices must be as traded.
    delisting_haircut : share of its last mark that a holding loses when its fund is known to be gone. Exchange-traded
        funds are wound up at net asset value; the default stands for spread and costs of the winding up.
    costs : whether spread and impact are charged; without, the account is gross.
    """

    capital: float = 100_000.0
    whole_units: bool = False
    delisting_haircut: float = 0.01
    costs: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not 0 < self.capital < np.inf:
            raise BacktestError(f"capital must be positive, not {self.capital}")
        if not 0 <= self.delisting_haircut <= 1:
            raise BacktestError(f"delisting_haircut is a share, 0 to 1, not {self.delisting_haircut}")


@dataclass(frozen=True)
class Account:
    """One strategy's account.

    Attributes
    ----------
    first : row of the first trade; the daily rows begin there.
    daily : (D, len(ITEMS)) float64, quote currency, one row a session from ``first``; columns as ``ITEMS``.
    trades : (T, len(TRADE_ITEMS)) float64, in order of time; units and value negative for sales, price without costs.
    holdings : (H, 4) float64: row, fund, units, value; after the close of each session asked for.
    """

    first: int
    daily: np.ndarray
    trades: np.ndarray = field(default_factory=lambda: np.empty((0, len(TRADE_ITEMS))))
    holdings: np.ndarray = field(default_factory=lambda: np.empty((0, 4)))

    def item(self, name: str) -> np.ndarray:
        """(D,) one item of the daily account."""
        return self.daily[:, ITEMS.index(name)]

    @property
    def net_return(self) -> np.ndarray:
        """(D,) daily return after costs; the first day's is on the capital."""
        return self.item("end") / self.item("start") - 1.0

    @property
    def gross_return(self) -> np.ndarray:
        """(D,) daily return before spread and impact, on what the account after costs held."""
        earned = self.item("price_gain") + self.item("income") + self.item("interest") - self.item("haircut")
        return earned / self.item("start")

    def imbalance(self) -> float:
        """Largest daily difference between start + gains + income - costs and what is held, quote currency."""
        change = (
            self.item("price_gain") + self.item("income") + self.item("interest")
            - self.item("spread_cost") - self.item("impact_cost") - self.item("haircut")
        )  # fmt: skip
        return float(np.abs(self.item("start") + change - self.item("end")).max(initial=0.0))


def backtest(
    market: TradingMarket,
    orders: Orders,
    rules: AccountRules | None = None,
    *,
    holdings_on: np.ndarray | None = None,
    cost_scale: float = 1.0,
) -> Account:
    """Run an account through the market.

    Parameters
    ----------
    market : TradingMarket.
    orders : target portfolios and the rows on which they are traded.
    rules : AccountRules, the defaults if None.
    holdings_on : (H,) rows after whose closes holdings are written down; none if None.
    cost_scale : multiplies half spreads and impact.

    Returns
    -------
    Account from the first order's session to the market's last.

    Raises
    ------
    BacktestError : no order, an order outside the data or not after its decision, or an account that does not balance
        to the cent.

    Notes
    -----
    Each session: interest on yesterday's cash; distributions and splits of what is held; trades at the session's
    fill; all holdings at their marks. A target is a share of the account's value at the fills, less the costs of
    reaching it (found by iteration). A fund without a fill: its trade waits for the first session with one, until the
    next target takes its place; what waits for sale is still held, and what was to be bought with its proceeds waits
    too. Costs of a trade Q: ``half_spread * Q + impact * Q ** 1.5``, the impact never above half of Q. A fund known to
    be gone pays its last mark less the haircut.
    """
    rules = rules or AccountRules()
    _check(market, orders)
    size = len(market.sessions)
    first = int(orders.executed[0])
    written = np.zeros(size, dtype=np.bool_)
    if holdings_on is not None:
        written[np.asarray(holdings_on, dtype=np.int64)] = True
    daily = np.zeros((size - first, len(ITEMS)))
    room, rooms = (
        4 * len(orders.fund) + 64,
        64 + 2 * int(written.sum()) * int(np.diff(orders.start).max(initial=1)),
    )
    while True:
        trades, holdings = np.empty((room, len(TRADE_ITEMS))), np.empty((rooms, 4))
        arguments = (
            *_market(market),
            *_orders(orders),
            *_rules(rules, cost_scale),
            written,
            daily,
            trades,
            holdings,
        )
        made, held = run_account(*arguments)
        if made <= room and held <= rooms:
            break
        room, rooms = max(room, made), max(rooms, held)
    account = Account(first, daily, trades[:made].copy(), holdings[:held].copy())
    off = account.imbalance()
    if not off < CENT * max(1.0, rules.capital / 1e6):
        raise BacktestError(f"the account does not balance: it is off by {off:.4f} on its worst day")
    return account


def backtest_returns(
    market: TradingMarket,
    strategies: list[Orders],
    rules: AccountRules | None = None,
    *,
    cost_scale: float = 1.0,
) -> np.ndarray:
    """Daily returns of many strategies on one market, side by side.

    Parameters
    ----------
    strategies : K orders, none of them empty.
    market, rules, cost_scale : as ``backtest`` takes them.

    Returns
    -------
    (S, K) float64, after costs; NaN before a strategy's first trade. The same numbers as ``backtest``, whatever the
    number of workers.
    """
    rules = rules or AccountRules()
    for one in strategies:
        _check(market, one)
    size = len(market.sessions)
    out = np.full((size, len(strategies)), np.nan)
    prepared, charged = _market(market), _rules(rules, cost_scale)
    never = np.zeros(size, dtype=np.bool_)

    def work(columns: np.ndarray) -> None:
        daily = np.empty((size, len(ITEMS)))
        trades, holdings = np.empty((0, len(TRADE_ITEMS))), np.empty((0, 4))
        for k in columns:
            first = int(strategies[k].executed[0])
            own = daily[: size - first]
            arguments = (*prepared, *_orders(strategies[k]), *charged, never, own, trades, holdings)
            run_account(*arguments)
            out[first:, k] = own[:, END] / own[:, START] - 1.0

    over_columns(work, len(strategies))
    return out


def _check(market: TradingMarket, orders: Orders) -> None:
    if not len(orders.executed):
        raise BacktestError("no order falls within the data: there is nothing to test")
    if orders.executed[-1] >= len(market.sessions) or orders.decided[0] < 0:
        raise BacktestError(
            f"an order is traded on row {orders.executed[-1]}, outside the data, which ends at "
            f"{market.sessions[-1]} (row {len(market.sessions) - 1})"
        )
    if not (orders.executed > orders.decided).all() or not (np.diff(orders.executed) > 0).all():
        raise BacktestError("an order is traded at the close it was decided at, or out of order")
    if len(orders.fund) and not (orders.fund.min() >= 0 and orders.fund.max() < len(market.tickers)):
        raise BacktestError(f"an order names column {orders.fund.max()} of {len(market.tickers)} funds")


def _market(market: TradingMarket) -> tuple[Any, ...]:
    return (
        market.mark, market.fill, market.at_open, market.event_start, market.event_fund, market.event_units,
        market.event_cash, market.event_gone, market.costs.half_spread, market.costs.impact, market.deposit, market.loan,
    )  # fmt: skip


def _orders(orders: Orders) -> tuple[Any, ...]:
    return orders.executed, orders.start, orders.fund, orders.weight


def _rules(rules: AccountRules, cost_scale: float) -> tuple[Any, ...]:
    return rules.capital, rules.whole_units, rules.delisting_haircut, cost_scale if rules.costs else 0.0
