"""Means of a year and to date, with the t values of the test they share with the forecasts."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.regression.linear_model import OLS

from etf_pipeline.core.validation.diebold_mariano import diebold_mariano
from etf_pipeline.core.validation.yearly_mean import yearly_means

ENDS = np.array([250, 500, 740])


def some_series(seed=0, holes=0.1):
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, (4, 800))
    series = np.apply_along_axis(lambda x: np.convolve(x, np.ones(5), "same"), 1, noise) + 0.3
    series[rng.random(series.shape) < holes] = np.nan
    series[3, :300] = np.nan
    return series


@pytest.mark.parametrize("horizon", [1, 5, 63])
def test_each_period_is_that_of_the_plain_test(horizon):
    series = some_series()
    means = yearly_means(series, ENDS, horizon)
    for p, k in np.ndindex(3, len(series)):
        begin = ENDS[p - 1] if p else 0
        for s, first in enumerate((begin, 0)):
            values = series[k, first : ENDS[p]]
            values = values[~np.isnan(values)]
            mean, statistic, _ = diebold_mariano(values, np.zeros(len(values)), horizon)
            assert means.observations[p, s, k] == len(values)
            assert means.mean[p, s, k] == pytest.approx(mean, rel=1e-9, nan_ok=True)
            assert means.t_value[p, s, k] == pytest.approx(statistic, rel=1e-7, nan_ok=True)
            deviation = values.std(ddof=1) if len(values) > 1 else np.nan
            assert means.standard_deviation[p, s, k] == pytest.approx(deviation, rel=1e-9, nan_ok=True)


def test_at_horizon_one_it_is_newey_and_west():
    values = some_series(1, holes=0.0)[0, :740]
    lags = int(4.0 * (740 / 100.0) ** (2.0 / 9.0))
    fit = OLS(values, np.ones(740)).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False})
    got = yearly_means(values[None], np.array([740]), 1).t_value[0, 1, 0]
    # A factor for the small sample on top, within a hundredth at this length.
    assert got == pytest.approx(float(fit.tvalues[0]), rel=0.01)
    assert abs(got) < abs(float(fit.tvalues[0]))


def test_cutting_the_series_leaves_earlier_years():
    series = some_series(2)
    whole, part = yearly_means(series, ENDS, 5), yearly_means(series[:, :600], ENDS[:2], 5)
    for name in ("observations", "mean", "standard_deviation", "t_value"):
        assert getattr(part, name).tobytes() == np.ascontiguousarray(getattr(whole, name)[:2]).tobytes()


def test_too_little_is_not_tested():
    short = yearly_means(some_series(3)[:, :29], np.array([29]), 1)
    assert np.isnan(short.t_value).all()
    assert np.isnan(
        yearly_means(some_series(3), ENDS, 100).t_value[:, 0]
    ).all()  # not five horizons in a year
    constant = yearly_means(np.full((1, 100), 0.2), np.array([100]), 1)
    assert constant.mean[0, 0, 0] == pytest.approx(0.2)
    assert np.isnan(constant.t_value).all()
    nothing = yearly_means(np.full((1, 100), np.nan), np.array([100]), 1)
    assert nothing.observations.max() == 0
    assert np.isnan(nothing.mean).all()
    assert yearly_means(np.ones((2, 5)), np.array([], dtype=int), 1).mean.shape == (0, 2, 2)
