"""What a backtest needs of a market, prepared once for all the strategies run on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numba import njit

from etf_pipeline.core.market.returns import PRICE_BASES, PriceBasis
from etf_pipeline.core.portfolio.costs import TradingCosts

TradeAt = Literal["open", "close"]


class BacktestError(ValueError):
    """A backtest that cannot be what was meant; the message says what to change."""


@dataclass(frozen=True)
class TradingMarket:
    """Prices, actions and costs as an account meets them.

    Attributes
    ----------
    sessions : (S,) datetime64[D]; tickers : (N,) str.
    mark : (S, N) float64, last accepted close at or before each session, in units of that session; NaN before the
        first. What a holding is worth.
    fill : (S, N) float64, price at which the session's trades are made, NaN where the fund cannot be traded.
    at_open : whether ``fill`` is the open: the holding then earns the session's move only for what it holds by then.
    event_start : (S + 1,) int64; events of session t are ``event_start[t]:event_start[t + 1]``.
    event_fund : (E,) int64; event_units : (E,) float64, units after for one before; event_cash : (E,) float64, cash
        for each unit held at the close before; event_gone : (E,) bool, the fund is known to be gone at this close.
    costs : TradingCosts.
    deposit, loan : (S,) float64, interest on one unit of cash held, or owed, since the session before.
    """

    sessions: np.ndarray
    tickers: np.ndarray
    mark: np.ndarray
    fill: np.ndarray
    at_open: bool
    event_start: np.ndarray
    event_fund: np.ndarray
    event_units: np.ndarray
    event_cash: np.ndarray
    event_gone: np.ndarray
    costs: TradingCosts
    deposit: np.ndarray
    loan: np.ndarray

    def row(self, session: np.datetime64) -> int:
        """Where ``session`` stands.

        Raises
        ------
        BacktestError : it is none of the sessions held.
        """
        day = np.asarray(session, dtype="datetime64[D]")
        at = int(np.searchsorted(self.sessions, day))
        if at >= len(self.sessions) or self.sessions[at] != day:
            raise BacktestError(
                f"{day} is no session of the data, which runs from {self.sessions[0]} to {self.sessions[-1]}: "
                "choose a session within it, or load more history"
            )
        return at


def trading_market(
    sessions: np.ndarray,
    tickers: np.ndarray,
    open_: np.ndarray,
    close: np.ndarray,
    accepted: np.ndarray,
    scale: np.ndarray,
    split: np.ndarray,
    distribution: np.ndarray,
    gone: np.ndarray,
    costs: TradingCosts,
    *,
    basis: PriceBasis,
    trade_at: TradeAt = "close",
    deposit: np.ndarray | None = None,
    loan: np.ndarray | None = None,
) -> TradingMarket:
    """Turn judged bars into what an account meets: marks, fills and events.

    Parameters
    ----------
    sessions : (S,) datetime64[D], ascending; tickers : (N,) str.
    open_, close : (S, N) float64, finite and positive where accepted (an open that is not is taken from the close).
    accepted : (S, N) bool, bars the quality stage let through.
    scale : (S, N) float64; ``close / scale`` compares with the previous accepted close; NaN where nothing does: the
        holding then keeps its value over the break, as nobody knows what became of it.
    split, distribution : (S, N) float64, units for one unit and cash a unit with that ex-date; 1 and 0 where none. Used
        as ``basis`` says, as in ``core.market.returns.total_return``, whose returns the account reproduces.
    gone : (S, N) bool, the fund was known to be delisted at the session's close.
    costs : TradingCosts of (S, N).
    basis : what the prices are.
    trade_at : price of the session's trades.
    deposit, loan : (S,) float64, interest since the session before on cash held and owed; none if None.

    Returns
    -------
    TradingMarket.

    Raises
    ------
    BacktestError : panels that differ in shape, or an unknown basis or ``trade_at``.

    Notes
    -----
    A distribution is cash at its ex-date; the day it is paid is not known to most sources.
    """
    if basis not in PRICE_BASES or trade_at not in ("open", "close"):
        raise BacktestError(f"unknown basis {basis!r} or trade_at {trade_at!r}")
    for panel in (open_, accepted, scale, split, distribution, gone, costs.half_spread, costs.impact):
        if panel.shape != close.shape or close.shape != (len(sessions), len(tickers)):
            raise BacktestError(
                f"panels differ in shape: {panel.shape}, close {close.shape}, "
                f"{len(sessions)} sessions, {len(tickers)} tickers"
            )
    none = np.zeros(len(sessions))
    floats = [np.ascontiguousarray(p, dtype=np.float64) for p in (open_, close, scale, split, distribution)]
    flags = [np.ascontiguousarray(p, dtype=np.bool_) for p in (accepted, gone)]
    uses = (basis == "as_traded", basis != "total_return_adjusted", trade_at == "open")
    arguments: tuple[Any, ...] = (*floats, *flags, *uses)
    mark, fill, start, fund, units, cash, ends = prepare(*arguments)
    return TradingMarket(
        sessions=np.asarray(sessions, dtype="datetime64[D]"),
        tickers=np.asarray(tickers, dtype=str),
        mark=mark,
        fill=fill,
        at_open=trade_at == "open",
        event_start=start,
        event_fund=fund,
        event_units=units,
        event_cash=cash,
        event_gone=ends,
        costs=costs,
        deposit=none if deposit is None else np.asarray(deposit, dtype=float),
        loan=none if loan is None else np.asarray(loan, dtype=float),
    )


@njit(cache=True, nogil=True)
def prepare(
    open_: np.ndarray,
    close: np.ndarray,
    scale: np.ndarray,
    split: np.ndarray,
    distribution: np.ndarray,
    accepted: np.ndarray,
    gone: np.ndarray,
    use_split: bool,
    use_cash: bool,
    at_open: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Marks and fills, (S, N), and events of a market, in one pass over its (S, N) panels."""
    sessions, funds = close.shape
    mark = np.empty((sessions, funds))
    fill = np.empty((sessions, funds))
    start = np.zeros(sessions + 1, dtype=np.int64)
    room = 256
    fund, units = np.empty(room, dtype=np.int64), np.empty(room)
    cash, ends = np.empty(room), np.empty(room, dtype=np.bool_)
    last = np.full(funds, np.nan)
    number = 0
    for t in range(sessions):
        if number + funds > room:
            more = max(room, funds)
            room += more
            fund = np.concatenate((fund, np.empty(more, dtype=np.int64)))
            units = np.concatenate((units, np.empty(more)))
            cash = np.concatenate((cash, np.empty(more)))
            ends = np.concatenate((ends, np.empty(more, dtype=np.bool_)))
        for i in range(funds):
            factor = split[t, i] if use_split and split[t, i] > 0 else 1.0
            if accepted[t, i] and close[t, i] > 0:
                price = close[t, i]
                fill[t, i] = open_[t, i] if at_open and 0 < open_[t, i] < np.inf else price
                if not np.isnan(last[i]):
                    # Where nothing says what became of a unit, its value stays.
                    factor = factor / scale[t, i] if scale[t, i] > 0 else last[i] / price
                last[i] = price
            else:
                fill[t, i] = np.nan
                last[i] = last[i] / factor
            paid = distribution[t, i] if use_cash and distribution[t, i] > 0 else 0.0
            end = gone[t, i] and (t == 0 or not gone[t - 1, i])
            mark[t, i] = last[i]
            if factor != 1.0 or paid != 0.0 or end:
                fund[number], units[number], cash[number], ends[number] = i, factor, paid, end
                number += 1
        start[t + 1] = number
    return (
        mark,
        fill,
        start,
        fund[:number].copy(),
        units[:number].copy(),
        cash[:number].copy(),
        ends[:number].copy(),
    )
