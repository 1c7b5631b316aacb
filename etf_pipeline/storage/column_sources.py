"""How the sources of a table's columns are written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from etf_pipeline.storage.contracts import CONTRACTS

ColumnSources = Mapping[str, tuple[str, ...]]
"""column -> the columns it is computed from, each written "schema.asset.column"."""
KEY = ("ticker", "session")


def of(asset: str, *columns: str) -> tuple[str, ...]:
    """Columns of an asset."""
    return tuple(f"{asset}.{column}" for column in columns)


def same(asset: str, columns: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Columns taken over unchanged."""
    return {column: of(asset, column) for column in columns}


def all_of(table: str, sources: tuple[str, ...], *, but: Iterable[str] = KEY) -> dict[str, tuple[str, ...]]:
    """Every column of ``table`` but the named ones, each from ``sources``."""
    left_out = set(but)
    return {name: sources for name in CONTRACTS[table].names if name not in left_out}
