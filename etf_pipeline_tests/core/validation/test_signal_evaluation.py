"""A planted signal is found and noise is not; rows depend on their past alone; figures add up."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core import parallel
from etf_pipeline.core.validation.diebold_mariano import diebold_mariano
from etf_pipeline.core.validation.false_discovery import benjamini_yekutieli
from etf_pipeline.core.validation.forward_return import forward_return
from etf_pipeline.core.validation.information_coefficient import fund_groups, rank_correlation
from etf_pipeline.core.validation.quantile_spreads import monotonicity
from etf_pipeline.core.validation.signal_evaluation import evaluate_signals
from etf_pipeline.core.validation.signal_relations import signal_correlations, signal_decay
from etf_pipeline_tests.core.market.simulation_fixtures import market

SEEDS = 100


@lru_cache(maxsize=1)
def funds():
    """Returns of 80 funds of the simulated market over seven years, classes, sessions."""
    truth = market().truth
    returns = truth.total_return[-1800:, :80]
    names, index = np.unique(truth.asset_class[:80], return_inverse=True)
    groups = fund_groups(np.where(np.arange(80) % 9 == 0, -1, index), names.astype(object))
    return returns, np.isfinite(returns).astype(np.int64), truth.sessions[-1800:], groups


def planted(forward, coefficient, seed):
    """A signal whose correlation with the forward returns across funds is ``coefficient``, by construction."""
    rng = np.random.default_rng(seed)
    known = np.isfinite(forward)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    centred = np.where(known, forward - np.where(known, forward, 0.0).sum(axis=1, keepdims=True) / count, 0.0)
    scale = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    scaled = np.divide(centred, scale, out=np.zeros(forward.shape), where=scale > 0)
    return coefficient * scaled + np.sqrt(1 - coefficient**2) * rng.normal(size=forward.shape)


def noise(seed, shape, half_life=21):
    """A signal that knows nothing and changes as slowly as momentum does."""
    rng = np.random.default_rng([7, seed])
    keep = 0.5 ** (1 / half_life)
    out = rng.normal(size=shape)
    for t in range(1, len(out)):
        out[t] = keep * out[t - 1] + np.sqrt(1 - keep**2) * out[t]
    return out


def evaluate(signals, horizons=(21,), until=None, classes=True):
    returns, spanned, sessions, groups = funds()
    if not classes:
        groups = fund_groups(np.full(returns.shape[1], -1), np.array([], dtype=object))
    cut = slice(until)
    forward = {h: forward_return(returns[cut], spanned[cut], h) for h in horizons}
    half = np.full(returns[cut].shape, 0.0005)
    table = evaluate_signals(
        {name: panel[cut] for name, panel in signals.items()}, forward, half, sessions[cut], groups
    )
    return pd.DataFrame(table)


def to_date(table, asset_class="all"):
    newest = table[(table["scope"] == "to_date") & (table["year"] == table["year"].max())]
    return newest[newest["asset_class"] == asset_class].set_index(["signal", "horizon"])


@pytest.mark.parametrize("horizon", [1, 5, 21, 63])
def test_a_planted_coefficient_of_five_hundredths_is_found(horizon):
    returns, spanned, _, _ = funds()
    forward = forward_return(returns, spanned, horizon)
    table = evaluate({"good": planted(forward, 0.05, 1), "bad": planted(forward, -0.05, 2)}, (horizon,))
    found = to_date(table)
    assert found.loc[("good", horizon), "t_value"] > 3
    assert found.loc[("bad", horizon), "t_value"] < -3
    assert found.loc[("good", horizon), "mean_ic"] == pytest.approx(0.045, abs=0.015)
    assert found["discovered"].all()
    assert (
        found.loc[("good", horizon), "quintile_spread"] > 0 > found.loc[("bad", horizon), "quintile_spread"]
    )


def test_noise_is_not_found():
    """Rejected at 5 %, of these 100 seeds: 4, 5, 5 and 6 % at horizons of 1, 5, 21 and 63 sessions.

    Of 400 other seeds with signals new every day, of half-lives of 21 and of 250 sessions: 5, 7 and 7 %; 5, 6 and 7 %; 6, 7
    and 7 %; 8, 7 and 6 %: a little more than 5 %, as such tests have it in samples of this length.
    Only 21 is run here. At an information coefficient of 0.05 the smallest t of 20 seeds is 11.0, 10.7, 10.1 and 7.4 (mean
    coefficients 0.042 to 0.043: ranks see a little less of a fat-tailed return than its size says).
    """
    signals = {str(seed): noise(seed, funds()[0].shape) for seed in range(SEEDS)}
    found = to_date(evaluate(signals, classes=False))
    assert len(found) == SEEDS
    assert (found["p_value"] < 0.05).mean() <= 0.07
    assert found["discovered"].sum() == 0


def few(seed=0):
    """Three signals: one that works, one that does not, one that few funds have."""
    returns, spanned, _, _ = funds()
    forward = forward_return(returns, spanned, 5)
    thin = noise(seed + 9, returns.shape)
    thin[:, 7:] = np.nan
    return {"works": planted(forward, 0.2, seed), "noise": noise(seed, returns.shape), "thin": thin}


def test_rows_are_what_they_say():
    returns, spanned, sessions, groups = funds()
    signals = few()
    table = evaluate(signals, (5, 21))
    years = sessions.astype("datetime64[Y]").astype(int) + 1970
    assert table["year"].max() == years[-1] - 1
    for horizon in (5, 21):
        forward = forward_return(returns, spanned, horizon)
        for name, panel in signals.items():
            ic, count = rank_correlation(groups.arrange(panel), groups.arrange(forward), groups.bounds)
            rows = table[(table["signal"] == name) & (table["horizon"] == horizon)]
            for row in rows.itertuples():
                known = np.flatnonzero(years <= row.year if row.scope == "to_date" else years == row.year)
                signal_row = (
                    known - horizon - 1
                )  # known when the horizon after the next session's close is over
                g = groups.names.tolist().index(row.asset_class)
                values = ic[g, signal_row[signal_row >= 0]]
                values, kept = values[~np.isnan(values)], ~np.isnan(values)
                assert row.observations == len(values)
                mean, statistic, p = diebold_mariano(values, np.zeros(len(values)), horizon)
                assert row.mean_ic == pytest.approx(mean, abs=1e-12)
                assert row.t_value == pytest.approx(statistic, rel=1e-6, nan_ok=True)
                assert row.p_value == pytest.approx(p, rel=1e-6, nan_ok=True)
                assert row.positive_share == pytest.approx((values > 0).mean())
                assert row.average_funds == pytest.approx(count[g, signal_row[signal_row >= 0]][kept].mean())


def test_the_family_is_everything_tried_by_then():
    table = evaluate(few(), (1, 5, 21, 63))
    for year in table["year"].unique():
        so_far = table[table["year"] <= year]
        adjusted = benjamini_yekutieli(so_far["p_value"].to_numpy())
        own = (so_far["year"] == year).to_numpy()
        np.testing.assert_array_equal(so_far["adjusted_p_value"][own], adjusted[own])
        for scope in ("year", "to_date"):
            one = so_far[own & (so_far["scope"] == scope)]
            np.testing.assert_array_equal(
                one["adjusted_p_value_of_scope"], benjamini_yekutieli(one["p_value"].to_numpy())
            )
    assert (table["discovered"] == (table["adjusted_p_value"] <= 0.05)).all()
    assert not table["discovered"][table["p_value"].isna()].any()


def test_quantiles_of_thin_groups_are_left_out():
    table = evaluate(few(), (5,))
    thin = table[table["signal"] == "thin"]
    assert (thin["observations"] > 0).all()
    assert (thin["quantile_observations"] == 0).all()
    assert thin["quintile_spread"].isna().all()
    assert thin["decile_spread"].isna().all()
    works = to_date(table).loc[("works", 5)]
    assert works["quintile_spread"] == pytest.approx(works["quintile_5_return"] - works["quintile_1_return"])
    quintiles = works[[f"quintile_{q}_return" for q in range(1, 6)]].to_numpy(dtype=float)
    assert works["monotonicity"] == monotonicity(quintiles) == 1.0
    assert works["decile_spread"] > works["quintile_spread"]
    assert works["quintile_spread_after_costs"] == pytest.approx(
        works["quintile_spread"] - works["quintile_cost"]
    )
    # A planted signal is new every session: four fifths of the top change, on both sides, bought and sold.
    assert works["top_quintile_turnover"] == pytest.approx(0.8, abs=0.03)
    assert works["quintile_cost"] == pytest.approx(0.0005 * 4 * 0.8, rel=0.05)
    assert works["rank_autocorrelation"] == pytest.approx(0.0, abs=0.02)
    slow = to_date(table).loc[("noise", 5)]
    assert slow["rank_autocorrelation"] == pytest.approx(0.5 ** (5 / 21), abs=0.03)


def test_rows_depend_on_nothing_after_their_year():
    signals = few(3)
    whole = evaluate(signals, (1, 63))
    sessions = funds()[2]
    for until in (700, 1200, 1500):
        part = evaluate(signals, (1, 63), until)
        last = int(str(sessions[until - 1])[:4]) - 1
        expected = whole[whole["year"] <= last].reset_index(drop=True)
        assert part["year"].max() == last
        pd.testing.assert_frame_equal(part, expected, check_exact=True)


def test_workers_change_nothing():
    try:
        tables = []
        for count in (1, 3):
            parallel.set_workers(count)
            tables.append(evaluate(few(4), (5,)))
    finally:
        parallel.set_workers(0)
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_before_the_first_year_is_over_there_is_nothing():
    assert len(evaluate(few(), (5,), until=50)) == 0
    with pytest.raises(ValueError, match="at least one"):
        evaluate({}, (5,))


# --- correlation and decay -------------------------------------------------------------------------------------------


def test_correlations_of_related_signals():
    _, _, sessions, _ = funds()
    first = noise(11, funds()[0].shape)
    second = noise(12, first.shape)
    signals = {"a": first, "b": second, "sum": first + second, "minus": -first}
    table = pd.DataFrame(signal_correlations(signals, sessions))
    newest = table[(table["scope"] == "to_date") & (table["year"] == table["year"].max())]
    pairs = newest.set_index(["signal", "other"])["mean_correlation"]
    assert len(pairs) == 6
    assert pairs["a", "minus"] == pytest.approx(-1.0)
    # Pearson's 1 / sqrt(2), as Spearman's of a normal pair.
    assert pairs["a", "sum"] == pytest.approx(6 / np.pi * np.arcsin(np.sqrt(0.5) / 2), abs=0.03)
    assert pairs["a", "b"] == pytest.approx(0.0, abs=0.05)
    one_year = table[(table["scope"] == "year") & (table["year"] == 2021)]
    assert (one_year["observations"] == 12).all()
    assert len(signal_correlations({"a": first}, sessions)["signal"]) == 0


def test_correlations_depend_on_their_past():
    _, _, sessions, _ = funds()
    signals = few(5)
    whole, part = (
        pd.DataFrame(signal_correlations({k: v[:n] for k, v in signals.items()}, sessions[:n]))
        for n in (None, 1000)
    )
    expected = whole[whole["year"] <= part["year"].max()].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, expected, check_exact=True)


def test_what_a_signal_knows_fades_with_its_age():
    returns, spanned, sessions, _ = funds()
    forward = forward_return(returns, spanned, 5)
    fresh = planted(forward, 0.3, 8)
    table = pd.DataFrame(signal_decay({"fresh": fresh}, forward, sessions, 5, lags=(0, 2, 5, 20)))
    newest = table[(table["scope"] == "to_date") & (table["year"] == table["year"].max())]
    by_lag = newest.set_index("lag")["mean_ic"]
    evaluated = to_date(evaluate({"fresh": fresh}, (5,))).loc[("fresh", 5)]
    assert by_lag[0] == pytest.approx(evaluated["mean_ic"], abs=1e-12)
    # Two sessions later three of the five sessions it knows of are still ahead.
    assert by_lag[0] * 0.45 < by_lag[2] < by_lag[0] * 0.75
    assert abs(by_lag[20]) < 0.03
    part = pd.DataFrame(
        signal_decay({"fresh": fresh[:1000]}, forward_return(returns[:1000], spanned[:1000], 5), sessions[:1000], 5,
                     lags=(0, 2, 5, 20))
    )  # fmt: skip
    expected = table[table["year"] <= part["year"].max()].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, expected, check_exact=True)
