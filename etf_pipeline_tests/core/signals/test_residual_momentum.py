"""Residual momentum: the regression spelled out, and what it must not see."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.signals import PATH_REASONS, residual_momentum
from etf_pipeline.core.signals.residual_momentum import residual_momentum_reference
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.signals.paths import arrays, dead_after, market_returns

SHORT = {"lookback": 60, "skip": 10, "estimation": 150, "min_observations": 80}


def simulated(seed=0, sessions=900, funds=6):
    rng = np.random.default_rng(seed)
    market = rng.normal(0.0003, 0.01, sessions)
    returns = market[:, None] * np.linspace(-1, 2, funds) + rng.normal(0, 0.008, (sessions, funds))
    return returns, np.ones(returns.shape, dtype=np.int64), market, np.ones(sessions, dtype=np.int64)


def test_equals_the_regression_spelled_out():
    returns, spanned, market, one = simulated()
    value = residual_momentum(returns, spanned, market, one).residual_momentum
    for t in (755, 800, 899):
        for j in range(6):
            expected = residual_momentum_reference(returns[:, j], market, t, 252, 21, 756)
            assert value[t, j] == pytest.approx(expected, rel=1e-8, abs=1e-9)


def test_equals_it_on_a_market_with_holes():
    _, returns, spanned = market_returns(3, hole=0.03)
    market, one = returns[:, 0], spanned[:, 0]
    panel = residual_momentum(returns, spanned, market, one, **SHORT)
    common = (spanned == 1) & (one == 1)[:, None]
    y, compared = np.where(common, returns, np.nan), 0
    for t in range(150, 420, 9):
        for j in range(1, 12):
            if panel.reason[t, j] == 0:
                expected = residual_momentum_reference(y[:, j], market, t, 60, 10, 150)
                assert panel.residual_momentum[t, j] == pytest.approx(expected, rel=1e-8, abs=1e-9)
                compared += 1
    assert compared > 100


def test_what_the_market_did_does_not_matter():
    returns, spanned, market, one = simulated()
    before = residual_momentum(returns, spanned, market, one).residual_momentum[899]
    after = residual_momentum(returns + 3.0 * market[:, None], spanned, market, one).residual_momentum[899]
    np.testing.assert_allclose(after, before, rtol=1e-8, atol=1e-9)


def test_a_fund_that_beat_its_beta_in_the_window_has_more_and_the_last_month_does_not_count():
    returns, spanned, market, one = simulated()
    plain = residual_momentum(returns, spanned, market, one).residual_momentum[899]
    better = returns.copy()
    better[899 - 251 : 899 - 20] += 0.001
    assert (residual_momentum(better, spanned, market, one).residual_momentum[899] > plain + 0.5).all()
    # The skipped month moves the model's alpha and nothing else, which lowers the sum a little.
    late = returns.copy()
    late[899 - 20 :] += 0.001
    change = residual_momentum(late, spanned, market, one).residual_momentum[899] - plain
    assert (np.abs(change) < 0.1).all()


def test_it_is_standard_normal_where_nothing_is_to_be_found():
    rng = np.random.default_rng(7)
    market = rng.normal(0, 0.01, 756)
    returns = 0.7 * market[:, None] + rng.normal(0, 0.01, (756, 4000))
    spanned, one = np.ones(returns.shape, dtype=np.int64), np.ones(756, dtype=np.int64)
    value = residual_momentum(returns, spanned, market, one).residual_momentum[755]
    assert value.mean() == pytest.approx(0, abs=0.05)
    # Less than one: the window is a part of the sample whose residuals sum to zero.
    assert value.std() == pytest.approx(np.sqrt(1 - 231 / 756), abs=0.03)


def test_the_benchmark_itself_and_a_multiple_of_it_have_nothing_left():
    returns, spanned, market, one = simulated()
    returns[:, 0], returns[:, 1] = market, 2.0 * market
    returns[:, 2] = 0.0
    panel = residual_momentum(returns, spanned, market, one)
    assert np.isnan(panel.residual_momentum[:, :3]).all()
    assert {PATH_REASONS[c] for c in panel.reason[755:, :3].ravel()} == {"no_movement"}


def test_a_young_fund_waits_for_the_model_to_stand():
    returns, spanned, market, one = simulated()
    panel = residual_momentum(returns, spanned, market, one)
    assert {PATH_REASONS[c] for c in panel.reason[253:503].ravel()} == {"too_few_sessions"}
    assert np.isfinite(panel.residual_momentum[503:]).all()


def test_it_ends_with_the_fund():
    returns, spanned, market, one = simulated()
    panel = residual_momentum(*dead_after(returns, spanned, 800), market, one)
    assert np.isfinite(panel.residual_momentum[800:806]).all()
    assert {PATH_REASONS[c] for c in panel.reason[806:].ravel()} == {"no_recent_bar"}


@pytest.mark.parametrize("seed", range(3))
def test_cutting_changes_nothing_earlier(seed):
    _, returns, spanned = market_returns(seed)

    def stage(r, s):
        return arrays(residual_momentum(r, s, r[:, 0], s[:, 0], **SHORT))

    assert_causal(stage, (returns, spanned), (1, 60, 61, 149, 150, 151, 301, 419))


@pytest.mark.parametrize("options", [{"estimation": 252}, {"min_observations": 200}, {"skip": 252}])
def test_impossible_windows(options):
    with pytest.raises(ValueError, match="must"):
        residual_momentum(*simulated(), **options)
