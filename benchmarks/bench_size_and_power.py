"""How often the whole chain calls worthless strategies significant, and how often it finds one that is worth something.

python benchmarks/bench_size_and_power.py [markets]

Rankings, backtests after costs and a sweep of 40 configurations on 200 invented markets in which nothing can be predicted;
then with an edge planted; then with tomorrow's close leaked into a feature.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from etf_pipeline.core.validation.effective_trials import effective_trials
from etf_pipeline.core.validation.sharpe_ratio import (
    deflated_sharpe_ratio,
    probabilistic_sharpe_ratio,
    sharpe_estimates,
    sharpe_ratio,
)
from etf_pipeline.core.validation.significance import significance_of_best
from etf_pipeline.core.validation.superior_predictive_ability import superior_predictive_ability

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the tests' invented markets

from etf_pipeline_tests.core.validation.null_market import (
    DEFAULT,
    EDGE_OF_BEST,
    EDGE_OF_DEFAULT,
    GRID,
    draw_market,
    leaks,
    prepared,
    run_sweep,
)

LEVEL = 0.05
YEAR = np.sqrt(252.0)


def judge(returns: np.ndarray, benchmark: np.ndarray) -> dict[str, float]:
    """Every test's verdict on one market: 1 where it calls the best configuration significant."""
    excess = returns - benchmark[:, None]
    verdict = significance_of_best(returns, benchmark)
    ratio = sharpe_ratio(excess)
    best = int(np.argmax(ratio))
    own = sharpe_estimates(excess[:, best])
    law = (len(excess), own.skewness[0], own.kurtosis[0])
    found = effective_trials(excess)
    between = ratio.var(ddof=1)
    clusters = np.fmax(found.sharpe_variance, between)
    months = len(excess) // 21
    monthly = excess[: 21 * months].reshape(months, 21, -1).sum(axis=1)
    robust = own.sharpe[0] / own.error_robust[0]
    return {
        "the chain: deflated and SPA": verdict.significant,
        "deflated, effective trials": verdict.deflated > 1 - LEVEL,
        "deflated, clusters alone": deflated_sharpe_ratio(ratio[best], *law, found.number, clusters)
        > 1 - LEVEL,
        "deflated, every trial counted": deflated_sharpe_ratio(ratio[best], *law, len(ratio), between)
        > 1 - LEVEL,
        "SPA, daily": verdict.spa_p_value < LEVEL,
        "SPA, monthly": superior_predictive_ability(monthly, replications=2000).consistent < LEVEL,
        "not deflated (probabilistic Sharpe of the best)": probabilistic_sharpe_ratio(ratio[best], *law)
        > 1 - LEVEL,
        "robust t of the best above 1.645": robust > 1.645,
        "clusters": found.number,
        "participation": found.participation,
        "luck": verdict.luck,
        "information ratio of the best": verdict.information_ratio,
        "information ratio of the default": YEAR * ratio[DEFAULT],
    }


def study(
    title: str, markets: int, *, edge: float = 0.0, costs: bool = True, at_open: bool = False, leak: int = 0
) -> None:
    """Print rates and means over markets."""
    begin = time.perf_counter()
    rows = []
    ratios = []
    caught = 0
    for seed in range(markets):
        drawn = draw_market(seed, edge=edge)
        returns, equal = run_sweep(*prepared(drawn, at_open=at_open, leak=leak), costs=costs)
        rows.append(judge(returns, equal))
        ratios.append(YEAR * sharpe_ratio(returns - equal[:, None]))
        caught += leaks(drawn, leak)
    print(f"{title}: {markets} markets, {time.perf_counter() - begin:.0f} s")
    for name in rows[0]:
        values = np.array([float(row[name]) for row in rows])
        if set(np.unique(values)) <= {0.0, 1.0} and name not in ("clusters",):
            rate = values.mean()
            print(
                f"  {name:50s} {100 * rate:5.1f} %  (error {100 * np.sqrt(rate * (1 - rate) / markets):.1f})"
            )
        else:
            low, high = np.quantile(values, [0.05, 0.95])
            print(f"  {name:50s} {values.mean():6.2f}   (5 to 95 %: {low:.2f} to {high:.2f})")
    true = np.mean(ratios, axis=0)
    print(f"  mean information ratio: best configuration {true.max():.2f}, default {true[DEFAULT]:.2f}")
    print(f"  {'features that change when the data are cut':50s} {100 * caught / markets:5.1f} %")


def main() -> None:
    """Size, power, leaks."""
    markets = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(f"{len(GRID)} configurations, 15 years, 60 funds; level {100 * LEVEL:.0f} %")
    study("nothing to find", markets)
    study("nothing to find, and nothing charged", markets, costs=False)
    study("the best configuration has an information ratio of 1.0", markets, edge=EDGE_OF_BEST)
    study("the default configuration has an information ratio of 1.0", markets, edge=EDGE_OF_DEFAULT)
    study("tomorrow's close in one feature, traded at tomorrow's close", markets, leak=1)
    study("tomorrow's close in one feature, traded at tomorrow's open", markets, at_open=True, leak=1)
    study("the next 21 closes in one feature", markets, leak=21)


if __name__ == "__main__":
    main()
