"""Value-at-risk backtests: counts spelled out, scaling over holes, size, power, cuts, degenerate input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from etf_pipeline.core.market.returns import total_return
from etf_pipeline.core.validation.coverage import independence_statistic, kupiec_statistic
from etf_pipeline.core.validation.periods import complete_years
from etf_pipeline.core.validation.value_at_risk import evaluate_value_at_risk
from etf_pipeline_tests.core.random_market import random_market


def weekdays(count, first="2018-03-01"):
    return np.busday_offset(first, np.arange(count), roll="forward")


def normal(volatility, level):
    """Value at risk and expected shortfall of normal returns with this volatility a session."""
    quantile = stats.norm.ppf(1 - level)
    return quantile * volatility, -stats.norm.pdf(quantile) / (1 - level) * volatility


def inputs(seed, sessions=900, funds=6):
    """Returns with holes; forecasts too small, with gaps, gains and crossed pairs among them."""
    m = random_market(seed, sessions=sessions, funds=funds)
    p = total_return(m.close, m.accepted, m.scale, m.split, m.distribution, basis="as_traded")
    rng = np.random.default_rng(seed + 50)
    forecasts = {}
    for level in (0.95, 0.99):
        var, es = normal(0.007 * rng.lognormal(0, 0.2, p.total_return.shape), level)
        var[rng.random(var.shape) < 0.02] = np.nan
        var[rng.random(var.shape) < 0.01] = 0.0
        es[rng.random(var.shape) < 0.01] *= 0.1
        es[rng.random(var.shape) < 0.01] = -np.inf
        es[rng.random(var.shape) < 0.01] = np.nan
        gain = rng.random(var.shape) < 0.01
        var[gain], es[gain] = 0.002, rng.choice([-0.001, 0.001], gain.sum())
        forecasts[level] = var, es
    return p.total_return, p.sessions_spanned, weekdays(sessions), forecasts


def constant(returns, volatility, level=0.95):
    """Backtest of (S, N) consecutive returns under one normal forecast."""
    var, es = normal(np.full(returns.shape, volatility), level)
    sessions = weekdays(len(returns), "2001-01-01")
    return evaluate_value_at_risk(returns, np.ones(returns.shape, int), sessions, {level: (var, es)})


def last(result):
    """To-date rows of the last year."""
    frame = pd.DataFrame(result.coverage)
    return frame[(frame["scope"] == "to_date") & (frame["year"] == frame["year"].max())]


def test_every_row_equals_the_definitions():
    returns, spanned, sessions, forecasts = inputs(1)
    result = evaluate_value_at_risk(returns, spanned, sessions, forecasts)
    years = complete_years(sessions)
    table = pd.DataFrame(result.coverage)
    assert table["exceptions"].sum() > 300
    assert table["forecasts_invalid"].sum() > 100
    assert table["forecasts_not_negative"].sum() > 100
    assert {True, False} == set(table["judged"])
    listed = []
    for _, ours in table.iterrows():
        p, j, level = int(np.flatnonzero(years.year == ours["year"])[0]), ours["fund"], ours["level"]
        begin = years.begin[p] if ours["scope"] == "year" else 0
        missing = invalid = 0
        hits, losses, severity = [], [], []
        for t in range(begin, years.end[p]):
            n = spanned[t, j]
            if n == 0 or np.isnan(returns[t, j]):
                continue
            var, es = (panel[t - n, j] * np.sqrt(n) for panel in forecasts[level])
            if np.isnan(var) or np.isnan(es):
                missing += 1
            elif not (-np.inf < es <= var < np.inf):
                invalid += 1
            else:
                hits.append(int(returns[t, j] < var))
                losses.append(var < 0)
                if hits[-1]:
                    if var < 0:
                        severity.append(returns[t, j] / es)
                    if ours["scope"] == "year":
                        listed.append((t, j, level, returns[t, j], var, es))
        probability = {0.95: 0.05, 0.99: 0.01}[level]
        assert (ours["forecasts_missing"], ours["forecasts_invalid"]) == (missing, invalid)
        assert (ours["observations"], ours["exceptions"]) == (len(hits), sum(hits))
        assert ours["forecasts_not_negative"] == len(hits) - sum(losses)
        assert ours["expected_exceptions"] == pytest.approx(probability * len(hits), rel=1e-15)
        assert ours["judged"] == (len(hits) >= {0.95: 20, 0.99: 100}[level])
        if not ours["judged"]:
            assert (
                ours[[c for c in table if c.endswith(("statistic", "p_value")) or c in ("z1", "z2")]]
                .isna()
                .all()
            )
            continue
        assert ours["kupiec_statistic"] == pytest.approx(
            float(kupiec_statistic(sum(hits), len(hits), probability)), rel=1e-9, nan_ok=True
        )
        transitions = np.zeros((2, 2))
        np.add.at(transitions, (hits[:-1], hits[1:]), 1)
        assert ours["independence_statistic"] == pytest.approx(
            float(independence_statistic(transitions)), rel=1e-9, abs=1e-9, nan_ok=True
        )
        if sum(losses) * probability >= 1:
            assert ours["z2"] == pytest.approx(1 - np.sum(severity) / (probability * sum(losses)), rel=1e-12)
        else:
            assert np.isnan([ours["z1"], ours["z2"]]).all()
            continue
        if severity:
            assert ours["z1"] == pytest.approx(1 - np.mean(severity), rel=1e-12)
    ours = pd.DataFrame(result.exceptions)
    ours = ours[ours["row"] < years.end[-1]]
    columns = ["row", "fund", "level", "total_return", "value_at_risk", "expected_shortfall"]
    np.testing.assert_allclose(ours[columns].to_numpy(float), np.array(sorted(listed)), rtol=1e-14)


def test_the_forecast_of_the_previous_close_judges():
    returns = np.zeros((600, 1))
    returns[300] = -0.05
    for made_at, exceptions in ((299, 0), (300, 1)):
        var = np.full((600, 1), -0.01)
        var[made_at] = -0.10
        result = evaluate_value_at_risk(
            returns, np.ones(returns.shape, int), weekdays(600), {0.99: (var, 1.2 * var)}
        )
        assert len(result.exceptions["row"]) == exceptions


def test_a_return_over_n_sessions_meets_the_forecast_of_its_first_close_times_sqrt_n():
    returns, spanned = np.zeros((600, 1)), np.ones((600, 1), int)
    spanned[297:300], returns[297:300] = 0, np.nan
    spanned[300] = 4
    var = np.full((600, 1), -0.03)
    var[296] = -0.01
    for r, hit in ((-0.0199, False), (-0.0201, True)):
        returns[300] = r
        result = evaluate_value_at_risk(returns, spanned, weekdays(600), {0.95: (var, 1.5 * var)})
        assert (len(result.exceptions["row"]) == 1) is hit
    assert result.exceptions["sessions_spanned"].tolist() == [4]
    np.testing.assert_allclose(result.exceptions["value_at_risk"], -0.02, rtol=1e-15)
    np.testing.assert_allclose(result.exceptions["expected_shortfall"], -0.03, rtol=1e-15)


def test_a_return_equal_to_value_at_risk_is_no_exception():
    returns = np.zeros((600, 1))
    returns[10], returns[11] = -0.01, np.nextafter(-0.01, -1)
    var = np.full((600, 1), -0.01)
    result = evaluate_value_at_risk(returns, np.ones((600, 1), int), weekdays(600), {0.95: (var, 1.2 * var)})
    assert result.exceptions["row"].tolist() == [11]


def test_worked_example():
    # 250 sessions of a year, 99 %: exceptions of severity 1.5 on two consecutive sessions, 0.9 on a third.
    sessions = weekdays(270, "2018-01-01")
    returns = np.zeros((270, 1))
    var, es = np.full((2, 270, 1), [[[-0.02]], [[-0.025]]])
    returns[100:102], returns[200] = -0.0375, -0.0225
    result = evaluate_value_at_risk(returns, np.ones((270, 1), int), sessions, {0.99: (var, es)})
    row = last(result).iloc[0]
    n = 260  # weekdays of 2018 but the first, which has no forecast before it
    assert (row["observations"], row["exceptions"]) == (n, 3)
    assert row["expected_exceptions"] == pytest.approx(2.6)
    assert (row["lowest_accepted"], row["highest_accepted"]) == (1, 6)
    assert row["z1"] == pytest.approx(1 - 3.9 / 3, rel=1e-13)
    assert row["z2"] == pytest.approx(1 - 3.9 / 2.6, rel=1e-13)
    expected = 2 * (3 * np.log(3 / n / 0.01) + 257 * np.log(257 / n / 0.99))
    assert row["kupiec_statistic"] == pytest.approx(expected, rel=1e-10)
    table = np.array([[254, 2], [2, 1]])
    assert row["independence_statistic"] == pytest.approx(float(independence_statistic(table)), rel=1e-12)
    assert row["independence_p_value"] < 0.05
    assert row["conditional_coverage_statistic"] == pytest.approx(
        row["kupiec_statistic"] + row["independence_statistic"], rel=1e-14
    )
    assert row["conditional_coverage_p_value"] == pytest.approx(
        stats.chi2.sf(row["conditional_coverage_statistic"], 2), rel=1e-10
    )


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_sizes_of_a_correct_model(level):
    returns = 0.01 * np.random.default_rng(2).standard_normal((1300, 1500))
    rows = last(constant(returns, 0.01, level))
    assert len(rows) == 1500
    assert rows["exceptions"].mean() == pytest.approx(rows["expected_exceptions"].iloc[0], rel=0.02)
    for test, largest in (("kupiec", 0.07), ("conditional_coverage", 0.10), ("z1", 0.065), ("z2", 0.065)):
        rejected = np.mean(rows[f"{test}_p_value"] < 0.05)
        assert 0.02 < rejected < largest, test


def test_half_the_value_at_risk_is_rejected():
    returns = 0.01 * np.random.default_rng(3).standard_normal((600, 200))
    rows = last(constant(returns, 0.005))
    for test in ("kupiec", "conditional_coverage", "z2"):
        assert (rows[f"{test}_p_value"] < 0.01).mean() > 0.99, test
    assert (rows["exceptions"] > rows["highest_accepted"]).mean() > 0.99


def test_twice_the_value_at_risk_is_rejected_by_coverage_but_not_by_shortfall():
    returns = 0.01 * np.random.default_rng(4).standard_normal((1300, 200))
    rows = last(constant(returns, 0.02))
    assert (rows["kupiec_p_value"] < 0.05).mean() > 0.99
    assert (rows["exceptions"] < rows["lowest_accepted"]).mean() > 0.99
    assert (rows["z2_p_value"] > 0.5).all()


def test_volatility_that_comes_in_spells_fails_independence():
    rng = np.random.default_rng(5)
    volatility = np.where(np.arange(1300) // 65 % 4 == 0, 0.02, 0.005)[:, None]
    rows = last(constant(volatility * rng.standard_normal((1300, 200)), 0.0107))
    assert (rows["independence_p_value"] < 0.05).mean() > 0.6


@pytest.mark.parametrize("seed", range(2))
def test_cutting_changes_no_earlier_row(seed):
    returns, spanned, sessions, forecasts = inputs(seed)
    whole = evaluate_value_at_risk(returns, spanned, sessions, forecasts)
    years = complete_years(sessions)
    for cut in (0, 1, 200, *years.end, *(years.end + 1), 899):
        part = evaluate_value_at_risk(
            returns[:cut].copy(),
            spanned[:cut].copy(),
            sessions[:cut],
            {level: tuple(p[:cut].copy() for p in pair) for level, pair in forecasts.items()},
        )
        done = complete_years(sessions[:cut]).year
        assert len(part.coverage["year"]) == np.isin(whole.coverage["year"], done).sum()
        assert len(part.exceptions["row"]) == (whole.exceptions["row"] < cut).sum()
        for name in ("coverage", "exceptions"):
            for column, values in getattr(part, name).items():
                expected = getattr(whole, name)[column][: len(values)]
                assert values.dtype == expected.dtype, column
                assert values.tobytes() == expected.tobytes(), f"{column} cut at {cut}"


def test_other_funds_and_levels_change_nothing():
    returns, spanned, sessions, forecasts = inputs(7)
    whole = evaluate_value_at_risk(returns, spanned, sessions, forecasts)
    var, es = forecasts[0.99]
    alone = evaluate_value_at_risk(
        returns[:, 2:3], spanned[:, 2:3], sessions, {0.99: (var[:, 2:3], es[:, 2:3])}
    )
    for name in ("coverage", "exceptions"):
        full, part = getattr(whole, name), getattr(alone, name)
        chosen = (full["fund"] == 2) & (full["level"] == 0.99)
        assert chosen.any()
        for column, values in part.items():
            if column != "fund":
                assert values.tobytes() == full[column][chosen].tobytes(), column


def test_a_loss_under_a_forecast_of_none_is_an_exception():
    zero = np.zeros((600, 1))
    returns = zero.copy()
    returns[[300, 301, 310]] = -0.02
    result = evaluate_value_at_risk(returns, np.ones((600, 1), int), weekdays(600), {0.95: (zero, zero)})
    row = last(result).iloc[0]
    assert (row["observations"], row["exceptions"], row["forecasts_invalid"]) == (478, 3, 0)
    assert row["forecasts_not_negative"] == row["observations"]
    assert result.exceptions["row"].tolist() == [300, 301, 310]
    assert row["kupiec_p_value"] < 0.01
    assert not np.isnan(row["independence_p_value"])
    # A loss cannot be measured by an expected loss of nothing.
    assert np.isnan(row[["z1", "z1_p_value", "z2", "z2_p_value"]].to_numpy(float)).all()


def test_a_value_at_risk_that_is_a_gain_is_judged_like_any_other():
    rng = np.random.default_rng(6)
    returns = 0.001 + 1e-4 * rng.standard_normal((1300, 300))
    var, es = (0.001 + np.full(returns.shape, v) for v in normal(1e-4, 0.95))
    assert (var > es).all()
    assert (es > 0).all()
    result = evaluate_value_at_risk(returns, np.ones(returns.shape, int), weekdays(1300), {0.95: (var, es)})
    rows = last(result)
    assert (rows["forecasts_not_negative"] == rows["observations"]).all()
    assert rows["exceptions"].sum() / rows["observations"].sum() == pytest.approx(0.05, rel=0.02)
    assert 0.02 < (rows["kupiec_p_value"] < 0.05).mean() < 0.08


def test_shortfall_is_judged_on_the_forecasts_of_a_loss_alone():
    returns = np.zeros((600, 1))
    returns[[200, 400]] = -0.03
    var, es = np.full((600, 1), -0.01), np.full((600, 1), -0.02)
    var[300:], es[300:] = 0.0, 0.0
    sessions = weekdays(600)
    row = last(evaluate_value_at_risk(returns, np.ones((600, 1), int), sessions, {0.95: (var, es)})).iloc[0]
    losses = 300  # rows 1..300 meet the forecasts of rows 0..299
    assert row["observations"] - row["forecasts_not_negative"] == losses
    assert row["exceptions"] == 2
    assert row["z1"] == pytest.approx(1 - 1.5)
    assert row["z2"] == pytest.approx(1 - 1.5 / (0.05 * losses))


@pytest.mark.parametrize(("level", "needed"), [(0.95, 20), (0.99, 100)])
@pytest.mark.parametrize("short", [0, 1])
def test_a_year_is_judged_once_an_exception_was_to_be_expected(level, needed, short):
    returns = np.full((600, 1), np.nan)
    returns[1 : 1 + needed - short] = 0.001
    returns[5] = -0.2
    row = last(constant(returns, 0.01, level)).iloc[0]
    assert (row["observations"], row["exceptions"]) == (needed - short, 1)
    assert row["judged"] == (short == 0)
    for column in (
        "kupiec_p_value",
        "independence_p_value",
        "conditional_coverage_p_value",
        "z1",
        "z2_p_value",
    ):
        assert np.isnan(row[column]) == (short == 1), column


def test_a_year_without_observations_is_listed_but_not_judged():
    returns = np.full((600, 1), 0.001)
    none = np.full((600, 1), np.nan)
    result = evaluate_value_at_risk(
        returns, np.ones((600, 1), int), weekdays(600), {0.95: (none, none)}, min_expected_exceptions=0
    )
    assert not result.coverage["judged"].any()
    assert (result.coverage["forecasts_missing"] > 200).all()


def test_no_exceptions():
    row = last(constant(np.zeros((600, 1)), 0.01, 0.99)).iloc[0]
    assert (row["exceptions"], row["z2"], row["z2_p_value"]) == (0, 1.0, 1.0)
    assert np.isnan([row["z1"], row["z1_p_value"]]).all()
    assert row["independence_statistic"] == pytest.approx(0, abs=1e-12)
    assert row["kupiec_p_value"] < 0.05


def test_a_giant_loss_is_one_exception():
    returns = np.zeros((600, 1))
    returns[50] = -1e9
    row = last(constant(returns, 0.01)).iloc[0]
    assert row["exceptions"] == 1
    assert row["z2_p_value"] == 0.0
    assert row["z1"] < -1e9


def test_funds_without_returns_have_no_rows():
    returns = np.full((600, 2), np.nan)
    returns[:, 1] = 0.001
    spanned = np.where(np.isnan(returns), 0, 1)
    forecast = np.full((600, 2), -0.01)
    result = evaluate_value_at_risk(returns, spanned, weekdays(600), {0.95: (forecast, forecast)})
    assert set(result.coverage["fund"]) == {1}


def test_no_levels_and_no_complete_year_give_no_rows():
    returns = np.zeros((50, 1))
    for forecasts in ({}, {0.95: (returns - 0.01, returns - 0.02)}):
        result = evaluate_value_at_risk(returns, np.ones((50, 1), int), weekdays(50), forecasts)
        assert all(len(c) == 0 for table in vars(result).values() for c in table.values())


def test_errors():
    returns = np.zeros((50, 1))
    with pytest.raises(ValueError, match=r"between 0\.5 and 1, not 0\.01"):
        evaluate_value_at_risk(returns, np.ones((50, 1), int), weekdays(50), {0.01: (returns, returns)})
    with pytest.raises(ValueError, match=r"forecasts at 0\.95 are \(1, 1\)"):
        evaluate_value_at_risk(returns, np.ones((50, 1), int), weekdays(50), {0.95: (returns, returns[:1])})
