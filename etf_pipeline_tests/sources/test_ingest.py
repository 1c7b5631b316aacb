"""From a source into the raw tier: what is asked again, what is not, and what the report says is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    REFERENCE_COLUMNS,
    Fetch,
    Source,
)
from etf_pipeline.sources.ingest import (
    IngestReport,
    ingest,
    ingest_listings,
    ingest_reference,
    refuse_missing_benchmark,
)
from etf_pipeline.storage.bitemporal import MixedSourcesError, OutOfOrderError
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.panels import BenchmarkMissingError

MARKET = "asx"
START, END = date(2024, 1, 2), date(2024, 1, 5)
EVENING = datetime(2024, 1, 5, 9, 0, tzinfo=UTC)  # the ASX closes at 05:00 UTC in summer
DAYS = pd.to_datetime(["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"])


class FakeVendor:
    """A vendor whose every answer is scripted, and who writes down what it was asked."""

    name = "fake"
    simulated = False
    ticker_suffix = ".AX"

    def __init__(self, *, resumable: bool = True, now: datetime = EVENING) -> None:
        self.resumable = resumable
        self.now = now
        self.status: dict[str, str] = {"A": "ok", "B": "ok", "C": "ok"}
        self.close = 10.0
        self.asked: list[list[str]] = []
        self.breaks_after: int | None = None

    def tickers(self) -> list[str]:
        return sorted(self.status)

    def fetch(self, tickers: Sequence[str], start: date | None, end: date | None) -> Iterator[Fetch]:
        """One ticker a batch, as they are asked for."""
        self.asked.append(list(tickers))
        for number, ticker in enumerate(tickers):
            if number == self.breaks_after:
                raise ConnectionError("the line is dead")
            yield self._answer(ticker, start, end)

    def _answer(self, ticker: str, start: date | None, end: date | None) -> Fetch:
        first, last = pd.Timestamp(start or date(2000, 1, 3)), pd.Timestamp(end or END)
        days = [d for d in DAYS if first <= d <= last] if self.status[ticker] == "ok" else []
        bars = pd.DataFrame(
            [(ticker, d, *[self.close] * 4, np.nan, 100.0, True) for d in days], columns=BAR_COLUMNS
        ).astype({"session": "datetime64[s]"})
        coverage = pd.DataFrame(
            [
                (
                    ticker, self.status[ticker], first if start else pd.NaT, last,
                    days[0] if days else pd.NaT, days[-1] if days else pd.NaT, len(days),
                    "" if self.status[ticker] == "ok" else f"the vendor says {self.status[ticker]}",
                )
            ],
            columns=COVERAGE_COLUMNS,
        ).astype(dict.fromkeys(COVERAGE_COLUMNS[2:6], "datetime64[s]"))  # fmt: skip
        actions = pd.DataFrame({c: pd.Series(dtype=str) for c in ACTION_COLUMNS}).astype(
            {"ex_date": "datetime64[s]", "value": float}
        )
        return Fetch("fake", self.now, "a script", "as_traded", "declared", bars, actions, coverage)

    def listings(self) -> pd.DataFrame:
        frame = pd.DataFrame({c: [None] * len(self.status) for c in LISTING_COLUMNS})
        return frame.assign(
            ticker=self.tickers(),
            name="Fund",
            expense_ratio=np.nan,
            fund_size=np.nan,
            listed_on=pd.NaT,
            delisted_on=pd.NaT,
        )

    def reference(self, start: date | None, end: date | None) -> pd.DataFrame:
        return pd.DataFrame([("vix", DAYS[0], 13.0, "index points")], columns=REFERENCE_COLUMNS)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def load(
    source: Source,
    warehouse: Warehouse,
    *,
    start: date | None = START,
    end: date | None = END,
    **options: object,
) -> IngestReport:
    return ingest(source, warehouse, market=MARKET, start=start, end=end, run_id="run", **options)  # type: ignore[arg-type]


def bars_held(warehouse: Warehouse) -> dict[str, int]:
    with warehouse.read() as connection:
        return dict(connection.execute("SELECT ticker, count(*) FROM raw.bars_latest GROUP BY 1").fetchall())


def test_the_fake_meets_the_contract() -> None:
    assert isinstance(FakeVendor(), Source)


def test_everything_is_stored_and_counted(warehouse: Warehouse) -> None:
    report = load(FakeVendor(), warehouse)
    assert bars_held(warehouse) == {"A": 4, "B": 4, "C": 4}
    assert (report.tickers, report.already_stored, report.bars_received, report.new_versions) == (
        3,
        0,
        12,
        12,
    )
    assert report.missing.empty
    assert "missing: none" in report.summary()


def test_finished_tickers_are_not_asked_again(warehouse: Warehouse) -> None:
    vendor = FakeVendor()
    load(vendor, warehouse)
    report = load(vendor, warehouse)
    assert vendor.asked == [["A", "B", "C"]], "the second run asks for nothing at all"
    assert (report.already_stored, report.bars_received, report.new_versions) == (3, 0, 0)


def test_an_interrupted_run_goes_on_where_it_stopped(warehouse: Warehouse) -> None:
    vendor = FakeVendor()
    vendor.breaks_after = 2
    with pytest.raises(ConnectionError):
        load(vendor, warehouse)
    assert bars_held(warehouse) == {"A": 4, "B": 4}, "each batch is stored before the next is asked for"
    vendor.breaks_after = None
    assert load(vendor, warehouse).already_stored == 2
    assert vendor.asked == [["A", "B", "C"], ["C"]]
    assert bars_held(warehouse) == {"A": 4, "B": 4, "C": 4}


@pytest.mark.parametrize(
    ("status", "again"),
    [
        ("ok", False),
        ("no_such_symbol", False),
        ("empty", False),
        ("rate_limited", True),
        ("server_error", True),
    ],
)
def test_only_what_may_change_is_asked_again(warehouse: Warehouse, status: str, again: bool) -> None:
    vendor = FakeVendor()
    vendor.status["B"] = status
    load(vendor, warehouse)
    load(vendor, warehouse)
    assert vendor.asked[1:] == ([["B"]] if again else [])


def test_the_report_says_what_is_missing_and_why(warehouse: Warehouse) -> None:
    vendor = FakeVendor()
    vendor.status.update(B="no_such_symbol", C="rate_limited")
    report = load(vendor, warehouse)
    expected = {
        ("B", "no_such_symbol", "the vendor says no_such_symbol"),
        ("C", "rate_limited", "the vendor says rate_limited"),
    }
    assert set(report.missing.itertuples(index=False, name=None)) == expected
    assert "'no_such_symbol': 1, 'rate_limited': 1" in report.summary()


def test_the_report_of_a_resumed_run_still_names_what_was_missing_before(warehouse: Warehouse) -> None:
    vendor = FakeVendor()
    vendor.status.update(B="no_such_symbol", C="rate_limited")
    load(vendor, warehouse)
    vendor.status["C"] = "ok"
    report = load(vendor, warehouse)
    assert vendor.asked[-1] == ["C"]
    assert list(report.missing["ticker"]) == ["B"]
    assert list(report.missing["message"]) == ["the vendor says no_such_symbol"]


def test_refetch_asks_for_everything_and_keeps_what_changed(warehouse: Warehouse) -> None:
    vendor = FakeVendor()
    load(vendor, warehouse)
    vendor.now = datetime(2024, 2, 1, tzinfo=UTC)
    assert load(vendor, warehouse, refetch=True).new_versions == 0
    vendor.now, vendor.close = datetime(2024, 3, 1, tzinfo=UTC), 11.0
    report = load(vendor, warehouse, refetch=True)
    assert vendor.asked[1:] == [["A", "B", "C"]] * 2
    assert (report.already_stored, report.new_versions) == (0, 12)
    assert bars_held(warehouse) == {"A": 4, "B": 4, "C": 4}


def test_a_source_that_costs_nothing_is_asked_every_time(warehouse: Warehouse) -> None:
    vendor = FakeVendor(resumable=False)
    load(vendor, warehouse)
    assert load(vendor, warehouse).new_versions == 0
    assert vendor.asked == [["A", "B", "C"]] * 2


@pytest.mark.parametrize(
    ("start", "end", "again"),
    [
        (START, END, False),
        (date(2024, 1, 3), END, False),
        (START, date(2024, 1, 4), False),
        (date(2023, 12, 1), END, True),
        (None, END, True),
        (START, date(2024, 1, 8), True),
        (START, None, True),
    ],
    ids=["same", "inside", "shorter", "earlier", "from the beginning", "later", "no end said"],
)
def test_an_answer_counts_for_the_window_it_covers(
    warehouse: Warehouse, start: date | None, end: date | None, again: bool
) -> None:
    vendor = FakeVendor()
    load(vendor, warehouse)
    vendor.now = datetime(2024, 1, 8, 9, 0, tzinfo=UTC)
    load(vendor, warehouse, start=start, end=end)
    assert len(vendor.asked) == (2 if again else 1)


def test_an_answer_from_the_beginning_covers_any_start(warehouse: Warehouse) -> None:
    vendor = FakeVendor()
    load(vendor, warehouse, start=None)
    load(vendor, warehouse, start=date(1999, 1, 4))
    load(vendor, warehouse, start=None)
    assert len(vendor.asked) == 1


@pytest.mark.parametrize(
    ("moment", "again"),
    [
        (datetime(2024, 1, 5, 4, 0, tzinfo=UTC), True),
        (datetime(2024, 1, 5, 5, 20, tzinfo=UTC), True),
        (EVENING, False),
    ],
    ids=["during the session", "just after the close", "in the evening"],
)
def test_an_answer_before_the_last_session_was_final_is_not_final(
    warehouse: Warehouse, moment: datetime, again: bool
) -> None:
    vendor = FakeVendor(now=moment)
    load(vendor, warehouse)
    vendor.now = EVENING
    load(vendor, warehouse)
    assert len(vendor.asked) == (2 if again else 1)


def test_another_source_or_market_has_not_answered(warehouse: Warehouse) -> None:
    vendor = FakeVendor()
    load(vendor, warehouse)
    other = FakeVendor()
    other.name = "other"
    ingest(other, warehouse, market=MARKET, start=START, end=END, run_id="run")
    assert len(other.asked) == 1
    elsewhere = FakeVendor(now=datetime(2024, 1, 6, 9, 0, tzinfo=UTC))
    with pytest.raises(MixedSourcesError, match="market: asx held, us offered"):
        ingest(elsewhere, warehouse, market="us", start=START, end=END, run_id="run")
    assert len(elsewhere.asked) == 1


def test_a_few_tickers_only(warehouse: Warehouse) -> None:
    vendor = FakeVendor()
    report = load(vendor, warehouse, tickers=["B"])
    assert vendor.asked == [["B"]]
    assert report.tickers == 1
    assert load(vendor, warehouse).already_stored == 1
    assert vendor.asked[-1] == ["A", "C"]
    assert load(vendor, warehouse, tickers=["A"]).already_stored == 1


def test_a_vendor_without_tickers(warehouse: Warehouse) -> None:
    vendor = FakeVendor()
    vendor.status = {}
    assert load(vendor, warehouse).tickers == 0
    assert vendor.asked == []


def test_listings_and_reference_series_are_stored_once(warehouse: Warehouse) -> None:
    vendor = FakeVendor()
    assert ingest_listings(vendor, warehouse) == 3
    assert ingest_listings(vendor, warehouse) == 0
    assert ingest_reference(vendor, warehouse, START, END) == 1
    assert ingest_reference(vendor, warehouse, START, END) == 0


def macro(warehouse: Warehouse, moment: str) -> list[tuple[object, ...]]:
    with warehouse.read() as connection:
        return connection.execute(
            "SELECT value FROM raw.macro_as_of(?::TIMESTAMP) ORDER BY series, session", [moment]
        ).fetchall()


def test_a_reference_series_is_known_since_it_was_downloaded(warehouse: Warehouse) -> None:
    vendor, then = FakeVendor(), datetime(2024, 2, 1, 9, 0, tzinfo=UTC)
    assert ingest_reference(vendor, warehouse, START, END, known_at=then) == 1
    assert ingest_reference(vendor, warehouse, START, END, known_at=then) == 0
    assert macro(warehouse, "2024-02-01 08:59") == []
    assert macro(warehouse, "2024-02-01 09:00") == [(13.0,)]


def test_an_older_download_of_a_series_may_come_later(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = FakeVendor()
    revised = vendor.reference(START, END).assign(value=14.0)
    assert ingest_reference(vendor, warehouse, START, END, known_at=datetime(2024, 3, 1, tzinfo=UTC)) == 1
    monkeypatch.setattr(vendor, "reference", lambda *_: revised)
    for new in (1, 0):
        assert (
            ingest_reference(vendor, warehouse, START, END, known_at=datetime(2024, 2, 1, tzinfo=UTC)) == new
        )
    assert macro(warehouse, "2024-02-15") == [(14.0,)]
    assert macro(warehouse, "2024-03-15") == [(13.0,)]
    with pytest.raises(OutOfOrderError, match=r"raw\.macro vix.*2024-03-01 00:00 UTC is already held"):
        ingest_reference(vendor, warehouse, START, END, known_at=datetime(2024, 3, 1, tzinfo=UTC))


def test_a_value_of_a_later_day_was_not_in_the_download(warehouse: Warehouse) -> None:
    assert (
        ingest_reference(FakeVendor(), warehouse, START, END, known_at=datetime(2023, 6, 1, tzinfo=UTC)) == 1
    )
    assert macro(warehouse, "2024-02-01") == []
    assert macro(warehouse, "9999-12-31") == [(13.0,)]


def test_a_market_fund_that_is_nowhere_is_refused_at_once(warehouse: Warehouse) -> None:
    vendor = FakeVendor()
    refuse_missing_benchmark(vendor, warehouse, benchmark="A", market=MARKET)
    with pytest.raises(
        BenchmarkMissingError, match=r"benchmark SPY .*another market \(--market us\).*--benchmark.*deleting"
    ):
        refuse_missing_benchmark(vendor, warehouse, benchmark="SPY", market=MARKET)
    assert not warehouse.path.exists()
    load(vendor, warehouse)
    vendor.status = {"B": "ok"}
    refuse_missing_benchmark(vendor, warehouse, benchmark="A", market=MARKET)
