"""Gates: what is not known is never passed."""

from __future__ import annotations

import duckdb
import pytest

from etf_pipeline.core.validation.readiness import Gate, judge_gate
from etf_pipeline.storage.connection import ensure_schema
from etf_pipeline.storage.readiness_gates import GATES
from etf_pipeline_tests.contract_rows import insert

UP = Gate("up", "?", True, 0.95, "%", "SELECT 1")
DOWN = Gate("down", "?", False, 0.02, "p.a.", "SELECT 1")


@pytest.mark.parametrize(
    ("gate", "value", "threshold", "verdict", "explanation"),
    [
        (UP, 0.95, 0.95, "pass", "95.00 % reaches 95.00 %"),
        (UP, 0.9499, 0.95, "fail", "94.99 % is below 95.00 %"),
        (DOWN, 0.02, 0.02, "pass", "2.00 % a year stays within 2.00 % a year"),
        (DOWN, 0.021, 0.02, "fail", "2.10 % a year is above 2.00 % a year"),
        (UP, None, 0.95, "unknown", "what this needs is not there yet"),
        (UP, float("nan"), 0.95, "unknown", "what this needs is not there yet"),
        (DOWN, 0.01, None, "unknown", "what this needs is not there yet"),
    ],
)
def test_verdicts(gate: Gate, value: float, threshold: float, verdict: str, explanation: str) -> None:
    found = judge_gate(gate, value, threshold)
    assert (found.verdict, found.explanation) == (verdict, explanation)


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    memory = duckdb.connect()
    ensure_schema(memory)
    memory.execute(
        "CREATE TABLE asked AS SELECT 0 AS sessions_behind, 'x' AS code_version, 'x' AS settings_hash, 'A' AS benchmark"
    )
    return memory


@pytest.mark.parametrize("gate", GATES, ids=lambda g: g.name)
def test_an_empty_warehouse_passes_nothing_but_freshness(
    connection: duckdb.DuckDBPyConnection, gate: Gate
) -> None:
    answer = connection.execute(gate.query).fetchone() or (None,)
    if gate.name not in {"freshness", "market_fund_is_covered"}:
        assert answer[0] is None
    connection.execute(gate.evidence)


def test_values_are_those_of_the_newest_year(connection: duckdb.DuckDBPyConnection) -> None:
    own = {"strategy": "top_ranked", "scope": "to_date"}
    for year, cost in ((2023, 0.5), (2024, 0.01)):
        insert(
            connection, "validation.backtest_summary", **own, year=year, spread_cost_annual=cost, impact_cost_annual=0.005,
            gross_annual_return=0.1, maximum_drawdown=-0.2, excess_annual_return=0.01,
        )  # fmt: skip
        insert(
            connection, "validation.backtest_summary", strategy="benchmark", scope="to_date", year=year,
            maximum_drawdown=-0.3,
        )  # fmt: skip
    insert(connection, "market.sessions", session="2026-02-02")
    insert(connection, "market.bars", ticker="A", session="2026-01-30")
    insert(connection, "meta.point_in_time_proofs", different="risk.beta, risk.tail")
    # A proof of long ago says nothing of the years since.
    insert(
        connection, "meta.point_in_time_proofs", different="", session="2020-01-02", proved_at="2099-01-01"
    )
    insert(
        connection, "validation.survivorship", comparison="survivors_less_all", asset_class="all", scope="to_date",
        annual_return_difference=0.004, dead_funds=0,
    )  # fmt: skip
    found = {gate.name: connection.execute(gate.query).fetchone() for gate in GATES}
    assert found["turnover_cost"] == pytest.approx((0.015,))
    assert found["cost_share"] == pytest.approx((0.15,))
    assert found["drawdown"] == (-0.2, -0.3)
    assert found["point_in_time"] == (2,)
    assert found["market_fund_is_covered"] == (1,)
    # Without a dead fund in the data nobody knows what they would have changed.
    assert found["survivors_do_not_carry_it"] == (None,)
