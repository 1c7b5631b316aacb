"""Single rows of any table, for tests that need a warehouse small enough to be known by heart."""

from __future__ import annotations

import duckdb

from etf_pipeline.storage.contracts import CONTRACTS

DAY = "2026-01-07"
_DEFAULT = {"VARCHAR": "'x'", "DATE": f"DATE '{DAY}'", "BOOLEAN": "true", "TIMESTAMP": "now()::TIMESTAMP"}


def insert(connection: duckdb.DuckDBPyConnection, table: str, **values: object) -> None:
    """One row by name; mandatory columns that are not given hold 1, 'x', true or ``DAY``, optional ones NULL."""
    rest = {
        c.name: _DEFAULT.get(c.type, "1")
        for c in CONTRACTS[table].columns
        if not c.nullable and c.name not in values
    }
    columns = [f"? AS {name}" for name in values] + [f"{text} AS {name}" for name, text in rest.items()]
    connection.execute(f"INSERT INTO {table} BY NAME SELECT {', '.join(columns)}", list(values.values()))
