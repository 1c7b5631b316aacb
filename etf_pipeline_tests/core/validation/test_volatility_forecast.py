"""Variance forecasts judged: definitions spelled out, ranking, years, cuts, workers, degenerate input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.market.returns import total_return
from etf_pipeline.core.parallel import set_workers
from etf_pipeline.core.risk import ewma_volatility
from etf_pipeline.core.validation.diebold_mariano import diebold_mariano
from etf_pipeline.core.validation.periods import complete_years
from etf_pipeline.core.validation.volatility_forecast import (
    SMALLEST_VARIANCE,
    evaluate_volatility_forecasts,
    realised_variance,
    rolling_variance,
)
from etf_pipeline_tests.core.random_market import assert_causal, random_market

BASELINES = ("slow", "fast")


def weekdays(count, first="2018-03-01"):
    return np.busday_offset(first, np.arange(count), roll="forward")


def inputs(seed, sessions=900, funds=5, horizon=5):
    """Returns with holes and forecasts of three models, with gaps, zeros and an infinity."""
    m = random_market(seed, sessions=sessions, funds=funds)
    p = total_return(m.close, m.accepted, m.scale, m.split, m.distribution, basis="as_traded")
    rng = np.random.default_rng(seed + 100)
    forecasts = {}
    for name, window in (("slow", 60), ("fast", 15), ("other", 30)):
        panel = horizon * rolling_variance(
            p.total_return, p.sessions_spanned, window=window, min_observations=10
        )
        panel *= rng.lognormal(0, 0.2, panel.shape)
        panel[rng.random(panel.shape) < 0.02] = np.nan
        panel[rng.random(panel.shape) < 0.01] = 0.0
        forecasts[name] = panel
    forecasts["other"][200:, 0][:1] = np.inf
    return p.total_return, p.sessions_spanned, weekdays(sessions), forecasts


def evaluate(returns, spanned, sessions, forecasts, horizon=5, baselines=BASELINES):
    return evaluate_volatility_forecasts(returns, spanned, sessions, forecasts, horizon, baselines=baselines)


def one_fund(variance, realised_return, sessions=None, **models):
    """A fund with this return every session, under forecasts that are numbers or columns."""
    sessions = weekdays(600) if sessions is None else sessions
    returns = np.broadcast_to(np.asarray(realised_return, dtype=float), len(sessions))[:, None].copy()
    panels = {
        name: np.broadcast_to(np.asarray(value, dtype=float), len(sessions))[:, None].copy()
        for name, value in {"slow": variance, "fast": variance, **models}.items()
    }
    return evaluate(returns, np.ones(returns.shape, dtype=int), sessions, panels, horizon=1)


def row(table, **key):
    """The only row with these keys, as a dict."""
    frame = pd.DataFrame(table)
    for name, value in key.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def realised_by_hand(returns, spanned, horizon):
    """The target from the list of bars: the closes t - horizon and t exist and all in between is known."""
    out = np.full(returns.shape, np.nan)
    for t, j in np.ndindex(returns.shape):
        bars = [s for s in range(t - horizon + 1, t + 1) if s >= 0 and spanned[s, j] > 0]
        if t < horizon or t not in bars or bars[0] - spanned[bars[0], j] != t - horizon:
            continue
        squares = [returns[s, j] ** 2 for s in bars]
        out[t, j] = np.sum(squares)
    return out


@pytest.mark.parametrize("horizon", [1, 5, 21])
def test_realised_variance_equals_the_definition(horizon):
    returns, spanned, *_ = inputs(1, sessions=300, funds=8)
    expected = realised_by_hand(returns, spanned, horizon)
    assert 0.2 < np.isfinite(expected).mean() < 1
    np.testing.assert_allclose(realised_variance(returns, spanned, horizon), expected, rtol=1e-12)


def test_a_return_over_several_sessions_counts_as_it_is():
    returns = np.array([[0.01, np.nan, 0.03, 0.02]]).T
    spanned = np.array([[1, 0, 2, 1]]).T
    # Row 2 ends two sessions after the bar of row 0; row 3's two sessions begin where there is no bar.
    np.testing.assert_allclose(
        realised_variance(returns, spanned, 2)[:, 0], [np.nan, np.nan, 0.0009, np.nan], rtol=1e-14
    )
    np.testing.assert_allclose(realised_variance(returns, spanned, 3)[3, 0], 0.0009 + 0.0004, rtol=1e-14)


def test_an_unknown_return_leaves_no_target():
    returns = np.full((10, 1), 0.01)
    returns[5] = np.nan
    target = realised_variance(returns, np.ones((10, 1), dtype=int), 3)
    np.testing.assert_array_equal(np.isnan(target[:, 0]), [1, 1, 1, 0, 0, 1, 1, 1, 0, 0])


def test_a_compensating_span_does_not_complete_a_target():
    # Spans 2, unknown, 1 sum to 3 without the unknown one, but the first reaches back too far.
    returns = np.array([[0.01, 0.01, np.nan, 0.02, np.nan, 0.01]]).T
    spanned = np.array([[1, 1, 0, 2, 1, 1]]).T
    assert np.isnan(realised_variance(returns, spanned, 3)[5, 0])


def test_rolling_variance_of_consecutive_returns_is_pandas():
    returns = np.random.default_rng(2).normal(0.001, 0.01, (400, 3))
    ours = rolling_variance(returns, np.ones(returns.shape, int), window=63, min_observations=40)
    np.testing.assert_allclose(ours, pd.DataFrame(returns).rolling(63, 40).var(), rtol=1e-9)


def test_rolling_variance_over_holes_is_unbiased():
    rng = np.random.default_rng(3)
    spanned = np.tile([1, 2, 0, 4], 100)[:, None] * np.ones(500, dtype=int)
    returns = 0.004 * spanned + 0.01 * np.sqrt(spanned) * rng.standard_normal(spanned.shape)
    returns[spanned == 0] = np.nan
    ours = rolling_variance(returns, spanned, window=40, min_observations=20)[-1]
    assert ours.mean() == pytest.approx(1e-4, rel=0.03)


def test_rolling_variance_of_degenerate_prices():
    spanned = np.ones((120, 3), dtype=int)
    returns = np.zeros((120, 3))
    returns[:, 1] = 0.001
    returns[30, 2] = 1e6
    ours = rolling_variance(returns, spanned, window=20, min_observations=10)
    assert (ours[9:, :2] == 0).all()
    assert np.isnan(ours[:9]).all()
    assert (ours[50:, 2] == 0).all()
    assert (ours[30:50, 2] > 1e9).all()
    spanned[60:], returns[60:] = 0, np.nan
    ours = rolling_variance(returns, spanned, window=60, min_observations=10)
    assert np.flatnonzero(~np.isnan(ours[:, 0])).tolist() == list(range(9, 65))


@pytest.mark.parametrize("horizon", [1, 5, 21])
def test_every_row_equals_the_definitions(horizon):
    returns, spanned, sessions, forecasts = inputs(4, horizon=horizon)
    result = evaluate(returns, spanned, sessions, forecasts, horizon)
    target = realised_by_hand(returns, spanned, horizon)
    years = complete_years(sessions)
    floor = horizon * SMALLEST_VARIANCE
    losses, tests = pd.DataFrame(result.losses), pd.DataFrame(result.tests)
    tested = 0
    keys = ["year", "scope", "fund"]
    groups = dict(list(tests.groupby(keys)))
    for (year, scope, fund), table in losses.groupby(keys):
        p = int(np.flatnonzero(years.year == year)[0])
        rows = np.arange(years.begin[p] if scope == "year" else 0, years.end[p])
        rows = rows[np.isfinite(target[rows, fund])]
        made = {name: panel[rows - horizon, fund] for name, panel in forecasts.items()}
        usable = {name: np.isfinite(f) & (f > floor) for name, f in made.items()}
        common = np.logical_and.reduce(list(usable.values()))
        y = target[rows, fund][common]
        loss = {}
        for _, ours in table.iterrows():
            name = ours["model"]
            f = made[name][common]
            loss[name] = {"qlike": np.log(f) + y / f, "mse": (y - f) ** 2}
            assert ours["targets"] == len(rows)
            assert ours["observations"] == common.sum()
            assert ours["forecasts_missing"] == np.isnan(made[name]).sum()
            assert ours["forecasts_not_positive"] == (~usable[name] & ~np.isnan(made[name])).sum()
            if common.any():
                expected = [loss[name]["qlike"].mean(), loss[name]["mse"].mean(), f.mean(), y.mean()]
                means = ours[["qlike", "mse", "forecast_variance", "realised_variance"]]
                np.testing.assert_allclose(means.to_numpy(float), expected, rtol=1e-10)
        assert len(groups[year, scope, fund]) == 4
        for _, ours in groups[year, scope, fund].iterrows():
            assert ours["model"] != ours["baseline"]
            assert ours["observations"] == common.sum()
            for which in ("qlike", "mse"):
                expected = diebold_mariano(loss[ours["model"]][which], loss[ours["baseline"]][which], horizon)
                got = ours[[f"{which}_{part}" for part in ("difference", "statistic", "p_value")]]
                np.testing.assert_allclose(got.to_numpy(float), expected, rtol=1e-6, atol=1e-12)
                tested += np.isfinite(expected[1])
    assert tested > 40
    assert set(losses["year"]) == {2018, 2019, 2020}


def test_rows_come_by_year_scope_fund_and_model():
    result = evaluate(*inputs(5))
    frame = pd.DataFrame(result.losses)
    frame["scope"] = (frame["scope"] == "to_date").astype(int)
    frame["model"] = [["slow", "fast", "other"].index(m) for m in frame["model"]]
    order = frame[["year", "scope", "fund", "model"]].to_numpy().tolist()
    assert order == sorted(order)


def test_qlike_by_hand():
    result = one_fund(4e-4, 0.01)
    ours = row(result.losses, year=2019, scope="year", model="slow")
    assert ours["qlike"] == pytest.approx(np.log(4e-4) + 0.25, rel=1e-14)
    assert ours["mse"] == pytest.approx((3e-4) ** 2, rel=1e-12)
    assert ours["observations"] == 261  # weekdays of 2019


def test_a_target_belongs_to_the_year_in_which_it_is_complete():
    sessions = weekdays(600)
    result = evaluate(
        *(np.full((600, 1), 0.01), np.ones((600, 1), int), sessions),
        {name: np.full((600, 1), 2e-3) for name in BASELINES},
        21,
    )
    first, second = (row(result.losses, year=y, scope="year", model="slow") for y in (2018, 2019))
    assert first["targets"] == (sessions < np.datetime64("2019-01-01")).sum() - 21
    assert second["targets"] == 261
    assert row(result.losses, year=2019, scope="to_date", model="slow")["targets"] == (
        first["targets"] + second["targets"]
    )


def test_the_true_variance_wins():
    rng = np.random.default_rng(6)
    shape = (1400, 12)
    variance = 1e-4 * np.exp(np.sin(np.arange(1400) / 40))[:, None] * np.ones(12)
    returns = np.zeros(shape)
    returns[1:] = np.sqrt(variance[:-1]) * rng.standard_normal((1399, 12))
    average = np.full(shape, variance.mean())
    models = {"slow": average, "fast": variance, "half": variance / 2, "double": 2 * variance}
    result = evaluate(returns, np.ones(shape, int), weekdays(1400), models, 1)
    losses = pd.DataFrame(result.losses).query("year == 2022 and scope == 'to_date'")
    best = losses.loc[losses.groupby("fund")["qlike"].idxmin(), "model"]
    assert (best == "fast").all()
    tests = pd.DataFrame(result.tests).query("year == 2022 and scope == 'to_date' and model == 'fast'")
    assert (tests["qlike_difference"] < 0).all()
    assert (tests["qlike_p_value"] < 0.01).all()
    assert (tests["mse_difference"] < 0).all()


def test_constant_prices_have_finite_losses():
    ours = row(one_fund(1e-6, 0.0).losses, year=2019, scope="year", model="fast")
    assert ours["qlike"] == pytest.approx(np.log(1e-6), rel=1e-14)
    assert ours["mse"] == pytest.approx(1e-12, rel=1e-12)


@pytest.mark.parametrize("useless", [0.0, -1e-4, SMALLEST_VARIANCE, np.inf])
def test_a_forecast_that_is_no_variance_is_left_out_and_counted(useless):
    sometimes = np.full(600, 1e-4)
    sometimes[400:410] = useless
    result = one_fund(1e-4, 0.01, other=sometimes)
    ours = row(result.losses, year=2019, scope="year", model="other")
    assert (ours["targets"], ours["observations"], ours["forecasts_not_positive"]) == (261, 251, 10)
    slow = row(result.losses, year=2019, scope="year", model="slow")
    assert (slow["observations"], slow["forecasts_not_positive"]) == (251, 0)


def test_a_model_without_forecasts_leaves_no_observations():
    result = one_fund(1e-4, 0.01, other=np.nan)
    ours = row(result.losses, year=2019, scope="to_date", model="slow")
    assert ours["observations"] == 0
    assert ours["targets"] > 400
    assert np.isnan(ours[["qlike", "mse", "forecast_variance", "realised_variance"]].to_numpy(float)).all()
    assert (
        row(result.losses, year=2019, scope="to_date", model="other")["forecasts_missing"] == ours["targets"]
    )
    assert np.isnan(result.tests["qlike_statistic"]).all()


def test_equal_forecasts_do_not_differ():
    returns = np.random.default_rng(7).normal(0, 0.01, 600)
    test = row(one_fund(1e-4, returns).tests, year=2019, scope="year", model="slow", baseline="fast")
    assert test["qlike_difference"] == 0
    assert np.isnan([test["qlike_statistic"], test["qlike_p_value"]]).all()


def test_the_same_forecast_computed_in_another_order_does_not_differ():
    returns = np.random.default_rng(7).normal(0, 0.01, 600)
    forecast = 1e-4 * np.random.default_rng(8).lognormal(0, 0.3, 600)
    there_and_back = (np.sqrt(forecast * 252)) ** 2 / 252
    assert (there_and_back != forecast).any()
    found = one_fund(forecast, returns, fast=there_and_back, other=forecast * (1 + 1e-9))
    test = row(found.tests, year=2019, scope="to_date", model="slow", baseline="fast")
    assert test["qlike_difference"] == test["mse_difference"] == 0
    assert np.isnan([test["qlike_p_value"], test["mse_p_value"]]).all()
    other = row(found.tests, year=2019, scope="to_date", model="other", baseline="slow")
    assert other["qlike_difference"] != 0
    assert not np.isnan(other["qlike_p_value"])


@pytest.mark.parametrize("horizon", [1, 21])
def test_only_the_forecasts_made_on_the_rows_asked_for_are_judged(horizon):
    returns, spanned, sessions, forecasts = inputs(14, horizon=horizon)
    rows = np.random.default_rng(1).random(returns.shape) < 0.5
    part = evaluate_volatility_forecasts(
        returns, spanned, sessions, forecasts, horizon, baselines=BASELINES, made=rows
    )
    rest = evaluate_volatility_forecasts(
        returns, spanned, sessions, forecasts, horizon, baselines=BASELINES, made=~rows
    )
    whole = evaluate(returns, spanned, sessions, forecasts, horizon)
    blank = {name: np.where(rows, panel, np.nan) for name, panel in forecasts.items()}
    blanked = evaluate(returns, spanned, sessions, blank, horizon)
    keys = ["year", "scope", "fund", "model"]
    ours, other, full, same = (
        pd.DataFrame(result.losses).set_index(keys) for result in (part, rest, whole, blanked)
    )
    for name in ("observations", "qlike", "mse", "realised_variance"):
        pd.testing.assert_series_equal(ours[name], same.loc[ours.index, name])
    for name in ("targets", "observations", "forecasts_missing", "forecasts_not_positive"):
        pd.testing.assert_series_equal(ours[name] + other[name], full[name])
    assert (ours["targets"] > 0).all()
    assert ours["targets"].sum() < 0.6 * full["targets"].sum()


def test_without_rows_to_judge_there_is_nothing():
    returns, spanned, sessions, forecasts = inputs(15, sessions=400)
    nothing = evaluate_volatility_forecasts(
        returns, spanned, sessions, forecasts, 5, baselines=BASELINES, made=np.zeros(returns.shape, bool)
    )
    assert len(nothing.losses["year"]) == len(nothing.tests["year"]) == 0


def test_a_giant_jump_stays_in_its_year():
    returns = np.random.default_rng(8).normal(0, 0.01, (900, 1))
    jump = returns.copy()
    jump[100] = 1e6
    forecasts = {n: np.full((900, 1), v) for n, v in (("slow", 1e-4), ("fast", 2e-4))}
    spanned, sessions = np.ones(returns.shape, int), weekdays(900)
    calm = pd.DataFrame(evaluate(returns, spanned, sessions, forecasts).losses)
    wild = pd.DataFrame(evaluate(jump, spanned, sessions, forecasts).losses)
    later = (calm["scope"] == "year") & (calm["year"] > 2018)
    pd.testing.assert_frame_equal(wild[later], calm[later])
    assert (wild["qlike"][~later] > 1e9).all()


def assert_prefix(part, whole):
    for name, values in part.items():
        assert values.dtype == whole[name].dtype, name
        assert values.tobytes() == whole[name][: len(values)].tobytes(), name


@pytest.mark.parametrize("horizon", [1, 21])
def test_cutting_changes_no_earlier_row(horizon):
    returns, spanned, sessions, forecasts = inputs(9, horizon=horizon)
    whole = evaluate(returns, spanned, sessions, forecasts, horizon)
    years = complete_years(sessions)
    for cut in (0, 1, 200, *years.end, *(years.end + 1), *(years.end + 40), 899):
        part = evaluate(
            returns[:cut].copy(),
            spanned[:cut].copy(),
            sessions[:cut],
            {k: v[:cut].copy() for k, v in forecasts.items()},
            horizon,
        )
        done = complete_years(sessions[:cut]).year
        for name in ("losses", "tests"):
            ours, full = getattr(part, name), getattr(whole, name)
            assert len(ours["year"]) == np.isin(full["year"], done).sum()
            assert_prefix(ours, full)


@pytest.mark.parametrize("window", [20, 63])
def test_cutting_changes_no_earlier_variance(window):
    returns, spanned, *_ = inputs(10, sessions=420)

    def stage(r, s):
        return {
            "rolling": rolling_variance(r, s, window=window, min_observations=10),
            "realised": realised_variance(r, s, 5),
        }

    assert_causal(stage, (returns, spanned), (1, 4, 5, 19, 20, 62, 63, 64, 300, 419))


def test_other_funds_and_workers_change_nothing():
    returns, spanned, sessions, forecasts = inputs(11, funds=7)
    whole = evaluate(returns, spanned, sessions, forecasts)
    try:
        for count in (1, 3):
            set_workers(count)
            again = evaluate(returns, spanned, sessions, forecasts)
            for name in ("losses", "tests"):
                assert_prefix(getattr(again, name), getattr(whole, name))
    finally:
        set_workers(0)
    alone = evaluate(returns[:, 3:5], spanned[:, 3:5], sessions, {k: v[:, 3:5] for k, v in forecasts.items()})
    for name in ("losses", "tests"):
        full, part = getattr(whole, name), getattr(alone, name)
        chosen = np.isin(full["fund"], (3, 4))
        for column, values in part.items():
            expected = full[column][chosen] - 3 if column == "fund" else full[column][chosen]
            assert values.tobytes() == expected.tobytes(), column


def test_no_complete_year_gives_no_rows():
    returns, spanned, sessions, forecasts = inputs(12, sessions=100)
    result = evaluate(returns, spanned, sessions, forecasts)
    assert all(len(c) == 0 for table in vars(result).values() for c in table.values())


def test_errors_name_the_model():
    returns, spanned, sessions, forecasts = inputs(13, sessions=50)
    with pytest.raises(ValueError, match="'ewma' is not among the forecasts: slow, fast, other"):
        evaluate(returns, spanned, sessions, forecasts, baselines=("ewma",))
    with pytest.raises(ValueError, match="forecasts of 'fast' are"):
        evaluate(returns, spanned, sessions, {**forecasts, "fast": np.zeros((1, 1))})
    with pytest.raises(ValueError, match="made is"):
        evaluate_volatility_forecasts(
            returns, spanned, sessions, forecasts, 5, baselines=BASELINES, made=np.ones((1, 1), bool)
        )
    with pytest.raises(ValueError, match="horizon must be at least 1"):
        evaluate(returns, spanned, sessions, forecasts, horizon=0)
    with pytest.raises(ValueError, match="min_observations"):
        rolling_variance(returns, spanned, window=5, min_observations=6)


@pytest.mark.data
def test_the_exponentially_weighted_forecast_beats_one_year_on_us_funds(market_data):
    bars = pd.read_parquet(market_data / "us" / "us_etf_ohlcv_adj_div_2026-05.parquet")
    funds = ["SPY", "TLT", "GLD", "EFA"]
    bars = bars[bars["ticker"].isin(funds) & (bars["date"] >= "2010")]
    close = pd.DataFrame({f: bars[bars["ticker"] == f].set_index("date")["adj_close"] for f in funds})
    close = close.astype(float)
    returns = close.pct_change(fill_method=None).to_numpy()
    spanned = np.where(np.isnan(returns), 0, 1)
    sessions = close.index.to_numpy().astype("datetime64[D]")
    ewma = ewma_volatility(returns, spanned).volatility_annualised ** 2 / 252
    year = rolling_variance(returns, spanned, window=252, min_observations=126)
    result = evaluate(
        returns, spanned, sessions, {"ewma": 5 * ewma, "year": 5 * year}, 5, baselines=("year",)
    )
    tests = pd.DataFrame(result.tests).query("scope == 'to_date' and year == 2025")
    assert len(tests) == 4
    assert (tests["qlike_difference"] < 0).all()
    assert (tests["observations"] > 3500).all()
