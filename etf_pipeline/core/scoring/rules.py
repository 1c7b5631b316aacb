"""The rules of a score as data: weights, multipliers, graduated penalties, position sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

COMPONENT_NAMES: tuple[str, ...] = ("momentum", "forecast", "risk", "volume")
CATEGORY_NAMES: tuple[str, ...] = ("LOW", "MEDIUM", "HIGH")
"""Risk categories in the order of their codes; a fund without one (code -1) is treated as MEDIUM, and said to be."""

UNKNOWN_CATEGORY = CATEGORY_NAMES.index("MEDIUM")

PENALTY_LABELS: Mapping[str, str] = {
    "cvar": "annualised 95 % expected shortfall",
    "units": "units traded a day",
    "amihud": "price impact, |return| a million traded",
    "silence": "sessions without trade in the last 252",
    "expense": "expense ratio",
    "size": "fund size",
}
"""What each penalty looks at. Their names are the keys of the settings file and the prefixes of the columns."""


@dataclass(frozen=True)
class Penalty:
    """One graduated penalty.

    Attributes
    ----------
    when : on which side of a threshold the points fall; the threshold itself costs nothing.
    thresholds : worst first; points : of each, falling.
    """

    when: Literal["below", "above"]
    thresholds: tuple[float, ...]
    points: tuple[float, ...]

    def __post_init__(self) -> None:
        ordered = sorted(self.thresholds, reverse=self.when == "above")
        if len(self.thresholds) != len(self.points) or not self.points:
            raise ValueError(f"{len(self.thresholds)} thresholds need as many points, at least one")
        if list(self.thresholds) != ordered or len(set(ordered)) < len(ordered):
            raise ValueError(f"thresholds must be given worst first and differ: {list(self.thresholds)}")
        if list(self.points) != sorted(self.points, reverse=True) or min(self.points) < 0:
            raise ValueError(f"points must not be negative nor rise: {list(self.points)}")


@dataclass(frozen=True)
class PositionRules:
    """How large a position may be; see ``position.position_size``."""

    base: Mapping[str, float]
    least_quality: float
    least_confidence: float
    target_volatility: float


@dataclass(frozen=True)
class PeerRules:
    """How far a percentile is taken among the asset class rather than all members; see ``components.peer_share``."""

    share: float
    shrinkage: float
    least: int


@dataclass(frozen=True)
class SpreadRules:
    """How far the scores of a session must spread; see ``contrast.contrast``."""

    span: float
    band_share: float
    hold: int


@dataclass(frozen=True)
class ScoringRules:
    """All of it.

    Attributes
    ----------
    base_weights : component -> weight; they sum to one.
    multipliers : risk category -> component -> factor on the base weight.
    penalties : name -> penalty, names of ``PENALTY_LABELS``.
    penalty_share : risk category -> factor on the sum of the points.
    penalty_cap : most that is taken off, per cent of the raw score.
    """

    base_weights: Mapping[str, float]
    multipliers: Mapping[str, Mapping[str, float]]
    penalties: Mapping[str, Penalty]
    penalty_share: Mapping[str, float]
    penalty_cap: float
    position: PositionRules
    peers: PeerRules
    spread: SpreadRules

    def __post_init__(self) -> None:
        _complete("base_weights", self.base_weights, COMPONENT_NAMES)
        _complete("multipliers", self.multipliers, CATEGORY_NAMES)
        for category, factors in self.multipliers.items():
            _complete(f"multipliers.{category}", factors, COMPONENT_NAMES)
            if min(factors.values()) <= 0:
                raise ValueError(f"multipliers.{category} must be positive: {dict(factors)}")
        _complete("penalties", self.penalties, tuple(PENALTY_LABELS))
        _complete("penalties.share", self.penalty_share, CATEGORY_NAMES)
        _complete("position.base", self.position.base, CATEGORY_NAMES)
        if abs(sum(self.base_weights.values()) - 1.0) > 1e-9 or min(self.base_weights.values()) <= 0:
            raise ValueError(f"base_weights must be positive and sum to one: {dict(self.base_weights)}")
        if not 0.0 <= self.penalty_cap <= 100.0:
            raise ValueError(f"penalties.cap must be from 0 to 100 per cent, not {self.penalty_cap}")


def _complete(key: str, given: Mapping[str, object], wanted: tuple[str, ...]) -> None:
    if set(given) != set(wanted):
        missing, unknown = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
        raise ValueError(f"{key}: missing {missing}, unknown {unknown}; keys are {', '.join(wanted)}")
