"""Student-t fits against scipy's and against the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, special, stats

from etf_pipeline.core.risk.student_t import (
    MAX_DEGREES_OF_FREEDOM,
    MIN_DEGREES_OF_FREEDOM,
    _digamma,
    _trigamma,
    rolling_student_t,
    student_t_tail,
)
from etf_pipeline_tests.core.random_market import assert_causal


def fit_once(values):
    panel = rolling_student_t(
        values[:, None], np.zeros(len(values), bool), window=len(values), min_observations=len(values)
    )
    return panel.location[-1, 0], panel.scale[-1, 0], panel.degrees_of_freedom[-1, 0]


@pytest.mark.parametrize(("seed", "nu"), [(1, 3.0), (2, 4.5), (3, 8.0), (4, 15.0)])
def test_equals_scipys_maximum_likelihood(seed, nu):
    values = 0.001 + 0.01 * np.random.default_rng(seed).standard_t(nu, 1000)
    location, scale, degrees = fit_once(values)
    df, loc, sc = stats.t.fit(values, nu, loc=0.001, scale=0.01)
    ours = stats.t.logpdf(values, degrees, location, scale).sum()
    assert ours >= stats.t.logpdf(values, df, loc, sc).sum() - 1e-6
    assert degrees == pytest.approx(df, rel=2e-3)
    assert scale == pytest.approx(sc, rel=2e-4)
    assert location == pytest.approx(loc, abs=1e-5)


def test_the_maximum_is_one_in_every_direction():
    values = np.random.default_rng(5).standard_t(4, 800)
    fitted = np.array(fit_once(values))

    def likelihood(location, scale, degrees):
        return stats.t.logpdf(values, degrees, location, scale).sum()

    best = likelihood(*fitted)
    for k in range(3):
        for step in (-0.02, 0.02):
            moved = fitted.copy()
            moved[k] += step * (fitted[k] if k else fitted[1])
            assert likelihood(*moved) < best


def test_finds_the_distribution_that_made_the_returns():
    rng = np.random.default_rng(6)
    truth = np.array([2.8, 4.0, 7.0])
    values = 0.02 * rng.standard_t(truth, (20_000, 3)) - 0.003
    panel = rolling_student_t(values, np.zeros(20_000, bool), window=20_000, min_observations=20_000)
    np.testing.assert_allclose(panel.degrees_of_freedom[-1], truth, rtol=0.06)
    np.testing.assert_allclose(panel.scale[-1], 0.02, rtol=0.02)
    np.testing.assert_allclose(panel.location[-1], -0.003, atol=6e-4)


def test_thin_tails_end_at_the_upper_bound_with_the_normal_fit():
    values = np.random.default_rng(7).uniform(-1, 1, 500)
    location, scale, degrees = fit_once(values)
    assert degrees == pytest.approx(MAX_DEGREES_OF_FREEDOM)
    assert location == pytest.approx(values.mean(), abs=0.01)
    assert scale == pytest.approx(values.std(), rel=0.03)


def test_cauchy_tails_end_at_the_lower_bound():
    assert fit_once(np.random.default_rng(8).standard_cauchy(1000))[2] == pytest.approx(
        MIN_DEGREES_OF_FREEDOM
    )


def test_a_giant_jump_moves_scale_and_location_little():
    values = 0.01 * np.random.default_rng(9).normal(size=1000)
    location, scale, _ = fit_once(values)
    struck = values.copy()
    struck[500] = 1e4
    jumped = fit_once(struck)
    assert np.isfinite(jumped).all()
    assert jumped[0] == pytest.approx(location, abs=2e-4)
    assert jumped[1] == pytest.approx(scale, rel=0.25)


def test_scaling_and_shifting():
    values = np.random.default_rng(10).standard_t(5, 600)
    location, scale, degrees = fit_once(values)
    moved = fit_once(1e-3 * values + 0.02)
    np.testing.assert_allclose(moved, [1e-3 * location + 0.02, 1e-3 * scale, degrees], rtol=1e-4)


@pytest.mark.parametrize("x", [0.55, 1.0, 1.55, 2.5, 9.99, 10.0, 50.5])
def test_polygamma(x):
    assert _digamma(x) == pytest.approx(special.digamma(x), rel=1e-12, abs=1e-13)
    assert _trigamma(x) == pytest.approx(special.polygamma(1, x), rel=1e-12)


def test_fitted_when_there_is_enough_and_then_only_when_asked():
    values = np.random.default_rng(11).normal(size=(100, 1))
    refit = np.zeros(100, bool)
    refit[[10, 60, 80]] = True
    panel = rolling_student_t(values, refit, window=100, min_observations=30)
    scale = panel.scale[:, 0]
    assert np.isnan(scale[:29]).all()
    changes = 30 + np.flatnonzero(np.diff(scale[29:]))
    np.testing.assert_array_equal(changes, [60, 80])


def test_each_fit_is_that_of_its_window_whatever_the_start():
    values = np.random.default_rng(12).standard_t(4, (900, 1))
    values[::9] = np.nan
    refit = np.arange(900) % 100 == 0
    panel = rolling_student_t(values, refit, window=300, min_observations=250)
    for t in (500, 700, 800):
        seen = values[: t + 1, 0]
        expected = fit_once(seen[~np.isnan(seen)][-300:])
        ours = panel.location[t, 0], panel.scale[t, 0], panel.degrees_of_freedom[t, 0]
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("values", [np.zeros(60), np.full(60, 0.01), np.r_[np.zeros(31), np.arange(29.0)]])
def test_a_price_that_mostly_stood_still_has_no_fit(values):
    assert np.isnan(fit_once(values)).all()


def test_a_fund_recovers_from_a_window_without_fit():
    rng = np.random.default_rng(13)
    values = np.r_[np.zeros(60), rng.normal(size=200)][:, None]
    refit = np.arange(260) % 20 == 0
    scale = rolling_student_t(values, refit, window=60, min_observations=40).scale[:, 0]
    assert np.isnan(scale[:80]).all()
    assert (scale[100:] > 0).all()


@pytest.mark.parametrize("nu", [2.1, 4.0, 30.0])
@pytest.mark.parametrize("p", [0.05, 0.01])
def test_closed_form_equals_integration(nu, p):
    one = np.ones((1, 1))
    quantile, beyond = student_t_tail(p, 0.001 * one, 0.02 * one, nu * one)
    assert quantile[0, 0] == pytest.approx(stats.t.ppf(p, nu, 0.001, 0.02), rel=1e-10)
    mean, _ = integrate.quad(lambda u: stats.t.ppf(u, nu, 0.001, 0.02), 0, p, limit=500)
    assert beyond[0, 0] == pytest.approx(mean / p, rel=1e-4)


def test_shortfalls_of_the_normal_and_of_a_t4_of_unit_variance():
    one = np.ones((1, 1))
    _, t4 = student_t_tail(0.01, 0 * one, np.sqrt(0.5) * one, 4.0 * one)
    _, normal = student_t_tail(0.01, 0 * one, one, 1e6 * one)
    assert normal[0, 0] == pytest.approx(-2.6652, abs=2e-4)
    assert t4[0, 0] == pytest.approx(-3.692, abs=2e-3)


def test_tail_repeats_between_fits_and_is_nan_without():
    nan = np.nan
    nu = np.array([[nan, 5.0], [4.0, 5.0], [4.0, nan], [4.0, 3.0]])
    quantile, beyond = student_t_tail(0.05, np.zeros((4, 2)), np.ones((4, 2)), nu)
    np.testing.assert_allclose(quantile, stats.t.ppf(0.05, nu), rtol=1e-12)
    np.testing.assert_array_equal(np.isnan(beyond), np.isnan(nu))


def test_cutting_and_adding_funds_change_nothing():
    values = np.random.default_rng(14).standard_t(4, (400, 4))
    values[:150, 2] = np.nan

    def stage(panel, refit):
        fit = rolling_student_t(panel, refit, window=200, min_observations=100)
        return {"scale": fit.scale, "degrees": fit.degrees_of_freedom}

    refit = np.arange(400) % 21 == 0
    assert_causal(stage, (values, refit), (1, 99, 100, 260, 399))
    alone = stage(values[:, 2:3], refit)["scale"]
    assert alone[:, 0].tobytes() == stage(values, refit)["scale"][:, 2].tobytes()


def test_too_few_observations_are_refused():
    with pytest.raises(ValueError, match="20 <= min_observations"):
        rolling_student_t(np.zeros((5, 1)), np.zeros(5, bool), min_observations=19)
