"""Hamilton's (1989) model of American output: published values, statsmodels, and the sum over all paths."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from statsmodels.tsa.regime_switching.markov_autoregression import MarkovAutoregression

from etf_pipeline.core.risk.regime_autoregression import (
    fit_switching_autoregression,
    switching_autoregression_filter,
)
from etf_pipeline.core.risk.regime_fit import ergodic_share

# Growth of American real output in percent a quarter, 1951Q2 to 1984Q4.
OUTPUT_GROWTH = np.array(
    [
        2.59316421,
        2.20217133,
        0.45827562,
        0.96874380,
        -0.24130757,
        0.89647478,
        2.05393219,
        1.73353648,
        0.93871289,
        -0.46477833,
        -0.80983406,
        -1.39763689,
        -0.39886093,
        1.19184160,
        1.45620048,
        2.11808228,
        1.08957863,
        1.32390273,
        0.87296367,
        -0.19773273,
        0.45420215,
        0.07221876,
        1.10303640,
        0.82097489,
        -0.05795795,
        0.58447772,
        -1.56192672,
        -2.05041027,
        0.53637183,
        2.33676839,
        2.34014559,
        1.23392630,
        1.88696480,
        -0.45920792,
        0.84940469,
        1.70139849,
        -0.28756312,
        0.09594627,
        -0.86080289,
        1.03447127,
        1.23685944,
        1.42004502,
        2.22410631,
        1.30210173,
        1.03517699,
        0.92534250,
        -0.16559951,
        1.34443820,
        1.37500131,
        1.73222184,
        0.71605635,
        2.21032143,
        0.85333031,
        1.00238776,
        0.42725441,
        2.14368343,
        1.43789184,
        1.57959926,
        2.27469826,
        1.95962656,
        0.25992399,
        1.01946914,
        0.49016398,
        0.56363380,
        0.59595460,
        1.43082857,
        0.56230122,
        1.15388393,
        1.68722844,
        0.77438205,
        -0.09647045,
        1.39600146,
        0.13646798,
        0.55223715,
        -0.39944872,
        -0.61671102,
        -0.08722561,
        1.21018350,
        -0.90729755,
        2.64916158,
        -0.00806940,
        0.51111895,
        -0.00401437,
        2.16821432,
        1.92586732,
        1.03504717,
        1.85897219,
        2.32004929,
        0.25570789,
        -0.09855274,
        0.89073682,
        -0.55896485,
        0.28350255,
        -1.31155407,
        -0.88278776,
        -1.97454941,
        1.01275265,
        1.68264723,
        1.38271284,
        1.86073637,
        0.44473770,
        0.41449001,
        0.99202275,
        1.36283576,
        1.59970522,
        1.98845816,
        -0.25684232,
        0.87786949,
        3.10956550,
        0.85324478,
        1.23337317,
        0.00314302,
        -0.09433369,
        0.89883322,
        -0.19036628,
        0.99772376,
        -2.39120054,
        0.06649673,
        1.26136017,
        1.91637838,
        -0.33480290,
        0.44207108,
        -1.40664911,
        -1.52129889,
        0.29919869,
        -0.80197448,
        0.15204792,
        0.98585027,
        2.13034606,
        1.34397924,
        1.61550522,
        2.70930099,
        1.24461412,
        0.50835466,
        0.14802167,
    ]
)

# Estimates of this model by EViews; Hamilton's own agree with them to the third digit.
MEAN = np.array([-0.358811, 1.163516])
VARIANCE = np.exp(-0.262658) ** 2
AUTOREGRESSION = np.array([0.013486, -0.057521, -0.246983, -0.212923])
TRANSITION = np.array([[0.754673, 1 - 0.754673], [0.095915, 1 - 0.095915]])
LOG_LIKELIHOOD = -181.26339


def test_published_likelihood():
    assert len(OUTPUT_GROWTH) == 135
    probability, value = switching_autoregression_filter(
        OUTPUT_GROWTH, MEAN, VARIANCE, AUTOREGRESSION, TRANSITION
    )
    assert value == pytest.approx(LOG_LIKELIHOOD, abs=5e-6)
    assert np.isnan(probability[:4]).all()
    np.testing.assert_allclose(probability[4:].sum(axis=1), 1.0, rtol=1e-12)


def test_published_filtered_probabilities_of_expansion():
    probability, _ = switching_autoregression_filter(
        OUTPUT_GROWTH, MEAN, VARIANCE, AUTOREGRESSION, TRANSITION
    )
    first = [0.776712, 0.949192, 0.996320, 0.990258, 0.940111, 0.537442, 0.140001, 0.008942, 0.048480]
    last = [0.549009, 0.991715, 0.987892, 0.995377, 0.999833, 0.993756, 0.956164, 0.927714]
    np.testing.assert_allclose(probability[4:13, 1], first, atol=1e-5)
    np.testing.assert_allclose(probability[-8:, 1], last, atol=1e-5)


def test_published_estimates():
    fit = fit_switching_autoregression(OUTPUT_GROWTH, 4)
    assert fit.log_likelihood == pytest.approx(LOG_LIKELIHOOD, abs=1e-5)
    np.testing.assert_allclose(fit.mean, MEAN, atol=2e-4)
    np.testing.assert_allclose(fit.autoregression, AUTOREGRESSION, atol=2e-4)
    np.testing.assert_allclose(fit.transition, TRANSITION, atol=2e-4)
    assert fit.variance == pytest.approx(VARIANCE, abs=2e-4)
    # Hamilton (1989), table I, to its digits.
    np.testing.assert_allclose(fit.mean, [-0.3577, 1.522 - 0.3577], atol=2e-3)
    np.testing.assert_allclose(np.diag(fit.transition), [0.7550, 0.9049], atol=1e-3)
    np.testing.assert_allclose(fit.autoregression, [0.014, -0.058, -0.247, -0.213], atol=1e-3)
    assert np.sqrt(fit.variance) == pytest.approx(0.7690, abs=1e-3)


@pytest.mark.parametrize(("order", "states"), [(1, 2), (2, 2), (2, 3)])
def test_equals_statsmodels(order, states):
    mean = np.array([-0.8, 0.9, 1.8])[:states]
    autoregression = np.array([0.3, -0.2])[:order]
    transition = np.full((states, states), 0.08) + np.diag(np.array([0.76, 0.84, 0.76])[:states])
    transition /= transition.sum(axis=1, keepdims=True)
    model = MarkovAutoregression(OUTPUT_GROWTH, k_regimes=states, order=order, switching_ar=False)
    theirs = model.filter(np.concatenate([transition[:, :-1].T.ravel(), mean, [0.7], autoregression]))
    probability, value = switching_autoregression_filter(OUTPUT_GROWTH, mean, 0.7, autoregression, transition)
    assert value == pytest.approx(theirs.llf, rel=1e-10)
    np.testing.assert_allclose(probability[order:], theirs.filtered_marginal_probabilities, atol=1e-10)


def test_equals_the_sum_over_all_paths():
    y = np.array([0.5, -1.0, 2.0, 0.3, 1.1, -0.4])
    mean, variance, lags = np.array([-0.5, 1.0]), 0.6, np.array([0.4, -0.1])
    transition = np.array([[0.8, 0.2], [0.1, 0.9]])
    likelihood, in_second = 0.0, 0.0
    for path in itertools.product((0, 1), repeat=len(y)):
        weight = ergodic_share(transition)[path[0]]
        for a, b in itertools.pairwise(path):
            weight *= transition[a, b]
        off = y - mean[list(path)]
        for t in range(2, len(y)):
            error = off[t] - lags[0] * off[t - 1] - lags[1] * off[t - 2]
            weight *= np.exp(-0.5 * error**2 / variance) / np.sqrt(2 * np.pi * variance)
        likelihood += weight
        in_second += weight * path[-1]
    probability, value = switching_autoregression_filter(y, mean, variance, lags, transition)
    assert value == pytest.approx(np.log(likelihood), rel=1e-12)
    assert probability[-1, 1] == pytest.approx(in_second / likelihood, rel=1e-12)


def test_cutting_the_series_changes_nothing_earlier():
    arguments = MEAN, VARIANCE, AUTOREGRESSION, TRANSITION
    whole, _ = switching_autoregression_filter(OUTPUT_GROWTH, *arguments)
    for cut in (5, 60, 134):
        part, _ = switching_autoregression_filter(OUTPUT_GROWTH[:cut], *arguments)
        assert part.tobytes() == whole[:cut].tobytes()


def test_units_do_not_matter():
    one = fit_switching_autoregression(OUTPUT_GROWTH, 1)
    other = fit_switching_autoregression(10 + 0.01 * OUTPUT_GROWTH, 1)
    np.testing.assert_allclose(other.mean, 10 + 0.01 * one.mean, rtol=1e-6)
    np.testing.assert_allclose(other.autoregression, one.autoregression, atol=1e-4)
    assert other.log_likelihood == pytest.approx(one.log_likelihood + 134 * np.log(100), rel=1e-8)


def test_impossible_arguments():
    y, arguments = OUTPUT_GROWTH, (MEAN, VARIANCE, AUTOREGRESSION, TRANSITION)
    with pytest.raises(ValueError, match="no NaN"):
        switching_autoregression_filter(np.array([1.0, np.nan, 2.0, 1.0, 0.0, 1.0]), *arguments)
    with pytest.raises(ValueError, match="lags"):
        switching_autoregression_filter(y[:4], *arguments)
    with pytest.raises(ValueError, match="variance must be positive"):
        switching_autoregression_filter(y, MEAN, 0.0, AUTOREGRESSION, TRANSITION)
    with pytest.raises(ValueError, match="too few"):
        fit_switching_autoregression(y[:10], 4)
    with pytest.raises(ValueError, match="constant"):
        fit_switching_autoregression(np.ones(40), 2)
    with pytest.raises(ValueError, match="lags"):
        fit_switching_autoregression(y, 0)
