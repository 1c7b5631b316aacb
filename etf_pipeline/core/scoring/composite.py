"""The composite: component scores weighted into one score a fund, and the ranking by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.universe import REASONS as UNIVERSE_REASONS
from etf_pipeline.core.scoring.penalties import take_off
from etf_pipeline.core.scoring.rules import CATEGORY_NAMES, UNKNOWN_CATEGORY, ScoringRules
from etf_pipeline.core.scoring.weights import Weights, weights_used

REQUIRED = ("momentum",)
"""Components without which a fund is not ranked."""

COMPOSITE_REASONS = (
    "ranked",
    "not_in_universe",
    "momentum_missing",  # a required component has no score
    "cross_section_too_small",  # fewer funds could be ranked on this session than a ranking needs
)
"""Names of the reason codes; the first that applies, in this order, is given."""

# Scores nearer than this are ties: they differ by the rounding of the weighted sum.
_SCORE_DECIMALS = 9


@dataclass(frozen=True)
class CompositePanel:
    """Scores and ranks per session.

    Attributes
    ----------
    raw_score : (S, N) float64, 0 to 100: weighted by ``weights``; NaN where not ranked.
    unadjusted_score : (S, N) float64, by the base weights alone, without the risk category's multipliers.
    final_score : (S, N) float64, the raw score less its penalties: ranked by this.
    rank : (S, N) int32, 1 is best; 0 where not ranked. rank_in_category : the same among the funds of its risk category.
    ranked : (S,) int32, funds ranked on the session.
    confidence : (S, N) float64, base weights times the share of each component's inputs that are known; NaN where not
        ranked. A component that does not exist at all lowers it too.
    weights : component -> (S, N) float64, weights used: they sum to one over the components present, 0
        where the component is missing, NaN where the fund is not ranked.
    adjusted : component -> (S, N) float64, score x weight used / base weight: averaged by the base weights, these
        give the raw score. NaN where the component is missing or the fund is not ranked.
    reason : (S, N) int8, index into ``COMPOSITE_REASONS``.
    """

    raw_score: np.ndarray
    unadjusted_score: np.ndarray
    final_score: np.ndarray
    rank: np.ndarray
    rank_in_category: np.ndarray
    ranked: np.ndarray
    confidence: np.ndarray
    weights: dict[str, np.ndarray]
    adjusted: dict[str, np.ndarray]
    reason: np.ndarray


def composite(
    scores: Mapping[str, np.ndarray],
    member: np.ndarray,
    category: np.ndarray,
    median_traded_value: np.ndarray,
    tickers: np.ndarray,
    *,
    rules: ScoringRules,
    base_weights: Weights | None = None,
    penalty_points: np.ndarray | float = 0.0,
    input_share: Mapping[str, np.ndarray] | None = None,
    min_cross_section: int = 5,
) -> CompositePanel:
    """Weighted mean of the component scores a fund has, less its penalties, and its rank among those that could be scored.

    Parameters
    ----------
    scores : component -> (S, N) float64, 0 to 100, NaN where missing. Components that are not given count as missing for
        every fund.
    member : (S, N) bool, the session's universe.
    category : (S, N) int, risk category: index into ``rules.CATEGORY_NAMES``, -1 where unknown.
    median_traded_value : (S, N) float64, the first tie-breaker, more is better.
    tickers : (N,) str, the second tie-breaker, alphabetical.
    rules : multipliers, and the base weights.
    base_weights : component -> weight, or (S,) weights by session, in place of the rules'.
    penalty_points : per cent of the raw score taken off, broadcasts to (S, N).
    input_share : component -> (S, N) float64, share of its inputs known; 1 by default.
    min_cross_section : fewer rankable funds than this, and the session has no ranking.

    Returns
    -------
    CompositePanel.

    Raises
    ------
    ValueError : weights that do not sum to one, or a score without a weight.
    """
    base: Weights = rules.base_weights if base_weights is None else base_weights
    by_session = {name: np.asarray(weight, dtype=float).reshape(-1, 1) for name, weight in base.items()}
    summed = np.asarray(sum(by_session.values()))
    if (np.abs(summed - 1.0) > 1e-9).any() or min(float(w.min()) for w in by_session.values()) < 0:
        raise ValueError("base weights must not be negative and must sum to one on every session")
    unknown = sorted(set(scores) - set(base))
    if unknown:
        raise ValueError(f"no weight for component {', '.join(unknown)}: known are {', '.join(base)}")

    missing = np.full(member.shape, np.nan)
    panels = {name: scores.get(name, missing) for name in base}
    present = {name: np.isfinite(panel) for name, panel in panels.items()}
    complete = np.ones(member.shape, dtype=bool)
    for name in REQUIRED:
        complete &= present[name]
    rankable = member & complete
    enough = rankable.sum(axis=1) >= min_cross_section
    reason = np.full(member.shape, COMPOSITE_REASONS.index("ranked"), dtype=np.int8)
    reason[~enough] = COMPOSITE_REASONS.index("cross_section_too_small")
    reason[~complete] = COMPOSITE_REASONS.index("momentum_missing")
    reason[~member] = COMPOSITE_REASONS.index("not_in_universe")
    ranked = reason == 0

    confidence = np.zeros(member.shape)
    for name, weight in by_session.items():
        share = 1.0 if input_share is None or name not in input_share else np.nan_to_num(input_share[name])
        confidence += np.where(present[name], weight * share, 0.0)
    weights = weights_used(base, rules.multipliers, category, present)
    raw = _weighted(panels, weights, ranked)
    final = take_off(raw, np.broadcast_to(penalty_points, member.shape))
    rank = _rank(final, ranked, median_traded_value, tickers)
    adjusted = {}
    for name, weight in by_session.items():
        ratio = np.full(member.shape, np.nan)
        shown = ranked & present[name] & (weight > 0.0)
        np.divide(weights[name] * panels[name], weight, out=ratio, where=shown)
        adjusted[name] = ratio
    return CompositePanel(
        raw_score=raw,
        unadjusted_score=_weighted(panels, weights_used(base, None, category, present), ranked),
        final_score=final,
        rank=rank,
        rank_in_category=_rank_within(rank, category),
        ranked=ranked.sum(axis=1, dtype=np.int32),
        confidence=np.where(ranked, confidence, np.nan),
        weights={name: np.where(ranked, weight, np.nan) for name, weight in weights.items()},
        adjusted=adjusted,
        reason=reason,
    )


def by_session(one: CompositePanel, other: CompositePanel, takes_other: np.ndarray) -> CompositePanel:
    """``other``'s rows where ``takes_other``, (S,) bool, is True, else ``one``'s."""
    columns = takes_other[:, None]

    def rows(name: str) -> np.ndarray:
        mine, others = getattr(one, name), getattr(other, name)
        return np.where(columns if mine.ndim == 2 else takes_other, others, mine)

    return CompositePanel(
        **{
            name: rows(name)
            for name in (
                "raw_score", "unadjusted_score", "final_score", "rank", "rank_in_category", "ranked", "confidence", "reason",
            )
        },
        weights={n: np.where(columns, other.weights[n], w) for n, w in one.weights.items()},
        adjusted={n: np.where(columns, other.adjusted[n], a) for n, a in one.adjusted.items()},
    )  # fmt: skip


def _weighted(
    panels: Mapping[str, np.ndarray], weights: Mapping[str, np.ndarray], ranked: np.ndarray
) -> np.ndarray:
    total = np.zeros(ranked.shape)
    for name, panel in panels.items():
        total += weights[name] * np.where(np.isfinite(panel), panel, 0.0)
    return np.where(ranked, total, np.nan)


def _rank_within(rank: np.ndarray, category: np.ndarray) -> np.ndarray:
    """(S, N) int32: place among the ranked funds of the same risk category; 0 where not ranked."""
    out = np.zeros(rank.shape, dtype=np.int32)
    effective = np.where(category < 0, UNKNOWN_CATEGORY, category)
    for code in range(len(CATEGORY_NAMES)):
        inside = (rank > 0) & (effective == code)
        order = np.argsort(np.where(inside, rank, np.iinfo(np.int32).max), axis=1, kind="stable")
        place = np.empty(rank.shape, dtype=np.int32)
        numbers = np.broadcast_to(np.arange(1, rank.shape[1] + 1, dtype=np.int32), rank.shape)
        np.put_along_axis(place, order, numbers, axis=1)
        out[inside] = place[inside]
    return out


def exclusion_reasons(universe_reason: np.ndarray, composite_reason: np.ndarray) -> np.ndarray:
    """Why each fund is not ranked, in one word.

    Parameters
    ----------
    universe_reason, composite_reason : (S, N) int8 codes of ``core.market.universe.REASONS`` and
        ``COMPOSITE_REASONS``.

    Returns
    -------
    (S, N) object: the universe's reason for funds outside it, the composite's for the others, "" for
    ranked funds.
    """
    own = np.array(["", *COMPOSITE_REASONS[1:]], dtype=object)[composite_reason]
    return np.where(universe_reason > 0, np.array(UNIVERSE_REASONS, dtype=object)[universe_reason], own)


def _rank(
    score: np.ndarray, ranked: np.ndarray, median_traded_value: np.ndarray, tickers: np.ndarray
) -> np.ndarray:
    """(S, N) int32: by score, then median traded value, then ticker; 0 where not ranked."""
    # Columns in ticker order first: the sorts are stable, so the ticker decides what is left equal.
    by_ticker = np.argsort(np.asarray(tickers), kind="stable")
    kept = ranked[:, by_ticker]
    score_key = np.where(kept, -np.round(score[:, by_ticker], _SCORE_DECIMALS), np.inf)
    value = median_traded_value[:, by_ticker]
    value_key = np.where(np.isnan(value), np.inf, -value)
    order = np.lexsort((value_key, score_key), axis=1)
    in_ticker_order = np.empty(score.shape, dtype=np.int32)
    places = np.broadcast_to(np.arange(1, score.shape[1] + 1, dtype=np.int32), score.shape)
    np.put_along_axis(in_ticker_order, order, places, axis=1)
    rank = np.empty(score.shape, dtype=np.int32)
    rank[:, by_ticker] = np.where(kept, in_ticker_order, 0)
    return rank
