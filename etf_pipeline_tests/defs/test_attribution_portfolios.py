"""Why the accounts moved: the parts are the account's net return, whatever happened on the day."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.attribution.explained import FRESH_SESSIONS
from etf_pipeline.core.attribution.period_ends import period_ends
from etf_pipeline.defs.attribution.portfolios import (
    _annual,
    _by_part,
    _covariances,
    _daily,
    _risk,
    held_weights,
)
from etf_pipeline_tests.defs.attribution_market import GONE, SESSIONS, account_of, house, small_world

SMALL = {trade_at: small_world(trade_at=trade_at) for trade_at in ("close", "open")}
ITEMS = ("interest", "spread_cost", "impact_cost", "haircut")


def parts_of(small, value=None, return_sessions=1):
    account = account_of(small)
    one, found = house(small, value, return_sessions)
    weight = held_weights(account, small.panel.total_return.shape)
    parts, rows = _by_part(one, found, account, weight, small.panel)
    return parts, rows, account, weight, one, found


@pytest.mark.parametrize("trade_at", ["close", "open"])
@pytest.mark.parametrize("return_sessions", [1, 5])
def test_every_session_adds_up_to_the_accounts_net_return(trade_at, return_sessions):
    parts, rows, account, *_ = parts_of(SMALL[trade_at], return_sessions=return_sessions)
    assert rows[account.first :].all(), "from the first trade on"
    assert not rows[: account.first].any()
    whole = sum(part[rows] for part in parts.values())
    np.testing.assert_allclose(whole, account.net_return, rtol=0, atol=1e-12)
    assert "alpha" not in parts
    # All of this happened: the sum has proved something.
    assert account.item("income").sum() > 0
    assert account.item("haircut").sum() > 0
    assert (parts["haircut"] < 0).sum() == 1
    assert parts["haircut"][GONE] < 0
    assert all(
        (parts[name][rows] != 0).any()
        for name in (*ITEMS, "market", "oil", "specific", "risk_free", "unexplained")
    )


def test_only_trades_within_the_session_are_left_over():
    by_close, by_open = (parts_of(SMALL[trade_at]) for trade_at in ("close", "open"))
    scale_breaks = 1e-4  # holdings keep their value over a break of which nobody knows what became
    left = np.abs(by_close[0]["other"][by_close[1]])
    assert np.median(left) < 1e-15
    assert (left > scale_breaks).mean() < 0.02
    traded = by_open[2].item("traded") > 0
    gap = np.abs(by_open[0]["other"][by_open[1]])
    assert gap[traded].mean() > 1e-4
    assert np.median(gap[~traded]) < 1e-15


def test_the_first_day_bears_the_cost_of_buying():
    parts, rows, account, *_ = parts_of(SMALL["close"])
    first = account.first
    assert rows[first]
    assert parts["spread_cost"][first] == -account.item("spread_cost")[0] / 100_000.0 < 0
    assert parts["market"][first] == 0.0


def test_a_session_on_which_one_factor_has_no_value_keeps_the_others():
    small, at = SMALL["close"], 500
    whole = parts_of(small)[0]
    value = small.factors.copy()
    value[at, 1] = np.nan
    parts, rows, account, *_ = parts_of(small, value)
    assert rows[at]
    assert parts["oil"][at] == 0.0
    # Loadings of the close before know nothing of the hole yet.
    assert parts["market"][at] == whole["market"][at] != 0.0
    assert parts["specific"][at] == pytest.approx(whole["specific"][at] + whole["oil"][at], abs=1e-15)
    assert sum(part[at] for part in parts.values()) == pytest.approx(
        account.net_return[at - account.first], abs=1e-12
    )


def test_a_session_on_which_no_factor_has_a_value_is_unexplained():
    small, at = SMALL["close"], 500
    value = small.factors.copy()
    value[at] = np.nan
    parts, rows, _, weight, *_ = parts_of(small, value)
    assert rows[at]
    assert parts["market"][at] == parts["oil"][at] == parts["specific"][at] == parts["risk_free"][at] == 0.0
    earned = np.nansum(weight[at - 1] * small.panel.total_return[at])
    assert parts["unexplained"][at] == pytest.approx(earned, abs=1e-15)


def test_a_factor_that_ends_leaves_the_others_and_rows_stop_with_the_last():
    small = SMALL["close"]
    value = small.factors.copy()
    value[500:, 1] = np.nan
    parts, rows, account, *_ = parts_of(small, value)
    assert rows[account.first :].all()
    assert (parts["oil"][500:] == 0.0).all()
    assert (parts["market"][SESSIONS - 100 :] != 0.0).any()
    value[600:, 0] = np.nan
    ended = parts_of(small, value)[1]
    assert np.flatnonzero(ended).tolist() == list(range(account.first, 600 + FRESH_SESSIONS))


def years(small, value=None):
    parts, rows, account, *_ = parts_of(small, value)
    frame = _annual(parts, rows, account, small.covered, small.panel.sessions)
    return frame, account


def test_a_year_adds_up_to_its_compound_return():
    small = SMALL["close"]
    frame, account = years(small)
    assert sorted(frame["year"].unique()) == [2020, 2021]
    year = small.panel.sessions[account.first :].astype("datetime64[Y]").astype(int) + 1970
    for number, part in frame.groupby("year"):
        compound = np.prod(1 + account.net_return[year == number]) - 1
        assert part["contribution"].sum() == pytest.approx(compound, abs=1e-12)
        assert (part["session"] == pd.Timestamp(f"{number + 1}-01-01")).all()


def test_a_year_with_a_hole_in_one_factor_is_there_and_one_without_factors_is_not():
    small = SMALL["close"]
    value = small.factors.copy()
    value[500:502, 1] = np.nan
    assert sorted(years(small, value)[0]["year"].unique()) == [2020, 2021]
    value[600:] = np.nan
    assert sorted(years(small, value)[0]["year"].unique()) == [2020]
    # Factors that begin after the account's first session: its year is not whole either.
    value = small.factors.copy()
    value[:110] = np.nan
    frame, account = years(small, value)
    assert account.first < 110 + 201
    assert sorted(frame["year"].unique()) == [2021]


def test_what_the_market_fund_no_longer_covers_belongs_to_no_year():
    small = SMALL["close"]
    parts, rows, account, *_ = parts_of(small)
    covered = small.covered.copy()
    covered[700:] = False
    rows[710:] = False
    frame = _annual(parts, rows, account, covered, small.panel.sessions)
    last = frame[frame["year"] == 2021]["contribution"].sum()
    at = np.arange(361, 700)  # from 1 January 2021 on
    assert str(small.panel.sessions[361])[:10] == "2021-01-01"
    assert last == pytest.approx(np.prod(1 + account.net_return[at - account.first]) - 1, abs=1e-12)


def frames(small):
    """All three tables of an account."""
    parts, rows, account, weight, one, found = parts_of(small, return_sessions=5)
    months = period_ends(small.panel.sessions, "asx")
    return {
        "daily": _daily(parts, rows, small.panel.sessions),
        "annual": _annual(parts, rows, account, small.covered, small.panel.sessions),
        "risk": _risk(
            one, found, weight, _covariances(one, months[months >= account.first]), small.panel.sessions
        ),
    }


@pytest.mark.parametrize("trade_at", ["close", "open"])
def test_cuts_change_no_row_though_funds_vanish(trade_at):
    """Funds that are listed after the cut are no columns then: sums over funds must not depend on their number."""
    small = small_world(seed=11, trade_at=trade_at, funds=40)
    begun = np.argmax(np.isfinite(small.traded.mark), axis=0)
    late = np.arange(40) % 3 == 2
    hidden = np.where(late, SESSIONS, begun)  # a third of the funds are only listed at the end
    small.traded.mark[: SESSIONS - 1, late] = np.nan
    small.traded.fill[: SESSIONS - 1, late] = np.nan
    small.panel.total_return[:, late] = np.nan
    small.panel.spanned[:, late] = 0
    whole = frames(small)
    for rows in (520, 711, 844):
        columns = np.flatnonzero(hidden < rows)
        assert len(columns) < 40
        part = frames(small.cut(rows, columns))
        last = small.panel.sessions[rows - 1]
        for name, frame in part.items():
            expected = whole[name][whole[name]["session"] <= pd.Timestamp(last)].reset_index(drop=True)
            got = frame.sort_values(["part", "session"]).reset_index(drop=True)
            expected = expected.sort_values(["part", "session"]).reset_index(drop=True)
            assert len(got) or name == "annual", name
            pd.testing.assert_frame_equal(got, expected, check_exact=True)


def test_volatility_by_part_adds_up_and_is_that_of_what_is_held():
    small = SMALL["close"]
    _, _, account, weight, one, found = parts_of(small)
    months = period_ends(small.panel.sessions, "asx")
    frame = _risk(
        one, found, weight, _covariances(one, months[months >= account.first]), small.panel.sessions
    )
    for day, part in frame.groupby("session"):
        assert part["share_of_variance"].sum() == pytest.approx(1.0, abs=1e-12)
        assert set(part["part"]) == {"market", "oil", "specific"}
        row = int(np.searchsorted(small.panel.sessions, np.datetime64(day, "D")))
        own = np.flatnonzero(weight[row])
        known = np.isfinite(found.loading[row, own]).all(axis=1)
        beta = weight[row, own[known]] @ found.loading[row, own[known]]
        assert part["exposure"].iloc[:2].to_numpy() == pytest.approx(beta, rel=1e-12)
        covariance = one.covariance(row)[1]
        residual = weight[row, own[known]] ** 2 @ found.residual_variance[row, own[known]]
        volatility = np.sqrt(252 * (beta @ covariance @ beta + residual))
        assert part["volatility_annualised"].sum() == pytest.approx(volatility, rel=1e-12)
        assert part["unexplained_weight"].iloc[0] == pytest.approx(weight[row, own[~known]].sum(), abs=1e-15)


def test_there_is_no_risk_by_factors_that_have_ended():
    small = SMALL["close"]
    value = small.factors.copy()
    value[600:] = np.nan
    one, found = house(small, value)
    account = account_of(small)
    weight = held_weights(account, small.panel.total_return.shape)
    months = period_ends(small.panel.sessions, "asx")
    frame = _risk(
        one, found, weight, _covariances(one, months[months >= account.first]), small.panel.sessions
    )
    assert frame["session"].max() <= pd.Timestamp(small.panel.sessions[600 + FRESH_SESSIONS])
    assert len(frame)
