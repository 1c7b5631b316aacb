"""The frames of the contract without rows, with the types they have when filled."""

from __future__ import annotations

import pandas as pd

from etf_pipeline.sources.base import BAR_COLUMNS

NO_BARS = pd.DataFrame(
    {
        "ticker": pd.Series(dtype=object),
        "session": pd.Series(dtype="datetime64[ns]"),
        **{c: pd.Series(dtype="float64") for c in BAR_COLUMNS[2:8]},
        "is_final": pd.Series(dtype=bool),
    }
)
NO_ACTIONS = pd.DataFrame(
    {
        "ticker": pd.Series(dtype=object),
        "ex_date": pd.Series(dtype="datetime64[ns]"),
        "kind": pd.Series(dtype=object),
        "value": pd.Series(dtype="float64"),
    }
)
NO_REFERENCE = pd.DataFrame(
    {
        "series": pd.Series(dtype=object),
        "session": pd.Series(dtype="datetime64[ns]"),
        "value": pd.Series(dtype="float64"),
        "unit": pd.Series(dtype=object),
    }
)


def stack(parts: list[pd.DataFrame], empty: pd.DataFrame) -> pd.DataFrame:
    """The parts below each other, or a copy of ``empty`` where none has a row."""
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else empty.copy()
