"""What trading and holding cash cost."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.portfolio.costs import CostRules, carry, trading_costs

SHAPE = (4, 3)
MEMBER = np.ones(SHAPE, dtype=bool)


def costs(spread: np.ndarray, **more: np.ndarray):
    panels = {
        "volatility": np.full(SHAPE, 0.01),
        "traded_value": np.full(SHAPE, 1e6),
        "member": MEMBER,
    } | more
    return trading_costs(spread, **panels)


def test_a_session_is_charged_what_the_one_before_knew() -> None:
    spread = np.full(SHAPE, 0.002)
    spread[2] = 0.006
    half = costs(spread).half_spread
    np.testing.assert_allclose(half[:, 0], [0.001, 0.001, 0.001, 0.003])
    changed = spread.copy()
    changed[3] = 0.5
    np.testing.assert_array_equal(costs(changed).half_spread, half)


def test_the_square_root_law() -> None:
    """A tenth of a day's volume at 1 % daily volatility costs 0.32 %: Y sigma sqrt(Q / V)."""
    impact = costs(np.full(SHAPE, 0.002)).impact
    np.testing.assert_allclose(impact * np.sqrt(1e5), 0.01 * np.sqrt(0.1))


def test_what_is_unknown_costs_what_is_usual() -> None:
    spread = np.array([[0.002, 0.004, np.nan]] * 4)
    np.testing.assert_allclose(costs(spread).half_spread[:, 2], 0.0015)
    never = costs(np.full(SHAPE, np.nan))
    np.testing.assert_allclose(never.half_spread, CostRules().usual_half_spread)
    # A fund nobody knows to have traded is dear to trade, not free.
    silent = np.full(SHAPE, 1e6)
    silent[:, 1] = np.nan
    impact = costs(np.full(SHAPE, 0.002), traded_value=silent).impact
    assert (impact[:, 1] > 5 * impact[:, 0]).all()


def test_no_spread_is_below_the_price_steps() -> None:
    np.testing.assert_allclose(costs(np.zeros(SHAPE)).half_spread, CostRules().least_half_spread)


def test_outsiders_do_not_make_the_median() -> None:
    spread = np.array([[0.002, 0.5, np.nan]] * 4)
    member = np.array([[True, False, True]] * 4)
    np.testing.assert_allclose(costs(spread, member=member).half_spread[:, 2], 0.001)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_unknown_is_the_median_of_the_last_session_that_has_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spread = np.where(rng.random((60, 7)) < 0.6, np.nan, rng.uniform(0.001, 0.02, (60, 7)))
    member = rng.random((60, 7)) < 0.5
    rules = CostRules()
    usual, expected = rules.usual_half_spread, 0.5 * spread
    for t in range(60):
        known = member[t] & ~np.isnan(spread[t])
        usual = float(np.median(expected[t, known])) if known.any() else usual
        expected[t, np.isnan(spread[t])] = usual
    panels = {"volatility": np.full((60, 7), 0.01), "traded_value": np.full((60, 7), 1e6)}
    found = trading_costs(spread, member=member, **panels).half_spread
    np.testing.assert_array_equal(found[1:], np.maximum(expected, rules.least_half_spread)[:-1])


def test_cash_earns_by_calendar_days_at_the_rate_known_before() -> None:
    days = np.array(["2024-01-04", "2024-01-05", "2024-01-08"], dtype="datetime64[D]")
    earned = carry(days, np.array([0.0365, 0.073, 0.9]))
    np.testing.assert_allclose(earned, [0.0, 0.0001, 0.0006])
    np.testing.assert_allclose(
        carry(days, np.array([0.0365, np.nan, 0.9]), -0.01), [0.0, 0.0265 / 365, 3 * 0.0265 / 365]
    )
    # A deposit does not cost where the rate is below the margin; an unknown rate earns nothing.
    np.testing.assert_array_equal(carry(days, np.full(3, 0.001), -0.01), 0.0)
    np.testing.assert_array_equal(carry(days, np.full(3, np.nan), 0.02), 0.0)


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match="impact_coefficient"):
        CostRules(impact_coefficient=-1.0)
    with pytest.raises(ValueError, match="least_traded_value"):
        CostRules(least_traded_value=0.0)
    with pytest.raises(ValueError, match="volatility is negative at session 0, ticker 1"):
        costs(np.zeros(SHAPE), volatility=np.array([[0.0, -1.0, 0.0]] * 4))
    with pytest.raises(ValueError, match="member has shape"):
        costs(np.zeros(SHAPE), member=MEMBER[:2])
