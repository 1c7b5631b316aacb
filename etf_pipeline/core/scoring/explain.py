"""Why a fund has the score it has: every step from the measures to the position, adding up to the number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from etf_pipeline.core.scoring.components import COMPONENTS, Input
from etf_pipeline.core.scoring.rules import COMPONENT_NAMES, PENALTY_LABELS

EXCLUSIONS = {
    "wrong_namespace": "its code is not of this exchange: it is another instrument",
    "not_listed_yet": "it was not listed yet",
    "delisted": "it had been delisted",
    "presumed_delisted": "it has been silent for so long, while the market traded, that it is presumed gone",
    "not_covered": "the source has no answer about it for this session: its download ended before",
    "quarantined": "its recent prices are under a corporate-action doubt that is not resolved",
    "no_bar": "it has no accepted bar in the last sessions, or no fund has one on this session",
    "not_seasoned": "its history is too short",
    "volume_unknown": "its traded value is not known for long enough to judge its liquidity",
    "illiquid": "too little of it is traded",
    "leveraged": "it is leveraged or inverse, and the settings leave those out",
    "momentum_missing": "its momentum is not known: history too short, too many holes, or closes in the "
    "window that cannot be compared",
    "cross_section_too_small": "too few funds could be ranked on this session",
}
"""What each exclusion reason means, to follow "not ranked: "."""

# A record whose steps miss its numbers by more than this was not made by the composite.
_TOLERANCE = 1e-6

PENALTY_FORMS: Mapping[str, str] = {
    "cvar": ".1%", "units": ",.0f", "amihud": ".3g", "silence": ".0f", "expense": ".2%", "size": ",.0f",
}  # fmt: skip
"""How the value behind each penalty is shown."""


@dataclass(frozen=True)
class InputStanding:
    """One measure of one fund: its value, rank (1 is best) among ``count`` members, and score."""

    value: float
    rank: int
    count: int
    score: float


@dataclass(frozen=True)
class PenaltyRecord:
    """One penalty as stored: the value it looks at (NaN: unknown) and its points before the category's share."""

    value: float
    points: float


@dataclass(frozen=True)
class PositionRecord:
    """The position size as stored, and the factors it is the product of."""

    base: float
    quality_factor: float
    confidence_factor: float
    volatility_factor: float
    size: float


@dataclass(frozen=True)
class ScoreRecord:
    """Everything stored about one fund's score on one session.

    Attributes
    ----------
    ticker, session : which score.
    raw_score, final_score : 0 to 100, NaN where not ranked.
    rank, ranked : its rank and the number of funds ranked; rank 0 where not ranked. rank_in_category : among its own.
    category : risk category, "" where unknown.
    confidence : share of the base weights that is known; NaN where not ranked.
    scores, weights, averages : by component; a missing component has score NaN and weight 0, or no entry.
    contrast : by component, of the session, see ``contrast``; 1 without an entry.
    inputs : by input name; an input without an entry is unknown.
    penalties : by penalty; penalty_share : the category's; penalty_total, penalty_points : before and after the cap.
    position : None where there is none.
    weights_from : ``static`` or ``adaptive`` base weights.
    exclusion : why it is not ranked, "" where it is.
    """

    ticker: str
    session: str
    raw_score: float
    final_score: float
    rank: int
    ranked: int
    confidence: float
    scores: Mapping[str, float]
    weights: Mapping[str, float]
    averages: Mapping[str, float] = field(default_factory=dict)
    contrast: Mapping[str, float] = field(default_factory=dict)
    inputs: Mapping[str, InputStanding] = field(default_factory=dict)
    penalties: Mapping[str, PenaltyRecord] = field(default_factory=dict)
    penalty_share: float = 1.0
    penalty_total: float = 0.0
    penalty_points: float = 0.0
    rank_in_category: int = 0
    category: str = ""
    position: PositionRecord | None = None
    weights_from: str = "static"
    exclusion: str = ""


@dataclass(frozen=True)
class Contribution:
    """What a component adds to the raw score, or one input of it (``input`` not "") to the component's average.

    ``weight * score = points``.
    """

    component: str
    input: str
    score: float
    weight: float
    points: float


@dataclass(frozen=True)
class Deduction:
    """What one penalty takes off the raw score.

    Attributes
    ----------
    penalty : its name; value : what it looks at, NaN where unknown.
    points : by its threshold; shared : times the category's share; lost : points of the score, after the cap.
    """

    penalty: str
    value: float
    points: float
    shared: float
    lost: float


@dataclass(frozen=True)
class Explanation:
    """The derivation of one score.

    Attributes
    ----------
    contributions : one a component present, in the order of the base weights; points sum to the raw score.
    input_contributions : one a known input of those components; points sum to the component's average.
    deductions : one a penalty; raw score less what they lose is the final score.
    missing : components without a score.
    unknown : inputs and penalties whose value is not known.
    reasons : sentences, the most telling first.
    """

    contributions: tuple[Contribution, ...]
    input_contributions: tuple[Contribution, ...]
    deductions: tuple[Deduction, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def raw(self) -> float:
        """Sum of the contributions."""
        return sum(c.points for c in self.contributions)

    @property
    def total(self) -> float:
        """Sum of the contributions less the deductions: the final score."""
        return self.raw - sum(d.lost for d in self.deductions)


def explain(record: ScoreRecord, components: Mapping[str, tuple[Input, ...]] = COMPONENTS) -> Explanation:
    """Take one score apart.

    Raises
    ------
    ValueError : a step does not add up to what is stored: the raw score, the final score, a component's average, or the
        position size.
    """
    if record.exclusion or record.rank == 0:
        reason = record.exclusion or "no reason recorded"
        text = EXCLUSIONS.get(reason, reason)
        sentence = f"{record.ticker} on {record.session} is not ranked: {text}."
        return Explanation((), (), (), (), (), (sentence,))
    contributions, parts, missing, unknown = [], [], [], []
    for component in COMPONENT_NAMES:
        known = [i for i in components.get(component, ()) if i.name in record.inputs]
        unknown += [i.label for i in components.get(component, ()) if i.name not in record.inputs]
        score = record.scores.get(component, np.nan)
        if not np.isfinite(score):
            missing.append(component)
            continue
        weight = record.weights.get(component, 0.0)
        contributions.append(Contribution(component, "", score, weight, weight * score))
        for item in known:
            standing = record.inputs[item.name].score
            parts.append(
                Contribution(component, item.name, standing, 1.0 / len(known), standing / len(known))
            )
        average = record.averages.get(component, np.nan)
        if known and np.isfinite(average):
            summed = sum(p.points for p in parts if p.component == component)
            _must_equal(record, f"the inputs of {component}", summed, average)
    deductions = _deductions(record)
    unknown += [PENALTY_LABELS[d.penalty] for d in deductions if np.isnan(d.value)]
    explanation = Explanation(
        tuple(contributions),
        tuple(parts),
        deductions,
        tuple(missing),
        tuple(dict.fromkeys(unknown)),
        _reasons(record, contributions, missing, deductions, components),
    )
    _must_equal(record, "the contributions", explanation.raw, record.raw_score)
    _must_equal(record, "contributions less deductions", explanation.total, record.final_score)
    place = record.position
    if place is not None and np.isfinite(place.size):
        product = place.base * place.quality_factor * place.confidence_factor * place.volatility_factor
        _must_equal(record, "the factors of the position", product, place.size)
    return explanation


def _deductions(record: ScoreRecord) -> tuple[Deduction, ...]:
    # Beyond the cap every penalty takes its part of what the cap leaves.
    kept = record.penalty_points / record.penalty_total if record.penalty_total > 0.0 else 0.0
    return tuple(
        Deduction(
            name,
            penalty.value,
            penalty.points,
            penalty.points * record.penalty_share,
            record.raw_score * penalty.points * record.penalty_share * kept / 100.0,
        )
        for name, penalty in record.penalties.items()
    )


def _must_equal(record: ScoreRecord, what: str, computed: float, stored: float) -> None:
    if not abs(computed - stored) <= _TOLERANCE:
        raise ValueError(
            f"{record.ticker} on {record.session}: {what} add up to {computed!r}, stored is {stored!r}; "
            "rebuild the ranking"
        )


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, ... 11th, 12th, 13th, ... 21st."""
    teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _reasons(
    record: ScoreRecord,
    contributions: list[Contribution],
    missing: list[str],
    deductions: tuple[Deduction, ...],
    components: Mapping[str, tuple[Input, ...]],
) -> tuple[str, ...]:
    """Headline, then the components by how far they move the score from 50, penalties, then what is missing."""
    category = f", {ordinal(record.rank_in_category)} among {record.category} risk" if record.category else ""
    headline = (
        f"{record.ticker} ranks {ordinal(record.rank)} of {record.ranked}{category} on {record.session} "
        f"with {record.final_score:.1f} of 100 points."
    )
    scored = []
    for c in sorted(contributions, key=lambda c: -abs(c.weight * (c.score - 50.0))):
        known = [i for i in components.get(c.component, ()) if i.name in record.inputs]
        telling = sorted(known, key=lambda i: -abs(record.inputs[i.name].score - 50.0))[:2]
        scored.append(
            f"{c.component} scores {c.score:.1f} at weight {c.weight:.1%}, {c.points:.1f} points"
            + "".join(f"; {_standing(item, record.inputs[item.name])}" for item in telling)
            + "."
        )
    taken = [
        f"{PENALTY_LABELS[d.penalty]} of {format(d.value, PENALTY_FORMS[d.penalty])} costs {d.lost:.1f} points."
        for d in sorted(deductions, key=lambda d: -d.lost)
        if d.points > 0.0
    ]
    if record.penalty_total > record.penalty_points + _TOLERANCE:
        taken.append(
            f"penalties of {record.penalty_total:.1f} per cent are capped at {record.penalty_points:.1f}."
        )
    place = record.position
    held = [f"a position of at most {place.size:.1%}."] if place and np.isfinite(place.size) else []
    unscored = [
        f"{component} has no score: its weight is shared out among the others, confidence {record.confidence:.0%}."
        for component in missing
    ]
    lines = (headline, *scored, *taken, *held, *unscored)
    return tuple(line.replace("%", " %").replace("  %", " %") for line in lines)


def _standing(item: Input, standing: InputStanding) -> str:
    """E.g. "momentum 12-1 of +18.3% ranks 4th of 181"."""
    value = format(standing.value, item.form)
    return f"{item.label} of {value} ranks {ordinal(standing.rank)} of {standing.count}"
