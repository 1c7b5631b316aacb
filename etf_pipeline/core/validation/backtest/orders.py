"""Which funds a strategy wants, when: target weights decided at one close and traded at a later session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.validation.backtest.market import BacktestError

_SAME_BAR = "delay must be at least 1 session, not {}: the close a target is made of cannot be traded"


@dataclass(frozen=True)
class Orders:
    """Target portfolios.

    Attributes
    ----------
    decided : (R,) int64, rows at whose closes each target was known, ascending.
    executed : (R,) int64, rows on which it is traded, each after its ``decided``.
    start : (R + 1,) int64; funds and weights of target r are ``start[r]:start[r + 1]``.
    fund : (K,) int64 columns; weight : (K,) float64, share of the account's value.
    """

    decided: np.ndarray
    executed: np.ndarray
    start: np.ndarray
    fund: np.ndarray
    weight: np.ndarray


def orders(
    decided: np.ndarray, targets: list[tuple[np.ndarray, np.ndarray]], sessions: int, *, delay: int = 1
) -> Orders:
    """Target portfolios as orders, to be traded ``delay`` sessions after each decision.

    Parameters
    ----------
    decided : (R,) rows, strictly ascending.
    targets : for each, the columns and their weights; a column at most once, weights not negative. What they lack of
        one is held in cash, what they exceed it is borrowed.
    sessions : S; decisions too late to be traded within them are left out.
    delay : sessions from decision to trade, at least one: a portfolio decided at a close cannot trade at it.

    Raises
    ------
    BacktestError : any of that broken, or a row outside the data.
    """
    rows = np.asarray(decided, dtype=np.int64)
    if delay < 1:
        raise BacktestError(_SAME_BAR.format(delay))
    if len(rows) != len(targets) or (np.diff(rows) <= 0).any():
        raise BacktestError("every target needs a session of its own, in order of time")
    if len(rows) and not (rows[0] >= 0 and rows[-1] < sessions):
        raise BacktestError(
            f"a target is decided on row {rows[0] if rows[0] < 0 else rows[-1]}, outside the {sessions} sessions held"
        )
    for row, (fund, weight) in zip(rows, targets, strict=True):
        if len(fund) != len(weight) or len(np.unique(fund)) != len(fund):
            raise BacktestError(f"the target of row {row} names a fund twice, or funds without weights")
        if not (np.isfinite(weight).all() and (np.asarray(weight) >= 0).all()):
            raise BacktestError(f"the target of row {row} has a weight that is negative or no number")
    keep = rows + delay < sessions
    chosen = [target for target, kept in zip(targets, keep, strict=True) if kept]
    sizes = [len(fund) for fund, _ in chosen]
    return Orders(
        decided=rows[keep],
        executed=rows[keep] + delay,
        start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        fund=np.concatenate([np.asarray(f, dtype=np.int64) for f, _ in chosen] or [np.empty(0, np.int64)]),
        weight=np.concatenate([np.asarray(w, dtype=float) for _, w in chosen] or [np.empty(0)]),
    )


def month_ends(sessions: np.ndarray) -> np.ndarray:
    """(M,) rows of the last sessions of calendar months that are over: a later month's session is held."""
    starts = month_starts(np.asarray(sessions, dtype="datetime64[D]")).astype(np.int64)
    return starts[starts > 0] - 1


def every(sessions: np.ndarray, months: int) -> np.ndarray:
    """(M,) rows of the last sessions of every ``months``-th calendar month; 3: of March, June, September, December."""
    rows = month_ends(sessions)
    month = np.asarray(sessions, dtype="datetime64[M]")[rows].astype(np.int64) % 12
    return rows[(month + 1) % months == 0]


def best_ranked(
    rank: np.ndarray,
    rows: np.ndarray,
    *,
    top: int,
    keep: int | None = None,
    weight: np.ndarray | None = None,
    delay: int = 1,
) -> Orders:
    """The first ``top`` funds of each ranking, in equal parts or by given sizes.

    Parameters
    ----------
    rank : (S, N) integers, 1 the best, 0 or less where not ranked.
    rows : (R,) rows whose rankings are used, ascending.
    top : funds held.
    keep : a fund held stays while its rank is at most this, which spares turnover; ``top`` if None.
    weight : (S, N) float64, sizes, brought to a sum of at most one; equal parts of ``1 / top`` if None. Funds without a
        size are not held.
    delay : sessions from ranking to trade.

    Returns
    -------
    Orders. Where fewer than ``top`` funds are ranked, the rest is cash.
    """
    keep = top if keep is None else keep
    if not 1 <= top <= keep:
        raise BacktestError(f"top must be at least 1 and keep at least top; given are top {top}, keep {keep}")
    if delay < 1:
        raise BacktestError(_SAME_BAR.format(delay))
    rows = np.asarray(rows, dtype=np.int64)
    rows = rows[rows + delay < len(rank)]
    chosen = select(np.ascontiguousarray(rank[rows], dtype=np.int64), top, keep)
    taken = chosen >= 0
    if weight is None:
        size = np.full(chosen.shape, 1.0 / top)
    else:
        size = np.where(taken, np.nan_to_num(weight[rows[:, None], chosen], nan=0.0), 0.0)
        size /= np.maximum(1.0, size.sum(axis=1, keepdims=True))
    return selected(chosen, rows, size, delay=delay)


def selected(chosen: np.ndarray, rows: np.ndarray, size: np.ndarray | float, *, delay: int = 1) -> Orders:
    """Orders of what ``select`` chose.

    Parameters
    ----------
    chosen : (R, top) int64 columns, -1 where there is none.
    rows : (R,) int64 rows at whose closes they were chosen.
    size : share of the account's value of each, broadcasts to (R, top).
    delay : sessions from choice to trade.
    """
    taken = chosen >= 0
    start = np.concatenate([[0], np.cumsum(taken.sum(axis=1))]).astype(np.int64)
    return Orders(rows, rows + delay, start, chosen[taken], np.broadcast_to(size, chosen.shape)[taken])


@njit(cache=True, nogil=True)
def select(rank: np.ndarray, top: int, keep: int) -> np.ndarray:
    """Columns held after each of R rankings, -1 where fewer: the held that still rank within ``keep``, then the best.

    Parameters
    ----------
    rank : (R, N) int64, distinct where positive.

    Returns
    -------
    (R, top) int64, ascending columns, -1 at the end.
    """
    count, funds = rank.shape
    out = np.full((count, top), -1)
    held = np.zeros(funds, dtype=np.bool_)
    at = np.full(max(keep, top) + 1, -1)
    for r in range(count):
        at[:] = -1
        size = 0
        for i in range(funds):
            place = rank[r, i]
            if 0 < place <= keep:
                at[place] = i
            if held[i]:
                held[i] = 0 < place <= keep
        # Those held that stay, the best first, then others by rank.
        taken = np.zeros(funds, dtype=np.bool_)
        for place in range(1, keep + 1):
            i = at[place]
            if i >= 0 and held[i] and size < top:
                taken[i] = True
                size += 1
        for place in range(1, keep + 1):
            i = at[place]
            if i >= 0 and not taken[i] and size < top:
                taken[i] = True
                size += 1
        k = 0
        for i in range(funds):
            held[i] = taken[i]
            if taken[i]:
                out[r, k] = i
                k += 1
    return out
