"""Component scores, 0 to 100: where a fund stands among the universe members of the same session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.scoring.contrast import contrast, sharpen
from etf_pipeline.core.scoring.rules import PeerRules, ScoringRules
from etf_pipeline.core.scoring.weights import weights_used


@dataclass(frozen=True)
class Input:
    """One measure that goes into a component.

    Attributes
    ----------
    name : key of the panel handed to ``component_scores``.
    label : how it is called in an explanation.
    higher_is_better : direction of the score.
    magnitude : compare absolute values, for measures whose sign is no merit.
    form : format specification for showing a value.
    """

    name: str
    label: str
    higher_is_better: bool
    magnitude: bool = False
    form: str = ".2f"


COMPONENTS: dict[str, tuple[Input, ...]] = {
    "momentum": (
        Input("momentum_12_1", "momentum 12-1", higher_is_better=True, form="+.1%"),
        Input("momentum_6_1", "momentum 6-1", higher_is_better=True, form="+.1%"),
        Input("risk_adjusted_momentum", "momentum over volatility", higher_is_better=True, form="+.2f"),
        Input("residual_momentum", "residual momentum", higher_is_better=True, form="+.2f"),
        Input("trend_t_value", "t-value of the trend", higher_is_better=True, form="+.2f"),
    ),
    "forecast": (
        Input("beyond_risk_5", "forecast of 5 sessions beyond its risk", higher_is_better=True, form="+.2%"),
        Input(
            "beyond_risk_21", "forecast of 21 sessions beyond its risk", higher_is_better=True, form="+.2%"
        ),
        Input(
            "beyond_risk_63", "forecast of 63 sessions beyond its risk", higher_is_better=True, form="+.2%"
        ),
    ),
    "risk": (
        Input("volatility_annualised", "annualised volatility", higher_is_better=False, form=".1%"),
        # Absolute: an inverse fund of beta -2.5 moves as much as a geared one of +2.5.
        Input("beta", "market beta", higher_is_better=False, magnitude=True),
        Input("cvar_95_annualised", "annualised 95 % shortfall", higher_is_better=True, form=".1%"),
        Input("maximum_drawdown_252", "deepest fall of a year", higher_is_better=True, form=".1%"),
    ),
    "volume": (
        Input("accumulation", "accumulation", higher_is_better=True, form="+.2f"),
        Input("accumulation_distribution", "accumulation/distribution", higher_is_better=True, form="+.2f"),
        Input("on_balance_volume", "on-balance volume", higher_is_better=True, form="+.2f"),
        Input("price_volume_correlation", "price-volume correlation", higher_is_better=True, form="+.2f"),
        Input("amihud_per_million", "price impact a million", higher_is_better=False, form=".3g"),
        Input("zero_volume_share", "share of silent sessions", higher_is_better=False, form=".0%"),
    ),
}
"""What each component is made of, in equal parts.

A high risk score means little risk: lower volatility, a beta nearer to zero, smaller losses raise it. A high volume score
means that buyers are coming in and that the fund can be traded.
"""

AMONG_PEERS = ("momentum", "forecast", "volume")
"""Components whose measures are compared with the asset class, too. Not risk: the quietest of a wild class is wild."""

LEAST_SHARE = 0.5
"""Share of its inputs that a component needs."""

_BLEND_DECIMALS = 9  # averages nearer than this differ by rounding only


@dataclass(frozen=True)
class Standing:
    """One measure ranked across the members of each session.

    Attributes
    ----------
    score : (S, N) float64, mid-rank percentile, 100 is best; NaN for non-members and missing values.
    count : (S,) int32, members with a value.
    """

    score: np.ndarray
    count: np.ndarray


@dataclass(frozen=True)
class ComponentScores:
    """Component scores and what they come from.

    Attributes
    ----------
    scores : component -> (S, N) float64, 0 to 100: percentile of its average among the members, sharpened by its contrast
        of the session; NaN where too few inputs are known or not a member.
    contrast : component -> (S,) float64, 1 or more; see ``contrast``.
    averages : component -> (S, N) float64, mean of the known inputs' scores.
    confidence : component -> (S, N) float64, share of its inputs that are known; NaN for non-members.
    input_scores : input name -> (S, N) float64, 0 to 100, NaN where unknown.
    """

    scores: dict[str, np.ndarray]
    contrast: dict[str, np.ndarray]
    averages: dict[str, np.ndarray]
    confidence: dict[str, np.ndarray]
    input_scores: dict[str, np.ndarray]


def cross_section(values: np.ndarray, member: np.ndarray, *, higher_is_better: bool) -> Standing:
    """Mid-rank percentile of every member's value on each session.

    ``100 * (below + equal / 2) / n``, where ``below`` and ``equal`` (itself included) count the members
    with a worse and the same value: the scores of a session average 50 whatever the ties, and a session
    with one member, or with all values equal, gives 50.

    Parameters
    ----------
    values : (S, N) float64; NaN and infinite values are missing.
    member : (S, N) bool, the funds to compare.
    higher_is_better : direction.

    Returns
    -------
    Standing.
    """
    compared = member & np.isfinite(values)
    # Sorted from worst to best; what is not compared goes to the end.
    key = np.where(compared, values if higher_is_better else -values, np.inf)
    order = np.argsort(key, axis=1)
    ordered = np.take_along_axis(key, order, axis=1)
    funds = values.shape[1]
    position = np.arange(funds)
    starts = np.ones(values.shape, dtype=bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    ends = np.ones(values.shape, dtype=bool)
    ends[:, :-1] = starts[:, 1:]
    below = np.maximum.accumulate(np.where(starts, position, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, position, funds)[:, ::-1], axis=1)[:, ::-1]
    count = compared.sum(axis=1, dtype=np.int32)
    percentile = 50.0 * (below + last + 1) / np.maximum(count, 1)[:, None]
    score = np.empty(values.shape)
    np.put_along_axis(score, order, percentile, axis=1)
    return Standing(np.where(compared, score, np.nan), count)


def peer_scores(
    values: np.ndarray,
    member: np.ndarray,
    asset_class: np.ndarray,
    rules: PeerRules,
    *,
    higher_is_better: bool,
) -> np.ndarray:
    """Percentile among all members and among those of the same asset class, weighted by how large the class is.

    Parameters
    ----------
    values : (S, N) float64; NaN and infinite values are missing.
    member : (S, N) bool.
    asset_class : (N,) int, -1 where unknown: compared with all members only.
    rules : the class counts with ``share * n / (n + shrinkage)``, n its members with a value on the session; with 0 below
        ``least``.

    Returns
    -------
    (S, N) float64, 0 to 100, NaN where missing.
    """
    score = cross_section(values, member, higher_is_better=higher_is_better).score
    for number in np.unique(asset_class[asset_class >= 0]):
        columns = np.nonzero(asset_class == number)[0]
        if len(columns) < rules.least:
            continue
        among = cross_section(values[:, columns], member[:, columns], higher_is_better=higher_is_better)
        count = among.count[:, None].astype(float)
        share = np.where(count >= rules.least, rules.share * count / (count + rules.shrinkage), 0.0)
        score[:, columns] = np.where(
            share > 0.0, (1.0 - share) * score[:, columns] + share * among.score, score[:, columns]
        )
    return score


def component_scores(
    inputs: Mapping[str, np.ndarray],
    member: np.ndarray,
    asset_class: np.ndarray,
    rules: ScoringRules,
    *,
    category: np.ndarray | None = None,
    penalty_points: np.ndarray | None = None,
    components: Mapping[str, tuple[Input, ...]] = COMPONENTS,
) -> ComponentScores:
    """Scores of every component for the members of each session.

    Parameters
    ----------
    inputs : input name -> (S, N) float64, one for each Input of ``components``.
    member : (S, N) bool, the session's universe.
    asset_class : (N,) int, -1 where unknown.
    rules : how far percentiles are taken among the class, for the components of ``AMONG_PEERS``; how far final scores must
        spread.
    category : (S, N) int, risk category, -1 unknown; penalty_points : (S, N), per cent taken off: what the final scores
        are made with, MEDIUM and none by default.
    components : what each component is made of.

    Returns
    -------
    ComponentScores. An unknown input is left out of the average and lowers the confidence; a component with less than
    ``LEAST_SHARE`` of its inputs is NaN: never a neutral 50. The average is ranked once more, so that a component uses the
    whole range whatever the number of its inputs and the correlation between them; then the components of a session are
    sharpened, alike where that spreads final scores enough.

    Raises
    ------
    KeyError : an input without a panel, by name.
    """
    missing = sorted({i.name for parts in components.values() for i in parts} - set(inputs))
    if missing:
        raise KeyError(f"no panel for {', '.join(missing)}; given are {', '.join(sorted(inputs))}")
    alone = np.full(member.shape[1], -1)
    percentiles: dict[str, np.ndarray] = {}
    averages: dict[str, np.ndarray] = {}
    confidence: dict[str, np.ndarray] = {}
    input_scores: dict[str, np.ndarray] = {}
    for component, parts in components.items():
        total, known = np.zeros(member.shape), np.zeros(member.shape)
        for part in parts:
            score = peer_scores(
                np.abs(inputs[part.name]) if part.magnitude else inputs[part.name],
                member,
                asset_class if component in AMONG_PEERS else alone,
                rules.peers,
                higher_is_better=part.higher_is_better,
            )
            input_scores[part.name] = score
            total += np.nan_to_num(score, nan=0.0)
            known += ~np.isnan(score)
        share = known / len(parts)
        enough = member & (share >= LEAST_SHARE)
        average = np.full(member.shape, np.nan)
        np.divide(total, known, out=average, where=enough)
        averages[component] = average
        confidence[component] = np.where(member, share, np.nan)
        ranked = cross_section(np.round(average, _BLEND_DECIMALS), member, higher_is_better=True)
        percentiles[component] = ranked.score
    codes = np.full(member.shape, -1) if category is None else category
    present = {name: np.isfinite(panel) for name, panel in percentiles.items()}
    base = {name: rules.base_weights[name] for name in percentiles}
    used = weights_used(base, rules.multipliers, codes, present)
    if "momentum" in present:
        # A fund without momentum is not ranked: see ``composite.REQUIRED``.
        used = {name: np.where(present["momentum"], weight, np.nan) for name, weight in used.items()}
    kept = np.ones(member.shape) if penalty_points is None else 1.0 - penalty_points / 100.0
    sharpness = contrast(percentiles, used, kept, rules.spread)
    scores = {name: sharpen(panel, sharpness[name][:, None]) for name, panel in percentiles.items()}
    return ComponentScores(scores, sharpness, averages, confidence, input_scores)
