"""Scale breaks, bad prints, wrong-date distributions and genuine moves, injected into a plausible fund."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.market.quality import assess
from etf_pipeline.core.market.quality.judge import level_parameters, split_evidence
from etf_pipeline.core.market.quality.rules import QualityRules
from etf_pipeline_tests.core.market.test_quality_market import (
    NO_BARS,
    copy,
    cut,
    events_of,
    judge,
    market,
    returns_of,
    scaled,
    untraded,
    without,
)

FUND = 5
AT = 300


@pytest.mark.parametrize("ratio", [2.0, 5.0, 10.0, 20.0, 100.0])
@pytest.mark.parametrize("consolidation", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
def test_an_unadjusted_split_is_repaired_and_its_return_survives(
    ratio: float, consolidation: bool, seed: int
) -> None:
    clean = market(seed=seed)
    factor = ratio if consolidation else 1 / ratio
    panel = scaled(clean, slice(AT, None), FUND, factor)
    panel.volume[AT:, FUND] = np.round(panel.volume[AT:, FUND] / factor) + 1
    result = judge(panel)
    rule = "consolidation_unadjusted_history" if consolidation else "split_unadjusted_history"
    event = events_of(result, FUND, rule)
    assert len(event) == 1
    assert event.action.iloc[0] == "repaired"
    assert event.session_start.iloc[0] == panel.sessions[AT]
    confirmed = AT + QualityRules().confirmations - 1
    assert result.scale[confirmed, FUND] == pytest.approx(factor)
    assert not result.accepted[AT:confirmed, FUND].any()
    assert result.doubt[AT:confirmed, FUND].all()
    assert not result.doubt[confirmed + 1 :, FUND].any()
    # The return over the break is the one the fund made, and none contains the ratio.
    returns = returns_of(panel, result, FUND)
    assert np.abs(returns).max() < 0.15
    assert np.nansum(returns) == pytest.approx(np.log(clean.close[-1, FUND] / clean.close[0, FUND]))


def test_a_break_at_no_simple_ratio_is_quarantined_until_it_leaves_the_window() -> None:
    panel = scaled(market(700), slice(AT, None), FUND, 5.48)
    result = judge(panel)
    event = events_of(result, FUND, "adjustment_break")
    assert len(event) == 1
    assert event.action.iloc[0] == "quarantined"
    confirmed = AT + 4
    assert np.isnan(result.scale[confirmed, FUND])
    assert result.accepted[confirmed, FUND]
    assert result.doubt[AT : confirmed + 252, FUND].all()
    assert not result.doubt[confirmed + 252, FUND]
    assert len(events_of(result, FUND, "doubt_lifted")) == 1
    assert np.nanmax(np.abs(returns_of(panel, result, FUND))) < 0.15


def test_volume_decides_between_a_split_and_a_break() -> None:
    p = level_parameters(QualityRules())
    log5 = np.log(5.0)
    _, with_volume = split_evidence(log5 + 0.03, 0.03, -log5, False, p)
    _, unknown = split_evidence(log5 + 0.03, 0.03, np.nan, False, p)
    _, against = split_evidence(log5 + 0.03, 0.03, +log5, True, p)
    assert with_volume > unknown > against
    assert with_volume > np.log(p.split_odds) > against


@pytest.mark.parametrize("ratio", [2.0, 3.0, 10.0, 20.0])
def test_split_evidence_names_the_ratio_and_its_direction(ratio: float) -> None:
    p = level_parameters(QualityRules())
    for sign in (1.0, -1.0):
        log_ratio, odds = split_evidence(
            sign * (np.log(ratio) + 0.01), 0.012, -sign * np.log(ratio), False, p
        )
        assert log_ratio == pytest.approx(sign * np.log(ratio))
        assert odds > np.log(p.split_odds)
    assert split_evidence(np.log(3.45), 0.005, np.nan, False, p) == (0.0, -np.inf)


def test_a_recorded_split_is_no_event_on_as_traded_prices() -> None:
    panel = scaled(market(), slice(AT, None), FUND, 0.1)
    panel.volume[AT:, FUND] *= 10
    panel.split[AT, FUND] = 10.0
    result = judge(panel, basis="as_traded")
    assert result.accepted[:, FUND].all()
    assert (result.scale[:, FUND] == 1.0).all()
    assert not len(events_of(result, FUND))


def test_a_recorded_split_that_the_prices_do_not_show_is_repaired() -> None:
    panel = market()
    panel.split[AT, FUND] = 10.0
    result = judge(panel, basis="as_traded")
    confirmed = AT + 4
    assert result.scale[confirmed, FUND] == pytest.approx(10.0)


def test_a_distribution_is_not_a_fall_on_unadjusted_prices() -> None:
    panel = scaled(market(), slice(AT, None), FUND, 0.85)
    panel.distribution[AT, FUND] = panel.close[AT, FUND] * 0.15 / 0.85
    assert not len(events_of(judge(panel, basis="split_adjusted"), FUND))
    assert len(events_of(judge(panel), FUND, "unconfirmed_level"))


@pytest.mark.parametrize("bars", [1, 3])
@pytest.mark.parametrize("factor", [0.1, 100.0])
def test_a_block_at_the_wrong_scale_stays_out(bars: int, factor: float) -> None:
    clean = market()
    panel = scaled(clean, slice(AT, AT + bars), FUND, factor)
    result = judge(panel)
    event = events_of(result, FUND, "bad_scale_block")
    assert list(event.session_start) == [panel.sessions[AT]]
    assert list(event.session_end) == [panel.sessions[AT + bars - 1]]
    assert not result.accepted[AT : AT + bars, FUND].any()
    assert result.accepted[AT + bars :, FUND].all()
    assert (result.scale[AT + bars :, FUND] == 1.0).all()
    assert not result.doubt[AT + bars :, FUND].any()


def test_a_long_block_is_repaired_on_the_way_in_and_out() -> None:
    clean = market()
    panel = scaled(clean, slice(AT, AT + 60), FUND, 0.01)
    result = judge(panel)
    assert len(events_of(result, FUND, "split_unadjusted_history")) == 1
    assert len(events_of(result, FUND, "consolidation_unadjusted_history")) == 1
    total = returns_of(panel, result, FUND).sum()
    assert total == pytest.approx(np.log(clean.close[-1, FUND] / clean.close[0, FUND]))


def test_a_tenth_then_ten_times_leaves_no_false_return() -> None:
    """Three bars at a tenth, then a 1-for-10 consolidation that was not carried back."""
    panel = scaled(scaled(market(), slice(AT, AT + 3), FUND, 0.1), slice(AT + 3, None), FUND, 10.0)
    panel.volume[AT : AT + 3, FUND] *= 10
    panel.volume[AT + 3 :, FUND] = np.round(panel.volume[AT + 3 :, FUND] / 10) + 1
    result = judge(panel)
    assert len(events_of(result, FUND, "bad_scale_block")) == 1
    assert len(events_of(result, FUND, "consolidation_unadjusted_history")) == 1
    assert np.abs(returns_of(panel, result, FUND)).max() < 0.15


def test_a_series_that_flips_scale_without_trading() -> None:
    panel = copy(market())
    flipping = np.arange(AT, AT + 60, 3)
    for name in ("open", "high", "low", "close"):
        getattr(panel, name)[flipping, FUND] *= 10.0
    panel.volume[flipping, FUND] = 0.0
    result = judge(panel)
    assert len(events_of(result, FUND, "bad_scale_block")) == 1  # the first could be a single mistake
    assert len(events_of(result, FUND, "scale_flip_flop")) == len(flipping) - 1
    assert not result.accepted[flipping, FUND].any()
    assert result.doubt[AT + 9 : AT + 60, FUND].all()
    assert not result.doubt[AT + 60 + 20 :, FUND].any()
    assert np.abs(returns_of(panel, result, FUND)).max() < 0.15


@pytest.mark.parametrize("factor", [1.32, 0.85])
def test_a_bad_print_that_comes_back_stays_out(factor: float) -> None:
    panel = scaled(market(), slice(AT, AT + 1), FUND, factor)
    panel.volume[AT, FUND] = 300.0
    result = judge(panel)
    assert len(events_of(result, FUND, "bad_print")) == 1
    assert not result.accepted[AT, FUND]
    assert result.accepted[AT + 1 :, FUND].all()


def test_an_untraded_print_never_moves_the_reference() -> None:
    panel = scaled(market(), slice(AT, AT + 2), FUND, 1.2)
    panel.volume[AT : AT + 2, FUND] = 0.0
    result = judge(panel)
    assert len(events_of(result, FUND, "untraded_print")) == 2  # opened, and closed with its span
    assert not result.accepted[AT : AT + 2, FUND].any()


def test_untraded_bars_neither_confirm_nor_refute_a_level() -> None:
    panel = scaled(market(), slice(AT, None), FUND, 20.0)
    quiet = slice(AT + 1, AT + 10)
    panel.volume[quiet, FUND] = 0.0
    result = judge(panel)
    assert not result.accepted[AT : AT + 13, FUND].any()  # one traded bar, nine untraded, four traded
    assert result.scale[AT + 13, FUND] == pytest.approx(20.0)
    back = scaled(market(), slice(AT, AT + 1), FUND, 20.0)
    back.volume[AT + 1 : AT + 6, FUND] = 0.0
    result = judge(back)
    assert result.doubt[AT : AT + 6, FUND].all()
    assert result.accepted[AT + 6, FUND]


def fiscal_row(panel_sessions: np.ndarray, day: str) -> int:
    return int(np.searchsorted(panel_sessions, np.datetime64(day)))


def test_a_lasting_jump_at_the_fiscal_year_end_is_a_distribution_on_the_wrong_date() -> None:
    clean = market()
    at = fiscal_row(clean.sessions, "2018-06-29")
    panel = scaled(clean, slice(at, None), FUND, 1.23)
    result = judge(panel)
    event = events_of(result, FUND, "distribution_adjusted_on_wrong_date")
    assert list(event.session_start) == [panel.sessions[at]]
    assert np.isnan(result.scale[at + 4, FUND])
    assert result.doubt[at:, FUND].all()
    assert np.nanmax(np.abs(returns_of(panel, result, FUND))) < 0.15


def test_a_jump_of_a_day_at_the_fiscal_year_end() -> None:
    clean = market()
    at = fiscal_row(clean.sessions, "2018-06-29")
    result = judge(scaled(clean, slice(at, at + 1), FUND, 1.105))
    assert len(events_of(result, FUND, "distribution_adjusted_on_wrong_date")) == 1
    assert not result.accepted[at, FUND]
    assert not result.doubt[at + 1 :, FUND].any()


def test_a_larger_jump_at_the_fiscal_year_end_is_a_break() -> None:
    clean = market()
    at = fiscal_row(clean.sessions, "2018-07-02")
    result = judge(scaled(clean, slice(at, None), FUND, 1.335))
    assert len(events_of(result, FUND, "adjustment_break")) == 1


def test_a_market_that_moves_explains_its_funds() -> None:
    clean = market()
    panel = copy(clean)
    for name in ("open", "high", "low", "close"):
        getattr(panel, name)[AT:] *= np.exp(-0.10 * np.linspace(0.5, 1.5, panel.shape[1]))
    result = judge(panel)
    assert result.accepted[AT].all()
    assert (result.scale[AT] == 1.0).all()


@pytest.mark.parametrize("factor", [0.675, 0.613, 1.397, 1.45])
def test_an_extreme_on_a_surge_of_volume_is_believed_at_once(factor: float) -> None:
    panel = scaled(market(), slice(AT, None), FUND, factor)
    wild = np.exp(np.cumsum(0.016 * np.random.default_rng(0).standard_normal(len(panel.close))))
    for name in ("open", "high", "low", "close"):
        getattr(panel, name)[:, FUND] *= wild
    panel.volume[AT, FUND] = np.round(panel.volume[AT, FUND] * 35 / min(factor, 1.0))
    result = judge(panel)
    assert result.accepted[AT, FUND]
    assert result.scale[AT, FUND] == 1.0
    assert not result.doubt[:, FUND].any()


def test_a_wild_fund_keeps_its_wild_days() -> None:
    """Forty moves of 10 to 25 %, as crypto funds make them."""
    rng = np.random.default_rng(4)
    panel = copy(market())
    wild = np.exp(np.cumsum(0.05 * rng.standard_t(5, len(panel.close))))
    for name in ("open", "high", "low", "close"):
        getattr(panel, name)[:, FUND] *= wild
    result = judge(panel)
    moves = np.abs(np.diff(np.log(panel.close[:, FUND])))
    assert (moves > 0.10).sum() > 20
    assert result.accepted[40:, FUND].mean() > 0.99
    assert not len(events_of(result, FUND, "adjustment_break"))


def test_a_confirmed_ordinary_jump_is_genuine_and_keeps_its_return() -> None:
    clean = market(seed=3)
    panel = scaled(clean, slice(AT, None), FUND, 1.09)
    result = judge(panel)
    if result.accepted[AT, FUND]:
        pytest.fail("the jump was meant to be doubted: choose a calmer fund")
    assert len(events_of(result, FUND, "large_move_confirmed")) == 1
    assert (result.scale[result.accepted[:, FUND], FUND] == 1.0).all()
    assert not result.doubt[AT + 1 :, FUND].any()


def test_silence_of_more_than_a_year_is_a_new_fund() -> None:
    panel = without(market(800), slice(200, 500), FUND)
    result = judge(panel)
    event = events_of(result, FUND, "recycled_code")
    assert list(event.session_start) == [panel.sessions[500]]
    assert np.isnan(result.scale[500, FUND])
    assert result.accepted[500, FUND]
    assert result.doubt[500 : 500 + 252, FUND].all()
    assert not result.doubt[752, FUND]
    shorter = judge(without(market(800), slice(200, 400), FUND))
    assert not len(events_of(shorter, FUND, "recycled_code"))


@pytest.mark.parametrize("rows", [150, 301, 303, 306, 340, 480])
def test_truncation_changes_nothing_before_it(rows: int) -> None:
    panel = market(520, seed=9)
    panel = scaled(panel, slice(300, 303), 1, 0.1)
    panel = scaled(panel, slice(303, None), 1, 10.0)
    panel = scaled(panel, slice(301, None), 2, 5.48)
    panel = scaled(panel, slice(305, 306), 3, 1.3)
    panel = untraded(panel, slice(296, 312), 4, flat=True)
    panel = untraded(panel, slice(1, 60), 6, flat=False)
    panel.volume[0, 6] = 0.0
    panel = without(panel, slice(250, 330), 7)
    panel = without(panel, slice(1, 200), 8)
    panel.open[100:160, 9] = 0.0
    panel = without(panel, np.flatnonzero(np.arange(520) % 21 != 0)[:380], 10)
    panel.volume[:40] = 0.0
    panel.split[200, 11] = 2.0
    panel.is_final[-1] = False
    whole = assess(panel, NO_BARS, basis="as_traded")
    part = assess(cut(panel, rows), NO_BARS, basis="as_traded")
    for name in ("accepted", "traded", "scale", "doubt", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(whole, name)[:rows], getattr(part, name), err_msg=name)
    known = whole.events[whole.events.detected_on <= panel.sessions[rows - 1]].reset_index(drop=True)
    assert known.to_dict("records") == part.events.to_dict("records")
