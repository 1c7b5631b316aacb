"""The account: a case worked by hand, a plain second implementation, and what must hold of any account."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_pipeline.core.market.returns import total_return
from etf_pipeline.core.parallel import set_workers
from etf_pipeline.core.portfolio.costs import TradingCosts
from etf_pipeline.core.validation.backtest import (
    AccountRules,
    BacktestError,
    Orders,
    TradingMarket,
    backtest,
    backtest_returns,
    orders,
    trading_market,
)
from etf_pipeline.core.validation.backtest.reference import account_reference

DAYS = np.arange(np.datetime64("2024-01-01"), np.datetime64("2024-12-31"))


def market(
    close: np.ndarray,
    *,
    accepted: np.ndarray | None = None,
    split: dict[tuple[int, int], float] | None = None,
    cash: dict[tuple[int, int], float] | None = None,
    scale: dict[tuple[int, int], float] | None = None,
    gone: dict[tuple[int, int], bool] | None = None,
    half_spread: float = 0.0,
    impact: float = 0.0,
    **more: object,
) -> TradingMarket:
    def panel(
        fill: float, cells: dict[tuple[int, int], float] | dict[tuple[int, int], bool] | None
    ) -> np.ndarray:
        out = np.full(close.shape, fill)
        for cell, value in (cells or {}).items():
            out[cell] = value
        return out

    return trading_market(
        DAYS[: len(close)],
        np.array([f"F{i}" for i in range(close.shape[1])]),
        more.pop("open_", close),  # type: ignore[arg-type]
        close,
        np.isfinite(close) if accepted is None else accepted,
        panel(1.0, scale),
        panel(1.0, split),
        panel(0.0, cash),
        panel(0.0, gone) > 0,
        TradingCosts(np.full(close.shape, half_spread), np.full(close.shape, impact)),
        basis="as_traded",
        **more,  # type: ignore[arg-type]
    )


def test_ten_days_of_three_funds_by_hand() -> None:
    """A split, a distribution, a delisting, spread costs, one rebalance; every figure worked out beside it."""
    close = np.array(
        [
            # A: 2-for-1 on day 4.  B: 0.50 paid on day 3.  C: last bar on day 5, known gone on day 8.
            [10.0, 20.0, 5.0],
            [10.0, 20.0, 5.0],
            [11.0, 20.0, 5.0],
            [12.0, 19.5, 6.0],
            [6.0, 19.5, 6.0],
            [6.5, 20.0, 4.0],
            [6.5, 21.0, np.nan],
            [7.0, 21.0, np.nan],
            [7.0, 22.0, np.nan],
            [7.5, 22.0, np.nan],
        ]
    )
    traded = market(
        close, split={(4, 0): 2.0}, cash={(3, 1): 0.5}, gone={(8, 2): True, (9, 2): True}, half_spread=0.01
    )
    wanted = orders(
        np.array([0, 6]),
        [(np.array([0, 1, 2]), np.array([0.5, 0.25, 0.2])), (np.array([0, 1]), np.array([0.5, 0.5]))],
        10,
    )
    account = backtest(traded, wanted, AccountRules(capital=1010.0, delisting_haircut=0.1))
    assert account.first == 1
    # Day 1: all of 0.95 is bought, costing 1 %: E = 1010 - 0.0095 E, E = 1000.495...; then 0.95 E in funds.
    e = 1010.0 / 1.0095
    a, b, c = 0.5 * e / 10.0, 0.25 * e / 20.0, 0.2 * e / 5.0
    cash = 0.05 * e
    end = [e, cash + 11 * a + 20 * b + 5 * c]
    cash += 0.5 * b
    end.append(cash + 12 * a + 19.5 * b + 6 * c)
    a *= 2
    end.append(cash + 6 * a + 19.5 * b + 6 * c)
    end.append(cash + 6.5 * a + 20 * b + 4 * c)
    end.append(cash + 6.5 * a + 21 * b + 4 * c)
    # Day 7: half in A and half in B, but C cannot be sold and stays; A and B get what is left.
    total = cash + 7 * a + 21 * b + 4 * c
    # A is bought or sold by x, B by y: (7a + x) = (21b + y) = (total - cost - 4c) / 2, cost = .01 (|x| + |y|).
    cost = 0.0
    for _ in range(100):
        each = (total - cost - 4 * c) / 2
        cost = 0.01 * (abs(each - 7 * a) + abs(each - 21 * b))
    a, b = each / 7, each / 21
    end.append(total - cost)
    # Day 8: C is known to be gone and pays 4.00 less a tenth.
    cash = 0.9 * 4 * c
    end.append(7 * a + 22 * b + cash)
    end.append(7.5 * a + 22 * b + cash)
    np.testing.assert_allclose(account.item("end"), end, rtol=1e-12)
    assert account.item("income")[2] == pytest.approx(0.25 * e / 20.0 * 0.5)
    assert account.item("haircut")[7] == pytest.approx(0.4 * c)
    assert account.item("spread_cost")[0] == pytest.approx(0.0095 * e)
    assert account.item("spread_cost")[6] == pytest.approx(cost)
    assert account.item("cash")[-1] == pytest.approx(cash)
    np.testing.assert_array_equal(account.item("funds"), [3] * 7 + [2, 2])
    kinds = account.trades[:, 7]
    assert kinds.tolist() == [0, 0, 0, 0, 0, 2]
    assert account.imbalance() < 1e-9


def random_market(
    seed: int, sessions: int = 60, funds: int = 5, *, at_open: bool = False
) -> tuple[TradingMarket, Orders]:
    rng = np.random.default_rng(seed)
    close = 20.0 * np.exp(np.cumsum(0.02 * rng.standard_normal((sessions, funds)), axis=0))
    open_ = close * np.exp(0.005 * rng.standard_normal(close.shape))
    close[rng.random(close.shape) < 0.15] = np.nan
    death = rng.integers(20, 2 * sessions, funds)
    for i in range(funds):
        close[death[i] :, i] = np.nan
    gone = np.arange(sessions)[:, None] >= death + 5
    event = rng.random(close.shape)
    traded = trading_market(
        DAYS[:sessions],
        np.array([f"F{i}" for i in range(funds)]),
        open_,
        close,
        np.isfinite(close),
        np.where(rng.random(close.shape) < 0.01, np.nan, np.where(event > 0.99, 20.0, 1.0)),
        np.where(event < 0.02, 3.0, 1.0),
        np.where((event > 0.1) & (event < 0.15), 0.3, 0.0),
        gone,
        TradingCosts(rng.uniform(0.0, 0.01, close.shape), rng.uniform(0.0, 1e-5, close.shape)),
        basis="as_traded",
        trade_at="open" if at_open else "close",
        deposit=np.full(sessions, 0.0001),
        loan=np.full(sessions, 0.0003),
    )
    decided = np.arange(0, sessions - 5, 7)
    targets = []
    for _ in decided:
        fund = np.sort(rng.choice(funds, min(3, funds), replace=False))
        weight = rng.uniform(0.0, 0.4, len(fund))
        targets.append((fund, weight))
    return traded, orders(decided, targets, sessions)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("whole", [False, True], ids=["fractional", "whole"])
@pytest.mark.parametrize("at_open", [False, True], ids=["close", "open"])
def test_the_kernel_agrees_with_the_plain_account(seed: int, whole: bool, at_open: bool) -> None:
    traded, wanted = random_market(seed, at_open=at_open)
    rules = AccountRules(whole_units=whole)
    account = backtest(traded, wanted, rules)
    plain = account_reference(traded, wanted, rules)
    for name in ("end", "cash", "income", "price_gain"):
        np.testing.assert_allclose(account.item(name), plain[name], rtol=1e-9, atol=1e-6, err_msg=name)
    cost = account.item("spread_cost") + account.item("impact_cost")
    np.testing.assert_allclose(cost, plain["cost"], rtol=1e-9, atol=1e-6)
    assert (cost > 0).any()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_start_plus_gains_less_costs_is_the_end(seed: int) -> None:
    account = backtest(*random_market(seed))
    assert account.imbalance() < 1e-6
    np.testing.assert_allclose(account.item("start")[1:], account.item("end")[:-1])
    assert (account.item("end") > 0).all()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_future_changes_nothing_before_it(seed: int) -> None:
    traded, wanted = random_market(seed)
    cut = 37
    whole = backtest(traded, wanted)
    close = traded.mark[:cut]
    keep = wanted.executed < cut
    part = dataclasses.replace(
        traded,
        sessions=traded.sessions[:cut],
        mark=close,
        fill=traded.fill[:cut],
        event_start=traded.event_start[: cut + 1],
    )
    number = int(keep.sum())
    earlier = Orders(
        wanted.decided[keep], wanted.executed[keep], wanted.start[: number + 1], wanted.fund[: wanted.start[number]],
        wanted.weight[: wanted.start[number]],
    )  # fmt: skip
    np.testing.assert_array_equal(backtest(part, earlier).daily, whole.daily[: cut - whole.first])


def test_one_fund_held_for_ever_earns_its_total_return() -> None:
    traded, _ = random_market(3, funds=1)
    close = traded.mark[:, 0]
    accepted = np.isfinite(traded.fill[:, 0])
    split, cash = np.ones(60), np.zeros(60)
    split[[20, 41]], cash[30] = (2.0, 0.5), 0.7
    both = np.where(accepted, close, np.nan)[:, None]
    one = market(both, split={(20, 0): 2.0, (41, 0): 0.5}, cash={(30, 0): 0.7})
    held = backtest(one, orders(np.array([2]), [(np.array([0]), np.array([1.0]))], 60))
    returns = total_return(
        np.nan_to_num(both, nan=1.0), accepted[:, None], np.ones((60, 1)), split[:, None], cash[:, None], basis="as_traded"
    ).total_return[:, 0]  # fmt: skip
    # Until the distribution the account is the index of total returns; after it cash lies idle.
    bars = np.flatnonzero(accepted & (np.arange(60) > held.first) & (np.arange(60) < 30))
    index = np.cumprod(1.0 + returns[bars])
    np.testing.assert_allclose(held.item("end")[bars - held.first] / 100_000.0, index)
    assert held.item("income").sum() == pytest.approx(held.item("income")[30 - held.first])
    assert held.item("income").sum() > 0


def test_a_break_nobody_can_explain_earns_nothing() -> None:
    close = np.array([[10.0], [10.0], [10.0], [0.5], [0.55]])
    jump = market(close, scale={(3, 0): np.nan})
    account = backtest(jump, orders(np.array([0]), [(np.array([0]), np.array([1.0]))], 5))
    np.testing.assert_allclose(account.item("end"), [1e5, 1e5, 1e5, 1.1e5])


def test_a_repaired_consolidation_earns_nothing() -> None:
    close = np.array([[10.0], [10.0], [10.0], [200.0], [220.0]])
    jump = market(close, scale={(3, 0): 20.0})
    account = backtest(jump, orders(np.array([0]), [(np.array([0]), np.array([1.0]))], 5))
    np.testing.assert_allclose(account.item("end"), [1e5, 1e5, 1e5, 1.1e5])
    assert account.item("funds")[-1] == 1


def test_costs_make_poorer_and_are_what_gross_and_net_differ_by() -> None:
    traded, wanted = random_market(5)
    net, gross = backtest(traded, wanted), backtest(traded, wanted, AccountRules(costs=False))
    assert net.item("end")[-1] < gross.item("end")[-1]
    assert (gross.item("spread_cost") == 0).all()
    np.testing.assert_allclose(gross.gross_return, gross.net_return, atol=1e-15)
    cost = (net.item("spread_cost") + net.item("impact_cost")) / net.item("start")
    np.testing.assert_allclose(net.gross_return - net.net_return, cost, atol=1e-12)


def test_impact_grows_with_the_square_root_of_capital() -> None:
    close = np.full((5, 1), 10.0)
    wanted = orders(np.array([0]), [(np.array([0]), np.array([0.5]))], 5)
    share = []
    for capital in (1e5, 4e5):
        account = backtest(market(close, impact=1e-6), wanted, AccountRules(capital=capital))
        share.append(account.item("impact_cost")[0] / account.item("traded")[0])
    assert share[1] / share[0] == pytest.approx(2.0, rel=1e-3)


def test_fund_fees_are_charged_nowhere() -> None:
    """What a fund costs a year is in its price: an account without trades pays nothing more."""
    close = np.full((200, 1), 10.0)
    account = backtest(market(close), orders(np.array([0]), [(np.array([0]), np.array([1.0]))], 200))
    np.testing.assert_array_equal(account.item("end"), 100_000.0)


def test_cash_earns_and_loans_cost() -> None:
    close = np.full((4, 1), 10.0)
    for weight, expected in ((0.0, 0.01), (2.0, -0.02)):
        one = market(close, deposit=np.full(4, 0.01), loan=np.full(4, 0.02))
        account = backtest(one, orders(np.array([0]), [(np.array([0]), np.array([weight]))], 4))
        # The first session's cash was not there the evening before.
        assert account.item("interest")[0] == 0.0
        assert account.item("interest")[1] == pytest.approx(expected * 1e5)


def test_a_suspended_fund_is_sold_when_it_trades_again() -> None:
    close = np.array([[10.0, 10.0]] * 3 + [[np.nan, 10.0]] * 2 + [[8.0, 10.0]] * 2)
    wanted = orders(np.array([0, 2]), [(np.array([0]), np.array([1.0])), (np.array([1]), np.array([1.0]))], 7)
    account = backtest(market(close), wanted)
    # Ordered for row 3; nothing can be sold, so nothing can be bought, until row 5.
    np.testing.assert_array_equal(account.trades[:, 0], [1, 5, 5])
    np.testing.assert_array_equal(account.trades[:, 7], [0, 1, 1])
    np.testing.assert_array_equal(account.trades[:, 2], [10_000.0, -10_000.0, 8_000.0])
    assert account.item("end")[-1] == pytest.approx(80_000.0)
    assert account.item("largest_weight")[-1] == pytest.approx(1.0)


def test_whole_units_are_whole_and_never_borrow() -> None:
    traded, wanted = random_market(8)
    account = backtest(traded, wanted, AccountRules(capital=3_000.0, whole_units=True))
    bought = account.trades[account.trades[:, 4] > 0]
    assert len(bought)
    assert (account.item("cash") >= -1e-9).all()
    with_bars = backtest(market(np.full((5, 1), 7.0)), orders(np.array([0]), [(np.array([0]), np.array([1.0]))], 5),
                         AccountRules(capital=100.0, whole_units=True))  # fmt: skip
    assert with_bars.trades[0, 2] == 14
    assert with_bars.item("cash")[0] == pytest.approx(2.0)


def test_many_strategies_at_once_are_the_same_whatever_the_workers() -> None:
    traded, _ = random_market(2)
    strategies = [random_market(seed)[1] for seed in range(20)]
    try:
        set_workers(1)
        alone = backtest_returns(traded, strategies)
        set_workers(2)
        shared = backtest_returns(traded, strategies)
    finally:
        set_workers(0)
    np.testing.assert_array_equal(alone, shared)
    for k, wanted in enumerate(strategies):
        account = backtest(traded, wanted)
        np.testing.assert_array_equal(shared[account.first :, k], account.net_return)
        assert np.isnan(shared[: account.first, k]).all()


def test_holdings_are_written_on_the_days_asked_for() -> None:
    traded, wanted = random_market(4)
    account = backtest(traded, wanted, holdings_on=np.array([10, 30]))
    assert set(account.holdings[:, 0]) == {10.0, 30.0}
    for row in (10, 30):
        one = account.holdings[account.holdings[:, 0] == row]
        at = row - account.first
        assert one[:, 3].sum() + account.item("cash")[at] == pytest.approx(account.item("end")[at])


def test_what_cannot_be_meant_is_refused() -> None:
    close = np.full((5, 2), 10.0)
    one = (np.array([0]), np.array([1.0]))
    with pytest.raises(BacktestError, match="at least 1 session"):
        orders(np.array([0]), [one], 5, delay=0)
    with pytest.raises(BacktestError, match="outside the 5 sessions"):
        orders(np.array([7]), [one], 5)
    with pytest.raises(BacktestError, match="negative"):
        orders(np.array([0]), [(np.array([0]), np.array([-0.1]))], 5)
    with pytest.raises(BacktestError, match="twice"):
        orders(np.array([0]), [(np.array([0, 0]), np.array([0.1, 0.1]))], 5)
    with pytest.raises(BacktestError, match="nothing to test"):
        backtest(market(close), orders(np.array([4]), [one], 5))
    early = Orders(np.array([2]), np.array([2]), np.array([0, 1]), np.array([0]), np.array([1.0]))
    with pytest.raises(BacktestError, match="at the close it was decided at"):
        backtest(market(close), early)
    late = dataclasses.replace(early, executed=np.array([9]))
    with pytest.raises(BacktestError, match=r"row 9, outside the data, which ends at 2024-01-05"):
        backtest(market(close), late)
    with pytest.raises(
        BacktestError, match="2031-05-05 is no session of the data, which runs from 2024-01-01"
    ):
        market(close).row(np.datetime64("2031-05-05"))
    with pytest.raises(BacktestError, match="capital"):
        AccountRules(capital=0.0)
    with pytest.raises(BacktestError, match="column 7 of 2 funds"):
        backtest(market(close), orders(np.array([0]), [(np.array([7]), np.array([1.0]))], 5))
