"""Paired differences: values, coverage of the intervals, and resamples that are paired."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.validation.annual_performance import annual_return, annual_sharpe
from etf_pipeline.core.validation.paired_performance import paired_difference
from etf_pipeline.core.validation.stationary_bootstrap import optimal_block_length, resample_indices


def test_annual_values_by_hand() -> None:
    assert annual_return(np.array([0.1, np.nan, -0.05, 0.0]), 6.0)[0] == pytest.approx((1.1 * 0.95) ** 2 - 1)
    assert annual_return(np.array([0.1, -1.0]))[0] == -1.0
    assert np.isnan(annual_return(np.array([np.nan]))[0])
    assert annual_sharpe(np.array([0.01, 0.03]), 4.0)[0] == pytest.approx(2 * 0.02 / (0.01 * np.sqrt(2)))


def test_the_interval_is_that_of_resampled_histories_written_out() -> None:
    rng = np.random.default_rng(0)
    a, b = 0.01 * rng.standard_normal((2, 120))
    a[5] = b[9] = np.nan
    found = paired_difference(a, b, replications=200, seed=3)
    kept = np.isfinite(a) & np.isfinite(b)
    pair = np.column_stack([a, b])[kept]
    apart = pair[:, 0] - pair[:, 1]
    block = max(optimal_block_length(apart), optimal_block_length((apart - apart.mean()) ** 2))
    differences = []
    for k in range(200):
        again = pair[resample_indices(len(pair), block, k, 3)]
        differences.append([m[0] - m[1] for m in (annual_return(again), annual_sharpe(again))])
    assert found.sessions == 118
    np.testing.assert_allclose(
        found.difference, [m[0] - m[1] for m in (annual_return(pair), annual_sharpe(pair))]
    )
    np.testing.assert_allclose(found.lower, np.quantile(differences, 0.025, axis=0), rtol=1e-9)
    np.testing.assert_allclose(found.upper, np.quantile(differences, 0.975, axis=0), rtol=1e-9)


def test_intervals_cover_as_often_as_they_say() -> None:
    """300 pairs of a known difference of 5 % a year: 95 % intervals cover it in 91 to 98 %."""
    rng = np.random.default_rng(1)
    covered = []
    for seed in range(300):
        common = 0.0002 + 0.01 * rng.standard_t(6, 1000)
        # In logarithms, so that compound growth differs as the drift does on average.
        a = np.expm1(common + 0.05 / 252 + 0.004 * rng.standard_normal(1000))
        b = np.expm1(common + 0.004 * rng.standard_normal(1000))
        true = np.expm1(0.0002 * 252 + 0.05) - np.expm1(0.0002 * 252)
        found = paired_difference(a, b, replications=300, seed=seed)
        covered.append(found.lower[0] <= true <= found.upper[0])
    assert 0.91 <= np.mean(covered) <= 0.98


def test_degenerate_histories() -> None:
    a = 0.01 * np.random.default_rng(2).standard_normal(100)
    same = paired_difference(a, a)
    np.testing.assert_array_equal([same.lower, same.upper, same.difference], np.zeros((3, 2)))
    assert np.isnan(paired_difference(a[:20], a[:20]).difference).all()
    flat = paired_difference(a, np.zeros(100), replications=50)
    assert np.isfinite(flat.difference[0])
    assert np.isnan([flat.difference[1], flat.lower[1], flat.upper[1]]).all()
    with pytest.raises(ValueError, match="same sessions"):
        paired_difference(a, a[1:])
    with pytest.raises(ValueError, match="nothing to compound"):
        paired_difference(a, np.full(100, -1.0))
