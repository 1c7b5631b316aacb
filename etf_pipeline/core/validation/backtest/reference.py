"""The account once more, plainly, with dictionaries: what the kernel is tested against."""

from __future__ import annotations

import math

import numpy as np

from etf_pipeline.core.validation.backtest.account import AccountRules
from etf_pipeline.core.validation.backtest.market import TradingMarket
from etf_pipeline.core.validation.backtest.orders import Orders


def account_reference(
    market: TradingMarket, orders: Orders, rules: AccountRules, cost_scale: float = 1.0
) -> dict[str, np.ndarray]:
    """Daily ``end``, ``cash``, ``income``, ``cost`` and ``price_gain`` of ``backtest``, (D,) each.

    ``price_gain`` is summed fund by fund from price changes, ``end`` from holdings: they are not made of each other.
    """
    scale = cost_scale if rules.costs else 0.0
    held: dict[int, float] = {}
    pending: dict[int, float] = {}
    for_cash: set[int] = set()
    whole = 1.0
    cash = rules.capital
    out: dict[str, list[float]] = {name: [] for name in ("end", "cash", "income", "cost", "price_gain")}
    first = int(orders.executed[0])
    due = {int(row): r for r, row in enumerate(orders.executed)}
    for t in range(first, len(market.sessions)):
        if t > first:
            cash += cash * (market.deposit[t] if cash > 0 else market.loan[t])
        income = cost = gain = 0.0
        reference = {i: market.mark[t - 1, i] for i in held} if t > 0 else {}
        events = range(market.event_start[t], market.event_start[t + 1])
        for e in events:
            i = int(market.event_fund[e])
            if i in held:
                income += held[i] * market.event_cash[e]
                held[i] *= market.event_units[e]
                reference[i] /= market.event_units[e]
        cash += income
        if t in due:
            r = due[t]
            names = slice(orders.start[r], orders.start[r + 1])
            pending = dict.fromkeys(held, 0.0) | dict(
                zip(orders.fund[names].tolist(), orders.weight[names].tolist(), strict=True)
            )
            for_cash = set()
            whole = max(1.0, sum(orders.weight[names]))

        def worth(i: int, at: int = t) -> float:
            price = market.fill[at, i]
            if price > 0:
                return float(price)
            return float(market.mark[at, i])

        def price_of(change: float, i: int, at: int = t) -> float:
            size = abs(change)
            moved = min(scale * market.costs.impact[at, i] * math.sqrt(size), 0.5)
            return size * (scale * market.costs.half_spread[at, i] + moved)

        able = sorted(i for i in pending if market.fill[t, i] > 0)
        if set(able) - for_cash:
            total = cash + sum(units * worth(i) for i, units in held.items())
            stuck = sum(units * worth(i) for i, units in held.items() if i not in able)
            before = {i: held.get(i, 0.0) for i in able}

            charge = 0.0
            for _ in range(200):
                aims = _plan(total - charge, {i: pending[i] for i in able}, whole, stuck)
                charge = sum(price_of(aims[i] - before[i] * worth(i), i) for i in able)
            aims = _plan(total - charge, {i: pending[i] for i in able}, whole, stuck)
            left = total - charge
            waits = sum(pending[i] for i in able) * left > left * whole - stuck and any(
                i in pending and i not in able and i not in for_cash for i in held
            )
            for i in able:
                units = aims[i] / worth(i)
                if rules.whole_units:
                    units = math.floor(units + 1e-9)
                value = (units - before[i]) * worth(i)
                paid = price_of(value, i)
                cash -= value + paid
                cost += paid
                # What was held earns up to the fill, what is held from then on earns from it.
                if before[i]:
                    gain += before[i] * (worth(i) - reference[i])
                held[i] = units
                reference[i] = worth(i)
                if waits and pending[i] > 0:
                    for_cash.add(i)
                else:
                    del pending[i]
                    for_cash.discard(i)
        for i, units in held.items():
            if units:
                gain += units * (market.mark[t, i] - reference[i])
        for e in events:
            i = int(market.event_fund[e])
            if market.event_gone[e]:
                pending.pop(i, None)
                value = held.pop(i, 0.0) * market.mark[t, i]
                if value:
                    cash += value * (1.0 - rules.delisting_haircut)
        held = {i: units for i, units in held.items() if units}
        end = cash + sum(units * market.mark[t, i] for i, units in held.items())
        for name, value in (
            ("end", end),
            ("cash", cash),
            ("income", income),
            ("cost", cost),
            ("price_gain", gain),
        ):
            out[name].append(float(value))
    return {name: np.array(values) for name, values in out.items()}


def _plan(left: float, wanted: dict[int, float], whole: float, stuck: float) -> dict[int, float]:
    """Values to hold of what can be traded: the share wanted of ``left``, cut to what is not stuck elsewhere."""
    total = sum(wanted.values()) * left
    room = left * whole - stuck
    share = 1.0 if total <= room else max(room, 0.0) / total
    return {i: weight * share * max(left, 0.0) for i, weight in wanted.items()}
