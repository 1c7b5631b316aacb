"""Sweeps: ranks are the composite's, returns those of single backtests, and a spike is told from a plateau."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_pipeline.core.parallel import set_workers
from etf_pipeline.core.scoring import composite
from etf_pipeline.core.scoring.rules import COMPONENT_NAMES
from etf_pipeline.core.validation.backtest import BacktestError, backtest, best_ranked, every, month_ends
from etf_pipeline.core.validation.parameter_sweep import (
    Configuration,
    RankingInputs,
    SweepGrid,
    configuration_rank,
    parameter_sweep,
    ranking_inputs,
    sweep_orders,
    weight_lattice,
)
from etf_pipeline_tests.core.scoring.shipped_rules import RULES
from etf_pipeline_tests.core.validation.plain_market import market_of, weekdays

BASE = (0.35, 0.25, 0.25, 0.15)


def draw(seed: int, rows: int, funds: int, *, coarse: bool = False) -> dict[str, object]:
    """Composite arguments with gaps, ties, unknown categories and sessions of few funds."""
    rng = np.random.default_rng(seed)
    shape = (rows, funds)
    scores = {}
    for name in COMPONENT_NAMES:
        values = rng.integers(0, 4, shape) * 25.0 if coarse else 100.0 * rng.random(shape)
        scores[name] = np.where(rng.random(shape) < 0.15, np.nan, values)
    value = np.where(rng.random(shape) < 0.2, np.nan, rng.integers(1, 4, shape) * 1e5)
    member = rng.random(shape) < 0.8
    member[0] = False
    member[1, 3:] = False
    return {
        "scores": scores,
        "member": member,
        "category": rng.integers(-1, 3, shape),
        "penalty_points": rng.integers(0, 4, shape) * 10.0,
        "median_traded_value": value,
        "tickers": rng.permutation([f"T{i}" for i in range(funds)]),
    }


def composite_rank(arguments: dict[str, object], wanted: Configuration) -> np.ndarray:
    flat = {c: dict.fromkeys(COMPONENT_NAMES, 1.0) for c in RULES.multipliers}
    return composite(
        **{**arguments, "penalty_points": arguments["penalty_points"] if wanted.penalties else 0.0},
        rules=RULES if wanted.multipliers else replace(RULES, multipliers=flat),
        base_weights=dict(zip(COMPONENT_NAMES, wanted.weights, strict=True)),
    ).rank


@pytest.mark.parametrize("coarse", [False, True])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_default_ranks_as_the_composite_does(seed: int, coarse: bool) -> None:
    arguments = draw(seed, 8, 25, coarse=coarse)
    wanted = Configuration(tuple(RULES.base_weights[name] for name in COMPONENT_NAMES))
    inputs = ranking_inputs(np.arange(8), **arguments)
    theirs = composite(**arguments, rules=RULES).rank
    assert (theirs.max(axis=1) > 5).sum() >= 5
    np.testing.assert_array_equal(configuration_rank(inputs, RULES, wanted), theirs)


@given(seed=st.integers(0, 10_000), multipliers=st.booleans(), penalties=st.booleans())
@settings(max_examples=30, deadline=None)
def test_so_does_any_other_configuration(seed: int, multipliers: bool, penalties: bool) -> None:
    arguments = draw(seed, 6, 20, coarse=seed % 2 == 0)
    lattice = weight_lattice(BASE, 0.1)
    weights = tuple(lattice[seed % len(lattice)].tolist())
    wanted = Configuration(weights, multipliers=multipliers, penalties=penalties)
    inputs = ranking_inputs(np.arange(6), **arguments)
    np.testing.assert_array_equal(
        configuration_rank(inputs, RULES, wanted), composite_rank(arguments, wanted)
    )


def test_the_lattice_holds_all_weights_a_whole_number_of_steps_away() -> None:
    assert [len(weight_lattice(BASE, step)) for step in (0.2, 0.1)] == [20, 165]
    near = weight_lattice(BASE, 0.1, reach=1)
    assert len(near) == 13
    for lattice in (near, weight_lattice(BASE, 0.05)):
        np.testing.assert_allclose(lattice.sum(axis=1), 1.0)
        assert lattice.min() >= 0
        assert (np.abs(lattice - BASE).max(axis=1) < 1e-12).sum() == 1
        steps = (lattice - BASE) / 0.05
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)
        assert len(np.unique(np.round(lattice, 9), axis=0)) == len(lattice)
    with pytest.raises(ValueError, match="sum to one"):
        weight_lattice((0.5, 0.2, 0.2, 0.2), 0.1)


GRID = SweepGrid(weight_lattice(BASE, 0.1, reach=1), 0.1, top=(3, 5, 8), keep=(1.0, 1.5))


def test_neighbours_are_one_step_along_one_axis() -> None:
    numbers = GRID.neighbours()
    assert len(numbers) == len(GRID) == 13 * 2 * 2 * 3 * 2 * 2
    index = {name: getattr(GRID, name) for name in ("multipliers", "penalties", "top", "keep", "months")}
    for k in range(0, len(GRID), 7):
        own = GRID.configuration(k)
        assert GRID.number(own) == k
        near = set()
        for other in range(len(GRID)):
            one = GRID.configuration(other)
            moved = [
                abs(axis.index(getattr(one, n)) - axis.index(getattr(own, n))) for n, axis in index.items()
            ]
            shift = np.abs(np.subtract(one.weights, own.weights))
            transfers = round(shift.sum() / 0.2)
            if sum(moved) + transfers == 1:
                near.add(other)
        assert set(numbers[k][numbers[k] >= 0]) == near
    with pytest.raises(ValueError, match="not on the grid"):
        GRID.number(Configuration((0.4, 0.3, 0.2, 0.1)))


@pytest.fixture(scope="module")
def small() -> tuple[np.ndarray, RankingInputs, dict[str, object], np.ndarray]:
    rng = np.random.default_rng(3)
    returns = 0.01 * rng.standard_normal((700, 20))
    rows = month_ends(weekdays(700))
    arguments = draw(5, len(rows), 20)
    return returns, ranking_inputs(rows, **arguments), arguments, rows


def test_returns_are_those_of_single_backtests_of_the_composite(small) -> None:
    returns, inputs, arguments, rows = small
    market = market_of(returns, half_spread=0.001)
    swept = parameter_sweep(market, inputs, GRID, RULES)
    assert swept.shape == (700, len(GRID))
    for k in (0, 101, 200, len(GRID) - 1):
        wanted = GRID.configuration(k)
        panel = np.zeros(returns.shape, dtype=np.int64)
        panel[rows] = composite_rank(arguments, wanted)
        chosen = np.intersect1d(rows[1:], every(weekdays(700), wanted.months))  # the first ranks no fund
        chosen = chosen[
            np.logical_or.accumulate((panel[rows] > 0).any(axis=1))[np.searchsorted(rows, chosen)]
        ]
        alone = backtest(
            market, best_ranked(panel, chosen, top=wanted.top, keep=int(wanted.keep * wanted.top))
        )
        np.testing.assert_array_equal(swept[alone.first :, k], alone.net_return)
        assert np.isnan(swept[: alone.first, k]).all()


def test_the_number_of_workers_changes_nothing(small) -> None:
    returns, inputs, _, _ = small
    market = market_of(returns, half_spread=0.001)
    both = parameter_sweep(market, inputs, GRID, RULES)
    set_workers(1)
    try:
        np.testing.assert_array_equal(parameter_sweep(market, inputs, GRID, RULES), both)
    finally:
        set_workers(0)


def test_more_history_changes_no_return(small) -> None:
    returns, _, arguments, rows = small
    cut = rows < 500
    shorter = {
        name: {n: p[cut] for n, p in value.items()} if name == "scores" else value if name == "tickers" else value[cut]
        for name, value in arguments.items()
    }  # fmt: skip
    whole = parameter_sweep(market_of(returns), ranking_inputs(rows, **arguments), GRID, RULES)
    part = parameter_sweep(market_of(returns[:500]), ranking_inputs(rows[cut], **shorter), GRID, RULES)
    np.testing.assert_array_equal(part, whole[:500])


def test_what_cannot_be_meant_is_refused(small) -> None:
    _, inputs, arguments, rows = small
    with pytest.raises(BacktestError, match="no ranking falls"):
        sweep_orders(replace(inputs, rows=rows - 3), GRID, RULES, weekdays(700))
    with pytest.raises(BacktestError, match="delay"):
        sweep_orders(inputs, GRID, RULES, weekdays(700), delay=0)
    with pytest.raises(ValueError, match="rows must ascend"):
        ranking_inputs(rows[::-1], **arguments)
    with pytest.raises(ValueError, match="not components"):
        ranking_inputs(rows, **{**arguments, "scores": {"momentun": arguments["member"]}})
    with pytest.raises(ValueError, match="sum to one"):
        SweepGrid(np.array([[0.5, 0.6]]), 0.1)


def test_a_thousand_configurations_fit_into_memory() -> None:
    """1,248 configurations on 4,000 sessions: returns take 40 MB, and no more than five times that is ever held."""
    rng = np.random.default_rng(4)
    returns = 0.01 * rng.standard_normal((4000, 60))
    rows = month_ends(weekdays(4000))
    inputs = ranking_inputs(rows, **draw(6, len(rows), 60))
    grid = SweepGrid(weight_lattice(BASE, 0.1, reach=1), 0.1)
    market = market_of(returns, half_spread=0.001)
    parameter_sweep(market, inputs, GRID, RULES)
    tracemalloc.start()
    swept = parameter_sweep(market, inputs, grid, RULES)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert swept.shape[1] == 1248
    assert peak < 5 * swept.nbytes
