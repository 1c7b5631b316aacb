"""Ridge from accumulated moments: scikit-learn's numbers, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from etf_pipeline.core.signals.forecast.ridge import gram_blocks, linear_forecast, ridge_from_gram


def sample(seed: int = 0, rows: int = 400, features: int = 6):
    rng = np.random.default_rng(seed)
    x = rng.normal(0.3, 1, (rows, features))
    y = x @ rng.normal(0, 1, features) + 2.0 + rng.normal(0, 1, rows)
    return x, y, rng.uniform(0.2, 2, rows)


@pytest.mark.parametrize("penalty", [0.0, 0.01, 1.0, 50.0])
def test_agrees_with_scikit_learn(penalty):
    x, y, w = sample()
    gram = gram_blocks(x, y, w, np.array([0, 100, 130, 400])).sum(axis=0)
    intercept, slopes = ridge_from_gram(gram, penalty)
    theirs = Ridge(alpha=penalty * w.sum()).fit(x, y, sample_weight=w)
    np.testing.assert_allclose(slopes, theirs.coef_, rtol=1e-9)
    assert intercept == pytest.approx(theirs.intercept_, rel=1e-9)


def test_rows_without_an_outcome_are_left_out():
    x, y, w = sample()
    y[::3] = np.nan
    keep = np.isfinite(y)
    all_rows = gram_blocks(x, y, w, np.array([0, 400]))[0]
    np.testing.assert_allclose(all_rows, gram_blocks(x[keep], y[keep], w[keep], np.array([0, keep.sum()]))[0])


def test_an_empty_sample_forecasts_zero():
    intercept, slopes = ridge_from_gram(np.zeros((5, 5)), 1.0)
    assert intercept == 0.0
    assert not slopes.any()


def test_a_forecast_does_not_depend_on_the_rows_beside_it():
    x, _, _ = sample(rows=1003, features=31)
    slopes = np.random.default_rng(1).normal(size=31)
    whole = linear_forecast(x, 0.1, slopes)
    np.testing.assert_allclose(whole, x @ slopes + 0.1)
    for cut in (1, 2, 7, 500, 1002):
        assert linear_forecast(x[:cut].copy(), 0.1, slopes).tobytes() == whole[:cut].tobytes()
