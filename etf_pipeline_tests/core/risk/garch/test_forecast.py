"""Variances of the next h sessions against ``arch``, against simulation, and within what is sane."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arch import arch_model
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_pipeline.core.risk.garch import HORIZONS, walk_forward
from etf_pipeline.core.risk.garch.forecast import (
    SANE,
    bound_filter,
    cumulative_variance,
    filtered_forecasts,
    news_moments,
    next_variance,
)
from etf_pipeline.core.risk.garch.likelihood import (
    EGARCH,
    GARCH,
    GJR,
    LOWER,
    RESIDUAL,
    ROOT,
    UPPER,
    VARIANCE,
    WORK_ROWS,
)
from etf_pipeline_tests.core.risk.garch.test_fit import MEAN, VOLATILITY, simulated
from etf_pipeline_tests.core.risk.garch.test_walk_forward import weekdays

KIND = {"garch": GARCH, "gjr": GJR}


def theta_of(mu: float, phi: float, omega: float, alpha: float, gamma: float, beta: float) -> np.ndarray:
    return np.array([mu, phi, omega, alpha, gamma, beta, 0.0])


@pytest.mark.parametrize("mean", ["zero", "constant", "ar1"])
@pytest.mark.parametrize("name", ["garch", "gjr"])
@pytest.mark.parametrize("horizon", HORIZONS)
def test_equals_the_analytic_forecast_of_arch(name: str, mean: str, horizon: int) -> None:
    """``arch`` gives each session's variance; the returns of an AR(1) mean add up over its impulse response."""
    y = simulated(4, 800)
    phi = 0.3 if mean == "ar1" else 0.0
    gamma = 0.08 if name == "gjr" else 0.0
    mu = 0.0 if mean == "zero" else 0.03
    fixed = [
        *([] if mean == "zero" else [mu]),
        *([phi] if phi else []),
        0.03,
        0.05,
        *([gamma] if gamma else []),
        0.88,
    ]
    model = arch_model(y, mean=MEAN[mean], lags=1 if phi else 0, rescale=False, **VOLATILITY[name])
    result = model.fix(fixed)
    step = result.forecast(horizon=horizon, reindex=False).residual_variance.to_numpy()[0]
    theta = theta_of(mu, phi, 0.03, 0.05, gamma, 0.88)
    variance = float(result.conditional_volatility[-1] ** 2)
    first = next_variance(theta, KIND[name], float(result.resid[-1]), variance)
    assert first == pytest.approx(step[0], rel=1e-10)
    # Response of the sum of the next returns to a shock of one in session j.
    total = 0.0
    for j in range(horizon):
        path = 0.0
        response = 0.0
        for k in range(j, horizon):
            path = phi * path + (1.0 if k == j else 0.0)
            response += path
        total += response**2 * step[j]
    assert cumulative_variance(theta, KIND[name], first, 0.0, 0.0, horizon) == pytest.approx(total, rel=1e-10)


def test_a_unit_root_in_the_mean_is_a_sum_of_sums() -> None:
    theta = theta_of(0.0, 1.0, 0.1, 0.0, 0.0, 0.0)
    assert cumulative_variance(theta, GARCH, 0.1, 0.0, 0.0, 4) == pytest.approx(0.1 * (16 + 9 + 4 + 1))


def test_next_variance_by_hand() -> None:
    theta = theta_of(0.0, 0.0, 0.1, 0.05, 0.1, 0.8)
    assert next_variance(theta, GJR, 2.0, 1.0) == pytest.approx(0.1 + 0.05 * 4 + 0.8)
    assert next_variance(theta, GJR, -2.0, 1.0) == pytest.approx(0.1 + 0.15 * 4 + 0.8)
    assert next_variance(theta, GJR, 0.0, 1.0) == pytest.approx(0.9)
    theta[4] = -0.1
    got = next_variance(theta, EGARCH, -1.0, 4.0)
    assert math.log(got) == pytest.approx(
        0.1 + 0.05 * (0.5 - math.sqrt(2 / math.pi)) + 0.1 * 0.5 + 0.8 * math.log(4.0)
    )


@pytest.mark.parametrize("first", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("phi", [0.0, 0.2])
def test_egarch_against_simulation(first: float, phi: float) -> None:
    """400,000 paths of normal errors; the sum of 21 returns has this variance within 3 %."""
    theta = theta_of(0.0, phi, 0.002, 0.15, -0.08, 0.97)
    rng = np.random.default_rng(1)
    paths = 400_000
    log_variance = np.full(paths, math.log(first))
    total, last = np.zeros(paths), np.zeros(paths)
    expected_news = math.sqrt(2 / math.pi)
    news_variance = 0.15**2 * (1 - 2 / math.pi) + 0.08**2
    for session in range(1, 22):
        z = rng.standard_normal(paths)
        last = phi * last + np.exp(0.5 * log_variance) * z
        total += last
        log_variance = 0.002 + 0.15 * (np.abs(z) - expected_news) - 0.08 * z + 0.97 * log_variance
        if session in HORIZONS:
            got = cumulative_variance(theta, EGARCH, first, 0.0, news_variance, session)
            assert got == pytest.approx(total.var(), rel=0.01 if session == 1 else 0.03)


def test_egarch_news_moments_are_those_of_the_fitted_residuals() -> None:
    rng = np.random.default_rng(0)
    work = np.full((WORK_ROWS, 50), np.nan)
    work[RESIDUAL], work[ROOT] = rng.standard_normal(50), rng.uniform(0.5, 2.0, 50)
    theta = theta_of(0.0, 0.0, 0.0, 0.2, -0.1, 0.9)
    z = work[RESIDUAL, :30] * work[ROOT, :30]
    news = 0.2 * (np.abs(z) - math.sqrt(2 / math.pi)) - 0.1 * z
    assert news_moments(theta, 30, work) == pytest.approx((news.mean(), news.var()), rel=1e-12)


def test_the_correction_of_egarch_is_held_below_ten() -> None:
    """News so wild that its exponential would say anything: at most ten times the variance of the median path."""
    theta = theta_of(0.0, 0.0, 0.0, 3.0, 0.0, 0.99)
    assert cumulative_variance(theta, EGARCH, 1.0, 0.0, 100.0, 21) == pytest.approx(1.0 + 20 * 10.0)


@settings(max_examples=200, deadline=None)
@given(
    persistence=st.floats(0.0, 1.0),
    share=st.floats(0.0, 1.0),
    skew=st.floats(0.0, 1.0),
    omega=st.floats(1e-6, 1.0),
    first=st.floats(1e-6, 100.0),
    horizon=st.integers(1, 60),
)
def test_a_longer_horizon_lies_between_today_and_the_long_run(
    persistence: float, share: float, skew: float, omega: float, first: float, horizon: int
) -> None:
    """The mean variance of a horizon is between the next session's and the unconditional one."""
    news = persistence * share
    theta = theta_of(0.0, 0.0, omega, 2 * news * skew, 2 * news * (1 - 2 * skew), persistence - news)
    mean = cumulative_variance(theta, GJR, first, 0.0, 0.0, horizon) / horizon
    long_run = omega / (1 - persistence) if persistence < 1 else math.inf
    slack = 1e-9 * (1 + mean)
    assert min(first, long_run) - slack <= mean <= max(first, long_run) + slack


class Filter:
    """A work space of unit mean square, and the forecasts made from it."""

    def __init__(self, residual: np.ndarray, theta: np.ndarray, fitted: int, volatility: int = GARCH) -> None:
        self.n = len(residual)
        self.work = np.full((WORK_ROWS, self.n), np.nan)
        self.work[RESIDUAL] = residual
        self.work[VARIANCE] = 1.0
        self.work[ROOT] = 1.0
        self.theta, self.fitted, self.volatility = theta, fitted, volatility

    def forecasts(self, rows: np.ndarray, refit_row: int, sessions: int, scale: float = 1.0) -> np.ndarray:
        out = np.full((len(HORIZONS), sessions), np.nan)
        filtered_forecasts(
            self.theta, self.volatility, self.fitted, refit_row, self.n, np.array(HORIZONS), scale, rows, self.work, out
        )  # fmt: skip
        return out

    def recent(self) -> np.ndarray:
        """(n,) exponentially weighted variance after each observation, spelled out."""
        out, smooth = np.empty(self.n), 1.0
        for t, e in enumerate(self.work[RESIDUAL]):
            smooth = out[t] = 0.94 * smooth + 0.06 * e * e
        return out


@pytest.mark.parametrize("absurd", [1e6, 1e-6])
@pytest.mark.parametrize("quiet", [0.001, 1.0, 30.0])
def test_no_forecast_is_insane(absurd: float, quiet: float) -> None:
    """Sixteen times or a sixteenth of the recent variance, above also of the window's, at most."""
    e = quiet * np.random.default_rng(0).standard_normal(100)
    case = Filter(e, theta_of(0.0, 0.0, absurd, 0.0, 0.0, 0.0), 60)
    got = case.forecasts(np.arange(100), 59, 100)[0, 59:]
    recent = case.recent()[59:]
    assert SANE == 16.0
    expected = 16.0 * np.maximum(recent, 1.0) if absurd > 1 else np.maximum(absurd, recent / 16.0)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_a_sane_forecast_is_left_as_it_is_and_scaled() -> None:
    e = np.random.default_rng(0).standard_normal(100)
    case = Filter(e, theta_of(0.0, 0.0, 0.1, 0.1, 0.0, 0.8), 60)
    got = case.forecasts(np.arange(100), 59, 100, scale=1e-4)
    np.testing.assert_allclose(got[0, 59:], 1e-4 * (0.1 + 0.1 * e[59:] ** 2 + 0.8), rtol=1e-12)
    first = got[0, 70] * 1e4
    assert got[1, 70] == pytest.approx(1e-4 * cumulative_variance(case.theta, GARCH, first, 0.0, 0.0, 5))


def test_a_price_that_stands_still_after_the_fit_keeps_a_positive_forecast() -> None:
    e = np.concatenate([np.random.default_rng(0).standard_normal(60), np.zeros(2000)])
    got = Filter(e, theta_of(0.0, 0.0, 1e-30, 0.0, 0.0, 0.0), 60).forecasts(np.arange(2060), 59, 2060)
    assert got[0, -1] == 1e-12
    assert (got[0, 59:] >= 1e-12).all()


def test_the_filter_is_bounded_after_the_fit_as_the_forecasts_are() -> None:
    e = np.random.default_rng(3).standard_normal(100)
    case = Filter(e, np.zeros(7), 60)
    bound_filter(60, 100, case.work)
    before = np.concatenate([[1.0], case.recent()[:-1]])
    assert np.isnan(case.work[[LOWER, UPPER], :60]).all(), "the fit's own bounds stay"
    np.testing.assert_allclose(case.work[LOWER, 60:], before[60:] / 16.0, rtol=1e-12)
    np.testing.assert_allclose(case.work[UPPER, 60:], 16.0 * np.maximum(before[60:], 1.0), rtol=1e-12)


def test_nothing_is_written_before_the_refit_nor_on_days_without_a_bar() -> None:
    """The fund's last return is three sessions before the refit: last month's forecast of that day stands."""
    e = np.random.default_rng(0).standard_normal(70)
    rows = np.concatenate([np.arange(60), np.arange(64, 84, 2)])
    out = Filter(e, theta_of(0.0, 0.0, 0.1, 0.1, 0.0, 0.8), 60).forecasts(rows, 62, 90)
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(out[0])), np.arange(64, 84, 2))
    on_the_day = Filter(e, theta_of(0.0, 0.0, 0.1, 0.1, 0.0, 0.8), 60).forecasts(rows, 59, 90)
    assert np.isfinite(on_the_day[:, 59]).all(), "the forecast at the close of the refit itself is written"


def test_forecasts_are_right_on_average() -> None:
    """Simulated GJR: squared returns over each horizon add up to their forecasts within 15 %."""
    returns = np.column_stack([simulated(s, 2400) for s in range(4)]) / 100
    history = walk_forward(
        returns, np.ones(returns.shape, dtype=np.int64), weekdays(2400), models=("gjr_t",), window=1000
    )
    for h, horizon in enumerate(HORIZONS):
        sums = np.full(returns.shape, np.nan)
        totals = np.cumsum(returns, axis=0)
        sums[:-horizon] = totals[horizon:] - totals[:-horizon]
        usable = np.isfinite(history.variance[h, 0]) & np.isfinite(sums)
        ratio = (sums[usable] ** 2).sum() / history.variance[h, 0][usable].sum()
        assert ratio == pytest.approx(1.0, abs=0.15), horizon
