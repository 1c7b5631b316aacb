"""Momentum: the exact window, and when it is not known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_pipeline.core.market.returns import total_return
from etf_pipeline.core.signals import PATH_REASONS, momentum
from etf_pipeline.core.signals.momentum import momentum_reference
from etf_pipeline_tests.core.random_market import assert_causal, random_market


def signal(close, *, scale=None, split=None, distribution=None, **options):
    """One fund; a NaN close is a session without a bar."""
    column = np.asarray(close, dtype=float)[:, None]
    one = np.ones_like(column)
    panels = []
    for cells, neutral in ((scale, one), (split, one), (distribution, 0 * one)):
        panel = neutral.copy()
        for row, value in (cells or {}).items():
            panel[row, 0] = value
        panels.append(panel)
    returns = total_return(column, ~np.isnan(column), *panels, basis="as_traded")
    return momentum(returns.total_return, returns.sessions_spanned, **options)


def reasons(panel):
    return [PATH_REASONS[c] for c in panel.reason[:, 0]]


def test_twelve_minus_one_is_the_close_ratio_between_two_sessions():
    close = 10 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, 300)))
    panel = signal(close)
    for t in (252, 280, 299):
        assert panel.momentum[t, 0] == pytest.approx(close[t - 21] / close[t - 252] - 1, rel=1e-11)
    assert reasons(panel) == ["short_history"] * 252 + [""] * 48
    assert np.isnan(panel.momentum[:252]).all()


def test_six_minus_one():
    close = 10 * np.exp(np.cumsum(np.random.default_rng(2).normal(0, 0.01, 200)))
    panel = signal(close, lookback=126, skip=21)
    assert panel.momentum[180, 0] == pytest.approx(close[159] / close[54] - 1, rel=1e-11)


def test_the_skipped_month_does_not_matter_and_the_rest_does():
    close = np.full(300, 10.0)
    close[279:] = 25.0  # the last 21 sessions
    assert signal(close).momentum[299, 0] == 0.0
    close[278:] = 25.0
    assert signal(close).momentum[299, 0] == pytest.approx(1.5, rel=1e-12)
    # 252 sessions before row 299 is row 47: a rise at row 47 is the base, one at row 48 counts.
    close = np.full(300, 10.0)
    close[:47] = 5.0
    assert signal(close).momentum[299, 0] == 0.0
    close[:48] = 5.0
    assert signal(close).momentum[299, 0] == pytest.approx(1.0, rel=1e-12)


def test_splits_distributions_and_repaired_scales_leave_only_the_return():
    close = np.full(300, 10.0)
    close[100:] = 5.0  # 2-for-1
    close[150:] = 4.9  # 0.1 paid
    close[200:] = 98.0  # 1-for-20 not recorded, repaired
    panel = signal(close, split={100: 2.0}, distribution={150: 0.1}, scale={200: 20.0})
    assert panel.momentum[299, 0] == pytest.approx(0.0, abs=1e-12)


def test_holes_inside_the_window_change_nothing():
    close = 10 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, 300)))
    full = signal(close).momentum[299, 0]
    close[100:130] = np.nan
    panel = signal(close)
    assert panel.momentum[299, 0] == pytest.approx(full, rel=1e-11)
    assert panel.observed_share[299, 0] == pytest.approx(1 - 30 / 231)


def test_too_few_sessions_in_the_window():
    # Row 299's window of 231 sessions ends at row 278; 80 % of it are 184.8 bars.
    close = np.full(300, 10.0)
    close[100:146] = np.nan  # 46 holes leave 185
    assert reasons(signal(close))[299] == ""
    close[146] = np.nan
    panel = signal(close)
    assert reasons(panel)[299] == "too_few_sessions"
    assert np.isnan(panel.momentum[299, 0])
    assert reasons(signal(close, min_observed_share=0.7))[299] == ""


def test_an_unknown_return_silences_exactly_the_windows_that_hold_it():
    close = np.full(700, 10.0)
    panel = signal(close, scale={300: np.nan})
    # Stamped 300: inside the window of t if t - 251 <= 300 <= t - 21.
    silent = [t for t, name in enumerate(reasons(panel)) if name == "unknown_return"]
    assert silent == list(range(321, 552))
    assert np.isnan(panel.momentum[321:552]).all()
    assert (panel.momentum[552:] == 0).all()


def test_a_late_listing_waits_for_a_full_window():
    close = np.full(400, 10.0)
    close[:60] = np.nan
    assert reasons(signal(close)) == ["short_history"] * 312 + [""] * 88


def test_a_fund_without_bars_and_an_empty_panel():
    assert set(reasons(signal(np.full(300, np.nan)))) == {"short_history"}
    assert momentum(np.zeros((0, 3)), np.zeros((0, 3), int)).momentum.shape == (0, 3)


def test_a_value_outlives_its_fund_by_five_sessions():
    close = np.full(500, 10.0)
    close[300:] = np.nan
    assert reasons(signal(close))[295:500] == [""] * 10 + ["no_recent_bar"] * 195
    assert reasons(signal(close, max_stale_sessions=0))[295:302] == [""] * 5 + ["no_recent_bar"] * 2


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_equals_the_plain_product(seed):
    m = random_market(seed, sessions=120, funds=4)
    p = total_return(m.close, m.accepted, m.scale, m.split, m.distribution, basis="as_traded")
    panel = momentum(p.total_return, p.sessions_spanned, lookback=40, skip=7)
    for t in range(40, 120):
        for j in range(4):
            if panel.reason[t, j] == 0:
                expected = momentum_reference(p.total_return[:, j], p.sessions_spanned[:, j], t, 40, 7)
                assert panel.momentum[t, j] == pytest.approx(expected, rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("seed", range(4))
def test_cutting_changes_nothing_earlier(seed):
    m = random_market(seed, hole=0.2)
    p = total_return(m.close, m.accepted, m.scale, m.split, m.distribution, basis="as_traded")

    def stage(returns, spanned):
        panel = momentum(returns, spanned, lookback=60, skip=10)
        return {name: value for name, value in vars(panel).items() if isinstance(value, np.ndarray)}

    assert_causal(stage, (p.total_return, p.sessions_spanned), (1, 2, 10, 60, 61, 200, 340, 419))


def test_the_reason_of_a_fund_with_one_bar_so_far_is_not_taken_from_its_future():
    close = np.full(400, np.nan)
    close[0], close[390:] = 10.0, 11.0

    def stage(column):
        p = total_return(
            column,
            ~np.isnan(column),
            np.ones_like(column),
            np.ones_like(column),
            0 * column,
            basis="as_traded",
        )
        return {"reason": momentum(p.total_return, p.sessions_spanned).reason}

    assert_causal(stage, (close[:, None],), (260, 300, 389, 390, 391))


def test_risk_adjusted_is_the_return_over_the_standard_deviation_of_the_same_window():
    growth = np.random.default_rng(4).normal(0.0004, 0.01, 400)
    panel = signal(10 * np.exp(np.cumsum(growth)))
    for t in (252, 399):
        volatility = growth[t - 251 : t - 20].std(ddof=1) * np.sqrt(252)
        assert panel.risk_adjusted[t, 0] == pytest.approx(panel.momentum[t, 0] / volatility, rel=1e-11)
    assert np.isnan(panel.risk_adjusted[:252]).all()


def test_a_price_that_stood_still_has_momentum_zero_and_no_risk_to_adjust_it_by():
    panel = signal(np.full(300, 10.0))
    assert panel.momentum[299, 0] == 0.0
    assert np.isnan(panel.risk_adjusted).all()
    assert PATH_REASONS[panel.risk_adjusted_reason[299, 0]] == "no_movement"
    # A steady rise does not vary either, but for rounding.
    steady = signal(10 * 1.0001 ** np.arange(300))
    assert PATH_REASONS[steady.risk_adjusted_reason[299, 0]] == "no_movement"


def test_missing_bars_leave_the_risk_about_what_it_was():
    rng = np.random.default_rng(5)
    close = 10 * np.exp(np.cumsum(rng.normal(0, 0.01, (400, 200)), axis=0))
    thin = np.where(rng.random(close.shape) < 0.15, np.nan, close)
    thin[0] = close[0]
    full = [signal(close[:, j]).risk_adjusted[399, 0] for j in range(50)]
    holed = [signal(thin[:, j]).risk_adjusted[399, 0] for j in range(50)]
    ratio = np.array(holed) / np.array(full)
    assert np.median(ratio) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("options", [{"lookback": 21, "skip": 21}, {"skip": -1}])
def test_impossible_windows(options):
    with pytest.raises(ValueError, match="must hold"):
        momentum(np.zeros((3, 1)), np.zeros((3, 1), int), **options)
