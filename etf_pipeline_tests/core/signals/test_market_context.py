"""Correlations of what goes together, by pandas; nothing filled, nothing known too early."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_pipeline.core.signals import market_context
from etf_pipeline.core.signals.forecast import CONTEXT_STATES, MACRO_STATES, causal_score, context_state
from etf_pipeline.core.signals.market_context import (
    AMERICAN_LAG,
    MarketContext,
    mean_return,
    rolling_correlation,
)

NOTHING = np.zeros(0, dtype="datetime64[D]"), np.zeros(0)
BONDS, GOLD = np.arange(12) // 3 == 1, np.arange(12) // 3 == 2
DAYS = np.busday_offset("2015-01-05", np.arange(400))
CORRELATIONS = [name for name in vars(MarketContext)["__annotations__"] if name.endswith("_correlation")]


def invented(seed: int = 0):
    """Twelve funds (market first, three bonds, three of gold) with holes, and two American series."""
    rng = np.random.default_rng(seed)
    total = 0.01 * rng.normal(size=(400, 12)) + 0.005 * rng.normal(size=(400, 1))
    spanned = np.where(rng.random(total.shape) < 0.05, 0, np.where(rng.random(total.shape) < 0.05, 2, 1))
    total[spanned == 0] = np.nan
    member = rng.random(total.shape) < 0.95
    spanned[:250, 8], member[:250, 8], total[:250, 8] = 0, False, np.nan  # listed later
    american = np.busday_offset("2014-12-01", np.arange(425))
    american = american[rng.random(425) < 0.97]
    fear = rng.normal(size=len(american))
    vix, rates = 30 + np.cumsum(fear), 4 + 0.05 * np.cumsum(rng.normal(size=len(american)) - fear)
    rates[rng.random(len(american)) < 0.03] = np.nan
    return total, spanned, member, (american, vix), (american, rates)


def context(
    total, spanned, member, vix=NOTHING, rates=NOTHING, sessions=DAYS, bonds=BONDS, gold=GOLD
) -> MarketContext:
    return market_context(
        total, spanned, member, sessions, market=0, bonds=bonds, gold=gold, vix=vix, rates=rates
    )


@given(st.integers(0, 10_000), st.integers(3, 40), st.floats(0, 0.6))
@settings(max_examples=40, deadline=None)
def test_correlation_is_that_of_pandas(seed, window, hole):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=150)
    y = 0.7 * x + rng.normal(size=150)
    x[rng.random(150) < hole], y[rng.random(150) < hole / 2] = np.nan, np.nan
    least = max(3, window // 2)
    expected = pd.Series(x).rolling(window, min_periods=least).corr(pd.Series(y)).to_numpy()
    ours = rolling_correlation(x, y, window, least)
    np.testing.assert_allclose(ours, expected, atol=1e-9)
    assert np.nanmax(np.abs(ours), initial=0.0) <= 1.0


def test_a_straight_line_is_one_and_what_stands_still_has_no_correlation():
    x = np.random.default_rng(1).normal(size=80)
    assert rolling_correlation(x, 3 - 2 * x, 20, 10)[9:] == pytest.approx(-1.0)
    assert np.isnan(rolling_correlation(x, np.full(80, 0.1), 20, 10)).all()
    with pytest.raises(ValueError, match="min_pairs"):
        rolling_correlation(x, x, 20, 2)


def test_classes_are_the_mean_of_members_with_a_daily_return():
    total, spanned, member, vix, rates = invented()
    ours = context(total, spanned, member, vix, rates)
    daily = pd.DataFrame(total).where(spanned == 1)
    for name, held in (("equity_bond_correlation", BONDS), ("gold_equity_correlation", GOLD)):
        mean = daily.where(member & held).mean(axis=1)
        expected = daily[0].rolling(63, min_periods=42).corr(mean)
        np.testing.assert_allclose(getattr(ours, name), expected, atol=1e-9)
        assert np.isfinite(getattr(ours, name)[70:]).all()


def test_american_changes_are_of_the_same_days_and_held_back():
    total, spanned, member, vix, rates = invented()
    ours = context(total, spanned, member, vix, rates).vix_rates_correlation
    both = pd.DataFrame({"vix": vix[1], "rates": rates[1]}, index=vix[0]).dropna().diff()
    expected = both["vix"].rolling(63, min_periods=42).corr(both["rates"]).dropna()
    at = (
        np.searchsorted(expected.index.to_numpy().astype("datetime64[D]"), DAYS[:-AMERICAN_LAG], side="right")
        - 1
    )
    reached = at >= 0
    np.testing.assert_allclose(ours[AMERICAN_LAG:][reached], expected.to_numpy()[at[reached]], atol=1e-9)
    assert np.isnan(ours[AMERICAN_LAG:][~reached]).all()
    assert np.nanmax(ours) < -0.3
    assert max(s.lag for s in MACRO_STATES if s.series in ("vix", "us_10y_yield")) == AMERICAN_LAG
    spoiled = np.where(vix[0] > DAYS[300], 99.0, vix[1]), np.where(rates[0] > DAYS[300], 9.0, rates[1])
    later = context(
        total, spanned, member, (vix[0], spoiled[0]), (rates[0], spoiled[1])
    ).vix_rates_correlation
    known = 300 + AMERICAN_LAG + 1
    assert later[:known].tobytes() == ours[:known].tobytes()
    assert not np.array_equal(later[known : known + 5], ours[known : known + 5])


def test_no_change_is_taken_across_a_gap():
    days = np.concatenate([DAYS[:100], DAYS[200:]])
    rng = np.random.default_rng(2)
    fear = rng.normal(size=300)
    vix, rates = np.cumsum(fear), np.cumsum(rng.normal(size=300))
    jump = np.arange(300) >= 100
    total, spanned, member, *_ = invented()
    plain, jumped = (
        context(
            total, spanned, member, (days, vix + k * jump), (days, rates + k * jump)
        ).vix_rates_correlation
        for k in (0, 100)
    )
    np.testing.assert_allclose(jumped, plain, atol=1e-9)
    assert np.isnan(plain[115:200]).all()  # ten sessions and the lag after the series fell silent
    assert np.isfinite(plain[215:]).all()


@pytest.mark.parametrize("missing", CORRELATIONS)
def test_a_missing_input_leaves_its_own_column_alone_empty(missing):
    total, spanned, member, vix, rates = invented()
    nobody = np.zeros(12, dtype=bool)
    one = context(
        total, spanned, member,
        vix, NOTHING if missing == "vix_rates_correlation" else rates,
        bonds=nobody if missing == "equity_bond_correlation" else BONDS,
        gold=nobody if missing == "gold_equity_correlation" else GOLD,
    )  # fmt: skip
    for name, values in vars(one).items():
        assert np.isnan(values).all() == (name == missing), name


def test_an_unknown_return_is_left_out_not_filled():
    total, spanned, member, *_ = invented()
    silent = total.copy()
    silent[200:222, 0] = np.nan
    ours = context(silent, spanned, member).equity_bond_correlation
    assert np.isnan(ours[221])
    assert np.isfinite(ours[290])
    assert np.isnan(context(total, np.where(spanned == 1, 2, spanned), member).equity_bond_correlation).all()


def test_dispersion_is_the_spread_of_a_months_returns():
    rng = np.random.default_rng(4)
    total = 0.01 * rng.normal(size=(60, 12))
    every = np.ones(total.shape, dtype=bool)
    ours = context(total, every.astype(np.int64), every, sessions=DAYS[:60]).dispersion
    assert ours[50] == pytest.approx(np.std(np.prod(1 + total[30:51], axis=0) - 1))
    few = every & (np.arange(12) < 4)
    assert np.isnan(context(total, every.astype(np.int64), few, sessions=DAYS[:60]).dispersion).all()


@pytest.mark.parametrize("cut", [1, 64, 180, 251, 333])
def test_cutting_changes_no_bit(cut):
    total, spanned, member, vix, rates = invented(5)
    whole = context(total, spanned, member, vix, rates)
    heard_of = (spanned[:cut] > 0).any(axis=0)
    heard_of[0] = True
    until = [tuple(part[series[0] <= DAYS[cut - 1]] for part in series) for series in (vix, rates)]
    panels = (p[:cut, heard_of].copy() for p in (total, spanned, member))
    part = context(*panels, *until, sessions=DAYS[:cut], bonds=BONDS[heard_of], gold=GOLD[heard_of])
    for name, values in vars(part).items():
        assert values.tobytes() == vars(whole)[name][:cut].tobytes(), name


def test_mean_return_needs_one_fund():
    daily = np.array([[0.1, np.nan, 0.3], [np.nan, np.nan, 0.3]])
    np.testing.assert_allclose(mean_return(daily, np.array([[True] * 3, [True, True, False]])), [0.2, np.nan])


def test_the_forecast_knows_every_column_against_its_own_past():
    rng = np.random.default_rng(6)
    columns = {name: rng.normal(size=600) for name in CONTEXT_STATES}
    columns["dispersion"][:] = np.nan
    state = context_state(columns)
    assert tuple(state) == CONTEXT_STATES == tuple(vars(context(*invented())))
    assert np.isnan(state["dispersion"]).all()
    for name in CORRELATIONS:
        assert state[name].tobytes() == causal_score(columns[name]).tobytes()
        assert np.isfinite(state[name][400:]).all()
    cut = context_state({name: values[:500].copy() for name, values in columns.items()})
    assert all(cut[name].tobytes() == state[name][:500].tobytes() for name in CONTEXT_STATES)


def test_funds_that_are_not_there_yet_change_no_bit_of_the_mean():
    rng = np.random.default_rng(8)
    daily, held = rng.normal(size=(60, 37)), rng.random((60, 37)) < 0.7
    wider, there = np.full((60, 90), np.nan), np.ones((60, 90), dtype=bool)
    wider[:, ::2][:, :37], there[:, ::2][:, :37] = daily, held
    assert mean_return(wider, there).tobytes() == mean_return(daily, held).tobytes()
