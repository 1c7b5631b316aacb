"""The rules of a score, read from a settings file: the shipped ``reference/scoring.toml``, and what another file changes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

DEFAULTS = Path(__file__).parent / "reference" / "scoring.toml"

Weight = Annotated[float, Field(gt=0, lt=1)]
Factor = Annotated[float, Field(gt=0, le=10)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ByComponent(_Strict):
    """One number a component."""

    momentum: Factor
    forecast: Factor
    risk: Factor
    volume: Factor


class ByCategory(_Strict):
    """One share a risk category."""

    LOW: Share
    MEDIUM: Share
    HIGH: Share


class Multipliers(_Strict):
    """Factors on the base weights, by risk category."""

    LOW: ByComponent
    MEDIUM: ByComponent
    HIGH: ByComponent


class BaseWeights(_Strict):
    """Weights of the components; they sum to one."""

    momentum: Weight
    forecast: Weight
    risk: Weight
    volume: Weight

    @model_validator(mode="after")
    def _sum(self) -> BaseWeights:
        total = self.momentum + self.forecast + self.risk + self.volume
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"the weights must sum to one, not {total:g}")
        return self


class Graduated(_Strict):
    """Thresholds, worst first, and the points beyond each."""

    when: Literal["below", "above"]
    thresholds: list[float] = Field(min_length=1, max_length=10)
    points: list[Annotated[float, Field(ge=0, le=100)]] = Field(min_length=1, max_length=10)

    @model_validator(mode="after")
    def _ordered(self) -> Graduated:
        if len(self.thresholds) != len(self.points):
            raise ValueError(f"{len(self.thresholds)} thresholds need as many points, not {len(self.points)}")
        worst_first = sorted(set(self.thresholds), reverse=self.when == "above")
        if self.thresholds != worst_first:
            raise ValueError(f"thresholds must be given worst first: {worst_first}")
        if self.points != sorted(self.points, reverse=True):
            raise ValueError(f"points must not rise from the worst threshold on: {self.points}")
        return self


class Penalties(_Strict):
    """Graduated penalties, the category's share of them, and the cap."""

    cap: float = Field(ge=0, le=100)
    share: ByCategory
    cvar: Graduated
    units: Graduated
    amihud: Graduated
    silence: Graduated
    expense: Graduated
    size: Graduated


class Position(_Strict):
    """Position sizes."""

    least_quality: Share
    least_confidence: Share
    target_volatility: float = Field(gt=0, le=2)
    base: ByCategory


class Peers(_Strict):
    """How far percentiles are taken among the asset class."""

    share: Share
    shrinkage: float = Field(ge=0, le=10_000)
    least: int = Field(ge=2, le=10_000)


class Spread(_Strict):
    """How far the scores of a session must spread."""

    span: float = Field(gt=0, le=80)
    band_share: float = Field(gt=0, le=1)
    hold: int = Field(ge=1, le=252)


class Scoring(_Strict):
    """All rules of a score."""

    base_weights: BaseWeights
    multipliers: Multipliers
    penalties: Penalties
    position: Position
    peers: Peers
    spread: Spread


def read_scoring(path: Path | None) -> Scoring:
    """The shipped rules, and over them those of ``path``.

    Raises
    ------
    OSError, tomllib.TOMLDecodeError, pydantic.ValidationError : a file that cannot be read, is not TOML, or holds an unknown
        key or an impossible value.
    """
    rules = tomllib.loads(DEFAULTS.read_text(encoding="utf-8"))
    if path is not None:
        rules = _over(rules, tomllib.loads(path.read_text(encoding="utf-8")))
    return Scoring(**rules)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    out = dict(below)
    for key, value in above.items():
        held = out.get(key)
        out[key] = _over(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return out
