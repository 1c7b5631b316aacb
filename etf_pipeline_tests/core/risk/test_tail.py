"""Value at risk and expected shortfall: three models, one served."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.market.returns import total_return
from etf_pipeline.core.parallel import set_workers
from etf_pipeline.core.risk import ewma_volatility
from etf_pipeline.core.risk.tail import (
    TAIL_MODELS,
    TailEstimate,
    moving_share,
    one_session_return,
    standardised_residual,
    tail_risk,
)
from etf_pipeline.core.validation.value_at_risk import evaluate_value_at_risk
from etf_pipeline_tests.core.random_market import assert_causal, random_market
from etf_pipeline_tests.core.risk.us_funds import us_returns

FIELDS = ("var_95", "cvar_95", "var_99", "cvar_99")


def calendar(length):
    return np.datetime64("2015-01-01") + np.arange(length)


def judged(returns, spanned, sessions, var, cvar, level):
    """Columns of the backtest to the end of the last complete year, one row a fund."""
    coverage = evaluate_value_at_risk(returns, spanned, sessions, {level: (var, cvar)}).coverage
    newest = (coverage["scope"] == "to_date") & (coverage["year"] == coverage["year"].max())
    return {name: column[newest] for name, column in coverage.items()}


def simulated(seed, sessions=1500, funds=40):
    """GARCH(1, 1) returns with t5 shocks and the true forecast of the next session's deviation."""
    rng = np.random.default_rng(seed)
    shock = rng.standard_t(5, (sessions, funds)) / np.sqrt(5 / 3)
    returns, forecast = np.empty(shock.shape), np.empty(shock.shape)
    variance = np.full(funds, 1e-4)
    for t in range(sessions):
        returns[t] = np.sqrt(variance) * shock[t]
        variance = 2e-6 + 0.10 * returns[t] ** 2 + 0.88 * variance
        forecast[t] = np.sqrt(variance)
    return returns, np.ones(returns.shape, dtype=np.int64), forecast


def market_inputs(seed, **options):
    m = random_market(seed, **options)
    p = total_return(m.close, m.accepted, m.scale, m.split, m.distribution, basis="as_traded")
    forecast = ewma_volatility(p.total_return, p.sessions_spanned).volatility_annualised / np.sqrt(252)
    return p.total_return, p.sessions_spanned, forecast, m.sessions


@pytest.fixture(scope="module")
def simulation():
    returns, spanned, forecast = simulated(1)
    return returns, spanned, forecast, tail_risk(returns, spanned, forecast, calendar(len(returns)))


def test_losses_are_ordered(simulation):
    *_, panel = simulation
    for estimate in (panel.historical, panel.student_t, panel.filtered, panel.served):
        known = ~np.isnan(estimate.var_95)
        assert known.any()
        for worse, better in (("cvar_95", "var_95"), ("cvar_99", "var_99"), ("var_99", "var_95")):
            assert (getattr(estimate, worse)[known] < getattr(estimate, better)[known]).all()
        assert (estimate.var_95[known] < 0).all()


def test_filtered_history_finds_the_true_tail(simulation):
    *_, forecast, panel = simulation
    shock = stats.t(5, scale=np.sqrt(3 / 5))
    for p, level in ((0.05, "95"), (0.01, "99")):
        quantile = shock.ppf(p)
        shortfall = shock.expect(lambda x: x, ub=quantile, conditional=True)
        for name, truth in ((f"var_{level}", quantile), (f"cvar_{level}", shortfall)):
            ratio = getattr(panel.filtered, name)[1400:] / forecast[1400:]
            assert ratio.mean() == pytest.approx(truth, rel=0.03)


def test_filtered_violations_are_as_frequent_as_stated_and_do_not_cluster(simulation):
    returns, spanned, _, panel = simulation
    sessions = calendar(len(returns))
    result = judged(returns, spanned, sessions, panel.filtered.var_95, panel.filtered.cvar_95, 0.95)
    rate = result["exceptions"].sum() / result["observations"].sum()
    assert rate == pytest.approx(0.05, abs=0.003)
    assert (result["independence_p_value"] < 0.05).mean() < 0.15
    unfiltered = judged(returns, spanned, sessions, panel.historical.var_95, panel.historical.cvar_95, 0.95)
    assert (unfiltered["independence_p_value"] < 0.05).mean() > 0.3


def test_historical_takes_observed_returns_as_they_are():
    returns = 0.01 * np.random.default_rng(2).normal(size=(400, 1))
    panel = tail_risk(returns, np.ones((400, 1), int), np.full((400, 1), np.nan), calendar(400), window=300)
    expected = np.quantile(returns[100:400, 0], 0.05, method="weibull")
    assert panel.historical.var_95[-1, 0] == pytest.approx(expected, rel=1e-13)
    assert np.isnan(panel.historical.var_95[248, 0])
    assert not np.isnan(panel.historical.var_95[249, 0])


def test_student_t_is_refitted_once_a_month():
    returns = 0.01 * np.random.default_rng(3).normal(size=(420, 1))
    sessions = calendar(420)
    panel = tail_risk(returns, np.ones((420, 1), int), np.full((420, 1), np.nan), sessions)
    changes = 250 + np.flatnonzero(np.diff(panel.student_t.var_99[249:, 0]))
    np.testing.assert_array_equal(changes, month_starts(sessions)[8:])


def test_a_return_over_n_sessions_is_brought_to_one():
    returns = np.array([[np.nan], [0.02], [np.nan], [np.nan], [0.06], [np.nan]])
    spanned = np.array([[0], [1], [0], [0], [3], [1]])
    one = one_session_return(returns, spanned)[:, 0]
    np.testing.assert_allclose(one, [np.nan, 0.02, np.nan, np.nan, 0.06 / np.sqrt(3), np.nan], rtol=1e-15)
    # The return into row 4 starts from the close of row 1 and is held against the forecast made there.
    forecast = np.array([[0.01], [0.02], [0.5], [0.5], [0.03], [0.04]])
    residual = standardised_residual(returns, spanned, forecast)[:, 0]
    np.testing.assert_allclose(residual[[1, 4]], [2.0, 0.06 / np.sqrt(3) / 0.02], rtol=1e-15)
    assert np.isnan(residual[[0, 2, 3, 5]]).all()


@pytest.mark.parametrize("useless", [0.0, np.nan])
def test_without_a_forecast_there_is_no_residual(useless):
    residual = standardised_residual(np.full((3, 1), 0.01), np.ones((3, 1), int), np.full((3, 1), useless))
    assert np.isnan(residual).all()


def test_the_forecast_of_the_session_itself_is_not_used():
    returns, spanned, forecast = simulated(4, sessions=50, funds=2)
    changed = forecast.copy()
    changed[-1] *= 10
    np.testing.assert_array_equal(
        standardised_residual(returns, spanned, forecast), standardised_residual(returns, spanned, changed)
    )


def test_served_falls_back_on_history_until_there_are_residuals():
    returns, spanned, forecast = simulated(5, sessions=700, funds=2)
    forecast[:300] = np.nan
    panel = tail_risk(returns, spanned, forecast, calendar(700))
    names = np.array(TAIL_MODELS)[panel.served_model[:, 0]]
    np.testing.assert_array_equal(
        names[[0, 248, 249, 549, 550, 699]], ["", "", *["historical"] * 2, *["filtered"] * 2]
    )
    for name in FIELDS:
        served = getattr(panel.served, name)
        np.testing.assert_array_equal(served[:550], getattr(panel.historical, name)[:550])
        np.testing.assert_array_equal(served[550:], getattr(panel.filtered, name)[550:])


def test_annualised_shortfall():
    one = np.full((1, 1), -0.02)
    estimate = TailEstimate(one, 1.5 * one, 2 * one, 2.5 * one)
    assert estimate.cvar_95_annualised[0, 0] == pytest.approx(-0.03 * 252**0.5)
    assert estimate.cvar_99_annualised[0, 0] == pytest.approx(-0.05 * 252**0.5)


def test_a_price_that_never_moves():
    zero = np.zeros((400, 1))
    panel = tail_risk(zero, np.ones((400, 1), int), zero, calendar(400))
    assert (panel.historical.cvar_99[249:] == 0).all()
    assert np.isnan(panel.student_t.var_95).all()
    assert np.isnan(panel.filtered.var_95).all()
    assert (panel.served.var_95[249:] == 0).all()


def test_a_fund_that_only_rises_has_a_positive_tail():
    returns = np.random.default_rng(6).uniform(1e-4, 2e-4, (300, 1))
    panel = tail_risk(returns, np.ones((300, 1), int), np.full((300, 1), 1e-4), calendar(300))
    assert 1e-4 < panel.served.cvar_99[-1, 0] < panel.served.var_95[-1, 0] < 2e-4


def mostly_silent(moving, sessions=1500, funds=30):
    """Bars without a new price but for this share of them, and the exponentially weighted forecast."""
    rng = np.random.default_rng(9)
    shape = (sessions, funds)
    returns = np.where(rng.random(shape) < moving, 0.01 * rng.standard_normal(shape), 0.0)
    return with_ewma(returns)


def with_ewma(returns):
    spanned = np.ones(returns.shape, dtype=np.int64)
    forecast = ewma_volatility(returns, spanned).volatility_annualised / np.sqrt(252)
    return returns, spanned, forecast, calendar(len(returns))


def test_a_fund_silent_on_nearly_all_sessions_is_served_by_its_history():
    inputs = mostly_silent(moving=0.02)
    panel = tail_risk(*inputs)
    assert np.isnan(panel.filtered.cvar_99[500:]).mean() > 0.99
    assert (np.array(TAIL_MODELS)[panel.served_model[500:]] == "historical").mean() > 0.99
    assert panel.served.cvar_99[500:].min() > -0.05
    # What the rule keeps out: moves over forecasts that silence has worn down.
    unruled = tail_risk(*inputs, min_moving_share=0.0)
    assert np.nanmin(unruled.filtered.cvar_99[500:]) < 5 * panel.historical.cvar_99[500:].min()


def test_a_fund_silent_on_half_its_sessions_keeps_its_filtered_tail():
    panel = tail_risk(*mostly_silent(moving=0.5))
    assert not np.isnan(panel.filtered.cvar_99[400:]).any()
    assert (panel.served_model[400:] == TAIL_MODELS.index("filtered")).all()
    assert panel.filtered.cvar_99[400:].min() > -0.06


def test_a_long_silence_leaves_no_giant_residual():
    returns = 0.01 * np.random.default_rng(10).standard_normal((1900, 10))
    returns[800:1400] = 0.0
    panel = tail_risk(*with_ewma(returns))
    silent = np.isnan(panel.filtered.cvar_99[:, 0])
    # 225 zeros leave 25 moves among 250 returns, one tenth; 25 moves after the silence make it a tenth again.
    assert np.flatnonzero(np.diff(silent[400:].astype(int))).tolist() == [1024 - 400, 1423 - 400]
    assert (panel.served_model[1100:1400] == TAIL_MODELS.index("historical")).all()
    assert panel.filtered.cvar_99[1424:].min() > -0.1
    assert np.nanmin(tail_risk(*with_ewma(returns), min_moving_share=0.0).filtered.cvar_99[1424:]) <= -0.9


@pytest.mark.parametrize("window", [1, 4, 60])
def test_moving_share_counts_known_values(window):
    rng = np.random.default_rng(11)
    values = np.where(rng.random((50, 4)) < 0.5, 0.0, rng.normal(size=(50, 4)))
    values[rng.random((50, 4)) < 0.3] = np.nan
    values[:, 3] = np.nan
    ours = moving_share(values, window)
    for t, j in np.ndindex(values.shape):
        seen = values[: t + 1, j]
        seen = seen[~np.isnan(seen)][-window:]
        if len(seen):
            assert ours[t, j] == (seen != 0.0).sum() / len(seen)
        else:
            assert np.isnan(ours[t, j])


def test_no_loss_exceeds_the_whole():
    returns, spanned, forecast = simulated(12, sessions=900, funds=3)
    calm = np.full(forecast.shape, 1e-3)
    calm[-1] = 0.5
    panel = tail_risk(returns, spanned, calm, calendar(900))
    for name in FIELDS:
        assert (getattr(panel.filtered, name)[-1] == -1.0).all()
    assert (panel.filtered.cvar_95[-2] > -0.2).all()


@pytest.mark.parametrize("share", [-0.1, 1.1, np.nan])
def test_impossible_share(share):
    with pytest.raises(ValueError, match="min_moving_share"):
        tail_risk(*mostly_silent(0.5, sessions=5, funds=1), min_moving_share=share)


def test_estimates_stand_for_a_few_sessions_without_a_bar():
    returns, spanned, forecast = simulated(7, sessions=600, funds=1)
    returns[590:], spanned[590:] = np.nan, 0
    panel = tail_risk(returns, spanned, forecast, calendar(600), max_stale_sessions=4)
    for estimate in (panel.historical, panel.student_t, panel.filtered):
        np.testing.assert_array_equal(np.isnan(estimate.var_99[585:, 0]), np.arange(585, 600) > 593)
    assert (panel.served_model[594:] == 0).all()


def test_a_giant_jump_is_one_observation():
    returns, spanned, forecast = simulated(8, sessions=1400, funds=1)
    struck = returns.copy()
    struck[300] = 50.0
    calm = tail_risk(returns, spanned, forecast, calendar(1400))
    hit = tail_risk(struck, spanned, forecast, calendar(1400))
    assert hit.historical.var_95[1299, 0] >= calm.historical.var_95[1299, 0]
    np.testing.assert_allclose(hit.historical.var_95[300:], calm.historical.var_95[300:], rtol=0.2)
    np.testing.assert_array_equal(hit.historical.cvar_99[1300:], calm.historical.cvar_99[1300:])


@pytest.mark.parametrize("seed", range(2))
def test_cutting_changes_nothing_earlier(seed):
    inputs = market_inputs(seed, sessions=460, funds=6)

    def stage(*panels):
        panel = tail_risk(*panels, window=250, min_observations=120)
        out = {"served_model": panel.served_model, "degrees": panel.distribution.degrees_of_freedom}
        for kind in ("historical", "student_t", "filtered", "served"):
            out |= {f"{kind}_{name}": getattr(getattr(panel, kind), name) for name in FIELDS}
        return out

    assert_causal(stage, inputs, (1, 121, 260, 300, 459))


def test_workers_and_other_funds_change_nothing():
    returns, spanned, forecast, sessions = market_inputs(3, sessions=400, funds=7)
    together = tail_risk(returns, spanned, forecast, sessions).served.cvar_99
    alone = tail_risk(returns[:, 4:5], spanned[:, 4:5], forecast[:, 4:5], sessions).served.cvar_99
    assert together[:, 4].tobytes() == alone[:, 0].tobytes()
    set_workers(1)
    try:
        single = tail_risk(returns, spanned, forecast, sessions).served.cvar_99
    finally:
        set_workers(0)
    assert single.tobytes() == together.tobytes()


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="differ in shape"):
        tail_risk(np.zeros((5, 2)), np.ones((5, 2), int), np.zeros((5, 3)), calendar(5))


@pytest.mark.data
def test_on_real_funds_the_served_model_breaks_calibration_least(market_data):
    tickers = [
        "SPY",
        "IWM",
        "EFA",
        "EWJ",
        "EWA",
        "TLT",
        "AGG",
        "LQD",
        "GLD",
        "XLE",
        "XLF",
        "XLU",
        "VNQ",
        "SMH",
    ]
    sessions, returns, spanned = us_returns(market_data, tickers)
    forecast = ewma_volatility(returns, spanned).volatility_annualised / np.sqrt(252)
    panel = tail_risk(returns, spanned, forecast, sessions)
    common = ~np.isnan(panel.filtered.var_95)
    rejected = {}
    for kind in ("historical", "student_t", "filtered"):
        estimate = getattr(panel, kind)
        for p, level in ((0.05, "95"), (0.01, "99")):
            var, cvar = getattr(estimate, f"var_{level}"), getattr(estimate, f"cvar_{level}")
            result = judged(returns, spanned, sessions, np.where(common, var, np.nan), cvar, 1 - p)
            rejected[kind, level] = int((result["kupiec_p_value"] < 0.05).sum())
            if kind == "filtered":
                assert result["exceptions"].sum() / result["observations"].sum() == pytest.approx(p, rel=0.1)
    for level in ("95", "99"):
        assert rejected["filtered", level] < rejected["historical", level]
        assert rejected["filtered", level] < rejected["student_t", level]
