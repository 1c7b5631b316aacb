"""The account's compiled part: one strategy's days, from order to order."""

from __future__ import annotations

import numpy as np
from numba import njit

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
    START, _GAIN, _INCOME, _INTEREST, _SPREAD, _IMPACT, _HAIRCUT, END, _CASH, _TRADED, _FUNDS, _LARGEST,
) = range(len(ITEMS))  # fmt: skip
TRADE_ITEMS = ("row", "fund", "units", "price", "value", "spread_cost", "impact_cost", "kind")
TRADE_KINDS = ("order", "catch_up", "delisted")
ORDER, CATCH_UP, DELISTED = 0, 1, 2
"""Kinds of trades: on the session ordered; later, the fund not having traded then; paid out at delisting."""
_DONE, _FOR_FILL, _FOR_CASH = 0, 1, 2
_MOST_IMPACT = 0.5
_ROUNDS = 60


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
        row[START] = start
        row[_GAIN] = gain
        row[_INCOME] = income
        row[_INTEREST] = interest
        row[_SPREAD] = spread_cost
        row[_IMPACT] = impact_cost
        row[_HAIRCUT] = lost
        row[END] = end
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
