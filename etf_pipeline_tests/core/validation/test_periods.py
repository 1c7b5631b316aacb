"""Which calendar years are over, and their rows."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.validation.periods import complete_years


def weekdays(first, last):
    days = np.arange(np.datetime64(first), np.datetime64(last) + 1)
    return days[np.is_busday(days)]


def test_rows_of_each_year():
    sessions = weekdays("2019-07-01", "2022-03-31")
    years = complete_years(sessions)
    assert years.year.tolist() == [2019, 2020, 2021]
    for year, begin, end in zip(years.year, years.begin, years.end, strict=True):
        assert set(sessions[begin:end].astype(str).astype("U4")) == {str(year)}
    assert years.begin[0] == 0
    np.testing.assert_array_equal(years.begin[1:], years.end[:-1])
    assert str(sessions[years.end[-1]]) == "2022-01-03"


def test_a_year_is_over_only_when_a_later_session_is_known():
    sessions = weekdays("2020-01-01", "2021-01-04")
    assert complete_years(sessions).year.tolist() == [2020]
    assert complete_years(sessions[:-1]).year.tolist() == [2020]
    assert str(sessions[-2]) == "2021-01-01"
    assert complete_years(sessions[:-2]).year.tolist() == []


@pytest.mark.parametrize("count", [0, 1])
def test_no_year_is_over_without_sessions(count):
    years = complete_years(weekdays("2020-06-01", "2020-06-10")[:count])
    assert len(years.year) == len(years.begin) == len(years.end) == 0


def test_a_year_without_sessions_is_left_out():
    sessions = np.array(["2018-05-01", "2020-05-01", "2021-05-01"], dtype="datetime64[D]")
    years = complete_years(sessions)
    assert years.year.tolist() == [2018, 2020]
    assert years.end.tolist() == [1, 2]


def test_years_before_1970():
    assert complete_years(weekdays("1968-12-01", "1970-01-05")).year.tolist() == [1968, 1969]


def test_cutting_leaves_earlier_years_as_they_are():
    sessions = weekdays("2018-03-01", "2021-06-30")
    whole = complete_years(sessions)
    for cut in range(0, len(sessions), 7):
        part = complete_years(sessions[:cut])
        for name, values in vars(part).items():
            np.testing.assert_array_equal(values, getattr(whole, name)[: len(values)])


def test_sessions_out_of_order_are_named():
    with pytest.raises(ValueError, match="2020-01-02 follows 2020-01-03"):
        complete_years(np.array(["2020-01-03", "2020-01-02"], dtype="datetime64[D]"))
