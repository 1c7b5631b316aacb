"""Hedging errors by hand, their comparison against one reference, and that the better beta wins."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core import parallel
from etf_pipeline.core.risk.beta import ewma_beta, rolling_beta
from etf_pipeline.core.validation.diebold_mariano import diebold_mariano
from etf_pipeline.core.validation.hedging import hedging_by_class, hedging_error, judge_hedges
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.risk.beta_fixtures import consecutive, inputs, own_benchmarks


def calendar(length, start="2019-10-01"):
    return np.datetime64(start) + np.arange(length)


def some_errors(seed, length=900, funds=6, holes=0.1):
    rng = np.random.default_rng(seed)
    errors = {}
    common = 0.01 * rng.standard_t(5, (length, funds))
    for name, extra in (("static", 0.004), ("rolling", 0.003), ("kalman", 0.005)):
        errors[name] = common + extra * rng.normal(size=common.shape)
        errors[name][rng.random(common.shape) < holes] = np.nan
        errors[name][:100, 2] = np.nan
    errors["rolling"][:, 4] = np.nan
    return errors


# --- errors ----------------------------------------------------------------------------------------------------------


def test_hand_computed():
    r = np.array([[0.01], [0.02], [-0.03], [0.04]])
    x = np.array([0.01, 0.01, -0.02, 0.01])
    beta = np.array([[0.5], [1.0], [np.nan], [9.0]])
    error = hedging_error(r, consecutive(r), x, consecutive(x), beta)
    np.testing.assert_allclose(error[:, 0], [np.nan, 0.015, -0.01, np.nan], rtol=1e-12)
    two = hedging_error(r, consecutive(r), x, consecutive(x), beta, horizon=2)
    np.testing.assert_allclose(two[:, 0], [np.nan, np.nan, -0.01 + 0.005, 0.01 + 0.01], rtol=1e-12)


@pytest.mark.parametrize("horizon", [1, 3, 5])
def test_an_error_needs_every_return_of_its_horizon(horizon):
    rng = np.random.default_rng(1)
    x = rng.normal(0, 0.01, 60)
    r = rng.normal(0, 0.01, (60, 1))
    spanned, x_spanned = consecutive(r), consecutive(x)
    r[20], spanned[30], x[40], x_spanned[50] = np.nan, 2, np.nan, 3
    error = hedging_error(r, spanned, x, x_spanned, np.ones((60, 1)), horizon=horizon)
    missing = {t for at in (20, 30, 40, 50) for t in range(at, min(at + horizon, 60))} | set(range(horizon))
    assert set(np.flatnonzero(np.isnan(error[:, 0]))) == missing


def test_the_true_beta_leaves_the_noise():
    rng = np.random.default_rng(2)
    x = rng.normal(0, 0.01, 300)
    noise = rng.normal(0, 0.001, (300, 2))
    r = 1.3 * x[:, None] + noise
    error = hedging_error(r, consecutive(r), x, consecutive(x), np.full(r.shape, 1.3))
    np.testing.assert_allclose(error[1:], noise[1:], atol=1e-15)


@pytest.mark.parametrize("make", [inputs, own_benchmarks])
@pytest.mark.parametrize("horizon", [1, 5])
def test_errors_do_not_look_ahead(make, horizon):
    y, spanned, x, x_spanned = make(3)
    beta = rolling_beta(y, spanned, x, x_spanned).beta
    assert_causal(
        lambda *panels: {"error": hedging_error(*panels, horizon=horizon)},
        (y, spanned, x, x_spanned, beta),
        (1, 2, 5, 6, 200, 419),
    )
    later = beta.copy()
    later[300:] = 7.0  # the beta of a session does not hedge that session
    before, after = (hedging_error(y, spanned, x, x_spanned, b, horizon=horizon) for b in (beta, later))
    np.testing.assert_array_equal(after[: 300 + horizon], before[: 300 + horizon])


def test_an_over_hedged_week_is_where_late_exposure_shows():
    rng = np.random.default_rng(4)
    x = rng.normal(0, 0.01, 3000)
    r = (0.2 * x + 0.8 * np.concatenate([[0.0], x[:-1]]) + rng.normal(0, 0.002, 3000))[:, None]
    panels = r, consecutive(r), x, consecutive(x)

    def squared(beta, horizon):
        return np.nanmean(hedging_error(*panels, np.full(r.shape, beta), horizon=horizon) ** 2)

    assert squared(1.0, 1) > squared(0.2, 1)
    assert squared(1.0, 5) < 0.7 * squared(0.2, 5)


def test_impossible_horizon():
    y = np.zeros((4, 1))
    with pytest.raises(ValueError, match="horizon"):
        hedging_error(y, consecutive(y), y[:, 0], consecutive(y[:, 0]), y, horizon=0)


def test_a_panel_shorter_than_the_horizon():
    y = np.zeros((3, 2))
    assert np.isnan(hedging_error(y, consecutive(y), y[:, 0], consecutive(y[:, 0]), y, horizon=5)).all()


# --- records ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [1, 5])
def test_every_record_from_its_definition(horizon):
    errors, sessions = some_errors(11), calendar(900)
    table = judge_hedges(errors, sessions, horizon=horizon)
    years = sessions.astype("datetime64[Y]").astype(int) + 1970
    stacked = np.stack(list(errors.values()))
    seen = 0
    for i in range(len(table["fund"])):
        j, year = table["fund"][i], table["year"][i]
        use = ~np.isnan(stacked[:, :, j]).any(axis=0)
        use &= years == year if table["scope"][i] == "year" else years <= year
        own, base = errors[table["estimator"][i]][use, j] ** 2, errors["static"][use, j] ** 2
        _, statistic, p_value = diebold_mariano(own, base, horizon)
        assert table["observations"][i] == use.sum() > 0
        expected = [np.sqrt(own.mean() * 252 / horizon), own.mean() / base.mean(), statistic, p_value]
        found = [table[name][i] for name in ("rmse_annualised", "ratio_to_static", "statistic", "p_value")]
        np.testing.assert_allclose(found, expected, rtol=1e-9)
        seen += 1
    # 2019, 2020 and 2021 are over; fund 4 has no session that all know, fund 2 none in 2019.
    assert set(table["year"]) == {2019, 2020, 2021}
    assert seen == 3 * 2 * (5 * 3 - 1)


def test_records_are_ordered_and_unique():
    table = judge_hedges(some_errors(12), calendar(900))
    keys = list(zip(table["year"], table["scope"] == "to_date", table["fund"], strict=True))
    assert keys == sorted(keys)
    assert len(set(zip(*(table[k] for k in ("year", "scope", "fund", "estimator")), strict=True))) == len(
        keys
    )


def test_static_against_itself():
    table = judge_hedges(some_errors(13), calendar(900))
    own = table["estimator"] == "static"
    assert (table["ratio_to_static"][own] == 1.0).all()
    assert np.isnan(table["statistic"][own]).all()
    assert np.isnan(table["p_value"][own]).all()
    assert not np.isnan(table["statistic"][~own & (table["observations"] > 30)]).any()


@pytest.mark.parametrize("cut", [92, 93, 300, 458, 459, 460, 700])
def test_more_sessions_change_no_record(cut):
    errors, sessions = some_errors(14), calendar(900)
    whole = judge_hedges(errors, sessions)
    part = judge_hedges({name: e[:cut] for name, e in errors.items()}, sessions[:cut])
    over = whole["year"] < int(str(sessions[cut - 1])[:4])
    assert (cut > 92) == bool(over.any())
    for name, values in part.items():
        assert values.tobytes() == whole[name][over].tobytes(), name


def test_workers_and_other_funds_change_no_record():
    errors, sessions = some_errors(15), calendar(900)
    whole = judge_hedges(errors, sessions)
    parallel.set_workers(4)
    try:
        spread = judge_hedges(errors, sessions)
    finally:
        parallel.set_workers(0)
    few = judge_hedges({name: e[:, :2] for name, e in errors.items()}, sessions)
    for name, values in whole.items():
        np.testing.assert_array_equal(spread[name], values)
        np.testing.assert_array_equal(few[name], values[whole["fund"] < 2])


def test_a_static_hedge_that_leaves_nothing_has_no_ratio():
    errors = {"static": np.zeros((500, 1)), "other": np.full((500, 1), 0.01)}
    table = judge_hedges(errors, calendar(500))
    assert np.isnan(table["ratio_to_static"]).all()
    assert np.isnan(table["statistic"]).all()


def test_a_beta_that_moves_is_hedged_better_by_one_that_follows():
    rng = np.random.default_rng(16)
    length, funds = 1500, 40
    x = rng.normal(0, 0.01, length)
    noise = rng.normal(0, 0.003, (length, funds))
    r = np.where(np.arange(length) < 700, 0.5, 1.5)[:, None] * x[:, None] + noise
    panels = r, consecutive(r), x, consecutive(x)
    betas = {"static": ewma_beta(*panels, half_life=np.inf).beta, "ewma": ewma_beta(*panels).beta}
    errors = {name: hedging_error(*panels, beta) for name, beta in betas.items()}
    table = judge_hedges(errors, calendar(length))
    last = (table["year"] == 2022) & (table["scope"] == "to_date") & (table["estimator"] == "ewma")
    assert (table["ratio_to_static"][last] < 0.8).all()
    assert (table["p_value"][last] < 0.01).all()
    assert (table["statistic"][last] < -3).all()


def test_equal_merit_is_rarely_called_different():
    rng = np.random.default_rng(17)
    errors = {name: rng.normal(0, 0.01, (800, 1500)) for name in ("static", "other")}
    table = judge_hedges(errors, calendar(800))
    tested = (table["year"] == 2020) & (table["scope"] == "year") & (table["estimator"] == "other")
    assert 0.03 < (table["p_value"][tested] < 0.05).mean() < 0.08


def test_errors_that_do_not_fit_are_refused():
    errors = some_errors(18)
    with pytest.raises(ValueError, match="estimator 'kalman_x'"):
        judge_hedges(errors, calendar(900), static="kalman_x")
    with pytest.raises(ValueError, match="are"):
        judge_hedges({**errors, "short": np.zeros((899, 6))}, calendar(900))
    with pytest.raises(ValueError, match="sessions"):
        judge_hedges(errors, calendar(899))


def test_no_complete_year_gives_empty_columns():
    table = judge_hedges(some_errors(19, length=50), calendar(50))
    assert {len(values) for values in table.values()} == {0}
    assert {len(values) for values in hedging_by_class(table, np.zeros(6, int)).values()} == {0}


# --- by class --------------------------------------------------------------------------------------------------------


def test_classes_from_their_definition():
    table = judge_hedges(some_errors(20, funds=12), calendar(900))
    classes = np.array([0, 0, 0, 1, 1, 1, -1, -1, 0, 0, 1, 2])
    summary = hedging_by_class(table, classes, significance=0.2)
    total = 0
    for i in range(len(summary["funds"])):
        rows = np.ones(len(table["fund"]), bool)
        for name in ("horizon", "year", "scope", "estimator"):
            rows &= table[name] == summary[name][i]
        rows &= classes[table["fund"]] == summary["asset_class"][i]
        assert summary["funds"][i] == rows.sum() > 0
        total += rows.sum()
        assert summary["median_ratio_to_static"][i] == np.median(table["ratio_to_static"][rows])
        assert summary["median_rmse_annualised"][i] == np.median(table["rmse_annualised"][rows])
        sure = table["p_value"][rows] < 0.2
        assert summary["share_better"][i] == (sure & (table["statistic"][rows] < 0)).mean()
        assert summary["share_worse"][i] == (sure & (table["statistic"][rows] > 0)).mean()
    assert total == len(table["fund"])
    assert (summary["share_better"] > 0).any()


def test_a_fund_without_a_ratio_does_not_hide_its_class():
    rng = np.random.default_rng(21)
    errors = {name: rng.normal(0, 0.01, (500, 3)) for name in ("static", "other")}
    errors["static"][:, 0] = 0.0
    summary = hedging_by_class(judge_hedges(errors, calendar(500)), np.zeros(3, int))
    assert np.isfinite(summary["median_ratio_to_static"]).all()
    assert (summary["funds"] == 3).all()
