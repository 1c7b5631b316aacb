"""Component scores, 0 to 100: where a fund stands among the universe members of the same session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


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
    "momentum": (Input("momentum_12_1", "momentum 12-1", higher_is_better=True, form="+.1%"),),
    "risk": (
        Input("volatility_annualised", "annualised volatility", higher_is_better=False, form=".1%"),
        # Absolute: an inverse fund of beta -2.5 moves as much as a geared one of +2.5.
        Input("beta", "market beta", higher_is_better=False, magnitude=True),
    ),
    "volume": (Input("accumulation", "accumulation", higher_is_better=True, form="+.2f"),),
}
"""What each component is made of: the plain average of its inputs' scores.

A high risk score means little risk: lower volatility and a beta nearer to zero both raise it.
"""


@dataclass(frozen=True)
class Standing:
    """One measure ranked across the members of each session.

    Attributes
    ----------
    score : (S, N) float64, mid-rank percentile, 100 is best; NaN for non-members and missing values.
    rank : (S, N) int32, 1 is best, equal values share the better rank; 0 where there is no score.
    count : (S,) int32, members with a value.
    """

    score: np.ndarray
    rank: np.ndarray
    count: np.ndarray


@dataclass(frozen=True)
class ComponentScores:
    """Component scores and the standings they come from.

    Attributes
    ----------
    scores : component -> (S, N) float64, 0 to 100; NaN where an input is missing or not a member.
    standings : input name -> Standing.
    """

    scores: dict[str, np.ndarray]
    standings: dict[str, Standing]


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
    rank = np.empty(values.shape, dtype=np.int32)
    np.put_along_axis(rank, order, (count[:, None] - last).astype(np.int32), axis=1)
    return Standing(np.where(compared, score, np.nan), np.where(compared, rank, np.int32(0)), count)


def component_scores(
    inputs: Mapping[str, np.ndarray],
    member: np.ndarray,
    components: Mapping[str, tuple[Input, ...]] = COMPONENTS,
) -> ComponentScores:
    """Scores of every component for the members of each session.

    Parameters
    ----------
    inputs : input name -> (S, N) float64, one for each Input of ``components``.
    member : (S, N) bool, the session's universe.
    components : what each component is made of.

    Returns
    -------
    ComponentScores. A component with any input missing is NaN: never a neutral 50.

    Raises
    ------
    KeyError : an input without a panel, by name.
    """
    missing = sorted({i.name for parts in components.values() for i in parts} - set(inputs))
    if missing:
        raise KeyError(f"no panel for {', '.join(missing)}; given are {', '.join(sorted(inputs))}")
    standings: dict[str, Standing] = {}
    scores: dict[str, np.ndarray] = {}
    for component, parts in components.items():
        total = np.zeros(member.shape)
        for part in parts:
            values = np.abs(inputs[part.name]) if part.magnitude else inputs[part.name]
            standings[part.name] = cross_section(values, member, higher_is_better=part.higher_is_better)
            total += standings[part.name].score
        scores[component] = total / len(parts)
    return ComponentScores(scores, standings)
