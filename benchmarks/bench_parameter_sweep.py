"""A sweep of 1,248 configurations of the composite: seconds, memory, and the composite's own ranks beside the kernel's.

python benchmarks/bench_parameter_sweep.py
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np

from etf_pipeline.core.scoring import composite
from etf_pipeline.core.scoring.rules import COMPONENT_NAMES
from etf_pipeline.core.validation.backtest import month_ends
from etf_pipeline.core.validation.parameter_stability import stability
from etf_pipeline.core.validation.parameter_sweep import (
    Configuration,
    SweepGrid,
    configuration_rank,
    parameter_sweep,
    ranking_inputs,
    sweep_orders,
    weight_lattice,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the tests' invented markets

from etf_pipeline_tests.core.scoring.shipped_rules import RULES
from etf_pipeline_tests.core.validation.plain_market import market_of, weekdays

SESSIONS, FUNDS = 4000, 250


def main() -> None:
    """Print what it takes."""
    rng = np.random.default_rng(0)
    sessions = weekdays(SESSIONS)
    rows = month_ends(sessions)
    shape = (len(rows), FUNDS)
    scores = {
        name: np.where(rng.random(shape) < 0.05, np.nan, 100 * rng.random(shape)) for name in COMPONENT_NAMES
    }
    arguments = {
        "scores": scores,
        "member": rng.random(shape) < 0.9,
        "category": rng.integers(-1, 3, shape),
        "penalty_points": rng.integers(0, 4, shape) * 5.0,
        "median_traded_value": 1e5 * rng.random(shape),
        "tickers": np.array([f"T{i:03d}" for i in range(FUNDS)]),
    }
    inputs = ranking_inputs(rows, **arguments)
    grid = SweepGrid(weight_lattice(tuple(RULES.base_weights[n] for n in COMPONENT_NAMES), 0.1, reach=1), 0.1)
    market = market_of(0.01 * rng.standard_normal((SESSIONS, FUNDS)), half_spread=0.001, impact=1e-5)
    parameter_sweep(market, inputs, SweepGrid(grid.weights[:1], 0.1, top=(10,), keep=(1.0,)), RULES)
    begin = time.perf_counter()
    sweep_orders(inputs, grid, RULES, sessions)
    ranked = time.perf_counter() - begin
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    returns = parameter_sweep(market, inputs, grid, RULES)
    took = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    numbers = grid.neighbours()
    stability(returns[:300], numbers)
    begin = time.perf_counter()
    stability(returns, numbers)
    judged = time.perf_counter() - begin
    print(f"{SESSIONS} sessions, {FUNDS} funds, {len(rows)} rebalances, {len(grid)} configurations")
    print(f"  sweep {took:.2f} s, of which ranks and orders {ranked:.2f} s; stability {judged:.2f} s")
    print(
        f"  memory {(peak - before) / 1024:.0f} MB more than before, peak of the process {peak / 1024:.0f} MB"
    )
    default = Configuration(tuple(RULES.base_weights[n] for n in COMPONENT_NAMES))
    begin = time.perf_counter()
    theirs = composite(**arguments, rules=RULES).rank
    plain = time.perf_counter() - begin
    configuration_rank(inputs, RULES, default)
    begin = time.perf_counter()
    ours = configuration_rank(inputs, RULES, default)
    kernel = time.perf_counter() - begin
    print(
        f"  ranks of one configuration: composite {1e3 * plain:.1f} ms, kernel {1e3 * kernel:.1f} ms "
        f"({plain / kernel:.1f} x), {(ours != theirs).sum()} of {ours.size} differ"
    )


if __name__ == "__main__":
    main()
