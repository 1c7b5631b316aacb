"""Single bars, coverage, listings, copies and duplicates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.market.panel import BarPanel
from etf_pipeline.core.market.quality import EVENT_COLUMNS, QualityRules, find_duplicates
from etf_pipeline.core.market.quality.context import around_fiscal_year_end, market_context
from etf_pipeline_tests.core.market.test_quality_market import (
    copy,
    events_of,
    judge,
    market,
    untraded,
    without,
)

FUND = 5
AT = 300


def closed_day_bars(panel: BarPanel, days: list[str], fund: int = FUND) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ticker": [str(panel.tickers[fund])] * len(days),
            "session": pd.to_datetime(days),
            "close": 244.12,
            "volume": 0.0,
        }
    )


# ---- single bars ----------------------------------------------------------------------------------------


def test_a_zero_open_is_removed_and_the_bar_stays() -> None:
    panel = market()
    panel.open[AT, FUND] = 0.0
    panel.low[AT, FUND] = 0.0
    result = judge(panel)
    assert result.accepted[AT, FUND]
    assert np.isnan(result.open[AT, FUND])
    assert np.isnan(result.low[AT, FUND])
    assert result.close[AT, FUND] == panel.close[AT, FUND]
    assert len(events_of(result, FUND, "open_zero")) == 1
    assert len(events_of(result, FUND, "non_positive_price")) == 1


@pytest.mark.parametrize("close", [0.0, -3.0, np.inf])
def test_a_close_that_is_no_price_costs_the_bar(close: float) -> None:
    panel = market()
    panel.close[AT, FUND] = close
    result = judge(panel)
    assert not result.accepted[AT, FUND]
    assert list(events_of(result, FUND).rule) == ["non_positive_price"]
    assert result.accepted[AT + 1 :, FUND].all()


def test_rounding_widens_the_range_and_more_refuses_the_field_or_the_bar() -> None:
    panel = market()
    panel.high[AT, FUND] = max(panel.open[AT, FUND], panel.close[AT, FUND]) * 0.999
    panel.open[AT + 5, FUND] = panel.high[AT + 5, FUND] * 1.05
    panel.low[AT + 9, FUND] = panel.close[AT + 9, FUND] * 1.05
    result = judge(panel)
    assert result.high[AT, FUND] == max(panel.open[AT, FUND], panel.close[AT, FUND])
    assert np.isnan(result.open[AT + 5, FUND])
    assert result.accepted[AT + 5, FUND]
    assert not result.accepted[AT + 9, FUND]
    assert list(events_of(result, FUND, "incoherent_ohlc").action) == ["repaired", "repaired", "quarantined"]


def test_volume_that_nobody_has_is_unknown_not_zero() -> None:
    panel = market()
    panel.volume[100:150] = 0.0
    result = judge(panel)
    assert result.accepted[100:150].all()
    assert result.traded[100:150].all()
    assert np.isnan(result.volume[100:150]).all()
    events = events_of(result, "*", "volume_unknown")
    assert list(events.session_end) == [panel.sessions[100], panel.sessions[149]]


def test_a_bar_that_is_not_final_waits() -> None:
    panel = market()
    panel.is_final[-1, FUND] = False
    result = judge(panel)
    assert not result.accepted[-1, FUND]
    assert list(events_of(result, FUND).rule) == ["partial_last_bar"]


# ---- coverage --------------------------------------------------------------------------------------------


def test_closed_day_bars_are_dropped_and_a_habit_is_another_calendar() -> None:
    panel = market()
    off = closed_day_bars(panel, ["2017-06-10", "2017-09-09", "2018-01-06", "2018-02-03", "2035-01-01"])
    events = events_of(judge(panel, off), FUND)
    assert list(events.rule) == ["holiday_bogus_bar"] * 2 + ["wrong_calendar"] * 2
    assert (events.action == "dropped").all()


def test_a_session_many_funds_miss_is_a_hole_of_the_market() -> None:
    panel = market(funds=20)
    for fund in range(6):
        panel = without(panel, slice(AT, AT + 1), fund)
    result = judge(panel)
    event = events_of(result, "*", "market_wide_hole")
    assert list(event.session_start) == [panel.sessions[AT]]
    assert "6 of 20" in event.evidence.iloc[0]
    assert not len(events_of(judge(without(market(funds=20), slice(AT, AT + 1), 0)), "*"))


def test_a_series_ends_after_twenty_silent_sessions_unless_the_download_did() -> None:
    panel = without(market(), slice(AT, None), FUND)
    result = judge(panel)
    event = events_of(result, FUND, "series_ends")
    assert list(event.session_start) == [panel.sessions[AT - 1]]
    assert list(event.detected_on) == [panel.sessions[AT + 19]]
    ends = np.full(panel.shape[1], np.datetime64("NaT"), dtype="datetime64[D]")
    ends[FUND] = panel.sessions[AT + 3]
    assert not len(events_of(judge(panel, coverage_end=ends), FUND, "series_ends"))
    ends[FUND] = panel.sessions[AT + 60]
    assert len(events_of(judge(panel, coverage_end=ends), FUND, "series_ends")) == 1
    panel.is_final[AT - 1, FUND] = False
    assert not len(events_of(judge(panel), FUND, "series_ends"))


def test_a_series_that_resumes_says_so() -> None:
    result = judge(without(market(), slice(AT, AT + 30), FUND))
    assert list(events_of(result, FUND, "series_ends").action) == ["none", "resolved"]
    assert result.accepted[AT + 30, FUND]
    hole = judge(without(market(), slice(AT, AT + 12), FUND))
    assert list(events_of(hole, FUND).rule) == ["long_hole"]


def test_month_end_quotes_are_no_daily_history() -> None:
    quoted = np.arange(0, 400, 21)
    panel = without(market(), np.setdiff1d(np.arange(400), quoted), FUND)
    result = judge(panel)
    events = events_of(result, FUND, "mixed_frequency")
    assert list(events.action) == ["excluded", "resolved"]
    assert not result.accepted[70:400, FUND].any()
    assert result.accepted[420:, FUND].all()
    returns_after_a_pause = judge(without(market(), slice(AT, AT + 70), FUND))
    assert returns_after_a_pause.accepted[AT + 70, FUND]


def test_another_markets_ticker_is_excluded_whole() -> None:
    panel = market()
    panel.tickers[FUND] = "F05"
    result = judge(panel, ticker_suffix=".AX")
    assert not result.accepted[:, FUND].any()
    assert list(events_of(result, "F05").rule) == ["wrong_namespace"]
    assert result.accepted[:, FUND + 1].all()


# ---- trading and listing ---------------------------------------------------------------------------------


def test_values_before_the_first_trade_are_not_observations() -> None:
    panel = copy(market())
    panel.volume[:120, FUND] = 0.0
    panel.close[60, FUND] *= 1.28
    panel.high[60, FUND] *= 1.28
    result = judge(panel)
    assert not result.accepted[:120, FUND].any()
    assert result.accepted[120:, FUND].all()
    history = events_of(result, FUND, "prelisting_nav_history")
    assert list(history.session_end) == [panel.sessions[19], panel.sessions[119]]
    assert len(events_of(result, FUND, "prelisting_nav_flip")) == 2
    few = copy(market())
    few.volume[:2, FUND] = 0.0
    assert set(events_of(judge(few), FUND).rule) == {"pre_listing_bar"}


def test_no_fund_is_unlisted_because_the_market_has_no_volume() -> None:
    panel = market()
    panel.volume[:250] = 0.0
    panel.volume[250:255, FUND] = 0.0
    result = judge(panel)
    assert result.accepted[:, FUND].all()
    panel.volume[250:, FUND] = 0.0
    never = judge(panel)
    assert never.accepted[:250, FUND].all()
    assert not never.accepted[270:, FUND].any()
    assert len(events_of(never, FUND, "untraded_history")) == 1


def test_the_listing_date_excludes_earlier_bars_and_a_former_fund_is_named() -> None:
    panel = market()
    listings = pd.DataFrame(
        {
            "ticker": [str(panel.tickers[FUND]), "F06.AX", "NOT.AX"],
            "listed_on": [pd.Timestamp(panel.sessions[150]), pd.NaT, pd.NaT],
            "former_ticker_of": ["Old Fund until 2016-12-04", None, None],
        }
    )
    result = judge(panel, listings=listings)
    assert not result.accepted[:150, FUND].any()
    assert result.accepted[150:, FUND].all()
    event = events_of(result, FUND, "recycled_code")
    assert list(event.session_start) == [panel.sessions[150]]
    assert "Old Fund" in event.evidence.iloc[0]
    assert result.accepted[:, 6].all()


def test_a_liquid_fund_that_stops_trading_is_in_doubt_until_it_trades() -> None:
    panel = untraded(market(), slice(AT, AT + 9), FUND, flat=True)
    result = judge(panel)
    events = events_of(result, FUND, "deferred_settlement_gap")
    assert list(events.action) == ["quarantined", "resolved"]
    assert list(events.session_end) == [panel.sessions[AT + 3], panel.sessions[AT + 8]]
    assert result.accepted[AT : AT + 3, FUND].all()
    assert not result.traded[AT : AT + 3, FUND].any()
    assert not result.accepted[AT + 3 : AT + 9, FUND].any()
    assert result.doubt[AT + 3 : AT + 9, FUND].all()
    assert not result.doubt[AT + 9 :, FUND].any()


def test_a_thin_fund_that_does_not_trade_is_only_stale() -> None:
    panel = market()
    thin = np.arange(len(panel.close)) % 4 == 1
    panel.volume[thin, FUND] = 0.0
    panel.volume[0, FUND] = 10.0
    panel = untraded(panel, slice(AT, AT + 15), FUND, flat=True)
    result = judge(panel)
    assert not len(events_of(result, FUND, "deferred_settlement_gap"))
    assert list(events_of(result, FUND, "stale_run").severity) == ["warning"] * 2
    assert result.accepted[AT + 5, FUND]
    assert not result.accepted[AT + 12, FUND]
    assert not result.doubt[:, FUND].any()


# ---- copies ----------------------------------------------------------------------------------------------


def test_a_bar_that_repeats_the_one_before_is_no_observation() -> None:
    panel = market()
    for name in ("open", "high", "low", "close"):
        getattr(panel, name)[AT, FUND] = getattr(panel, name)[AT - 1, FUND] * 1.012
    panel.volume[AT, FUND] = panel.volume[AT - 1, FUND]
    result = judge(panel)
    assert list(events_of(result, FUND).rule) == ["repeated_bar"]
    assert not result.accepted[AT, FUND]
    for name in ("open", "high", "low", "close"):
        getattr(panel, name)[AT - 1 : AT + 1, FUND] = 20.0
    panel.volume[AT - 1 : AT + 1, FUND] = 500.0
    assert not len(events_of(judge(panel), FUND, "repeated_bar"))  # 500 units at one price can recur


def test_two_codes_with_one_series_are_both_in_doubt() -> None:
    panel = market()
    for name in ("open", "high", "low", "close", "volume"):
        getattr(panel, name)[AT : AT + 40, 3] = getattr(panel, name)[AT : AT + 40, FUND]
    panel = without(without(panel, slice(0, AT), 3), slice(AT + 40, None), 3)
    result = judge(panel)
    first = AT + QualityRules().copied_bars - 1
    for fund, other in ((3, FUND), (FUND, 3)):
        event = events_of(result, fund, "copied_series")
        assert list(event.detected_on) == [panel.sessions[first]]
        assert str(panel.tickers[other]) in event.evidence.iloc[0]
        assert result.doubt[first : AT + 40 + 60, fund].all()
        assert not result.doubt[AT + 40 + 60 :, fund].any()
    assert not result.doubt[:, 6].any()


def test_duplicates() -> None:
    days = pd.to_datetime(["2024-01-02", "2024-01-02", "2024-01-03", "2024-01-03", "2024-01-04"])
    bars = pd.DataFrame(
        {
            "ticker": "AAA.AX",
            "session": days,
            "open": 10.0,
            "high": 11.0,
            "low": 9.0,
            "close": [10.0, 10.0, 10.0, 10.5, 10.1],
            "adj_close": np.nan,
            "volume": [5.0, 5.0, 6.0, 6.0, np.nan],
            "is_final": True,
        }
    )
    kept, events = find_duplicates(bars)
    assert list(kept.session) == [pd.Timestamp("2024-01-02"), pd.Timestamp("2024-01-04")]
    assert list(events.rule) == ["duplicate", "conflicting_duplicate"]
    assert list(events.action) == ["dropped", "quarantined"]
    again, none = find_duplicates(kept)
    pd.testing.assert_frame_equal(again, kept)
    assert len(none) == 0
    assert list(none.columns) == EVENT_COLUMNS


# ---- context ---------------------------------------------------------------------------------------------


def test_fiscal_year_end_days() -> None:
    days = np.array(
        ["2024-06-25", "2024-06-26", "2024-06-30", "2024-07-04", "2024-07-05", "2023-12-27", "2024-01-04"],
        dtype="datetime64[D]",
    )
    expected = [False, True, True, True, False, True, True]
    assert list(around_fiscal_year_end(days, (6, 12), 4, 4)) == expected
    assert not around_fiscal_year_end(days, (3,), 4, 4).any()


def test_market_context_of_known_moves() -> None:
    moves = np.array([-0.05, -0.02, 0.0, 0.01, 0.02, 0.04, 0.50])
    close = np.stack([np.full(7, 10.0), 10.0 * np.exp(moves)])
    ones, zeros, bar = np.ones((2, 7)), np.zeros((2, 7)), np.ones((2, 7), dtype=bool)
    context = market_context(close, ones, bar, ones, zeros)
    assert context.cumulative[1] == pytest.approx(0.01)
    assert context.dispersion[1] == pytest.approx(1.4826 * 0.03)
    assert context.rise[1] == pytest.approx(0.04)
    assert context.fall[1] == pytest.approx(0.02)
    few = market_context(close[:, :4], ones[:, :4], bar[:, :4], ones[:, :4], zeros[:, :4])
    assert not few.cumulative.any()
    assert not few.rise.any()
