"""What a contract is: columns with types, units and docs, a key, and what a write may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

ColumnType = Literal["VARCHAR", "DATE", "TIMESTAMP", "DOUBLE", "BIGINT", "INTEGER", "SMALLINT", "BOOLEAN"]


class ContractError(ValueError):
    """A frame breaks its table's contract; nothing was written, the old rows stand."""


@dataclass(frozen=True)
class Column:
    """One column: its DuckDB type, what it means, its unit, whether it may be NULL.

    ``volatile`` marks bookkeeping (when, by which run) that the content hash leaves out, so that the
    same facts learned twice hash the same.
    """

    name: str
    type: ColumnType
    doc: str
    unit: str | None = None
    nullable: bool = False
    volatile: bool = False

    @property
    def comment(self) -> str:
        """Doc and unit as the warehouse's column comment shows them."""
        return f"{self.doc} [{self.unit}]" if self.unit else self.doc


@dataclass(frozen=True)
class Contract:
    """One table: grain, columns, key.

    Attributes
    ----------
    table : "schema.name".
    grain : what one row is.
    key : columns that name a row; unique, checked at every write.
    partitioned_by : the column whose value is the Dagster partition, or None for a full replacement.
    allow_empty : whether rows held, or a partition, may be replaced by nothing.
    immutable_slices : a partition once written is a record and is never written again.
    """

    table: str
    doc: str
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partitioned_by: str | None = None
    allow_empty: bool = False
    immutable_slices: bool = False
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(column.name for column in self.columns))
        missing = set(self.key) - set(self.names)
        if missing:
            raise ValueError(f"{self.table}: key columns {sorted(missing)} are not in the contract")

    @property
    def schema(self) -> str:
        """The schema part of the table's name."""
        return self.table.split(".")[0]

    def ddl(self) -> str:
        """``create`` and ``comments``."""
        return f"{self.create()}\n{self.comments()}"

    def create(self) -> str:
        """CREATE TABLE with NOT NULLs.

        No PRIMARY KEY: DuckDB's index refuses to delete and re-insert one key in one transaction, which
        is what an all-or-nothing replacement does. The key is checked by query before each insert.
        """
        lines = [f'    "{c.name}" {c.type}{"" if c.nullable else " NOT NULL"}' for c in self.columns]
        return f"CREATE TABLE IF NOT EXISTS {self.table} (\n" + ",\n".join(lines) + "\n);"

    def comments(self) -> str:
        """A comment on the table and on each column."""
        statements = [f"COMMENT ON TABLE {self.table} IS {quoted(f'{self.doc} Grain: {self.grain}.')}"]
        statements += [
            f'COMMENT ON COLUMN {self.table}."{c.name}" IS {quoted(c.comment)}' for c in self.columns
        ]
        return ";\n".join(statements) + ";"


def quoted(text: str) -> str:
    """The text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def ticker(doc: str = "fund, as the vendor writes it") -> Column:
    """The ticker column every long table shares."""
    return Column("ticker", "VARCHAR", doc)


def session(doc: str = "exchange session the row is about") -> Column:
    """The session column every long table shares."""
    return Column("session", "DATE", doc)
