"""The checks of the forecasts are silent on sound rows and find broken ones."""

from __future__ import annotations

import duckdb
import pytest

from etf_pipeline.storage.checks import RULES
from etf_pipeline.storage.connection import ensure_schema
from etf_pipeline_tests.contract_rows import DAY, insert

RULE = {rule.name: rule for rule in RULES}


@pytest.mark.parametrize(
    ("change", "offenders"),
    [
        ({}, 0),
        ({"lower_5": -0.01, "upper_5": 0.02}, 0),
        ({"fitted_on": "2026-01-08"}, 1),
        *(({f"lower_{h}": 0.03, f"upper_{h}": 0.02}, 1) for h in (5, 21, 63)),
    ],
)
def test_a_forecast_that_cannot_be_is_found(change: dict[str, object], offenders: int) -> None:
    with duckdb.connect() as memory:
        ensure_schema(memory)
        insert(memory, "signals.forecast", **({"session": DAY, "fitted_on": DAY} | change))
        assert len(memory.execute(RULE["fitted_before_and_in_order"].offenders).fetchall()) == offenders


@pytest.mark.parametrize(
    ("weights", "offenders"),
    [
        ({"timing": 1.0, "ridge": 0.6, "boosting": 0.4}, 0),
        ({"timing": 1.1, "ridge": 0.6, "boosting": 0.4}, 1),
        ({"timing": 0.0, "ridge": 0.6, "boosting": 0.5}, 1),
        ({"timing": 0.0, "ridge": -0.1, "boosting": 0.5}, 1),
        ({"timing": float("nan"), "ridge": 0.1, "boosting": 0.5}, 1),
    ],
)
def test_weights_that_cannot_be_are_found(weights: dict[str, float], offenders: int) -> None:
    with duckdb.connect() as memory:
        ensure_schema(memory)
        for member, weight in weights.items():
            insert(memory, "signals.forecast_models", member=member, weight=weight)
        assert len(memory.execute(RULE["weights_of_a_stack"].offenders).fetchall()) == offenders
