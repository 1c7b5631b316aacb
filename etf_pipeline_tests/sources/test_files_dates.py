"""Dates and numbers of vendor files: every format gives the same session, doubt is an error."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_pipeline.sources.base import SourceError
from etf_pipeline.sources.files.dates import parse_numbers, parse_sessions

SYDNEY, NEW_YORK = "Australia/Sydney", "America/New_York"

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
WRITTEN = {
    "iso": lambda d: d.isoformat(),
    "iso_slashes": lambda d: f"{d.year}/{d.month}/{d.day}",
    "iso_time": lambda d: f"{d.isoformat()} 16:00:00",
    "compact": lambda d: f"{d:%Y%m%d}",
    "day_first": lambda d: f"{d:%d/%m/%Y}",
    "day_first_dots": lambda d: f"{d.day}.{d.month}.{d.year}",
    "month_first": lambda d: f"{d:%m/%d/%Y}",
    "month_first_time": lambda d: f"{d:%m-%d-%Y} 4:00 PM",
    "named": lambda d: f"{d.day}-{MONTHS[d.month - 1]}-{d.year}",
    "named_us": lambda d: f"{MONTHS[d.month - 1]} {d.day}, {d.year}",
}
days = st.dates(date(1970, 1, 2), date(2100, 12, 31))
# A day above 12 settles the order of day and month.
columns = st.lists(days, min_size=1, max_size=30).map(lambda d: [*d, date(2020, 11, 25)])


def parse(values: list[object] | pa.Array, zone: str = SYDNEY) -> list[date | None]:
    array = values if isinstance(values, pa.Array) else pa.array(values)
    return parse_sessions(array, zone=zone, where="prices.csv: column 'Date'").tolist()


@pytest.mark.parametrize("form", WRITTEN)
@given(columns)
def test_every_written_form_gives_the_day(form: str, dates: list[date]) -> None:
    assert parse([WRITTEN[form](d) for d in dates]) == dates


@given(columns)
def test_yyyymmdd_integers(dates: list[date]) -> None:
    assert parse([int(f"{d:%Y%m%d}") for d in dates]) == dates
    assert parse([float(f"{d:%Y%m%d}") for d in dates] + [None]) == [*dates, None]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [SYDNEY, NEW_YORK])
@given(st.lists(st.dates(date(1990, 1, 1), date(2060, 12, 31)), min_size=1, max_size=20))
def test_epoch_at_the_opening_bell_is_the_local_date(unit: str, zone: str, dates: list[date]) -> None:
    opening = [pd.Timestamp(d).tz_localize(zone) + timedelta(hours=10) for d in dates]
    numbers = [int(np.datetime64(t.tz_convert("UTC").tz_localize(None), unit).astype(int)) for t in opening]
    assert parse(numbers, zone) == dates
    assert parse([str(n) for n in numbers], zone) == dates


@pytest.mark.parametrize("zone", [SYDNEY, NEW_YORK])
@given(columns)
def test_midnight_utc_is_a_date_in_any_zone(zone: str, dates: list[date]) -> None:
    assert parse([f"{d}T00:00:00Z" for d in dates], zone) == dates
    utc = pa.array(pd.DatetimeIndex([pd.Timestamp(d) for d in dates], tz="UTC"))
    assert parse(utc, zone) == dates


@given(st.lists(st.dates(date(1990, 1, 1), date(2060, 12, 31)), min_size=1, max_size=20))
def test_zoned_timestamps_are_exchange_dates(dates: list[date]) -> None:
    sydney = pd.DatetimeIndex([pd.Timestamp(d).tz_localize(SYDNEY) for d in dates])
    assert parse(pa.array(sydney)) == dates
    assert parse(pa.array(sydney.tz_convert("UTC"))) == dates
    assert parse([t.isoformat(sep=" ") for t in sydney]) == dates


def test_instants_move_to_the_exchange() -> None:
    # 15:30 in Chicago on the 2nd is the 3rd in Sydney.
    assert parse(["2024-01-02T15:30:00-06:00"]) == [date(2024, 1, 3)]
    assert parse(["2024-01-02T15:30:00-06:00"], NEW_YORK) == [date(2024, 1, 2)]


@given(columns)
def test_arrow_dates_timestamps_and_dictionaries(dates: list[date]) -> None:
    plain = pa.array(dates)
    assert parse(plain) == dates
    assert parse(plain.cast(pa.date64())) == dates
    assert parse(plain.cast(pa.timestamp("ns"))) == dates
    assert parse(plain.cast(pa.timestamp("s")).dictionary_encode()) == dates
    assert parse(pa.array([d.isoformat() for d in dates], pa.large_string())) == dates


def test_missing_dates_are_missing() -> None:
    assert parse(["2024-01-02", "", None, " - ", "NaT"]) == [date(2024, 1, 2), None, None, None, None]
    assert parse(pa.array([None, None], pa.timestamp("ns"))) == [None, None]
    assert parse(pa.nulls(2)) == [None, None]
    assert parse([20240102, None]) == [date(2024, 1, 2), None]
    assert parse(pa.array(["2024-01-02", None]).dictionary_encode()) == [date(2024, 1, 2), None]
    assert parse(pa.array([], pa.string())) == []


def test_one_day_above_twelve_anywhere_settles_the_order() -> None:
    assert parse(["01/02/2024", "13/02/2024"]) == [date(2024, 2, 1), date(2024, 2, 13)]
    assert parse(["01/02/2024", "02/13/2024"]) == [date(2024, 1, 2), date(2024, 2, 13)]
    assert parse(["05/05/2024"]) == [date(2024, 5, 5)]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["01/02/2024", "03/04/2024"], ["'01/02/2024' may be dd/mm/yyyy or mm/dd/yyyy", "rewrite"]),
        (["13/02/2024", "02/13/2024"], ["'13/02/2024' can only be dd/mm", "'02/13/2024' only mm/dd"]),
        (["2024-02-30"], ["'2024-02-30' is no day of the calendar"]),
        (["31-Foo-2024"], ["'31-Foo-2024' is no day of the calendar"]),
        (["01/02/24"], ["'01/02/24' is not a date this reader knows", "yyyy-mm-dd"]),
        (["2024-01-02 10:00:00+11:00", "2024-01-03 10:00:00"], ["'2024-01-03 10:00:00'", "zone"]),
        ([0, 1, 2], ["integers from 0 to 2 are neither"]),
        ([20241301], ["20241301 is not a date of the form yyyymmdd"]),
        ([20230229], ["20230229"]),
        ([45123.5], ["45123.5 is not a date"]),
        ([True], ["type bool is not a date"]),
    ],
)
def test_doubtful_dates_are_refused_by_name(values: list[object], words: list[str]) -> None:
    with pytest.raises(SourceError) as error:
        parse(values)
    for word in ["prices.csv: column 'Date'", *words]:
        assert word in str(error.value)


@given(st.lists(st.floats(-1e12, 1e12).map(lambda x: round(x, 4)), min_size=1))
def test_thousands_separators_change_nothing(numbers: list[float]) -> None:
    written = pa.array([f" {x:,.4f} " for x in numbers])
    assert parse_numbers(written, where="f").tolist() == [float(f"{x:.4f}") for x in numbers]


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1))
def test_single_precision_widens_exactly(numbers: list[float]) -> None:
    got = parse_numbers(pa.array(numbers, pa.float32()), where="f")
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, np.array(numbers, dtype=np.float32).astype(np.float64))


def test_empty_cells_are_not_numbers() -> None:
    got = parse_numbers(pa.array(["1", "", "-", "null", None, "N/A", "1e3"]), where="f")
    np.testing.assert_array_equal(got, [1, np.nan, np.nan, np.nan, np.nan, np.nan, 1000])
    assert np.isnan(parse_numbers(pa.nulls(1), where="f")).all()
    assert parse_numbers(pa.array([1, None]), where="f")[0] == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["12,5"], "'12,5' is not a number; write decimals with a point"),
        (["1,23,456"], "'1,23,456' is not a number"),
        (["3.2", "abc"], "'abc' is not a number; correct it"),
        ([True], "type bool is not a number"),
    ],
)
def test_what_is_no_number_is_refused(values: list[object], words: str) -> None:
    with pytest.raises(SourceError, match=r"prices\.csv") as error:
        parse_numbers(pa.array(values), where="prices.csv: column 'Close'")
    assert words in str(error.value)
