"""StepM against arch for the same resamples, against Hansen's test, and what it promises."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap
from arch.bootstrap import StepM as ArchStepM

from etf_pipeline.core.validation.step_m import step_m, step_m_from_means
from etf_pipeline.core.validation.superior_predictive_ability import superior_predictive_ability


def gains(seed: int, count: int, candidates: int, better: int = 0, by: float = 0.4) -> np.ndarray:
    """Gains that follow MA(1) with coefficient 0.2, the first ones better than nothing."""
    noise = np.random.default_rng(seed).standard_normal((count + 1, candidates))
    gain = noise[1:] + 0.2 * noise[:-1]
    gain[:, :better] += by
    return gain


@pytest.mark.parametrize("seed", range(12))
def test_the_candidates_are_those_of_arch_for_the_same_resamples(seed: int) -> None:
    """Several steps in some of the seeds: some candidates are named only once others are out."""
    gain = gains(seed, 150, 15) + np.linspace(-0.6, 0.45, 15)
    theirs = ArchStepM(np.zeros(150), -gain, size=0.1, block_size=5, reps=500, seed=seed)
    theirs.compute()
    resamples = StationaryBootstrap(5, gain, seed=seed).bootstrap(500)
    means = np.array([positional[0].mean(axis=0) for positional, _ in resamples])
    ours = step_m_from_means(gain, means, 5, size=0.1, studentised=False)
    assert np.flatnonzero(ours.superior).tolist() == sorted(theirs.superior_models)
    assert 0 < ours.superior.sum() < 15


def test_the_best_has_the_p_value_of_hansens_test() -> None:
    for studentised in (True, False):
        gain = gains(1, 200, 8, better=1, by=0.15)
        ours = step_m(gain, replications=3000, studentised=studentised, seed=5)
        hansen = superior_predictive_ability(gain, replications=3000, studentised=studentised, seed=5)
        assert np.nanmin(ours.p_value) == hansen.consistent
        assert ours.statistic[hansen.best] == pytest.approx(hansen.statistic)
        assert ours.p_value[hansen.best] == hansen.consistent


def test_good_candidates_do_not_hide_the_next_one() -> None:
    """A single step compares all with the largest of all; without the sure ones the bound is lower."""
    gain = gains(2, 300, 20, better=19, by=0.6)
    gain[:, 19] += 0.165
    result = step_m(gain, replications=4000, studentised=False)
    alone = step_m(gain[:, 19], replications=4000, studentised=False, block_length=result.block_length)
    assert result.superior[:19].all()
    assert result.p_value[19] == pytest.approx(alone.p_value[0], abs=1e-12)
    one_step = superior_predictive_ability(
        gain - gain.mean(axis=0) + np.r_[np.zeros(19), gain[:, 19].mean()],
        replications=4000,
        studentised=False,
        block_length=result.block_length,
    )
    assert result.p_value[19] < 0.5 * one_step.upper


def test_larger_sizes_name_more() -> None:
    gain = gains(3, 150, 12) + np.linspace(-0.2, 0.3, 12)
    named = [step_m(gain, size=size, replications=1000).superior for size in (0.01, 0.1, 0.4, 0.9)]
    for less, more in pairwise(named):
        assert not (less & ~more).any()
    assert named[-1].sum() > named[0].sum()


def test_familywise_error_and_power() -> None:
    """Any worthless one of ten named, at a nominal 10 %.

    Measured over 1,000 seeds, 120 / 480 observations: 21.3 % / 14.0 % with ten worthless ones, 16.9 % / 13.2 % with five,
    when 95 % / 100 % of the other five, better by 0.4, are named.
    """
    wrong, right = [], []
    for seed in range(250):
        result = step_m(gains(seed, 480, 10, better=5), size=0.1, replications=300, seed=seed)
        wrong.append(result.superior[5:].any())
        right.append(result.superior[:5].mean())
    assert 0.07 <= np.mean(wrong) <= 0.19
    assert np.mean(right) > 0.98


def test_what_does_not_vary_is_not_tested() -> None:
    gain = np.column_stack([np.full(60, 0.5), gains(4, 60, 1, 1, by=1.0)])
    result = step_m(gain, replications=500)
    assert np.isnan(result.p_value[0])
    assert result.superior.tolist() == [False, True]
    assert not step_m(np.zeros((20, 2)), replications=10).superior.any()


def test_refusals() -> None:
    with pytest.raises(ValueError, match="3 finite"):
        step_m(np.array([[1.0], [np.nan], [2.0]]))
    with pytest.raises(ValueError, match="between 0 and 1"):
        step_m(gains(0, 20, 2), size=1.0)
