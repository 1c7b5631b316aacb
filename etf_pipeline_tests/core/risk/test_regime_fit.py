"""The Markov-switching model against statsmodels, known truth and its own definition."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

from etf_pipeline.core.risk.regime_fit import (
    VARIANCE_FLOOR,
    ergodic_share,
    fit_regimes,
    hamilton_filter,
)
from etf_pipeline_tests.core.risk.switching import MEAN, TRANSITION, VARIANCE, switching_returns


def statsmodels_model(returns, states):
    return MarkovRegression(returns, k_regimes=states, trend="c", switching_variance=True)


def statsmodels_parameters(mean, variance, transition):
    """Column by column of the left-stochastic matrix without its last row, then means, then variances."""
    return np.concatenate([transition[:, :-1].T.ravel(), mean, variance])


@pytest.mark.parametrize("states", [2, 3])
def test_likelihood_and_filter_equal_statsmodels(states):
    returns, _ = switching_returns(2, 1200, states)
    mean, variance, transition = 1.2 * MEAN[states], 0.8 * VARIANCE[states], TRANSITION[states]
    theirs = statsmodels_model(returns, states).filter(statsmodels_parameters(mean, variance, transition))
    probability, log_likelihood = hamilton_filter(returns, mean, variance, transition)
    assert log_likelihood == pytest.approx(theirs.llf, rel=1e-10)
    np.testing.assert_allclose(probability, theirs.filtered_marginal_probabilities, atol=1e-10)


@pytest.mark.parametrize(("states", "seed"), [(2, 3), (2, 4), (3, 3)])
def test_optimum_is_not_below_statsmodels(states, seed):
    length = 1500 if states == 2 else 500  # statsmodels' three states are slow
    returns, _ = switching_returns(seed, length, states)
    ours = fit_regimes(returns, states, min_occupation=0.0, min_duration_sessions=1.0)
    model = statsmodels_model(100 * returns, states)  # in percent, for its optimiser
    start = statsmodels_parameters(100 * ours.mean, 1e4 * ours.variance, np.maximum(ours.transition, 1e-6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = model.fit(disp=False, em_iter=10, maxiter=60)
        onward = model.fit(start, disp=False, em_iter=0, maxiter=10)
    in_percent = ours.log_likelihood - length * np.log(100)
    assert theirs.llf <= in_percent + 1e-6 * abs(in_percent)
    # From our optimum on there is nothing to gain.
    assert onward.llf == pytest.approx(in_percent, rel=1e-6)


@pytest.mark.parametrize("states", [2, 3])
def test_the_estimate_is_a_maximum(states):
    returns, _ = switching_returns(5, 2000, states)
    fit = fit_regimes(returns, states)
    assert hamilton_filter(returns, fit.mean, fit.variance, fit.transition)[1] == pytest.approx(
        fit.log_likelihood, rel=1e-12
    )
    for k in range(states):
        for factor in (0.9, 1.1):
            variance = fit.variance.copy()
            variance[k] *= factor
            mean = fit.mean.copy()
            mean[k] += (factor - 1) * np.sqrt(fit.variance[k])
            transition = fit.transition.copy()
            transition[k] *= factor
            transition[k, k] = 1 - np.delete(transition[k], k).sum()
            for change in ({"variance": variance}, {"mean": mean}, {"transition": transition}):
                other = replace(fit, **change)
                moved = hamilton_filter(returns, other.mean, other.variance, other.transition)[1]
                assert moved < fit.log_likelihood


@pytest.mark.parametrize("states", [2, 3])
def test_finds_the_parameters_that_made_the_returns(states):
    returns, _ = switching_returns(6, 20_000, states)
    fit = fit_regimes(returns, states)
    np.testing.assert_allclose(fit.variance, VARIANCE[states], rtol=0.08)
    np.testing.assert_allclose(fit.mean, MEAN[states], atol=4 * np.sqrt(VARIANCE[states][-1] / 3000))
    np.testing.assert_allclose(
        fit.expected_duration_sessions, 1 / (1 - np.diag(TRANSITION[states])), rtol=0.35
    )
    np.testing.assert_allclose(fit.ergodic_share, ergodic_share(TRANSITION[states]), atol=0.08)
    assert fit.occupation.sum() == pytest.approx(20_000, rel=1e-9)


def test_units_and_origin_do_not_matter():
    returns, _ = switching_returns(7, 1500, 3)
    one, other = fit_regimes(returns, 3), fit_regimes(5.0 + 100 * returns, 3)
    np.testing.assert_allclose(other.mean, 5.0 + 100 * one.mean, rtol=1e-5)
    np.testing.assert_allclose(other.variance, 1e4 * one.variance, rtol=1e-4)
    assert other.log_likelihood == pytest.approx(one.log_likelihood - 1500 * np.log(100), abs=1e-5)


@pytest.mark.parametrize("states", [2, 3])
def test_a_hole_predicts_and_learns_nothing(states):
    returns, _ = switching_returns(8, 300, states)
    returns[100:103] = np.nan
    parameters = MEAN[states], VARIANCE[states], TRANSITION[states]
    probability, value = hamilton_filter(returns, *parameters)
    for t in (100, 101, 102):
        np.testing.assert_allclose(probability[t], probability[t - 1] @ TRANSITION[states], rtol=1e-12)
    assert value == pytest.approx(
        hamilton_filter(returns[:100], *parameters)[1]
        + hamilton_filter(returns, *parameters)[1]
        - hamilton_filter(returns[:103], *parameters)[1],
        rel=1e-12,
    )


def test_a_filter_cut_anywhere_leaves_the_rows_before():
    returns, _ = switching_returns(9, 900, 3)
    returns[::37] = np.nan
    returns[500] = 3.0
    whole, _ = hamilton_filter(returns, MEAN[3], VARIANCE[3], TRANSITION[3])
    for cut in (1, 2, 500, 501, 502, 899):
        part, _ = hamilton_filter(returns[:cut], MEAN[3], VARIANCE[3], TRANSITION[3])
        assert part.tobytes() == whole[:cut].tobytes()


@pytest.mark.parametrize("states", [2, 3])
def test_the_last_optimum_leads_to_the_next(states):
    returns, _ = switching_returns(10, 2541, states)
    before = fit_regimes(returns[:-21], states)
    warm = fit_regimes(returns[21:], states, previous=before, fresh=False)
    cold = fit_regimes(returns[21:], states)
    assert warm.log_likelihood == pytest.approx(cold.log_likelihood, abs=1e-5)
    np.testing.assert_allclose(warm.variance, cold.variance, rtol=1e-3)


@pytest.mark.parametrize("states", [2, 3])
@pytest.mark.parametrize("returns", [np.zeros(600), np.full(600, 1 / 3), np.full(600, np.nan), np.zeros(0)])
def test_returns_that_do_not_differ_have_no_regimes(states, returns):
    fit = fit_regimes(returns, states)
    assert not fit.estimated
    assert np.isnan(fit.mean).all()
    assert np.isnan(fit.transition).all()
    assert np.isnan(fit.ergodic_share).all()
    assert np.isnan(fit.expected_duration_sessions).all()
    assert np.isnan(hamilton_filter(returns, fit.mean, fit.variance, fit.transition)[0]).all()


@pytest.mark.parametrize("jump", [0.3, -0.9, 15.0])
def test_no_state_sits_on_one_jump(jump):
    returns, _ = switching_returns(11, 1500, 2)
    returns[700] = jump
    assert fit_regimes(returns, 3, min_occupation=0.0, min_duration_sessions=1.0).occupation.min() < 3
    assert not fit_regimes(returns, 3).estimated
    two = fit_regimes(returns, 2)
    assert not two.estimated or two.occupation.min() >= 20


def test_no_state_lives_on_a_handful_of_returns():
    returns, _ = switching_returns(11, 1500, 2)
    returns[700:708] = 0.3 * np.array([1, -1, 1, 1, -1, 1, -1, -1])  # one stay of eight sessions
    assert 7 < fit_regimes(returns, 3, min_occupation=0.0).occupation.min() < 9
    fit = fit_regimes(returns, 3)
    assert not fit.estimated or fit.occupation.min() >= 20


@pytest.mark.parametrize("states", [2, 3])
def test_states_come_ordered_by_variance_from_whatever_start(states):
    returns, _ = switching_returns(16, 1500, states)
    fit = fit_regimes(returns, states)
    turned = replace(
        fit,
        mean=fit.mean[::-1],
        variance=1.3 * fit.variance[::-1],
        transition=fit.transition[::-1, ::-1],
        metric=np.eye(states * (states + 1)) * 1e-3,
    )
    again = fit_regimes(returns, states, previous=turned, fresh=False)
    np.testing.assert_allclose(again.variance, fit.variance, rtol=1e-3)
    np.testing.assert_allclose(again.transition, fit.transition, atol=1e-3)
    np.testing.assert_allclose(again.occupation, fit.occupation, rtol=1e-3)
    # The metric is turned with the states: the variance of a state's mean is about its variance over its returns.
    deviation = np.abs(returns - returns.mean()).mean()
    expected = again.variance / deviation**2 / again.occupation
    np.testing.assert_allclose(np.diag(again.metric)[:states], expected, rtol=0.7)


def test_no_state_is_left_at_once():
    # A quiet session now and then, at random: a mixture's component, not a regime.
    returns, _ = switching_returns(21, 2000, 2)
    quiet = np.random.default_rng(21).random(2000) < 0.1
    returns[quiet] *= 0.01
    free = fit_regimes(returns, 3, min_duration_sessions=1.0)
    assert free.expected_duration_sessions.min() < 2
    fit = fit_regimes(returns, 3)
    assert not fit.estimated or fit.expected_duration_sessions.min() >= 3


@pytest.mark.parametrize(("states", "bound"), [(2, 0.96), (3, 0.88)])
def test_the_filter_at_the_estimate_finds_the_true_state(states, bound):
    accuracy = []
    for seed in range(8):
        returns, truth = switching_returns(200 + seed, 2520, states)
        fit = fit_regimes(returns, states)
        probability, _ = hamilton_filter(returns, fit.mean, fit.variance, fit.transition)
        accuracy.append((probability.argmax(axis=1) == truth).mean())
    assert np.mean(accuracy) > bound


def test_a_run_of_equal_returns_stops_at_the_floor():
    returns, _ = switching_returns(12, 1200, 2)
    returns[400:500] = 0.001
    fit = fit_regimes(returns, 3)
    deviation = np.abs(returns - returns.mean()).mean()
    assert fit.estimated
    assert fit.variance[0] == pytest.approx(VARIANCE_FLOOR * deviation**2, rel=0.05)
    assert fit.mean[0] == pytest.approx(0.001, abs=0.01 * deviation)


@pytest.mark.parametrize("states", [2, 3])
def test_ergodic_share_is_left_alone_by_the_chain(states):
    rng = np.random.default_rng(13)
    for spread in (1.0, 0.05):
        for chain in rng.dirichlet(np.full(states, spread), (50, states)):
            transition = np.maximum(chain, 1e-12)
            share = ergodic_share(transition)
            assert share.sum() == pytest.approx(1.0, rel=1e-14)
            np.testing.assert_allclose(share @ transition, share, rtol=1e-9, atol=1e-9)


def test_expected_duration_of_a_stay():
    fit = fit_regimes(switching_returns(14, 1500, 2)[0], 2)
    fit = replace(fit, transition=np.array([[0.98, 0.02], [0.05, 0.95]]))
    np.testing.assert_allclose(fit.expected_duration_sessions, [50.0, 20.0], rtol=1e-14)
    np.testing.assert_allclose(fit.ergodic_share, [5 / 7, 2 / 7], rtol=1e-14)


def test_impossible_arguments():
    returns = switching_returns(15, 100, 2)[0]
    with pytest.raises(ValueError, match="2 or 3 states, not 4"):
        fit_regimes(returns, 4)
    with pytest.raises(ValueError, match="2 or 3 states, not 1"):
        hamilton_filter(returns, np.zeros(1), np.ones(1), np.ones((1, 1)))
    with pytest.raises(ValueError, match="variances must be positive"):
        hamilton_filter(returns, np.zeros(2), np.array([1.0, 0.0]), TRANSITION[2])
