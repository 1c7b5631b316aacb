"""Effective trials: known numbers of ideas, duplicates, gaps, and the fast silhouettes against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from sklearn.metrics import silhouette_score

from etf_pipeline.core.parallel import set_workers
from etf_pipeline.core.validation.effective_trials import (
    _cut,
    _silhouettes,
    effective_trials,
    participation_number,
    trial_correlation,
)
from etf_pipeline.core.validation.sharpe_ratio import sharpe_ratio


def families(seed: int, ideas: int, each: int, noise: float = 0.5, count: int = 1000) -> np.ndarray:
    """Returns (T, ideas * each): each idea with so many variations."""
    rng = np.random.default_rng(seed)
    idea = np.repeat(rng.standard_normal((count, ideas)), each, axis=1)
    return 0.01 * (idea + noise * rng.standard_normal(idea.shape))


@pytest.mark.parametrize(("ideas", "each"), [(1, 30), (2, 2), (5, 10), (40, 3), (60, 1)])
def test_variations_of_an_idea_count_once(ideas: int, each: int) -> None:
    order = np.random.default_rng(1).permutation(ideas * each)
    found = effective_trials(families(0, ideas, each)[:, order])
    assert found.number == ideas
    truth = np.repeat(np.arange(ideas), each)[order]
    for cluster in range(ideas):
        assert len(np.unique(truth[found.cluster == cluster])) == 1
    first = [np.flatnonzero(found.cluster == c)[0] for c in range(ideas)]
    assert first == sorted(first)


def test_ideas_among_single_trials() -> None:
    r = np.hstack([families(2, 5, 10), families(3, 20, 1)])
    assert effective_trials(r).number == 25


def test_duplicates_count_once_whatever_their_leverage() -> None:
    r = families(4, 12, 1)
    copies = np.hstack([r, 3.0 * r, r[:, :4] + 0.001])
    alone, many = effective_trials(r), effective_trials(copies)
    assert alone.number == many.number == 12
    assert many.participation == pytest.approx(alone.participation, rel=1e-9)
    np.testing.assert_array_equal(many.cluster, np.r_[0:12, 0:12, 0:4])
    np.testing.assert_allclose(many.sharpe[4:], sharpe_ratio(r)[4:], rtol=1e-9)


def test_one_common_factor_is_one_trial_or_a_few() -> None:
    """Equal correlation throughout: one cluster above the bound, all apart below, the participation number says more."""
    rng = np.random.default_rng(5)
    common = rng.standard_normal((2000, 1))
    tight = effective_trials(common + 0.4 * rng.standard_normal((2000, 40)))
    assert tight.number == 1
    assert np.isnan(tight.sharpe_variance)
    loose = effective_trials(common + 1.2 * rng.standard_normal((2000, 40)))
    assert loose.number == 40
    rho = 1 / (1 + 1.2**2)
    assert loose.participation == pytest.approx(40 / (1 + 39 * rho**2), rel=0.1)


def test_independent_trials_are_not_fewer_for_their_noise() -> None:
    r = np.random.default_rng(6).standard_normal((250, 200))
    found = effective_trials(r)
    assert found.number == 200
    assert found.participation == pytest.approx(200, rel=0.02)
    plain = np.corrcoef(r.T)
    assert 200**2 / (plain**2).sum() < 120


def test_participation_is_that_of_the_eigenvalues() -> None:
    """With so long an overlap that noise takes nothing off."""
    r = families(7, 4, 5)
    correlation, _ = trial_correlation(r)
    eigenvalue = np.linalg.eigvalsh(correlation)
    expected = eigenvalue.sum() ** 2 / (eigenvalue**2).sum()
    assert participation_number(correlation, np.full((20, 20), 1e12)) == pytest.approx(expected, rel=1e-9)


def test_correlation_over_what_both_have_is_that_of_pandas() -> None:
    r = families(8, 6, 50, count=400)
    rng = np.random.default_rng(8)
    r[rng.random(r.shape) < 0.1] = np.nan
    r[:200, 3] = np.nan
    r[190:, 7] = np.nan
    r[:, 9] = 0.01
    correlation, overlap = trial_correlation(r, min_overlap=50)
    expected = pd.DataFrame(r).corr(min_periods=50).fillna(0.0).to_numpy(copy=True)
    np.fill_diagonal(expected, 1.0)
    np.testing.assert_allclose(correlation, expected, atol=1e-10)
    there = np.isfinite(r).astype(float)
    np.testing.assert_array_equal(overlap, there.T @ there)
    assert correlation[3, 7] == 0.0
    whole = families(8, 6, 50, count=400)
    np.testing.assert_allclose(trial_correlation(whole)[0], np.corrcoef(whole.T), atol=1e-12)


def test_trials_of_different_dates() -> None:
    r = families(9, 3, 6)
    r[:400, ::2] = np.nan
    r[800:, 1::2] = np.nan
    assert effective_trials(r).number == 3
    apart = np.full((600, 2), np.nan)
    apart[:300, 0] = apart[300:, 1] = r[400:700, 1]
    assert effective_trials(apart).number == 2  # nothing in common, nothing known to be the same


@pytest.mark.parametrize("seed", range(4))
def test_silhouettes_are_those_of_scikit_learn(seed: int) -> None:
    r = families(seed, 6, 5, noise=1.0, count=150)
    distance = np.sqrt(0.5 * (1 - np.corrcoef(r.T)))
    np.fill_diagonal(distance, 0.0)
    tree = hierarchy.linkage(squareform(distance, checks=False), method="average")
    found = np.full(31, np.nan)
    _silhouettes(distance, tree[:, :2].astype(np.int64), found)
    for number in range(2, 30):
        label = _cut(tree, 30, number)
        np.testing.assert_array_equal(np.unique(label), np.arange(number))
        expected = silhouette_score(distance, label, metric="precomputed")
        assert found[number] == pytest.approx(expected, abs=1e-12)
    assert found[30] == 0.0


def test_variance_between_clusters() -> None:
    r = families(10, 3, 4)
    r += np.repeat([0.0, 0.002, 0.004], 4)
    found = effective_trials(r)
    expected = [sharpe_ratio((r / r.std(axis=0))[:, 4 * c : 4 * c + 4].mean(axis=1))[0] for c in range(3)]
    np.testing.assert_allclose(found.sharpe, expected, rtol=1e-12)
    assert found.sharpe_variance == pytest.approx(np.var(expected, ddof=1))


def test_order_of_trials_and_workers_do_not_matter() -> None:
    r = families(11, 70, 5, count=300)
    found = effective_trials(r)
    order = np.random.default_rng(0).permutation(350)
    other = effective_trials(r[:, order])
    assert other.number == found.number == 70
    assert other.sharpe_variance == pytest.approx(found.sharpe_variance, rel=1e-9)
    try:
        set_workers(1)
        alone = effective_trials(r)
    finally:
        set_workers(0)
    assert alone.sharpe.tobytes() == found.sharpe.tobytes()
    assert (alone.participation, alone.silhouette) == (found.participation, found.silhouette)


def test_one_and_two() -> None:
    r = families(12, 2, 1)
    one = effective_trials(r[:, :1])
    assert (one.number, one.participation, one.cluster.tolist()) == (1, 1.0, [0])
    assert effective_trials(r).number == 2
    assert effective_trials(np.hstack([r[:, :1]] * 2)).number == 1
    still = effective_trials(np.column_stack([r[:, 0], np.zeros(1000)]))
    assert still.number == 2
    assert np.isnan(still.sharpe[1])
    assert np.isnan(still.sharpe_variance)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="K at least 1"):
        effective_trials(np.empty((10, 0)))
    with pytest.raises(ValueError, match="between 0 and 1"):
        effective_trials(np.ones((10, 2)), min_correlation=1.0)
