"""Penalties: additive, graduated, capped, and taken off the raw score as a percentage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.scoring.rules import CATEGORY_NAMES, UNKNOWN_CATEGORY, Penalty, ScoringRules


@dataclass(frozen=True)
class PenaltyPanel:
    """What is taken off each score.

    Attributes
    ----------
    points : penalty -> (S, N) float64, points before the category's share; 0 where its input is unknown.
    known : penalty -> (S, N) bool, whether its input is known.
    total : (S, N) float64, sum of the points times the category's share.
    applied : (S, N) float64, ``total`` capped: per cent of the raw score taken off.
    """

    points: dict[str, np.ndarray]
    known: dict[str, np.ndarray]
    total: np.ndarray
    applied: np.ndarray


def penalties(inputs: Mapping[str, np.ndarray], category: np.ndarray, rules: ScoringRules) -> PenaltyPanel:
    """Points of every penalty, their sum by risk category, capped.

    Parameters
    ----------
    inputs : penalty -> values that broadcast to (S, N), in the units of the rules' thresholds; NaN is unknown and costs
        nothing.
    category : (S, N) int, index into ``CATEGORY_NAMES``, -1 where unknown: treated as MEDIUM.

    Raises
    ------
    KeyError : an input without a penalty or the other way round, by name.
    """
    if set(inputs) != set(rules.penalties):
        raise KeyError(f"inputs {sorted(inputs)} are not the penalties {sorted(rules.penalties)}")
    shape = category.shape
    points, known = {}, {}
    total = np.zeros(shape)
    for name, rule in rules.penalties.items():
        values = np.broadcast_to(inputs[name], shape)
        known[name] = ~np.isnan(values)
        points[name] = graduated(values, rule)
        total += points[name]
    share = np.array([rules.penalty_share[name] for name in CATEGORY_NAMES])
    total *= share[np.where(category < 0, UNKNOWN_CATEGORY, category)]
    return PenaltyPanel(points, known, total, np.minimum(total, rules.penalty_cap))


def graduated(values: np.ndarray, rule: Penalty) -> np.ndarray:
    """Points of one penalty: those of the worst threshold that a value is strictly beyond; 0 for NaN."""
    out = np.zeros(values.shape)
    # From the mildest to the worst, so that the worst overwrites.
    for threshold, points in reversed(list(zip(rule.thresholds, rule.points, strict=True))):
        out[values < threshold if rule.when == "below" else values > threshold] = points
    return out


def take_off(raw_score: np.ndarray, applied: np.ndarray) -> np.ndarray:
    """Final score: ``raw * (1 - applied / 100)``, NaN where the raw score is."""
    return raw_score * (1.0 - applied / 100.0)


def unknown_inputs(known: Mapping[str, np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """(S, N) object: names of what is not known, joined by commas; None where all is."""
    codes = np.zeros(shape, dtype=np.int64)
    for bit, panel in enumerate(known.values()):
        codes |= np.where(panel, 0, 1 << bit)
    texts = np.array(
        [
            ", ".join(n for bit, n in enumerate(known) if code >> bit & 1) or None
            for code in range(1 << len(known))
        ],
        dtype=object,
    )
    return texts[codes]
