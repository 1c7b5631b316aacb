"""House factors: signs, the exact price of a bond, what a session knows, and gaps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.attribution.house_factors import (
    HOUSE_FACTORS,
    HouseRules,
    house_factors,
    level_on_sessions,
    par_bond_return,
)
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.risk.us_funds import us_returns


def priced(coupon, yield_now, years):
    """Cash flows of a half-yearly bond, discounted one by one."""
    return sum(coupon / 2 / (1 + yield_now / 2) ** k for k in range(1, 2 * years + 1)) + 1 / (
        1 + yield_now / 2
    ) ** (2 * years)


@pytest.mark.parametrize("now", [0.051, 0.049, 0.10, 0.02, 1e-6, -0.004])
@pytest.mark.parametrize("before", [0.05, 0.001, -0.002])
def test_a_par_bond_is_repriced_exactly(before, now):
    expected = priced(before, now, 10) - 1 + before * 3 / 365
    found = par_bond_return(np.array(before), np.array(now), 10.0, np.array(3 / 365))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-13)


def test_a_yield_of_zero_is_no_hole():
    found = par_bond_return(np.full(2, 0.01), np.array([0.0, 1e-12]), 10.0, np.zeros(2))
    np.testing.assert_allclose(found, 0.1, rtol=1e-9)  # ten coupons of 1 % too many


def series(seed=0, sessions=200):
    rng = np.random.default_rng(seed)
    days = np.arange("2019-01-01", "2020-12-31", dtype="datetime64[D]")
    days = days[np.is_busday(days)][:sessions]
    walk = rng.normal(0, 1, (sessions, 6)).cumsum(axis=0)
    return days, {
        "market_return": rng.normal(0, 0.01, sessions),
        "cash_rate": np.full(sessions, 1.5),
        "yield_10y": 3 + 0.05 * walk[:, 0],
        "credit_spread": 4 + 0.05 * walk[:, 1],
        "audusd": 0.7 * np.exp(0.005 * walk[:, 2]),
        "oil": 60 * np.exp(0.02 * walk[:, 3]),
        "gold": 1500 * np.exp(0.01 * walk[:, 4]),
        "vix": 18 * np.exp(0.05 * walk[:, 5]),
    }


def test_signs_and_sizes():
    days, given = series()
    for name, moved in (("yield_10y", 0.1), ("credit_spread", 0.5), ("vix", 9.0)):
        given[name] = given[name].copy()
        given[name][50] = given[name][49] + moved
    given["audusd"][50] = given["audusd"][49] * 0.95
    given["oil"][50] = given["oil"][49] * 1.1
    given["gold"][50] = given["gold"][49] * 0.99
    row = dict(zip(HOUSE_FACTORS, house_factors(days, given)[50], strict=True))
    cash = 0.015 * float((days[50] - days[49]).astype(int)) / 365
    assert row["market"] == pytest.approx(given["market_return"][50] - cash)
    assert row["term"] == pytest.approx(-0.001 * 8.6, rel=0.03)  # modified duration of a 3 % par bond
    assert row["credit"] == pytest.approx(-0.02)
    assert row["currency"] == pytest.approx(1 / 0.95 - 1)  # the foreign currency gained
    assert row["oil"] == pytest.approx(0.1)
    assert row["gold"] == pytest.approx(-0.01)
    assert row["volatility"] == pytest.approx(np.log(given["vix"][50] / given["vix"][49]))


def test_an_unmoved_yield_earns_its_carry_over_the_calendar():
    days = np.array(["2024-03-01", "2024-03-04"], dtype="datetime64[D]")
    given = {"yield_10y": np.array([4.0, 4.0]), "cash_rate": np.array([1.0, 9.0])}
    assert house_factors(days, given, ("term",))[1, 0] == pytest.approx(0.03 * 3 / 365, rel=1e-9)


def test_missing_is_missing_and_a_price_below_zero_has_no_return():
    days, given = series(1)
    given["yield_10y"][30] = np.nan
    given["oil"][60] = -37.6
    found = house_factors(days, given)
    assert np.isnan(found[0]).all()
    assert np.isnan(found[30:32, HOUSE_FACTORS.index("term")]).all()
    assert np.isnan(found[60:62, HOUSE_FACTORS.index("oil")]).all()
    assert np.isnan(found[1:]).sum() == 4


def test_a_session_knows_yesterdays_yield():
    sessions = np.array(["2024-03-01", "2024-03-04", "2024-03-05", "2024-03-12"], dtype="datetime64[D]")
    days = np.array(["2024-02-29", "2024-03-01", "2024-03-04", "2024-03-05"], dtype="datetime64[D]")
    value = np.array([1.0, 2.0, np.nan, 4.0])
    np.testing.assert_array_equal(
        level_on_sessions(sessions, days, value, lag_days=1), [1.0, 2.0, 2.0, np.nan]
    )
    np.testing.assert_array_equal(
        level_on_sessions(sessions, days, value, lag_days=0), [2.0, 2.0, 4.0, np.nan]
    )
    assert np.isnan(level_on_sessions(sessions, days[:0], value[:0], lag_days=0)).all()
    with pytest.raises(ValueError, match="ascend"):
        level_on_sessions(sessions, days[::-1], value, lag_days=0)


def test_cuts_change_nothing():
    days, given = series(2)
    keys = list(given)

    def stage(days, *panels):
        return {"factors": house_factors(days, dict(zip(keys, panels, strict=True)))}

    assert_causal(stage, (days, *given.values()), (1, 2, 77, 150))


def test_what_cannot_be_meant_is_refused():
    days, given = series()
    with pytest.raises(ValueError, match="no house factor momentum"):
        house_factors(days, given, ("momentum",))
    del given["vix"]
    with pytest.raises(ValueError, match="volatility needs the series vix"):
        house_factors(days, given)
    with pytest.raises(ValueError, match="series oil"):
        house_factors(days, given | {"oil": np.ones(3)}, ("oil",))
    with pytest.raises(ValueError, match="half years"):
        HouseRules(maturity_years=7.3)
    with pytest.raises(ValueError, match="credit_duration"):
        HouseRules(credit_duration=0.0)


@pytest.mark.data
def test_the_term_factor_moves_as_a_fund_of_such_bonds(market_data):
    sessions, returns, _ = us_returns(market_data, ["IEF"])
    frame = pd.read_csv(market_data / "macro" / "FRED_DGS10.csv")
    frame.columns = ["day", "value"]
    value = pd.to_numeric(frame["value"], errors="coerce").to_numpy(dtype=float)
    days = pd.to_datetime(frame["day"]).to_numpy().astype("datetime64[D]")
    given = {
        "yield_10y": level_on_sessions(sessions, days, value, lag_days=0),
        "cash_rate": np.zeros(len(sessions)),
    }
    term = house_factors(sessions, given, ("term",))[:, 0]
    both = ~np.isnan(term) & ~np.isnan(returns[:, 0])
    assert both.sum() > 3000
    assert np.corrcoef(term[both], returns[both, 0])[0, 1] > 0.9
    assert 0.7 < np.polyfit(term[both], returns[both, 0], 1)[0] < 1.0  # 7 to 10 years against 10
