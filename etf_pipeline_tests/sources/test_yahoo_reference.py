"""What the source says besides prices: listings, reference series, progress."""

from __future__ import annotations

import io
import logging
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from etf_pipeline.sources.base import LISTING_COLUMNS, REFERENCE_COLUMNS
from etf_pipeline.sources.yahoo import YahooSource
from etf_pipeline.sources.yahoo.progress import BatchProgress
from etf_pipeline_tests.sources.yahoo_instruments import Instrument, sessions, walk
from etf_pipeline_tests.sources.yahoo_server import YahooServer

pytest_plugins = ["etf_pipeline_tests.sources.yahoo_fixtures"]

DAYS = sessions(date(2025, 1, 6), 30)
VAS = "VAS.AX"


def fund(**changes: Any) -> Instrument:
    return Instrument(walk(DAYS, seed=1), **changes)


def test_listings_fill_only_the_gaps_of_the_universe_file(open_source: Any) -> None:
    universe = pd.DataFrame(
        [
            (
                "IVV.AX",
                "iShares S&P 500",
                "us_equity",
                None,
                pd.Timestamp("2007-10-10"),
                pd.NaT,
                False,
                0.0004,
                np.nan,
                None,
            ),
            (VAS, None, "australian_equity", "AUD", pd.NaT, pd.NaT, None, np.nan, np.nan, None),
        ],
        columns=LISTING_COLUMNS,
    )
    with YahooServer({VAS: fund(), "IVV.AX": fund(), "NEW.AX": fund(name="New Fund")}).running() as server:
        source = open_source(server, [VAS, "IVV.AX", "NEW.AX", "OLD.AX"], listings=universe)
        before = source.listings()
        assert before["ticker"].tolist() == ["IVV.AX", VAS]
        assert before["listed_on"].isna().tolist() == [False, True]
        list(source.fetch(source.tickers(), None, None))
        after = source.listings().set_index("ticker")
    assert list(source.listings()) == LISTING_COLUMNS
    assert after.index.tolist() == ["IVV.AX", "NEW.AX", VAS]
    assert after["name"].tolist() == ["iShares S&P 500", "New Fund", "Loopback Fund"]
    assert after["currency"].tolist() == ["AUD"] * 3
    assert after["listed_on"].dt.date.tolist() == [date(2007, 10, 10), DAYS[0], DAYS[0]]
    assert after.loc["IVV.AX", "expense_ratio"] == 0.0004
    assert after.loc["IVV.AX", "is_leveraged"] is False
    assert after.loc["NEW.AX", "asset_class"] is None


def test_listings_without_any_knowledge_are_empty() -> None:
    table = YahooSource([VAS], market="asx").listings()
    assert list(table) == LISTING_COLUMNS
    assert table.empty


def reference_market(**changes: Instrument) -> dict[str, Instrument]:
    def series(seed: int, zone: str, level: float) -> Instrument:
        return Instrument(walk(DAYS, seed=seed, level=level), zone=zone, kind="INDEX", currency="USD")

    return {
        "^VIX": series(1, "America/Chicago", 15.0),
        "^TNX": series(2, "America/Chicago", 4.2),
        "AUDUSD=X": series(3, "Europe/London", 0.65),
    } | changes


def test_reference_series(open_source: Any) -> None:
    with YahooServer(reference_market()).running() as server:
        table = open_source(server, [VAS]).reference(DAYS[2], DAYS[6])
    assert list(table) == REFERENCE_COLUMNS
    assert table.groupby("series")["unit"].first().to_dict() == {
        "vix": "index points",
        "us_10y_yield": "percent",
        "audusd": "USD per AUD",
    }
    assert set(table.groupby("series").size()) == {5}
    assert (table["session"].min().date(), table["session"].max().date()) == (DAYS[2], DAYS[6])


def test_reference_values_of_an_unfinished_day_are_left_out(open_source: Any) -> None:
    noon = datetime(2025, 2, 14, 18, 0, tzinfo=UTC)
    with YahooServer(reference_market()).running() as server:
        table = open_source(server, [VAS], now=lambda: noon).reference(None, None)
    assert set(table.groupby("series")["session"].max().dt.date) == {date(2025, 2, 13)}


def test_a_reference_series_in_trouble_is_left_out_and_logged(
    open_source: Any, caplog: pytest.LogCaptureFixture
) -> None:
    tenfold = Instrument(walk(DAYS, seed=2, level=42.0), zone="America/Chicago")
    market = reference_market(**{"^TNX": tenfold})
    market["^VIX"].always = 500
    with YahooServer(market).running() as server, caplog.at_level(logging.WARNING):
        table = open_source(server, [VAS]).reference(None, None)
    assert set(table["series"]) == {"audusd"}
    assert "no vix (^VIX): server_error" in caplog.text
    assert "not percent; left out" in caplog.text


def test_reference_without_anything_is_an_empty_frame(open_source: Any) -> None:
    with YahooServer({}).running() as server:
        table = open_source(server, [VAS]).reference(None, None)
    assert list(table) == REFERENCE_COLUMNS
    assert table.empty


def test_one_log_line_a_batch_where_there_is_no_terminal(
    open_source: Any, caplog: pytest.LogCaptureFixture
) -> None:
    funds = {f"F{i:02d}.AX": fund() for i in range(4)}
    with YahooServer(funds).running() as server, caplog.at_level(logging.INFO):
        source = open_source(server, [*funds, "GONE.AX"], batch_size=3, show_progress=True)
        list(source.fetch(source.tickers(), None, None))
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("etf_pipeline.sources.yahoo")]
    assert lines == [
        "yahoo: batch 1 of 2, 3 of 5 tickers: 3 ok",
        "yahoo: batch 2 of 2, 5 of 5 tickers: 4 ok, 1 no_such_symbol",
    ]


def test_a_bar_on_a_terminal() -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=100)
    with BatchProgress(2, show=True, console=screen) as progress:
        progress.ticker_done("ok")
        progress.ticker_done("rate_limited")
        progress.batch_done(1, 1)
    drawn = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "2/2" in drawn
    assert "1 ok, 1 rate_limited" in drawn
