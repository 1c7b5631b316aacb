"""The universe file: strict about what it says, and the lists shipped obey it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.sources.base import ASSET_CLASSES, LISTING_COLUMNS, SourceError
from etf_pipeline.sources.universe_file import default_universe, empty_listings, read_universe

HEADER = (
    "ticker,name,asset_class,currency,listed_on,delisted_on,is_leveraged,expense_ratio,former_ticker_of\n"
)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "universe.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_full_row(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        HEADER + 'zzz.ax,"Fund, Zed",cash,AUD,2012-03-06,2020-12-04,false,0.0018,\n'
        "GLIN,,,,,,Yes,0.15%,AMP fund until 2020\n",
    )
    frame = read_universe(path, suffix=".AX")
    assert list(frame.columns) == LISTING_COLUMNS
    assert frame["ticker"].tolist() == ["GLIN.AX", "ZZZ.AX"]
    glin, zed = frame.iloc[0], frame.iloc[1]
    assert zed["name"] == "Fund, Zed"
    assert (zed["asset_class"], zed["currency"], zed["is_leveraged"]) == ("cash", "AUD", False)
    assert (zed["listed_on"], zed["delisted_on"]) == (pd.Timestamp("2012-03-06"), pd.Timestamp("2020-12-04"))
    assert zed["expense_ratio"] == 0.0018
    assert zed["former_ticker_of"] is None
    assert glin["name"] is None
    assert glin["asset_class"] is None
    assert glin["is_leveraged"] is True
    assert pd.isna(glin["listed_on"])
    assert glin["expense_ratio"] == pytest.approx(0.0015)
    assert glin["former_ticker_of"] == "AMP fund until 2020"


def test_only_the_ticker_is_needed(tmp_path: Path) -> None:
    frame = read_universe(write(tmp_path, "\ufeffTicker\nSPY\n\nQQQ\n"), suffix="")
    assert frame["ticker"].tolist() == ["QQQ", "SPY"]
    assert frame["is_leveraged"].tolist() == [None, None]
    assert frame["expense_ratio"].isna().all()
    pd.testing.assert_series_equal(frame.dtypes, empty_listings().dtypes)
    assert len(read_universe(write(tmp_path, "Ticker\n"), suffix="")) == 0


def test_header_in_any_case(tmp_path: Path) -> None:
    frame = read_universe(write(tmp_path, "Asset Class,TICKER,Is_Leveraged\ncash,AAA,0\n"), suffix=".AX")
    assert frame.loc[0, ["ticker", "asset_class", "is_leveraged"]].tolist() == ["AAA.AX", "cash", False]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["is empty", "at least ticker"]),
        ("name,currency\n", ["line 1", "no column ticker among 'name', 'currency'"]),
        ("ticker,colour\n", ["line 1", "column 'colour' is unknown; allowed: ticker, name"]),
        ("ticker,Ticker\n", ["line 1", "column 'Ticker' is there twice"]),
        ("ticker\nA\nB\nA.AX\n", ["line 4", "ticker 'A.AX' is on line 2 already"]),
        ("ticker,name\nA,Fund, Zed\n", ["line 2", "3 values for 2 columns; quote"]),
        ("ticker,name\n,Fund\n", ["line 2, column ticker: ''", "such as VAS.AX"]),
        ("ticker\nA B\n", ["line 2, column ticker: 'A B'"]),
        ("ticker\nVAS.L\n", ["line 2, column ticker: 'VAS.L'", "ends with .AX"]),
        ("ticker,asset_class\nA,equities\n", ["column asset_class: 'equities'", *ASSET_CLASSES]),
        ("ticker,currency\nA,aud\n", ["column currency: 'aud'", "AUD"]),
        ("ticker,listed_on\nA,06/03/2012\n", ["column listed_on: '06/03/2012'", "yyyy-mm-dd"]),
        ("ticker,listed_on,delisted_on\nA,2020-01-02,2019-01-02\n", ["column delisted_on", "(2020-01-02)"]),
        ("ticker,is_leveraged\nA,maybe\n", ["column is_leveraged: 'maybe'", "true, false, or empty"]),
        ("ticker,expense_ratio\nA,0.67\n", ["column expense_ratio: '0.67'", "0.07%", "from 0 to 0.05"]),
        ("ticker,expense_ratio\nA,cheap\n", ["column expense_ratio: 'cheap'", "a fraction a year"]),
        ("ticker,fund_size\nA,-1\n", ["column fund_size: '-1'", "75m", "from 0 to"]),
        ("ticker,fund_size\nA,large\n", ["column fund_size: 'large'", "net assets"]),
        ("ticker,expense_ratio\nA,nan\n", ["column expense_ratio: 'nan'"]),
        ('ticker,name\nA,"x\n', ["not a CSV file"]),
    ],
)
def test_errors_name_line_column_value_and_what_is_allowed(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SourceError) as error:
        read_universe(path, suffix=".AX")
    for word in [str(path), *words]:
        assert word in str(error.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.csv cannot be read"):
        read_universe(tmp_path / "none.csv", suffix="")
    (tmp_path / "latin.csv").write_bytes("ticker,name\nA,é\n".encode("latin-1"))
    with pytest.raises(SourceError, match="UTF-8"):
        read_universe(tmp_path / "latin.csv", suffix="")


@pytest.mark.parametrize(("market", "suffix", "currency"), [("asx", ".AX", "AUD"), ("us", "", "USD")])
def test_shipped_universes(market: str, suffix: str, currency: str) -> None:
    frame = read_universe(default_universe(market), suffix=suffix)  # type: ignore[arg-type]
    assert len(frame) >= 60
    assert frame["ticker"].is_unique
    assert frame["name"].notna().all()
    assert (frame["currency"] == currency).all()
    assert set(frame["asset_class"]) == set(ASSET_CLASSES)
    leveraged = frame["asset_class"] == "leveraged_inverse"
    assert (frame["is_leveraged"].astype(bool) == leveraged).all()
    assert leveraged.sum() >= 8


def test_shipped_facts() -> None:
    frame = read_universe(default_universe("asx"), suffix=".AX").set_index("ticker")
    assert "2020-12-04" in frame.loc["GLIN.AX", "former_ticker_of"]
    geared = ["GEAR.AX", "BBOZ.AX", "BEAR.AX", "GGUS.AX", "BBUS.AX", "SNAS.AX", "LNAS.AX", "GNDQ.AX"]
    assert frame.loc[geared, "is_leveraged"].all()
    assert "STW.AX" in frame.index
    assert "SPY" in read_universe(default_universe("us"), suffix="")["ticker"].tolist()


def test_no_universe_for_an_unknown_market() -> None:
    with pytest.raises(SourceError, match="there is one for asx, us"):
        default_universe("lse")  # type: ignore[arg-type]


def test_fund_size_in_units_or_millions(tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    path.write_text("ticker,fund_size\nA,75000000\nB,75m\nC,\n", encoding="utf-8")
    sizes = read_universe(path, suffix="").set_index("ticker")["fund_size"]
    assert sizes["A"] == sizes["B"] == 75e6
    assert np.isnan(sizes["C"])
