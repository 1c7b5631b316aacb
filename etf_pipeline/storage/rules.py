"""What a check is: a query for rows that should not be there, and those every table shares."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from etf_pipeline.storage.contracts import CONTRACTS


@dataclass(frozen=True)
class Rule:
    """One check: a query that returns the offending rows.

    ``severity`` error stops what lies downstream, warn does not.
    """

    table: str
    name: str
    description: str
    severity: Literal["error", "warn"]
    offenders: str


def contract_rule(table: str) -> Rule:
    """The key is unique and what may not be NULL is not: the contract, asked of the stored rows."""
    contract = CONTRACTS[table]
    key = ", ".join(contract.key)
    nulls = " OR ".join(f'"{c.name}" IS NULL' for c in contract.columns if not c.nullable)
    return Rule(
        table,
        "contract",
        f"Key ({key}) unique, mandatory columns filled.",
        "error",
        f"SELECT {key} FROM {table} GROUP BY {key} HAVING count(*) > 1 "  # noqa: S608
        f"UNION ALL SELECT {key} FROM {table} WHERE {nulls}",
    )


def stale_rule(table: str, columns: Iterable[str] = ()) -> Rule:
    """An estimate outlives its fund by five sessions and no more, delisted or not.

    It is asked of the bars: the universe may not be recomputed yet when the estimates are. With ``columns`` only rows
    where one of them is filled are estimates.
    """
    filled = " OR ".join(f"e.{column} IS NOT NULL" for column in columns) or "true"
    return Rule(
        table,
        "ends_with_the_fund",
        "No estimate more than five sessions after a fund's last bar.",
        "error",
        "WITH axis AS (SELECT session, row_number() OVER (ORDER BY session) AS n FROM market.sessions), "  # noqa: S608
        "accepted AS (SELECT ticker, session AS last_bar FROM market.bars WHERE accepted) "
        f"SELECT e.ticker, e.session, b.last_bar FROM {table} e ASOF LEFT JOIN accepted b "
        "ON e.ticker = b.ticker AND e.session >= b.last_bar LEFT JOIN axis today ON today.session = e.session "
        "LEFT JOIN axis last ON last.session = b.last_bar "
        f"WHERE ({filled}) AND (today.n IS NULL OR last.n IS NULL OR today.n - last.n > 5)",
    )


def breaking(table: str, condition: str, values: Iterable[str], key: str = "ticker, session") -> str:
    """Rows of ``table`` that meet ``condition`` for any of ``values`` put into it."""
    return f"SELECT {key} FROM {table} WHERE {' OR '.join(condition.format(value) for value in values)}"  # noqa: S608
