"""Judging forecasts: measures of known forecasts, and no year that needs a later one."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from etf_pipeline.core.validation.forecast_bias import (
    JudgedForecasts,
    judge_forecasts,
    mincer_zarnowitz_slope,
)

DAYS = np.arange(np.datetime64("2019-01-01"), np.datetime64("2022-03-01"))
SESSIONS = DAYS[np.is_busday(DAYS)]
CLASSES = np.array([0, 0, 0, 0, 0, 0, 1, 1, -1, -1])
NAMES = np.array(["bonds", "gold"], dtype=object)


def drawn(seed: int = 0, bias: float = 0.01, slope: float = 0.5, horizon: int = 5) -> JudgedForecasts:
    rng = np.random.default_rng(seed)
    shape = (len(SESSIONS), len(CLASSES))
    raw = rng.normal(0, 0.02, shape)
    realised = bias + slope * raw + rng.normal(0, 0.02, shape)
    realised[-horizon:] = np.nan
    corrected = bias + slope * raw
    half = 1.2815515655446004 * 0.02
    return JudgedForecasts(horizon, raw, corrected, corrected - half, corrected + half, realised)


def table_of(forecasts: JudgedForecasts, rows: int | None = None) -> dict[str, np.ndarray]:
    part = {k: v[:rows] if isinstance(v, np.ndarray) else v for k, v in vars(forecasts).items()}
    return judge_forecasts(JudgedForecasts(**part), SESSIONS[:rows], CLASSES, NAMES)


def row_of(table, year, scope="to_date", asset_class="all"):
    at = (table["year"] == year) & (table["scope"] == scope) & (table["asset_class"] == asset_class)
    assert at.sum() == 1
    return {name: values[at][0] for name, values in table.items()}


def test_bias_slope_coverage_and_brier_of_known_forecasts():
    row = row_of(table_of(drawn()), 2021)
    assert row["bias_raw"] == pytest.approx(0.01, abs=0.001)
    assert row["bias_corrected"] == pytest.approx(0.0, abs=0.001)
    assert row["slope_raw"] == pytest.approx(0.5, abs=0.03)
    assert row["slope_corrected"] == pytest.approx(1.0, abs=0.06)
    assert row["coverage"] == pytest.approx(0.8, abs=0.01)
    assert row["brier_corrected"] < row["brier_raw"]
    assert row["verdict"] == "skill"


def test_the_slope_within_sessions_is_that_of_a_regression_with_an_effect_for_each_session():
    forecasts = drawn(3)
    market = np.random.default_rng(4).normal(0, 0.05, (len(SESSIONS), 1))
    moved = JudgedForecasts(**vars(forecasts) | {"realised": forecasts.realised + market})
    row = row_of(table_of(moved), 2019)
    some = (np.datetime64("2020-01-01") > SESSIONS).sum() - 5
    raw, realised = moved.raw[:some], moved.realised[:some]
    effects = np.repeat(np.eye(some), len(CLASSES), axis=0)
    fit = sm.OLS(realised.ravel(), np.column_stack([raw.ravel(), effects])).fit()
    assert row["slope_within_raw"] == pytest.approx(fit.params[0], rel=1e-9)
    assert row["slope_within_raw_standard_error"] < row["slope_raw_standard_error"]
    assert row["slope_within_corrected"] == pytest.approx(1.0, abs=0.15)


def test_sessions_of_one_fund_say_nothing_about_the_order_of_funds():
    forecasts = drawn(5)
    alone = np.full_like(forecasts.raw, np.nan)
    alone[:, 0], alone[7, 1] = forecasts.raw[:, 0], forecasts.raw[7, 1]
    row = row_of(table_of(JudgedForecasts(**vars(forecasts) | {"raw": alone})), 2020)
    assert row["sessions"] > 200
    assert np.isfinite(row["slope_raw"])
    assert np.isnan(row["slope_within_raw"])
    assert np.isnan(row["slope_within_raw_standard_error"])


def test_forecasts_of_nothing_show_no_skill():
    row = row_of(table_of(drawn(1, bias=0.0, slope=0.0)), 2021)
    assert row["verdict"] == "no_skill_shown"


def test_few_sessions_are_too_short_for_a_verdict():
    row = row_of(table_of(drawn(horizon=63)), 2019)
    assert row["verdict"] == "too_short"


def test_classes_are_judged_apart_and_the_unknown_only_among_all():
    table = table_of(drawn())
    assert set(table["asset_class"]) == {"all", "bonds", "gold"}
    counts = {n: row_of(table, 2020, "year", n)["observations"] for n in ("all", "bonds", "gold")}
    assert counts["bonds"] * 10 == counts["all"] * 6
    assert counts["gold"] * 10 == counts["all"] * 2


def test_a_forecast_counts_in_the_year_in_which_its_outcome_was_known():
    forecasts = drawn(horizon=5)
    first = (np.datetime64("2020-01-01") > SESSIONS).sum()
    assert row_of(table_of(forecasts), 2019)["sessions"] == first - 5


def test_later_sessions_change_no_earlier_year():
    forecasts = drawn()
    whole, cut = table_of(forecasts), 600  # in 2021
    part = table_of(forecasts, cut)
    assert set(part["year"]) == {2019, 2020}
    for year in (2019, 2020):
        for scope in ("year", "to_date"):
            for name in ("all", "bonds", "gold"):
                one, two = row_of(whole, year, scope, name), row_of(part, year, scope, name)
                assert str(one) == str(two)


def test_without_a_complete_year_there_is_nothing():
    assert table_of(drawn(), 100) == {}


def test_the_slope_is_that_of_a_regression_with_clustered_errors():
    rng = np.random.default_rng(3)
    day = np.repeat(np.arange(60), 8)
    x = rng.normal(size=480)
    y = 0.2 + 0.7 * x + rng.normal(size=60)[day] + rng.normal(size=480)
    slope, error = mincer_zarnowitz_slope(x, y, day, 1)
    theirs = sm.OLS(y, sm.add_constant(x)).fit(
        cov_type="cluster", cov_kwds={"groups": day, "use_correction": False}
    )
    assert slope == pytest.approx(theirs.params[1])
    assert error == pytest.approx(theirs.bse[1])
    assert mincer_zarnowitz_slope(x, y, day, 9)[1] == pytest.approx(3 * error)


def test_forecasts_that_are_all_the_same_have_no_slope():
    assert np.isnan(mincer_zarnowitz_slope(np.ones(50), np.arange(50.0), np.arange(50), 1)).all()
