"""The local linear trend against statsmodels, the textbook recursion and known slopes."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_pipeline.core import parallel
from etf_pipeline.core.signals import PATH_REASONS, local_linear_trend
from etf_pipeline.core.signals.trend import MEMORIES, NOISES, filter_trend, trend_ratios, trend_reference
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.signals.paths import arrays, dead_after, market_returns, one_fund

RATIOS = [(0.0, 0.0), (0.3, 1e-3), (1.0, 1e-2), (0.1, 0.0)]


def simulated(seed, length=400, noise=0.005, level=0.01, step=0.0004):
    """Log index with bars missing, its first value 0."""
    rng = np.random.default_rng(seed)
    slope = np.cumsum(rng.normal(0, step, length))
    y = np.cumsum(slope + rng.normal(0, level, length)) + rng.normal(0, noise, length)
    y -= y[0]
    y[1:-1][rng.random(length - 2) < 0.1] = np.nan
    return y


def bars(y):
    """Growth and sessions spanned between the observed values."""
    rows = np.flatnonzero(~np.isnan(y))
    return np.diff(y[rows]), np.diff(rows)


def lltrend(y, ratios, scale):
    model = sm.tsa.UnobservedComponents(y, "lltrend", use_exact_diffuse=True)
    model.ssm.tolerance = (
        0.0  # no early steady state: its tolerance is absolute, and daily variances are small
    )
    return model.smooth([ratios[0] * scale, scale, ratios[1] * scale])


# --- one filter ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratios", RATIOS)
def test_state_and_variance_equal_statsmodels(ratios):
    y = simulated(1)
    ours = filter_trend(*bars(y), *ratios)
    theirs = lltrend(y, ratios, ours.scale)
    np.testing.assert_allclose([ours.level, ours.slope], theirs.filtered_state[:, -1], rtol=1e-8, atol=1e-12)
    variance = [[ours.level_variance, ours.covariance], [ours.covariance, ours.slope_variance]]
    expected = theirs.filtered_state_cov[:, :, -1] / ours.scale
    np.testing.assert_allclose(variance, expected, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("ratios", RATIOS)
def test_deviance_is_that_of_statsmodels_at_the_most_likely_scale(ratios):
    y = simulated(2)
    ours = filter_trend(*bars(y), *ratios)
    n = np.isfinite(y).sum() - 2
    # What is concentrated out, and the diffuse terms: log F of the slope's first observation, sessions squared.
    rows = np.flatnonzero(~np.isnan(y))
    constant = n * (1 + np.log(2 * np.pi) - np.log(n)) + 2 * np.log(2 * np.pi) + 2 * np.log(rows[1] - rows[0])
    assert ours.deviance + constant == pytest.approx(-2 * lltrend(y, ratios, ours.scale).llf, abs=1e-6)
    # And no other scale is likelier.
    likelihood = [lltrend(y, ratios, ours.scale * f).llf for f in (0.98, 1.0, 1.02)]
    assert likelihood[1] == max(likelihood)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from(RATIOS))
def test_state_equals_the_textbook_recursion(seed, ratios):
    y = simulated(seed, length=120)
    ours = filter_trend(*bars(y), *ratios)
    states, variances = trend_reference(y, *ratios)
    np.testing.assert_allclose([ours.level, ours.slope], states[-1], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(ours.slope_variance, variances[-1, 1, 1], rtol=1e-5)


def test_a_constant_slope_without_noise_is_the_mean_return():
    growth = np.random.default_rng(3).normal(0.001, 0.01, 300)
    ours = filter_trend(growth, np.ones(300, dtype=np.int64), 0.0, 0.0)
    assert ours.slope == pytest.approx(growth.mean(), rel=1e-10)
    error = np.sqrt(ours.scale * ours.slope_variance)
    assert error == pytest.approx(growth.std(ddof=1) / np.sqrt(300), rel=1e-10)


def test_an_unknown_return_leaves_the_slope_and_forgets_the_level():
    growth = np.random.default_rng(4).normal(0.001, 0.01, 300)
    growth[150] = np.nan
    ours = filter_trend(growth, np.ones(300, dtype=np.int64), 0.0, 0.0)
    assert ours.slope == pytest.approx(np.nanmean(growth), rel=1e-10)
    # Unknown at the very beginning: as if the series began after it.
    growth[:2] = np.nan
    late = filter_trend(growth, np.ones(300, dtype=np.int64), 0.3, 1e-3)
    cut = filter_trend(growth[2:], np.ones(298, dtype=np.int64), 0.3, 1e-3)
    assert late.slope == pytest.approx(cut.slope, rel=1e-9)
    assert late.deviance == pytest.approx(cut.deviance, rel=1e-9)


def test_negative_ratios():
    with pytest.raises(ValueError, match="0 or more"):
        filter_trend(np.zeros(5), np.ones(5, dtype=np.int64), -0.1, 0.0)


# --- panels ----------------------------------------------------------------------------------------------------------


def mixture(growth, spanned):
    """Slope and standard error from every filter of the bank, one by one."""
    fits = [filter_trend(growth, spanned, *pair) for pair in trend_ratios().T]
    deviance = np.array([f.deviance for f in fits])
    weight = np.exp(0.5 * (deviance.min() - deviance))
    weight /= weight.sum()
    slope = np.array([f.slope for f in fits])
    mean = weight @ slope
    spread = weight @ (np.array([f.scale * f.slope_variance for f in fits]) + (slope - mean) ** 2)
    return mean, np.sqrt(spread), weight


def test_on_a_refit_it_is_the_mixture_of_its_window():
    growth = np.random.default_rng(5).normal(0.0005, 0.01, 700)
    panel = local_linear_trend(*one_fund(growth), np.array([300, 600]))
    for r, row in enumerate((300, 600)):
        window = growth[max(0, row - 504) : row]
        mean, error, weight = mixture(window, np.ones(len(window), dtype=np.int64))
        assert panel.slope_annualised[row, 0] == pytest.approx(252 * mean, rel=1e-9)
        assert panel.t_value[row, 0] == pytest.approx(mean / error, rel=1e-9)
        np.testing.assert_allclose(panel.weights[r, :, 0], weight, atol=1e-10)
    assert np.isnan(panel.slope_annualised[:300]).all()


def test_between_refits_the_weights_stand_and_the_filters_run_on():
    y = simulated(6, length=500)
    y[398:402] = np.nan  # no bar on the refit row and before it
    rows = np.flatnonzero(~np.isnan(y))
    growth, gap = np.full((500, 1), np.nan), np.zeros((500, 1), dtype=np.int64)
    growth[rows[1:], 0], gap[rows[1:], 0] = np.expm1(np.diff(y[rows])), np.diff(rows)
    panel = local_linear_trend(growth, gap, np.array([400]))
    weight = panel.weights[0, :, 0]
    for t in (400, 401, 410, 430, 499):
        part = y[: t + 1].copy()
        slopes = [trend_reference(part, *pair)[0][-1, 1] for pair in trend_ratios().T]
        assert panel.slope_annualised[t, 0] == pytest.approx(252 * weight @ slopes, rel=1e-5)


@pytest.mark.parametrize("step", [0.0, 0.002])
def test_the_weights_find_how_fast_the_slope_changes(step):
    rng = np.random.default_rng(8)
    slope = np.cumsum(rng.normal(0, step, (504, 40)), axis=0)
    returns, spanned = (
        np.expm1(slope + rng.normal(0, 0.01, slope.shape)),
        np.ones(slope.shape, dtype=np.int64),
    )
    weights = local_linear_trend(returns, spanned, np.array([503])).weights[0].mean(axis=1)
    by_memory = weights.reshape(len(NOISES), len(MEMORIES)).sum(axis=0)
    long = by_memory[np.array(MEMORIES) >= 126].sum()
    assert (long > 0.7) if step == 0 else (long < 0.05)


def test_likeliest_filter_is_near_the_maximum_of_the_likelihood():
    """Three variances found by statsmodels fit hardly better than the best of the bank."""
    for seed in range(3):
        y = simulated(seed, length=504, step=0.0003, noise=0.004)
        ours = min((filter_trend(*bars(y), *pair) for pair in trend_ratios().T), key=lambda f: f.deviance)
        model = sm.tsa.UnobservedComponents(y, "lltrend", use_exact_diffuse=True)
        model.ssm.tolerance = 0.0
        start = [0.2 * ours.scale, ours.scale, 1e-3 * ours.scale]
        fit = model.fit(start_params=start, method="nm", maxiter=400, disp=0, cov_type="none")
        n = np.isfinite(y).sum() - 2
        rows = np.flatnonzero(~np.isnan(y))
        constant = (
            n * (1 + np.log(2 * np.pi) - np.log(n)) + 2 * np.log(2 * np.pi) + 2 * np.log(rows[1] - rows[0])
        )
        assert fit.llf + 0.5 * (ours.deviance + constant) < 1.0


def test_t_values_are_honest_where_there_is_no_trend():
    rng = np.random.default_rng(9)
    returns = np.expm1(rng.normal(0, 0.01, (400, 600)))
    t = local_linear_trend(returns, np.ones(returns.shape, dtype=np.int64), np.array([399])).t_value[399]
    assert (np.abs(t) > 1.96).mean() < 0.05
    assert np.median(t) == pytest.approx(0, abs=0.15)


def test_thin_still_and_dead_funds_have_no_value_and_say_why():
    rng = np.random.default_rng(10)
    returns = np.expm1(rng.normal(0, 0.01, (600, 5)))
    spanned = np.ones(returns.shape, dtype=np.int64)
    returns[:, 1] = 0.0
    returns[:, 2] = np.expm1(0.0002)  # a straight line
    thin = np.arange(600) % 3 != 0
    returns[thin, 3], spanned[thin, 3], spanned[~thin, 3] = np.nan, 0, 3
    returns[:, 4], spanned[:, 4] = (p[:, 0] for p in dead_after(returns[:, 4:], spanned[:, 4:], 450))
    panel = local_linear_trend(returns, spanned, np.array([300, 400, 500]))
    names = np.array(PATH_REASONS)[panel.reason]
    assert (names[:300] == "short_history").all()
    assert (names[300:, 0] == "").all()
    assert (names[300:, 1:3] == "no_movement").all()
    assert (names[300:, 3] == "too_few_sessions").all()
    assert (names[300:456, 4] == "").all()
    assert (names[456:, 4] == "no_recent_bar").all()
    assert (np.isfinite(panel.t_value) == (panel.reason == 0)).all()


@pytest.mark.parametrize("seed", range(2))
def test_cutting_changes_nothing_earlier_and_neither_does_the_number_of_workers(seed):
    _, returns, spanned = market_returns(seed)
    refits = np.arange(20, 420, 21)

    def stage(r, s):
        panel = local_linear_trend(r, s, refits[refits < len(r)], window=120, min_observations=60)
        return {name: value for name, value in arrays(panel).items() if len(value) == len(r)}

    assert_causal(stage, (returns, spanned), (30, 62, 63, 200, 301, 419))
    before, once = parallel.workers(), stage(returns, spanned)
    parallel.set_workers(1)
    try:
        alone = stage(returns, spanned)
    finally:
        parallel.set_workers(before)
    assert all(alone[name].tobytes() == once[name].tobytes() for name in once)


def test_impossible_options():
    returns, spanned = np.zeros((10, 1)), np.ones((10, 1), dtype=np.int64)
    with pytest.raises(ValueError, match="must hold"):
        local_linear_trend(returns, spanned, np.array([5]), min_observations=3)
    with pytest.raises(ValueError, match="ascend"):
        local_linear_trend(returns, spanned, np.array([5, 5]))
    assert local_linear_trend(returns, spanned, np.array([], dtype=np.int64)).weights.shape == (0, 32, 1)
