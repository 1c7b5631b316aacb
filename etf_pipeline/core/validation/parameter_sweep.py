"""Many configurations of one strategy on one market: what each would have earned.

A configuration says how component scores become a composite, how many of the best funds are held, and when. Rankings depend
on weights, multipliers and penalties alone and are computed once for all configurations that share them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numba import njit

from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.scoring.composite import REQUIRED
from etf_pipeline.core.scoring.rules import CATEGORY_NAMES, COMPONENT_NAMES, UNKNOWN_CATEGORY, ScoringRules
from etf_pipeline.core.validation.backtest import (
    AccountRules,
    BacktestError,
    Orders,
    TradingMarket,
    backtest_returns,
    every,
)
from etf_pipeline.core.validation.backtest.orders import select, selected

_SCORE_UNIT = 1e9
"""Composite scores are ranked to nine decimals."""


@dataclass(frozen=True)
class Configuration:
    """One way to run the strategy.

    Attributes
    ----------
    weights : base weights of the components, in the order of ``rules.COMPONENT_NAMES``.
    multipliers : whether the risk category's factors apply to them; penalties : whether penalties are taken off.
    top : funds held; keep : a fund stays while its rank is at most ``keep * top``, rounded down.
    months : calendar months between rebalances; 3: at the ends of March, June, September and December.
    """

    weights: tuple[float, ...]
    multipliers: bool = True
    penalties: bool = True
    top: int = 20
    keep: float = 1.5
    months: int = 1

    @property
    def kept(self) -> int:
        """Rank up to which a fund held stays."""
        return int(self.keep * self.top + 1e-9)


@dataclass(frozen=True)
class SweepGrid:
    """All combinations of the values of six axes, numbered with the last axis running fastest.

    Attributes
    ----------
    weights : (W, C) float64, of ``weight_lattice``: neighbours differ by one ``step`` moved from one component to another.
    step : of the lattice.
    multipliers, penalties, top, keep, months : values of the other axes, as in ``Configuration``, in order: neighbours stand
        beside each other.
    """

    weights: np.ndarray
    step: float
    multipliers: tuple[bool, ...] = (False, True)
    penalties: tuple[bool, ...] = (False, True)
    top: tuple[int, ...] = (10, 15, 20, 30)
    keep: tuple[float, ...] = (1.0, 1.5, 2.0)
    months: tuple[int, ...] = (1, 3)

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        w = self.weights
        if w.ndim != 2 or not (w >= 0).all() or not np.allclose(w.sum(axis=1), 1.0, rtol=0.0, atol=1e-9):
            raise ValueError(
                f"weights must be (W, C), not negative, and sum to one; given is shape {w.shape}"
            )
        if not min(self.shape) or min(self.top) < 1 or min(self.keep) < 1 or min(self.months) < 1:
            raise ValueError("every axis needs a value; top, keep and months are at least 1")

    @property
    def shape(self) -> tuple[int, ...]:
        """Values on each axis."""
        rest = (self.multipliers, self.penalties, self.top, self.keep, self.months)
        return (len(self.weights), *(len(axis) for axis in rest))

    def __len__(self) -> int:
        """Configurations."""
        return math.prod(self.shape)

    def configuration(self, number: int) -> Configuration:
        """The configuration of a number."""
        w, m, p, t, k, h = np.unravel_index(number, self.shape)
        weights = tuple(self.weights[w].tolist())
        return Configuration(
            weights, self.multipliers[m], self.penalties[p], self.top[t], self.keep[k], self.months[h]
        )  # fmt: skip

    def number(self, wanted: Configuration) -> int:
        """The number of a configuration.

        Raises
        ------
        ValueError : it is not on the grid.
        """
        at = np.flatnonzero(np.abs(self.weights - np.asarray(wanted.weights)).max(axis=1) < 1e-9)
        if not len(at):
            raise ValueError(f"weights {wanted.weights} are not on the grid")
        rest = (
            self.multipliers.index(wanted.multipliers),
            self.penalties.index(wanted.penalties),
            self.top.index(wanted.top),
            self.keep.index(wanted.keep),
            self.months.index(wanted.months),
        )
        return int(np.ravel_multi_index((int(at[0]), *rest), self.shape))

    def neighbours(self) -> np.ndarray:
        """(K, D) int64 numbers of the configurations one step away along one axis, ascending; -1 at the end.

        A step of the weights moves ``step`` from one component to another.
        """
        moved = np.abs(self.weights[:, None, :] - self.weights[None, :, :])
        near = np.abs(moved.sum(axis=2) - 2.0 * self.step) < 1e-9
        near &= np.abs(moved.max(axis=2) - self.step) < 1e-9
        found: list[list[int]] = []
        for place in product(*(range(n) for n in self.shape)):
            own = [(int(w), *place[1:]) for w in np.flatnonzero(near[place[0]])]
            for axis in range(1, len(place)):
                beside = (at for at in (place[axis] - 1, place[axis] + 1) if 0 <= at < self.shape[axis])
                own.extend((*place[:axis], at, *place[axis + 1 :]) for at in beside)
            found.append(sorted(int(np.ravel_multi_index(one, self.shape)) for one in own))
        out = np.full((len(found), max(len(own) for own in found)), -1, dtype=np.int64)
        for k, own_numbers in enumerate(found):
            out[k, : len(own_numbers)] = own_numbers
        return out


def weight_lattice(base: tuple[float, ...], step: float, *, reach: int | None = None) -> np.ndarray:
    """Weights that differ from ``base`` by whole steps, moved from some components to others.

    Parameters
    ----------
    base : weights that sum to one; step : above 0, at most 1.
    reach : at most so many steps are moved; everything that leaves no weight negative if None.

    Returns
    -------
    (W, C) float64 in lexicographic order, ``base`` among them. 0.35, 0.25, 0.25, 0.15 has 20 with a step of 0.2, 165 with
    0.1, and 13 with 0.1 and a reach of 1.

    Raises
    ------
    ValueError : weights that are negative or do not sum to one, or a step out of bounds.
    """
    weights = np.asarray(base, dtype=np.float64)
    if abs(weights.sum() - 1.0) > 1e-9 or weights.min() < 0 or not 0.0 < step <= 1.0:
        raise ValueError(f"weights must sum to one and the step lie in (0, 1]; given are {base}, {step}")
    lowest = [-math.floor(w / step + 1e-9) for w in weights]
    spare = -sum(lowest)
    out = []
    for moves in product(*(range(low, low + spare + 1) for low in lowest[:-1])):
        last = -sum(moves)
        moved = sum(max(move, 0) for move in (*moves, last))
        if last >= lowest[-1] and (reach is None or moved <= reach):
            out.append(np.maximum(np.round(weights + step * np.array([*moves, last]), 12), 0.0))
    return np.array(out)


@dataclass(frozen=True)
class RankingInputs:
    """What R rankings of N funds are made of.

    Attributes
    ----------
    rows : (R,) int64 rows of the market at whose closes the rankings are made, ascending.
    scores : (C, R, N) float64, 0 to 100, in the order of ``rules.COMPONENT_NAMES``, NaN where missing.
    category : (R, N) int64, index into ``rules.CATEGORY_NAMES``; unknown ones are MEDIUM already.
    penalty : (R, N) float64, per cent of the raw score taken off.
    rankable : (R, N) bool.
    tie_order : (R, N) int64, columns in the order in which equal scores are ranked.
    """

    rows: np.ndarray
    scores: np.ndarray
    category: np.ndarray
    penalty: np.ndarray
    rankable: np.ndarray
    tie_order: np.ndarray


def ranking_inputs(
    rows: np.ndarray,
    scores: Mapping[str, np.ndarray],
    member: np.ndarray,
    category: np.ndarray,
    penalty_points: np.ndarray | float,
    median_traded_value: np.ndarray,
    tickers: np.ndarray,
    *,
    min_cross_section: int = 5,
) -> RankingInputs:
    """Put together what is the same for all configurations. Arguments are those of ``composite`` at R sessions.

    Parameters
    ----------
    rows : (R,) rows of the market that the panels' rows are, ascending.
    scores : component -> (R, N) float64; a component that is not given is missing for all.
    member : (R, N) bool; category : (R, N) int, -1 where unknown; penalty_points : broadcasts to (R, N).
    median_traded_value : (R, N) float64; tickers : (N,) str: equal scores are ranked by these two, in this order.
    min_cross_section : fewer rankable funds than this, and the session has no ranking.

    Raises
    ------
    ValueError : rows out of order, panels of another shape, or a score that is no component's.
    """
    at = np.asarray(rows, dtype=np.int64)
    shape = member.shape
    if (np.diff(at) <= 0).any() or len(at) != len(member):
        raise ValueError(
            f"rows must ascend and be as many as the panels have, {len(member)}; given are {len(at)}"
        )
    if set(scores) - set(COMPONENT_NAMES):
        raise ValueError(f"scores {sorted(scores)} are not components: {', '.join(COMPONENT_NAMES)}")
    for name, panel in {**scores, "category": category, "median_traded_value": median_traded_value}.items():
        if panel.shape != shape:
            raise ValueError(f"{name} has shape {panel.shape} beside members {shape}")
    missing = np.full(shape, np.nan)
    panels = np.ascontiguousarray([scores.get(name, missing) for name in COMPONENT_NAMES], dtype=np.float64)
    rankable = member.astype(bool)
    for name in REQUIRED:
        rankable = rankable & np.isfinite(panels[COMPONENT_NAMES.index(name)])
    rankable &= (rankable.sum(axis=1) >= min_cross_section)[:, None]
    by_ticker = np.argsort(np.asarray(tickers), kind="stable")
    value = median_traded_value[:, by_ticker]
    by_value = np.argsort(np.where(np.isnan(value), np.inf, -value), axis=1, kind="stable")
    return RankingInputs(
        rows=at,
        scores=panels,
        category=np.ascontiguousarray(np.where(category < 0, UNKNOWN_CATEGORY, category), dtype=np.int64),
        penalty=np.array(np.broadcast_to(penalty_points, shape), dtype=np.float64, order="C"),
        rankable=np.ascontiguousarray(rankable),
        tie_order=np.ascontiguousarray(by_ticker[by_value], dtype=np.int64),
    )


def configuration_rank(inputs: RankingInputs, rules: ScoringRules, wanted: Configuration) -> np.ndarray:
    """Ranks by one configuration: those of ``scoring.composite`` with the same weights.

    Returns
    -------
    (R, N) int64, 1 the best, 0 where not ranked. A fund is not ranked either where all its components weigh nothing.
    """
    factor = np.ones((len(CATEGORY_NAMES), len(COMPONENT_NAMES)))
    if wanted.multipliers:
        factor = np.array([[rules.multipliers[c][name] for name in COMPONENT_NAMES] for c in CATEGORY_NAMES])
    weight = np.asarray(wanted.weights, dtype=np.float64) * factor
    rank = np.zeros(inputs.rankable.shape, dtype=np.int64)
    rank_by_score(
        inputs.scores, inputs.category, inputs.penalty, inputs.rankable, inputs.tie_order, weight, wanted.penalties, rank
    )  # fmt: skip
    return rank


def sweep_orders(
    inputs: RankingInputs, grid: SweepGrid, rules: ScoringRules, sessions: np.ndarray, *, delay: int = 1
) -> list[Orders]:
    """Orders of every configuration of a grid, in equal parts of those there are, up to ``top``.

    Parameters
    ----------
    inputs : rankings at ends of calendar months, which a configuration uses all or in part.
    grid, rules : configurations, and the multipliers.
    sessions : (S,) datetime64[D] of the market.
    delay : sessions from ranking to trade.

    Returns
    -------
    K Orders, by number of the configuration. They begin where the first ranking is.

    Raises
    ------
    BacktestError : a number of months without any ranking, or a delay below one.
    """
    if delay < 1:
        raise BacktestError(f"delay must be at least 1 session, not {delay}")
    ranked = inputs.rankable.any(axis=1)
    usable = (inputs.rows + delay < len(sessions)) & np.logical_or.accumulate(ranked)
    chosen_rows = {}
    for months in grid.months:
        chosen_rows[months] = np.flatnonzero(usable & np.isin(inputs.rows, every(sessions, months)))
        if not len(chosen_rows[months]):
            raise BacktestError(f"no ranking falls on the end of every {months} months: give month-end rows")
    made: list[Orders | None] = [None] * len(grid)
    inner = math.prod(grid.shape[3:])

    def work(rankings: np.ndarray) -> None:
        for ranking in rankings:
            rank = configuration_rank(inputs, rules, grid.configuration(int(ranking) * inner))
            of_months = {months: rank[rows] for months, rows in chosen_rows.items()}
            for number in range(int(ranking) * inner, (int(ranking) + 1) * inner):
                one = grid.configuration(number)
                chosen = select(of_months[one.months], one.top, one.kept)
                size = 1.0 / np.maximum(1, (chosen >= 0).sum(axis=1, keepdims=True))
                made[number] = selected(chosen, inputs.rows[chosen_rows[one.months]], size, delay=delay)

    over_columns(work, len(grid) // inner)
    return [one for one in made if one is not None]


def parameter_sweep(
    market: TradingMarket,
    inputs: RankingInputs,
    grid: SweepGrid,
    rules: ScoringRules,
    account: AccountRules | None = None,
    *,
    delay: int = 1,
    cost_scale: float = 1.0,
) -> np.ndarray:
    """Daily returns after costs of every configuration of a grid.

    Parameters
    ----------
    market : TradingMarket of S sessions; account, cost_scale : as ``backtest_returns`` takes them.
    inputs, grid, rules, delay : as ``sweep_orders`` takes them.

    Returns
    -------
    (S, K) float64, NaN before a configuration's first trade; column k belongs to ``grid.configuration(k)``.
    """
    wanted = sweep_orders(inputs, grid, rules, market.sessions, delay=delay)
    return backtest_returns(market, wanted, account, cost_scale=cost_scale)


@njit(cache=True, nogil=True)
def rank_by_score(
    scores: np.ndarray,
    category: np.ndarray,
    penalty: np.ndarray,
    rankable: np.ndarray,
    tie_order: np.ndarray,
    weight: np.ndarray,
    penalised: bool,
    rank: np.ndarray,
) -> None:
    """Ranks (R, N), written to ``rank``, which is zero, by the weights (categories, C) of ``RankingInputs``."""
    components, sessions, funds = scores.shape
    key = np.empty(funds)
    column = np.empty(funds, dtype=np.int64)
    for r in range(sessions):
        count = 0
        for j in range(funds):
            i = tie_order[r, j]
            if not rankable[r, i]:
                continue
            own = weight[category[r, i]]
            total = 0.0
            for c in range(components):
                if np.isfinite(scores[c, r, i]):
                    total += own[c]
            if not total > 0.0:
                continue
            score = 0.0
            for c in range(components):
                if np.isfinite(scores[c, r, i]):
                    score += own[c] / total * scores[c, r, i]
            if penalised:
                score *= 1.0 - penalty[r, i] / 100.0
            key[count] = -np.rint(score * _SCORE_UNIT)
            column[count] = i
            count += 1
        order = np.argsort(key[:count], kind="mergesort")  # stable: equal keys stay in tie order
        for place in range(count):
            rank[r, column[order[place]]] = place + 1
