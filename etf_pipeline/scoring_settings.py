"""The rules of a score, read from a settings file: the shipped ``reference/scoring.toml``, and what another file changes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

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
            held = ", ".join(f"{name} {value:g}" for name, value in self)
            raise ValueError(
                f"the weights must sum to one, not {total:g} ({held}; a key that the file does not give keeps its default)"
            )
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
    OSError, tomllib.TOMLDecodeError : a file that cannot be read, or is not TOML.
    ValueError : no such file, an unknown key or an impossible value; each named, with what is allowed.
    """
    rules = tomllib.loads(DEFAULTS.read_text(encoding="utf-8"))
    if path is None:
        return Scoring(**rules)
    if not path.is_file():
        raise ValueError(f"scoring_file {path}: file not found")
    try:
        return Scoring(**_over(rules, tomllib.loads(path.read_text(encoding="utf-8"))))
    except ValidationError as error:
        told = "; ".join(_explain(e["loc"], e["type"], e["msg"], rules) for e in error.errors())
    raise ValueError(f"scoring_file {path}: {told}")


def _explain(place: tuple[int | str, ...], kind: str, message: str, rules: dict[str, Any]) -> str:
    """One refused key; where it is unknown, what its section holds."""
    if kind != "extra_forbidden":
        return f"{'.'.join(map(str, place))}: {message.removeprefix('Value error, ')}"
    section = rules
    for key in place[:-1]:
        section = section[str(key)]
    return f"unknown key {'.'.join(map(str, place))}: allowed are {', '.join(sorted(section))}"


def unlike_shipped(rules: dict[str, Any]) -> list[str]:
    """What of a ``Scoring.model_dump`` differs from the shipped rules: "key value (shipped: value)", sorted by key."""
    shipped = dict(_leaves(Scoring(**tomllib.loads(DEFAULTS.read_text(encoding="utf-8"))).model_dump()))
    used = dict(_leaves(rules))
    return [
        f"{key} {used.get(key, 'none')} (shipped: {shipped.get(key, 'none')})"
        for key in sorted({*used, *shipped})
        if used.get(key) != shipped.get(key)
    ]


def _leaves(rules: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in rules.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    out = dict(below)
    for key, value in above.items():
        held = out.get(key)
        out[key] = _over(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return out
