"""Rolling beta against least squares."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from etf_pipeline.core.risk.beta import ols_reference, rolling_beta
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.risk.beta_fixtures import consecutive, inputs


@pytest.mark.parametrize(("window", "need"), [(252, 126), (63, 40), (10, 3)])
def test_equals_least_squares_in_every_window(window, need):
    y, spanned, x, x_spanned = inputs(4, sessions=700, funds=5)
    panel = rolling_beta(y, spanned, x, x_spanned, window=window, min_observations=need, max_stale_sessions=0)
    compared = 0
    for t in range(len(y)):
        rows = slice(max(0, t - window + 1), t + 1)
        for j in range(5):
            use = (spanned[rows, j] == 1) & (x_spanned[rows] == 1)
            use &= ~np.isnan(y[rows, j]) & ~np.isnan(x[rows])
            assert panel.observations[t, j] == use.sum()
            if use.sum() < need or spanned[t, j] == 0:
                assert np.isnan(panel.beta[t, j])
                continue
            slope, alpha, correlation, error = ols_reference(y[rows, j][use], x[rows][use])
            ours = [panel.beta[t, j], panel.alpha[t, j], panel.correlation[t, j], panel.standard_error[t, j]]
            np.testing.assert_allclose(
                ours, [slope, alpha, correlation, error], rtol=1e-10, atol=1e-10 if j else 1e-7
            )
            compared += 1
    assert compared > 1000


def test_the_reference_equals_scipy():
    rng = np.random.default_rng(1)
    x = rng.normal(size=100)
    y = 0.7 * x + rng.normal(size=100)
    theirs = stats.linregress(x, y)
    np.testing.assert_allclose(
        ols_reference(y, x), [theirs.slope, theirs.intercept, theirs.rvalue, theirs.stderr], rtol=1e-12
    )


def test_the_benchmark_has_beta_one_with_itself():
    y, spanned, x, x_spanned = inputs(5)
    panel = rolling_beta(y, spanned, x, x_spanned)
    assert (panel.beta[126:, 0] == 1.0).all()
    np.testing.assert_allclose(panel.correlation[126:, 0], 1.0, rtol=1e-12)
    assert (panel.standard_error[126:, 0] < 1e-8).all()


def test_a_leveraged_and_an_inverse_copy():
    x = np.random.default_rng(6).normal(0, 0.01, 400)
    y = np.column_stack([2.5 * x + 0.001, -x])
    panel = rolling_beta(y, consecutive(y), x, consecutive(x))
    np.testing.assert_allclose(panel.beta[-1], [2.5, -1.0], rtol=1e-12)
    np.testing.assert_allclose(panel.alpha[-1], [0.001, 0.0], atol=1e-15)
    np.testing.assert_allclose(panel.correlation[-1], [1.0, -1.0], rtol=1e-12)


def test_a_huge_return_leaves_no_trace_once_it_has_left_the_window():
    rng = np.random.default_rng(7)
    x = rng.normal(0, 0.01, 800)
    y = (0.8 * x + rng.normal(0, 0.002, 800))[:, None]
    clean = rolling_beta(y, consecutive(y), x, consecutive(x))
    y[300, 0] = 1e9
    dirty = rolling_beta(y, consecutive(y), x, consecutive(x))
    np.testing.assert_allclose(dirty.beta[552:], clean.beta[552:], rtol=1e-12)
    assert abs(dirty.beta[551, 0]) > 1e6


def test_a_fund_that_does_not_move_has_beta_zero_and_no_correlation():
    x = np.random.default_rng(8).normal(0, 0.01, 300)
    y = np.zeros((300, 1))
    panel = rolling_beta(y, consecutive(y), x, consecutive(x))
    assert panel.beta[-1, 0] == 0.0
    assert panel.standard_error[-1, 0] == 0.0
    assert np.isnan(panel.correlation[-1, 0])


@pytest.mark.parametrize("level", [0.0, 0.01, 1 / 3])
def test_a_benchmark_that_does_not_move_gives_nothing(level):
    y = np.random.default_rng(8).normal(0, 0.01, (300, 1))
    panel = rolling_beta(y, consecutive(y), np.full(300, level), np.ones(300, int))
    assert np.isnan(panel.beta).all()
    assert panel.observations[-1, 0] == 252


def test_only_one_session_returns_with_a_partner_enter():
    x = np.random.default_rng(9).normal(0, 0.01, 200)
    y = 1.5 * x[:, None]
    spanned, x_spanned = consecutive(y), consecutive(x)
    y[50], spanned[50] = 5.0, 3  # a return over three sessions
    y[60] = np.nan  # unknown
    x[70], x_spanned[70] = -4.0, 2
    x[80] = np.nan
    panel = rolling_beta(y, spanned, x, x_spanned)
    assert panel.observations[-1, 0] == 196
    np.testing.assert_allclose(panel.beta[-1, 0], 1.5, rtol=1e-12)


def test_minimum_history_and_staleness():
    x = np.random.default_rng(9).normal(0, 0.01, 200)
    y = 1.5 * x[:, None]
    spanned = consecutive(y)
    spanned[150:] = 0
    y[150:] = np.nan
    panel = rolling_beta(y, spanned, x, consecutive(x))
    assert np.flatnonzero(~np.isnan(panel.beta[:, 0])).tolist() == list(range(125, 155))


def test_standard_error_covers_the_truth():
    rng = np.random.default_rng(12)
    x = rng.normal(0, 0.01, 252)
    y = 0.9 * x[:, None] + rng.normal(0, 0.01, (252, 2000))
    panel = rolling_beta(y, consecutive(y), x, consecutive(x))
    covered = np.abs(panel.beta[-1] - 0.9) < 1.96 * panel.standard_error[-1]
    assert 0.93 < covered.mean() < 0.97


@pytest.mark.parametrize("seed", range(3))
def test_cutting_changes_nothing_earlier(seed):
    def stage(*panels):
        return vars(rolling_beta(*panels, window=100, min_observations=30))

    assert_causal(stage, inputs(seed), (1, 99, 100, 101, 250, 300, 419))


def test_impossible_windows():
    y = np.zeros((4, 1))
    for options in ({"min_observations": 2}, {"window": 50, "min_observations": 51}):
        with pytest.raises(ValueError, match="must hold"):
            rolling_beta(y, consecutive(y), y[:, 0], consecutive(y[:, 0]), **options)
