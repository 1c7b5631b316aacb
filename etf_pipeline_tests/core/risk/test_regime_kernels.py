"""The compiled recursions against the plain ones, and the gradient against differences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from etf_pipeline.core.risk import regime_fit
from etf_pipeline.core.risk.regime_fit import ergodic_share
from etf_pipeline.core.risk.regime_kernels import recursions_reference
from etf_pipeline_tests.core.risk.switching import MEAN, TRANSITION, VARIANCE, switching_returns


def sample_of(states, length=800, seed=1, hole=0.05):
    returns, _ = switching_returns(seed, length, states)
    returns[np.random.default_rng(seed).random(length) < hole] = np.nan
    sample = regime_fit._Sample(returns * 100, states)
    return sample, 100 * MEAN[states], 1e4 * VARIANCE[states], TRANSITION[states]


@pytest.mark.parametrize("states", [2, 3])
@pytest.mark.parametrize("hole", [0.0, 0.1])
def test_equal_the_plain_recursions(states, hole):
    sample, mean, variance, transition = sample_of(states, hole=hole)
    value = sample.filter(mean, variance, transition)
    sample.smooth()
    expected, filtered, smoothed, moves = recursions_reference(
        sample.x, mean, variance, transition, ergodic_share(transition)
    )
    assert value == pytest.approx(expected, rel=1e-12)
    ours = sample.alpha[:, :states] / sample.alpha.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ours, filtered, rtol=1e-9, atol=1e-14)
    seen = ~np.isnan(sample.x)
    x, weight = sample.x[seen], smoothed[seen]
    moments = np.column_stack([weight.sum(axis=0), x @ weight, (x * x) @ weight])
    np.testing.assert_allclose(sample.moments[:states], moments, rtol=1e-9)
    np.testing.assert_allclose(sample.moves[:states, :states], moves, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sample.first[:states], smoothed[0], rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("states", [2, 3])
def test_the_plain_recursions_equal_the_sum_over_all_paths(states):
    x = np.array([0.4, np.nan, -2.0, 0.1, 3.0])
    mean, variance, transition = np.arange(states) - 0.5, 1.0 + np.arange(states), TRANSITION[states]
    initial = ergodic_share(transition)
    likelihood, at_last, at_first = 0.0, np.zeros(states), np.zeros(states)
    for path in itertools.product(range(states), repeat=len(x)):
        weight = initial[path[0]]
        for a, b in itertools.pairwise(path):
            weight *= transition[a, b]
        for value, s in zip(x, path, strict=True):
            if not np.isnan(value):
                weight *= np.exp(-0.5 * (value - mean[s]) ** 2 / variance[s]) / np.sqrt(
                    2 * np.pi * variance[s]
                )
        likelihood += weight
        at_last[path[-1]] += weight
        at_first[path[0]] += weight
    value, filtered, smoothed, moves = recursions_reference(x, mean, variance, transition, initial)
    assert value == pytest.approx(np.log(likelihood), rel=1e-12)
    np.testing.assert_allclose(filtered[-1], at_last / likelihood, rtol=1e-12)
    np.testing.assert_allclose(smoothed[0], at_first / likelihood, rtol=1e-12)
    assert moves.sum() == pytest.approx(len(x) - 1, rel=1e-12)


@pytest.mark.parametrize("length", [3, 500])
@pytest.mark.parametrize("states", [2, 3])
def test_the_gradient_equals_differences(states, length):
    # Three rows: the ergodic distribution of the first weighs as much as the returns.
    sample, mean, variance, transition = sample_of(states, length=length, hole=0.0)
    theta = regime_fit._pack(mean + 0.1, 1.3 * variance, 0.9 * transition + 0.1 / states)
    sample.evaluate(theta)
    gradient, information = sample.slope()
    step = 1e-5 * np.eye(len(theta))
    differences = [(sample.log_likelihood(theta + h) - sample.log_likelihood(theta - h)) / 2e-5 for h in step]
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-6)
    assert (information > 0).all()


@pytest.mark.parametrize("states", [2, 3])
def test_no_return_is_too_large_and_no_sample_too_long(states):
    # 200 deviations under the widest state: its density is exp(-20000), far below the smallest number.
    _, mean, variance, transition = sample_of(states)
    x = np.tile(np.array([0.1, -0.2, 400.0, 0.3]), 3000)
    sample = regime_fit._Sample(x, states)
    value = sample.filter(mean, variance, transition)
    sample.smooth()
    assert np.isfinite(value)
    assert sample.moments[:, 0].sum() == pytest.approx(len(x), rel=1e-9)
    widest = -0.5 * (400.0 - mean[-1]) ** 2 / variance[-1] * 3000
    assert value == pytest.approx(widest, rel=1e-2)


def test_an_absent_third_state_is_never_entered():
    sample, mean, variance, transition = sample_of(2)
    sample.filter(mean, variance, transition)
    sample.smooth()
    assert (sample.alpha[:, 2] == 0).all()
    assert (sample.moments[2] == 0).all()
    assert (sample.moves[:, 2] == 0).all()
