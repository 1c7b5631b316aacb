"""The simulated market is a pure function that grows at its end and nowhere else."""

from __future__ import annotations

import hashlib
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from etf_pipeline.core.market.simulation import VERSION, SimulatedMarket, SimulationConfig, simulate
from etf_pipeline_tests.core.market.simulation_fixtures import market, weekdays

FRAMES = ("bars", "actions", "listings", "reference")
SESSION_PANELS = (
    "regime",
    "factor_return",
    "factor_volatility",
    "idiosyncratic_return",
    "expected_return",
    "alpha_annualised",
    "total_return",
    "conditional_volatility_annualised",
    "conditional_market_beta",
    "efficient_price",
    "clean_close",
    "traded",
    "reported",
    "assets_under_management",
    "split",
    "distribution",
)
CONSTANTS = ("tickers", "asset_class", "factor_lag", "factor_loading", "market_beta", "half_spread")


def test_every_field_of_the_truth_is_compared() -> None:
    known = {*SESSION_PANELS, *CONSTANTS, "sessions", "factors", "defects", "deaths"}
    assert {f.name for f in fields(market().truth)} == known


def test_same_configuration_same_market() -> None:
    again = simulate(SimulationConfig(weekdays()))
    for name in FRAMES:
        assert_frame_equal(getattr(again, name), getattr(market(), name), check_exact=True)
    for name in (*SESSION_PANELS, *CONSTANTS):
        np.testing.assert_array_equal(getattr(again.truth, name), getattr(market().truth, name), strict=True)
    assert_frame_equal(again.truth.defects, market().truth.defects)
    assert_frame_equal(again.truth.deaths, market().truth.deaths)


def test_recorded_market_is_the_one_made_today() -> None:
    """Digest of the closes, in tenths of a cent: whatever changes it must raise VERSION."""
    bars = simulate(SimulationConfig(weekdays()[:500], n_funds=24)).bars
    closes = np.rint(bars["close"].to_numpy() * 1000).astype("<i8")
    assert VERSION == 1
    assert hashlib.sha256(closes.tobytes()).hexdigest()[:16] == "47c588f1bd257ad7"


def test_another_seed_is_another_market() -> None:
    other = simulate(SimulationConfig(weekdays()[:300], seed=8))
    assert np.corrcoef(other.truth.total_return[1:, 0], market().truth.total_return[1:300, 0])[0, 1] < 0.3


def _bars_until(simulated: SimulatedMarket, day: np.datetime64) -> pd.DataFrame:
    return simulated.bars[simulated.bars["session"] <= day].reset_index(drop=True)


# Cuts at the first sessions, at a month's end, inside a market-wide hole's neighbourhood and inside defects.
@pytest.mark.parametrize("length", [1, 2, 3, 127, 800, 1503, 2217, 2600])
def test_a_later_end_changes_nothing_before(length: int) -> None:
    sessions = weekdays()
    whole, short = market(), simulate(SimulationConfig(sessions[:length]))
    day = sessions[length - 1].astype("datetime64[us]")
    assert_frame_equal(short.bars, _bars_until(whole, day), check_exact=True)
    actions = whole.actions[whole.actions["ex_date"] <= day].reset_index(drop=True)
    assert_frame_equal(short.actions, actions, check_exact=True)
    reference = whole.reference[whole.reference["session"] <= day].reset_index(drop=True)
    assert_frame_equal(short.reference, reference, check_exact=True)
    for name in SESSION_PANELS:
        np.testing.assert_array_equal(getattr(short.truth, name), getattr(whole.truth, name)[:length])
    for name in CONSTANTS:
        np.testing.assert_array_equal(getattr(short.truth, name), getattr(whole.truth, name))
    deaths = whole.truth.deaths[whole.truth.deaths["last_session"] <= day].reset_index(drop=True)
    assert_frame_equal(short.truth.deaths, deaths)


@pytest.mark.parametrize("length", [800, 1503, 2217])
def test_defects_known_by_a_day_are_those_of_the_longer_market(length: int) -> None:
    sessions = weekdays()
    day = sessions[length - 1].astype("datetime64[us]")
    defects = market().truth.defects
    needs_end = defects["kind"] == "consolidation_unadjusted_history"
    known = defects[np.where(needs_end, defects["session_end"], defects["session_start"]) <= day].copy()
    known["session_end"] = known["session_end"].where(known["session_end"] <= day, day)
    short = simulate(SimulationConfig(sessions[:length])).truth.defects
    assert_frame_equal(short, known.reset_index(drop=True))


@pytest.mark.parametrize("length", [700, 1000, 1900])
def test_listings_say_no_more_than_was_known(length: int) -> None:
    sessions = weekdays()
    short = simulate(SimulationConfig(sessions[:length])).listings
    day = sessions[length - 1].astype("datetime64[us]")
    for column in ("listed_on", "delisted_on"):
        assert not (short[column] > day).any()
    whole = market().listings.set_index("ticker").loc[short["ticker"]].reset_index()
    for column in ("listed_on", "delisted_on"):
        whole[column] = whole[column].where(whole[column] <= day)
    assert_frame_equal(short, whole)
    assert set(short["ticker"]) == set(_bars_until(market(), day)["ticker"])


@pytest.mark.parametrize("n_funds", [1, 2, 13, 61, 119])
def test_more_funds_leave_the_first_ones_alone(n_funds: int) -> None:
    many, few = market(), simulate(SimulationConfig(weekdays(), n_funds=n_funds))
    names = set(few.truth.tickers)
    bars = many.bars[many.bars["ticker"].isin(names)].reset_index(drop=True)
    assert_frame_equal(few.bars, bars, check_exact=True)
    actions = many.actions[many.actions["ticker"].isin(names)].reset_index(drop=True)
    assert_frame_equal(few.actions, actions, check_exact=True)
    assert_frame_equal(few.reference, many.reference, check_exact=True)
    for name in SESSION_PANELS:
        wide = getattr(many.truth, name)
        same = wide if name in ("regime", "factor_return", "factor_volatility") else wide[:, :n_funds]
        np.testing.assert_array_equal(getattr(few.truth, name), same)
    np.testing.assert_array_equal(few.truth.market_beta, many.truth.market_beta[:n_funds])


def test_open_session_shows_what_has_traded_and_changes_only_itself() -> None:
    sessions = weekdays()[:900]
    done = simulate(SimulationConfig(sessions)).bars
    open_ = simulate(SimulationConfig(sessions, last_session_progress=0.4)).bars
    last = sessions[-1].astype("datetime64[us]")
    assert_frame_equal(
        open_[open_["session"] < last].reset_index(drop=True),
        done[done["session"] < last].reset_index(drop=True),
        check_exact=True,
    )
    assert done["is_final"].all()
    assert (open_["is_final"] == (open_["session"] < last)).all()
    both = open_[open_["session"] == last].merge(
        done[done["session"] == last], on="ticker", suffixes=("_open", "_done")
    )
    traded = both[both["volume_open"] > 0]
    assert len(traded) > 50
    assert (traded["volume_open"] <= traded["volume_done"]).all()
    assert (traded["high_open"] <= traded["high_done"]).all()
    assert (traded["low_open"] >= traded["low_done"]).all()
    assert (traded["close_open"] != traded["close_done"]).mean() > 0.5


def test_open_session_nearly_over_is_not_final() -> None:
    bars = simulate(SimulationConfig(weekdays()[:50], last_session_progress=0.999)).bars
    assert not bars.loc[bars["session"] == bars["session"].max(), "is_final"].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sessions": np.array([], dtype="datetime64[D]")}, "sessions"),
        ({"sessions": np.array(["2020-01-02", "2020-01-02"], dtype="datetime64[D]")}, "increasing"),
        ({"sessions": np.array(["2020-01-02", "NaT"], dtype="datetime64[D]")}, "dates"),
        ({"n_funds": 0}, "n_funds"),
        ({"seed": -1}, "seed"),
        ({"market": "lse"}, "lse"),
        ({"last_session_progress": 0.0}, "last_session_progress"),
        ({"last_session_progress": 1.5}, "last_session_progress"),
    ],
)
def test_impossible_configurations_are_refused_by_name(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SimulationConfig(**{"sessions": weekdays()[:10], **arguments})
