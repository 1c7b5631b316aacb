"""Efficient prices as traded: total returns with distributions paid out and splits called on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.simulation.catalogue import Fund
from etf_pipeline.core.market.simulation.fund_returns import FundReturns
from etf_pipeline.core.market.simulation.life import Lives
from etf_pipeline.core.market.simulation.model import TRADING_DAYS
from etf_pipeline.core.market.simulation.streams import stream

_PAYMENT_MONTHS = {
    0: (),
    1: (6,),
    2: (6, 12),
    4: (3, 6, 9, 12),
    12: tuple(range(1, 13)),
}
_INTERIM_SHARE = 0.75
"""Share of the accrued income paid at other dates than 30 June, which empties the account."""
_LARGEST_DISTRIBUTION = 0.30
WRONG_DATE_GAIN = 0.14
"""Capital gain, share of the price, in the distribution that a vendor will record on the wrong date."""
_CONSOLIDATION = 0.1
_SETTLED = 30
"""Sessions after listing before the first distribution or split."""


@dataclass(frozen=True)
class Prices:
    """(S, N); NaN price before inception and after the last session.

    Attributes
    ----------
    price : efficient price at the close, as traded.
    previous : efficient price of the session before in the units and without the distribution of this one:
        ``price / previous - 1`` is the price return.
    split : units after for one before with that ex-date, 1 where none.
    distribution : cash a unit with that ex-date, 0 where none; never on a split's date.
    total_return : NaN outside life; from the session after listing.
    """

    price: np.ndarray
    previous: np.ndarray
    split: np.ndarray
    distribution: np.ndarray
    total_return: np.ndarray


def payment_months(sessions: np.ndarray) -> np.ndarray:
    """(S,) month (1..12) whose payment falls on the session, 0 for none.

    A month's distribution goes ex on the first session on or after its 30th (28th in February), known
    without looking ahead. Never on the first session.
    """
    month = sessions.astype("datetime64[M]")
    number = month.astype(int) % 12 + 1
    day = month.astype("datetime64[D]") + np.where(number == 2, 27, 29)
    result = np.zeros(len(sessions), dtype=int)
    if len(sessions) > 1:
        before, now = sessions[:-1], sessions[1:]
        own = (before < day[1:]) & (day[1:] <= now)
        late = (before < day[:-1]) & (day[:-1] <= now)
        result[1:] = np.where(own, number[1:], np.where(late, number[:-1], 0))
    return result


def simulate_prices(
    seed: int,
    sessions: np.ndarray,
    funds: Sequence[Fund],
    returns: FundReturns,
    lives: Lives,
    cash_rate: np.ndarray,
) -> Prices:
    """Walk the prices forward: ``price * split + distribution = previous price * (1 + return)``.

    Income accrues daily and is paid at the fund's dates, most of it on 30 June with the year's capital gains.
    On the first session of a month without a payment a fund whose price has left its range is split or
    consolidated. Distributions are declared to a hundredth of a cent.
    """
    n_sessions, n_funds = returns.total_return.shape
    months = payment_months(sessions)
    first_of_month = np.concatenate([[False], np.diff(sessions.astype("datetime64[M]").astype(int)) > 0])
    pays = np.array([[m in _PAYMENT_MONTHS[f.payments] for f in funds] for m in range(13)])
    gains = _capital_gains(seed, funds, months)
    inception = np.array([f.inception for f in funds])
    listing = np.array([f.listing for f in funds])
    income = np.array([f.income for f in funds])
    is_cash = np.array([f.is_cash for f in funds])
    split_above = np.array([f.split_above for f in funds])
    split_ratio = np.array([f.split_ratio for f in funds])
    consolidate_below = np.array([f.consolidate_below for f in funds])
    forced_at = np.array([f.forced_split_at for f in funds])
    forced = np.array([f.forced_split for f in funds])
    start_price = np.array([f.price for f in funds])
    price = np.full((n_sessions, n_funds), np.nan)
    previous = np.full((n_sessions, n_funds), np.nan)
    split, distribution = np.ones((n_sessions, n_funds)), np.zeros((n_sessions, n_funds))
    total_return = np.full((n_sessions, n_funds), np.nan)
    still_forced = forced_at >= 0
    now, account = start_price.copy(), np.zeros(n_funds)
    for t in range(n_sessions):
        born, alive = t > inception, (t >= inception) & (t <= lives.last)
        settled = alive & (t > listing + _SETTLED)
        paying = settled & pays[months[t]]
        may_split = settled & ~paying & first_of_month[t] & ~still_forced
        ratio = np.where(may_split & (now > split_above), split_ratio, 1.0)
        ratio = np.where(may_split & (now < consolidate_below), _CONSOLIDATION, ratio)
        due_by_force = settled & ~paying & still_forced & (forced_at <= t)
        ratio = np.where(due_by_force, forced, ratio)
        still_forced &= ~due_by_force
        before = now / ratio
        grown = np.where(born, before * (1.0 + returns.total_return[t]), before)
        account = np.where(born & alive, account + now * _income_rate(t, income, is_cash, cash_rate), account)
        account = account / ratio
        june = months[t] == 6
        due = account * (1.0 if june else _INTERIM_SHARE) + (gains[t] * before if june else 0.0)
        paid = np.where(paying, np.round(np.minimum(due, _LARGEST_DISTRIBUTION * grown), 4), 0.0)
        account = np.where(paying, np.maximum(account - paid, 0.0), account)
        now = np.where(born & alive, grown - paid, now)
        price[t] = np.where(alive, now, np.nan)
        previous[t] = np.where(alive, before - paid, np.nan)
        split[t] = np.where(alive, ratio, 1.0)
        distribution[t] = np.where(alive, paid, 0.0)
        total_return[t] = np.where(alive & (t > listing), returns.total_return[t], np.nan)
    return Prices(price, previous, split, distribution, total_return)


def _income_rate(t: int, income: np.ndarray, is_cash: np.ndarray, cash_rate: np.ndarray) -> np.ndarray:
    """(N,) income accrued in session t, fraction of the price."""
    cash = max(float(cash_rate[max(t - 1, 0)]) / 100.0 - 0.001, 0.0)
    return np.where(is_cash, cash, income) / TRADING_DAYS


def _capital_gains(seed: int, funds: Sequence[Fund], months: np.ndarray) -> np.ndarray:
    """(S, N) share of the price paid as capital gains on the 30 June sessions, 0 elsewhere."""
    gains = np.zeros((len(months), len(funds)))
    junes = np.flatnonzero(months == 6)
    for i, fund in enumerate(funds):
        draws = stream(seed, "capital_gain", fund.index).standard_exponential(len(junes))
        gains[junes, i] = np.minimum(fund.capital_gain * draws, 0.12)
        if fund.defect == "distribution_adjusted_on_wrong_date":
            due = junes[junes >= fund.defect_at]
            gains[due[:1], i] = WRONG_DATE_GAIN
    return gains
