"""Vendors' dates and numbers, parsed by looking at the whole column.

A session is the exchange's local date. Dates are parsed on the distinct values, of which even a file
of a million bars has a few thousand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from etf_pipeline.sources.base import SourceError

ISO_REMEDY = "rewrite the column as yyyy-mm-dd"
NULL_TEXT = ("", "-", ".", "null", "none", "nan", "na", "n/a", "nat", "#n/a")

_TIME = (
    r"(?:[T ,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?"
    r"\s*(?P<half>[AaPp][Mm])?\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
)
_ISO = re.compile(r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})" + _TIME)
_COMPACT = re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})" + _TIME)
_SLASHED = re.compile(r"(?P<a>\d{1,2})(?P<sep>[-/.])(?P<b>\d{1,2})(?P=sep)(?P<y>\d{4})" + _TIME)
_DAY_MONTH = re.compile(r"(?P<d>\d{1,2})[-/ ](?P<name>[A-Za-z]{3,9})\.?[-/ ,]+(?P<y>\d{4})" + _TIME)
_MONTH_DAY = re.compile(r"(?P<name>[A-Za-z]{3,9})\.? +(?P<d>\d{1,2}),? +(?P<y>\d{4})" + _TIME)
_EPOCH = re.compile(r"\d{9,19}")
_THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$"
_MONTHS = {
    name: number
    for number, full in enumerate(
        (
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ),
        1,
    )
    for name in (full, full[:3])
} | {"sept": 9}

_EPOCH_UNITS = ((10**11, "s"), (10**14, "ms"), (10**17, "us"), (10**20, "ns"))
EARLIEST_DAY, LATEST_DAY = 19000101, 21001231
EARLIEST_EPOCH_SECONDS = 10**8  # March 1973; below it an integer is a row number or a day count


def parse_sessions(column: pa.Array | pa.ChunkedArray, *, zone: str, where: str) -> np.ndarray:
    """The exchange's local date of every row.

    Parameters
    ----------
    column : (n,) dates, timestamps with or without a time zone, text (ISO, dd/mm/yyyy or mm/dd/yyyy,
        yyyymmdd, month names) or integers (yyyymmdd; seconds, ms, us or ns since 1970).
    zone : the exchange's time zone, e.g. "Australia/Sydney".
    where : file and column, for messages.

    Returns
    -------
    (n,) datetime64[D], NaT where the row has no date.

    Notes
    -----
    A time without a zone is local. With a zone, a column that is midnight throughout, as written or in
    UTC, states dates, which are taken as they are; otherwise the instant is moved to ``zone``.
    dd/mm or mm/dd is decided by a day above 12 anywhere in the column.

    Raises
    ------
    SourceError
        A value that is no date, or an order of day and month that cannot be told.
    """
    array = _combined(column)
    if pa.types.is_dictionary(array.type):
        values = parse_sessions(array.dictionary, zone=zone, where=where)
        index = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return np.where(index >= 0, values[index], np.datetime64("NaT")) if len(values) else _nat(len(index))
    kind = array.type
    if pa.types.is_null(kind):
        return _nat(len(array))
    if pa.types.is_date(kind):
        return array.cast(pa.timestamp("ms")).to_numpy(zero_copy_only=False).astype("datetime64[D]")
    if pa.types.is_timestamp(kind):
        instants = array.cast(pa.timestamp(kind.unit)).to_numpy(zero_copy_only=False)
        return instants.astype("datetime64[D]") if kind.tz is None else _local_dates(instants, zone, kind.tz)
    if pa.types.is_floating(kind):
        numbers = array.to_numpy(zero_copy_only=False)
        whole = np.isnan(numbers) | (numbers == np.round(numbers))
        if not whole.all():
            raise SourceError(f"{where}: {numbers[~whole][0]} is not a date; {ISO_REMEDY}")
        array = pc.cast(pa.array(numbers, from_pandas=True), pa.int64())
    if pa.types.is_integer(array.type):
        missing = array.is_null().to_numpy(zero_copy_only=False)
        days = _from_integers(array.fill_null(0).to_numpy().astype(np.int64)[~missing], zone, where)
        result = _nat(len(array))
        result[~missing] = days
        return result
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        try:
            return parse_sessions(pc.cast(array, pa.date32()), zone=zone, where=where)  # all yyyy-mm-dd
        except pa.ArrowInvalid:
            encoded = array.dictionary_encode()
        days = _from_text(encoded.dictionary.to_pylist(), zone, where)
        index = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return np.append(days, np.datetime64("NaT"))[index]
    raise SourceError(f"{where}: type {kind} is not a date; {ISO_REMEDY}")


def parse_numbers(column: pa.Array | pa.ChunkedArray, *, where: str) -> np.ndarray:
    """(n,) float64 of a numeric or text column; NaN where empty, "-", "null" and the like.

    Thousands separators are understood ("1,234.50"); a comma for the decimal point is not.

    Raises
    ------
    SourceError
        A value that is no number.
    """
    array = _combined(column)
    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if pa.types.is_boolean(kind) or pa.types.is_temporal(kind) or pa.types.is_nested(kind):
        raise SourceError(f"{where}: type {kind} is not a number")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        array = _text_to_numbers(array, where)
    numbers = pc.cast(array, pa.float64(), safe=False)
    return numbers.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)


def _text_to_numbers(array: pa.Array, where: str) -> pa.Array:
    text = pc.utf8_trim_whitespace(array)
    empty = pc.is_in(pc.utf8_lower(text), value_set=pa.array(NULL_TEXT, type=text.type))
    text = pc.if_else(empty, pa.scalar(None, type=text.type), text)
    with_comma = pc.match_substring(text, ",")
    if pc.any(with_comma).as_py():
        bad = pc.and_(with_comma, pc.invert(pc.match_substring_regex(text, _THOUSANDS)))
        if pc.any(bad).as_py():
            value = text.filter(bad)[0].as_py()
            raise SourceError(
                f"{where}: {value!r} is not a number; write decimals with a point, "
                "commas only between thousands"
            )
        text = pc.replace_substring(text, ",", "")
    try:
        return pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        for value in pc.unique(text).to_pylist():
            try:
                float(value or 0)
            except ValueError:
                raise SourceError(
                    f"{where}: {value!r} is not a number; correct it or leave it empty"
                ) from None
        raise


def _combined(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _nat(n: int) -> np.ndarray:
    return np.full(n, np.datetime64("NaT"), dtype="datetime64[D]")


def _local_dates(instants: np.ndarray, zone: str, written_zone: str = "UTC") -> np.ndarray:
    """Dates of UTC ``instants``: as written where all are midnight in ``written_zone`` or UTC."""
    utc = pd.DatetimeIndex(instants, tz="UTC")
    for candidate in (written_zone, "UTC"):
        written = utc.tz_convert(candidate).tz_localize(None)
        if ((written == written.normalize()) | written.isna()).all():
            return written.to_numpy().astype("datetime64[D]")
    return utc.tz_convert(zone).tz_localize(None).to_numpy().astype("datetime64[D]")


def _from_integers(numbers: np.ndarray, zone: str, where: str) -> np.ndarray:
    if not len(numbers):
        return _nat(0)
    low, high = int(numbers.min()), int(numbers.max())
    if low >= EARLIEST_DAY and high <= LATEST_DAY:
        year, month, day = numbers // 10000, numbers // 100 % 100, numbers % 100
        first = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
        days = first.astype("datetime64[D]") + (day - 1)
        valid = (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]") == first)
        if not valid.all():
            raise SourceError(f"{where}: {numbers[~valid][0]} is not a date of the form yyyymmdd")
        return days
    if low >= EARLIEST_EPOCH_SECONDS:
        for bound, unit in _EPOCH_UNITS:
            if high < bound and low >= bound // 10**5:
                return _local_dates(numbers.astype(f"datetime64[{unit}]"), zone)
    raise SourceError(
        f"{where}: integers from {low} to {high} are neither yyyymmdd nor seconds, ms, us or ns since "
        f"1970; {ISO_REMEDY}"
    )


def _from_text(texts: Sequence[str], zone: str, where: str) -> np.ndarray:
    """datetime64[D] of each distinct text."""
    stripped = [text.strip() for text in texts]
    known = [(i, text) for i, text in enumerate(stripped) if text.lower() not in NULL_TEXT]
    days = _nat(len(texts))
    if not known:
        return days
    rows = np.array([i for i, _ in known])
    if all(_EPOCH.fullmatch(text) for _, text in known):
        days[rows] = _from_integers(np.array([int(text) for _, text in known]), zone, where)
        return days
    matches = [_match(text, where) for _, text in known]
    slashed = [match for match in matches if match.re is _SLASHED]
    day_first = _day_first(slashed, where)
    dates, seconds, offsets = [], [], []
    for match in matches:
        dates.append(_date(match, day_first, where))
        seconds.append(_seconds(match))
        offsets.append(_offset(match))
    written = np.array(dates, dtype="datetime64[D]")
    zoned = [offset for offset in offsets if offset is not None]
    if zoned and len(zoned) < len(offsets):
        plain = known[offsets.index(None)][1]
        raise SourceError(f"{where}: some times carry a zone and others ({plain!r}) do not; {ISO_REMEDY}")
    if zoned and any(seconds):
        shift = np.array(seconds) - 60 * np.array(zoned)
        days[rows] = _local_dates(written.astype("datetime64[s]") + shift, zone)
    else:
        days[rows] = written
    return days


def _match(text: str, where: str) -> re.Match[str]:
    for pattern in (_ISO, _COMPACT, _SLASHED, _DAY_MONTH, _MONTH_DAY):
        match = pattern.fullmatch(text)
        if match:
            return match
    raise SourceError(f"{where}: {text!r} is not a date this reader knows; {ISO_REMEDY}")


def _day_first(matches: list[re.Match[str]], where: str) -> bool:
    """True where the column is dd/mm/yyyy, False where mm/dd/yyyy."""
    by_day = next((m[0] for m in matches if int(m["a"]) > 12), None)
    by_month = next((m[0] for m in matches if int(m["b"]) > 12), None)
    if by_day and by_month:
        raise SourceError(
            f"{where}: {by_day!r} can only be dd/mm/yyyy and {by_month!r} only mm/dd/yyyy; {ISO_REMEDY}"
        )
    if matches and not by_day and not by_month:
        doubtful = next((m[0] for m in matches if int(m["a"]) != int(m["b"])), None)
        if doubtful:
            raise SourceError(
                f"{where}: {doubtful!r} may be dd/mm/yyyy or mm/dd/yyyy, and no day in the file is above "
                f"12; {ISO_REMEDY}"
            )
    return by_day is not None


def _date(match: re.Match[str], day_first: bool, where: str) -> date:
    groups = match.groupdict()
    if match.re is _SLASHED:
        day, month = (groups["a"], groups["b"]) if day_first else (groups["b"], groups["a"])
    else:
        day, month = groups["d"], groups.get("m") or str(_MONTHS.get(groups["name"].lower(), 0))
    try:
        return date(int(groups["y"]), int(month), int(day))
    except ValueError:
        raise SourceError(f"{where}: {match[0]!r} is no day of the calendar; {ISO_REMEDY}") from None


def _seconds(match: re.Match[str]) -> int:
    if match["hour"] is None:
        return 0
    hour = int(match["hour"])
    if match["half"]:
        hour = hour % 12 + (12 if match["half"].lower() == "pm" else 0)
    return hour * 3600 + int(match["minute"]) * 60 + int(match["second"] or 0)


def _offset(match: re.Match[str]) -> int | None:
    """Minutes east of Greenwich, None where no zone is written."""
    zone = match["zone"]
    if zone is None:
        return None
    if zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return -minutes if zone[0] == "-" else minutes
