"""Ken French's original files: what is read of them, and what is refused rather than read halfway."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.sources.base import SourceError
from etf_pipeline.sources.french.parse import parse_table
from etf_pipeline_tests.sources.french_texts import DEVELOPED_DAILY, US_DAILY, US_MONTHLY_MOMENTUM


def test_three_factors_a_day() -> None:
    table = parse_table(US_DAILY, "f")
    assert (table.frequency, table.month) == ("daily", "2021-10")
    assert table.factors == ("market_excess", "size", "value", "risk_free")
    assert table.sessions.astype(str).tolist() == ["2021-10-27", "2021-10-28", "2021-10-29"]
    np.testing.assert_array_equal(
        table.returns,
        np.array([[-0.67, -1.35, -0.26, 0.0], [1.14, 0.87, -0.47, 0.0], [0.22, 0.19, -0.82, 0.009]]) / 100,
    )


def test_padded_cells_missing_codes_and_no_footer() -> None:
    table = parse_table(DEVELOPED_DAILY, "f")
    assert (table.frequency, table.month) == ("daily", "2022-08")
    assert table.factors == ("market_excess", "size", "value", "profitability", "investment", "risk_free")
    assert np.isnan(table.returns[1, 2])
    assert np.isfinite(table.returns).sum() == 11


def test_months_are_read_and_years_left_out() -> None:
    table = parse_table(US_MONTHLY_MOMENTUM, "f")
    assert (table.frequency, table.month, table.factors) == ("monthly", "2025-11", ("momentum",))
    assert table.sessions.astype(str).tolist() == ["2025-09-30", "2025-10-31", "2025-11-30"]
    np.testing.assert_array_equal(table.returns[:, 0], [3.44 / 100, np.nan, -1.80 / 100])


def test_a_leap_februarys_last_day() -> None:
    text = US_MONTHLY_MOMENTUM.replace("202509", "202402").replace("202510", "202502")
    assert parse_table(text, "f").sessions[:2].astype(str).tolist() == ["2024-02-29", "2025-02-28"]


@pytest.mark.parametrize("ending", [",", " ,"])
def test_an_empty_last_column(ending: str) -> None:
    text = US_DAILY.replace("RF\n", f"RF{ending}\n").replace("0.000\n", f"0.000{ending}\n")
    np.testing.assert_array_equal(parse_table(text, "f").returns, parse_table(US_DAILY, "f").returns)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",Mkt-RF", "Mkt-RF", "no line of names"),
        ("SMB,HML", "SMB,QMJ", r"f line 5: columns Mkt-RF, SMB, QMJ, RF are not those of three factors"),
        ("20211027,", "27.10.2021,", "f line 6: '27.10.2021.*' begins with neither yyyymmdd nor yyyymm"),
        ("20211028,", "2021O028,", r"f line 7: '2021O028,.* ends the table, and line 8 goes on with it"),
        ("20211028,    1.14,", "20211028,", "f line 7: 3 values where 4 are named"),
        ("1.14", "1.l4", "f line 7: could not convert string to float: .*1.l4"),
        ("20211028", "20211328", "f line 7: 20211328 is no date"),
        ("20211028", "20211027", r"f line 7: 2021-10-27 follows 2021-10-27 \(rule: dates ascend\)"),
        ("1.14", "inf", "inf percent is no return"),
        ("1.14", "-9999", r"-9999\.0 percent is no return, nor one of the missing codes -99\.99, -999\.0"),
    ],
    ids=["names", "column", "date order", "middle", "cells", "number", "date", "twice", "infinite", "code"],
)
def test_what_cannot_be_read_is_named_by_its_line(old: str, new: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        parse_table(US_DAILY.replace(old, new, 1), "f")


def test_an_empty_table() -> None:
    with pytest.raises(SourceError, match="f line 6: '' begins with neither"):
        parse_table(US_DAILY[: US_DAILY.index("20211027")], "f")
