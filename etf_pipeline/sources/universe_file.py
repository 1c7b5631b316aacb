"""The universe file: which funds there are, and what is known of each beside its prices.

A CSV with the columns ticker, name, asset_class, currency, listed_on, delisted_on, is_leveraged,
expense_ratio, fund_size, former_ticker_of, in any order and case; only ``ticker`` is required, and an empty cell is
"not known".
"""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from etf_pipeline.sources.base import ASSET_CLASSES, LISTING_COLUMNS, SourceError

REFERENCE = Path(__file__).resolve().parent.parent / "reference"
BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
MAX_EXPENSE_RATIO = 0.05
MAX_FUND_SIZE = 1e13


def default_universe(market: Literal["asx", "us"]) -> Path:
    """The universe file shipped for ``market``."""
    path = REFERENCE / f"universe_{market}.csv"
    if not path.is_file():
        shipped = ", ".join(
            sorted(p.stem.removeprefix("universe_") for p in REFERENCE.glob("universe_*.csv"))
        )
        raise SourceError(f"no universe is shipped for market {market!r}; there is one for {shipped}")
    return path


def empty_listings() -> pd.DataFrame:
    """LISTING_COLUMNS without rows."""
    return _frame([])


def read_universe(path: Path, *, suffix: str) -> pd.DataFrame:
    """LISTING_COLUMNS of a universe file, sorted by ticker.

    Parameters
    ----------
    suffix : of the market's tickers (".AX", "" for none); added to a ticker that is a bare exchange code.

    Returns
    -------
    One row a fund: ``is_leveraged`` True, False or None, dates NaT, ``expense_ratio`` and ``fund_size``
    NaN where not known.

    Raises
    ------
    SourceError
        An unknown or repeated column, a repeated ticker, or a value that is not allowed: the message
        names line, column, value and what is allowed.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, None)
            if header is None:
                raise SourceError(f"{path} is empty; its first line must name columns, at least ticker")
            columns = _columns(header, path)
            rows: list[dict[str, object]] = []
            line_of: dict[str, int] = {}
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                where = f"{path}, line {reader.line_num}"
                if len(cells) != len(columns):
                    raise SourceError(
                        f"{where}: {len(cells)} values for {len(columns)} columns; quote a value that "
                        "holds a comma"
                    )
                row = _row(dict(zip(columns, (cell.strip() for cell in cells), strict=True)), suffix, where)
                ticker = str(row["ticker"])
                if ticker in line_of:
                    raise SourceError(f"{where}: ticker {ticker!r} is on line {line_of[ticker]} already")
                line_of[ticker] = reader.line_num
                rows.append(row)
    except OSError as error:
        raise SourceError(f"universe file {path} cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"universe file {path} is not a CSV file in UTF-8 ({error})") from error
    return _frame(sorted(rows, key=lambda row: str(row["ticker"])))


def _columns(header: list[str], path: Path) -> list[str]:
    columns = []
    for name in header:
        column = name.strip().lower().replace(" ", "_")
        if column not in LISTING_COLUMNS:
            raise SourceError(
                f"{path}, line 1: column {name!r} is unknown; allowed: {', '.join(LISTING_COLUMNS)}"
            )
        if column in columns:
            raise SourceError(f"{path}, line 1: column {name!r} is there twice; keep one")
        columns.append(column)
    if "ticker" not in columns:
        raise SourceError(f"{path}, line 1: no column ticker among {', '.join(map(repr, header))}")
    return columns


def _row(cells: dict[str, str], suffix: str, where: str) -> dict[str, object]:
    def wrong(column: str, allowed: str) -> SourceError:
        return SourceError(f"{where}, column {column}: {cells[column]!r} is not allowed; {allowed}")

    row: dict[str, object] = {column: cells.get(column) or None for column in LISTING_COLUMNS}
    ticker = cells["ticker"].upper()
    if not ticker or any(letter.isspace() for letter in ticker):
        raise wrong("ticker", "an exchange code such as " + ("VAS" + suffix if suffix else "SPY"))
    if suffix and not ticker.endswith(suffix):
        if "." in ticker:
            raise wrong("ticker", f"a ticker of this market ends with {suffix}")
        ticker += suffix
    row["ticker"] = ticker
    asset_class = row["asset_class"]
    if asset_class is not None and asset_class not in ASSET_CLASSES:
        raise wrong("asset_class", f"one of {', '.join(ASSET_CLASSES)}, or empty")
    if row["currency"] is not None:
        code = str(row["currency"])
        if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
            raise wrong("currency", "a three-letter ISO code such as AUD, or empty")
    for column in ("listed_on", "delisted_on"):
        if row[column] is not None:
            try:
                row[column] = date.fromisoformat(str(row[column]))
            except ValueError:
                raise wrong(column, "a date as yyyy-mm-dd, or empty") from None
    listed, delisted = row["listed_on"], row["delisted_on"]
    if isinstance(listed, date) and isinstance(delisted, date) and delisted < listed:
        raise wrong("delisted_on", f"a date from listed_on ({listed}) on, or empty")
    if row["is_leveraged"] is not None:
        if str(row["is_leveraged"]).lower() not in BOOLEANS:
            raise wrong("is_leveraged", "true, false, or empty where not known")
        row["is_leveraged"] = BOOLEANS[str(row["is_leveraged"]).lower()]
    row["expense_ratio"] = np.nan
    if cells.get("expense_ratio"):
        text = cells["expense_ratio"]
        allowed = "a fraction a year (0.0007) or a percentage with its sign (0.07%), or empty"
        try:
            ratio = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            raise wrong("expense_ratio", allowed) from None
        if not 0 <= ratio <= MAX_EXPENSE_RATIO:
            raise wrong("expense_ratio", f"{allowed}, from 0 to {MAX_EXPENSE_RATIO}")
        row["expense_ratio"] = ratio
    row["fund_size"] = np.nan
    if cells.get("fund_size"):
        allowed = "net assets in the quote currency (75000000 or 75m), or empty"
        text = cells["fund_size"].lower()
        try:
            size = float(text[:-1]) * 1e6 if text.endswith("m") else float(text)
        except ValueError:
            raise wrong("fund_size", allowed) from None
        if not 0 <= size < MAX_FUND_SIZE:
            raise wrong("fund_size", f"{allowed}, from 0 to {MAX_FUND_SIZE:.0e}")
        row["fund_size"] = size
    return row


def _frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    data = {column: [row[column] for row in rows] for column in LISTING_COLUMNS}
    frame = pd.DataFrame({column: pd.Series(data[column], dtype=object) for column in LISTING_COLUMNS})
    for column in ("listed_on", "delisted_on"):
        days = np.array(data[column], dtype="datetime64[D]")
        frame[column] = days.astype("datetime64[us]")
    frame["ticker"] = frame["ticker"].astype("str")
    for column in ("expense_ratio", "fund_size"):
        frame[column] = np.array(data[column], dtype=float)
    return frame
