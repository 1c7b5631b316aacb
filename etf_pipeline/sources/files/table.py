"""One vendor file, read into arrays: Parquet by its own types, CSV by looking at the text."""

from __future__ import annotations

import csv
import gzip
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from etf_pipeline.sources.base import SourceError
from etf_pipeline.sources.files.columns import NUMERIC_FIELDS, detect_columns, why_no_bars
from etf_pipeline.sources.files.dates import parse_numbers, parse_sessions

PARQUET_SUFFIXES = (".parquet", ".pq")
CSV_SUFFIXES = (".csv", ".csv.gz")
DELIMITERS = ",;\t|"
TICKER_NAME = re.compile(r"[A-Z0-9^][A-Z0-9.\-=]{0,11}")
DOWNLOAD_AGAIN = "download it again, or move it out of the way"


@dataclass(frozen=True)
class FileBars:
    """The rows of one file, in the file's order.

    Attributes
    ----------
    names : distinct tickers.
    code : (n,) int64, index into ``names``.
    session : (n,) datetime64[D].
    fields : name to (n,) float64, for the numeric fields the file has.
    unusable : rows left out because they have no ticker or no date.
    """

    path: Path
    names: list[str]
    code: np.ndarray
    session: np.ndarray
    fields: dict[str, np.ndarray]
    unusable: int


@dataclass(frozen=True)
class NoBars:
    """A file that is not bars, and why."""

    path: Path
    reason: str


def file_kind(path: Path) -> str | None:
    """Whether a file is "parquet" or "csv"; None for anything else."""
    name = path.name.lower()
    if name.endswith(PARQUET_SUFFIXES):
        return "parquet"
    return "csv" if name.endswith(CSV_SUFFIXES) else None


def column_names(path: Path) -> list[str]:
    """The column names of a Parquet or CSV file.

    Raises
    ------
    SourceError
        The file cannot be read.
    """
    if file_kind(path) == "parquet":
        try:
            return list(pq.read_schema(path).names)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{path}: not a readable Parquet file ({error}); {DOWNLOAD_AGAIN}") from error
    return _csv_header(path)[0]


def read_table(path: Path, columns: list[str], text: list[str]) -> pa.Table:
    """``columns`` of a Parquet or CSV file; of a CSV, those in ``text`` are not interpreted.

    Raises
    ------
    SourceError
        The file cannot be read.
    """
    try:
        if file_kind(path) == "parquet":
            return pq.read_table(path, columns=columns)
        delimiter = _csv_header(path)[1]
        try:
            return _read_csv(path, columns, text, delimiter)
        except pa.ArrowInvalid as error:
            if "conversion error" not in str(error):
                raise
            # Types are guessed from the file's beginning; a later "1,234" needs them to be text.
            return _read_csv(path, columns, columns, delimiter)
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read ({error}); {DOWNLOAD_AGAIN}") from error


def read_bars(path: Path, *, zone: str) -> FileBars | NoBars:
    """The rows of a file, or why it holds no bars.

    Parameters
    ----------
    zone : time zone of the exchange, in which a bar's date is meant.

    Raises
    ------
    SourceError
        The file is unreadable, a column is ambiguous, or a value is neither date nor number.
    """
    if file_kind(path) is None:
        return NoBars(path, f"neither Parquet nor CSV ({', '.join((*PARQUET_SUFFIXES, *CSV_SUFFIXES))})")
    names = column_names(path)
    reason = why_no_bars(names)
    if reason:
        return NoBars(path, reason)
    columns = detect_columns(names, str(path))
    ticker = None if "ticker" in columns else ticker_of_name(path)
    if "ticker" not in columns and ticker is None:
        return NoBars(path, "no ticker column, and the file's name is not a ticker")
    table = read_table(
        path, list(columns.values()), [columns[f] for f in ("session", "ticker") if f in columns]
    )
    if not table.num_rows:
        return NoBars(path, "no rows")
    session = parse_sessions(
        table[columns["session"]], zone=zone, where=f"{path}: column {columns['session']!r}"
    )
    if ticker is not None:
        tickers, code = [ticker], np.zeros(table.num_rows, dtype=np.int64)
    else:
        tickers, code = _encode_tickers(table[columns["ticker"]])
    values = {
        field: parse_numbers(table[columns[field]], where=f"{path}: column {columns[field]!r}")
        for field in NUMERIC_FIELDS
        if field in columns
    }
    usable = (code >= 0) & ~np.isnat(session)
    unusable = int((~usable).sum())
    if unusable:
        code, session = code[usable], session[usable]
        values = {field: value[usable] for field, value in values.items()}
    return FileBars(path, tickers, code, session, values, unusable)


def ticker_of_name(path: Path) -> str | None:
    """The ticker a file is named by ("vas.ax.csv.gz" is VAS.AX), None where the name is no ticker."""
    name = path.name
    for suffix in (*PARQUET_SUFFIXES, ".csv.gz", ".csv"):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)].upper()
            return name if TICKER_NAME.fullmatch(name) else None
    return None


def _encode_tickers(column: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """Distinct tickers without surrounding blanks, and each row's index, -1 where it has none."""
    array = column.combine_chunks()
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    raw = ["" if name is None else str(name).strip() for name in array.dictionary.to_pylist()]
    names = sorted(set(raw) - {""})
    position = {name: i for i, name in enumerate(names)} | {"": -1}
    lookup = np.array([position[name] for name in raw] + [-1], dtype=np.int64)
    index = pc.fill_null(array.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    return names, lookup[index]


def _csv_header(path: Path) -> tuple[list[str], str]:
    """Column names and delimiter of a CSV file."""
    try:
        if path.name.lower().endswith(".gz"):
            with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as stream:
                line = stream.readline()
        else:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                line = stream.readline()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: not a readable CSV file in UTF-8 ({error}); {DOWNLOAD_AGAIN}") from error
    if not line.strip():
        raise SourceError(f"{path}: the first line is empty where column names should be; {DOWNLOAD_AGAIN}")
    delimiter = max(DELIMITERS, key=line.count)
    return next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter)), delimiter


def _read_csv(path: Path, columns: list[str], text: list[str], delimiter: str) -> pa.Table:
    return pacsv.read_csv(
        path,
        parse_options=pacsv.ParseOptions(delimiter=delimiter),
        convert_options=pacsv.ConvertOptions(
            include_columns=columns,
            column_types={name: pa.string() for name in text},
            null_values=["", "-", ".", "null", "NULL", "None", "nan", "NaN", "NA", "N/A", "#N/A"],
            # A text column keeps what it says: NA is a ticker, and numbers in text are parsed later.
            strings_can_be_null=False,
        ),
    )
