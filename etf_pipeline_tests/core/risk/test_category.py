"""Risk categories: thresholds, patience, missing measures, and how they fall on real funds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from etf_pipeline.core.risk import ewma_volatility
from etf_pipeline.core.risk.category import (
    DECIDING_MEASURES,
    RISK_CATEGORIES,
    CategoryRules,
    Thresholds,
    flips_per_fund_year,
    risk_category,
)
from etf_pipeline.core.risk.category_kernels import category_reference
from etf_pipeline.core.risk.drawdown import drawdowns
from etf_pipeline.core.risk.tail import tail_risk
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.risk.us_funds import us_returns

UNKNOWN, LOW, MEDIUM, HIGH = range(4)
RULES = CategoryRules(
    Thresholds(0.10, 0.30),
    Thresholds(0.20, 0.60),
    Thresholds(0.15, 0.45),
    margin=0.1,
    sessions_up=3,
    sessions_down=5,
)
AT_ONCE = replace(RULES, margin=0.0, sessions_up=1, sessions_down=1)


def categorise(volatility, cvar=-0.1, drawdown=-0.01, rules=RULES, leveraged=False):
    column = np.array(volatility, dtype=float)[:, None]
    cvar_panel = np.broadcast_to(np.array(cvar, dtype=float).reshape(-1, 1), column.shape)
    fall = np.broadcast_to(np.array(drawdown, dtype=float).reshape(-1, 1), column.shape)
    return risk_category(column, cvar_panel, fall, np.array([leveraged]), rules)


def wandering(seed, sessions=600, funds=6):
    rng = np.random.default_rng(seed)
    shape = (sessions, funds)
    size = 0.2 * np.exp(
        0.6 * np.sin(np.arange(sessions)[:, None] / 12 + np.arange(funds)) + rng.normal(0, 0.08, shape)
    )
    noise = [np.exp(rng.normal(0, 0.15, shape)) for _ in range(2)]
    return size, -2 * size * noise[0], -size * noise[1], np.arange(funds) == 4


@pytest.mark.parametrize(
    ("measures", "code", "score", "measure"),
    [
        ((0.05, -0.05, -0.01), LOW, 0.5, "volatility"),
        ((0.10, -0.05, -0.01), MEDIUM, 1.0, "volatility"),
        ((0.05, -0.40, -0.01), MEDIUM, 1.5, "cvar"),
        ((0.05, -0.05, -0.30), MEDIUM, 1.5, "maximum_drawdown"),
        ((0.299, -0.59, -0.45), HIGH, 2.0, "maximum_drawdown"),
        ((0.60, -0.59, -0.45), HIGH, 3.0, "volatility"),
        ((0.00, 0.01, 0.00), LOW, 0.0, "volatility"),
    ],
)
def test_the_worst_measure_decides(measures, code, score, measure):
    panel = categorise(measures[:1], measures[1], measures[2])
    assert panel.raw_category[0, 0] == panel.category[0, 0] == code
    assert panel.score[0, 0] == pytest.approx(score)
    assert DECIDING_MEASURES[panel.decided_by[0, 0]] == measure


def test_the_score_is_continuous_and_rises_with_the_measure():
    volatility = np.linspace(0, 1, 20_001)
    score = categorise(volatility, cvar=0.0, drawdown=0.0, rules=AT_ONCE).score[:, 0]
    assert (np.diff(score) > 0).all()
    assert np.diff(score).max() < 1e-3


def test_raw_category_agrees_with_the_score():
    *measures, leveraged = wandering(1)
    panel = risk_category(*measures, np.zeros_like(leveraged), RULES)
    np.testing.assert_array_equal(panel.raw_category, 1 + (panel.score >= 1) + (panel.score >= 2))


def test_without_margin_and_patience_the_category_is_the_raw_one():
    *measures, leveraged = wandering(2)
    panel = risk_category(*measures, leveraged, AT_ONCE)
    np.testing.assert_array_equal(panel.category, panel.raw_category)


def test_rises_after_its_sessions_beyond_the_margin():
    volatility = [0.05] * 3 + [0.12] * 5
    np.testing.assert_array_equal(categorise(volatility).category[:, 0], [LOW] * 5 + [MEDIUM] * 3)


@pytest.mark.parametrize("inside", [0.10, 0.105, 0.1099])
def test_stays_while_within_the_margin(inside):
    panel = categorise([0.05] * 3 + [inside] * 50)
    assert (panel.category == LOW).all()
    assert (panel.raw_category[3:] == MEDIUM).all()


def test_an_interrupted_run_starts_again():
    volatility = [0.05, 0.12, 0.12, 0.105, 0.12, 0.12, 0.12]
    np.testing.assert_array_equal(categorise(volatility).category[:, 0], [LOW] * 6 + [MEDIUM])


def test_falls_slower_and_only_when_every_measure_is_below():
    volatility = [0.20] * 3 + [0.05] * 10
    np.testing.assert_array_equal(categorise(volatility).category[:, 0], [MEDIUM] * 7 + [LOW] * 6)
    assert (categorise(volatility, cvar=-0.19).category == MEDIUM).all()
    assert (categorise(volatility, drawdown=-0.14).category == MEDIUM).all()


def test_a_run_moves_to_the_category_it_was_beyond_throughout():
    np.testing.assert_array_equal(categorise([0.05, 0.5, 0.5, 0.5]).category[:, 0], [LOW] * 3 + [HIGH])
    np.testing.assert_array_equal(
        categorise([0.05, 0.5, 0.12, 0.5, 0.5, 0.5]).category[:, 0], [LOW, LOW, LOW, MEDIUM, MEDIUM, MEDIUM]
    )
    falling = [0.5, 0.05, 0.05, 0.2, 0.05, 0.05, 0.05]
    np.testing.assert_array_equal(categorise(falling).category[:, 0], [HIGH] * 5 + [MEDIUM] * 2)


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_reference(seed):
    *measures, leveraged = wandering(seed)
    panel = risk_category(*measures, np.zeros_like(leveraged), RULES)
    changes = 0
    for j in range(len(leveraged)):
        sizes = [abs(m[:, j]) for m in measures]
        limits = (RULES.volatility_annualised, RULES.cvar_95_annualised, RULES.maximum_drawdown)

        def codes(factor, strict, sizes=sizes, limits=limits):
            beyond = np.greater if strict else np.greater_equal
            each = [
                1 + beyond(x, factor * limit.medium) + beyond(x, factor * limit.high)
                for x, limit in zip(sizes, limits, strict=True)
            ]
            return np.max(each, axis=0).tolist()

        expected = category_reference(codes(1.1, False), codes(0.9, True), codes(1.0, False), 3, 5)
        np.testing.assert_array_equal(panel.category[:, j], expected)
        changes += np.count_nonzero(np.diff(expected))
    assert changes > 20


def test_patience_and_margin_lower_the_flips():
    *measures, leveraged = wandering(9)
    flips = [
        flips_per_fund_year(risk_category(*measures, leveraged, rules).category)
        for rules in (
            AT_ONCE,
            replace(AT_ONCE, margin=0.1),
            RULES,
            replace(RULES, sessions_up=20, sessions_down=60),
        )
    ]
    assert flips == sorted(flips, reverse=True)
    assert flips[-1] < flips[0] / 4


@pytest.mark.parametrize("missing", range(3))
def test_unknown_until_every_measure_exists(missing):
    measures = [np.full((6, 1), 0.05), np.full((6, 1), -0.05), np.full((6, 1), -0.05)]
    measures[missing][:4] = np.nan
    panel = risk_category(*measures, np.array([False]))
    np.testing.assert_array_equal(panel.category[:, 0], [UNKNOWN] * 4 + [LOW] * 2)
    np.testing.assert_array_equal(panel.raw_category[:, 0], panel.category[:, 0])
    np.testing.assert_array_equal(np.isnan(panel.score[:, 0]), np.arange(6) < 4)
    np.testing.assert_array_equal(panel.decided_by[:, 0] == 0, np.arange(6) < 4)


def test_a_missing_measure_keeps_the_category_for_a_while_and_then_starts_anew():
    volatility = np.array([0.2, np.nan, 0.2, *[np.nan] * 4, 0.05, 0.05])
    panel = categorise(volatility, rules=replace(RULES, max_stale_sessions=2))
    expected = [MEDIUM] * 5 + [UNKNOWN] * 2 + [LOW] * 2
    np.testing.assert_array_equal(panel.category[:, 0], expected)
    np.testing.assert_array_equal(panel.raw_category[[1, 3, 6], 0], UNKNOWN)


def test_missing_sessions_are_passed_over_in_a_run():
    volatility = np.array([0.05, 0.12, np.nan, 0.12, 0.12, 0.12])
    np.testing.assert_array_equal(categorise(volatility).category[:, 0], [LOW] * 4 + [MEDIUM] * 2)


def test_leveraged_funds_are_high_whatever_is_known():
    volatility = [np.nan, 0.01, 0.01, np.nan]
    panel = categorise(volatility, leveraged=True)
    assert (panel.category == HIGH).all()
    assert (panel.raw_category == HIGH).all()
    assert (panel.decided_by == DECIDING_MEASURES.index("leveraged")).all()
    np.testing.assert_array_equal(np.isnan(panel.score[:, 0]), [True, False, False, True])


def test_codes_are_small_integers_with_names():
    panel = categorise([0.05])
    assert panel.category.dtype == panel.raw_category.dtype == panel.decided_by.dtype == np.int8
    assert RISK_CATEGORIES == ("UNKNOWN", "LOW", "MEDIUM", "HIGH")


def test_flips_count_changes_between_known_categories():
    category = np.array([[0, 1], [1, 1], [2, 0], [2, 3], [1, 3]], dtype=np.int8)
    # Known after known: 3 sessions of the first fund with 2 changes, 2 of the second with none.
    assert flips_per_fund_year(category) == pytest.approx(2 / 5 * 252)
    assert np.isnan(flips_per_fund_year(np.zeros((3, 2), np.int8)))


def test_cutting_and_adding_funds_change_nothing():
    *measures, leveraged = wandering(11)
    measures[0][50:60, 1] = np.nan

    def stage(*panels):
        return vars(risk_category(*panels, leveraged, RULES))

    assert_causal(stage, tuple(measures), (1, 54, 57, 300, 599))
    alone = risk_category(*(m[:, 1:2] for m in measures), leveraged[1:2], RULES)
    assert alone.category[:, 0].tobytes() == stage(*measures)["category"][:, 1].tobytes()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Thresholds(0.3, 0.1), "0 < medium"),
        (lambda: CategoryRules(margin=1.0), "margin must lie"),
        (lambda: CategoryRules(sessions_up=0), "sessions_up"),
        (lambda: categorise([0.1], leveraged=[True, False]), "one flag a fund"),
        (
            lambda: risk_category(np.ones((2, 1)), np.ones((3, 1)), np.ones((2, 1)), np.array([True])),
            "differ in shape",
        ),
    ],
)
def test_impossible_requests(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.data
def test_real_funds_fall_where_an_investor_expects_them(market_data):
    tickers = ["BIL", "SHY", "SPY", "VTI", "EFA", "QUAL", "USO", "KWEB", "SOXL"]
    sessions, returns, spanned = us_returns(market_data, tickers)
    volatility = ewma_volatility(returns, spanned).volatility_annualised
    shortfall = tail_risk(returns, spanned, volatility / np.sqrt(252), sessions).historical.cvar_95_annualised
    fall = drawdowns(returns, spanned).maximum_756
    panel = risk_category(volatility, shortfall, fall, np.zeros(len(tickers), bool))
    category = {ticker: panel.category[:, j] for j, ticker in enumerate(tickers)}
    for ticker in ("BIL", "SHY"):
        assert set(category[ticker]) == {UNKNOWN, LOW}
    for ticker in ("SPY", "VTI", "EFA", "QUAL"):
        assert LOW not in category[ticker]
    # Volatility alone would call the market LOW in its calmest years.
    assert np.nanmin(volatility[:, tickers.index("SPY")]) < CategoryRules().volatility_annualised.medium
    for ticker in ("USO", "KWEB", "SOXL"):
        assert set(category[ticker]) == {UNKNOWN, HIGH}
    assert flips_per_fund_year(panel.category) < 0.5 * flips_per_fund_year(panel.raw_category)
    assert flips_per_fund_year(panel.category) < 0.5
