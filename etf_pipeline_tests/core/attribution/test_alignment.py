"""Which factor days a session sees, and fund returns in the factors' currency."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.attribution.alignment import align_factors, excess_return
from etf_pipeline_tests.core.random_market import assert_causal

NAMES = ("market_excess", "size")


def day(text):
    return np.array(text.split(), dtype="datetime64[D]")


# Fri 1, Mon 4 .. Fri 8, Mon 11 March 2024; Sydney rests on Wed 6, New York on Thu 7.
SYDNEY = day("2024-03-01 2024-03-04 2024-03-05 2024-03-07 2024-03-08 2024-03-11")
NEW_YORK = day("2024-02-29 2024-03-01 2024-03-04 2024-03-05 2024-03-06 2024-03-08")
VALUE = np.array([[0.01, 0.001], [0.02, 0.002], [-0.01, 0.003], [0.03, 0.004], [0.05, 0.005], [0.04, 0.006]])
RATE = np.array([1e-4, 2e-4, 1e-4, 1e-4, 3e-4, 1e-4])


def aligned(lag=1, longest=1, sessions=SYDNEY):
    return align_factors(sessions, NEW_YORK, VALUE, RATE, NAMES, lag_days=lag, longest_span=longest)


def test_a_market_that_closes_first_sees_yesterday():
    a = aligned()
    assert np.isnan(a.value[0, 0]).all()  # nothing before it to return from
    np.testing.assert_array_equal(a.days, [-1, 1, 1, 2, 0, 1])
    np.testing.assert_array_equal(a.first_day[1:4], day("2024-03-01 2024-03-04 2024-03-05"))
    np.testing.assert_array_equal(a.last_day[1:4], day("2024-03-01 2024-03-04 2024-03-06"))
    np.testing.assert_array_equal(a.value[0, 1], VALUE[1])  # Friday's New York on Monday
    np.testing.assert_array_equal(a.value[0, 4], [0.0, 0.0])  # New York rested on Thursday
    assert np.isnat(a.first_day[4])
    assert a.first_day[5] == a.last_day[5] == np.datetime64("2024-03-08")


def test_over_a_holiday_the_market_is_compounded_and_long_short_returns_are_summed():
    a = aligned()
    market = (1 + 0.03 + 1e-4) * (1 + 0.05 + 3e-4) - (1 + 1e-4) * (1 + 3e-4)
    np.testing.assert_allclose(a.value[0, 3], [market, 0.004 + 0.005], rtol=1e-13)
    assert a.risk_free[0, 3] == pytest.approx((1 + 1e-4) * (1 + 3e-4) - 1, rel=1e-12)


def test_a_market_of_the_same_hours_sees_today():
    a = aligned(lag=0)
    np.testing.assert_array_equal(a.value[0, 1], VALUE[2])
    # On the 7th New York had none, which its close cannot know; the 11th is not published yet.
    np.testing.assert_array_equal(a.days, [-1, 1, 1, -1, 1, -1])


def test_what_is_not_published_is_unknown_and_a_hole_is_too():
    later = np.concatenate([SYDNEY, day("2024-03-12 2024-03-13")])
    a = aligned(sessions=later)
    assert np.isnan(a.value[0, 6:]).all()
    assert (a.days[6:] == -1).all()
    value = VALUE.copy()
    value[3, 1] = np.nan
    hole = align_factors(SYDNEY, NEW_YORK, value, RATE, NAMES, lag_days=1)
    assert np.isnan(hole.value[0, 3, 1])
    assert not np.isnan(hole.value[0, 3, 0])
    early = align_factors(
        np.concatenate([day("2024-02-27 2024-02-28"), SYDNEY]), NEW_YORK, VALUE, RATE, NAMES, lag_days=1
    )
    assert np.isnan(early.value[0, :3]).all()
    assert (early.days[:3] == -1).all()


def test_longer_spans_compound_to_what_the_single_sessions_do():
    a = aligned(longest=3)
    one = a.value[0]
    np.testing.assert_allclose(a.value[2, 3, 1], one[1:4, 1].sum(), rtol=1e-13)
    total = np.prod(1 + one[2:5, 0] + a.risk_free[0, 2:5]) - np.prod(1 + a.risk_free[0, 2:5])
    np.testing.assert_allclose(a.value[2, 4, 0], total, rtol=1e-3)  # of days against of sessions' excess
    assert np.isnan(a.value[2, 2]).all()


def test_cuts_change_nothing():
    rng = np.random.default_rng(0)
    days = np.arange("2020-01-01", "2021-01-01", dtype="datetime64[D]")
    days = days[np.is_busday(days)]
    sessions, factor_days = days[rng.random(len(days)) > 0.1], days[rng.random(len(days)) > 0.1]
    value, rate = rng.normal(size=(len(factor_days), 2)), rng.random(len(factor_days)) * 1e-4

    def stage(cut_sessions):
        a = align_factors(cut_sessions, factor_days, value, rate, NAMES, lag_days=1, longest_span=4)
        return {"value": a.value.swapaxes(0, 1), "rate": a.risk_free.T, "days": a.days}

    assert_causal(stage, (sessions,), (1, 2, 50, 123, 200))
    whole = stage(sessions)
    for cut in (20, 100, 180):  # the factors end a day before the session: nothing later was looked at
        seen = factor_days < sessions[cut]
        a = align_factors(
            sessions[: cut + 1], factor_days[seen], value[seen], rate[seen], NAMES, lag_days=1, longest_span=4
        )
        there = ~np.isnan(a.value)
        np.testing.assert_array_equal(a.value[there], whole["value"][: cut + 1].swapaxes(0, 1)[there])
        assert there[0, 1:cut].sum() > cut


@pytest.mark.parametrize("lag", [0, 1])
def test_cutting_factors_and_sessions_at_any_day_changes_no_row(lag):
    """Also on a holiday of the factors' market, or on the second of two, after which the table ends in the cut."""
    rng = np.random.default_rng(1)
    days = np.arange("2020-01-01", "2020-05-01", dtype="datetime64[D]")
    days = days[np.is_busday(days)]
    sessions, factor_days = days[rng.random(len(days)) > 0.1], days[rng.random(len(days)) > 0.25]
    value, rate = rng.normal(size=(len(factor_days), 2)), rng.random(len(factor_days)) * 1e-4

    def stage(until):
        seen, own = factor_days <= until, sessions[sessions <= until]
        a = align_factors(
            own, factor_days[seen], value[seen], rate[seen], NAMES, lag_days=lag, longest_span=3
        )
        return a.value.swapaxes(0, 1), a.risk_free.T, a.days

    whole = stage(days[-1])
    assert (whole[2][1:] == -1).sum() < 0.4 * len(sessions)
    for until in sessions:
        for part, all_of_it in zip(stage(until), whole, strict=True):
            np.testing.assert_array_equal(part, all_of_it[: len(part)], err_msg=str(until))


def test_a_fund_is_converted_over_its_own_span():
    a = aligned(longest=2)
    usd_per_aud = np.array([0.65, 0.66, 0.64, np.nan, 0.65, 0.67])
    r = np.full((6, 3), 0.01)
    spanned = np.ones((6, 3), dtype=int)
    spanned[5] = [1, 2, 3]
    e = excess_return(r, spanned, a, exchange_rate=usd_per_aud, convert=np.array([True, True, False]))
    assert e[1, 0] == pytest.approx(1.01 * 0.66 / 0.65 - 1 - 2e-4, rel=1e-12)
    assert e[1, 2] == pytest.approx(0.01 - 2e-4, rel=1e-12)
    assert np.isnan(e[3:5, 0]).all()  # the currency is missing at one end: unknown, not unconverted
    assert not np.isnan(e[3:5, 2]).any()
    assert np.isnan(e[5, 1])  # two sessions back the currency is missing
    assert e[5, 0] == pytest.approx(1.01 * 0.67 / 0.65 - 1 - 1e-4, rel=1e-12)
    assert np.isnan(e[5, 2])  # no factors over three sessions
    assert np.isnan(e[0]).all()
    two = excess_return(r[:, :1], np.full((6, 1), 2), a)
    assert two[3, 0] == pytest.approx(0.01 - ((1 + 1e-4) ** 2 * (1 + 3e-4) - 1), rel=1e-9)


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(ValueError, match="2024-03-01 does not follow"):
        align_factors(SYDNEY[::-1][4:], NEW_YORK, VALUE, RATE, NAMES, lag_days=1)
    with pytest.raises(ValueError, match="lag_days"):
        aligned(lag=2)
    with pytest.raises(ValueError, match="factor_days by names"):
        align_factors(SYDNEY, NEW_YORK, VALUE, RATE, ("market_excess",), lag_days=1)
    r, spanned = np.zeros((6, 1)), np.ones((6, 1), dtype=int)
    with pytest.raises(ValueError, match="exchange_rate is missing"):
        excess_return(r, spanned, aligned(), convert=np.array([True]))
    with pytest.raises(ValueError, match="positive"):
        excess_return(r, spanned, aligned(), exchange_rate=np.zeros(6))
    with pytest.raises(ValueError, match="belong together"):
        excess_return(r[:5], spanned[:5], aligned())
