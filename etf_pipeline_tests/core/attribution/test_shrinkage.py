"""Shrinkage of loadings: its moments, its limits, and that it helps where histories are short."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.attribution.factor_regression import factor_regression
from etf_pipeline.core.attribution.shrinkage import moment_prior, moment_prior_reference, shrunk_loadings
from etf_pipeline_tests.core.random_market import assert_causal


@pytest.mark.parametrize("seed", range(6))
def test_the_prior_equals_the_reference(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 60))
    noise = rng.uniform(0.01, 0.6, n) ** 2
    b = rng.normal(1.0, rng.choice([0.0, 0.3, 1.0]), n) + np.sqrt(noise) * rng.standard_t(3, n)
    np.testing.assert_allclose(moment_prior(b, noise), moment_prior_reference(b, noise), rtol=1e-8)


def test_the_prior_is_the_spread_of_the_true_values_not_of_their_estimates():
    rng = np.random.default_rng(1)
    noise = rng.uniform(0.1, 0.5, 40_000) ** 2
    mean, variance, _ = moment_prior(
        1.0 + 0.2 * rng.normal(size=40_000) + np.sqrt(noise) * rng.normal(size=40_000), noise
    )
    assert mean == pytest.approx(1.0, abs=0.02)
    assert variance == pytest.approx(0.04, rel=0.05)
    b = rng.normal(0.5, np.sqrt(noise))
    assert moment_prior(b, noise)[1] < 0.004  # nothing but error


def test_a_geared_fund_does_not_widen_its_group():
    rng = np.random.default_rng(2)
    b, noise = rng.normal(1.0, 0.1, 30), np.full(30, 0.01**2)
    clean = moment_prior(b, noise)
    b[0] = 3.0
    spoiled = moment_prior(b, noise)
    assert abs(spoiled[0] - clean[0]) < 0.03
    assert np.sqrt(spoiled[1]) < 1.5 * np.sqrt(clean[1])
    assert np.std(b) > 3 * np.sqrt(clean[1])


def simulated(seed, history, funds=60, sigma=0.012):
    """True loadings (N, K) of two groups, and their robust estimates from ``history`` sessions."""
    rng = np.random.default_rng(seed)
    group = np.arange(funds) % 2
    centre = np.array([[1.0, 0.1, 0.2], [0.6, 0.8, -0.3]])
    true = centre[group] + rng.normal(0, [0.15, 0.25, 0.2], (funds, 3))
    f = rng.normal(0, [0.01, 0.005, 0.005], (history, 3))
    y = f @ true.T + sigma * rng.normal(size=(history, funds))
    fit = factor_regression(
        y, np.ones(y.shape, dtype=int), f, np.array([history - 1]), window=None, min_observations=20, lags=0
    )
    return true, group, fit


def test_short_histories_are_known_better_and_the_intervals_cover():
    own, shrunk, covered = [], [], []
    for seed in range(30):
        true, group, fit = simulated(seed, history=63)
        found = shrunk_loadings(fit.loading, fit.standard_error, group)
        own.append((fit.loading[0] - true) ** 2)
        shrunk.append((found.loading[0] - true) ** 2)
        covered.append(np.abs(found.loading[0] - true) < 1.96 * found.standard_deviation[0])
    assert np.mean(shrunk) < 0.6 * np.mean(own)
    assert (np.mean(shrunk, axis=(0, 1)) < np.mean(own, axis=(0, 1))).all()  # each factor
    assert 0.90 < np.mean(covered) < 0.98


def test_with_two_years_of_a_usual_fund_the_posterior_hardly_moves():
    true, group, fit = simulated(3, history=504, sigma=0.004)
    found = shrunk_loadings(fit.loading, fit.standard_error, group)
    assert np.median(found.own_weight) > 0.95
    assert np.abs(found.loading - fit.loading).max() < 0.5 * fit.standard_error.max()
    assert np.mean((found.loading[0] - true) ** 2) <= 1.02 * np.mean((fit.loading[0] - true) ** 2)


def test_hand_computed_given_the_prior():
    rng = np.random.default_rng(4)
    b, s = rng.normal(1, 0.3, (1, 12, 1)), rng.uniform(0.05, 0.4, (1, 12, 1))
    s[0, 3] = 0.0
    found = shrunk_loadings(b, s, np.zeros(12, int))
    mean, variance, doubt = moment_prior(b[0, :, 0], s[0, :, 0] ** 2)
    weight = variance / (variance + s[0, :, 0] ** 2)
    weight[3] = 1.0
    np.testing.assert_allclose(found.own_weight[0, :, 0], weight)
    np.testing.assert_allclose(found.loading[0, :, 0], weight * b[0, :, 0] + (1 - weight) * mean)
    np.testing.assert_allclose(
        found.standard_deviation[0, :, 0] ** 2,
        weight * s[0, :, 0] ** 2 + (1 - weight) ** 2 * doubt,
        atol=1e-17,
    )
    assert found.loading[0, 3, 0] == b[0, 3, 0]
    np.testing.assert_allclose(found.prior_mean, mean)
    np.testing.assert_allclose(found.prior_sd, np.sqrt(variance))


def test_unknown_and_small_groups_are_drawn_to_all_funds_and_wanted_ones_get_the_prior():
    b = np.r_[np.full(6, 1.0), np.full(6, 2.0), 0.0, 0.1, 3.0][None, :, None] + np.zeros((1, 15, 2))
    b += np.random.default_rng(0).normal(0, 0.01, b.shape)
    s = np.full(b.shape, 50.0)
    b[0, 14] = np.nan
    group = np.r_[np.zeros(6, int), np.ones(6, int), 2, -1, 0]
    found = shrunk_loadings(b, s, group)
    np.testing.assert_array_equal(found.prior_group[0, :, 0], [0] * 6 + [1] * 6 + [-1, -1, -2])
    np.testing.assert_allclose(found.loading[0, :6], 1.0, atol=0.02)
    np.testing.assert_allclose(found.loading[0, 12:14], np.tile(b[0, :14].mean(axis=0), (2, 1)), atol=0.01)
    assert np.isnan(found.loading[0, 14]).all()
    wanted = np.arange(15)[None] == 14
    served = shrunk_loadings(b, s, group, wanted=wanted)
    np.testing.assert_allclose(served.loading[0, 14], served.prior_mean[0, 0])
    assert (served.own_weight[0, 14] == 0).all()
    few = shrunk_loadings(b[:, :4], s[:, :4], group[:4])
    assert np.isnan(few.loading).all()


def test_a_session_stands_alone():
    rng = np.random.default_rng(5)
    b, s = rng.normal(1, 0.4, (20, 15, 3)), rng.uniform(0.05, 0.4, (20, 15, 3))
    b[rng.random(b.shape) < 0.2] = np.nan

    def stage(b, s):
        found = shrunk_loadings(b, s, np.arange(15) % 2)
        return {"loading": found.loading, "deviation": found.standard_deviation}

    assert_causal(stage, (b, s), (1, 7, 13))


def test_what_cannot_be_meant_is_refused():
    b = np.ones((1, 6, 1))
    with pytest.raises(ValueError, match="belong together"):
        shrunk_loadings(b, b[:, :5], np.zeros(6, int))
    with pytest.raises(ValueError, match="min_funds"):
        shrunk_loadings(b, b, np.zeros(6, int), min_funds=2)
    with pytest.raises(ValueError, match="wanted"):
        shrunk_loadings(b, b, np.zeros(6, int), wanted=np.ones(6, bool))
