"""The stationary bootstrap against its own written-out resamples, against arch, and against what it should estimate."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import optimal_block_length as arch_block_length

from etf_pipeline.core.parallel import set_workers
from etf_pipeline.core.validation.stationary_bootstrap import (
    long_run_variance,
    optimal_block_length,
    resample_indices,
    resampled_means,
)


def autoregression(seed: int, count: int, phi: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(count)
    for t in range(1, count):
        x[t] += phi * x[t - 1]
    return x


@pytest.mark.parametrize("block", [1.0, 3.5, 20.0, 400.0])
def test_means_are_those_of_the_written_out_resamples(block: float) -> None:
    x = np.random.default_rng(1).normal((0.0, 5.0, -1e6), 1.0, (97, 3))
    means = resampled_means(x, block, 200, seed=4)
    for b in range(200):
        expected = x[resample_indices(97, block, b, seed=4)].mean(axis=0)
        np.testing.assert_allclose(means[b], expected, rtol=1e-12, atol=1e-12)


def test_replicates_depend_on_seed_and_number_alone() -> None:
    x = np.random.default_rng(2).standard_normal((3000, 2))
    many, few = resampled_means(x, 1.0, 1000, 9), resampled_means(x, 1.0, 40, 9)
    assert few.tobytes() == many[:40].tobytes()
    try:
        set_workers(1)
        alone = resampled_means(x, 1.0, 1000, 9)
    finally:
        set_workers(0)
    assert alone.tobytes() == many.tobytes()
    assert not np.array_equal(few, resampled_means(x, 1.0, 40, 10))


def test_blocks_are_geometric_and_begin_anywhere() -> None:
    count, block = 500, 8.0
    resamples = np.array([resample_indices(count, block, b, seed=0) for b in range(400)])
    breaks = (np.diff(resamples, axis=1) % count != 1).mean()
    # A new block begins with probability 1 / b, and then follows on by chance once in ``count``.
    assert breaks == pytest.approx((1 - 1 / count) / block, abs=4 * np.sqrt(0.11 / resamples.size))
    drawn = np.bincount(resamples.ravel(), minlength=count)
    assert abs(drawn / drawn.mean() - 1).max() < 0.5
    assert np.array_equal(np.unique(resample_indices(50, 1e9, 0, 0)), np.arange(50))


@pytest.mark.parametrize("phi", [-0.4, 0.0, 0.6])
def test_long_run_variance_is_that_of_the_resampled_means(phi: float) -> None:
    x = autoregression(3, 240, phi)[:, None]
    simulated = resampled_means(x, 6.0, 40_000, seed=1)[:, 0].var() * 240
    assert long_run_variance(x, 6.0)[0] == pytest.approx(simulated, rel=0.04)


def test_long_run_variance_of_blocks_of_one_is_the_variance() -> None:
    x = np.random.default_rng(5).standard_normal((80, 4))
    np.testing.assert_allclose(long_run_variance(x, 1.0), x.var(axis=0), rtol=1e-12)


@pytest.mark.parametrize("count", [12, 30, 100, 777])
@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.5, 0.9])
def test_block_length_is_that_of_arch(count: int, phi: float) -> None:
    x = autoregression(count, count, phi)
    theirs = arch_block_length(x)["stationary"].iloc[0]
    assert optimal_block_length(x) == pytest.approx(max(1.0, theirs), rel=1e-9)


def test_degenerate_series_are_resampled_one_by_one() -> None:
    assert optimal_block_length(np.zeros(50)) == 1.0
    assert optimal_block_length(np.arange(5.0)) == 1.0


def test_refusals() -> None:
    with pytest.raises(ValueError, match="finite"):
        resampled_means(np.array([[1.0], [np.nan]]), 2.0, 10, 0)
    with pytest.raises(ValueError, match="block length"):
        resampled_means(np.ones((4, 1)), 0.5, 10, 0)
