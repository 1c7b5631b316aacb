"""Rolling, exponentially weighted and downside beta, and the robust error, against least squares."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from etf_pipeline.core import parallel
from etf_pipeline.core.market.returns import total_return
from etf_pipeline.core.risk.beta import (
    downside_beta,
    ewma_beta,
    hac_standard_error,
    ols_reference,
    rolling_beta,
)
from etf_pipeline_tests.core.random_market import assert_causal, random_market


def inputs(seed, **options):
    m = random_market(seed, **options)
    p = total_return(m.close, m.accepted, m.scale, m.split, m.distribution, basis="as_traded")
    return p.total_return, p.sessions_spanned, p.total_return[:, 0], p.sessions_spanned[:, 0]


def consecutive(y):
    return np.ones(y.shape, dtype=np.int32)


@pytest.mark.parametrize(("window", "need"), [(252, 126), (63, 40), (10, 3)])
def test_equals_least_squares_in_every_window(window, need):
    y, spanned, x, x_spanned = inputs(4, sessions=700, funds=5)
    panel = rolling_beta(y, spanned, x, x_spanned, window=window, min_observations=need, max_stale_sessions=0)
    compared = 0
    for t in range(len(y)):
        rows = slice(max(0, t - window + 1), t + 1)
        for j in range(5):
            use = (spanned[rows, j] == 1) & (x_spanned[rows] == 1)
            use &= ~np.isnan(y[rows, j]) & ~np.isnan(x[rows])
            assert panel.observations[t, j] == use.sum()
            if use.sum() < need or spanned[t, j] == 0:
                assert np.isnan(panel.beta[t, j])
                continue
            slope, alpha, correlation, error = ols_reference(y[rows, j][use], x[rows][use])
            ours = [panel.beta[t, j], panel.alpha[t, j], panel.correlation[t, j], panel.standard_error[t, j]]
            np.testing.assert_allclose(
                ours, [slope, alpha, correlation, error], rtol=1e-10, atol=1e-10 if j else 1e-7
            )
            compared += 1
    assert compared > 1000


def test_the_reference_equals_scipy():
    rng = np.random.default_rng(1)
    x = rng.normal(size=100)
    y = 0.7 * x + rng.normal(size=100)
    theirs = stats.linregress(x, y)
    np.testing.assert_allclose(
        ols_reference(y, x), [theirs.slope, theirs.intercept, theirs.rvalue, theirs.stderr], rtol=1e-12
    )


def test_the_benchmark_has_beta_one_with_itself():
    y, spanned, x, x_spanned = inputs(5)
    panel = rolling_beta(y, spanned, x, x_spanned)
    assert (panel.beta[126:, 0] == 1.0).all()
    np.testing.assert_allclose(panel.correlation[126:, 0], 1.0, rtol=1e-12)
    assert (panel.standard_error[126:, 0] < 1e-8).all()


def test_a_leveraged_and_an_inverse_copy():
    x = np.random.default_rng(6).normal(0, 0.01, 400)
    y = np.column_stack([2.5 * x + 0.001, -x])
    panel = rolling_beta(y, consecutive(y), x, consecutive(x))
    np.testing.assert_allclose(panel.beta[-1], [2.5, -1.0], rtol=1e-12)
    np.testing.assert_allclose(panel.alpha[-1], [0.001, 0.0], atol=1e-15)
    np.testing.assert_allclose(panel.correlation[-1], [1.0, -1.0], rtol=1e-12)


def test_a_huge_return_leaves_no_trace_once_it_has_left_the_window():
    rng = np.random.default_rng(7)
    x = rng.normal(0, 0.01, 800)
    y = (0.8 * x + rng.normal(0, 0.002, 800))[:, None]
    clean = rolling_beta(y, consecutive(y), x, consecutive(x))
    y[300, 0] = 1e9
    dirty = rolling_beta(y, consecutive(y), x, consecutive(x))
    np.testing.assert_allclose(dirty.beta[552:], clean.beta[552:], rtol=1e-12)
    assert abs(dirty.beta[551, 0]) > 1e6


def test_a_fund_that_does_not_move_has_beta_zero_and_no_correlation():
    x = np.random.default_rng(8).normal(0, 0.01, 300)
    y = np.zeros((300, 1))
    panel = rolling_beta(y, consecutive(y), x, consecutive(x))
    assert panel.beta[-1, 0] == 0.0
    assert panel.standard_error[-1, 0] == 0.0
    assert np.isnan(panel.correlation[-1, 0])


@pytest.mark.parametrize("level", [0.0, 0.01, 1 / 3])
def test_a_benchmark_that_does_not_move_gives_nothing(level):
    y = np.random.default_rng(8).normal(0, 0.01, (300, 1))
    panel = rolling_beta(y, consecutive(y), np.full(300, level), np.ones(300, int))
    assert np.isnan(panel.beta).all()
    assert panel.observations[-1, 0] == 252


def test_only_one_session_returns_with_a_partner_enter():
    x = np.random.default_rng(9).normal(0, 0.01, 200)
    y = 1.5 * x[:, None]
    spanned, x_spanned = consecutive(y), consecutive(x)
    y[50], spanned[50] = 5.0, 3  # a return over three sessions
    y[60] = np.nan  # unknown
    x[70], x_spanned[70] = -4.0, 2
    x[80] = np.nan
    panel = rolling_beta(y, spanned, x, x_spanned)
    assert panel.observations[-1, 0] == 196
    np.testing.assert_allclose(panel.beta[-1, 0], 1.5, rtol=1e-12)


def test_minimum_history_and_staleness():
    x = np.random.default_rng(9).normal(0, 0.01, 200)
    y = 1.5 * x[:, None]
    spanned = consecutive(y)
    spanned[150:] = 0
    y[150:] = np.nan
    panel = rolling_beta(y, spanned, x, consecutive(x))
    assert np.flatnonzero(~np.isnan(panel.beta[:, 0])).tolist() == list(range(125, 155))


def test_standard_error_covers_the_truth():
    rng = np.random.default_rng(12)
    x = rng.normal(0, 0.01, 252)
    y = 0.9 * x[:, None] + rng.normal(0, 0.01, (252, 2000))
    panel = rolling_beta(y, consecutive(y), x, consecutive(x))
    covered = np.abs(panel.beta[-1] - 0.9) < 1.96 * panel.standard_error[-1]
    assert 0.93 < covered.mean() < 0.97


@pytest.mark.parametrize("seed", range(3))
def test_cutting_changes_nothing_earlier(seed):
    def stage(*panels):
        return vars(rolling_beta(*panels, window=100, min_observations=30))

    assert_causal(stage, inputs(seed), (1, 99, 100, 101, 250, 300, 419))


def test_impossible_windows():
    y = np.zeros((4, 1))
    for options in ({"min_observations": 2}, {"window": 50, "min_observations": 51}):
        with pytest.raises(ValueError, match="must hold"):
            rolling_beta(y, consecutive(y), y[:, 0], consecutive(y[:, 0]), **options)


# --- every estimator -------------------------------------------------------------------------------------------------


def rolling(*panels, **options):
    return vars(rolling_beta(*panels, **{"window": 100, "min_observations": 30, **options}))


def hac(*panels, **options):
    return {"error": hac_standard_error(*panels, **{"window": 100, "min_observations": 30, **options})}


def ewma(*panels, **options):
    return vars(ewma_beta(*panels, **{"half_life": 20.0, "min_observations": 30, **options}))


def static(*panels, **options):
    return vars(ewma_beta(*panels, **{"half_life": np.inf, "min_observations": 30, **options}))


def downside(*panels, **options):
    return vars(downside_beta(*panels, **{"window": 100, "min_observations": 20, **options}))


ESTIMATORS = [rolling, hac, ewma, static, downside]


def own_benchmarks(seed):
    y, spanned, _, _ = inputs(seed)
    order = np.random.default_rng(seed).permutation(y.shape[1])
    return y, spanned, y[:, order], spanned[:, order]


@pytest.mark.parametrize("stage", ESTIMATORS)
@pytest.mark.parametrize("make", [inputs, own_benchmarks])
def test_no_estimator_looks_ahead(stage, make):
    assert_causal(stage, make(1), (1, 31, 99, 100, 101, 200, 300, 419))


@pytest.mark.parametrize("stage", ESTIMATORS)
def test_a_fund_has_the_same_bits_alone_among_others_and_with_more_workers(stage):
    panels = y, spanned, x, x_spanned = inputs(2)
    whole = stage(*panels)
    some = stage(np.ascontiguousarray(y[:, 3:6]), np.ascontiguousarray(spanned[:, 3:6]), x, x_spanned)
    parallel.set_workers(5)
    try:
        spread = stage(*panels)
    finally:
        parallel.set_workers(0)
    for name, values in whole.items():
        np.testing.assert_array_equal(some[name], values[:, 3:6])
        np.testing.assert_array_equal(spread[name], values)


@pytest.mark.parametrize("stage", ESTIMATORS)
def test_a_panel_of_one_benchmark_is_that_benchmark(stage):
    y, spanned, x, x_spanned = inputs(3)
    one = stage(y, spanned, x, x_spanned)
    each = stage(
        y,
        spanned,
        np.repeat(x[:, None], y.shape[1], axis=1),
        np.repeat(x_spanned[:, None], y.shape[1], axis=1),
    )
    for name, values in one.items():
        np.testing.assert_array_equal(each[name], values)


@pytest.mark.parametrize("stage", ESTIMATORS)
def test_each_fund_meets_its_own_benchmark(stage):
    y, spanned, x, x_spanned = own_benchmarks(4)
    whole = stage(y, spanned, x, x_spanned)
    for j in (0, 5, 11):
        alone = stage(y[:, [j]], spanned[:, [j]], x[:, j], x_spanned[:, j])
        for name, values in alone.items():
            np.testing.assert_array_equal(values[:, 0], whole[name][:, j])


@pytest.mark.parametrize("stage", ESTIMATORS)
def test_a_benchmark_of_another_shape_is_refused(stage):
    y, spanned, x, x_spanned = inputs(3)
    with pytest.raises(ValueError, match="benchmark_return"):
        stage(y, spanned, x[:-1], x_spanned[:-1])
    with pytest.raises(ValueError, match="benchmark_return"):
        stage(y, spanned, y[:, :3], spanned[:, :3])
    with pytest.raises(ValueError, match="benchmark_spanned"):
        stage(y, spanned, x, x_spanned[:-1])


@pytest.mark.parametrize("stage", ESTIMATORS)
def test_flat_and_empty_panels(stage):
    x = np.random.default_rng(8).normal(0, 0.01, 150)
    still = stage(np.zeros((150, 2)), np.ones((150, 2), int), x, consecutive(x))
    assert (next(iter(still.values()))[-1] == 0).all()
    unmoved = stage(x[:, None], np.ones((150, 1), int), np.full(150, 1 / 3), consecutive(x))
    assert np.isnan(next(iter(unmoved.values()))).all()
    unknown = stage(np.full((150, 1), np.nan), np.zeros((150, 1), int), x, consecutive(x))
    assert np.isnan(next(iter(unknown.values()))).all()
    empty = stage(np.zeros((0, 3)), np.zeros((0, 3), int), np.zeros(0), np.zeros(0, int))
    assert next(iter(empty.values())).shape == (0, 3)
    assert next(
        iter(stage(np.zeros((5, 0)), np.zeros((5, 0), int), x[:5], consecutive(x[:5])).values())
    ).shape == (5, 0)


@pytest.mark.parametrize("stage", [rolling, hac, downside])
def test_a_huge_return_leaves_no_trace_in_any_window(stage):
    rng = np.random.default_rng(7)
    x = rng.normal(0, 0.01, 400)
    y = (0.8 * x + rng.normal(0, 0.002, 400))[:, None]
    clean = stage(y, consecutive(y), x, consecutive(x))
    at = 140 + np.argmin(x[140:160])  # a falling session, which all of them look at
    y[at, 0] = 1e9
    dirty = stage(y, consecutive(y), x, consecutive(x))
    for name, values in clean.items():
        np.testing.assert_allclose(dirty[name][at + 100 :], values[at + 100 :], rtol=1e-12)
    first = next(iter(clean))
    assert abs(dirty[first][at + 99, 0] / clean[first][at + 99, 0]) > 1e3


# --- Newey-West error ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lags", [0, 1, 5, 12])
def test_hac_equals_statsmodels(lags):
    y, spanned, x, x_spanned = inputs(11, sessions=500, funds=4)
    window, need = 120, 60
    ours = hac_standard_error(
        y, spanned, x, x_spanned, window=window, min_observations=need, max_stale_sessions=0, lags=lags
    )
    slope = rolling_beta(
        y, spanned, x, x_spanned, window=window, min_observations=need, max_stale_sessions=0
    ).beta
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(slope))
    compared = 0
    for j in range(1, 4):
        for t in range(70, 500, 9):
            if np.isnan(ours[t, j]):
                continue
            rows = slice(max(0, t - window + 1), t + 1)
            use = (
                (spanned[rows, j] == 1) & (x_spanned[rows] == 1) & ~np.isnan(y[rows, j]) & ~np.isnan(x[rows])
            )
            fit = sm.OLS(y[rows, j][use], sm.add_constant(x[rows][use])).fit(
                cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}
            )
            np.testing.assert_allclose(ours[t, j], fit.bse[1], rtol=1e-9)
            compared += 1
    assert compared > 60


def test_hac_covers_the_truth_where_the_classical_error_does_not():
    rng = np.random.default_rng(5)
    length, funds = 260, 1500

    def persistent(shape):
        noise = rng.normal(0, 0.01, shape)
        for t in range(1, length):
            noise[t] += 0.7 * noise[t - 1]
        return noise

    x = persistent((length, funds))
    y = 0.9 * x + persistent((length, funds))
    panels = y, consecutive(y), x, consecutive(x)
    wrong = np.abs(rolling_beta(*panels).beta[-1] - 0.9)
    classical = (wrong < 1.96 * rolling_beta(*panels).standard_error[-1]).mean()
    robust = (wrong < 1.96 * hac_standard_error(*panels)[-1]).mean()
    assert classical < 0.80
    assert classical + 0.06 < robust < 0.95


def test_hac_equals_the_classical_error_on_average_where_that_is_right():
    rng = np.random.default_rng(6)
    x = rng.normal(0, 0.01, 252)
    y = 0.9 * x[:, None] + rng.normal(0, 0.01, (252, 800))
    panels = y, consecutive(y), x, consecutive(x)
    ratio = hac_standard_error(*panels)[-1] / rolling_beta(*panels).standard_error[-1]
    assert ratio.mean() == pytest.approx(1.0, abs=0.05)


def test_hac_refuses_negative_lags():
    y = np.zeros((4, 1))
    with pytest.raises(ValueError, match="lags"):
        hac_standard_error(y, consecutive(y), y[:, 0], consecutive(y[:, 0]), lags=-1)


# --- exponentially weighted ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half_life", [5.0, 63.0, np.inf])
def test_ewma_equals_weighted_least_squares(half_life):
    y, spanned, x, x_spanned = inputs(12, sessions=300, funds=4)
    panel = ewma_beta(
        y, spanned, x, x_spanned, half_life=half_life, min_observations=40, max_stale_sessions=0
    )
    compared = 0
    for j in range(1, 4):
        use = (spanned[:, j] == 1) & (x_spanned == 1) & ~np.isnan(y[:, j]) & ~np.isnan(x)
        for t in range(60, 300, 17):
            rows = np.flatnonzero(use[: t + 1])
            assert panel.observations[t, j] == len(rows)
            if np.isnan(panel.beta[t, j]):
                assert spanned[t, j] == 0 or len(rows) < 40
                continue
            w = 0.5 ** ((t - rows) / half_life)
            design = sm.add_constant(x[rows])
            fit = sm.WLS(y[rows, j], design, weights=w).fit()
            np.testing.assert_allclose(
                [panel.alpha[t, j], panel.beta[t, j]], fit.params, rtol=1e-9, atol=1e-12
            )
            effective = w.sum() ** 2 / (w**2).sum()
            variance = w @ fit.resid**2 / w.sum() * effective / (effective - 2)
            bread = np.linalg.inv(design.T @ (w[:, None] * design))
            covariance = variance * bread @ (design.T @ (w[:, None] ** 2 * design)) @ bread
            np.testing.assert_allclose(panel.standard_error[t, j], np.sqrt(covariance[1, 1]), rtol=1e-8)
            mean_x, mean_y = np.average(x[rows], weights=w), np.average(y[rows, j], weights=w)
            dx, dy = x[rows] - mean_x, y[rows, j] - mean_y
            correlation = w @ (dx * dy) / np.sqrt((w @ dx**2) * (w @ dy**2))
            np.testing.assert_allclose(panel.correlation[t, j], correlation, rtol=1e-9)
            compared += 1
    assert compared > 20


def test_an_infinite_half_life_is_the_expanding_regression():
    y, spanned, x, x_spanned = inputs(13)
    ours = ewma_beta(y, spanned, x, x_spanned, half_life=np.inf)
    expanding = rolling_beta(y, spanned, x, x_spanned, window=len(y))
    for name in ("beta", "alpha", "correlation", "standard_error", "observations"):
        np.testing.assert_allclose(
            getattr(ours, name)[:, 1:], getattr(expanding, name)[:, 1:], rtol=1e-9, atol=1e-12
        )


def test_ewma_follows_a_change_of_beta_by_half_in_one_half_life():
    rng = np.random.default_rng(14)
    x = rng.choice([-0.01, 0.01], 2063)  # of one size, so that weights are sessions
    y = (np.where(np.arange(2063) < 2000, 0.5, 1.5) * x)[:, None]
    panel = ewma_beta(y, consecutive(y), x, consecutive(x), half_life=63.0)
    assert panel.beta[1999, 0] == pytest.approx(0.5)
    assert panel.beta[2062, 0] == pytest.approx(1.0, abs=0.03)


def test_ewma_error_covers_the_truth():
    rng = np.random.default_rng(15)
    x = rng.normal(0, 0.01, 400)
    y = 0.9 * x[:, None] + rng.normal(0, 0.01, (400, 2000))
    panel = ewma_beta(y, consecutive(y), x, consecutive(x))
    assert 0.93 < (np.abs(panel.beta[-1] - 0.9) < 1.96 * panel.standard_error[-1]).mean() < 0.97


def test_ewma_without_effective_observations_has_no_error():
    rng = np.random.default_rng(15)
    x = rng.normal(0, 0.01, 200)
    y = rng.normal(0, 0.01, (200, 1))
    panel = ewma_beta(y, consecutive(y), x, consecutive(x), half_life=0.5)
    assert np.isnan(panel.standard_error).all()
    assert not np.isnan(panel.beta[126:]).any()


@pytest.mark.parametrize("options", [{"half_life": 0.0}, {"half_life": np.nan}, {"min_observations": 2}])
def test_impossible_ewma(options):
    y = np.zeros((4, 1))
    with pytest.raises(ValueError, match="must"):
        ewma_beta(y, consecutive(y), y[:, 0], consecutive(y[:, 0]), **options)


# --- downside --------------------------------------------------------------------------------------------------------


def test_downside_equals_least_squares_on_the_falling_sessions():
    y, spanned, x, x_spanned = inputs(16, sessions=400, funds=4)
    panel = downside_beta(y, spanned, x, x_spanned, window=150, min_observations=30, max_stale_sessions=0)
    compared = 0
    for j in range(4):
        for t in range(400):
            rows = slice(max(0, t - 149), t + 1)
            use = (
                (spanned[rows, j] == 1) & (x_spanned[rows] == 1) & ~np.isnan(y[rows, j]) & ~np.isnan(x[rows])
            )
            a, b = x[rows][use], y[rows, j][use]
            below = a < a.mean() if len(a) else np.zeros(0, bool)
            assert panel.observations[t, j] == below.sum()
            if below.sum() < 30 or spanned[t, j] == 0:
                assert np.isnan(panel.beta[t, j])
                continue
            slope, alpha, correlation, error = ols_reference(b[below], a[below])
            ours = [panel.beta[t, j], panel.alpha[t, j], panel.correlation[t, j], panel.standard_error[t, j]]
            np.testing.assert_allclose(
                ours, [slope, alpha, correlation, error], rtol=1e-9, atol=1e-10 if j else 1e-7
            )
            compared += 1
    assert compared > 500


def test_a_sold_call_has_more_downside_than_beta():
    rng = np.random.default_rng(17)
    x = rng.normal(0, 0.01, 300)
    y = np.minimum(x, 0.0)[:, None]
    down = downside_beta(y, consecutive(y), x, consecutive(x)).beta[-1, 0]
    assert down == pytest.approx(1.0, abs=0.02)
    assert rolling_beta(y, consecutive(y), x, consecutive(x)).beta[-1, 0] < 0.6


def test_impossible_downside():
    y = np.zeros((4, 1))
    for options in ({"min_observations": 2}, {"window": 40, "min_observations": 50}):
        with pytest.raises(ValueError, match="must hold"):
            downside_beta(y, consecutive(y), y[:, 0], consecutive(y[:, 0]), **options)
