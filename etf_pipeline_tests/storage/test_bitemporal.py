"""The raw tier: versions, withdrawals, as-of reads, order, and crash safety of one append."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_pipeline.storage.bitemporal import (
    MixedSourcesError,
    OutOfOrderError,
    RawFetch,
    append_fetch,
    append_reference,
)
from etf_pipeline.storage.connection import Warehouse

DAYS = pd.to_datetime(["2024-01-02", "2024-01-03", "2024-01-04"])
NO_ACTIONS = pd.DataFrame(
    {
        "ticker": pd.Series(dtype=str),
        "ex_date": pd.Series(dtype="datetime64[s]"),
        "kind": pd.Series(dtype=str),
        "value": pd.Series(dtype=float),
    }
)


def moment(year: int, hour: int = 0) -> datetime:
    return datetime(year, 1, 1, hour, tzinfo=UTC)


def bars(closes: dict[str, dict[pd.Timestamp, float]], is_final: bool = True) -> pd.DataFrame:
    rows = [
        (ticker, day, c, c, c, c, np.nan, 100.0, is_final)
        for ticker, series in closes.items()
        for day, c in series.items()
    ]
    names = ["ticker", "session", "open", "high", "low", "close", "adj_close", "volume", "is_final"]
    return pd.DataFrame(rows, columns=names)


def fetch(frame: pd.DataFrame, known_at: datetime, actions: pd.DataFrame = NO_ACTIONS) -> RawFetch:
    group = frame.groupby("ticker")["session"]
    coverage = pd.DataFrame(
        {
            "status": "ok", "requested_start": DAYS[0], "requested_end": DAYS[-1],
            "first_session": group.min(), "last_session": group.max(), "rows": group.size(), "message": "",
        }
    ).reset_index()  # fmt: skip
    return RawFetch(
        "files", "asx", False, "test", "as_traded", "declared", known_at, frame, actions, coverage
    )


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def as_of(warehouse: Warehouse, ts: str) -> dict[tuple[str, str], float]:
    with warehouse.read() as connection:
        rows = connection.execute(
            f"SELECT ticker, session, close FROM raw.bars_as_of(TIMESTAMP '{ts}') ORDER BY ALL"
        ).fetchall()
    return {(r[0], str(r[1])): r[2] for r in rows}


def test_a_repeated_fetch_adds_nothing(warehouse: Warehouse) -> None:
    frame = bars({"A": {DAYS[0]: 1.0, DAYS[1]: 2.0}})
    assert append_fetch(warehouse, fetch(frame, moment(2020)), "r").bars == 2
    assert append_fetch(warehouse, fetch(frame, moment(2020)), "r").bars == 0
    assert append_fetch(warehouse, fetch(frame, moment(2021)), "r").bars == 0


def test_as_of_gives_back_each_vintage(warehouse: Warehouse) -> None:
    append_fetch(warehouse, fetch(bars({"A": {DAYS[0]: 1.0, DAYS[1]: 2.0}}), moment(2020)), "r")
    append_fetch(warehouse, fetch(bars({"A": {DAYS[0]: 1.0, DAYS[1]: 2.5}}), moment(2021)), "r")
    assert as_of(warehouse, "2019-12-31") == {}
    assert as_of(warehouse, "2020-06-01") == {("A", "2024-01-02"): 1.0, ("A", "2024-01-03"): 2.0}
    assert as_of(warehouse, "2021-06-01") == {("A", "2024-01-02"): 1.0, ("A", "2024-01-03"): 2.5}


def test_what_the_vendor_no_longer_has_is_withdrawn_and_can_return(warehouse: Warehouse) -> None:
    both, one = bars({"A": {DAYS[0]: 1.0, DAYS[1]: 2.0}}), bars({"A": {DAYS[0]: 1.0}})
    append_fetch(warehouse, fetch(both, moment(2020)), "r")
    append_fetch(warehouse, fetch(one, moment(2021)), "r")
    append_fetch(warehouse, fetch(both, moment(2022)), "r")
    assert len(as_of(warehouse, "2020-06-01")) == 2
    assert len(as_of(warehouse, "2021-06-01")) == 1
    assert len(as_of(warehouse, "2022-06-01")) == 2
    with warehouse.read() as connection:
        seen = connection.execute(
            "SELECT withdrawn, old_value, new_value FROM raw.restatements WHERE field = 'close' ORDER BY known_since"
        ).fetchall()
    assert seen == [(True, 2.0, None), (False, None, 2.0)]


def test_a_fund_outside_the_answer_is_not_withdrawn_but_listed_as_vanished(warehouse: Warehouse) -> None:
    append_fetch(warehouse, fetch(bars({"A": {DAYS[0]: 1.0}, "B": {DAYS[0]: 5.0}}), moment(2020)), "r")
    append_fetch(warehouse, fetch(bars({"A": {DAYS[0]: 1.0}}), moment(2021)), "r")
    assert ("B", "2024-01-02") in as_of(warehouse, "2021-06-01"), "dead funds stay in history"
    with warehouse.read() as connection:
        gone = connection.execute("SELECT ticker, how FROM raw.vanished_funds").fetchall()
    assert gone == [("B", "not in the download")]


def test_restatement_says_what_by_how_much_since_when(warehouse: Warehouse) -> None:
    append_fetch(warehouse, fetch(bars({"A": {DAYS[0]: 10.0}}), moment(2020)), "r")
    append_fetch(warehouse, fetch(bars({"A": {DAYS[0]: 11.0}}), moment(2021)), "r")
    with warehouse.read() as connection:
        row = connection.execute(
            "SELECT ticker, old_value, new_value, relative_change, previously_known_at, known_since "
            "FROM raw.restatements WHERE field = 'close'"
        ).fetchone()
    assert row is not None
    assert row[:3] == ("A", 10.0, 11.0)
    assert row[3] == pytest.approx(0.1)
    assert (row[4].year, row[5].year) == (2020, 2021)


def test_an_older_download_with_other_content_is_refused(warehouse: Warehouse) -> None:
    append_fetch(warehouse, fetch(bars({"A": {DAYS[0]: 10.0}}), moment(2021)), "r")
    with pytest.raises(OutOfOrderError, match=r"A .*known at 2020.*Load older downloads first"):
        append_fetch(warehouse, fetch(bars({"A": {DAYS[0]: 11.0}}), moment(2020)), "r")
    with pytest.raises(OutOfOrderError, match="A"):
        append_fetch(warehouse, fetch(bars({"A": {DAYS[0]: 11.0}}), moment(2021)), "r")
    assert as_of(warehouse, "2022-01-01") == {("A", "2024-01-02"): 10.0}


def test_an_older_vintage_already_held_may_be_loaded_again(warehouse: Warehouse) -> None:
    old, new = bars({"A": {DAYS[0]: 1.0}}), bars({"A": {DAYS[0]: 2.0}})
    append_fetch(warehouse, fetch(old, moment(2020)), "r")
    append_fetch(warehouse, fetch(new, moment(2021)), "r")
    assert append_fetch(warehouse, fetch(old, moment(2020)), "r2").total == 0


def test_repeated_sessions_of_one_answer_are_all_remembered(warehouse: Warehouse) -> None:
    frame = pd.concat([bars({"A": {DAYS[0]: 1.0}}), bars({"A": {DAYS[0]: 3.0}})], ignore_index=True)
    append_fetch(warehouse, fetch(frame, moment(2020)), "r")
    with warehouse.read() as connection:
        kept = connection.execute("SELECT occurrence, close FROM raw.bars_latest ORDER BY 1").fetchall()
    assert kept == [(0, 1.0), (1, 3.0)]


def test_a_partial_bar_becomes_final_as_a_new_version(warehouse: Warehouse) -> None:
    append_fetch(warehouse, fetch(bars({"A": {DAYS[0]: 1.0}}, is_final=False), moment(2020)), "r")
    assert append_fetch(warehouse, fetch(bars({"A": {DAYS[0]: 1.0}}), moment(2020, 5)), "r").bars == 1


def test_actions_have_versions_too(warehouse: Warehouse) -> None:
    frame = bars({"A": {DAYS[0]: 1.0}})
    dividend = pd.DataFrame({"ticker": ["A"], "ex_date": [DAYS[1]], "kind": ["dividend"], "value": [0.5]})
    append_fetch(warehouse, fetch(frame, moment(2020), dividend), "r")
    append_fetch(warehouse, fetch(frame, moment(2021), dividend.assign(value=0.6)), "r")
    append_fetch(warehouse, fetch(frame, moment(2022)), "r")
    with warehouse.read() as connection:
        held = [
            connection.execute(f"SELECT value FROM raw.actions_as_of(TIMESTAMP '{y}-06-01')").fetchall()
            for y in (2020, 2021, 2022)
        ]
    assert held == [[(0.5,)], [(0.6,)], []]


def test_reference_series_remember_their_first_value(warehouse: Warehouse) -> None:
    series = pd.DataFrame(
        {"series": ["vix"], "session": [DAYS[0]], "value": [13.0], "unit": ["index points"]}
    )
    assert append_reference(warehouse, series, moment(2020), "f") == 1
    assert append_reference(warehouse, series, moment(2021), "f") == 0
    assert append_reference(warehouse, series.assign(value=14.0), moment(2022), "f") == 1
    with warehouse.read() as connection:
        then = connection.execute("SELECT value FROM raw.macro_as_of(TIMESTAMP '2021-06-01')").fetchall()
    assert then == [(13.0,)]


def test_a_naive_time_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(ValueError, match="needs a time zone"):
        append_fetch(warehouse, fetch(bars({"A": {DAYS[0]: 1.0}}), datetime(2020, 1, 1)), "r")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"simulated": True}, "simulated: False held, True offered"),
        ({"market": "us"}, "market: asx held, us offered"),
        ({"basis": "total_return_adjusted"}, "price basis: as_traded held, total_return_adjusted offered"),
        ({"has_distributions": False}, "has distributions: True held, False offered"),
    ],
    ids=["simulated", "market", "basis", "distributions"],
)
def test_what_cannot_be_compared_is_kept_apart(
    warehouse: Warehouse, change: dict[str, object], named: str
) -> None:
    append_fetch(warehouse, fetch(bars({"A": {DAYS[0]: 1.0}}), moment(2020)), "r")
    other = replace(fetch(bars({"B": {DAYS[0]: 2.0}}), moment(2021)), **change)  # type: ignore[arg-type]
    with pytest.raises(MixedSourcesError, match=rf"{named}.*--warehouse DIR"):
        append_fetch(warehouse, other, "r")
    assert as_of(warehouse, "2022-01-01") == {("A", "2024-01-02"): 1.0}, "nothing was stored"


def test_two_contents_of_an_action_at_one_moment_are_refused(warehouse: Warehouse) -> None:
    frame = bars({"A": {DAYS[0]: 1.0}})
    dividend = pd.DataFrame({"ticker": ["A"], "ex_date": [DAYS[1]], "kind": ["dividend"], "value": [0.5]})
    append_fetch(warehouse, fetch(frame, moment(2020), dividend), "r")
    with pytest.raises(OutOfOrderError, match="A"):
        append_fetch(warehouse, fetch(frame, moment(2020), dividend.assign(value=0.6)), "r")


def test_adjusted_close_alone_is_news_only_where_it_carries_the_distributions(warehouse: Warehouse) -> None:
    frame = bars({"A": {DAYS[0]: 1.0}}).assign(adj_close=0.9)
    restated = frame.assign(adj_close=0.8)
    append_fetch(warehouse, fetch(frame, moment(2020)), "r")
    assert append_fetch(warehouse, fetch(restated, moment(2021)), "r").bars == 0
    bare = Warehouse(warehouse.directory / "without_distributions")
    append_fetch(bare, replace(fetch(frame, moment(2020)), has_distributions=False), "r")
    assert append_fetch(bare, replace(fetch(restated, moment(2021)), has_distributions=False), "r").bars == 1


vintage = st.dictionaries(
    st.sampled_from(["A", "B"]),
    st.dictionaries(st.sampled_from(list(DAYS)), st.floats(0.1, 100, allow_nan=False), min_size=1),
    min_size=1,
)


@given(st.lists(vintage, min_size=1, max_size=4))
@settings(max_examples=15, deadline=None)
def test_any_history_of_vintages_is_given_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, vintages: list[dict[str, dict[pd.Timestamp, float]]]
) -> None:
    warehouse = Warehouse(tmp_path_factory.mktemp("warehouse"))
    expected: dict[tuple[str, str], float] = {}
    for n, content in enumerate(vintages):
        append_fetch(warehouse, fetch(bars(content), moment(2000 + n)), "r")
        expected = {k: v for k, v in expected.items() if k[0] not in content}
        expected |= {(t, f"{d:%Y-%m-%d}"): c for t, s in content.items() for d, c in s.items()}
        assert as_of(warehouse, f"{2000 + n}-06-01") == expected
