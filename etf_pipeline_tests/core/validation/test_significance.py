"""The judgement of the best of many trials: its parts, and the whole chain on invented markets."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.validation.backtest import BacktestError
from etf_pipeline.core.validation.parameter_sweep import parameter_sweep
from etf_pipeline.core.validation.sharpe_ratio import sharpe_ratio
from etf_pipeline.core.validation.significance import significance_of_best
from etf_pipeline.core.validation.superior_predictive_ability import superior_predictive_ability
from etf_pipeline_tests.core.scoring.shipped_rules import RULES
from etf_pipeline_tests.core.validation.null_market import (
    EDGE_OF_BEST,
    GRID,
    draw_market,
    leaks,
    prepared,
    run_sweep,
)

MARKETS = 20


def called(**market: float) -> int:
    """Of twenty markets, those whose best configuration is called significant."""
    count = 0
    for seed in range(MARKETS):
        drawn = draw_market(5000 + seed, **market)
        returns, equal = run_sweep(*prepared(drawn), costs=bool(market.get("edge")))
        count += significance_of_best(returns, equal, replications=500).significant
    return count


def test_worthless_configurations_are_not_called_significant() -> None:
    """Nothing is charged: they are worth as much as equal weights. At 5 % four or more of 20 have probability 1.6 %."""
    assert called(years=10, funds=40) <= 3


def test_an_edge_is_found() -> None:
    """The best configuration has a ratio of 1.0, over 15 years. At 80 % fewer than 13 of 20 have probability 3 %."""
    assert called(edge=EDGE_OF_BEST) >= 13


def test_a_leak_is_seen_by_cutting_the_data_and_the_same_close_cannot_be_traded() -> None:
    drawn = draw_market(1, years=4, funds=20)
    assert leaks(drawn, 1)
    assert not leaks(drawn)
    market, inputs = prepared(drawn)
    with pytest.raises(BacktestError, match="delay"):
        parameter_sweep(market, inputs, GRID, RULES, delay=0)


def test_a_leaked_month_looks_like_an_edge_that_no_test_can_tell_from_skill() -> None:
    returns, equal = run_sweep(*prepared(draw_market(2, years=8, funds=40), leak=21))
    found = significance_of_best(returns, equal)
    assert found.significant
    assert found.information_ratio > 2


def test_the_parts_are_those_of_the_single_tests() -> None:
    rng = np.random.default_rng(3)
    equal = 0.01 * rng.standard_normal(1500)
    returns = equal[:, None] + 0.003 * rng.standard_normal((1500, 12))
    returns[:, 4] += 0.0004
    returns[:100, 2] = np.nan
    found = significance_of_best(returns, equal, replications=500, seed=4)
    excess = (returns - equal[:, None])[100:]
    assert found.observations == 1400
    assert found.best == 4
    assert found.information_ratio == pytest.approx(np.sqrt(252) * sharpe_ratio(excess)[4])
    assert found.spa_p_value == superior_predictive_ability(excess, replications=500, seed=4).consistent
    assert found.trials == pytest.approx(12, abs=0.5)
    assert found.significant == (found.deflated >= 0.95 and found.spa_p_value < 0.05)
    assert found.significant


def test_more_worthless_trials_make_the_same_strategy_less_sure() -> None:
    rng = np.random.default_rng(5)
    noise = 0.003 * rng.standard_normal((1500, 60))
    noise -= noise.mean(axis=0)
    noise[:, 0] += 0.00018
    few, many = (significance_of_best(noise[:, :k], np.zeros(1500), replications=200) for k in (2, 60))
    assert few.best == many.best == 0
    assert many.spa_p_value > few.spa_p_value
    spread = np.random.default_rng(6).normal(0, 0.0001, 60)
    spread[0] = 0
    noise += spread
    assert significance_of_best(noise, np.zeros(1500), replications=200).luck > many.luck


def test_both_tests_must_agree() -> None:
    """Trials that lie far apart promise the best of them much luck; Hansen's test leaves the hopeless ones out."""
    noise = 0.003 * np.random.default_rng(7).standard_normal((1500, 12))
    noise -= noise.mean(axis=0)
    noise += 0.0003 * np.linspace(-3.0, 1.0, 12)
    found = significance_of_best(noise, np.zeros(1500), replications=500)
    assert found.spa_p_value < 0.05
    assert found.deflated < 0.95
    assert not found.significant


def test_degenerate_trials() -> None:
    still = significance_of_best(np.zeros((100, 3)), np.zeros(100), replications=50)
    assert still.best == -1
    assert not still.significant
    with pytest.raises(ValueError, match="60 periods"):
        significance_of_best(np.zeros((50, 3)), np.zeros(50))
    with pytest.raises(ValueError, match="level"):
        significance_of_best(np.zeros((100, 3)), np.zeros(100), level=1.0)
