"""The factor models, read from a settings file: the shipped ``reference/factor_models.toml``, or another of its form."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from etf_pipeline.core.attribution.factor_models import MARKETS, FactorModel, FactorModels, MainModel
from etf_pipeline.core.attribution.house_factors import HOUSE_FACTORS
from etf_pipeline.sources.base import ASSET_CLASSES

SHIPPED = Path(__file__).parent / "reference" / "factor_models.toml"
_MODEL_KEYS = (
    "region",
    "frequency",
    "constructions",
    "factors",
    "currency",
    "lag_days",
    "return_sessions",
    "note",
)


def read_factor_models(path: Path = SHIPPED) -> FactorModels:
    """Models and each asset class's main one.

    Raises
    ------
    OSError, tomllib.TOMLDecodeError : a file that cannot be read, or is not TOML.
    ValueError : a key that is unknown or missing, an impossible value, a main model that is not there, an asset class
        without one; each named with the file, and with what is allowed.
    """
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    try:
        return _models(content)
    except ValueError as error:
        raise ValueError(f"factor models {path}: {error}") from error


def _models(content: dict[str, Any]) -> FactorModels:
    _exactly(content, ("models", "main"), "the file")
    models = {name: _model(name, given) for name, given in content["models"].items()}
    if "house" not in models:
        raise ValueError("[models.house] is missing: funds of no known asset class use it")
    wrong = set(models["house"].factors) - set(HOUSE_FACTORS)
    if wrong:
        raise ValueError(
            f"[models.house] has unknown factors {sorted(wrong)}; there are {', '.join(HOUSE_FACTORS)}"
        )
    _exactly(content["main"], MARKETS, "[main]")
    main = {}
    for market in MARKETS:
        _exactly(content["main"][market], ASSET_CLASSES, f"[main.{market}]")
        main[market] = {
            name: _main(f"main.{market}.{name}", given, models)
            for name, given in content["main"][market].items()
        }
    return FactorModels(models=models, main=main)


def _model(name: str, given: dict[str, Any]) -> FactorModel:
    _exactly(given, _MODEL_KEYS, f"[models.{name}]")
    for key, kind in (
        ("constructions", list),
        ("factors", list),
        ("lag_days", dict),
        ("return_sessions", dict),
    ):
        if not isinstance(given[key], kind):
            raise ValueError(
                f"[models.{name}] {key} must be a {'list' if kind is list else 'table'}, not {given[key]!r}"
            )
    return FactorModel(
        name=name,
        region=str(given["region"]),
        frequency=str(given["frequency"]),
        constructions=tuple(given["constructions"]),
        factors=tuple(given["factors"]),
        currency=str(given["currency"]),
        lag_days=dict(given["lag_days"]),
        return_sessions=dict(given["return_sessions"]),
        note=str(given["note"]),
    )


def _main(place: str, given: dict[str, Any], models: dict[str, FactorModel]) -> MainModel:
    _exactly(given, ("model", "reason"), place)
    if given["model"] not in models:
        raise ValueError(f"{place}: no model {given['model']!r}; there are {', '.join(models)}")
    if not str(given["reason"]).strip():
        raise ValueError(f"{place}: reason is empty: say in a line why")
    return MainModel(model=given["model"], reason=str(given["reason"]))


def _exactly(given: Any, keys: tuple[str, ...], place: str) -> None:
    if not isinstance(given, dict):
        raise ValueError(f"{place} must be a table with the keys {', '.join(keys)}")
    unknown, missing = sorted(set(given) - set(keys)), [key for key in keys if key not in given]
    if unknown:
        raise ValueError(f"{place}: unknown {', '.join(unknown)}; allowed are {', '.join(keys)}")
    if missing:
        raise ValueError(f"{place}: missing {', '.join(missing)}")
