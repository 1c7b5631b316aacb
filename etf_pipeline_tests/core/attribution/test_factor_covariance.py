"""Factor covariances: formulas, and nothing later than the session."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.covariance import LedoitWolf

from etf_pipeline.core.attribution.factor_covariance import factor_covariance


def returns(seed=0, sessions=600):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, [0.01, 0.004, 0.05], (sessions, 3)) @ (np.eye(3) + 0.3 * rng.normal(size=(3, 3)))
    x[rng.random(sessions) < 0.05] = np.nan
    return x


def test_sample_and_ewma_by_pandas():
    x = returns()
    window = pd.DataFrame(x[200:501]).dropna()
    np.testing.assert_allclose(
        factor_covariance(x, 500, method="sample", window=301), window.cov().to_numpy(), rtol=1e-12
    )
    weight = 0.5 ** (np.arange(len(window))[::-1] / 20)
    by_hand = (window.to_numpy() * weight[:, None]).T @ window.to_numpy() / weight.sum()
    np.testing.assert_allclose(
        factor_covariance(x, 500, method="ewma", window=301, half_life=20), by_hand, rtol=1e-12
    )


def test_shrinkage_pulls_correlations_and_leaves_variances():
    x = returns()[:200]
    known = x[~np.isnan(x).any(axis=1)]
    sample = factor_covariance(x, 199, method="sample")
    shrunk = factor_covariance(x, 199)
    np.testing.assert_allclose(np.diag(shrunk), np.diag(sample), rtol=1e-12)
    scaled = (known - known.mean(axis=0)) / np.sqrt(np.diag(sample))
    kept = 1 - LedoitWolf(assume_centered=True).fit(scaled).shrinkage_
    off = ~np.eye(3, dtype=bool)
    assert 0 < kept < 1
    # Correlations shrink by one factor, up to the divisors n and n - 1 inside.
    np.testing.assert_allclose(shrunk[off] / sample[off], kept, rtol=1e-2)
    assert np.ptp(shrunk[off] / sample[off]) < 1e-10
    assert np.linalg.eigvalsh(shrunk).min() > 0


@pytest.mark.parametrize("method", ["sample", "ewma", "ledoit_wolf"])
def test_nothing_later_enters(method):
    x = returns(1)
    before = factor_covariance(x, 400, method=method)
    x[401:] = 7.0
    np.testing.assert_array_equal(factor_covariance(x, 400, method=method), before)
    np.testing.assert_array_equal(factor_covariance(x[:401], 400, method=method), before)
    assert np.isnan(factor_covariance(x, 60, method=method)).all()
    np.testing.assert_array_equal(before, before.T)


def test_what_cannot_be_meant_is_refused():
    x = returns()
    with pytest.raises(ValueError, match="end"):
        factor_covariance(x, 600)
    with pytest.raises(ValueError, match="method"):
        factor_covariance(x, 500, method="oas")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="half_life"):
        factor_covariance(x, 500, method="ewma", half_life=0)
