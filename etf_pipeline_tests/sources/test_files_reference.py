"""Reference series: known by id, one file a series, missing values left out."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from etf_pipeline.sources.base import REFERENCE_COLUMNS, SourceError
from etf_pipeline.sources.files.reference import read_reference

RBA = """F2 CAPITAL MARKET YIELDS
Title,2 year bond,10 year bond,Something else
Description,"Yields, 2 years","Yields, 10 years",Other
Units,Per cent per annum,Per cent per annum,Per cent
Series ID,FCMYGBAG2D,FCMYGBAG10D,FXXX
20-May-2013,2.48,3.22,1.0
21-May-2013,2.52,,1.1
"""


def write(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        (directory / f"{name}.csv").write_text(text)
    return directory


def as_dict(
    directory: Path, start: date | None = None, end: date | None = None
) -> dict[str, dict[str, float]]:
    frame = read_reference(directory, start, end)
    assert list(frame.columns) == REFERENCE_COLUMNS
    return {
        str(series): dict(zip(part["session"].dt.strftime("%Y-%m-%d"), part["value"], strict=True))
        for series, part in frame.groupby("series")
    }


def test_fred_in_its_own_form_and_renamed(tmp_path: Path) -> None:
    write(
        tmp_path,
        VIXCLS="observation_date,VIXCLS\n2024-01-01,.\n2024-01-02,13.2\n",
        FRED_DGS2="date,value\n2024-01-01,\n2024-01-02,4.33\n",
        DGS10="DATE,DGS10\n2024-01-02,3.95\n2024-01-03,3.91\n",
    )
    assert as_dict(tmp_path) == {
        "vix": {"2024-01-02": 13.2},
        "us_2y_yield": {"2024-01-02": 4.33},
        "us_10y_yield": {"2024-01-02": 3.95, "2024-01-03": 3.91},
    }
    units = read_reference(tmp_path, None, None).drop_duplicates("series").set_index("series")["unit"]
    assert units.to_dict() == {"vix": "index points", "us_2y_yield": "percent", "us_10y_yield": "percent"}


def test_yahoo_downloads(tmp_path: Path) -> None:
    pd.DataFrame({"^VIX": [13.2], "Date": [pd.Timestamp("2024-01-02")]}).to_parquet(
        tmp_path / "external_vix.parquet"
    )
    write(tmp_path, AUDUSD_yahoo="Date,Open,Close\n2024-06-03 00:00:00+01:00,0.66,0.67\n")
    assert as_dict(tmp_path) == {"vix": {"2024-01-02": 13.2}, "audusd": {"2024-06-03": 0.67}}
    assert read_reference(tmp_path, None, None)["unit"].tolist() == ["USD per AUD", "index points"]


def test_rba_table(tmp_path: Path) -> None:
    assert as_dict(write(tmp_path, f2=RBA)) == {
        "au_2y_yield": {"2013-05-20": 2.48, "2013-05-21": 2.52},
        "au_10y_yield": {"2013-05-20": 3.22},
    }


def test_window(tmp_path: Path) -> None:
    write(tmp_path, DGS10="DATE,DGS10\n2024-01-02,1\n2024-01-03,2\n2024-01-04,3\n")
    assert as_dict(tmp_path, date(2024, 1, 3), date(2024, 1, 3)) == {"us_10y_yield": {"2024-01-03": 2.0}}


def test_a_series_given_twice_is_read_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    write(
        tmp_path,
        FRED_VIXCLS="date,value\n2024-01-02,13.20\n",
        A_vix="Date,^VIX\n2024-01-02,13.21\n",
    )
    assert as_dict(tmp_path) == {"vix": {"2024-01-02": 13.2}}
    assert "A_vix.csv (^VIX) passed over: vix is in" in caplog.text
    assert "A series is known by its id" not in caplog.text


def test_ids_are_named_once_where_a_file_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, CPIAUCSL="date,value\n2024-01-02,1\n", UNRATE="date,value\n2024-01-02,1\n")
    with caplog.at_level(logging.INFO):
        assert as_dict(tmp_path) == {}
    told = [record.getMessage() for record in caplog.records if "known by its id, as" in record.getMessage()]
    assert len(told) == 1
    assert "VIXCLS" in told[0]
    assert "FCMYGBAG10D" in told[0]


def test_a_file_that_is_not_what_its_name_says_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, external_au_10y="Date,^TNX\n2024-01-02,4\n")
    assert as_dict(tmp_path) == {}
    assert "it is named au_10y but holds ^TNX (us_10y_yield)" in caplog.text


def test_unknown_files_are_passed_over_with_a_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write(
        tmp_path,
        FRED_CPIAUCSL="date,value\n2024-01-01,300\n",
        cash_rate="date,value\n2024-01-01,4\n",
        plain="a,b\n1,2\n",
    )
    (tmp_path / "notes.txt").write_text("x")
    assert as_dict(tmp_path) == {}
    for words in ("FRED_CPIAUCSL.csv passed", "cash_rate.csv passed", "plain.csv passed", "notes.txt passed"):
        assert words in caplog.text


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not a directory"):
        read_reference(tmp_path / "none", None, None)
    write(tmp_path, DGS10="DATE,DGS10\n2024-01-02,1\n2024-01-02,2\n")
    with pytest.raises(SourceError, match="us_10y_yield has two values on 2024-01-02"):
        read_reference(tmp_path, None, None)
    write(tmp_path, DGS10="DATE,DGS10\n2024-01-02,abc\n")
    with pytest.raises(SourceError, match=r"DGS10\.csv: column 'DGS10': 'abc' is not a number"):
        read_reference(tmp_path, None, None)


def test_nothing_set_is_nothing_read() -> None:
    frame = read_reference(None, None, None)
    assert list(frame.columns) == REFERENCE_COLUMNS
    assert len(frame) == 0
    assert frame["value"].dtype == float
