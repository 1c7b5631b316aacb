"""Accumulation: bounded, monotone, comparable across funds, honest about thin ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_pipeline.core.signals import VOLUME_REASONS, accumulation
from etf_pipeline_tests.core.random_market import assert_causal, random_market


def example(seed=0, sessions=40, funds=3):
    rng = np.random.default_rng(seed)
    shape = (sessions, funds)
    volume = np.round(rng.lognormal(5, 1, shape)) + 1
    return np.full(shape, 10.0), volume, np.ones(shape, dtype=bool), rng.normal(0, 0.01, shape)


def run(close, volume, accepted, returns, **options):
    return accumulation(close, volume, accepted, returns, **{"short": 5, "long": 20, **options})


def test_hand_computed():
    close, volume, accepted, returns = example(sessions=20, funds=2)
    volume[:] = 100.0
    volume[15:, 0] = [100, 300, 200, 100, 50]
    returns[15:, 0] = [0.01, 0.02, -0.01, 0.0, np.nan]
    panel = run(close, volume, accepted, returns)
    # (100 + 300 - 200) / 5 over (1500 + 750) / 20
    assert panel.accumulation[19, 0] == pytest.approx(40 / 112.5, rel=1e-14)
    assert panel.relative_turnover[19, 0] == pytest.approx(150 / 112.5, rel=1e-14)


def test_steady_buying_and_selling():
    close, volume, accepted, returns = example()
    volume[:] = 1000.0
    returns[:, 0], returns[:, 1], returns[:, 2] = 0.01, -0.01, 0.0
    np.testing.assert_allclose(run(close, volume, accepted, returns).accumulation[-1], [1, -1, 0], atol=1e-15)


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 10_000), st.integers(0, 4), st.floats(1.0, 1e6))
def test_more_value_on_an_up_day_never_lowers_it_nor_on_a_down_day_raises_it(seed, back, factor):
    close, volume, accepted, returns = example(seed)
    row = len(close) - 1 - back
    before = run(close, volume, accepted, returns).accumulation[-1]
    volume[row] *= factor
    change = run(close, volume, accepted, returns).accumulation[-1] - before
    assert (change * np.sign(returns[row]) >= -1e-12).all()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_it_lies_between_its_bounds(seed):
    close, volume, accepted, returns = example(seed)
    volume *= np.random.default_rng(seed).lognormal(0, 5, volume.shape)
    values = run(close, volume, accepted, returns).accumulation
    full = values[19:]
    assert (np.abs(full) <= 4 * (1 + 1e-12)).all()


def test_units_do_not_matter():
    close, volume, accepted, returns = example(3)
    one = run(close, volume, accepted, returns).accumulation
    np.testing.assert_allclose(run(close * 7, volume * 1e4, accepted, returns).accumulation, one, rtol=1e-12)
    # A 10-for-1 split: ten times the units at a tenth of the price.
    close[25:] /= 10
    volume[25:] *= 10
    np.testing.assert_allclose(run(close, volume, accepted, returns).accumulation, one, rtol=1e-12)


def test_a_fund_that_never_trades_has_no_value_and_says_so():
    close, volume, accepted, returns = example()
    volume[:, 1] = 0.0
    panel = run(close, volume, accepted, returns)
    assert np.isnan(panel.accumulation[:, 1]).all()
    assert {VOLUME_REASONS[c] for c in panel.reason[19:, 1]} == {"no_trading"}
    assert not np.isnan(panel.accumulation[19:, [0, 2]]).any()


def test_a_fund_that_trades_on_less_than_half_of_the_sessions_has_no_value():
    close, volume, accepted, returns = example(sessions=60)
    volume[::2, 1] = 0.0  # half
    panel = run(close, volume, accepted, returns)
    assert np.isfinite(panel.accumulation[-1]).all()
    volume[-1, 1] = 0.0
    panel = run(close, volume, accepted, returns)
    assert VOLUME_REASONS[panel.reason[-1, 1]] == "too_little_trading"
    assert np.isnan(panel.accumulation[-1, 1])
    assert np.isnan(panel.relative_turnover[-1, 1])
    assert np.isfinite(run(close, volume, accepted, returns, min_traded_share=0.4).accumulation[-1]).all()


def test_a_value_outlives_its_fund_by_five_sessions():
    close, volume, accepted, returns = example(sessions=60)
    accepted[40:, 1] = False
    panel = run(close, volume, accepted, returns, min_traded_share=0.1)
    assert [VOLUME_REASONS[c] for c in panel.reason[38:50, 1]] == [""] * 7 + ["no_recent_bar"] * 5


def test_days_without_a_bar_are_days_without_trade():
    close, volume, accepted, returns = example()
    volume[:], returns[:] = 100.0, 0.01
    accepted[-3:, 1] = False
    volume[-3:, 1] = close[-3:, 1] = np.nan
    returns[-3:, 1] = np.nan
    panel = run(close, volume, accepted, returns)
    assert panel.accumulation[-1, 1] == pytest.approx((2 / 5) / (17 / 20))


def test_unknown_volume_is_left_out_until_too_little_is_known():
    close, volume, accepted, returns = example()
    volume[:] = 100.0
    returns[:] = 0.01
    volume[-2:, 1] = np.nan
    assert run(close, volume, accepted, returns).accumulation[-1, 1] == pytest.approx(1.0)
    volume[-3:, 1] = np.nan
    panel = run(close, volume, accepted, returns)
    assert VOLUME_REASONS[panel.reason[-1, 1]] == "volume_unknown"
    assert np.isnan(panel.accumulation[-1, 1])


def test_zero_volume_for_everyone_is_unknown():
    close, volume, accepted, returns = example(sessions=60)
    volume[:30] = 0.0
    panel = run(close, volume, accepted, returns)
    assert {VOLUME_REASONS[c] for c in panel.reason[:39].ravel()} == {"volume_unknown"}
    assert (panel.reason[39:] == 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_cutting_changes_nothing_earlier(seed):
    m = random_market(seed)
    returns = np.where(m.accepted, np.random.default_rng(seed).normal(size=m.close.shape), np.nan)

    def stage(*panels):
        return vars(accumulation(*panels, short=21, long=100))

    assert_causal(stage, (m.close, m.volume, m.accepted, returns), (1, 21, 99, 100, 101, 260, 419))


def test_impossible_windows():
    with pytest.raises(ValueError, match="must hold"):
        run(*example(), short=20)
