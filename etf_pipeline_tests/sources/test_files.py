"""The files source as a whole: what a directory or a file becomes, and what it refuses."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.sources.base import (
    ACTION_COLUMNS,
    BAR_COLUMNS,
    COVERAGE_COLUMNS,
    LISTING_COLUMNS,
    Fetch,
    Source,
    SourceError,
)
from etf_pipeline.sources.files import FilesSource
from etf_pipeline.sources.files import source as source_module
from etf_pipeline.sources.universe_file import default_universe, read_universe

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAYS = pd.bdate_range("2024-01-02", periods=10)


def long_frame(ends: dict[str, int]) -> pd.DataFrame:
    """One row a ticker and day; ticker k stops after ``ends[k]`` of DAYS."""
    rows = [
        (ticker, day, 10.0 + i, 11.0 + i, 9.0 + i, 10.5 + i, 100 * i)
        for ticker, end in ends.items()
        for i, day in enumerate(DAYS[:end])
    ]
    return pd.DataFrame(rows, columns=["ticker", "date", "open", "high", "low", "close", "volume"])


def source(path: Path, **options: object) -> FilesSource:
    options = {"market": "asx", "clock": lambda: NOW, **options}
    return FilesSource(path, **options)  # type: ignore[arg-type]


def fetch_all(files: FilesSource, start: date | None = None, end: date | None = None) -> Fetch:
    (fetch,) = files.fetch(files.tickers(), start, end)
    return fetch


@pytest.fixture
def long_file(tmp_path: Path) -> Path:
    path = tmp_path / "all_funds.parquet"
    long_frame({"A.AX": 10, "B.AX": 10, "DEAD.AX": 4}).to_parquet(path, index=False)
    return path


def test_it_is_a_source(long_file: Path) -> None:
    files = source(long_file)
    assert isinstance(files, Source)
    assert (files.name, files.simulated, files.resumable, files.ticker_suffix) == (
        "files",
        False,
        False,
        ".AX",
    )
    assert source(long_file, market="us").ticker_suffix == ""
    assert files.tickers() == ["A.AX", "B.AX", "DEAD.AX"]


def test_frames_have_the_shape_of_the_contract(long_file: Path) -> None:
    fetch = fetch_all(source(long_file))
    assert list(fetch.bars.columns) == BAR_COLUMNS
    assert list(fetch.actions.columns) == ACTION_COLUMNS
    assert list(fetch.coverage.columns) == COVERAGE_COLUMNS
    kinds = fetch.bars.dtypes.astype(str).to_dict()
    assert kinds["ticker"] == "str"
    assert kinds["session"].startswith("datetime64[")
    assert kinds["is_final"] == "bool"
    prices = ("open", "high", "low", "close", "adj_close", "volume")
    assert {kinds[field] for field in prices} == {"float64"}
    assert fetch.bars["adj_close"].isna().all()
    assert fetch.actions.dtypes.astype(str)["kind"] == "str"
    assert fetch.coverage["rows"].dtype == np.int64
    assert fetch.known_at == NOW
    assert fetch.detail == str(long_file)


def test_values_come_back_as_written(long_file: Path) -> None:
    bars = fetch_all(source(long_file)).bars
    expected = pd.read_parquet(long_file).rename(columns={"date": "session"})
    for field in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(bars[field], expected[field].astype(float))
    assert bars["ticker"].tolist() == expected["ticker"].tolist()
    assert (bars["session"].to_numpy() == expected["session"].to_numpy()).all()


def test_the_order_of_rows_does_not_matter(long_file: Path, tmp_path: Path) -> None:
    shuffled = tmp_path / "shuffled_funds.csv"
    pd.read_parquet(long_file).sample(frac=1, random_state=3).to_csv(shuffled, index=False)
    pd.testing.assert_frame_equal(fetch_all(source(shuffled)).bars, fetch_all(source(long_file)).bars)


def test_window(long_file: Path) -> None:
    start, end = DAYS[2].date(), DAYS[5].date()
    fetch = fetch_all(source(long_file), start, end)
    assert fetch.bars.groupby("ticker").size().to_dict() == {"A.AX": 4, "B.AX": 4, "DEAD.AX": 2}
    coverage = fetch.coverage.set_index("ticker")
    assert (coverage["requested_start"] == DAYS[2]).all()
    assert (coverage["requested_end"] == DAYS[5]).all()
    assert coverage.loc["DEAD.AX", "last_session"] == DAYS[3]
    assert fetch.bars["is_final"].all(), "the window's end is not the file's end"


def test_a_death_is_final_and_an_edge_is_not(long_file: Path) -> None:
    fetch = fetch_all(source(long_file))
    open_bars = fetch.bars.loc[~fetch.bars["is_final"], ["ticker", "session"]]
    assert open_bars.to_numpy().tolist() == [["A.AX", DAYS[9]], ["B.AX", DAYS[9]]]
    coverage = fetch.coverage.set_index("ticker")
    assert (coverage["requested_end"] == DAYS[9]).all()
    assert coverage.loc["DEAD.AX", "last_session"] == DAYS[3]


def test_a_declared_download_time_settles_the_last_bar(long_file: Path) -> None:
    # DAYS[9] is Monday 2024-01-15; Sydney closes at 05:00 UTC.
    during = source(long_file, known_at=datetime(2024, 1, 15, 3, tzinfo=UTC))
    after = source(long_file, known_at=datetime(2024, 1, 15, 8, tzinfo=UTC))
    assert fetch_all(during).bars.groupby("session")["is_final"].all().tolist() == [True] * 9 + [False]
    assert fetch_all(after).bars["is_final"].all()
    assert fetch_all(after).known_at == datetime(2024, 1, 15, 8, tzinfo=UTC)


def test_a_bar_of_the_future_is_never_final(long_file: Path) -> None:
    early = source(long_file, clock=lambda: datetime(2024, 1, 5, 0, 30, tzinfo=UTC))
    final = fetch_all(early).bars.query("ticker == 'A.AX'")["is_final"].tolist()
    assert final == [True] * 3 + [False] * 7  # 2, 3 and 4 January are over


def test_the_file_says_nothing_outside_itself(long_file: Path) -> None:
    fetch = fetch_all(source(long_file), date(2025, 1, 1), date(2025, 2, 1))
    assert (fetch.coverage["status"] == "empty").all()
    assert fetch.coverage["requested_start"].isna().all()
    assert fetch.coverage["message"].str.contains("vouches only for 2024-01-02 to 2024-01-15").all()
    assert len(fetch.bars) == 0


def test_every_ticker_asked_for_is_covered_once(long_file: Path) -> None:
    fetches = list(source(long_file).fetch(["ZZZ.AX", "A.AX", "A.AX"], None, None))
    coverage = pd.concat([fetch.coverage for fetch in fetches])
    assert coverage["ticker"].tolist() == ["A.AX", "ZZZ.AX"]
    assert coverage["status"].tolist() == ["ok", "no_such_symbol"]
    assert str(long_file) in coverage["message"].iloc[1]
    (only,) = source(long_file).fetch(["ZZZ.AX"], None, None)
    assert only.coverage["status"].tolist() == ["no_such_symbol"]
    assert list(only.bars.columns) == BAR_COLUMNS
    assert list(source(long_file).fetch([], None, None)) == []


def test_duplicates_are_passed_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = long_frame({"A.AX": 3})
    again = frame.assign(close=frame["close"] + 0.25)
    pd.concat([frame, again]).to_csv(tmp_path / "twice_all.csv", index=False)
    bars = fetch_all(source(tmp_path / "twice_all.csv")).bars
    assert bars["close"].tolist() == [10.5, 10.75, 11.5, 11.75, 12.5, 12.75]
    assert "3 rows repeat a ticker and session" in caplog.text
    assert bars["is_final"].tolist() == [True] * 4 + [False] * 2


def test_a_row_without_a_close_is_no_bar(tmp_path: Path) -> None:
    frame = long_frame({"A.AX": 4, "B.AX": 4}).assign(dividend=0.0)
    frame.loc[1, "close"] = np.nan
    frame.loc[1, "dividend"] = 0.5
    frame.loc[frame["ticker"] == "B.AX", "close"] = np.nan
    frame.to_parquet(tmp_path / "holes_all.parquet")
    fetch = fetch_all(source(tmp_path / "holes_all.parquet", adjusted=False))
    coverage = fetch.coverage.set_index("ticker")
    assert coverage["rows"].to_dict() == {"A.AX": 3, "B.AX": 0}
    assert coverage.loc["A.AX", "message"] == "rows without a close left out: 1"
    assert coverage.loc["B.AX", "status"] == "empty"
    assert coverage.loc["B.AX", "message"] == "rows without a close left out: 4"
    assert fetch.actions["value"].tolist() == [0.5], "its distribution is known all the same"


def test_actions(tmp_path: Path) -> None:
    frame = long_frame({"A.AX": 6}).assign(
        Dividends=[0, 0.3, 0, 0, np.nan, 0],
        **{"Stock Splits": [0, 1, 2, 0, 0.05, np.nan], "Capital Gains": [0, 0, 0, 1.5, 0, 0]},
    )
    pd.concat([frame, frame.iloc[[1]]]).to_csv(tmp_path / "a_b.csv", index=False)
    actions = fetch_all(source(tmp_path / "a_b.csv", adjusted=False)).actions
    assert list(actions.itertuples(index=False, name=None)) == [
        ("A.AX", DAYS[1], "dividend", 0.3),
        ("A.AX", DAYS[2], "split", 2.0),
        ("A.AX", DAYS[3], "capital_gain", 1.5),
        ("A.AX", DAYS[4], "split", 0.05),
    ]
    windowed = fetch_all(source(tmp_path / "a_b.csv", adjusted=False), DAYS[3].date(), None).actions
    assert windowed["kind"].tolist() == ["capital_gain", "split"]


def test_bare_exchange_codes_get_the_suffix(tmp_path: Path) -> None:
    for code in ("VAS", "stw"):
        long_frame({code: 3}).drop(columns="ticker").to_csv(tmp_path / f"{code}.csv", index=False)
    files = source(tmp_path)
    assert files.tickers() == ["STW.AX", "VAS.AX"]
    assert ".AX added to bare codes" in fetch_all(files).detail
    assert source(tmp_path, market="us").tickers() == ["STW", "VAS"]


def test_a_foreign_code_among_suffixed_ones_stays_as_it_is(tmp_path: Path) -> None:
    long_frame({"VAS.AX": 3, "VAS": 3}).to_parquet(tmp_path / "mixed_all.parquet")
    assert source(tmp_path / "mixed_all.parquet").tickers() == ["VAS", "VAS.AX"]


def test_a_mixed_directory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    long_frame({"A.AX": 10, "B.AX": 10}).to_parquet(tmp_path / "all_funds.parquet")
    long_frame({"C.AX": 5}).drop(columns="ticker").to_csv(tmp_path / "C.AX.csv", index=False)
    long_frame({"D.AX": 6}).drop(columns="ticker").to_csv(tmp_path / "D.AX.csv.gz", index=False)
    pd.DataFrame({"^VIX": [13.0], "Date": DAYS[:1]}).to_parquet(tmp_path / "external_vix.parquet")
    (tmp_path / "holes.json").write_text("[]")
    (tmp_path / "profile.csv").write_text("ticker,n\nA,1\n")
    (tmp_path / "more").mkdir()
    (tmp_path / ".hidden").write_text("x")
    files = source(tmp_path)
    assert files.tickers() == ["A.AX", "B.AX", "C.AX", "D.AX"]
    fetches = list(files.fetch(files.tickers(), None, None))
    coverage = pd.concat([fetch.coverage for fetch in fetches]).set_index("ticker")
    assert coverage["rows"].to_dict() == {"A.AX": 10, "B.AX": 10, "C.AX": 5, "D.AX": 6}
    # A ticker's own file was downloaded on its own: it says nothing of later days.
    assert coverage.loc["C.AX", "requested_end"] == DAYS[4]
    for name in ("external_vix.parquet", "holes.json", "profile.csv", "more"):
        assert f"{name} passed over: " in caplog.text
    assert ".hidden" not in caplog.text


def test_one_file_a_year_is_one_history(tmp_path: Path) -> None:
    frame = long_frame({"A.AX": 10, "B.AX": 10})
    frame[frame["date"] < DAYS[5]].to_parquet(tmp_path / "first_half.parquet")
    frame[frame["date"] >= DAYS[5]].to_parquet(tmp_path / "second_half.parquet")
    fetch = fetch_all(source(tmp_path))
    assert fetch.bars.loc[~fetch.bars["is_final"], "session"].tolist() == [DAYS[9], DAYS[9]]
    assert (fetch.coverage["requested_start"] == DAYS[0]).all()
    assert (fetch.coverage["requested_end"] == DAYS[9]).all()
    assert (fetch.coverage["rows"] == 10).all()


def test_a_ticker_that_dies_in_its_second_file_died(tmp_path: Path) -> None:
    frame = long_frame({"A.AX": 10, "DEAD.AX": 7})
    frame[frame["date"] < DAYS[5]].to_parquet(tmp_path / "first_half.parquet")
    frame[frame["date"] >= DAYS[5]].to_parquet(tmp_path / "second_half.parquet")
    bars = fetch_all(source(tmp_path)).bars
    assert bars.loc[~bars["is_final"], "ticker"].tolist() == ["A.AX"]


def test_hundreds_of_files_come_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "FILES_PER_FETCH", 40)
    text = "Date,Open,High,Low,Close,Volume\n" + "\n".join(f"{d:%d/%m/%Y},1,2,1,1.5,10" for d in DAYS)
    for i in range(100):
        (tmp_path / f"T{i:03d}.csv").write_text(text)
    files = source(tmp_path)
    fetches = list(files.fetch(files.tickers(), None, None))
    assert [len(fetch.coverage) for fetch in fetches] == [40, 40, 20]
    assert sum(len(fetch.bars) for fetch in fetches) == 1000
    assert len({ticker for fetch in fetches for ticker in fetch.coverage["ticker"]}) == 100
    assert fetches[0].detail.startswith(f"{tmp_path} (100 files)")


def test_one_ticker_in_files_of_two_kinds_is_an_error(tmp_path: Path) -> None:
    frame = long_frame({"A.AX": 4})
    frame.to_parquet(tmp_path / "old_all.parquet")
    frame.assign(adj_close=frame["close"] * 0.9).to_parquet(tmp_path / "raw_all.parquet")
    with pytest.raises(SourceError) as error:
        source(tmp_path).tickers()
    for words in ("A.AX is in", "old_all.parquet", "raw_all.parquet", "without adjusted close", "set path"):
        assert words in str(error.value)


def test_a_directory_without_bars_lists_what_it_saw(tmp_path: Path) -> None:
    (tmp_path / "a_b.json").write_text("{}")
    (tmp_path / "vix.csv").write_text("Date,^VIX\n2024-01-02,13\n")
    with pytest.raises(SourceError) as error:
        source(tmp_path).tickers()
    assert "a_b.json: neither Parquet nor CSV" in str(error.value)
    assert "vix.csv: no close column (close|last) among 'Date', '^VIX'" in str(error.value)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SourceError, match="it is empty"):
        source(empty).tickers()


def test_a_damaged_file_among_good_ones_is_an_error(tmp_path: Path) -> None:
    long_frame({"A.AX": 4}).to_parquet(tmp_path / "all_funds.parquet")
    (tmp_path / "B.AX.parquet").write_bytes(b"garbage")
    with pytest.raises(SourceError, match=r"B\.AX\.parquet: not a readable Parquet file"):
        source(tmp_path).tickers()


def test_impossible_arguments(tmp_path: Path, long_file: Path) -> None:
    with pytest.raises(SourceError, match="does not exist; set path"):
        source(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="market 'lse' is unknown; use one of asx, us"):
        source(long_file, market="lse")
    with pytest.raises(SourceError, match="needs a time zone"):
        source(long_file, known_at=datetime(2024, 1, 1))
    with pytest.raises(SourceError, match="listings has columns"):
        source(long_file, listings=pd.DataFrame({"ticker": ["A"]}))
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match="holds no bars: no session column"):
        source(tmp_path / "notes.csv").tickers()


def test_listings_and_reference(long_file: Path) -> None:
    assert list(source(long_file).listings().columns) == LISTING_COLUMNS
    assert len(source(long_file).listings()) == 0
    given = read_universe(default_universe("asx"), suffix=".AX")
    pd.testing.assert_frame_equal(source(long_file, listings=given).listings(), given)
    # Series beside the bars are not guessed at.
    pd.DataFrame({"^VIX": [13.0], "Date": DAYS[:1]}).to_parquet(long_file.parent / "external_vix.parquet")
    assert len(source(long_file).reference(None, None)) == 0
    found = source(long_file, reference_path=long_file.parent).reference(None, None)
    assert found["series"].tolist() == ["vix"]


def test_the_basis_does_not_depend_on_the_window(tmp_path: Path) -> None:
    frame = long_frame({"A.AX": 10})
    frame.assign(adj_close=np.r_[frame["close"][:2] * 0.9, frame["close"][2:]]).to_parquet(
        tmp_path / "one_all.parquet"
    )
    files = source(tmp_path / "one_all.parquet")
    assert fetch_all(files).basis == fetch_all(files, DAYS[5].date(), None).basis == "split_adjusted"
    assert fetch_all(files).basis_evidence == "adj_close, no distributions in the file"


def test_fetching_twice_gives_the_same(long_file: Path) -> None:
    files = source(long_file)
    first, second = fetch_all(files), fetch_all(files)
    pd.testing.assert_frame_equal(first.bars, second.bars)
    pd.testing.assert_frame_equal(first.coverage, second.coverage)
