"""The numeric work of the whole risk stage on simulated markets of growing size: seconds and peak memory.

python benchmarks/bench_risk_stage.py            # 250 and 500 funds x 20 years
python benchmarks/bench_risk_stage.py 3000       # any other number of funds
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.risk import (
    dimson_beta,
    downside_beta,
    drawdowns,
    ewma_beta,
    ewma_volatility,
    hac_standard_error,
    kalman_beta,
    liquidity,
    range_volatility,
    risk_category,
    rolling_beta,
    served_volatility,
    shrunk_beta,
    spread_estimates,
    tail_risk,
    walk_forward,
    walk_forward_regimes,
)
from etf_pipeline.kernels import compile_kernels

SESSIONS = 5040


def simulated(funds: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Returns of a market with one factor and clustering variances, and the days; each fund lists at some time."""
    rng = np.random.default_rng(seed)
    variance, market = 1e-4, np.empty(SESSIONS)
    for t in range(SESSIONS):
        market[t] = np.sqrt(variance) * rng.standard_t(6) * np.sqrt(4 / 6)
        variance = 2e-6 + 0.08 * market[t] ** 2 + 0.90 * variance
    own = 0.006 * rng.standard_t(5, (SESSIONS, funds))
    returns = rng.uniform(0, 1.5, funds) * market[:, None] + own
    listed = (rng.uniform(0, 0.8, funds) ** 1.5 * SESSIONS).astype(int)
    returns[np.arange(SESSIONS)[:, None] <= listed] = np.nan
    days = np.busday_offset("2005-01-03", np.arange(SESSIONS))
    return np.maximum(returns, -0.9), days


def main(funds: int) -> None:
    """One run, each part timed."""
    returns, days = simulated(funds)
    spanned = np.where(np.isnan(returns), 0, 1).astype(np.int64)
    market = np.nan_to_num(returns[:, np.argmin(np.isnan(returns).sum(axis=0))])
    pair = (returns, spanned, market, np.ones(SESSIONS, dtype=np.int64))
    classes = np.arange(funds) % 12
    total, parts = 0.0, []

    def timed(name: str, work: Callable[[], Any]) -> Any:
        nonlocal total
        start = time.perf_counter()
        out = work()
        seconds = time.perf_counter() - start
        total += seconds
        parts.append(f"{name} {seconds:.1f}")
        return out

    history = timed("garch", lambda: walk_forward(returns, spanned, days))
    ewma = timed("ewma", lambda: ewma_volatility(returns, spanned, min_observations=21))
    served = timed(
        "served",
        lambda: served_volatility(
            history, ewma.volatility_annualised**2 / 252, ewma.observations, spanned, classes
        ),
    )
    history = None
    rolling = timed("rolling beta", lambda: rolling_beta(*pair))
    robust = timed("hac", lambda: hac_standard_error(*pair))
    timed("ewma and static beta", lambda: (ewma_beta(*pair), ewma_beta(*pair, half_life=np.inf)))
    timed("downside and dimson", lambda: (downside_beta(*pair), dimson_beta(*pair)))
    timed("kalman", lambda: kalman_beta(*pair, month_starts(days)))
    timed("shrunk", lambda: shrunk_beta(rolling.beta, robust, classes))
    rolling = robust = None
    one_day = served.annualised(1)
    tail = timed("tails", lambda: tail_risk(returns, spanned, one_day / np.sqrt(252), days))
    falls = timed("drawdowns", lambda: drawdowns(returns, spanned))
    timed(
        "category",
        lambda: risk_category(
            one_day, tail.historical.cvar_95_annualised, falls.maximum_756, np.zeros(funds, dtype=bool)
        ),
    )
    tail = falls = None
    timed("regimes", lambda: [walk_forward_regimes(market, pair[3], days, states=k) for k in (2, 3)])
    close = 10.0 * np.cumprod(1.0 + np.nan_to_num(returns), axis=0)
    close[np.isnan(returns)] = np.nan
    ones, known = np.ones(close.shape), ~np.isnan(close)
    bars = (close, 1.005 * close, 0.995 * close, close, known, ones, ones, 0.0 * ones)
    timed("ranges", lambda: range_volatility(*bars, basis="as_traded"))
    timed("spreads", lambda: spread_estimates(*bars, basis="as_traded"))
    timed(
        "liquidity",
        lambda: liquidity(close, 1e5 * ones, known, returns, spanned, ones, ones, basis="as_traded"),
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    count = int(np.isfinite(returns).sum())
    print(
        f"{funds} funds x {SESSIONS} sessions (simulated), {count / 1e6:.1f} million returns: {total:.1f} s, "
        f"{1e6 * total / count:.1f} us a return, peak {peak:.1f} GB"
    )
    print("  " + ", ".join(parts), flush=True)


if __name__ == "__main__":
    compile_kernels(print)
    for number in [int(a) for a in sys.argv[1:]] or [250, 500]:
        main(number)
