"""Small vintages of factor tables, for tests of what is kept of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from etf_pipeline.storage.bitemporal_factors import FactorVintage
from etf_pipeline.storage.connection import Warehouse

Cells = Mapping[tuple[str, str], float]
"""(factor, session) to value."""


def moment(year: int, month: int = 1) -> datetime:
    return datetime(year, month, 1, tzinfo=UTC)


def vintage(known_at: datetime, cells: Cells, **changes: Any) -> FactorVintage:
    """A daily table of five factors of the US, as known since ``known_at``; ``changes`` to any attribute."""
    frame = pd.DataFrame([(f, s, v) for (f, s), v in cells.items()], columns=["factor", "session", "value"])
    frame = frame.astype({"factor": "str", "session": "datetime64[s]", "value": float})
    made = FactorVintage(
        "files", "us", "daily", "five_factor", known_at, frame, f"{known_at:%Y-%m}", f"{known_at:%Y%m}.csv"
    )
    return replace(made, **changes)


def as_of(warehouse: Warehouse, when: datetime | str, where: str = "true") -> dict[tuple[str, str], float]:
    """(factor, session) to value, as ``raw.factors_as_of`` gives them."""
    text = when if isinstance(when, str) else when.strftime("%Y-%m-%d %H:%M:%S")
    with warehouse.read() as connection:
        rows = connection.execute(
            f"SELECT factor, session::VARCHAR, value FROM raw.factors_as_of(TIMESTAMP '{text}') WHERE {where}"
        ).fetchall()
    found = {(factor, session): value for factor, session, value in rows}
    assert len(found) == len(rows)
    return found
