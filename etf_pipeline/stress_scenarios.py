"""Stress scenarios, read from a file: the shipped ``reference/stress_scenarios.toml``, and what another file adds."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from etf_pipeline.core.attribution.stress.factors import FACTORS, RETURNS
from etf_pipeline.core.attribution.stress.liquidity import LiquidityRules
from etf_pipeline.core.attribution.stress.scenarios import shock_to

DEFAULTS = Path(__file__).parent / "reference" / "stress_scenarios.toml"

Others = Literal["conditional", "unchanged"]
Horizon = Annotated[int, Field(ge=1, le=756)]
Text = Annotated[str, Field(min_length=1)]
_LARGEST = {"rates": 10.0, "credit": 30.0, "volatility": 150.0}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ToLevel(_Strict):
    """A shock that ends at a level: of rates and credit in per cent, of volatility in points."""

    to: Annotated[float, Field(ge=-5, le=150)]


class Replay(_Strict):
    """A window of the past, from the close of one day to that of another."""

    title: Text
    start: date
    end: date
    reason: Text
    source: Text

    @model_validator(mode="after")
    def _ordered(self) -> Replay:
        if not self.start < self.end:
            raise ValueError(f"start {self.start} must lie before end {self.end}")
        return self


class Hypothetical(_Strict):
    """Shocks over a horizon."""

    title: Text
    horizon_sessions: Horizon
    shocks: dict[str, float | ToLevel] = Field(min_length=1)
    others: Others = "conditional"
    reason: Text
    source: str = ""

    @model_validator(mode="after")
    def _possible(self) -> Hypothetical:
        for factor, shock in self.shocks.items():
            if factor not in FACTORS:
                raise ValueError(f"unknown factor {factor}: allowed are {', '.join(FACTORS)}")
            if isinstance(shock, ToLevel):
                if factor in RETURNS:
                    raise ValueError(f"{factor} is a return and has no level: give a fraction such as -0.2")
            elif factor in RETURNS:
                if not -1 < shock <= 5:
                    raise ValueError(
                        f"{factor} {shock:g}: a return lies above -1 and at most 5; -20 % is written -0.20"
                    )
            elif abs(shock) > _LARGEST[factor]:
                unit = "points" if factor == "volatility" else "percentage points (100 basis points are 1.0)"
                raise ValueError(f"{factor} {shock:g}: at most {_LARGEST[factor]:g} {unit} up or down")
        return self

    def moves(self, levels: Mapping[str, float]) -> dict[str, float]:
        """Factor to its move, given the ``levels`` at the session of those that go to a level."""
        return {
            factor: shock_to(factor, shock.to, levels[factor]) if isinstance(shock, ToLevel) else shock
            for factor, shock in self.shocks.items()
        }


class Correlation(_Strict):
    """All correlations of a portfolio's funds at one."""

    title: Text
    horizon_sessions: Horizon
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    reason: Text


class Reverse(_Strict):
    """A loss to find the most likely scenario of."""

    title: Text
    loss: Annotated[float, Field(gt=0, lt=1)]
    horizon_sessions: Horizon
    degrees_of_freedom: Annotated[float, Field(gt=2, le=100)] = 4.0
    reason: Text


class Liquidity(_Strict):
    """A market that dries up."""

    title: Text
    spread_multiple: Annotated[float, Field(ge=1, le=100)]
    volume_share: Annotated[float, Field(gt=0, le=1)]
    participation: Annotated[float, Field(gt=0, le=1)]
    volatility_multiple: Annotated[float, Field(ge=1, le=100)] = 1.0
    reason: Text

    def rules(self) -> LiquidityRules:
        """As ``core.attribution.stress.liquidity`` takes them."""
        return LiquidityRules(
            self.spread_multiple, self.volume_share, self.participation, self.volatility_multiple
        )


Name = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,60}$")]


class StressScenarios(_Strict):
    """All scenarios, by kind and name, in the order of the files."""

    replay: dict[Name, Replay]
    hypothetical: dict[Name, Hypothetical]
    correlation: dict[Name, Correlation]
    reverse: dict[Name, Reverse]
    liquidity: dict[Name, Liquidity]


def read_stress_scenarios(path: Path | None = None) -> StressScenarios:
    """The shipped scenarios, and those of ``path`` added; one of the same kind and name replaces the shipped one.

    Raises
    ------
    OSError : a file that cannot be read.
    ValueError : no such file, no TOML, an unknown kind or key, or an impossible value; named with scenario and key, what is
        allowed and what to do.
    """
    scenarios = tomllib.loads(DEFAULTS.read_text(encoding="utf-8"))
    if path is not None:
        scenarios = _added(scenarios, path)
    try:
        return StressScenarios(**scenarios)
    except ValidationError as error:
        told = "; ".join(_explain(e["loc"], e["type"], e["msg"]) for e in error.errors())
    raise ValueError(f"stress scenarios of {path or DEFAULTS.name}: {told}")


def _added(shipped: dict[str, Any], path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"stress scenarios of {path}: file not found; check the setting that names it")
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"stress scenarios of {path}: not a TOML file: {error}") from error
    out = dict(shipped)
    for kind, section in given.items():
        if not isinstance(section, dict) or kind not in StressScenarios.model_fields:
            raise ValueError(f"stress scenarios of {path}: {_unknown_kind(kind)}")
        out[kind] = {**out[kind], **section}
    return out


def _unknown_kind(kind: str) -> str:
    allowed = ", ".join(StressScenarios.model_fields)
    return f"unknown section [{kind}]: a scenario is a section [kind.name], of kind {allowed}"


def _explain(place: tuple[int | str, ...], error: str, message: str) -> str:
    """One refused key: the scenario, the key, and what is allowed."""
    kind, rest = str(place[0]), [str(x) for x in place[1:]]
    if not rest:
        return (
            _unknown_kind(kind)
            if error == "extra_forbidden"
            else f"[{kind}] is missing: add a section [{kind}.name]"
        )
    scenario, keys = f"[{kind}.{rest[0]}]", rest[1:]
    message = message.removeprefix("Value error, ")
    if "[key]" in keys:
        return f"{scenario}: a scenario's name has small letters, digits and underscores only"
    model: type[BaseModel] = get_args(StressScenarios.model_fields[kind].annotation)[1]
    allowed = ", ".join(model.model_fields)
    if error == "extra_forbidden" and len(keys) == 1:
        return f"{scenario}: unknown key {keys[0]}; allowed are {allowed}"
    if error == "missing" and len(keys) == 1:
        return f"{scenario}: {keys[0]} is missing; a {kind} scenario has {allowed}"
    if "shocks" in keys and len(keys) > 2:
        return f"{scenario}: {keys[0]} {keys[1]}: a shock is a number, or {{ to = level }}: {message}"
    if not keys:
        return f"{scenario}: {message}"
    return f"{scenario}: {'.'.join(keys)}: {message}"
