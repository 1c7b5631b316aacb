"""The shared market data, read as it is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.sources.base import Fetch, SourceError
from etf_pipeline.sources.files import FilesSource
from etf_pipeline.sources.files.reference import read_reference

pytestmark = pytest.mark.data

NOW = datetime(2026, 8, 3, 9, 0, tzinfo=UTC)
ASX = "asx/asx_prices_adj.parquet"
US_2024 = "us/us_etf_adjohlcv_div_splits_2024-12.parquet"
US_2026 = "us/us_etf_ohlcv_adj_div_2026-05.parquet"
US_2021 = "us/us_etf_raw_adj_vintage_2021-01_A-B.parquet"
US_2023 = "us/us_etf_raw_adj_vintage_2023-04_A-B.parquet"
US_IEX = "us/us_iex_partial_volume_sample_2025-04.parquet"


def read(path: Path, **options: object) -> Fetch:
    market = "asx" if "asx" in path.name else "us"
    files = FilesSource(path, market=market, clock=lambda: NOW, **options)  # type: ignore[arg-type]
    (fetch,) = files.fetch(files.tickers(), None, None)
    return fetch


@pytest.mark.parametrize(
    ("file", "rows", "tickers", "actions", "basis", "evidence", "open_bars"),
    [
        (ASX, 430_825, 253, 0, "total_return_adjusted", "assumed: the file holds no actions", 235),
        (US_2024, 422_282, 254, 8_168, "total_return_adjusted", "the close jumps at 0 of 37 splits", 252),
        (US_2026, 635_732, 156, 11_118, "split_adjusted", "10,627 of 10,627 ex-dates", 156),
        (US_2021, 215_538, 213, 0, "split_adjusted", "adj_close, no distributions in the file", 213),
        (US_2023, 354_154, 294, 0, "split_adjusted", "adj_close, no distributions in the file", 294),
        (US_IEX, 25_467, 22, 0, "total_return_adjusted", "assumed: the file holds no actions", 22),
    ],
)
def test_every_file_comes_back_exactly(
    market_data: Path,
    file: str,
    rows: int,
    tickers: int,
    actions: int,
    basis: str,
    evidence: str,
    open_bars: int,
) -> None:
    fetch = read(market_data / file)
    assert (len(fetch.bars), len(fetch.coverage), len(fetch.actions)) == (rows, tickers, actions)
    assert fetch.basis == basis
    assert evidence in fetch.basis_evidence
    assert int((~fetch.bars["is_final"]).sum()) == open_bars
    assert (fetch.coverage["status"] == "ok").all()
    assert (fetch.coverage["message"] == "").all()
    raw = pd.read_parquet(market_data / file)
    raw.columns = [str(name).lower().replace(" ", "_") for name in raw.columns]
    raw["ticker"] = raw["ticker"].astype(str)
    raw = raw.sort_values(["ticker", "date"], ignore_index=True)
    assert fetch.bars["ticker"].tolist() == raw["ticker"].tolist()
    np.testing.assert_array_equal(fetch.bars["session"], raw["date"])
    for field in ("open", "high", "low", "close", "adj_close", "volume"):
        if field in raw:
            np.testing.assert_array_equal(fetch.bars[field], raw[field].to_numpy().astype(float))
        else:
            assert fetch.bars[field].isna().all()


def test_download_edges_of_the_australian_set(market_data: Path) -> None:
    fetch = read(market_data / ASX)
    open_bars = fetch.bars.loc[~fetch.bars["is_final"], "session"].value_counts().sort_index()
    assert {str(day.date()): count for day, count in open_bars.items()} == {
        "2025-10-30": 7,
        "2025-10-31": 175,
        "2025-12-04": 6,
        "2026-01-02": 47,
    }
    coverage = fetch.coverage.set_index("ticker")
    died = coverage[coverage["last_session"] == "2025-02-14"]
    assert len(died) == 3
    assert (died["requested_end"] == pd.Timestamp("2026-01-02")).all()
    paused = coverage[coverage["last_session"] == "2025-10-31"]
    assert (paused["requested_end"] == pd.Timestamp("2025-10-31")).all()
    assert {"VAS", "VGS"} <= set(coverage.index), "foreign codes are passed on as they are"


def test_the_directory_is_the_file(market_data: Path) -> None:
    files = FilesSource(market_data / "asx", market="asx", clock=lambda: NOW)
    (fetch,) = files.fetch(files.tickers(), None, None)
    pd.testing.assert_frame_equal(fetch.bars, read(market_data / ASX).bars)


def test_a_declared_download_time_makes_the_vintages_final(market_data: Path) -> None:
    known_at = datetime(2021, 1, 28, 3, 0, tzinfo=UTC)
    fetch = read(market_data / US_2021, known_at=known_at)
    assert fetch.bars["is_final"].all()
    assert fetch.known_at == known_at


def test_declarations_are_checked(market_data: Path) -> None:
    with pytest.raises(SourceError, match=r"declared adjusted = false, but at 6,386 ex-dates"):
        read(market_data / US_2024, adjusted=False)
    assert read(market_data / US_2024, adjusted=True).basis == "total_return_adjusted"
    assert read(market_data / US_2026, adjusted=False).basis == "split_adjusted"
    assert read(market_data / US_2026, adjusted=True).basis == "split_adjusted"


def test_the_us_directory_mixes_kinds_and_is_refused(market_data: Path) -> None:
    with pytest.raises(SourceError, match="cannot be joined; set path to one of them"):
        FilesSource(market_data / "us", market="us").tickers()


def test_csv_gives_what_parquet_gives(market_data: Path, tmp_path: Path) -> None:
    frame = pd.read_parquet(market_data / US_2021)
    frame = frame[frame["ticker"].astype(str).isin(["AAA", "AGG", "BND"])]
    frame.to_csv(tmp_path / "three_funds.csv", index=False)
    frame.to_parquet(tmp_path / "three_funds.parquet")
    csv, parquet = read(tmp_path / "three_funds.csv"), read(tmp_path / "three_funds.parquet")
    assert (csv.basis, csv.basis_evidence) == (parquet.basis, parquet.basis_evidence)
    assert len(csv.bars) == len(parquet.bars)
    pd.testing.assert_frame_equal(csv.bars, parquet.bars, rtol=1e-6)


def test_reference_series(market_data: Path) -> None:
    macro = read_reference(market_data / "macro", None, None)
    last = macro.groupby("series").agg(rows=("value", "size"), last=("value", "last"), unit=("unit", "first"))
    assert last.loc["vix"].tolist() == [9091, 14.33, "index points"]
    assert last.loc["us_10y_yield"].tolist() == [11499, 4.14, "percent"]
    assert last.loc["us_2y_yield"].tolist() == [11499, 3.45, "percent"]
    assert last.loc["au_10y_yield"].tolist() == [2484, 3.19, "percent"]
    assert last.loc["audusd", "unit"] == "USD per AUD"
    assert last.loc["audusd", "rows"] == 4833
    assert not {"us_cpi", "unemployment"} & set(last.index)
    asx = read_reference(market_data / "asx", None, None)
    counts = asx["series"].value_counts().to_dict()
    assert counts == {"audusd": 1299, "vix": 1255, "us_10y_yield": 1255}
