"""Why a fund has the score it has: contributions that add up to it, and the reasons in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from etf_pipeline.core.scoring.components import COMPONENTS, Input
from etf_pipeline.core.scoring.composite import BASE_WEIGHTS

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

# A record whose contributions miss its score by more than this was not made by the composite.
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class InputStanding:
    """One measure of one fund: its value, rank (1 is best) among ``count`` members, and score."""

    value: float
    rank: int
    count: int
    score: float


@dataclass(frozen=True)
class ScoreRecord:
    """Everything stored about one fund's score on one session.

    Attributes
    ----------
    ticker, session : which score.
    raw_score : 0 to 100, NaN where not ranked.
    rank, ranked : its rank and the number of funds ranked; rank 0 where not ranked.
    confidence : share of the base weights whose component has a score; NaN where not ranked.
    scores, weights : by component; a missing component has score NaN and weight 0, or no entry.
    inputs : by input name; an input without an entry is not shown.
    exclusion : why it is not ranked, "" where it is.
    """

    ticker: str
    session: str
    raw_score: float
    rank: int
    ranked: int
    confidence: float
    scores: Mapping[str, float]
    weights: Mapping[str, float]
    inputs: Mapping[str, InputStanding] = field(default_factory=dict)
    exclusion: str = ""


@dataclass(frozen=True)
class Contribution:
    """What a component, or one input of it (``input`` not ""), adds: weight * score = points."""

    component: str
    input: str
    score: float
    weight: float
    points: float


@dataclass(frozen=True)
class Explanation:
    """The derivation of one score.

    Attributes
    ----------
    contributions : one a component present, in the order of the base weights; points sum to the score.
    input_contributions : one an input of those components with a standing; where every input has one,
        points sum to the component's.
    missing : components of the base weights without a score.
    reasons : sentences, the most telling first.
    """

    contributions: tuple[Contribution, ...]
    input_contributions: tuple[Contribution, ...]
    missing: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def total(self) -> float:
        """Sum of the contributions: the raw score."""
        return sum(c.points for c in self.contributions)


def explain(
    record: ScoreRecord,
    components: Mapping[str, tuple[Input, ...]] = COMPONENTS,
    base_weights: Mapping[str, float] = BASE_WEIGHTS,
) -> Explanation:
    """Take one score apart.

    Raises
    ------
    ValueError : the weighted scores do not add up to the record's raw score.
    """
    if record.exclusion or record.rank == 0:
        reason = record.exclusion or "no reason recorded"
        text = EXCLUSIONS.get(reason, reason)
        return Explanation((), (), (), (f"{record.ticker} on {record.session} is not ranked: {text}.",))
    contributions = []
    parts = []
    missing = []
    for component in base_weights:
        score = record.scores.get(component, np.nan)
        weight = record.weights.get(component, 0.0)
        if not np.isfinite(score):
            missing.append(component)
            continue
        contributions.append(Contribution(component, "", score, weight, weight * score))
        inputs = components.get(component, ())
        for item in inputs:
            if item.name in record.inputs:
                standing = record.inputs[item.name].score
                share = weight / len(inputs)
                parts.append(Contribution(component, item.name, standing, share, share * standing))
    reasons = _reasons(record, contributions, missing, components, base_weights)
    explanation = Explanation(tuple(contributions), tuple(parts), tuple(missing), reasons)
    if not abs(explanation.total - record.raw_score) <= _TOLERANCE:
        raise ValueError(
            f"{record.ticker} on {record.session}: contributions add up to {explanation.total!r}, "
            f"the stored score is {record.raw_score!r}; rebuild the ranking"
        )
    return explanation


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, ... 11th, 12th, 13th, ... 21st."""
    teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _reasons(
    record: ScoreRecord,
    contributions: list[Contribution],
    missing: list[str],
    components: Mapping[str, tuple[Input, ...]],
    base_weights: Mapping[str, float],
) -> tuple[str, ...]:
    """Headline, then the components by how far they move the score from 50, then what is missing."""
    headline = (
        f"{record.ticker} ranks {ordinal(record.rank)} of {record.ranked} on {record.session} "
        f"with {record.raw_score:.1f} of 100 points."
    )
    scored = [
        f"{c.component} scores {c.score:.1f} at weight {c.weight:.1%}, {c.points:.1f} points"
        + "".join(
            f"; {_standing(item, record.inputs[item.name])}"
            for item in components.get(c.component, ())
            if item.name in record.inputs
        )
        + "."
        for c in sorted(contributions, key=lambda c: -abs(c.weight * (c.score - 50.0)))
    ]
    unscored = [
        f"{component} has no score: its base weight of {base_weights[component]:.0%} is shared out among "
        f"the others, confidence {record.confidence:.0%}."
        for component in missing
    ]
    return tuple(line.replace("%", " %") for line in (headline, *scored, *unscored))


def _standing(item: Input, standing: InputStanding) -> str:
    """E.g. "momentum 12-1 of +18.3% ranks 4th of 181"."""
    value = format(standing.value, item.form)
    return f"{item.label} of {value} ranks {ordinal(standing.rank)} of {standing.count}"
