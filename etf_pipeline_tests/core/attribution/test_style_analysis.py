"""Style analysis against a general optimiser, its choice of indices, and its errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import optimize
from statsmodels.api import OLS, add_constant

from etf_pipeline.core.attribution.style_analysis import bootstrap_style, style_analysis, style_at
from etf_pipeline.core.validation.stationary_bootstrap import resample_indices

TRUE = np.array([0.5, 0.3, 0.2, 0.0, 0.0])


def mixture(seed, periods=300, weights=TRUE, noise=0.002):
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 0.008, (periods, 1))
    x = 0.0003 + common * rng.uniform(0.3, 1.2, len(weights)) + rng.normal(0, 0.005, (periods, len(weights)))
    return x @ weights + noise * rng.normal(size=periods) + 1e-4, x


def by_slsqp(y, x):
    covariance, with_fund = np.cov(x.T, bias=True) * 1e4, np.cov(x.T, y, bias=True)[-1, :-1] * 1e4
    count = x.shape[1]
    found = optimize.minimize(
        lambda w: w @ covariance @ w - 2 * w @ with_fund,
        np.full(count, 1 / count),
        jac=lambda w: 2 * covariance @ w - 2 * with_fund,
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(count)},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    return found.x


@pytest.mark.parametrize("seed", range(8))
def test_equals_a_general_optimiser(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.01, (80, 8)) @ (np.eye(8) + 0.4 * rng.normal(size=(8, 8)))
    y = x @ rng.normal(0.1, 0.4, 8) + rng.normal(0, 0.01, 80)  # outside what long weights reach
    fit = style_analysis(y, x)
    theirs = by_slsqp(y, x)
    np.testing.assert_allclose(fit.weight, theirs, atol=2e-6)
    assert (y - x @ fit.weight).var() <= (y - x @ theirs).var() * (1 + 1e-9)
    assert fit.weight.sum() == pytest.approx(1, abs=1e-15)
    assert (fit.weight >= 0).all()


def test_a_known_mix_is_found_exactly():
    y, x = mixture(0, noise=0.0)
    fit = style_analysis(y, x, criterion="bic")
    np.testing.assert_allclose(fit.weight, TRUE, atol=1e-6)
    assert fit.r_squared == pytest.approx(1.0, abs=1e-9)
    assert fit.selection_return == pytest.approx(1e-4, rel=1e-6)


@pytest.mark.parametrize("criterion", ["aic", "bic"])
@pytest.mark.parametrize("most", [1, 2, 4])
def test_the_best_subset_is_the_best_of_all(criterion, most):
    y, x = mixture(1, periods=120, noise=0.004)
    fit = style_analysis(y, x, criterion=criterion, max_indices=most)
    price = 2.0 if criterion == "aic" else np.log(len(y))
    values = {}
    for size in range(1, most + 1):
        for subset in itertools.combinations(range(5), size):
            w = by_slsqp(y, x[:, subset]) if size > 1 else np.ones(1)
            used = int((w > 1e-7).sum())  # an index that gets nothing costs nothing
            values[subset] = len(y) * np.log((y - x[:, subset] @ w).var()) + price * used
    least = min(values.values())
    found = len(y) * np.log(fit.tracking_error**2) + price * fit.chosen.sum()
    assert found == pytest.approx(least, abs=1e-4)
    assert fit.chosen.sum() <= most


def test_errors_are_those_of_the_regression_on_the_chosen():
    y, x = mixture(2, weights=np.array([0.5, 0.3, 0.2]))
    fit = style_analysis(y, x, lags=4)
    assert fit.chosen.all()
    for base in range(3):
        free = [k for k in range(3) if k != base]
        regression = OLS(y - x[:, base], add_constant(x[:, free] - x[:, [base]])).fit(
            cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": True}
        )
        np.testing.assert_allclose(fit.weight[free], regression.params[1:], rtol=1e-9)
        np.testing.assert_allclose(fit.standard_error[free], regression.bse[1:], rtol=1e-9)


def test_intervals_cover_and_resampling_agrees_with_the_errors():
    hit, ratio = [], []
    for seed in range(40):
        y, x = mixture(100 + seed, weights=np.array([0.5, 0.3, 0.2]))
        fit = style_analysis(y, x)
        interval = bootstrap_style(y, x, replications=300, seed=seed, block_length=1.0)
        hit.append((interval.lower <= [0.5, 0.3, 0.2]) & (interval.upper >= [0.5, 0.3, 0.2]))
        ratio.append((interval.upper - interval.lower) / (2 * 1.96 * fit.standard_error))
    assert 0.88 < np.mean(hit) < 0.99
    assert 0.85 < np.mean(ratio) < 1.15


def test_resampling_tells_how_sure_the_choice_is_and_repeats_by_seed():
    y, x = mixture(3, noise=0.001)
    one = bootstrap_style(y, x, criterion="bic", replications=200, seed=1)
    again = bootstrap_style(y, x, criterion="bic", replications=200, seed=1)
    np.testing.assert_array_equal(one.lower, again.lower)
    assert (one.chosen_share[:3] == 1).all()
    assert (one.chosen_share[3:] < 0.5).all()
    assert (one.lower[3:] == 0).all()


@pytest.mark.parametrize("criterion", ["none", "bic"])
def test_a_resample_is_the_analysis_of_its_rows(criterion):
    y, x = mixture(6, periods=60)
    one = bootstrap_style(y, x, criterion=criterion, replications=1, seed=9, block_length=4.0)
    rows = resample_indices(60, 4.0, 0, 9)
    np.testing.assert_allclose(
        one.lower, style_analysis(y[rows], x[rows], criterion=criterion).weight, atol=1e-10
    )
    np.testing.assert_array_equal(one.lower, one.upper)


def test_windows_use_their_own_past_only():
    y, x = mixture(4, periods=400)
    ends = np.array([50, 200, 399])
    fits = style_at(y, x, ends, window=150, min_observations=100)
    assert np.isnan(fits[0].weight).all()
    cut = style_analysis(y[51:201], x[51:201])
    np.testing.assert_array_equal(fits[1].weight, cut.weight)
    y2 = y.copy()
    y2[201:] = 9.0
    np.testing.assert_array_equal(style_at(y2, x, ends[1:2], window=150)[0].weight, cut.weight)


def test_unknown_periods_and_twins_and_refusals():
    y, x = mixture(5)
    y[:3], x[7, 2] = np.nan, np.nan
    assert style_analysis(y, x).observations == len(y) - 4
    twins = np.column_stack([x[:, 0], x[:, 0], x[:, 1]])
    fit = style_analysis(y, twins)
    assert (fit.weight[:2] == 0).any()  # one of two equal indices, not garbage
    assert fit.weight.sum() == pytest.approx(1)
    assert np.isnan(style_analysis(y, np.zeros_like(x)).weight).all()
    with pytest.raises(ValueError, match="15"):
        style_analysis(y, np.ones((len(y), 16)))
    with pytest.raises(ValueError, match="criterion"):
        style_analysis(y, x, criterion="best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_indices"):
        style_analysis(y, x, max_indices=0)
    with pytest.raises(ValueError, match="fund_return"):
        style_analysis(y[1:], x)
