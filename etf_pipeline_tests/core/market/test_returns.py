"""Total returns: hand-computed spans, splits, distributions, holes and repairs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_pipeline.core.market.panel import from_long
from etf_pipeline.core.market.returns import ReturnPanel, total_return
from etf_pipeline_tests.core.random_market import assert_causal, random_market

NAN = float("nan")


def one_fund(
    close, *, split=None, distribution=None, scale=None, basis="as_traded", **options
) -> ReturnPanel:
    """One fund; a NaN close is a session without an accepted bar."""
    column = np.array(close, dtype=float)[:, None]
    ones = np.ones_like(column)

    def place(cells, panel):
        for row, value in (cells or {}).items():
            panel[row, 0] = value
        return panel

    return total_return(
        column,
        ~np.isnan(column),
        place(scale, ones.copy()),
        place(split, ones.copy()),
        place(distribution, 0 * ones),
        basis=basis,
        **options,
    )


def test_close_to_close():
    panel = one_fund([100, 110, 99])
    np.testing.assert_allclose(panel.total_return[:, 0], [NAN, 0.10, -0.10], rtol=1e-14)
    assert panel.sessions_spanned[:, 0].tolist() == [0, 1, 1]
    assert panel.return_basis == "actions"


def test_distribution_on_its_ex_date():
    panel = one_fund([100, 98, 99], distribution={1: 3.0})
    np.testing.assert_allclose(panel.total_return[:, 0], [NAN, 0.01, 1 / 98], rtol=1e-13)


def test_split_on_its_ex_date():
    panel = one_fund([100, 51, 52], split={1: 2.0})
    np.testing.assert_allclose(panel.total_return[:, 0], [NAN, 0.02, 1 / 51], rtol=1e-13)


def test_split_and_distribution_on_one_ex_date_follow_the_architecture():
    # (close * split + distribution) / previous - 1: the cash is for the old unit.
    panel = one_fund([100, 50, 50], split={1: 2.0}, distribution={1: 4.0})
    np.testing.assert_allclose(panel.total_return[1, 0], (50 * 2 + 4) / 100 - 1, rtol=1e-14)


def test_consolidation():
    panel = one_fund([2, 41], split={1: 0.05})
    np.testing.assert_allclose(panel.total_return[1, 0], 0.025, rtol=1e-13)


def test_a_hole_spans_and_carries_what_happened_inside():
    # Bought at 100. Session 1: 2-for-1. Session 2: 1.5 a unit, on two units. Session 3: 3-for-1, then 0.2 at
    # session 4 on six units. Close 17 at session 4: 6 * 17 + 3 + 1.2 = 106.2.
    panel = one_fund([100, NAN, NAN, NAN, 17, 18], split={1: 2.0, 3: 3.0}, distribution={2: 1.5, 4: 0.2})
    np.testing.assert_allclose(panel.total_return[:, 0], [NAN, NAN, NAN, NAN, 0.062, 1 / 17], rtol=1e-12)
    assert panel.sessions_spanned[:, 0].tolist() == [0, 0, 0, 0, 4, 1]
    assert not panel.unknown.any()


def test_actions_before_the_first_bar_do_not_count():
    panel = one_fund([NAN, NAN, 10, 11], split={0: 7.0, 1: NAN, 2: 3.0}, distribution={1: 5.0, 2: 5.0})
    np.testing.assert_allclose(panel.total_return[:, 0], [NAN, NAN, NAN, 0.1], rtol=1e-13)


def test_scale_repairs_an_unrecorded_consolidation_once():
    # 1-for-20 at session 2 without an action: afterwards the closes are comparable with each other again.
    panel = one_fund([1.0, 1.1, 22.0, 24.2], scale={2: 20.0})
    np.testing.assert_allclose(panel.total_return[:, 0], [NAN, 0.1, 0.0, 0.1], rtol=1e-12, atol=1e-12)


def test_a_flip_flop_between_scales():
    panel = one_fund([10, 101, 10.2, 10.2, 102], scale={1: 10.0, 2: 0.1, 4: 10.0})
    np.testing.assert_allclose(
        panel.total_return[1:, 0], [0.01, 10.2 / 10.1 - 1, 0, 0], rtol=1e-9, atol=1e-12
    )


def test_scale_applies_to_the_bar_and_not_to_the_cash():
    panel = one_fund([10, 98], scale={1: 10.0}, distribution={1: 0.3})
    np.testing.assert_allclose(panel.total_return[1, 0], (9.8 + 0.3) / 10 - 1, rtol=1e-13)


def test_what_cannot_be_compared_is_unknown_and_then_a_new_base():
    panel = one_fund([10, 300, 303], scale={1: NAN})
    np.testing.assert_allclose(panel.total_return[:, 0], [NAN, NAN, 0.01], rtol=1e-12)
    assert panel.unknown[:, 0].tolist() == [False, True, False]
    assert panel.sessions_spanned[:, 0].tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    "actions",
    [{"split": {1: 0.0}}, {"split": {1: -2.0}}, {"split": {1: NAN}}, {"split": {1: np.inf}},
     {"distribution": {1: -0.5}}, {"distribution": {1: NAN}}, {"distribution": {1: np.inf}}],
)  # fmt: skip
def test_an_impossible_action_makes_its_span_unknown_and_no_more(actions):
    panel = one_fund([10, NAN, 11, 12.1], **actions)
    assert panel.unknown[:, 0].tolist() == [False, False, True, False]
    np.testing.assert_allclose(panel.total_return[3, 0], 0.1, rtol=1e-12)


def test_a_single_bar_and_no_bar():
    assert np.isnan(one_fund([NAN, 10, NAN]).total_return).all()
    assert np.isnan(one_fund([NAN, NAN]).total_return).all()
    assert one_fund([]).total_return.shape == (0, 1)


def test_split_adjusted_applies_distributions_only():
    panel = one_fund([50, 51], split={1: 2.0}, distribution={1: 0.5}, basis="split_adjusted")
    np.testing.assert_allclose(panel.total_return[1, 0], 0.03, rtol=1e-13)
    assert panel.return_basis == "actions"


def test_total_return_adjusted_takes_the_close_ratio():
    panel = one_fund([50, 51], split={1: 2.0}, distribution={1: 0.5}, basis="total_return_adjusted")
    np.testing.assert_allclose(panel.total_return[1, 0], 0.02, rtol=1e-13)
    assert panel.return_basis == "close_ratio"


def test_without_actions_the_vendors_adjusted_close_serves():
    adjusted = np.array([[40.0], [42.0], [NAN], [44.0]])
    panel = one_fund([50, 51, 52, 53], basis="split_adjusted", adj_close=adjusted, has_actions=False)
    np.testing.assert_allclose(panel.total_return[:2, 0], [NAN, 0.05], rtol=1e-13)
    assert panel.unknown[:, 0].tolist() == [False, False, True, True]
    assert panel.return_basis == "adj_close_ratio"


def test_without_either_it_says_price_only():
    panel = one_fund([50, 51], basis="split_adjusted", has_actions=False)
    np.testing.assert_allclose(panel.total_return[1, 0], 0.02, rtol=1e-13)
    assert panel.return_basis == "price_only"


def test_adjusted_closes_are_not_used_where_there_are_actions():
    adjusted = np.array([[1.0], [9.0]])
    assert one_fund([50, 51], adj_close=adjusted).total_return[1, 0] == pytest.approx(0.02)


def test_accepted_closes_must_be_positive_and_shapes_agree():
    one = np.ones((2, 1))
    with pytest.raises(ValueError, match=r"first 0.0 at session 1, ticker 0"):
        total_return(np.array([[1.0], [0.0]]), one > 0, one, one, 0 * one, basis="as_traded")
    with pytest.raises(ValueError, match="differ in shape"):
        total_return(one, one > 0, one, np.ones((2, 2)), 0 * one, basis="as_traded")
    with pytest.raises(ValueError, match="basis 'adjusted' is none of as_traded"):
        total_return(one, one > 0, one, one, 0 * one, basis="adjusted")


def test_rejected_bars_are_not_looked_at():
    close = np.array([[10.0], [-5.0], [11.0]])
    accepted = np.array([[True], [False], [True]])
    one = np.ones((3, 1))
    panel = total_return(close, accepted, one, one, 0 * one, basis="as_traded")
    np.testing.assert_allclose(panel.total_return[2, 0], 0.1, rtol=1e-13)
    assert panel.sessions_spanned[2, 0] == 2


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_without_cash_holes_do_not_change_the_compounded_return(seed):
    market = random_market(seed, sessions=60, funds=4, hole=0.3)
    rng = np.random.default_rng(seed)
    full_close = 20 * np.exp(np.cumsum(rng.normal(0, 0.02, market.close.shape), axis=0))
    one = np.ones_like(full_close)
    panel = total_return(full_close, market.accepted, one, market.split, 0 * one, basis="as_traded")
    for j in range(4):
        rows = np.flatnonzero(market.accepted[:, j])
        if len(rows) < 2:
            continue
        first, last = rows[0], rows[-1]
        growth = np.prod(1 + panel.total_return[rows[1:], j])
        units = np.prod(market.split[first + 1 : last + 1, j])
        np.testing.assert_allclose(growth, full_close[last, j] * units / full_close[first, j], rtol=1e-10)
        assert panel.sessions_spanned[:, j].sum() == last - first


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_returns_do_not_depend_on_the_unit_of_money(seed, rate):
    m = random_market(seed, sessions=50, funds=4)
    panels = [
        total_return(m.close * k, m.accepted, m.scale, m.split, m.distribution * k, basis="as_traded")
        for k in (1.0, rate)
    ]
    np.testing.assert_allclose(panels[0].total_return, panels[1].total_return, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_cutting_changes_nothing_earlier(seed):
    m = random_market(seed)

    def stage(close, accepted, scale, split, distribution):
        panel = total_return(close, accepted, scale, split, distribution, basis="as_traded")
        return {"total_return": panel.total_return, "spanned": panel.sessions_spanned}

    assert_causal(stage, (m.close, m.accepted, m.scale, m.split, m.distribution), (1, 2, 57, 200, 311, 419))


@pytest.mark.data
def test_american_distributions_reproduce_the_vendors_adjusted_close(market_data):
    """The vendor's adjusted close compounds price and distribution: two sources, one number."""
    bars = pd.read_parquet(market_data / "us" / "us_etf_ohlcv_adj_div_2026-05.parquet")
    bars = bars[bars["ticker"].isin(["SPY", "TLT", "HYG", "VNQ", "EEM"])].rename(columns={"date": "session"})
    paid = bars[bars["dividend"] > 0]
    actions = pd.DataFrame(
        {
            "ticker": paid["ticker"],
            "ex_date": paid["session"],
            "kind": "dividend",
            "value": paid["dividend"],
        }
    )
    sessions = np.unique(bars["session"].to_numpy().astype("datetime64[D]"))
    panel, _ = from_long(bars.assign(is_final=True), actions, sessions)
    accepted = panel.close > 0
    one = np.ones(panel.shape)
    common = {"basis": "split_adjusted", "adj_close": panel.adj_close}
    ours = total_return(panel.close, accepted, one, panel.split, panel.distribution, **common)
    theirs = total_return(
        panel.close, accepted, one, panel.split, panel.distribution, has_actions=False, **common
    )
    gap = np.abs(ours.total_return - theirs.total_return)
    ex_date = panel.distribution > 0
    assert np.nanmax(gap[~ex_date]) < 5e-5  # rounding of the file
    # On ex-dates the vendor divides by (close_before - d): the same to first order.
    paid_share = (panel.distribution[1:] / panel.close[:-1])[ex_date[1:]]
    assert ex_date[1:].sum() > 500
    assert (
        gap[1:][ex_date[1:]] <= 1.2 * paid_share * np.abs(theirs.total_return[1:][ex_date[1:]]) + 5e-5
    ).all()


def test_splits_of_traded_prices_are_applied_even_where_no_distributions_are_known() -> None:
    close = np.array([[10.0], [5.1], [5.2]])
    ones = np.ones((3, 1))
    split = np.array([[1.0], [2.0], [1.0]])
    panel = total_return(
        close, ones == 1, ones, split, 0 * ones, basis="as_traded", adj_close=None, has_actions=False
    )
    assert panel.return_basis == "price_only"
    np.testing.assert_allclose(panel.total_return[1:, 0], [0.02, 5.2 / 5.1 - 1])
