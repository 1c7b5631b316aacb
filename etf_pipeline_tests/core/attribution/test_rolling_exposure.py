"""Rolling factor exposures against least squares, statsmodels, and their promises on cuts, vintages and collinearity."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.attribution.alignment import align_factors, excess_return
from etf_pipeline.core.attribution.rolling_exposure import REASONS, rolling_exposure
from etf_pipeline.core.attribution.rolling_exposure_reference import window_regression
from etf_pipeline.core.parallel import set_workers
from etf_pipeline_tests.core.attribution.factor_fixtures import factor_market, us_six
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.risk.us_funds import us_returns

NAMES = (
    "loading",
    "standard_error",
    "alpha",
    "alpha_error",
    "r_squared",
    "residual_variance",
    "observations",
)


def assert_like_the_reference(panel, y, spanned, f, vintage, window, need, stale):
    compared = 0
    for t in range(0, len(y), 7):
        for j in range(y.shape[1]):
            v = vintage[t]
            if v < 0:
                assert REASONS[panel.reason[t, j]] == "factors_unknown"
                continue
            expected = (
                window_regression(y[:, j], spanned[:, j], f, t, vintage=v, window=window)
                if panel.observations[t, j] >= need
                else None
            )
            bars = np.flatnonzero(spanned[: t + 1, j] > 0)
            is_stale = len(bars) == 0 or t - bars[-1] > stale
            if expected is None or is_stale:
                assert np.isnan(panel.loading[t, j]).all()
                assert REASONS[panel.reason[t, j]] == ("stale" if is_stale else "too_few_observations")
                continue
            for name in NAMES:
                found = getattr(panel, name)[t, j]
                np.testing.assert_allclose(
                    found, getattr(expected, name), rtol=1e-9, atol=1e-13, err_msg=name
                )
            assert panel.reason[t, j] == 0
            compared += 1
    return compared


@pytest.mark.parametrize(("window", "need", "factors"), [(252, 126, 3), (63, 40, 6), (10, 4, 1)])
def test_equals_least_squares_in_every_window(window, need, factors):
    y, spanned, f = factor_market(4, factors=factors)
    panel = rolling_exposure(y, spanned, f, window=window, min_observations=need, max_stale_sessions=2)
    zeros = np.zeros(len(y), dtype=int)
    assert assert_like_the_reference(panel, y, spanned, f, zeros, window, need, 2) > 100


def test_returns_over_several_sessions_meet_factors_over_as_many():
    y, spanned, f = factor_market(5, hole=0.3)
    table = np.full((3, *f.shape), np.nan)
    table[0] = f
    table[1, 1:] = f[1:] + f[:-1]
    table[2, 2:] = f[2:] + f[1:-1] + f[:-2]
    panel = rolling_exposure(y, spanned, table, window=120, min_observations=60)
    single = rolling_exposure(y, spanned, f, window=120, min_observations=60)
    assert (panel.observations >= single.observations).all()
    assert panel.observations[-1].min() > single.observations[-1].min()
    zeros = np.zeros(len(y), dtype=int)
    assert assert_like_the_reference(panel, y, spanned, table, zeros, 120, 60, 5) > 100


def test_each_window_is_read_from_one_vintage():
    y, spanned, f = factor_market(6)
    rng = np.random.default_rng(0)
    tables = np.stack([f, f + rng.normal(0, 0.002, f.shape), f + rng.normal(0, 0.002, f.shape)])[:, None]
    vintage = np.where(np.arange(len(y)) < 30, -1, 0)
    vintage[150:] = 1
    vintage[203:210] = 2
    vintage[350:] = 2
    panel = rolling_exposure(y, spanned, tables, vintage=vintage, window=100, min_observations=50)
    assert assert_like_the_reference(panel, y, spanned, tables, vintage, 100, 50, 5) > 100
    alone = rolling_exposure(y, spanned, tables[1:2], window=100, min_observations=50)
    np.testing.assert_array_equal(panel.loading[210:350], alone.loading[210:350])


def test_a_cut_and_the_number_of_workers_change_nothing():
    y, spanned, f = factor_market(7, funds=9)
    vintage = (np.arange(len(y)) >= 200).astype(int)

    def stage(y, spanned, f, vintage):
        panel = rolling_exposure(
            y, spanned, np.stack([f, 1.01 * f])[:, None], vintage=vintage, window=60, min_observations=30
        )
        return {name: getattr(panel, name) for name in (*NAMES, "reason")}

    assert_causal(stage, (y, spanned, f, vintage), (61, 119, 120, 201, 333))
    try:
        set_workers(1)
        one = stage(y, spanned, f, vintage)
        set_workers(3)
        three = stage(y, spanned, f, vintage)
    finally:
        set_workers(0)
    for name, values in one.items():
        np.testing.assert_array_equal(values, three[name])


def test_what_funds_share_is_what_each_would_compute():
    y, spanned, f = factor_market(13, hole=0.0)
    table = np.stack([f, np.vstack([np.full((1, 3), np.nan), f[1:] + f[:-1]])])
    together = rolling_exposure(y, spanned, table, window=60, min_observations=30)
    spanned[-1] = 2  # one return of another span, and each fund computes its factors' part itself
    alone = rolling_exposure(y, spanned, table, window=60, min_observations=30)
    for name in NAMES:
        expected = getattr(together, name)[:-1]
        np.testing.assert_array_equal(getattr(alone, name)[:-1], expected, err_msg=name)
    last = window_regression(y[:, 0], spanned[:, 0], table, len(y) - 1, window=60)
    assert last.observations == together.observations[-1, 0]
    np.testing.assert_allclose(alone.loading[-1, 0], last.loading, rtol=1e-10)


def test_an_estimate_stands_for_some_sessions_without_a_bar():
    y, spanned, f = factor_market(12, hole=0.0)
    y[300:, 1], spanned[300:, 1] = np.nan, 0
    panel = rolling_exposure(y, spanned, f, max_stale_sessions=3)
    assert not np.isnan(panel.loading[299:303, 1]).any()
    assert np.isnan(panel.loading[303:, 1]).all()
    assert {REASONS[code] for code in panel.reason[303:, 1]} == {"stale"}


def test_a_huge_return_leaves_no_trace_once_it_has_left_the_window():
    y, spanned, f = factor_market(8, sessions=500, hole=0.0)
    clean = rolling_exposure(y, spanned, f, window=100, min_observations=50)
    y[200, 0] = 1e9
    dirty = rolling_exposure(y, spanned, f, window=100, min_observations=50)
    np.testing.assert_array_equal(dirty.loading[300:], clean.loading[300:])
    assert np.abs(dirty.loading[250, 0]).max() > 1e6


@pytest.mark.parametrize("noise", [0.0, 1e-12, 1e-7])
def test_collinear_factors_are_refused_with_the_reason(noise):
    y, spanned, f = factor_market(9, hole=0.0)
    twin = f[:, :1] + f[:, 1:2] + noise * np.random.default_rng(0).normal(size=(len(f), 1))
    panel = rolling_exposure(y, spanned, np.column_stack([f, twin]))
    enough = panel.observations >= 126
    assert np.isnan(panel.loading).all()
    assert np.isnan(panel.alpha).all()
    assert {REASONS[code] for code in panel.reason[enough]} == {"collinear_factors"}


def test_nearly_collinear_factors_keep_nine_digits():
    y, spanned, f = factor_market(10, hole=0.0)
    twin = f[:, :1] + 3e-5 * np.random.default_rng(0).normal(size=(len(f), 1))
    both = np.column_stack([f, twin])
    panel = rolling_exposure(y, spanned, both)
    expected = window_regression(y[:, 0], spanned[:, 0], both, len(y) - 1)
    assert panel.reason[-1, 0] == 0
    assert panel.standard_error[-1, 0, 0] > 5  # useless for judging, but right
    np.testing.assert_allclose(panel.loading[-1, 0], expected.loading, rtol=1e-9, atol=1e-9)


def test_a_factor_that_does_not_move_is_refused_and_a_fund_that_does_not_has_no_exposure():
    y, spanned, f = factor_market(11, hole=0.0)
    y[:, 0] = 0.001
    spanned[:, 0] = 1
    panel = rolling_exposure(y, spanned, f)
    np.testing.assert_allclose(panel.loading[-1, 0], 0.0, atol=1e-15)
    assert panel.alpha[-1, 0] == pytest.approx(0.001, rel=1e-12)
    assert np.isnan(panel.r_squared[-1, 0])
    f[:, 1] = 0.003
    assert REASONS[rolling_exposure(y, spanned, f).reason[-1, 1]] == "collinear_factors"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_observations": 4}, "factors \\+ 2"),
        ({"vintage": np.ones(420, dtype=int)}, "-1..0"),
        ({"factors": np.ones((419, 3))}, "420 sessions"),
        ({"factors": np.full((420, 3), np.inf)}, "finite"),
        ({"sessions_spanned": np.ones((420, 5), dtype=int)}, "sessions_spanned"),
    ],
)
def test_what_cannot_be_meant_is_refused(change, message):
    y, spanned, f = factor_market(1)
    arguments = {"excess_return": y, "sessions_spanned": spanned, "factors": f} | change
    with pytest.raises(ValueError, match=message):
        rolling_exposure(**arguments)


@pytest.mark.data
def test_real_funds_equal_statsmodels_and_load_as_their_names_promise(market_data):
    from statsmodels.regression.rolling import RollingOLS

    days, value, rf = us_six(market_data)
    funds = ["SPY", "IWM", "QQQ", "VTV", "MTUM"]
    sessions, returns, spanned = us_returns(market_data, funds)
    names = ("market_excess", "size", "value", "profitability", "investment", "momentum")
    aligned = align_factors(sessions, days, value, rf, names, lag_days=0)
    y = excess_return(returns, spanned, aligned)
    panel = rolling_exposure(y, spanned, aligned.value, min_observations=252)
    published = ~np.isnan(aligned.value[0]).any(axis=1)
    rows = np.flatnonzero(published & ~np.isnan(y[:, :4]).any(axis=1))
    assert len(rows) > 5000
    assert (np.diff(rows) == 1).all()
    for j in range(4):
        design = np.column_stack([np.ones(len(rows)), aligned.value[0, rows]])
        fit = RollingOLS(y[rows, j], design, 252).fit()
        np.testing.assert_allclose(panel.loading[rows[251:], j], fit.params[251:, 1:], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(panel.alpha[rows[251:], j], fit.params[251:, 0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(
            panel.standard_error[rows[251:], j], fit.bse[251:, 1:], rtol=1e-9, atol=1e-9
        )
        np.testing.assert_allclose(panel.r_squared[rows[251:], j], fit.rsquared[251:], rtol=1e-9, atol=1e-9)
    typical = np.nanmedian(panel.loading, axis=0)
    assert 0.97 < typical[0, 0] < 1.01  # SPY's market
    assert typical[1, 1] > 0.7  # IWM's size
    assert typical[2, 2] < -0.1 < 0.1 < typical[3, 2]  # growth and value
    assert typical[4, 5] > 0.1  # momentum
