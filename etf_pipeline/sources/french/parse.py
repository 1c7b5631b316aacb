"""The text of one of Ken French's files: some lines of description, a table in percent, and what may follow it.

The table begins below the line of names, whose first cell is empty. Monthly files hold a table of years after the one of
months, which is left out. A line in the middle that cannot be read is refused, or the rest of the table would be missing
in silence.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date

import numpy as np

from etf_pipeline.sources.base import SourceError
from etf_pipeline.sources.french.tables import factors_of_columns

MISSING_CODES = (-99.99, -999.0)
"""Percent; both mean "no observation"."""
PERCENT = 100.0
_DATABASE = re.compile(r"using\s+the\s+(?P<year>\d{4})(?P<month>0[1-9]|1[0-2])\s+\w+\s+database")
_DATE = {"daily": re.compile(r"\s*(\d{8})\s*,"), "monthly": re.compile(r"\s*(\d{6})\s*,")}
_REMEDY = "download it again"


@dataclass(frozen=True)
class ParsedTable:
    """One table.

    Attributes
    ----------
    frequency : daily or monthly.
    month : of the database it was made from, "2021-10"; None where its lines of description do not say.
    factors : F names, in the order of the columns.
    sessions : (S,) datetime64[D], ascending; of a month its last calendar day.
    returns : (S, F) float64, fraction a period; NaN where the file has a missing code.
    """

    frequency: str
    month: str | None
    factors: tuple[str, ...]
    sessions: np.ndarray
    returns: np.ndarray


def parse_table(text: str, where: str) -> ParsedTable:
    """The daily or monthly table of an original file.

    Parameters
    ----------
    text : the whole file.  where : its name, for messages.

    Raises
    ------
    SourceError : no line of names, unknown names, or a line, a date or a value that cannot be read.
    """
    lines = text.splitlines()
    top = next((i for i, line in enumerate(lines) if line.lstrip().startswith(",")), None)
    if top is None:
        raise SourceError(f"{where}: no line of names (one that begins with a comma); {_REMEDY}")
    names = [cell.strip() for cell in lines[top].strip().rstrip(",").split(",")[1:]]
    factors = factors_of_columns(names)
    if factors is None:
        raise SourceError(
            f"{where} line {top + 1}: columns {', '.join(names)} are not those of three factors, five factors or momentum"
        )
    body = lines[top + 1 :]
    frequency = next((f for f, pattern in _DATE.items() if body and pattern.match(body[0])), None)
    if frequency is None:
        raise SourceError(
            f"{where} line {top + 2}: {body[0].strip() if body else ''!r} begins with neither yyyymmdd nor yyyymm; {_REMEDY}"
        )
    pattern = _DATE[frequency]
    length = next((i for i, line in enumerate(body) if not pattern.match(line)), len(body))
    again = next((i for i, line in enumerate(body[length:], length) if pattern.match(line)), None)
    if again is not None:
        raise SourceError(
            f"{where} line {top + 2 + length}: {body[length].strip()!r} ends the table, and line {top + 2 + again} goes on "
            f"with it (rule: one table a file, no gaps); {_REMEDY}"
        )
    values = np.empty((length, len(names)))
    sessions = np.empty(length, dtype="datetime64[D]")
    for i, line in enumerate(body[:length]):
        cells = line.rstrip().rstrip(",").split(",")
        at = f"{where} line {top + 2 + i}"
        if len(cells) != len(names) + 1:
            raise SourceError(f"{at}: {len(cells) - 1} values where {len(names)} are named; {_REMEDY}")
        sessions[i] = _day(cells[0].strip(), at)
        try:
            values[i] = [float(cell) for cell in cells[1:]]
        except ValueError as error:
            raise SourceError(f"{at}: {error}; {_REMEDY}") from None
    back = np.flatnonzero(np.diff(sessions).astype(int) <= 0)
    if len(back):
        raise SourceError(
            f"{where} line {top + 3 + back[0]}: {sessions[back[0] + 1]} follows {sessions[back[0]]} (rule: dates ascend); "
            f"{_REMEDY}"
        )
    found = _DATABASE.search(" ".join(lines[:top]))
    return ParsedTable(
        frequency=frequency,
        month=f"{found['year']}-{found['month']}" if found else None,
        factors=tuple(factors[name] for name in names),
        sessions=sessions,
        returns=percent_to_fraction(values, where),
    )


def percent_to_fraction(values: np.ndarray, where: str) -> np.ndarray:
    """Percent as a fraction, missing codes and NaN as NaN; SourceError for infinite values and losses above all."""
    known = np.where(np.isin(values, MISSING_CODES), np.nan, values)
    wrong = np.isinf(known) | (known < -PERCENT)
    if wrong.any():
        raise SourceError(
            f"{where}: {known[wrong][0]} percent is no return, nor one of the missing codes "
            f"{', '.join(str(code) for code in MISSING_CODES)}; {_REMEDY}"
        )
    return known / PERCENT


def _day(digits: str, at: str) -> np.datetime64:
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:] or 0)
    try:
        return np.datetime64(date(year, month, day or calendar.monthrange(year, month)[1]), "D")
    except (ValueError, calendar.IllegalMonthError):
        raise SourceError(f"{at}: {digits} is no date; {_REMEDY}") from None
