"""Familywise error: Holm against statsmodels, the step-down against its definition and its promise."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from etf_pipeline.core.validation.familywise_error import holm, step_down


@pytest.mark.parametrize("count", [1, 2, 17, 300])
def test_holm_agrees_with_statsmodels(count: int) -> None:
    rng = np.random.default_rng(count)
    p = rng.random(count) * rng.choice([1.0, 1e-3], count)
    p[::5] = np.round(p[::5], 1)
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-12)


def test_what_was_not_tested_does_not_count() -> None:
    p = np.array([0.01, np.nan, 0.04])
    np.testing.assert_allclose(holm(p), [0.02, np.nan, 0.04])
    draws = np.random.default_rng(0).standard_normal((500, 3))
    statistic = np.array([2.0, np.nan, 1.0])
    found = step_down(statistic, draws)
    np.testing.assert_array_equal(found[[0, 2]], step_down(statistic[[0, 2]], draws[:, [0, 2]]))
    assert np.isnan(found[1])
    assert np.isnan(step_down(np.full(2, np.nan), draws[:, :2])).all()
    assert len(holm(np.array([]))) == 0


@pytest.mark.parametrize("size", [0.02, 0.05, 0.3])
def test_step_down_is_stepwise_rejection(size: float) -> None:
    """Romano and Wolf's StepM: reject what exceeds the quantile of the largest of those left, until nothing does."""
    rng = np.random.default_rng(1)
    draws = rng.standard_normal((1999, 12)) @ rng.standard_normal((12, 12)) / 3
    statistic = np.linspace(-1, 6, 12)[rng.permutation(12)]
    left = np.ones(12, dtype=bool)
    while left.any():
        largest = draws[:, left].max(axis=1)
        beats = left & np.array([(largest > s).mean() <= size for s in statistic])
        if not beats.any():
            break
        left &= ~beats
    np.testing.assert_array_equal(step_down(statistic, draws) <= size, ~left)
    assert 0 < left.sum() < 12


def test_no_finding_is_surer_than_a_larger_one() -> None:
    """The second would be sure by itself, but the first, which is larger, must be believed before it."""
    draws = np.random.default_rng(3).standard_normal((5000, 2)) * [5.0, 0.1]
    first, second = step_down(np.array([2.0, 1.99]), draws)
    assert first == second == pytest.approx(0.345, abs=0.02)


def test_step_down_is_bounded_by_holm_where_independent_and_better_where_not() -> None:
    rng = np.random.default_rng(2)
    common = rng.standard_normal((20_000, 1))
    draws = 0.95 * common + np.sqrt(1 - 0.95**2) * rng.standard_normal((20_000, 30))
    statistic = np.full(30, 2.5)
    single = (draws > 2.5).mean(axis=0)
    assert step_down(statistic, draws).max() < 0.3 * holm(single).max()


@pytest.mark.parametrize("wrong", [-0.1, 1.1])
def test_what_is_no_probability_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm(np.array([0.5, wrong]))
