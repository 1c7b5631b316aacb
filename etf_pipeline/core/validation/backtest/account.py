"""The account: what a strategy's orders would have earned, day by day, to the cent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import njit

from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.validation.backtest.market import BacktestError, TradingMarket
from etf_pipeline.core.validation.backtest.orders import Orders

ITEMS = (
    "start",
    "price_gain",
    "income",
    "interest",
    "spread_cost",
    "impact_cost",
    "haircut",
    "end",
    "cash",
    "traded",
    "funds",
    "largest_weight",
)
"""Columns of the daily account; ``end`` is the sum of what is held, independently of the items before it."""
(
    _START, _GAIN, _INCOME, _INTEREST, _SPREAD, _IMPACT, _HAIRCUT, _END, _CASH, _TRADED, _FUNDS, _LARGEST,
) = range(len(ITEMS))  # fmt: skip
TRADE_ITEMS = ("row", "fund", "units", "price", "value", "spread_cost", "impact_cost", "kind")
TRADE_KINDS = ("order", "catch_up", "delisted")
ORDER, CATCH_UP, DELISTED = 0, 1, 2
"""Kinds of trades: on the session ordered; later, the fund not having traded then; paid out at delisting."""
_DONE, _FOR_FILL, _FOR_CASH = 0, 1, 2
CENT = 0.01
_MOST_IMPACT = 0.5
_ROUNDS = 60


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
            out[first:, k] = own[:, _END] / own[:, _START] - 1.0

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


@njit(cache=True, nogil=True)
def _charge(value: float, half_spread: float, impact: float) -> tuple[float, float]:
    """Spread and impact costs of trading ``value``, which may be negative."""
    size = abs(value)
    return half_spread * size, min(impact * np.sqrt(size), _MOST_IMPACT) * size


@njit(cache=True, nogil=True)
def run_account(
    mark: np.ndarray,
    fill: np.ndarray,
    at_open: bool,
    event_start: np.ndarray,
    event_fund: np.ndarray,
    event_units: np.ndarray,
    event_cash: np.ndarray,
    event_gone: np.ndarray,
    half_spread: np.ndarray,
    impact: np.ndarray,
    deposit: np.ndarray,
    loan: np.ndarray,
    executed: np.ndarray,
    order_start: np.ndarray,
    order_fund: np.ndarray,
    order_weight: np.ndarray,
    capital: float,
    whole_units: bool,
    haircut: float,
    cost_scale: float,
    written: np.ndarray,
    daily: np.ndarray,
    trades: np.ndarray,
    holdings: np.ndarray,
) -> tuple[int, int]:
    """One account: fills ``daily``, and ``trades`` and ``holdings`` as far as there is room; returns their lengths."""
    sessions, funds = mark.shape
    units = np.zeros(funds)
    target = np.zeros(funds)
    waits = np.zeros(funds, dtype=np.int8)
    listed = np.zeros(funds, dtype=np.bool_)
    # Columns that are held or wait; those that are neither any more are dropped as they are met.
    active = np.empty(funds, dtype=np.int64)
    count = 0
    waiting = 0
    cash = capital
    end = capital
    first = executed[0]
    order = 0
    made = 0
    held = 0
    for t in range(first, sessions):
        start = end
        income = 0.0
        spread_cost = 0.0
        impact_cost = 0.0
        lost = 0.0
        traded = 0.0
        interest = 0.0 if t == first else cash * (deposit[t] if cash > 0 else loan[t])
        cash += interest
        # What the holdings were worth at the close before, in yesterday's marks.
        worth = 0.0
        if t > first:
            for k in range(count):
                i = active[k]
                if units[i] != 0.0:
                    worth += units[i] * mark[t - 1, i]
        for e in range(event_start[t], event_start[t + 1]):
            i = event_fund[e]
            if units[i] != 0.0:
                paid = units[i] * event_cash[e]
                income += paid
                cash += paid
                units[i] *= event_units[e]

        if order < len(executed) and executed[order] == t:
            for k in range(count):
                target[active[k]] = 0.0
                waits[active[k]] = _FOR_FILL
            for k in range(order_start[order], order_start[order + 1]):
                i = order_fund[k]
                target[i] = order_weight[k]
                waits[i] = _FOR_FILL
                if not listed[i]:
                    listed[i] = True
                    active[count] = i
                    count += 1
            waiting = count
            order += 1
            kind = ORDER
        else:
            kind = CATCH_UP
        bought = 0.0
        if waiting > 0:
            made, cash, bought, traded, spread_cost, impact_cost = _trade(
                t,
                kind,
                mark,
                fill,
                at_open,
                half_spread,
                impact,
                cost_scale,
                whole_units,
                units,
                target,
                waits,
                active,
                count,
                cash,
                trades,
                made,
            )
            waiting = 0
            for k in range(count):
                if waits[active[k]] != _DONE:
                    waiting += 1

        # A fund known to be gone pays out at this close.
        for e in range(event_start[t], event_start[t + 1]):
            i = event_fund[e]
            if event_gone[e]:
                if units[i] != 0.0:
                    value = units[i] * mark[t, i]
                    if made < len(trades):
                        trades[made, 0] = t
                        trades[made, 1] = i
                        trades[made, 2] = -units[i]
                        trades[made, 3] = mark[t, i]
                        trades[made, 4] = -value
                        trades[made, 5] = 0.0
                        trades[made, 6] = 0.0
                        trades[made, 7] = DELISTED
                    made += 1
                    bought -= value
                    cash += value * (1.0 - haircut)
                    lost += value * haircut
                    units[i] = 0.0
                if waits[i] != _DONE:
                    waits[i] = _DONE
                    waiting -= 1

        value = 0.0
        largest = 0.0
        kept = 0
        number = 0
        for k in range(count):
            i = active[k]
            if units[i] == 0.0 and waits[i] == _DONE:
                listed[i] = False
                continue
            active[kept] = i
            kept += 1
            if units[i] != 0.0:
                one = units[i] * mark[t, i]
                value += one
                largest = max(largest, one)
                number += 1
        count = kept
        gain = value - worth - bought
        end = cash + value
        row = daily[t - first]
        row[_START] = start
        row[_GAIN] = gain
        row[_INCOME] = income
        row[_INTEREST] = interest
        row[_SPREAD] = spread_cost
        row[_IMPACT] = impact_cost
        row[_HAIRCUT] = lost
        row[_END] = end
        row[_CASH] = cash
        row[_TRADED] = traded
        row[_FUNDS] = number
        row[_LARGEST] = largest / end if end > 0 else 0.0
        if written[t]:
            for k in range(count):
                i = active[k]
                if units[i] != 0.0:
                    if held < len(holdings):
                        holdings[held, 0] = t
                        holdings[held, 1] = i
                        holdings[held, 2] = units[i]
                        holdings[held, 3] = units[i] * mark[t, i]
                    held += 1
    return made, held


@njit(cache=True, nogil=True)
def _trade(
    t: int,
    kind: int,
    mark: np.ndarray,
    fill: np.ndarray,
    at_open: bool,
    half_spread: np.ndarray,
    impact: np.ndarray,
    cost_scale: float,
    whole_units: bool,
    units: np.ndarray,
    target: np.ndarray,
    waits: np.ndarray,
    active: np.ndarray,
    count: int,
    cash: float,
    trades: np.ndarray,
    made: int,
) -> tuple[int, float, float, float, float, float]:
    """Trade what waits and can be traded. Returns trades made, cash, value bought less sold, value traded, costs."""
    released = False
    for k in range(count):
        i = active[k]
        released |= waits[i] == _FOR_FILL and fill[t, i] > 0
    if not released:
        return made, cash, 0.0, 0.0, 0.0, 0.0
    able = np.empty(count, dtype=np.int64)
    have = np.empty(count)
    stuck = False
    number = 0
    fixed = 0.0
    wanted = 0.0
    all_wanted = 0.0
    for k in range(count):
        i = active[k]
        all_wanted += target[i]
        price = fill[t, i]
        if waits[i] != _DONE and price > 0:
            able[number] = i
            have[number] = units[i] * price
            wanted += target[i]
            number += 1
        elif units[i] != 0.0:
            # Cannot be traded, or was already: worth what it was last seen at.
            stuck |= waits[i] == _FOR_FILL
            seen = mark[t - 1, i] if at_open and t > 0 and not price > 0 else mark[t, i]
            fixed += units[i] * (price if at_open and price > 0 else seen)
    total = cash + fixed
    for k in range(number):
        total += have[k]
    cost = 0.0
    share = 1.0
    for _ in range(_ROUNDS):
        left = total - cost
        # Targets cannot have what is stuck elsewhere, nor more than the whole set was to have.
        room = left * max(1.0, all_wanted) - fixed
        share = 1.0 if wanted * left <= room else max(room, 0.0) / (wanted * left)
        again = 0.0
        for k in range(number):
            i = able[k]
            change = target[i] * share * left - have[k]
            a, b = _charge(change, cost_scale * half_spread[t, i], cost_scale * impact[t, i])
            again += a + b
        done = abs(again - cost) <= 1e-13 * abs(total)
        cost = again
        if done:
            break
    left = max(total - cost, 0.0)
    bought = 0.0
    traded = 0.0
    spread_cost = 0.0
    impact_cost = 0.0
    for k in range(number):
        i = able[k]
        price = fill[t, i]
        aim = target[i] * share * left / price
        if whole_units:
            aim = np.floor(aim + 1e-9)
        change = aim - units[i]
        waits[i] = _FOR_CASH if stuck and share < 1.0 and target[i] > 0 else _DONE
        if change == 0.0:
            continue
        value = change * price
        a, b = _charge(value, cost_scale * half_spread[t, i], cost_scale * impact[t, i])
        units[i] = aim
        cash -= value + a + b
        bought += value
        traded += abs(value)
        spread_cost += a
        impact_cost += b
        if made < len(trades):
            trades[made, 0] = t
            trades[made, 1] = i
            trades[made, 2] = change
            trades[made, 3] = price
            trades[made, 4] = value
            trades[made, 5] = a
            trades[made, 6] = b
            trades[made, 7] = kind
        made += 1
    return made, cash, bought, traded, spread_cost, impact_cost
