"""The simulated market behind the source contract: windows, clocks, statuses, labels."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from etf_pipeline.core.market.calendar import exchange_sessions, is_session
from etf_pipeline.sources.base import (
    ACTION_COLUMNS,
    BAR_COLUMNS,
    COVERAGE_COLUMNS,
    LISTING_COLUMNS,
    REFERENCE_COLUMNS,
    Fetch,
    Source,
    SourceError,
)
from etf_pipeline.sources.factors import FactorSource
from etf_pipeline.sources.simulated import SimulatedSource

END = date(2024, 7, 5)


def _source(**arguments: object) -> SimulatedSource:
    return SimulatedSource(**{"n_funds": 30, "end": END, **arguments})  # type: ignore[arg-type]


def _fetch(
    source: SimulatedSource,
    tickers: list[str] | None = None,
    start: date | None = None,
    end: date | None = None,
) -> Fetch:
    (fetch,) = source.fetch(source.tickers() if tickers is None else tickers, start, end)
    return fetch


def test_is_a_source_that_says_it_is_simulated() -> None:
    source = _source()
    assert isinstance(source, Source)
    assert source.simulated is True
    assert (source.name, source.ticker_suffix, source.resumable) == ("simulated", ".SIM", False)
    fetch = _fetch(source)
    assert "simulated" in fetch.detail
    assert "seed 7" in fetch.detail
    assert "version 1" in fetch.detail
    assert fetch.basis == "as_traded"
    assert fetch.known_at.utcoffset() == timedelta(0)
    assert source.listings()["name"].str.contains("(simulated)", regex=False).all()


def test_frames_have_the_contract_columns() -> None:
    source = _source()
    fetch = _fetch(source)
    assert list(fetch.bars.columns) == BAR_COLUMNS
    assert list(fetch.actions.columns) == ACTION_COLUMNS
    assert list(fetch.coverage.columns) == COVERAGE_COLUMNS
    assert list(source.listings().columns) == LISTING_COLUMNS
    assert list(source.reference(None, None).columns) == REFERENCE_COLUMNS
    assert fetch.coverage["rows"].dtype == np.int64
    assert fetch.coverage["ticker"].tolist() == source.tickers() == sorted(source.tickers())
    assert "MKT.SIM" in source.tickers()


def test_default_market_begins_on_a_fixed_day_and_ends_at_the_last_final_session() -> None:
    sydney_afternoon = datetime(2024, 6, 28, 6, 25, tzinfo=UTC)  # 16:25: closed at 16:00
    bars = _fetch(_source(end=None, now=sydney_afternoon), ["MKT.SIM"]).bars
    assert bars["session"].iloc[0] == pd.Timestamp("2016-01-04")
    assert bars["session"].iloc[-1] == pd.Timestamp("2024-06-28")
    assert bars["is_final"].all()
    a_year_later = _fetch(_source(end=None, now=datetime(2025, 6, 27, 9, tzinfo=UTC)), ["MKT.SIM"]).bars
    assert_frame_equal(a_year_later.iloc[: len(bars)], bars, check_exact=True)


def test_sessions_are_the_exchanges() -> None:
    for market in ("asx", "us"):
        bars = _fetch(_source(market=market), ["MKT.SIM"]).bars
        expected = exchange_sessions(market, "2016-01-04", END)
        np.testing.assert_array_equal(bars["session"].to_numpy().astype("datetime64[D]"), expected)


def test_one_session_at_a_time_is_the_whole_history() -> None:
    """What the daily job asks for, day after day, adds up to one load."""
    whole = _fetch(_source()).bars
    days = exchange_sessions("asx", "2024-06-26", END)
    pieces, actions = [], []
    for day in days:
        now = datetime.combine(day.item(), datetime.min.time(), UTC) + timedelta(hours=7)
        fetch = _fetch(_source(end=None, now=now), None, day.item(), day.item())
        pieces.append(fetch.bars)
        actions.append(fetch.actions)
    daily = pd.concat(pieces).sort_values(["ticker", "session"], ignore_index=True)
    expected = whole[whole["session"].isin(days.astype("datetime64[us]"))].reset_index(drop=True)
    assert_frame_equal(daily, expected, check_exact=True)
    recorded = pd.concat(actions).sort_values(["ticker", "ex_date", "kind"], ignore_index=True)
    every = _fetch(_source()).actions
    assert_frame_equal(recorded, every[every["ex_date"] >= pd.Timestamp("2024-06-26")].reset_index(drop=True))
    assert recorded["ex_date"].eq(pd.Timestamp("2024-07-01")).sum() > 5  # 30 June was a Sunday


def test_factor_returns_in_two_vintages() -> None:
    source = _source()
    assert isinstance(source, FactorSource)
    found = list(source.factor_vintages())
    assert [(v.name, v.label, str(v.known_at)) for v in found] == [
        (f"simulated {frequency} {construction}", label, known_at)
        for frequency in ("daily", "monthly")
        for construction in ("five_factor", "momentum")
        for label, known_at in (
            ("2024-05", "2024-06-30 23:59:59+00:00"),
            ("2024-07", "2024-07-05 23:59:59+00:00"),
        )
    ]
    assert all("simulated asx market, seed 7" in v.detail for v in found)
    first, newest = found[0].returns, found[1].returns
    assert str(first["session"].max().date()) == "2024-05-31"
    assert str(newest["session"].max().date()) == str(END)
    both = first.merge(newest, on=["factor", "session"])
    assert len(both) == len(first)
    assert 0.03 < (both["value_x"] != both["value_y"]).mean() < 0.2
    monthly = found[5].returns
    assert str(monthly["session"].max().date()) == "2024-06-30"


def test_the_past_of_the_factors_does_not_depend_on_the_day_asked() -> None:
    before = {v.name + str(v.label): v for v in _source().factor_vintages()}
    after = {v.name + str(v.label): v for v in _source(end=date(2024, 7, 12)).factor_vintages()}
    for name, early in before.items():
        later = after[name].returns
        assert_frame_equal(
            later[later["session"] <= early.returns["session"].max()], early.returns, check_exact=True
        )


def test_a_vintage_is_not_on_offer_before_it_is_published() -> None:
    assert {v.label for v in _source(end=date(2024, 6, 14), n_funds=3).factor_vintages()} == {"2024-06"}


def test_a_young_market_has_one_vintage_and_no_month() -> None:
    found = list(_source(start=date(2024, 7, 1), n_funds=3).factor_vintages())
    assert {v.label for v in found if len(v.returns)} == {"2024-07"}
    assert {v.frequency for v in found if len(v.returns)} == {"daily"}


def test_window_is_cut_inclusively() -> None:
    source = _source()
    fetch = _fetch(source, ["MKT.SIM", "AEQ01.SIM"], date(2020, 3, 2), date(2020, 3, 20))
    assert set(fetch.bars["ticker"]) == {"MKT.SIM", "AEQ01.SIM"}
    assert fetch.bars["session"].min() == pd.Timestamp("2020-03-02")
    assert fetch.bars["session"].max() == pd.Timestamp("2020-03-20")
    row = fetch.coverage.set_index("ticker").loc["MKT.SIM"]
    assert row["status"] == "ok"
    assert (row["requested_start"], row["requested_end"]) == (
        pd.Timestamp("2020-03-02"),
        pd.Timestamp("2020-03-20"),
    )
    assert row["rows"] == 15
    assert (row["first_session"], row["last_session"]) == (
        pd.Timestamp("2020-03-02"),
        pd.Timestamp("2020-03-20"),
    )
    reference = source.reference(date(2020, 3, 2), date(2020, 3, 20))
    assert reference.groupby("series").size().eq(15).all()


def test_every_ticker_asked_for_has_one_status() -> None:
    source = _source()
    late = source.listings().dropna(subset="listed_on").sort_values("listed_on")["ticker"].iloc[-1]
    fetch = _fetch(source, ["MKT.SIM", "NOPE.SIM", late, "MKT.SIM"], None, date(2016, 2, 1))
    status = fetch.coverage.set_index("ticker")["status"].to_dict()
    assert status == {"MKT.SIM": "ok", "NOPE.SIM": "no_such_symbol", late: "empty"}
    silent = fetch.coverage.set_index("ticker").drop("MKT.SIM")
    assert (silent["rows"] == 0).all()
    assert silent[["first_session", "last_session"]].isna().all().all()
    assert silent.loc["NOPE.SIM", "message"]


def test_a_fund_not_listed_yet_is_unknown() -> None:
    late = _source().listings().dropna(subset="listed_on").sort_values("listed_on").iloc[-1]
    earlier = _source(end=(late["listed_on"] - pd.Timedelta(days=1)).date())
    assert late["ticker"] not in earlier.tickers()
    fetch = _fetch(earlier, [late["ticker"]])
    assert fetch.coverage["status"].tolist() == ["no_such_symbol"]
    assert not len(fetch.bars)


def test_coverage_counts_the_bars_of_every_ticker() -> None:
    source = _source(n_funds=120, end=date(2019, 12, 31))
    fetch = _fetch(source, _source(n_funds=120).tickers())
    counted = fetch.bars.groupby("ticker").size()
    rows = fetch.coverage.set_index("ticker")["rows"]
    assert (rows[counted.index] == counted).all()
    assert rows.sum() == len(fetch.bars)
    assert (fetch.coverage["status"] == "no_such_symbol").any()


def test_asking_for_nothing() -> None:
    fetch = _fetch(_source(), [])
    assert not len(fetch.bars)
    assert list(fetch.coverage.columns) == COVERAGE_COLUMNS


@pytest.mark.parametrize(
    ("hour", "minute", "last", "final"),
    [
        (22, 0, "2024-06-26", True),  # 08:00 on the 27th in Sydney: not open yet
        (2, 0, "2024-06-27", False),  # 12:00: trading
        (6, 10, "2024-06-27", False),  # 16:10: closed, the auction may still be corrected
        (6, 30, "2024-06-27", True),
    ],
)
def test_session_in_progress_only_when_asked_for_and_not_final(
    hour: int, minute: int, last: str, final: bool
) -> None:
    now = datetime(2024, 6, 26 if hour == 22 else 27, hour, minute, tzinfo=UTC)
    source = _source(end=None, now=now)
    asked = _fetch(source, None, date(2024, 6, 20), date(2024, 6, 30))
    benchmark = asked.bars[asked.bars["ticker"] == "MKT.SIM"].set_index("session")
    assert benchmark.index[-1] == pd.Timestamp(last)
    assert bool(benchmark["is_final"].iloc[-1]) is final
    assert benchmark["is_final"].iloc[:-1].all()
    # The window vouched for never reaches past the exchange's today.
    assert (asked.coverage["requested_end"] == pd.Timestamp("2024-06-27")).all()
    default = _fetch(source, ["MKT.SIM"]).bars
    assert default["is_final"].all()
    if not final:
        assert default["session"].iloc[-1] == pd.Timestamp("2024-06-26")
        after = _fetch(_source(), ["MKT.SIM"], date(2024, 6, 27), date(2024, 6, 27)).bars.iloc[0]
        partial = benchmark.iloc[-1]
        assert partial["volume"] < after["volume"]
        assert partial["high"] <= after["high"]
        assert partial["open"] == after["open"]
    assert source.reference(None, None)["session"].max() <= default["session"].max()


def test_given_end_holds_whatever_the_clock() -> None:
    one = _fetch(_source(now=datetime(2024, 7, 8, 9, tzinfo=UTC)))
    other = _fetch(_source(now=datetime(2031, 7, 1, 9, tzinfo=UTC)))
    assert_frame_equal(one.bars, other.bars, check_exact=True)
    assert one.detail == other.detail


def test_end_on_a_closed_day_is_the_session_before() -> None:
    assert not is_session("asx", "2024-03-31")
    bars = _fetch(_source(end=date(2024, 3, 31)), ["MKT.SIM"]).bars
    assert bars["session"].iloc[-1] == pd.Timestamp("2024-03-28")


def test_truth_is_at_hand_and_matches_the_bars() -> None:
    source = _source()
    truth = source.simulated_market().truth
    close = _fetch(source, ["MKT.SIM"]).bars["close"].to_numpy()
    np.testing.assert_array_equal(close, truth.clean_close[:, truth.column("MKT.SIM")])
    with pytest.raises(KeyError, match="NOPE"):
        truth.column("NOPE.SIM")


def test_callers_cannot_spoil_the_market() -> None:
    source = _source()
    first = _fetch(source)
    first.bars.loc[:, "close"] = -1.0
    first.actions.loc[:, "value"] = -1.0
    listings = source.listings()
    listings.loc[:, "name"] = "x"
    assert (_fetch(source).bars["close"] > 0).all()
    assert (_fetch(source).actions["value"] > 0).all()
    assert (source.listings()["name"] != "x").all()


def test_years_and_start_choose_the_market() -> None:
    five = _fetch(_source(years=5), ["MKT.SIM"]).bars
    assert five["session"].iloc[0] == pd.Timestamp("2021-01-04")
    given = _fetch(_source(start=date(2020, 1, 1)), ["MKT.SIM"])
    assert given.bars["session"].iloc[0] == pd.Timestamp("2020-01-02")
    assert "2020-01-01" in given.detail


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"market": "lse"}, "lse"),
        ({"n_funds": 0}, "n_funds"),
        ({"seed": -1}, "seed"),
        ({"years": 0}, "years"),
        ({"end": date(2015, 12, 31)}, "earlier start or a later end"),
        ({"start": date(2024, 6, 29), "end": date(2024, 6, 30)}, "earlier start or a later end"),
        ({"now": datetime(2024, 1, 1)}, "time zone"),
    ],
)
def test_impossible_requests_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        _source(**arguments)
