"""The random-walk beta against statsmodels, the Nile and simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.tsa.statespace.mlemodel import MLEModel

from etf_pipeline.core import parallel
from etf_pipeline.core.risk.kalman_beta import (
    filter_random_walk,
    fit_random_walk,
    kalman_beta,
    random_walk_reference,
)
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.risk.beta_fixtures import consecutive, inputs, own_benchmarks

NILE = sm.datasets.nile.load_pandas().data["volume"].to_numpy(float)
FIRST_TERM = 0.5 * np.log(2 * np.pi)


class RandomWalkRegression(MLEModel):
    """``y = x b + e``, b a random walk, exact diffuse start, in statsmodels' state space."""

    def __init__(self, y, x):
        super().__init__(y, k_states=1)
        self["design"] = x[None, None, :]
        self["transition", 0, 0] = self["selection", 0, 0] = 1.0
        self.ssm.initialize("diffuse")

    start_params = property(lambda self: np.log([np.nanvar(self.endog) / 2, np.nanvar(self.endog) / 100]))
    param_names = ("log observation variance", "log state variance")

    def update(self, params, **kwargs):
        params = super().update(params, **kwargs)
        self["obs_cov", 0, 0], self["state_cov", 0, 0] = np.exp(np.clip(params, -60, 60))


def simulated(seed, length=756, beta_step=0.03, noise=0.008, start=1.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.01, length)
    beta = start + np.cumsum(rng.normal(0, beta_step, length)) if beta_step else np.full(length, start)
    return x, beta, beta * x + rng.normal(0, noise, length)


# --- one series ------------------------------------------------------------------------------------------------------


def test_nile_log_likelihood_at_the_textbook_variances():
    ours = filter_random_walk(NILE, np.ones(100), 15099.0, 1469.1).log_likelihood
    assert ours == pytest.approx(-633.4646, abs=5e-5)
    # Durbin and Koopman (2012), table 2.1: -492.07 at the optimum, without the constants.
    assert ours + 100 * FIRST_TERM + 99 / 2 == pytest.approx(-492.07, abs=0.005)
    # The usual -632.54 starts from a prior variance of a million and leaves the first year out.
    vague = sm.tsa.UnobservedComponents(NILE, "llevel").loglike([15099.0, 1469.1])
    assert vague == pytest.approx(-632.54, abs=0.005)
    assert ours + FIRST_TERM == pytest.approx(vague, abs=0.01)


def test_nile_filtered_level_equals_statsmodels():
    theirs = sm.tsa.UnobservedComponents(NILE, "llevel", use_exact_diffuse=True).smooth([15099.0, 1469.1])
    ours = filter_random_walk(NILE, np.ones(100), 15099.0, 1469.1)
    np.testing.assert_allclose(ours.slope, theirs.filtered_state[0], rtol=1e-12)
    np.testing.assert_allclose(ours.standard_error**2, theirs.filtered_state_cov[0, 0], rtol=1e-12)
    assert ours.log_likelihood == pytest.approx(theirs.llf, abs=1e-9)


def test_nile_variances_by_maximum_likelihood():
    # Durbin and Koopman (2012), table 2.1: 15099 and q = 0.0973.
    ours = fit_random_walk(NILE, np.ones(100))
    assert ours.observation_variance == pytest.approx(15099, abs=1)
    assert ours.state_variance == pytest.approx(1469.1, abs=0.1)
    assert ours.state_variance / ours.observation_variance == pytest.approx(0.0973, abs=5e-5)


def test_nile_with_missing_decades():
    # Durbin and Koopman (2012), section 2.7: the years 21-40 and 61-80 taken out.
    y = NILE.copy()
    y[20:40] = y[60:80] = np.nan
    ours = filter_random_walk(y, np.ones(100), 15099.0, 1469.1)
    theirs = sm.tsa.UnobservedComponents(y, "llevel", use_exact_diffuse=True).smooth([15099.0, 1469.1])
    np.testing.assert_allclose(ours.slope, theirs.filtered_state[0], rtol=1e-12)
    np.testing.assert_allclose(ours.standard_error**2, theirs.filtered_state_cov[0, 0], rtol=1e-12)
    assert ours.log_likelihood == pytest.approx(theirs.llf, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_plain_recursion(seed):
    x, _, y = simulated(seed, length=300)
    y[[5, 6, 7, 100]] = np.nan
    ours = filter_random_walk(y, x, 6e-5, 9e-4)
    likelihood, slope, variance = random_walk_reference(y, x, 6e-5, 9e-4)
    assert ours.log_likelihood == pytest.approx(likelihood, abs=1e-9)
    np.testing.assert_allclose(ours.slope, slope, rtol=1e-10)
    np.testing.assert_allclose(ours.standard_error**2, variance, rtol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_log_likelihood_equals_statsmodels(seed):
    x, _, y = simulated(seed, length=400)
    y[[50, 51, 200]] = np.nan
    for variances in ([6.4e-5, 9e-4], [1e-4, 1e-8], [1e-5, 0.1]):
        theirs = RandomWalkRegression(y, x).loglike(np.log(variances))
        assert filter_random_walk(y, x, *variances).log_likelihood == pytest.approx(theirs, abs=1e-8)


@pytest.mark.parametrize("step", [0.01, 0.03, 0.1, 0.5])
def test_no_optimiser_finds_a_better_likelihood(step):
    x, _, y = simulated(int(1000 * step), length=500, beta_step=step)
    ours = fit_random_walk(y, x)
    model = RandomWalkRegression(y, x)
    if ours.state_variance > 0:
        at = np.log([ours.observation_variance, ours.state_variance])
        assert ours.log_likelihood == pytest.approx(model.loglike(at), abs=1e-8)
    for share in (0.3, 1e-3):
        start = np.log([0.7 * y.var(), share * y.var() / x.var()])
        theirs = model.fit(start_params=start, disp=0, maxiter=200, method="nm", cov_type="none")
        assert ours.log_likelihood >= theirs.llf - 1e-6


def test_the_optimum_is_one():
    x, _, y = simulated(5)
    best = fit_random_walk(y, x)
    for observation, state in [(1.001, 1), (0.999, 1), (1, 1.01), (1, 0.99), (1.01, 1.05)]:
        other = filter_random_walk(y, x, observation * best.observation_variance, state * best.state_variance)
        assert other.log_likelihood < best.log_likelihood


def test_the_optimum_counts_the_sessions_between_observations():
    x, _, y = simulated(6, length=3000, beta_step=0.1)
    rng = np.random.default_rng(6)
    y[np.arange(3000) % np.repeat(rng.integers(2, 40, 30), 100) != 0] = np.nan
    best = fit_random_walk(y, x)
    for other in (0.9, 1.1):
        ratio = best.state_variance / best.observation_variance * other
        # Along the ratio, the other variance at its own optimum.
        likelihood = max(
            filter_random_walk(y, x, v, v * ratio).log_likelihood
            for v in best.observation_variance * np.linspace(0.9, 1.1, 81)
        )
        assert likelihood < best.log_likelihood


def test_a_constant_slope_is_found_where_it_is_the_optimum():
    constant = 0
    for seed in range(60):
        x, _, y = simulated(seed, length=400, beta_step=0.0)
        fit = fit_random_walk(y, x)
        moving = filter_random_walk(y, x, fit.observation_variance, 1e-6)
        assert fit.log_likelihood > moving.log_likelihood
        if fit.state_variance == 0:
            constant += 1
            assert fit.slope[-1] == pytest.approx((x @ y) / (x @ x), rel=1e-9)
            assert fit.standard_error[-1] == pytest.approx(
                np.sqrt(fit.observation_variance / (x @ x)), rel=1e-9
            )
    # For a local level the estimate is zero with probability 0.65 (Shephard and Harvey 1990).
    assert 0.5 < constant / 60 < 0.8


def test_finds_the_variances_that_made_the_returns():
    found = []
    for seed in range(12):
        x, _, y = simulated(seed, length=3000, beta_step=0.05)
        fit = fit_random_walk(y, x)
        found.append([np.sqrt(fit.observation_variance), np.sqrt(fit.state_variance)])
    np.testing.assert_allclose(np.mean(found, axis=0), [0.008, 0.05], rtol=0.05)


def test_scale_does_not_matter():
    x, _, y = simulated(7)
    plain, percent = fit_random_walk(y, x), fit_random_walk(100 * y, 100 * x)
    np.testing.assert_allclose(percent.slope, plain.slope, rtol=1e-6)
    assert percent.state_variance == pytest.approx(plain.state_variance, rel=1e-6)
    leveraged = fit_random_walk(-3 * y, x)
    np.testing.assert_allclose(leveraged.slope, -3 * plain.slope, rtol=1e-6)


def test_observations_without_a_regressor_do_not_start_the_slope():
    x, _, y = simulated(8, length=100)
    x[:3] = 0.0
    found = filter_random_walk(y, x, 6e-5, 1e-4)
    assert np.isnan(found.slope[:3]).all()
    theirs = RandomWalkRegression(y, x).loglike(np.log([6e-5, 1e-4]))
    assert found.log_likelihood == pytest.approx(theirs, abs=1e-8)
    fitted = fit_random_walk(y, x)
    assert np.isfinite(fitted.log_likelihood)


@pytest.mark.parametrize("variances", [(0.0, 1.0), (1.0, -1.0), (np.nan, 1.0)])
def test_impossible_variances(variances):
    with pytest.raises(ValueError, match="must be positive"):
        filter_random_walk(NILE, np.ones(100), *variances)


def moving(step, funds=120, length=1000):
    rng = np.random.default_rng(9)
    x = rng.normal(0, 0.01, (length, funds))
    beta = 1 + np.cumsum(rng.normal(0, step, (length, funds)), axis=0)
    return x, beta, beta * x + rng.normal(0, 0.008, (length, funds))


def error_by_integration(y, x, served, points=400):
    """Root mean squared error of ``served`` at the last observation, over a dense grid of ratios.

    With beta's step and the residual's log standard deviation uniform beforehand. ``y`` and ``x`` about their means.
    """
    losses, slopes, variances = np.empty(points), np.empty(points), np.empty(points)
    fitted = fit_random_walk(y, x)
    size = np.sqrt(max(fitted.state_variance / fitted.observation_variance, 1e-6 / (x @ x)))
    steps = np.linspace(0.0, 20.0 * size, points)
    while True:
        for i, ratio in enumerate(steps**2):
            found = filter_random_walk(y, x, 1.0, ratio)
            log_f = np.log(2 * np.pi) * len(y) + np.log(x[0] ** 2) + 2 * found.log_likelihood
            double = filter_random_walk(y, x, 2.0, 2.0 * ratio)
            # -2 logL = const + log F + (n - 1) log s + squares / s, at s of 1 and 2.
            at_two = (
                np.log(2 * np.pi) * len(y)
                + np.log(x[0] ** 2)
                + 2 * double.log_likelihood
                + (len(y) - 1) * np.log(2)
            )
            squares = 2 * (at_two - log_f)
            losses[i] = -log_f - squares + (len(y) - 1) * np.log(squares)
            slopes[i] = found.slope[-1]
            variances[i] = found.standard_error[-1] ** 2 * squares / (len(y) - 1)
        weights = np.exp(0.5 * (losses.min() - losses))
        if weights[-1] < 1e-4:
            break
        steps *= 4.0
    weights /= weights.sum()
    return np.sqrt(weights @ (variances + (slopes - served) ** 2))


@pytest.mark.parametrize("step", [0.0, 0.005, 0.03, 0.2])
def test_the_error_holds_what_is_not_known_of_the_ratio(step):
    for seed in range(4):
        x, _, y = simulated(50 + seed, length=420, beta_step=step)
        panel = kalman_beta(
            y[:, None], consecutive(y[:, None]), x, consecutive(x), np.array([400]), window=400
        )
        dx, dy = x - x[1:401].mean(), y - y[1:401].mean()
        for end in (401, 415):
            expected = error_by_integration(dy[1:end], dx[1:end], panel.beta[end - 1, 0])
            # The plausible ratios are those of the refit: later returns do not change their weights.
            tolerance = 0.03 if end == 401 else 0.2
            assert panel.standard_error[end - 1, 0] == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("step", [0.005, 0.01, 0.02, 0.03, 0.1])
def test_intervals_of_the_filtered_beta_cover_its_path(step):
    x, beta, y = moving(step)
    panel = kalman_beta(y, consecutive(y), x, consecutive(x), np.arange(756, 1000, 63))
    assert not np.isnan(panel.beta[756:]).any()
    covered = np.abs(panel.beta - beta)[756:] < 1.96 * panel.standard_error[756:]
    assert 0.90 < covered.mean() < 0.98


@pytest.mark.parametrize("step", [0.005, 0.03, 0.1])
def test_intervals_under_the_true_variances_cover_exactly(step):
    x, beta, y = moving(step)
    covered = []
    for j in range(y.shape[1]):
        found = filter_random_walk(y[:, j], x[:, j], 0.008**2, step**2)
        covered.append(np.abs(found.slope - beta[:, j])[50:] < 1.96 * found.standard_error[50:])
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


# --- the panel -------------------------------------------------------------------------------------------------------

SMALL = {"window": 150, "min_observations": 60}


def stage(*panels, every=21, **options):
    rows = np.arange(0, len(panels[0]), every)
    found = vars(kalman_beta(*panels, rows, **{**SMALL, **options})).copy()
    found.pop("refit_rows")
    return found


def test_each_refit_equals_statsmodels_on_its_window():
    y, spanned, x, x_spanned = inputs(41, sessions=320, funds=4)
    refits = np.array([100, 200, 300])
    panel = kalman_beta(
        y, spanned, x, x_spanned, refits, window=150, min_observations=60, max_stale_sessions=400
    )
    use = (spanned == 1) & ~np.isnan(y) & ((x_spanned == 1) & ~np.isnan(x))[:, None]
    compared = 0
    for r, at in enumerate(refits):
        end = refits[r + 1] if r + 1 < len(refits) else len(y)
        for j in range(1, 4):
            known = use[:, j] & (np.arange(len(y)) > at - 150)
            inside = known & (np.arange(len(y)) <= at)
            assert panel.observations[r, j] == inside.sum()
            if inside.sum() < 60:
                assert np.isnan(panel.beta[at:end, j]).all()
                continue
            dx = np.where(known, x - x[inside].mean(), 0.0)
            dy = np.where(known, y[:, j] - y[inside, j].mean(), np.nan)
            first = np.flatnonzero(inside)[0]
            variances = np.array([panel.observation_variance[r, j], max(panel.state_variance[r, j], 1e-24)])
            model = RandomWalkRegression(dy[first : at + 1], dx[first : at + 1])
            assert panel.log_likelihood[r, j] == pytest.approx(model.loglike(np.log(variances)), abs=1e-7)
            path = RandomWalkRegression(dy[first:end], dx[first:end]).filter(np.log(variances))
            began = (spanned[:, j] > 0).argmax() <= at
            assert began
            np.testing.assert_allclose(
                panel.beta[at:end, j], path.filtered_state[0, at - first :], rtol=1e-7, atol=1e-9
            )
            compared += 1
    assert compared >= 6


@pytest.mark.parametrize("make", [inputs, own_benchmarks])
def test_no_look_ahead(make):
    panels = make(1)

    def rows_and_refits(*cut):
        found = stage(*cut)
        return {name: found[name] for name in ("beta", "standard_error")}

    def refits_only(*cut):
        found = stage(*cut, every=1)
        return {name: v for name, v in found.items() if name not in {"beta", "standard_error"}}

    assert_causal(rows_and_refits, panels, (1, 21, 22, 63, 64, 150, 151, 300, 419))
    assert_causal(refits_only, tuple(p[:160] for p in panels), (70, 90, 150, 151))


def test_a_fund_has_the_same_bits_alone_and_with_more_workers():
    y, spanned, x, x_spanned = inputs(2)
    whole = stage(y, spanned, x, x_spanned)
    some = stage(np.ascontiguousarray(y[:, 3:6]), np.ascontiguousarray(spanned[:, 3:6]), x, x_spanned)
    each = stage(y, spanned, np.repeat(x[:, None], 12, axis=1), np.repeat(x_spanned[:, None], 12, axis=1))
    parallel.set_workers(5)
    try:
        spread = stage(y, spanned, x, x_spanned)
    finally:
        parallel.set_workers(0)
    for name, values in whole.items():
        np.testing.assert_array_equal(some[name], values[:, 3:6])
        np.testing.assert_array_equal(spread[name], values)
        np.testing.assert_array_equal(each[name], values)


def test_between_refits_the_filter_goes_on_and_only_refits_change_the_parameters():
    x, _, y = simulated(42, length=400, beta_step=0.1)
    y = y[:, None]
    once = kalman_beta(y, consecutive(y), x, consecutive(x), np.array([300]))
    again = kalman_beta(y, consecutive(y), x, consecutive(x), np.array([300, 350]))
    np.testing.assert_array_equal(once.beta[:350], again.beta[:350])
    assert np.isnan(once.beta[:300]).all()
    assert once.beta[350, 0] != again.beta[350, 0]
    assert len(np.unique(once.beta[300:, 0])) == 100


def test_follows_a_beta_that_moves_better_than_a_constant():
    x, beta, y = simulated(43, length=756, beta_step=0.1)
    y = y[:, None]
    panel = kalman_beta(y, consecutive(y), x, consecutive(x), np.arange(252, 756, 21))
    wrong = np.abs(panel.beta[252:, 0] - beta[252:]).mean()
    constant = np.array([np.polyfit(x[:t], y[:t, 0], 1)[0] for t in range(253, 757)])
    assert wrong < 0.5 * np.abs(constant - beta[252:]).mean()


def test_beta_stands_and_grows_uncertain_without_returns():
    x, _, y = simulated(44, length=300, beta_step=0.1)
    y = y[:, None]
    spanned = consecutive(y)
    y[280:], spanned[280:] = np.nan, 0
    panel = kalman_beta(y, spanned, x, consecutive(x), np.array([260]))
    np.testing.assert_array_equal(panel.beta[279:285, 0], panel.beta[279, 0])
    growth = np.diff(panel.standard_error[279:285, 0] ** 2)
    # By the mean of the plausible state variances, which is near the likeliest.
    np.testing.assert_allclose(growth, growth[0], rtol=1e-9)
    assert growth[0] == pytest.approx(panel.state_variance[0, 0], rel=0.3)
    assert np.isnan(panel.beta[285:, 0]).all()


def test_returns_over_several_sessions_are_left_out():
    x, _, y = simulated(45, length=300)
    y = y[:, None]
    spanned, x_spanned = consecutive(y), consecutive(x)
    y[100], spanned[100] = 50.0, 3
    x_spanned[150], x[150] = 2, -70.0
    panel = kalman_beta(y, spanned, x, x_spanned, np.array([290]))
    assert panel.observations[0, 0] == 289
    assert abs(panel.beta[290, 0]) < 5


def test_exact_lines_flat_funds_and_flat_benchmarks():
    x = np.random.default_rng(46).normal(0, 0.01, 300)
    y = np.column_stack([x, 2.5 * x + 0.001, -x, np.zeros(300), np.full(300, 0.01)])
    panel = kalman_beta(y, consecutive(y), x, consecutive(x), np.array([260]))
    np.testing.assert_allclose(panel.beta[280], [1.0, 2.5, -1.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_array_equal(panel.standard_error[280], 0.0)
    np.testing.assert_array_equal(panel.state_variance[0], 0.0)
    assert np.isinf(panel.log_likelihood).all()
    flat = np.full(300, 1 / 3)
    nothing = kalman_beta(y, consecutive(y), flat, consecutive(flat), np.array([260]))
    assert np.isnan(nothing.beta).all()
    assert (nothing.observations == 261).all()


def test_one_giant_jump_does_not_outlive_its_window():
    x, _, y = simulated(47, length=700)
    y = y[:, None]
    rows = np.array([300, 600])
    clean = kalman_beta(y, consecutive(y), x, consecutive(x), rows, window=252)
    y[100] = 1e9
    dirty = kalman_beta(y, consecutive(y), x, consecutive(x), rows, window=252)
    assert np.isfinite(dirty.beta[300:600]).all()
    np.testing.assert_array_equal(dirty.beta[600:], clean.beta[600:])


def test_history_shorter_than_the_minimum_gives_nothing():
    x, _, y = simulated(48, length=300)
    y = y[:, None]
    panel = kalman_beta(y, consecutive(y), x, consecutive(x), np.array([250, 251, 252]))
    assert np.isnan(panel.beta[:251]).all()
    assert not np.isnan(panel.beta[251:]).any()
    np.testing.assert_array_equal(np.isnan(panel.state_variance[:, 0]), [True, False, False])


@pytest.mark.parametrize("rows", [[3, 3], [5, 2], [-1], [10]])
def test_impossible_refit_rows(rows):
    y = np.zeros((10, 1))
    with pytest.raises(ValueError, match="refit_rows must ascend"):
        kalman_beta(y, consecutive(y), y[:, 0], consecutive(y[:, 0]), np.array(rows))


def test_impossible_windows_and_empty_panels():
    y = np.zeros((4, 1))
    none = np.zeros(0, int)
    for options in ({"min_observations": 2}, {"window": 50, "min_observations": 51}):
        with pytest.raises(ValueError, match="must hold"):
            kalman_beta(y, consecutive(y), y[:, 0], consecutive(y[:, 0]), none, **options)
    assert np.isnan(kalman_beta(y, consecutive(y), y[:, 0], consecutive(y[:, 0]), none).beta).all()
    empty = kalman_beta(np.zeros((0, 2)), np.zeros((0, 2), int), np.zeros(0), none, none)
    assert empty.beta.shape == (0, 2)
