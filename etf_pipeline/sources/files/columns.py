"""Which column of a vendor's file is which field.

Names are compared without case, spaces, underscores and punctuation, so "Adj Close", "adj_close" and
"ADJ. CLOSE" are one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from etf_pipeline.sources.base import SourceError

ALIASES: dict[str, tuple[str, ...]] = {
    "session": ("date", "datetime", "timestamp", "session"),
    "ticker": ("ticker", "symbol", "code"),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close", "last"),
    "adj_close": ("adjclose", "adjustedclose"),
    "volume": ("volume", "vol"),
    "dividend": ("dividend", "dividends", "distribution", "distributions"),
    "split": ("split", "splits", "stocksplit", "stocksplits"),
    "capital_gain": ("capitalgain", "capitalgains"),
}
FIELD_OF = {alias: field for field, aliases in ALIASES.items() for alias in aliases}
NUMERIC_FIELDS = tuple(field for field in ALIASES if field not in ("session", "ticker"))

# What pandas calls an index without a name, in Parquet and in CSV.
UNNAMED_INDEX = ("", "unnamed0", "indexlevel0")


def normalise(name: str) -> str:
    """``name`` in lower case, letters and digits only."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find_fields(names: Iterable[str]) -> dict[str, list[str]]:
    """Field to the columns that mean it.

    An index without a name is taken for the session where no column says that it is.
    """
    found: dict[str, list[str]] = {}
    unnamed: list[str] = []
    for name in names:
        key = normalise(name)
        if key in FIELD_OF:
            found.setdefault(FIELD_OF[key], []).append(name)
        elif key in UNNAMED_INDEX:
            unnamed.append(name)
    if "session" not in found and len(unnamed) == 1:
        found["session"] = unnamed
    return found


def why_no_bars(names: Sequence[str]) -> str | None:
    """Why a file with these columns holds no bars, or None where it may hold some."""
    found = find_fields(names)
    for field in ("session", "close"):
        if field not in found:
            seen = ", ".join(repr(name) for name in names)
            wanted = "|".join(ALIASES[field])
            return f"no {field} column ({wanted}) among {seen[:300] or 'no columns at all'}"
    return None


def detect_columns(names: Iterable[str], where: str) -> dict[str, str]:
    """Field to column name, for the fields that are there.

    Raises
    ------
    SourceError
        Two columns mean the same field.
    """
    found = find_fields(names)
    for field, candidates in found.items():
        if len(candidates) > 1:
            both = " and ".join(repr(name) for name in candidates)
            raise SourceError(
                f"{where}: columns {both} both mean {field}; keep one of them, or rename the other"
            )
    return {field: candidates[0] for field, candidates in found.items()}
