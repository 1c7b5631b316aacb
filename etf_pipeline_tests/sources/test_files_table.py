"""One file: columns found whatever their dress, damage and ambiguity named."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_pipeline.sources.base import SourceError
from etf_pipeline.sources.files.columns import ALIASES, detect_columns
from etf_pipeline.sources.files.table import FileBars, NoBars, read_bars, ticker_of_name

ZONE = "Australia/Sydney"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def bars(path: Path) -> FileBars:
    read = read_bars(path, zone=ZONE)
    assert isinstance(read, FileBars), read
    return read


def refused(path: Path) -> str:
    read = read_bars(path, zone=ZONE)
    assert isinstance(read, NoBars)
    return read.reason


@given(st.data())
def test_columns_are_found_in_any_dress(data: st.DataObject) -> None:
    expected = {}
    for field in data.draw(st.sets(st.sampled_from(sorted(ALIASES)), min_size=1)):
        alias = data.draw(st.sampled_from(ALIASES[field]))
        gaps = data.draw(st.lists(st.sampled_from(["", " ", "_"]), min_size=len(alias), max_size=len(alias)))
        upper = data.draw(st.lists(st.booleans(), min_size=len(alias), max_size=len(alias)))
        name = "".join((c.upper() if u else c) + g for c, g, u in zip(alias, gaps, upper, strict=True))
        expected[field] = name
    assert detect_columns([*expected.values(), "turnover"], "f") == expected


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["Date", "Close", "last"], "columns 'Close' and 'last' both mean close"),
        (["date", "Timestamp", "close"], "columns 'date' and 'Timestamp' both mean session"),
        (["Adj Close", "adj_close"], "columns 'Adj Close' and 'adj_close' both mean adj_close"),
        (["Symbol", "code"], "columns 'Symbol' and 'code' both mean ticker"),
    ],
)
def test_two_columns_for_one_field_are_an_error(names: list[str], words: str) -> None:
    with pytest.raises(SourceError, match=r"prices\.csv") as error:
        detect_columns(names, "prices.csv")
    assert words in str(error.value)


def test_yahoo_style_csv(tmp_path: Path) -> None:
    path = write(
        tmp_path / "VAS.AX.csv",
        "Date,Open,High,Low,Close,Adj Close,Volume,Dividends,Stock Splits,Capital Gains\n"
        "2024-01-02 00:00:00+11:00,90,91,89,90.5,88.1,1000,0.0,0.0,0.0\n"
        "2024-07-01 00:00:00+10:00,92,93,91,92.5,92.5,1200,0.95,0.0,0.0\n",
    )
    read = bars(path)
    assert read.names == ["VAS.AX"]
    assert read.session.tolist() == pd.to_datetime(["2024-01-02", "2024-07-01"]).date.tolist()
    assert read.fields["adj_close"].tolist() == [88.1, 92.5]
    assert read.fields["dividend"].tolist() == [0.0, 0.95]
    assert set(read.fields) == {
        "open", "high", "low", "close", "adj_close", "volume", "dividend", "split", "capital_gain"
    }  # fmt: skip


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_byte_order_mark_and_gzip(tmp_path: Path, delimiter: str) -> None:
    text = "\ufeffDATE,SYMBOL,LAST\n31/12/2024,VAS,1.5\n".replace(",", delimiter)
    path = tmp_path / "prices.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    read = bars(path)
    assert read.names == ["VAS"]
    assert read.fields["close"].tolist() == [1.5]
    assert str(read.session[0]) == "2024-12-31"


def test_a_ticker_is_text_even_where_it_looks_like_something_else(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x_y.csv",
        "date,ticker,close\n20240102,NA,1\n20240102,007,2\n20240102,TRUE,3\n20240102, NA ,4\n",
    )
    read = bars(path)
    assert read.names == ["007", "NA", "TRUE"]
    assert [read.names[c] for c in read.code] == ["NA", "007", "TRUE", "NA"]


def test_thousands_separators_late_in_a_large_file(tmp_path: Path) -> None:
    lines = [f"2024-01-02,T{i},1.5,100" for i in range(80_000)] + ['2024-01-02,LATE,"1,234.5","1,000,000"']
    read = bars(write(tmp_path / "x_y.csv", "date,ticker,close,volume\n" + "\n".join(lines)))
    assert read.fields["close"][-1] == 1234.5
    assert read.fields["volume"][-1] == 1_000_000
    assert read.fields["volume"][0] == 100


def test_rows_without_date_or_ticker_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "x_y.csv", "date,ticker,close\n2024-01-02,A,1\n,A,2\n2024-01-03,,3\n")
    read = bars(path)
    assert (len(read.code), read.unusable) == (1, 2)
    assert read.fields["close"].tolist() == [1]


def test_parquet_index_is_the_date(tmp_path: Path) -> None:
    frame = pd.DataFrame({"close": [1.0, 2.0]}, index=pd.to_datetime(["2024-01-02", "2024-01-03"]))
    frame.to_parquet(tmp_path / "spy.parquet")
    frame.to_csv(tmp_path / "ivv.csv")
    frame.rename_axis("Date").to_parquet(tmp_path / "voo.pq")
    for name in ("spy.parquet", "ivv.csv", "voo.pq"):
        read = bars(tmp_path / name)
        assert read.names == [name.split(".")[0].upper()]
        assert [str(s) for s in read.session] == ["2024-01-02", "2024-01-03"]


def test_missing_tickers_in_a_dictionary(tmp_path: Path) -> None:
    table = pa.table(
        {
            "ticker": pa.array(["B", None, "A"]).dictionary_encode(),
            "date": pa.array([0, 1, 2], pa.int32()).cast(pa.date32()),
            "close": [1.0, 2.0, 3.0],
        }
    )
    pq.write_table(table, tmp_path / "long_file.parquet")
    read = bars(tmp_path / "long_file.parquet")
    assert read.names == ["A", "B"]
    assert read.code.tolist() == [1, 0]
    assert read.fields["close"].tolist() == [1.0, 3.0]
    assert read.unusable == 1


@pytest.mark.parametrize(
    ("name", "ticker"),
    [
        ("VAS.AX.csv", "VAS.AX"),
        ("vas.ax.csv.gz", "VAS.AX"),
        ("BRK-B.parquet", "BRK-B"),
        ("28BB.pq", "28BB"),
        ("asx_prices.parquet", None),
        ("a long name.csv", None),
        ("averyveryverylongname.csv", None),
        ("VAS.json", None),
    ],
)
def test_ticker_from_the_name(name: str, ticker: str | None) -> None:
    assert ticker_of_name(Path(name)) == ticker


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("notes.txt", "date,close\n", "neither Parquet nor CSV"),
        ("holes.json", "{}", "neither Parquet nor CSV"),
        ("vix.csv", "Date,^VIX\n2024-01-02,13\n", "no close column"),
        ("two.csv", "Date,timestamp,gpr\n2024-01-02,1,2\n", "no close column"),
        ("profile.csv", "ticker,close\nA,1\n", "no session column"),
        ("AUDUSD_yahoo.csv", "Date,Close\n2024-01-02,0.7\n", "file's name is not a ticker"),
        ("VAS.csv", "Date,Close\n", "no rows"),
    ],
)
def test_files_without_bars_say_why(tmp_path: Path, name: str, text: str, reason: str) -> None:
    assert reason in refused(write(tmp_path / name, text))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("VAS.parquet", b"PAR1 this is not parquet", "not a readable Parquet file"),
        ("VAS.parquet", b"", "not a readable Parquet file"),
        ("VAS.csv", b"", "the first line is empty"),
        ("VAS.csv", b"\xff\xfe\x00D", "not a readable CSV file in UTF-8"),
        ("VAS.csv.gz", b"date,close\n", "not a readable CSV file"),
        ("VAS.csv", b"date,close\n2024-01-02,1\n2024-01-03,1,2,3\n", "cannot be read"),
        ("VAS.csv", b"date,close\n2024-01-02,1\n2024-01-03,x\n", "'x' is not a number"),
        ("VAS.csv", b"date,close,last\n2024-01-02,1,1\n", "both mean close"),
        ("VAS.csv", b"date,close,Close\n2024-01-02,1,1\n", "both mean close"),
    ],
)
def test_damage_is_an_error_that_names_the_file(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError) as error:
        read_bars(path, zone=ZONE)
    assert str(path) in str(error.value)
    assert words in str(error.value)


def test_a_truncated_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "VAS.parquet"
    pd.DataFrame({"date": pd.to_datetime(["2024-01-02"]), "close": [1.0]}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(SourceError, match="download it again"):
        read_bars(path, zone=ZONE)


def test_damaged_pages_behind_a_good_footer(tmp_path: Path) -> None:
    path = tmp_path / "VAS.parquet"
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"date": pd.date_range("2000-01-01", periods=5000), "close": rng.random(5000)})
    frame.to_parquet(path)
    content = bytearray(path.read_bytes())
    content[4:2000] = bytes(1996)
    path.write_bytes(bytes(content))
    with pytest.raises(SourceError, match="cannot be read"):
        read_bars(path, zone=ZONE)
