"""The check of the adaptive weights is silent on sound rows and finds broken ones."""

from __future__ import annotations

import duckdb
import pytest

from etf_pipeline.storage.checks import RULES
from etf_pipeline.storage.connection import ensure_schema
from etf_pipeline_tests.contract_rows import insert

TABLE = "scoring.adaptive_weights"
RULE = next(rule for rule in RULES if rule.table == TABLE and rule.name != "contract")
SOUND = {
    "momentum_weight": 0.35,
    "forecast_weight": 0.25,
    "risk_weight": 0.25,
    "volume_weight": 0.15,
    "turnover": 0.02,
}


@pytest.mark.parametrize(
    ("change", "offenders"),
    [
        ({}, 0),
        ({"risk_weight": 0.26}, 1),
        ({"risk_weight": -0.05, "forecast_weight": 0.55}, 1),
        ({"turnover": 0.021}, 1),
        ({"turnover": -0.001}, 1),
        ({"momentum_weight": float("nan")}, 1),
    ],
    ids=["sound", "sum", "negative", "too fast", "negative turnover", "not a number"],
)
def test_broken_weights_are_found(change: dict[str, float], offenders: int) -> None:
    with duckdb.connect() as memory:
        ensure_schema(memory)
        insert(memory, TABLE, **(SOUND | change))
        assert len(memory.execute(RULE.offenders).fetchall()) == offenders
