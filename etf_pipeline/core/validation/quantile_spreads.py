"""Returns of the funds a signal puts on top and at the bottom, what trading them costs, and how often they change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.validation.information_coefficient import average_ranks

MIN_PER_QUANTILE = 2
"""Funds with a signal that a session needs for each quantile: 10 for quintiles, 20 for deciles."""


@dataclass(frozen=True)
class QuantileSeries:
    """By group and session of the signal; NaN where the group was too small.

    Attributes
    ----------
    mean_return : (G, S, Q) float64, plain mean of the forward returns in each quantile, the lowest signals first.
    cost : (G, S) float64, fraction of the capital on each side that trading the top and the bottom quantile took.
    turnover : (G, S) float64, share of the top quantile that was not in it ``horizon`` sessions before; NaN where
        there was none then.
    """

    mean_return: np.ndarray
    cost: np.ndarray
    turnover: np.ndarray

    @property
    def spread(self) -> np.ndarray:
        """(G, S) float64: top less bottom, before costs."""
        return self.mean_return[..., -1] - self.mean_return[..., 0]

    @property
    def spread_after_costs(self) -> np.ndarray:
        """(G, S) float64: NaN where the costs are not known."""
        return self.spread - self.cost


def quantiles_of(signal: np.ndarray, bounds: np.ndarray, quantiles: int) -> np.ndarray:
    """The quantile of each fund among its group on each session.

    Parameters
    ----------
    signal : (S, N) float64, columns in the order of ``Groups``; not finite is missing.
    bounds : (G, 2) int64, of groups that do not overlap.
    quantiles : at least 2.

    Returns
    -------
    (S, N) int8: 0 for the lowest to ``quantiles - 1``; -1 without a signal, outside the groups, or in a group with
    fewer than ``MIN_PER_QUANTILE`` signals a quantile. Equal signals share a quantile, that of their average rank, so
    that neither names nor chance decide; a quantile can be empty then.
    """
    if quantiles < 2:
        raise ValueError(f"quantiles must be at least 2, not {quantiles}")
    bucket = np.full(signal.shape, -1, dtype=np.int8)

    def work(sessions: np.ndarray) -> None:
        _assign(signal, bounds, quantiles, MIN_PER_QUANTILE * quantiles, sessions, bucket)

    over_columns(work, len(signal))
    return bucket


def filled_half_spread(spread: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Half the bid-ask spread of every fund: what one trade costs.

    Parameters
    ----------
    spread : (S, N) float64, fraction of the price, NaN where unknown.
    member : (S, N) bool, whose median stands in where a fund's own spread is unknown.

    Returns
    -------
    (S, N) float64; NaN only on sessions on which no member's spread is known.
    """
    half = np.where(np.isfinite(spread), 0.5 * spread, np.nan)
    known = member & ~np.isnan(half)
    for t in range(len(half)):
        usual = np.median(half[t, known[t]]) if known[t].any() else np.nan
        half[t, np.isnan(half[t])] = usual
    return half


def quantile_series(
    bucket: np.ndarray,
    forward: np.ndarray,
    half_spread: np.ndarray,
    bounds: np.ndarray,
    quantiles: int,
    horizon: int,
) -> QuantileSeries:
    """Mean forward return of each quantile, cost and turnover, for a portfolio formed every session.

    Each session's portfolio is held for ``horizon`` sessions and takes the place of the one formed ``horizon``
    sessions before (Jegadeesh and Titman 1993), equally weighted. Every change of weight is traded at half the
    spread of its fund and session, bought or sold; what weights drift by in between is left alone. Where there was no
    portfolio before, everything is bought.

    Parameters
    ----------
    bucket : (S, N) int8, of ``quantiles_of`` with the same ``bounds`` and ``quantiles``.
    forward : (S, N) float64, forward returns; a fund without one counts in weights and costs, not in the mean return.
    half_spread : (S, N) float64, fraction of the price; a NaN that is traded makes the cost NaN.
    bounds : (G, 2) int64.
    horizon : sessions held.

    Returns
    -------
    QuantileSeries.
    """
    groups, rows = len(bounds), len(bucket)
    returns = np.full((groups, rows, quantiles), np.nan)
    cost, turnover = np.full((groups, rows), np.nan), np.full((groups, rows), np.nan)

    def work(sessions: np.ndarray) -> None:
        _portfolios(
            bucket, forward, half_spread, bounds, quantiles, horizon, sessions, returns, cost, turnover
        )

    over_columns(work, rows)
    return QuantileSeries(returns, cost, turnover)


def monotonicity(mean_return: np.ndarray) -> np.ndarray:
    """Spearman's correlation of the quantiles' numbers with their mean returns.

    Parameters
    ----------
    mean_return : (..., Q) float64, lowest signals first.

    Returns
    -------
    (...) float64: 1 where every quantile earned more than the one below it, -1 the other way round; NaN where a
    quantile has no return. Equal returns share their average rank.
    """
    quantiles = mean_return.shape[-1]
    below = (mean_return[..., None, :] < mean_return[..., :, None]).sum(axis=-1)
    same = (mean_return[..., None, :] == mean_return[..., :, None]).sum(axis=-1)
    rank = below + 0.5 * (same - 1) - 0.5 * (quantiles - 1)
    number = np.arange(quantiles) - 0.5 * (quantiles - 1)
    scale = np.sqrt((rank**2).sum(axis=-1) * (number**2).sum())
    known = np.isfinite(mean_return).all(axis=-1) & (scale > 0)
    out = np.full(mean_return.shape[:-1], np.nan)
    np.divide((rank * number).sum(axis=-1), scale, out=out, where=known)
    return out


@njit(cache=True, nogil=True)
def _assign(
    signal: np.ndarray,
    bounds: np.ndarray,
    quantiles: int,
    min_funds: int,
    sessions: np.ndarray,
    bucket: np.ndarray,
) -> None:
    width = signal.shape[1]
    values, ranks, where = np.empty(width), np.empty(width), np.empty(width, dtype=np.int64)
    for t in sessions:
        for g in range(len(bounds)):
            count = 0
            for j in range(bounds[g, 0], bounds[g, 1]):
                if np.isfinite(signal[t, j]):
                    values[count], where[count] = signal[t, j], j
                    count += 1
            if count < min_funds:
                continue
            average_ranks(values[:count], ranks[:count])
            for k in range(count):
                bucket[t, where[k]] = int((ranks[k] - 0.5) * quantiles / count)


@njit(cache=True, nogil=True)
def _portfolios(
    bucket: np.ndarray,
    forward: np.ndarray,
    half_spread: np.ndarray,
    bounds: np.ndarray,
    quantiles: int,
    horizon: int,
    sessions: np.ndarray,
    returns: np.ndarray,
    cost: np.ndarray,
    turnover: np.ndarray,
) -> None:
    total, known = np.empty(quantiles), np.empty(quantiles, dtype=np.int64)
    for t in sessions:
        for g in range(len(bounds)):
            total[:], known[:] = 0.0, 0
            top = bottom = old_top = old_bottom = 0
            for j in range(bounds[g, 0], bounds[g, 1]):
                q = bucket[t, j]
                if q >= 0 and not np.isnan(forward[t, j]):
                    total[q] += forward[t, j]
                    known[q] += 1
                top += q == quantiles - 1
                bottom += q == 0
                if t >= horizon:
                    old_top += bucket[t - horizon, j] == quantiles - 1
                    old_bottom += bucket[t - horizon, j] == 0
            for q in range(quantiles):
                if known[q] > 0:
                    returns[g, t, q] = total[q] / known[q]
            if top == 0 or bottom == 0:
                continue
            paid, moved = 0.0, 0.0
            for j in range(bounds[g, 0], bounds[g, 1]):
                q, before = bucket[t, j], -1
                if t >= horizon:
                    before = bucket[t - horizon, j]
                change = 0.0
                if q == quantiles - 1:
                    change += 1.0 / top
                if before == quantiles - 1:
                    change -= 1.0 / old_top
                moved += abs(change)
                traded = abs(change)
                change = 0.0
                if q == 0:
                    change += 1.0 / bottom
                if before == 0:
                    change -= 1.0 / old_bottom
                traded += abs(change)
                if traded > 0.0:
                    paid += half_spread[t, j] * traded
            cost[g, t] = paid
            if old_top > 0:
                turnover[g, t] = 0.5 * moved
