"""Rank correlations across funds against scipy, and what happens to ties, holes and small groups."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from etf_pipeline.core import parallel
from etf_pipeline.core.validation.information_coefficient import fund_groups, rank_correlation

CLASSES = np.array([1, 0, 1, -1, 0, 1, 1, 0, -1, 1, 0, 1, 0, 1, 2])
NAMES = np.array(["bonds", "equity", "gold"], dtype=object)


def two_panels(seed=0, sessions=40):
    """Two panels with ties and holes, related to each other."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 9, (sessions, len(CLASSES))).astype(float)
    second = np.round(0.3 * first + rng.normal(0, 1, first.shape), 1)
    first[rng.random(first.shape) < 0.1] = np.nan
    second[rng.random(first.shape) < 0.1] = np.inf
    return first, second


def test_scipy_agrees_in_every_group():
    groups = fund_groups(CLASSES, NAMES)
    first, second = two_panels()
    correlation, funds = rank_correlation(groups.arrange(first), groups.arrange(second), groups.bounds)
    assert groups.names.tolist() == ["all", "bonds", "equity", "gold"]
    members = [np.ones(len(CLASSES), dtype=bool), *(index == CLASSES for index in range(3))]
    for g, t in np.ndindex(correlation.shape):
        both = members[g] & np.isfinite(first[t]) & np.isfinite(second[t])
        assert funds[g, t] == both.sum()
        if both.sum() < 5:
            assert np.isnan(correlation[g, t])
        else:
            expected = stats.spearmanr(first[t, both], second[t, both]).statistic
            assert correlation[g, t] == pytest.approx(expected, abs=1e-12)


def test_only_order_counts():
    groups = fund_groups(CLASSES, NAMES)
    first, second = (groups.arrange(panel) for panel in two_panels(1))
    plain = rank_correlation(first, second, groups.bounds)[0]
    bent = rank_correlation(np.exp(first / 3), second**3, groups.bounds)[0]
    np.testing.assert_allclose(bent, plain, atol=1e-12)
    np.testing.assert_allclose(rank_correlation(-first, second, groups.bounds)[0], -plain, atol=1e-12)


def test_no_difference_between_funds_is_no_coefficient():
    bounds = np.array([[0, 6]])
    same, rising = np.ones((1, 6)), np.arange(6.0)[None]
    assert np.isnan(rank_correlation(same, rising, bounds)[0]).all()
    assert np.isnan(rank_correlation(rising, same, bounds)[0]).all()
    assert rank_correlation(rising, rising, bounds)[0][0, 0] == 1.0


def test_sessions_stand_alone_whatever_the_workers():
    groups = fund_groups(CLASSES, NAMES)
    first, second = (groups.arrange(panel) for panel in two_panels(2, 300))
    try:
        parallel.set_workers(1)
        whole = rank_correlation(first, second, groups.bounds)[0]
        parallel.set_workers(4)
        assert rank_correlation(first, second, groups.bounds)[0].tobytes() == whole.tobytes()
        part = rank_correlation(first[:77], second[:77], groups.bounds)[0]
        assert part.tobytes() == np.ascontiguousarray(whole[:, :77]).tobytes()
    finally:
        parallel.set_workers(0)


def test_without_classes_there_is_one_group():
    groups = fund_groups(np.full(4, -1), np.array([], dtype=object))
    assert groups.names.tolist() == ["all"]
    assert groups.bounds.tolist() == [[0, 4]]


@pytest.mark.parametrize("second", [np.zeros((3, 5)), np.zeros((2, 6))])
def test_other_shapes_are_refused(second):
    with pytest.raises(ValueError, match="must agree"):
        rank_correlation(np.zeros((3, 6)), second, np.array([[0, 6]]))
