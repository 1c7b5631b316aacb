"""What looking at today's funds alone would have added: the same strategy on all funds, on survivors, on those that died.

Who is a survivor is judged at the end of each year, by the deaths known then.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from etf_pipeline.core.validation.annual_performance import scopes
from etf_pipeline.core.validation.backtest import (
    AccountRules,
    BacktestError,
    TradingMarket,
    backtest,
)
from etf_pipeline.core.validation.backtest.orders import select, selected
from etf_pipeline.core.validation.information_coefficient import Groups
from etf_pipeline.core.validation.paired_performance import MEASURES, paired_difference
from etf_pipeline.core.validation.periods import complete_years
from etf_pipeline.core.validation.stationary_bootstrap import optimal_block_length, resampled_means

UNIVERSES = np.array(["point_in_time", "survivors", "died"])
"""Funds a strategy chooses from: all that were ranked; those not known to be gone at the year's end; the others."""
BIASES = np.array(["survivors", "died"])
"""Universes compared with the point-in-time one."""
SURVIVORSHIP_MEASURES = np.array([*MEASURES, "mean_rank"])
"""Those of ``paired_performance``; and the mean over rankings of the mean rank of the universe's funds among all ranked of
their group, 0 for the best place and 1 for the worst."""


@dataclass(frozen=True)
class SurvivorshipBias:
    """P years, 2 ``periods.SCOPES``, G groups, 3 ``UNIVERSES``, 2 ``BIASES``, 3 ``SURVIVORSHIP_MEASURES``.

    Attributes
    ----------
    year : (P,) int32; group : (G,) str.
    funds : (P, 2, G, 3) int64, distinct funds ranked.
    sessions : (P, 2, G, 2) int64, on which both the universe and the point-in-time one held a fund.
    value : (P, 2, G, 3, 3) float64, of each universe's own sessions.
    difference, lower, upper : (P, 2, G, 2, 3) float64, the universe's less the point-in-time one's, over the sessions both
        have, and its interval. NaN with fewer than 30 of them, or 5 rankings for the mean rank.
    """

    year: np.ndarray
    group: np.ndarray
    funds: np.ndarray
    sessions: np.ndarray
    value: np.ndarray
    difference: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def survivorship_bias(
    market: TradingMarket,
    rank: np.ndarray,
    rows: np.ndarray,
    groups: Groups,
    *,
    top: int,
    keep: int | None = None,
    delay: int = 1,
    account: AccountRules | None = None,
    gone: np.ndarray | None = None,
    replications: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> SurvivorshipBias:
    """Run a strategy on each universe and compare.

    Parameters
    ----------
    market : TradingMarket; a fund has died where the market has it ``event_gone``.
    rank : (R, N) int64, point in time, 1 the best, 0 where not ranked; rows : (R,) its rows, ascending.
    groups : everyone and each asset class (``information_coefficient.fund_groups``).
    top, keep, delay : as ``best_ranked`` takes them. Fewer funds than ``top`` share the whole account; with none there is
        nothing to compare.
    account : AccountRules, the defaults if None.
    gone : (S, N) bool, known to be gone at the close: one that trades again is no longer. If None, for ever from the
        market's ``event_gone`` on.
    replications, confidence, seed : of the bootstrap, as ``paired_difference`` takes them.

    Returns
    -------
    SurvivorshipBias. Cutting the data leaves the years that were over before as they are.

    Raises
    ------
    BacktestError : shapes that differ, or impossible top, keep or delay.

    Notes
    -----
    The order of the funds is kept: what the scores would have been had the others never been seen is another question.
    Brown, Goetzmann, Ibbotson and Ross (1992), Survivorship bias in performance studies, RFS 5, 553-580; Elton, Gruber and
    Blake (1996), Survivorship bias and mutual fund performance, RFS 9, 1097-1120.
    """
    keep = top if keep is None else keep
    at = np.asarray(rows, dtype=np.int64)
    if rank.shape != (len(at), len(market.tickers)) or len(groups.order) != rank.shape[1]:
        raise BacktestError(
            f"rank {rank.shape} must be ({len(at)} rows, {len(market.tickers)} funds), as the groups' "
            f"{len(groups.order)} funds"
        )
    if not 1 <= top <= keep or delay < 1:
        raise BacktestError(f"top and delay must be at least 1, keep at least top: {top}, {delay}, {keep}")
    used = at + delay < len(market.sessions)
    at, ranked = at[used], np.ascontiguousarray(rank[used], dtype=np.int64)
    dead = np.arange(len(market.sessions))[:, None] >= gone_rows(market) if gone is None else gone
    years = complete_years(market.sessions)
    shape = (len(years.year), 2, len(groups.names))
    funds, sessions = np.zeros((*shape, 3), dtype=np.int64), np.zeros((*shape, 2), dtype=np.int64)
    value = np.full((*shape, 3, 3), np.nan)
    difference, lower, upper = (np.full((*shape, 2, 3), np.nan) for _ in range(3))
    held = partial(_held_returns, market, rows=at, top=top, keep=keep, delay=delay, account=account)
    compare = partial(paired_difference, replications=replications, confidence=confidence, seed=seed)
    mean_of = partial(_mean_interval, replications=replications, confidence=confidence, seed=seed)
    for g, (begin, end) in enumerate(groups.bounds):
        inside = np.zeros(rank.shape[1], dtype=bool)
        inside[groups.order[begin:end]] = True
        everyone = _ranked_among(ranked, inside)
        whole = held(everyone)
        place = _place(everyone)
        for p in range(len(years.year)):
            alive = inside & ~dead[years.end[p] - 1]
            masks = (inside, alive, inside & ~alive)
            returns = [
                whole,
                *(held(_ranked_among(ranked, mask)) for mask in masks[1:]),
            ]
            for _, scope, own in (s for s in scopes(years) if s[0] == p):
                inside_scope = (at >= own.start) & (at < own.stop)
                places = [_mean_place(place[inside_scope], mask) for mask in masks]
                for u in range(3):
                    known = returns[u][own]
                    alone = paired_difference(known, known)
                    value[p, scope, g, u, :2] = alone.first
                    value[p, scope, g, u, 2] = _mean(places[u])
                    seen = (ranked[inside_scope] > 0) & masks[u]
                    funds[p, scope, g, u] = seen.any(axis=0).sum()
                for b in range(2):
                    pair = compare(returns[1 + b][own], whole[own])
                    sessions[p, scope, g, b] = pair.sessions
                    difference[p, scope, g, b, :2] = pair.difference
                    lower[p, scope, g, b, :2], upper[p, scope, g, b, :2] = pair.lower, pair.upper
                    mean, low, high = mean_of(places[1 + b] - places[0])
                    difference[p, scope, g, b, 2] = mean
                    lower[p, scope, g, b, 2], upper[p, scope, g, b, 2] = low, high
    return SurvivorshipBias(
        year=years.year,
        group=groups.names,
        funds=funds,
        sessions=sessions,
        value=value,
        difference=difference,
        lower=lower,
        upper=upper,
    )


def gone_rows(market: TradingMarket) -> np.ndarray:
    """(N,) int64 row at whose close each fund was first known to be gone; S for those that are not."""
    out = np.full(len(market.tickers), len(market.sessions), dtype=np.int64)
    ends = np.flatnonzero(market.event_gone)
    row = np.searchsorted(market.event_start, ends, side="right") - 1
    np.minimum.at(out, market.event_fund[ends], row)
    return out


def _ranked_among(rank: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(R, N) ranks among the funds inside only, in the same order; 0 elsewhere."""
    last = np.iinfo(np.int64).max
    key = np.where((rank > 0) & inside, rank, last)
    order = np.argsort(key, axis=1, kind="stable")
    out = np.empty_like(key)
    places = np.broadcast_to(np.arange(1, rank.shape[1] + 1), rank.shape)
    np.put_along_axis(out, order, places, axis=1)
    return np.where(key < last, out, 0)


def _held_returns(
    market: TradingMarket,
    rank: np.ndarray,
    *,
    rows: np.ndarray,
    top: int,
    keep: int,
    delay: int,
    account: AccountRules | None,
) -> np.ndarray:
    """(S,) daily returns of the best ranked in equal parts of the whole; NaN where no fund was held at the close before."""
    out = np.full(len(market.sessions), np.nan)
    any_ranked = np.flatnonzero((rank > 0).any(axis=1))
    if not len(any_ranked):
        return out
    begin = int(any_ranked[0])
    chosen = select(rank[begin:], top, keep)
    size = 1.0 / np.maximum((chosen >= 0).sum(axis=1, keepdims=True), 1)
    made = backtest(market, selected(chosen, rows[begin:], size, delay=delay), account)
    held = np.concatenate([[False], made.item("funds")[:-1] > 0])
    out[made.first :] = np.where(held, made.net_return, np.nan)
    return out


def _place(rank: np.ndarray) -> np.ndarray:
    """(R, N) place among the ranked, 0 to 1; NaN where not ranked."""
    count = (rank > 0).sum(axis=1, keepdims=True)
    return np.where(rank > 0, (rank - 0.5) / np.maximum(count, 1), np.nan)


def _mean_place(place: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(R,) mean place of the funds marked; NaN without any."""
    own = place[:, mask]
    known = np.isfinite(own)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, own, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _mean_interval(
    values: np.ndarray, *, replications: int, confidence: float, seed: int
) -> tuple[float, float, float]:
    """Mean of a series and its bootstrap interval."""
    known = values[np.isfinite(values)]
    if len(known) < 5:
        return float("nan"), float("nan"), float("nan")
    mean = float(known.mean())
    means = resampled_means(known[:, None], optimal_block_length(known), replications, seed)[:, 0]
    low, high = np.quantile(means, [0.5 - 0.5 * confidence, 0.5 + 0.5 * confidence])
    return mean, float(low), float(high)
