"""The mean of the others: against its definition, and what must not reach it."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.risk.beta import rolling_beta
from etf_pipeline.core.risk.class_benchmark import class_return, class_return_reference
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.risk.beta_fixtures import inputs


def market(seed):
    y, spanned, _, _ = inputs(seed)
    rng = np.random.default_rng(seed)
    member = np.cumsum(rng.random(y.shape) < 0.01, axis=0) % 2 == 0
    return y, spanned, member


CLASSES = np.array([0, 1, 0, 1, -1, 0, 1, 0, 1, 2, -1, 0])


@pytest.mark.parametrize("min_funds", [1, 2, 3])
def test_equals_its_definition(min_funds):
    y, spanned, member = market(31)
    ours = class_return(y, spanned, member, CLASSES, min_funds=min_funds)
    expected = class_return_reference(y, spanned, member, CLASSES, min_funds)
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-16)
    assert (~np.isnan(ours)).sum() > 500


def test_hand_computed():
    y = np.array([[0.0] * 5, [0.01, 0.02, 0.03, 0.08, 0.50]])
    spanned, member = np.ones((2, 5), int), np.ones((2, 5), bool)
    found = class_return(y, spanned, member, np.array([0, 0, 0, 0, 1]))
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1, :4], [0.13 / 3, 0.12 / 3, 0.11 / 3, 0.06 / 3], rtol=1e-14)
    assert np.isnan(found[1, 4])  # alone in its class
    member[0, 3] = False  # joins at this session's close, too late to count
    found = class_return(y, spanned, member, np.array([0, 0, 0, 0, 1]))
    np.testing.assert_allclose(found[1, 3], 0.02, rtol=1e-14)  # yet has a benchmark itself
    assert np.isnan(found[1, :3]).all()


def test_returns_over_several_sessions_do_not_count():
    y = np.full((2, 5), 0.01)
    y[1, 0] = 9.0
    spanned, member = np.ones((2, 5), int), np.ones((2, 5), bool)
    spanned[1, 0] = 3
    np.testing.assert_allclose(class_return(y, spanned, member, np.zeros(5, int))[1], 0.01, rtol=1e-14)


@pytest.mark.parametrize("own", [1e12, -0.99, np.nan])
def test_the_own_return_does_not_reach_the_own_benchmark(own):
    y, spanned, member = market(32)
    before = class_return(y, spanned, member, CLASSES)
    y[200:, 5] = own
    after = class_return(y, spanned, member, CLASSES)
    np.testing.assert_array_equal(after[:, 5], before[:, 5])
    np.testing.assert_array_equal(after[:, CLASSES != 0], before[:, CLASSES != 0])


def test_an_unknown_class_has_no_benchmark():
    y, spanned, member = market(33)
    found = class_return(y, spanned, member, CLASSES, min_funds=1)
    assert np.isnan(found[:, CLASSES == -1]).all()
    assert np.isnan(found[:, CLASSES == 2]).all()


def test_no_look_ahead():
    assert_causal(
        lambda *panels: {"benchmark": class_return(*panels, CLASSES)}, market(34), (1, 2, 100, 250, 419)
    )


def test_a_fund_like_its_class_has_beta_one_to_it():
    rng = np.random.default_rng(35)
    common = rng.normal(0, 0.01, (400, 1))
    y = common + rng.normal(0, 0.002, (400, 40))
    spanned = np.ones(y.shape, int)
    benchmark = class_return(y, spanned, spanned > 0, np.zeros(40, int))
    beta = rolling_beta(y, spanned, benchmark, (~np.isnan(benchmark)).astype(int)).beta[-1]
    np.testing.assert_allclose(beta, 1.0, atol=0.05)


def test_impossible_minimum_and_empty_panels():
    nothing = class_return(np.zeros((0, 3)), np.zeros((0, 3), int), np.zeros((0, 3), bool), np.zeros(3, int))
    assert nothing.shape == (0, 3)
    with pytest.raises(ValueError, match="min_funds"):
        class_return(
            np.zeros((1, 3)), np.zeros((1, 3), int), np.zeros((1, 3), bool), np.zeros(3, int), min_funds=0
        )
