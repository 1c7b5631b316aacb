"""The checks of attribution and stress are silent on parts that add up, and find those that do not."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from etf_pipeline.storage.attribution_rules import ATTRIBUTION_RULES
from etf_pipeline.storage.checks import RULES, Rule
from etf_pipeline.storage.connection import ensure_schema
from etf_pipeline.storage.contracts.attribution import STRESS_FACTORS
from etf_pipeline_tests.contract_rows import insert

STRESS = ("stress_losses", "portfolio_stress")


@pytest.fixture
def sound() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as memory:
        ensure_schema(memory)
        insert(memory, "validation.backtest_daily", net_return=0.0123)
        for part, value in (("market", 0.02), ("specific", -0.0076999999), ("other", -1e-10)):
            insert(memory, "attribution.return_attribution", part=part, contribution=value)
        for part, share in (("market", 1.1), ("oil", -0.3), ("specific", 0.2)):
            insert(
                memory, "attribution.portfolio_risk", part=part, share_of_variance=share,
                volatility_annualised=0.15 * share, unexplained_weight=0.0,
            )  # fmt: skip
        # An account of nothing that moves has no shares.
        insert(
            memory, "attribution.portfolio_risk", strategy="still", part="market", volatility_annualised=0.0
        )
        for table in STRESS:
            parts = dict(
                zip((f"from_{name}" for name in STRESS_FACTORS), (-0.2, 0.05, -0.01, 0, 0, 0), strict=True)
            )
            insert(memory, f"attribution.{table}", total_return=-0.16, **parts)
            insert(memory, f"attribution.{table}", scenario="without exposures")
        yield memory


def broken(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {
        f"{rule.table} {rule.name}"
        for rule in ATTRIBUTION_RULES
        if connection.execute(rule.offenders).fetchall()
    }


BREAKS = (
    ("return_attribution contributions_add_up", "UPDATE {} SET contribution = -2e-10 WHERE part = 'other'"),
    ("return_attribution contributions_add_up", "DELETE FROM {} WHERE part = 'specific'"),
    ("return_attribution contributions_add_up", "UPDATE {} SET contribution = 'nan' WHERE part = 'other'"),
    ("return_attribution contributions_add_up", "UPDATE {} SET strategy = 'without an account'"),
    ("portfolio_risk parts_add_up", "UPDATE {} SET share_of_variance = 0.21 WHERE part = 'specific'"),
    ("portfolio_risk parts_add_up", "UPDATE {} SET volatility_annualised = 0.04 WHERE part = 'specific'"),
    ("portfolio_risk parts_add_up", "UPDATE {} SET unexplained_weight = -0.1"),
    *(
        (f"{table} parts_add_up", f"UPDATE {{}} SET {change} WHERE total_return IS NOT NULL")
        for table in STRESS
        for change in ("from_oil = 2e-9", "total_return = -0.1601", "from_oil = NULL", "from_oil = 'nan'")
    ),
    ("stress_losses parts_add_up", "UPDATE {} SET total_return = -1.05, from_equity = -1.09 WHERE from_equity < 0"),
)  # fmt: skip


def test_sound_rows_pass(sound: duckdb.DuckDBPyConnection) -> None:
    assert not broken(sound)


@pytest.mark.parametrize(("check", "statement"), BREAKS, ids=range(len(BREAKS)))
def test_a_broken_row_is_found_by_its_check(
    sound: duckdb.DuckDBPyConnection, check: str, statement: str
) -> None:
    sound.execute(statement.format(f"attribution.{check.split()[0]}"))
    assert broken(sound) == {f"attribution.{check}"}


def test_every_check_has_been_seen_to_fail_and_is_asked() -> None:
    assert {f"attribution.{check}" for check, _ in BREAKS} == {
        f"{r.table} {r.name}" for r in ATTRIBUTION_RULES
    }
    assert set(ATTRIBUTION_RULES) <= set(RULES)


@pytest.mark.parametrize("rule", ATTRIBUTION_RULES, ids=lambda r: f"{r.table}.{r.name}")
def test_a_warehouse_without_rows_has_no_offenders(rule: Rule) -> None:
    with duckdb.connect() as memory:
        ensure_schema(memory)
        assert memory.execute(rule.offenders).fetchall() == []
