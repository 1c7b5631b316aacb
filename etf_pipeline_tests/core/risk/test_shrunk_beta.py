"""Vasicek's shrinkage: the formula, its limits, and that it helps where it should."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.risk.shrunk_beta import shrunk_beta, shrunk_beta_reference
from etf_pipeline_tests.core.random_market import assert_causal


def estimates(seed, sessions=30, funds=24):
    rng = np.random.default_rng(seed)
    beta, error = rng.normal(1, 0.4, (sessions, funds)), rng.uniform(0.01, 0.5, (sessions, funds))
    beta[rng.random(beta.shape) < 0.2] = np.nan
    error[rng.random(beta.shape) < 0.05] = np.nan
    error[rng.random(beta.shape) < 0.05] = 0.0
    return beta, error, rng.integers(-1, 5, funds)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("min_funds", [2, 5])
def test_equals_the_formula(seed, min_funds):
    beta, error, classes = estimates(seed)
    panel = shrunk_beta(beta, error, classes, min_funds=min_funds)
    for t in range(len(beta)):
        expected = shrunk_beta_reference(beta[t], error[t], classes, min_funds)
        np.testing.assert_allclose(panel.beta[t], expected, rtol=1e-12)


def test_hand_computed():
    beta = np.array([[0.8, 0.9, 1.0, 1.1, 1.2]])  # mean 1, variance 0.025
    error = np.sqrt([[0.025, 0.0, 0.075, 1e12, 0.025]])
    panel = shrunk_beta(beta, error, np.zeros(5, int))
    np.testing.assert_allclose(panel.beta[0], [0.9, 0.9, 1.0, 1.0, 1.1], rtol=1e-10)
    np.testing.assert_allclose(panel.own_weight[0], [0.5, 1.0, 0.25, 0.0, 0.5], atol=1e-10)
    np.testing.assert_allclose(panel.standard_error[0, [0, 1]], [np.sqrt(0.0125), 0.0], rtol=1e-12)


def test_lies_between_the_own_estimate_and_the_class_mean():
    beta, error, _ = estimates(5)
    panel = shrunk_beta(beta, error, np.zeros(24, int))
    known = ~np.isnan(beta) & ~np.isnan(error)
    np.testing.assert_array_equal(~np.isnan(panel.beta), known)
    mean = np.where(known, beta, 0).sum(axis=1, keepdims=True) / known.sum(axis=1, keepdims=True)
    inside = (panel.beta - np.minimum(beta, mean) >= -1e-12) & (panel.beta - np.maximum(beta, mean) <= 1e-12)
    assert inside[known].all()
    assert (panel.standard_error[known] <= error[known]).all()


def test_a_small_class_is_drawn_to_all_funds():
    beta = np.array([[2.0, 2.2, 2.4, 2.6, 2.8, 3.0, 0.0, 0.2]])
    error = np.full((1, 8), 1e6)
    classes = np.array([0, 0, 0, 0, 0, 0, 1, -1])
    found = shrunk_beta(beta, error, classes).beta[0]
    np.testing.assert_allclose(found[:6], 2.5, rtol=1e-6)
    np.testing.assert_allclose(found[6:], beta.mean(), rtol=1e-6)


def test_a_market_too_small_gives_nothing_and_equal_betas_stay():
    one = np.ones((1, 4))
    assert np.isnan(shrunk_beta(one, one, np.zeros(4, int)).beta).all()
    five = np.ones((1, 5))
    panel = shrunk_beta(five, np.array([[0.0, 0.1, 0.2, 0.3, 0.4]]), np.zeros(5, int))
    np.testing.assert_array_equal(panel.beta, 1.0)


def test_is_nearer_the_truth_than_the_estimate():
    rng = np.random.default_rng(6)
    truth = rng.normal(1, 0.2, (200, 50))
    error = rng.uniform(0.05, 0.6, truth.shape)
    estimate = truth + error * rng.normal(size=truth.shape)
    shrunk = shrunk_beta(estimate, error, np.zeros(50, int)).beta
    assert np.mean((shrunk - truth) ** 2) < 0.6 * np.mean((estimate - truth) ** 2)


def test_no_look_ahead():
    beta, error, classes = estimates(7)
    assert_causal(lambda b, e: vars(shrunk_beta(b, e, classes)), (beta, error), (1, 7, 29))


def test_impossible_minimum_and_no_sessions():
    assert shrunk_beta(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(3, int)).beta.shape == (0, 3)
    with pytest.raises(ValueError, match="min_funds"):
        shrunk_beta(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(3, int), min_funds=1)
