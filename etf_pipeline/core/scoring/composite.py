"""The composite: component scores weighted into one score a fund, and the ranking by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from etf_pipeline.core.market.universe import REASONS as UNIVERSE_REASONS

BASE_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"momentum": 0.35, "forecast": 0.25, "risk": 0.25, "volume": 0.15}
)
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
    raw_score : (S, N) float64, 0 to 100; NaN where not ranked.
    rank : (S, N) int32, 1 is best; 0 where not ranked.
    ranked : (S,) int32, funds ranked on the session.
    confidence : (S, N) float64, share of the base weights whose component has a score; NaN where not
        ranked. A component that does not exist at all lowers it too.
    weights : component -> (S, N) float64, weights used: they sum to one over the components present, 0
        where the component is missing, NaN where the fund is not ranked.
    reason : (S, N) int8, index into ``COMPOSITE_REASONS``.
    """

    raw_score: np.ndarray
    rank: np.ndarray
    ranked: np.ndarray
    confidence: np.ndarray
    weights: dict[str, np.ndarray]
    reason: np.ndarray

    @property
    def final_score(self) -> np.ndarray:
        """(S, N) float64: the score ranked by. Nothing is taken off the raw score."""
        return self.raw_score


def composite(
    scores: Mapping[str, np.ndarray],
    member: np.ndarray,
    median_traded_value: np.ndarray,
    tickers: np.ndarray,
    *,
    base_weights: Mapping[str, float] = BASE_WEIGHTS,
    min_cross_section: int = 5,
) -> CompositePanel:
    """Weighted mean of the component scores a fund has, and its rank among those that could be scored.

    Parameters
    ----------
    scores : component -> (S, N) float64, 0 to 100, NaN where missing. Components of ``base_weights`` that
        are not given count as missing for every fund.
    member : (S, N) bool, the session's universe.
    median_traded_value : (S, N) float64, the first tie-breaker, more is better.
    tickers : (N,) str, the second tie-breaker, alphabetical.
    base_weights : component -> weight, positive, summing to one.
    min_cross_section : fewer rankable funds than this, and the session has no ranking.

    Returns
    -------
    CompositePanel.

    Raises
    ------
    ValueError : weights that do not sum to one, or a score without a weight.
    """
    if abs(sum(base_weights.values()) - 1.0) > 1e-12 or min(base_weights.values()) <= 0:
        raise ValueError(f"base weights must be positive and sum to one: {dict(base_weights)}")
    unknown = sorted(set(scores) - set(base_weights))
    if unknown:
        raise ValueError(f"no weight for component {', '.join(unknown)}: known are {', '.join(base_weights)}")

    missing = np.full(member.shape, np.nan)
    panels = {name: scores.get(name, missing) for name in base_weights}
    complete = np.ones(member.shape, dtype=bool)
    for name in REQUIRED:
        complete &= np.isfinite(panels[name])
    rankable = member & complete
    enough = rankable.sum(axis=1) >= min_cross_section
    reason = np.full(member.shape, COMPOSITE_REASONS.index("ranked"), dtype=np.int8)
    reason[~enough] = COMPOSITE_REASONS.index("cross_section_too_small")
    reason[~complete] = COMPOSITE_REASONS.index("momentum_missing")
    reason[~member] = COMPOSITE_REASONS.index("not_in_universe")
    ranked = reason == 0

    available = np.zeros(member.shape)
    for name, weight in base_weights.items():
        available += np.where(np.isfinite(panels[name]), weight, 0.0)
    confidence = np.where(ranked, available, np.nan)
    weights: dict[str, np.ndarray] = {}
    raw = np.zeros(member.shape)
    for name, weight in base_weights.items():
        present = np.isfinite(panels[name])
        weights[name] = np.where(present, weight, 0.0) / confidence
        raw += weights[name] * np.where(present, panels[name], 0.0)
    return CompositePanel(
        raw_score=raw,
        rank=_rank(raw, ranked, median_traded_value, tickers),
        ranked=ranked.sum(axis=1, dtype=np.int32),
        confidence=confidence,
        weights=weights,
        reason=reason,
    )


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
