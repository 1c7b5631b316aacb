"""Walk-forward regimes: causal, ordered, near the truth where it is known and to history where it is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.market.simulation import BENCHMARK, SimulationConfig, simulate
from etf_pipeline.core.risk.regime import REGIME_NAMES, walk_forward_regimes
from etf_pipeline.core.risk.regime_fit import fit_regimes, hamilton_filter
from etf_pipeline_tests.core.risk.switching import switching_returns


def weekdays(length, first="2008-01-01"):
    return np.busday_offset(np.datetime64(first), np.arange(length), roll="forward")


def inputs(seed, length, states, holes=True):
    """Returns, spans and sessions; with holes a tenth of the rows lack a one-session return."""
    returns, _ = switching_returns(seed, length, states)
    spanned = np.ones(length, dtype=np.int64)
    if holes:
        rng = np.random.default_rng(seed)
        at = rng.random(length) < 0.05
        returns[at], spanned[at] = np.nan, 0
        spanned[np.flatnonzero(at[:-1]) + 1] = 2
    return returns, spanned, weekdays(length)


SHORT = {"window": 500, "min_observations": 252}


@pytest.mark.parametrize("states", [2, 3])
def test_cutting_changes_nothing_earlier(states):
    panels = inputs(1, 900, states)
    whole = vars(walk_forward_regimes(*panels, states=states, **SHORT))
    rows = whole["refit_rows"]
    for cut in (rows[0], rows[0] + 1, rows[3], rows[3] + 1, 777, 899):
        part = vars(walk_forward_regimes(*(p[:cut] for p in panels), states=states, **SHORT))
        refits = np.count_nonzero(rows < cut)
        for name, values in part.items():
            if name == "names":
                continue
            expected = whole[name][: cut if name == "probability" else refits]
            assert values.shape == expected.shape, name
            assert values.tobytes() == np.ascontiguousarray(expected).tobytes(), (name, cut)


@pytest.mark.parametrize("states", [2, 3])
def test_each_session_has_the_filter_of_the_last_refit(states):
    returns, spanned, sessions = inputs(2, 900, states)
    history = walk_forward_regimes(returns, spanned, sessions, states=states, **SHORT)
    x = np.where(spanned == 1, returns, np.nan)
    rows = history.refit_rows
    in_force = np.flatnonzero(~np.isnan(history.log_likelihood))
    assert len(in_force) > 15
    for r, following in zip(in_force, [*in_force[1:], None], strict=True):
        end = len(x) if following is None else rows[following]
        begin = max(0, rows[r] + 1 - 500)
        path, _ = hamilton_filter(
            x[begin:end],
            history.mean_return_annualised[r] / 252,
            history.volatility_annualised[r] ** 2 / 252,
            history.transition[r],
        )
        np.testing.assert_allclose(history.probability[rows[r] : end], path[rows[r] - begin :], atol=1e-10)
        window = x[begin : rows[r] + 1]
        assert history.observations[r] == np.count_nonzero(~np.isnan(window))
        assert hamilton_filter(
            window,
            history.mean_return_annualised[r] / 252,
            history.volatility_annualised[r] ** 2 / 252,
            history.transition[r],
        )[1] == pytest.approx(history.log_likelihood[r], rel=1e-10)


def test_refits_are_first_sessions_of_months_with_enough_returns():
    returns, spanned, sessions = inputs(3, 1000, 2)
    history = walk_forward_regimes(returns, spanned, sessions, states=2, **SHORT)
    first_of_month = [t for t in range(1, 1000) if str(sessions[t])[:7] != str(sessions[t - 1])[:7]]
    known = (spanned == 1) & ~np.isnan(returns)
    expected = [t for t in first_of_month if known[max(0, t - 499) : t + 1].sum() >= 252]
    assert history.refit_rows.tolist() == expected
    first = history.refit_rows[~np.isnan(history.log_likelihood)][0]
    assert np.isnan(history.probability[:first]).all()
    np.testing.assert_allclose(history.probability[first:].sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("states", [2, 3])
def test_states_stay_in_order_and_their_numbers_agree(states):
    h = walk_forward_regimes(*inputs(4, 1200, states), states=states, **SHORT)
    assert h.names == REGIME_NAMES[states]
    known = ~np.isnan(h.log_likelihood)
    assert known.sum() > 20
    assert (np.diff(h.volatility_annualised[known], axis=1) > 0).all()
    transition, share = h.transition[known], h.ergodic_share[known]
    np.testing.assert_allclose(transition.sum(axis=2), 1.0, rtol=1e-12)
    stay = np.diagonal(transition, axis1=1, axis2=2)
    np.testing.assert_allclose(h.expected_duration_sessions[known], 1 / (1 - stay), rtol=1e-8)
    np.testing.assert_allclose(np.einsum("rk,rkj->rj", share, transition), share, atol=1e-9)
    np.testing.assert_allclose(h.occupation[known].sum(axis=1), h.observations[known], rtol=1e-9)


def test_refits_in_sequence_reach_what_fresh_starts_reach():
    returns, spanned, sessions = inputs(5, 1500, 2, holes=False)
    h = walk_forward_regimes(returns, spanned, sessions, states=2, window=1000)
    lost = []
    for row, value in zip(h.refit_rows[5::6], h.log_likelihood[5::6], strict=True):
        lost.append(fit_regimes(returns[max(0, row - 999) : row + 1], 2).log_likelihood - value)
    assert np.max(lost) < 0.01
    assert len(lost) >= 7


def test_only_one_session_returns_enter():
    returns, spanned, sessions = inputs(6, 700, 2)
    one = walk_forward_regimes(returns, spanned, sessions, states=2, **SHORT)
    returns[spanned != 1] = 0.5
    other = walk_forward_regimes(returns, spanned, sessions, states=2, **SHORT)
    assert one.probability.tobytes() == other.probability.tobytes()


@pytest.mark.parametrize("level", [0.0, 1 / 3, np.nan])
def test_a_benchmark_that_does_not_move_has_no_regimes(level):
    h = walk_forward_regimes(np.full(700, level), np.ones(700, int), weekdays(700), **SHORT)
    assert h.probability.shape == (700, 3)
    assert np.isnan(h.probability).all()
    assert np.isnan(h.volatility_annualised).all()
    assert len(h.refit_rows) == (0 if np.isnan(level) else len(h.log_likelihood))


def test_a_benchmark_that_begins_to_move():
    returns, spanned, sessions = inputs(7, 1200, 2, holes=False)
    returns[:400] = 0.0
    h = walk_forward_regimes(returns, spanned, sessions, states=2, **SHORT)
    first = int(np.flatnonzero(~np.isnan(h.probability[:, 0]))[0])
    assert first > 400
    assert not np.isnan(h.probability[first:]).any()


def test_without_an_admissible_optimum_the_last_parameters_stay_in_force():
    returns, spanned, sessions = inputs(8, 900, 3, holes=False)
    returns[600] = -0.9
    h = walk_forward_regimes(returns, spanned, sessions, **SHORT)
    failed = np.isnan(h.log_likelihood)
    assert failed[h.refit_rows > 600].any()
    assert np.isnan(h.volatility_annualised[failed]).all()
    last = np.flatnonzero(~failed & (h.refit_rows < 600))[-1]
    back = h.refit_rows[~failed & (h.refit_rows > 600)]
    end = back[0] if len(back) else 900
    begin = max(0, h.refit_rows[last] - 499)
    path, _ = hamilton_filter(
        returns[begin:end],
        h.mean_return_annualised[last] / 252,
        h.volatility_annualised[last] ** 2 / 252,
        h.transition[last],
    )
    np.testing.assert_allclose(h.probability[601:end], path[601 - begin :], atol=1e-10)
    assert h.probability[600, 2] > 0.999


def test_too_short_or_empty_histories_give_nothing():
    returns, spanned, sessions = inputs(9, 300, 2, holes=False)
    h = walk_forward_regimes(returns, spanned, sessions, states=2)
    assert np.isnan(h.probability).all()
    assert h.transition.shape == (0, 2, 2)
    empty = walk_forward_regimes(returns[:0], spanned[:0], sessions[:0])
    assert empty.probability.shape == (0, 3)


@pytest.mark.parametrize(("states", "bound"), [(2, 0.95), (3, 0.80)])
def test_finds_the_true_regime_once_it_has_seen_each(states, bound):
    accuracy = []
    for seed in (100, 102, 104, 106):
        returns, truth = switching_returns(seed, 3000, states)
        h = walk_forward_regimes(returns, np.ones(3000, int), weekdays(3000), states=states)
        seen = np.cumsum(truth == states - 1) > 60
        known = seen & ~np.isnan(h.probability[:, 0])
        known[:1000] = False
        accuracy.append((h.probability[known].argmax(axis=1) == truth[known]).mean())
    assert np.mean(accuracy) > bound


def test_finds_the_stress_of_the_simulated_market():
    # GARCH within the regimes, fat tails and stays of weeks: harder than the model's own process.
    market = simulate(SimulationConfig(sessions=weekdays(3000), seed=7, n_funds=2))
    truth = market.truth
    returns = truth.total_return[:, truth.tickers.tolist().index(BENCHMARK)]
    spanned = np.where(np.isnan(returns), 0, 1)
    h = walk_forward_regimes(returns, spanned, truth.sessions, states=2)
    known = slice(h.refit_rows[0], None)
    stress, probability = truth.regime[known] == 2, h.probability[known, 1]
    above = probability[stress][:, None] > probability[~stress][None, :]
    assert above.mean() > 0.85  # area under the receiver operating characteristic
    assert probability[stress].mean() > 2.5 * probability[~stress].mean()


@pytest.mark.data
def test_history_of_the_australian_market(market_data):
    bars = pd.read_parquet(
        market_data / "asx" / "asx_prices_adj.parquet",
        columns=["ticker", "date", "close"],
        filters=[("ticker", "in", ["STW.AX", "STW"])],
    ).sort_values("date")
    close, sessions = bars["close"].to_numpy(), bars["date"].to_numpy().astype("datetime64[D]")
    returns = np.concatenate([[np.nan], close[1:] / close[:-1] - 1])
    spanned = np.where(np.isnan(returns), 0, 1)
    month = sessions.astype("datetime64[M]")
    for states in (2, 3):
        h = walk_forward_regimes(returns, spanned, sessions, states=states)
        stress = h.probability[:, -1]
        assert stress[month == np.datetime64("2020-03")].mean() > 0.9
        assert stress[(month >= np.datetime64("2017-01")) & (month <= np.datetime64("2017-12"))].mean() < 0.05
        assert np.nanmin(h.volatility_annualised[:, -1]) > 0.15
        assert np.nanmax(h.volatility_annualised[:, 0]) < 0.25
        regime = h.probability[h.refit_rows[0] :].argmax(axis=1)
        assert 3 < np.count_nonzero(np.diff(regime)) / (len(regime) / 252) < 25


@pytest.mark.data
def test_history_of_the_american_market(market_data):
    bars = pd.read_parquet(
        market_data / "us" / "us_etf_ohlcv_adj_div_2026-05.parquet",
        columns=["ticker", "date", "adj_close"],
        filters=[("ticker", "==", "SPY")],
    ).sort_values("date")
    price, sessions = bars["adj_close"].to_numpy(dtype=float), bars["date"].to_numpy().astype("datetime64[D]")
    returns = np.concatenate([[np.nan], price[1:] / price[:-1] - 1])
    h = walk_forward_regimes(returns, np.where(np.isnan(returns), 0, 1), sessions)
    month = sessions.astype("datetime64[M]")
    for crisis in ("2008-10", "2008-11", "2020-03"):
        assert h.probability[month == np.datetime64(crisis), 2].mean() > 0.9
    assert h.probability[sessions.astype("datetime64[Y]") == np.datetime64("2017"), 2].mean() < 0.02


def test_impossible_arguments():
    returns, spanned, sessions = inputs(10, 20, 2, holes=False)
    with pytest.raises(ValueError, match="2 or 3 states, not 4"):
        walk_forward_regimes(returns, spanned, sessions, states=4)
    with pytest.raises(ValueError, match="must hold"):
        walk_forward_regimes(returns, spanned, sessions, window=100, min_observations=101)
    with pytest.raises(ValueError, match="ascending"):
        walk_forward_regimes(returns, spanned, sessions[::-1])
