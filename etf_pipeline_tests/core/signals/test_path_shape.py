"""Efficiency ratio and divergence: their bounds, their signs, and when there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_pipeline.core.signals import PATH_REASONS, divergence, efficiency_ratio
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.signals.paths import CUTS, arrays, dead_after, market_returns, one_fund

LINE = np.full(300, 0.001)


# --- efficiency ratio ------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_efficiency_is_net_over_gross_change(seed):
    growth = np.random.default_rng(seed).normal(0, 0.01, 60)
    y = np.concatenate([[0.0], np.cumsum(growth)])
    value = efficiency_ratio(*one_fund(growth), window=10).efficiency_ratio[:, 0]
    for t in (10, 33, 60):
        expected = (y[t] - y[t - 10]) / np.abs(np.diff(y[t - 10 : t + 1])).sum()
        assert value[t] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert (np.abs(value[10:]) <= 1).all()
    assert np.isnan(value[:10]).all()


def test_straight_ways_are_one_and_going_nowhere_is_zero():
    assert efficiency_ratio(*one_fund(LINE)).efficiency_ratio[-1, 0] == pytest.approx(1.0)
    assert efficiency_ratio(*one_fund(-LINE)).efficiency_ratio[-1, 0] == pytest.approx(-1.0)
    zigzag = np.tile([0.01, -0.01], 150)
    assert efficiency_ratio(*one_fund(zigzag)).efficiency_ratio[-1, 0] == pytest.approx(0.0, abs=1e-12)


def test_a_random_walk_is_as_efficient_as_its_length_lets_it():
    growth = np.random.default_rng(1).normal(0, 0.01, (127, 3000))
    spanned = np.ones(growth.shape, dtype=np.int64)
    ratio = np.abs(efficiency_ratio(np.expm1(growth), spanned).efficiency_ratio[-1])
    # E|sum| / E sum|.| of 126 normal changes.
    assert ratio.mean() == pytest.approx(1 / np.sqrt(126), rel=0.06)


# --- divergence ------------------------------------------------------------------------------------------------------


def wiggly(slopes, lengths, seed=0, noise=0.002):
    """Growth in legs of constant drift, with noise that adds up to nothing worth mentioning."""
    drift = np.concatenate([np.full(n, slope) for slope, n in zip(slopes, lengths, strict=True)])
    return drift + noise * np.tile([1.0, -1.0], len(drift))[: len(drift)]


def test_fading_at_the_high_is_bearish_and_rising_at_the_low_bullish():
    bearish = divergence(*one_fund(wiggly([0.002, 0.0004], [237, 63])))
    assert bearish.position[-1, 0] > 0.95
    assert bearish.divergence[-1, 0] < -0.5
    bullish = divergence(*one_fund(wiggly([-0.002, -0.0004], [237, 63])))
    assert bullish.position[-1, 0] < 0.05
    assert bullish.divergence[-1, 0] > 0.5


def test_momentum_that_confirms_the_price_is_no_divergence():
    up = divergence(*one_fund(wiggly([0.0004, 0.002], [237, 63])))
    assert up.momentum_change[-1, 0] > 0.5
    assert up.divergence[-1, 0] == pytest.approx(0.0, abs=0.05)
    down = divergence(*one_fund(wiggly([-0.0004, -0.002], [237, 63])))
    assert down.momentum_change[-1, 0] < -0.5
    assert down.divergence[-1, 0] == pytest.approx(0.0, abs=0.05)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000))
def test_divergence_follows_its_definition(seed):
    growth = np.random.default_rng(seed).normal(0.0003, 0.01, 140)
    y = np.concatenate([[0.0], np.cumsum(growth)])
    panel = divergence(*one_fund(growth), window=60, span=20)
    for t in (60, 101, 140):
        seen = y[t - 60 : t + 1]
        position = (y[t] - seen.min()) / (seen.max() - seen.min())
        change = (y[t] - 2 * y[t - 20] + y[t - 40]) / np.sqrt(40 * np.diff(seen).var(ddof=1))
        assert panel.position[t, 0] == pytest.approx(position, rel=1e-9, abs=1e-9)
        assert panel.momentum_change[t, 0] == pytest.approx(change, rel=1e-9, abs=1e-9)
        expected = change * ((1 - position) if change > 0 else position)
        assert panel.divergence[t, 0] == pytest.approx(expected, rel=1e-8, abs=1e-9)


def test_the_change_of_momentum_of_a_random_walk_has_variance_one():
    growth = np.random.default_rng(2).normal(0.0005, 0.01, (253, 4000))
    panel = divergence(np.expm1(growth), np.ones(growth.shape, dtype=np.int64))
    assert panel.momentum_change[-1].std() == pytest.approx(1.0, abs=0.04)
    assert panel.momentum_change[-1].mean() == pytest.approx(0.0, abs=0.06)


def test_mirrored_prices_mirror_the_divergence():
    growth = np.random.default_rng(3).normal(0.0003, 0.01, 300)
    one, other = divergence(*one_fund(growth)), divergence(*one_fund(-growth))
    np.testing.assert_allclose(one.divergence, -other.divergence, rtol=1e-8, atol=1e-10)


# --- both ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", [efficiency_ratio, divergence])
def test_without_a_value_there_is_a_reason(signal):
    growth = np.random.default_rng(4).normal(0, 0.01, 700)
    growth[:260] = 0.0
    returns, spanned = one_fund(growth)
    returns[400] = np.nan
    window = 126 if signal is efficiency_ratio else 252
    panel = signal(*dead_after(returns, spanned, 690))
    names = np.array(PATH_REASONS)[panel.reason[:, 0]]
    assert (names[:window] == "short_history").all()
    assert (names[window:260] == "no_movement").all()
    assert (names[265:400] == "").all()
    assert (names[400 : 400 + window] == "unknown_return").all()
    assert (names[400 + window : 696] == "").all()
    assert (names[696:] == "no_recent_bar").all()
    value = getattr(panel, signal.__name__)
    assert (np.isfinite(value) == (panel.reason == 0)).all()


@pytest.mark.parametrize("seed", range(2))
def test_cutting_changes_nothing_earlier(seed):
    _, returns, spanned = market_returns(seed)

    def stage(r, s):
        parts = (arrays(efficiency_ratio(r, s, window=60)), arrays(divergence(r, s, window=60, span=20)))
        return {f"{n} {name}": value for n, part in enumerate(parts) for name, value in part.items()}

    assert_causal(stage, (returns, spanned), (*CUTS, 60, 61))


def test_impossible_windows():
    with pytest.raises(ValueError, match="must hold"):
        divergence(*one_fund(LINE), window=100, span=63)
    with pytest.raises(ValueError, match="at least 2"):
        efficiency_ratio(*one_fund(LINE), window=1)
    with pytest.raises(ValueError, match="differ in shape"):
        efficiency_ratio(np.zeros((3, 2)), np.ones((3, 1), dtype=np.int64))
    with pytest.raises(ValueError, match="0 or more"):
        efficiency_ratio(*one_fund(LINE), max_stale_sessions=-1)
