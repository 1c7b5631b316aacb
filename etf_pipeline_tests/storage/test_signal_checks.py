"""The checks of the signal tables are silent on sound rows and find the broken one."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from etf_pipeline.storage.checks import RULES
from etf_pipeline.storage.connection import ensure_schema
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline_tests.contract_rows import insert

DAYS = [f"2026-01-{day:02d}" for day in (5, 6, 7, 8, 9, 12, 13, 14, 15, 16)]
TABLES = ("signals.momentum", "signals.volume")
RULE = {
    f"{rule.table} {rule.name}": rule for rule in RULES if rule.table in TABLES and rule.name != "contract"
}


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A fund with a bar on the first three of ten sessions, and signals until five sessions after."""
    with duckdb.connect() as memory:
        ensure_schema(memory)
        for day in DAYS:
            insert(memory, "market.sessions", session=day)
        for day in DAYS[:3]:
            insert(memory, "market.bars", ticker="A", session=day, accepted=True)
        for table in TABLES:
            values = dict.fromkeys(CONTRACTS[table].names[2:], 0.5)
            insert(memory, table, ticker="A", session=DAYS[2], **values)
            insert(memory, table, ticker="A", session=DAYS[7], **dict.fromkeys(values))
        yield memory


@pytest.mark.parametrize("name", RULE)
def test_sound_rows_pass(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    assert connection.execute(RULE[name].offenders).fetchall() == []


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *(
            (f"{t} ends_with_the_fund", f"session = DATE '{DAYS[8]}' WHERE session = DATE '{DAYS[7]}'")
            for t in TABLES
        ),
        *(
            (f"{table} values_in_range", f"{column} = 'nan'")
            for table in TABLES
            for column in CONTRACTS[table].names[2:]
        ),
        ("signals.momentum values_in_range", "efficiency_ratio = -1.01"),
        ("signals.momentum values_in_range", "momentum_6_1 = -1.01"),
        ("signals.volume values_in_range", "average_daily_units = -1"),
        ("signals.volume values_in_range", "price_volume_correlation = -1.01"),
        ("signals.volume values_in_range", "accumulation_distribution = 1.01"),
        ("signals.volume values_in_range", "zero_volume_share = -0.01"),
        ("signals.volume values_in_range", "traded_share = 1.01"),
    ],
)
def test_broken_rows_are_found(connection: duckdb.DuckDBPyConnection, name: str, change: str) -> None:
    connection.execute(f"UPDATE {RULE[name].table} SET {change}")
    assert connection.execute(RULE[name].offenders).fetchall()


@pytest.mark.parametrize(
    ("values", "offenders"),
    [
        ({"equity_bond_correlation": -1.0, "dispersion": 0.0}, 0),
        ({}, 0),
        ({"dispersion": -0.01}, 1),
        *(({f"{pair}_correlation": 1.01}, 1) for pair in ("equity_bond", "gold_equity", "vix_rates")),
        *(({name: float("nan")}, 1) for name in CONTRACTS["signals.market_context"].names[1:]),
    ],
)
def test_a_market_context_that_cannot_be_is_found(values: dict[str, float], offenders: int) -> None:
    rule = next(r for r in RULES if r.table == "signals.market_context" and r.name == "values_in_range")
    with duckdb.connect() as memory:
        ensure_schema(memory)
        insert(memory, "signals.market_context", **values)
        assert len(memory.execute(rule.offenders).fetchall()) == offenders
