"""Selling everything in a market that dries up."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.attribution.stress.liquidity import LiquidityRules, liquidity_stress
from etf_pipeline.core.portfolio.costs import CostRules, trading_costs

SPREAD, VOLATILITY = np.array([0.001, 0.004, 0.02]), np.array([0.01, 0.012, 0.02])
TRADED = np.array([50e6, 2e6, np.nan])
WEIGHTS = np.array([0.5, 0.3, 0.2])


def run(value: float = 10e6, rules: LiquidityRules | None = None, weights: np.ndarray = WEIGHTS):
    two = [np.vstack([x, x]) for x in (SPREAD, VOLATILITY, TRADED)]
    costs = trading_costs(*two, np.ones((2, 3), dtype=bool))
    return liquidity_stress(weights, value, costs.half_spread[1], costs.impact[1], TRADED, rules=rules)


def test_days_and_cost_by_hand() -> None:
    got = run()
    each = 0.1 / 3 * np.array([50e6, 2e6, 10_000])
    np.testing.assert_array_equal(got.days, np.ceil(np.array([5e6, 3e6, 2e6]) / each - 1e-9))
    assert got.days[0] == 3
    assert got.days_to_sell_all == got.days[2] == 6000
    # Every session sells a tenth of its stressed volume: the square-root law gives sigma * sqrt(0.1) whatever the volume.
    np.testing.assert_allclose(got.cost, 1.5 * SPREAD + VOLATILITY * np.sqrt(0.1), rtol=1e-9)
    assert got.cost_of_portfolio == pytest.approx(WEIGHTS @ got.cost)


def test_share_sold() -> None:
    got = run()
    each = 0.1 / 3 * np.array([50e6, 2e6, 10_000])
    for day, share in zip((1, 5, 20), got.share_sold, strict=True):
        assert share == pytest.approx(np.minimum(WEIGHTS * 10e6, day * each).sum() / 10e6)
    assert (np.diff(got.share_sold) >= 0).all()


def test_a_small_position_sells_in_a_day_for_the_spread() -> None:
    got = run(value=1000.0)
    np.testing.assert_array_equal(got.days[:2], 1)
    np.testing.assert_allclose(got.cost[:2], 1.5 * SPREAD[:2], rtol=0.15)
    np.testing.assert_array_equal(run(value=1e-3, weights=np.array([1.0, 0, 0])).share_sold, 1.0)


def test_a_last_part_pays_for_its_own_size() -> None:
    rules = LiquidityRules(spread_multiple=1.0, volume_share=1.0, participation=1.0)
    traded = np.array([100.0])
    got = liquidity_stress(
        np.ones(1),
        250.0,
        np.zeros(1),
        np.array([0.01]),
        traded,
        rules=rules,
        costs=CostRules(least_traded_value=1.0),
    )
    assert got.days[0] == 3
    assert got.cost[0] * 250 == pytest.approx(0.01 * (2 * 100**1.5 + 50**1.5))


def test_more_stress_is_never_cheaper_or_faster() -> None:
    usual = LiquidityRules()
    base = run(rules=usual)
    for worse in (
        LiquidityRules(spread_multiple=5),
        LiquidityRules(volume_share=0.1),
        LiquidityRules(volatility_multiple=3),
    ):
        got = run(rules=worse)
        assert got.cost_of_portfolio >= base.cost_of_portfolio * (1 - 1e-12)
        assert (got.days >= base.days).all()
    assert run(value=20e6).cost_of_portfolio >= base.cost_of_portfolio


def test_nothing_held_and_shorts() -> None:
    nothing = run(weights=np.zeros(3))
    assert nothing.cost_of_portfolio == nothing.days_to_sell_all == 0
    np.testing.assert_array_equal(nothing.share_sold, 1)
    np.testing.assert_array_equal(run(weights=-WEIGHTS).days, run().days)


def test_what_does_not_fit_is_refused() -> None:
    for rules, told in (
        ({"participation": 0.0}, "participation"),
        ({"spread_multiple": 0.5}, "spread_multiple"),
    ):
        with pytest.raises(ValueError, match=told):
            LiquidityRules(**rules)
    with pytest.raises(ValueError, match="fund 1 is held"):
        liquidity_stress(WEIGHTS, 1e6, np.array([0.1, np.nan, 0.1]), np.zeros(3), TRADED)
    with pytest.raises(ValueError, match="must be positive"):
        run(value=0.0)
    with pytest.raises(ValueError, match="impact has shape"):
        liquidity_stress(WEIGHTS, 1e6, SPREAD, np.zeros(2), TRADED)
