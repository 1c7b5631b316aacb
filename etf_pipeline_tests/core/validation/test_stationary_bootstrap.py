"""The stationary bootstrap against its own written-out resamples, against arch, and against what it should estimate."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import optimal_block_length as arch_block_length

from etf_pipeline.core.parallel import set_workers
from etf_pipeline.core.validation.stationary_bootstrap import (
    block_law,
    draw_block,
    length_table,
    long_run_variance,
    next_block,
    optimal_block_length,
    resample_indices,
    resampled_means,
    resampled_t_values,
    stream,
)


def autoregression(seed: int, count: int, phi: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(count)
    for t in range(1, count):
        x[t] += phi * x[t - 1]
    return x


@pytest.mark.parametrize("circular", [False, True])
@pytest.mark.parametrize("block", [1.0, 3.5, 20.0, 400.0, 1e12])
def test_means_are_those_of_the_written_out_resamples(block: float, circular: bool) -> None:
    x = np.random.default_rng(1).normal((0.0, 5.0, -1e6), 1.0, (97, 3))
    means = resampled_means(x, block, 200, seed=4, circular=circular)
    four = resampled_means(np.column_stack([x, x[:, 0]]), block, 200, seed=4, circular=circular)
    assert four[:, :3].tobytes() == means.tobytes()
    for b in range(200):
        expected = x[resample_indices(97, block, b, seed=4, circular=circular)].mean(axis=0)
        np.testing.assert_allclose(means[b], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("block", [1.0, 4.0, 30.0])
def test_t_values_are_those_of_the_written_out_blocks(block: float) -> None:
    x = np.random.default_rng(1).normal((0.0, 5.0, -1e3), 1.0, (97, 3))
    found = resampled_t_values(x, block, 100, seed=4)
    for b in range(100):
        ends = np.cumsum([length for _, length in blocks(97, block, b, seed=4)])
        resample = x[resample_indices(97, block, b, seed=4)]
        parts = np.split(resample - resample.mean(axis=0), ends[:-1])
        error = np.sqrt(sum(part.sum(axis=0) ** 2 for part in parts)) / 97
        if len(parts) > 1:
            expected = (resample.mean(axis=0) - x.mean(axis=0)) / error
            np.testing.assert_allclose(found[b], expected, rtol=1e-8, atol=1e-9)
        else:
            assert not found[b].any()


def blocks(count: int, block: float, replicate: int, seed: int) -> list[tuple[int, int]]:
    """Beginning and length of the blocks of a replicate."""
    state, left, drawn = stream(np.uint64(seed), replicate), count, []
    while left > 0:
        state, start, length = draw_block(np.uint64(state), count, block_law(block, False), left)
        drawn.append((start, length))
        left -= length
    return drawn


def test_circular_blocks_are_all_of_one_length() -> None:
    for b in range(50):
        indices = resample_indices(100, 7.0, b, seed=1, circular=True)
        starts = np.arange(0, 100, 7)
        for start in starts:
            part = indices[start : start + 7]
            assert (np.diff(part) % 100 == 1).all()
    assert len(np.unique([resample_indices(100, 7.0, b, 1, circular=True)[0] for b in range(500)])) > 90


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


def test_block_lengths_as_arch_publishes_them() -> None:
    """The case of arch's own test: 10,000 observations of an autoregression."""
    y = np.random.RandomState(0).standard_normal(10_100)
    for t in range(1, len(y)):
        y[t] = 0.3 * y[t - 1] + y[t]
    assert optimal_block_length(y[100:]) == pytest.approx(13.635665, rel=1e-6)
    assert optimal_block_length(y[100:], circular=True) == pytest.approx(15.60894, rel=1e-6)


@pytest.mark.parametrize("phi", [-0.5, 0.5, 0.9])
def test_circular_block_length_is_that_of_arch(phi: float) -> None:
    x = autoregression(5, 400, phi)
    theirs = arch_block_length(x)["circular"].iloc[0]
    assert optimal_block_length(x, circular=True) == pytest.approx(max(1.0, theirs), rel=1e-9)


@pytest.mark.parametrize("block", [1.0, 1.3, 10.0, 77.7, 5000.0, 1e12])
def test_the_table_of_lengths_changes_no_length(block: float) -> None:
    law = block_law(block, False)
    table = length_table(law)
    state = other = stream(np.uint64(3), 1)
    for _ in range(20_000):
        state, *expected = draw_block(np.uint64(state), 4000, law, 4000)
        other, *found = next_block(np.uint64(other), 4000, law, table, 4000)
        assert found == expected
    assert (table > 0).mean() > (0.9 if block < 50 else -1)


def test_degenerate_series_are_resampled_one_by_one() -> None:
    assert optimal_block_length(np.zeros(50)) == 1.0
    assert optimal_block_length(np.arange(5.0)) == 1.0


def test_refusals() -> None:
    with pytest.raises(ValueError, match="finite"):
        resampled_means(np.array([[1.0], [np.nan]]), 2.0, 10, 0)
    with pytest.raises(ValueError, match="block length"):
        resampled_means(np.ones((4, 1)), 0.5, 10, 0)
    with pytest.raises(ValueError, match="finite"):
        resampled_t_values(np.array([[1.0], [np.nan]]), 2.0, 10, 0)
