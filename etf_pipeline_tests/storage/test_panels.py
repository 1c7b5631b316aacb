"""The raw tier as wide panels, and what is refused before research could go wrong on it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.storage.bitemporal import append_fetch, append_listings
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.panels import (
    NoBarsError,
    column_of,
    panel_axes,
    read_as_known,
    read_facts,
    read_raw_market,
)
from etf_pipeline_tests.contract_rows import insert
from etf_pipeline_tests.storage.test_bitemporal import DAYS, bars, fetch, moment

HOLIDAY = pd.Timestamp("2024-01-26")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def actions(*rows: tuple[str, str, str, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["ticker", "ex_date", "kind", "value"])
    return frame.astype({"ex_date": "datetime64[s]"})


def test_an_empty_raw_tier_is_refused_with_the_remedy(warehouse: Warehouse) -> None:
    with warehouse.write():
        pass
    with pytest.raises(
        NoBarsError, match=r"no bars: materialise price_history first, and look at raw\.coverage"
    ):
        read_raw_market(warehouse, "asx")


def test_bars_of_another_calendar_are_refused(warehouse: Warehouse) -> None:
    append_fetch(warehouse, fetch(bars({"A": {pd.Timestamp("2024-01-06"): 1.0}}), moment(2025)), "r")
    with pytest.raises(
        NoBarsError, match="no bar of the raw tier falls on a session of the exchange: is market = 'asx'"
    ):
        read_raw_market(warehouse, "asx")


def test_bars_stand_where_they_belong(warehouse: Warehouse) -> None:
    frame = bars({"B": {DAYS[0]: 5.0, DAYS[2]: 6.0}, "A": {DAYS[2]: 1.0}})
    append_fetch(warehouse, fetch(frame, moment(2025)), "r")
    market = read_raw_market(warehouse, "asx")
    assert list(market.panel.tickers) == ["A", "B"]
    assert list(market.panel.sessions) == list(DAYS.to_numpy("datetime64[D]")), (
        "the session without any bar too"
    )
    np.testing.assert_array_equal(market.panel.close, [[np.nan, 5.0], [np.nan, np.nan], [1.0, 6.0]])
    np.testing.assert_array_equal(market.bars_per_session, [1, 0, 2])
    assert market.panel.is_final.sum() == 3


def test_the_newest_version_counts_and_what_was_withdrawn_does_not(warehouse: Warehouse) -> None:
    append_fetch(warehouse, fetch(bars({"A": {DAYS[0]: 1.0, DAYS[1]: 2.0}}), moment(2025)), "r")
    append_fetch(warehouse, fetch(bars({"A": {DAYS[0]: 1.5}}), moment(2026)), "r")
    np.testing.assert_array_equal(read_raw_market(warehouse, "asx").panel.close, [[1.5]])


def test_bars_on_closed_days_are_set_apart(warehouse: Warehouse) -> None:
    day_after = pd.Timestamp("2024-01-29")
    frame = bars({"A": {pd.Timestamp("2024-01-25"): 1.0, HOLIDAY: 99.0, day_after: 2.0}})
    append_fetch(warehouse, fetch(frame, moment(2025)), "r")
    market = read_raw_market(warehouse, "asx")
    assert list(market.off_session["session"]) == [HOLIDAY]
    assert 99.0 not in market.panel.close
    assert market.bars_per_session.sum() == 2


def test_a_session_given_twice_becomes_an_event(warehouse: Warehouse) -> None:
    frame = pd.concat(
        [bars({"A": {DAYS[0]: 1.0, DAYS[1]: 2.0}}), bars({"A": {DAYS[1]: 3.0}})], ignore_index=True
    )
    append_fetch(warehouse, fetch(frame, moment(2025)), "r")
    market = read_raw_market(warehouse, "asx")
    assert list(market.duplicates["rule"]) == ["conflicting_duplicate"]
    assert 3.0 not in market.panel.close


def test_actions_reach_the_panel_at_their_ex_date_or_the_next_session(warehouse: Warehouse) -> None:
    frame = bars({"A": dict.fromkeys([pd.Timestamp("2024-01-25"), pd.Timestamp("2024-01-29")], 1.0)})
    told = actions(
        ("A", "2024-01-25", "split", 2.0), ("A", "2024-01-26", "dividend", 0.1), ("A", "2024-01-29", "capital_gain", 0.2),
        ("GONE", "2024-01-25", "split", 5.0),
    )  # fmt: skip
    append_fetch(warehouse, fetch(frame, moment(2025), told), "r")
    panel = read_raw_market(warehouse, "asx").panel
    np.testing.assert_array_equal(panel.split, [[2.0], [1.0]])
    np.testing.assert_allclose(panel.distribution, [[0.0], [0.3]])


def test_an_action_taken_back_has_no_effect(warehouse: Warehouse) -> None:
    frame = bars({"A": {DAYS[0]: 1.0, DAYS[1]: 2.0}})
    append_fetch(warehouse, fetch(frame, moment(2025), actions(("A", "2024-01-03", "split", 2.0))), "r")
    append_fetch(warehouse, fetch(frame, moment(2026)), "r")
    np.testing.assert_array_equal(read_raw_market(warehouse, "asx").panel.split, [[1.0], [1.0]])


@pytest.mark.parametrize("supplied", [True, False])
def test_whether_the_source_has_distributions_is_its_word_not_the_rows(
    warehouse: Warehouse, supplied: bool
) -> None:
    answer = replace(fetch(bars({"A": {DAYS[0]: 1.0}}), moment(2025)), has_distributions=supplied)
    append_fetch(warehouse, answer, "r")
    assert read_raw_market(warehouse, "asx").has_actions is supplied


def test_coverage_end_is_how_far_the_vendor_was_asked(warehouse: Warehouse) -> None:
    """The end of what was asked, not of what came; refusals vouch for nothing."""
    answer = fetch(bars({"A": {DAYS[0]: 1.0}, "B": {DAYS[1]: 1.0}, "C": {DAYS[0]: 1.0}}), moment(2025))
    unsaid = answer.coverage["ticker"] == "C"
    answer = replace(
        answer, coverage=answer.coverage.assign(requested_end=answer.coverage["requested_end"].mask(unsaid))
    )
    append_fetch(warehouse, answer, "r")
    later = fetch(bars({"A": {DAYS[0]: 1.0}, "B": {DAYS[1]: 1.0}}), moment(2026)).coverage.assign(
        requested_end=pd.Timestamp("2024-06-28"), status=["rate_limited", "empty"]
    )
    append_fetch(
        warehouse, replace(answer, known_at=moment(2026), bars=answer.bars.iloc[:0], coverage=later), "r"
    )
    market = read_raw_market(warehouse, "asx")
    assert list(market.panel.tickers) == ["A", "B", "C"]
    expected = np.array(["2024-01-04", "2024-06-28", "NaT"], dtype="datetime64[D]")
    np.testing.assert_array_equal(market.coverage_end, expected)


def test_listings_are_the_newest_facts(warehouse: Warehouse) -> None:
    append_fetch(warehouse, fetch(bars({"A": {DAYS[0]: 1.0}}), moment(2025)), "r")
    facts = pd.DataFrame(
        {
            "ticker": ["A"], "name": ["Old name"], "asset_class": ["cash"], "currency": ["AUD"], "listed_on": [DAYS[0]],
            "delisted_on": [pd.NaT], "is_leveraged": [False], "expense_ratio": [0.002],
            "fund_size": [np.nan], "former_ticker_of": [None],
        }
    )  # fmt: skip
    append_listings(warehouse, facts, datetime(2025, 1, 1, tzinfo=UTC), "f")
    append_listings(warehouse, facts.assign(name="New name"), datetime(2026, 1, 1, tzinfo=UTC), "f")
    listings, _ = read_facts(warehouse)
    assert listings["name"].tolist() == ["New name"]
    assert not {"known_at", "fetch_id", "withdrawn"} & set(listings.columns)
    assert read_raw_market(warehouse, "asx").listings.equals(listings)


def test_panel_axes_are_sorted() -> None:
    sessions = pd.DataFrame({"session": DAYS})
    days, tickers = panel_axes(sessions, pd.DataFrame({"ticker": ["B", "A", "B"]}))
    assert list(tickers) == ["A", "B"]
    assert days.dtype == np.dtype("datetime64[D]")
    assert len(days) == 3


def test_a_benchmark_without_bars_names_what_to_set() -> None:
    tickers = np.array(["IVV.AX", "STW.AX", "VAS.AX"])
    assert column_of(tickers, "STW.AX") == 1
    for missing in ("AAA", "STX", "ZZZ"):
        with pytest.raises(
            LookupError,
            match=rf"benchmark {missing} has no accepted bar: set benchmark \(--benchmark, ETF_BENCHMARK\).*\.AX",
        ):
            column_of(tickers, missing)


def test_a_fact_that_follows_success_is_unknown_before_it_was_known(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    with warehouse.write() as connection:
        for known, size in (("2026-01-07 09:00", 20e6), ("2026-01-09 09:00", 90e6)):
            insert(connection, "raw.listings", ticker="A", known_at=known, fund_size=size, withdrawn=False)
    days = np.array(["2026-01-06", "2026-01-07", "2026-01-08", "2026-01-09"], dtype="datetime64[D]")
    got = read_as_known(warehouse, "fund_size", days, np.array(["A", "B"]))
    np.testing.assert_array_equal(got[:, 0], [np.nan, 20e6, 20e6, 90e6])
    assert np.isnan(got[:, 1]).all()
