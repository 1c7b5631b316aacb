"""Stacking weights: the constrained optimum, shrunk."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from etf_pipeline.core.signals.forecast.stacking import stacking_weights


@pytest.mark.parametrize("seed", range(12))
def test_is_the_optimum_of_the_quadratic_programme(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (200, 3)) @ rng.normal(0, 1, (3, 3))
    y = x @ rng.normal(0.2, 0.6, 3) + rng.normal(0, 1, 200)
    z = np.column_stack([x, y])
    weights = stacking_weights(z.T @ z, 0.3)
    a, b = x.T @ x, x.T @ y
    strength = 0.3 * np.trace(a) / 3

    def loss(w):
        return (w @ a @ w - 2 * b @ w + strength * ((w - 0.5 / 3) ** 2).sum()) / np.trace(a)

    bounded = [(0, None)] * 3
    theirs = minimize(
        loss, np.full(3, 0.1), bounds=bounded, constraints={"type": "ineq", "fun": lambda w: 1 - w.sum()},
        method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    np.testing.assert_allclose(weights, theirs.x, atol=2e-5)
    assert (weights >= 0).all()
    assert weights.sum() <= 1 + 1e-12


def test_without_a_past_the_weights_are_equal():
    np.testing.assert_allclose(stacking_weights(np.zeros((4, 4)), 1.0), 0.5 / 3)


def test_a_harmful_member_gets_nothing_and_shrinkage_pulls_to_equal_weights():
    gram = np.array([[1.0, 0.0, 0.9], [0.0, 1.0, -2.0], [0.9, -2.0, 9.0]])
    free = stacking_weights(gram, 1e-9)
    np.testing.assert_allclose(free, [0.9, 0.0], atol=1e-6)
    np.testing.assert_allclose(stacking_weights(gram, 1e9), 0.25, atol=1e-6)
