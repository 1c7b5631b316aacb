"""Reference series from a directory: VIX, yields, exchange rates and the like, known by their ids.

Only series that are quoted on the day and never revised are read. Statistics such as prices, output or
unemployment are about a month, appear weeks later and are restated: a date alone does not say when they
were known.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv

from etf_pipeline.sources.base import REFERENCE_COLUMNS, SourceError
from etf_pipeline.sources.files.columns import ALIASES, UNNAMED_INDEX, normalise
from etf_pipeline.sources.files.dates import parse_numbers, parse_sessions
from etf_pipeline.sources.files.table import column_names, file_kind, read_table

log = logging.getLogger(__name__)

DATE_NAMES = (*ALIASES["session"], "observationdate")
RBA_HEADER = "Series ID"


@dataclass(frozen=True)
class Series:
    """The project's name and unit of a vendor's series."""

    name: str
    unit: str


VIX = Series("vix", "index points")
AUDUSD = Series("audusd", "USD per AUD")
CASH = Series("cash_rate", "percent")
US_10Y = Series("us_10y_yield", "percent")

# FRED and RBA ids, Yahoo symbols, the file of the RBA's decisions. Where a directory has a series twice, the first
# here is read.
KNOWN: dict[str, Series] = {
    "VIXCLS": VIX,
    "DGS2": Series("us_2y_yield", "percent"),
    "DGS10": US_10Y,
    "DGS30": Series("us_30y_yield", "percent"),
    "T10Y2Y": Series("us_10y_2y_spread", "percent"),
    "T5YIE": Series("us_5y_breakeven_inflation", "percent"),
    "T10YIE": Series("us_10y_breakeven_inflation", "percent"),
    "BAMLC0A0CM": Series("us_investment_grade_spread", "percent"),
    "BAMLH0A0HYM2": Series("us_high_yield_spread", "percent"),
    "DCOILWTICO": Series("wti_oil", "USD per barrel"),
    "SP500": Series("sp500", "index points"),
    "FCMYGBAG2D": Series("au_2y_yield", "percent"),
    "FCMYGBAG3D": Series("au_3y_yield", "percent"),
    "FCMYGBAG5D": Series("au_5y_yield", "percent"),
    "FCMYGBAG10D": Series("au_10y_yield", "percent"),
    "^VIX": VIX,
    "^TNX": US_10Y,
    "AUDUSD=X": AUDUSD,
    "AUDUSD": AUDUSD,
    "FIRMMCRTD": CASH,
    "rba_cash_rate": CASH,
    "DFF": Series("us_cash_rate", "percent"),
}
PRIORITY = {vendor_id: i for i, vendor_id in enumerate(KNOWN)}
MATURITY_IN_NAME = re.compile(r"(?:^|_)(au|us)_(\d+y)(?:_|$)")


@dataclass(frozen=True)
class _Found:
    vendor_id: str
    path: Path
    session: np.ndarray
    value: np.ndarray


def read_reference(directory: Path | None, start: date | None, end: date | None) -> pd.DataFrame:
    """REFERENCE_COLUMNS of every known series in ``directory``, sorted by series and session.

    Parameters
    ----------
    directory : Parquet and CSV files; None gives an empty frame. FRED's own CSV, "date,value" in a file
        named by the id, RBA's table F2, and Yahoo downloads are understood; anything else is logged and
        passed over.
    start, end : sessions wanted, inclusive.

    Notes
    -----
    Missing values are left out. A session is the date as the file states it.

    Raises
    ------
    SourceError
        The directory does not exist, or a known series cannot be read.
    """
    found: list[_Found] = []
    nothing_known = False
    if directory is not None:
        if not directory.is_dir():
            raise SourceError(
                f"reference_path {directory} is not a directory; set it to one, or leave it out"
            )
        for path in sorted(directory.iterdir()):
            if path.is_file() and not path.name.startswith("."):
                series = _series_of(path)
                nothing_known |= not series
                found.extend(series)
    if nothing_known:
        log.info(
            "A series is known by its id, as the name of its column or of the file: %s", ", ".join(KNOWN)
        )
    best: dict[str, _Found] = {}
    for item in sorted(found, key=lambda item: (PRIORITY[item.vendor_id], item.path.name)):
        name = KNOWN[item.vendor_id].name
        if name in best:
            log.info(
                "%s (%s) passed over: %s is in %s", item.path, item.vendor_id, name, best[name].path.name
            )
        else:
            best[name] = item
    frames = [_frame(name, best[name], start, end) for name in sorted(best)]
    if not frames:
        return _frame("", _Found("VIXCLS", Path(), np.array([], "datetime64[D]"), np.array([])), None, None)
    return pd.concat(frames, ignore_index=True)


def _frame(name: str, found: _Found, start: date | None, end: date | None) -> pd.DataFrame:
    keep = ~np.isnat(found.session) & np.isfinite(found.value)
    if start is not None:
        keep &= found.session >= np.datetime64(start, "D")
    if end is not None:
        keep &= found.session <= np.datetime64(end, "D")
    session, value = found.session[keep], found.value[keep]
    order = np.argsort(session, kind="stable")
    session, value = session[order], value[order]
    twice = session[1:] == session[:-1]
    if twice.any():
        raise SourceError(f"{found.path}: {name} has two values on {session[1:][twice][0]}; correct the file")
    n = len(session)
    return pd.DataFrame(
        {
            "series": pd.array([name] * n, dtype="str"),
            "session": session.astype("datetime64[us]"),
            "value": value.astype(float),
            "unit": pd.array([KNOWN[found.vendor_id].unit] * n, dtype="str"),
        }
    )[REFERENCE_COLUMNS]


def _series_of(path: Path) -> list[_Found]:
    """The known series of a file; none, with the reason logged, where it has none."""
    if file_kind(path) is None:
        log.info("%s passed over: neither Parquet nor CSV", path)
        return []
    names = column_names(path)
    dates = [n for n in names if normalise(n) in DATE_NAMES] or [
        n for n in names if normalise(n) in UNNAMED_INDEX
    ]
    if not dates:
        return _rba_table(path)
    columns = _known_columns(path, names)
    if not columns:
        log.info("%s passed over: no series known by its id among %s", path, names[:12])
        return []
    table = read_table(path, [dates[0], *columns], [dates[0], *columns])
    session = parse_sessions(table[dates[0]], zone="UTC", where=f"{path}: column {dates[0]!r}")
    return [
        _Found(vendor_id, path, session, parse_numbers(table[column], where=f"{path}: column {column!r}"))
        for column, vendor_id in columns.items()
        if _agrees_with_name(path, vendor_id)
    ]


def _known_columns(path: Path, names: list[str]) -> dict[str, str]:
    """Column to vendor id: by the column's own name, else the file's."""
    known = {name: name.strip() for name in names if name.strip() in KNOWN}
    if known:
        return known
    words = [*re.split(r"[_\s.]", path.name), path.name.split(".")[0]]
    vendor_id = next((word for word in words if word in KNOWN), None)
    column = next((n for n in names if normalise(n) in ("value", *ALIASES["close"])), None)
    return {column: vendor_id} if vendor_id and column else {}


def _agrees_with_name(path: Path, vendor_id: str) -> bool:
    """False where the file's name promises another yield than the one inside."""
    promised = MATURITY_IN_NAME.search(path.name.split(".")[0].lower())
    name = KNOWN[vendor_id].name
    if promised and name.endswith("_yield") and name != f"{promised[1]}_{promised[2]}_yield":
        log.warning(
            "%s passed over: it is named %s_%s but holds %s (%s)", path, *promised.groups(), vendor_id, name
        )
        return False
    return True


def _rba_table(path: Path) -> list[_Found]:
    """Series of an RBA statistical table: some lines of description, the last of them "Series ID"."""
    if file_kind(path) != "csv" or path.name.endswith(".gz"):
        log.info("%s passed over: no date column", path)
        return []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read ({error}); download it again") from error
    top = next((i for i, line in enumerate(lines[:40]) if line.startswith(RBA_HEADER)), None)
    if top is None:
        log.info("%s passed over: no date column", path)
        return []
    ids = lines[top].split(",")
    known = [vendor_id for vendor_id in ids if vendor_id in KNOWN]
    text = "\n".join(lines[top:]).encode()
    table = pacsv.read_csv(
        pa.BufferReader(text),
        convert_options=pacsv.ConvertOptions(column_types={name: pa.string() for name in ids}),
    )
    session = parse_sessions(table[RBA_HEADER], zone="Australia/Sydney", where=f"{path}: dates")
    return [
        _Found(vendor_id, path, session, parse_numbers(table[vendor_id], where=f"{path}: {vendor_id}"))
        for vendor_id in known
    ]
