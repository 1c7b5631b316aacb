"""One file, in any of its wrappings, as vintages of factor tables."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from etf_pipeline.sources.base import SourceError
from etf_pipeline.sources.french.parse import ParsedTable, parse_table, percent_to_fraction
from etf_pipeline.sources.french.tables import NamedTable, factors_of_columns, table_of_name
from etf_pipeline.sources.french.vintage import known_since
from etf_pipeline.storage.bitemporal_factors import FactorVintage
from etf_pipeline.storage.contracts.factors import CONSTRUCTION_FACTORS

SUFFIXES = (".csv", ".zip", ".parquet")
LARGEST_MEMBER_BYTES = 50_000_000
"""Of an unpacked file; the largest there is has about a million."""


def read_content(
    name: str,
    content: bytes,
    *,
    now: datetime,
    known_at: datetime | None = None,
    fallback_known_at: datetime | None = None,
    source: str,
    downloaded_at: datetime | None = None,
) -> list[FactorVintage]:
    """The vintages in one file: one, or two where five factors and momentum stand side by side.

    Parameters
    ----------
    name : the file's name, which says region, frequency and table.
    content : an original CSV, the zip it comes in, or Parquet with a column of month ends and percent in the others.
    now : time-zone aware.
    known_at : when it was learned, instead of what the file and its name say.
    fallback_known_at : when it was learned, where they say nothing.
    source, downloaded_at : recorded with the vintage.

    Raises
    ------
    SourceError : a name or content that is not understood, contradicts itself, or has no vintage; it names the remedy.
    """
    text_name, text = name, ""
    if name.lower().endswith(".zip"):
        text_name, text = _unzip(name, content)
    elif not name.lower().endswith(".parquet"):
        text = _decode(content)
    named = table_of_name(name) or table_of_name(text_name)
    if named is None:
        raise SourceError(
            f"{name}: not the name of a table of factors that is known; keep Ken French's own name, with or without a "
            "month before it (202511_F-F_Momentum_Factor_daily.csv)"
        )
    table = parse_table(text, name) if text else _parse_parquet(name, content, named)
    _refuse_contradiction(name, named, table)
    label = table.month or named.month
    moment = known_at or (fallback_known_at if label is None else None)
    if moment is None:
        label, moment = known_since(table.month, named.month, table.sessions[-1], now=now, where=name)
    return [
        FactorVintage(
            source=source, region=named.region, frequency=named.frequency, construction=construction, known_at=moment,
            returns=_long(table, CONSTRUCTION_FACTORS[construction]), label=label, detail=name,
            downloaded_at=downloaded_at,
        )
        for construction in named.constructions
    ]  # fmt: skip


def _long(table: ParsedTable, factors: tuple[str, ...]) -> pd.DataFrame:
    """factor, session, value of the cells that have a value."""
    column = [table.factors.index(name) for name in factors]
    values = table.returns[:, column]
    row, which = np.nonzero(~np.isnan(values))
    return pd.DataFrame(
        {
            "factor": pd.array(np.array(factors, dtype=object)[which], dtype="str"),
            "session": table.sessions[row].astype("datetime64[s]"),
            "value": values[row, which],
        }
    )


def _refuse_contradiction(name: str, named: NamedTable, table: ParsedTable) -> None:
    if table.frequency != named.frequency:
        raise SourceError(
            f"{name}: is named as a {named.frequency} table and holds a {table.frequency} one; rename it"
        )
    promised = sorted(f for c in named.constructions for f in CONSTRUCTION_FACTORS[c])
    if promised != sorted(table.factors):
        raise SourceError(
            f"{name}: is named as a table of {' and '.join(named.constructions)} and holds {', '.join(table.factors)}; "
            "rename it"
        )


def _unzip(name: str, content: bytes) -> tuple[str, str]:
    """Name and text of the one file in a zip."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [m for m in archive.infolist() if m.filename.lower().endswith(".csv")]
            if len(members) != 1 or members[0].file_size > LARGEST_MEMBER_BYTES:
                raise SourceError(
                    f"{name}: holds {len(members)} CSV files where one of at most "
                    f"{LARGEST_MEMBER_BYTES // 1_000_000} MB is expected; download it again"
                )
            return Path(members[0].filename).name, _decode(archive.read(members[0]))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"{name}: not a readable zip file ({error}); download it again") from error


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _parse_parquet(name: str, content: bytes, named: NamedTable) -> ParsedTable:
    """Percent in columns named by factors; the dates are the one column left, by whatever name."""
    try:
        frame = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{name}: not a readable Parquet file ({error}); download it again") from error
    dates = [field.name for field in frame.schema if pa.types.is_temporal(field.type)]
    names = [n for n in frame.column_names if n not in dates]
    factors = factors_of_columns(names)
    if len(dates) != 1 or factors is None:
        raise SourceError(
            f"{name}: columns {', '.join(frame.column_names)} are not one date and the factors of a known table"
        )
    days = frame[dates[0]].cast(pa.timestamp("ms")).to_numpy().astype("datetime64[D]")
    if not len(days) or np.isnat(days).any() or (np.diff(days).astype(int) <= 0).any():
        raise SourceError(f"{name}: its dates do not ascend, or some are missing; download it again")
    if named.frequency == "monthly":
        months = days.astype("datetime64[M]")
        if (np.diff(months).astype(int) <= 0).any():
            raise SourceError(f"{name}: named monthly, and has two rows in one month; rename it")
        days = (months + 1).astype("datetime64[D]") - 1
    try:
        values = np.column_stack([frame[n].cast(pa.float64()).to_numpy() for n in names])
    except pa.ArrowException as error:
        raise SourceError(f"{name}: a factor is not a number ({error})") from error
    return ParsedTable(
        named.frequency, None, tuple(factors[n] for n in names), days, percent_to_fraction(values, name)
    )
