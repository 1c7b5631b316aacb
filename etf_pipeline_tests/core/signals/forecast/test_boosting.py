"""The compiled boosting grows scikit-learn's trees."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from etf_pipeline.core.signals.forecast.boosting import BINS, boost, to_bins


def sample(seed: int, rows: int = 3000, features: int = 7):
    rng = np.random.default_rng(seed)
    binned = rng.integers(0, BINS, (rows, features)).astype(np.uint8)
    signal = np.where(binned[:, 0] > 20, 1.0, 0.0) * binned[:, 1] / BINS + 0.5 * np.sin(binned[:, 2] / 5)
    return binned, signal + rng.normal(0, 0.3, rows), rng.uniform(0.5, 1.5, rows)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("rounds", "leaves"), [(1, 2), (5, 4), (20, 8)])
def test_agrees_with_scikit_learn(seed, rounds, leaves):
    binned, y, w = sample(seed)
    ahead = sample(seed + 100)[0]
    ours = boost(binned, y, w, ahead, rounds, 0.2, leaves, 60)
    model = HistGradientBoostingRegressor(
        learning_rate=0.2, max_iter=rounds, max_leaf_nodes=leaves, min_samples_leaf=60, early_stopping=False
    )
    with threadpool_limits(1):
        theirs = model.fit(binned.astype(float), y, sample_weight=w).predict(ahead.astype(float))
    np.testing.assert_allclose(ours, theirs, atol=2e-5)  # theirs keeps residuals in single precision


def test_constant_features_give_the_weighted_mean():
    y, w = np.array([1.0, 3.0] * 50), np.array([1.0, 3.0] * 50)
    out = boost(np.zeros((100, 3), np.uint8), y, w, np.zeros((2, 3), np.uint8), 10, 0.1, 8, 5)
    np.testing.assert_allclose(out, 2.5)


def test_nothing_to_learn_from_forecasts_zero():
    none = np.zeros((0, 3), np.uint8)
    assert not boost(none, np.zeros(0), np.zeros(0), np.ones((4, 3), np.uint8), 5, 0.1, 8, 5).any()


def test_bins_are_equally_wide_and_closed_at_the_ends():
    values = np.array([[-9.0], [-1.0], [-0.9376], [0.0], [0.999], [1.0], [9.0]])
    assert to_bins(values, np.array([1.0]))[:, 0].tolist() == [0, 0, 0, 16, 31, 31, 31]
