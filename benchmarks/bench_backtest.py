"""The monthly top-20 backtest and a sweep of 1,000 configurations: our account against vectorbt and bt.

python benchmarks/bench_backtest.py
"""

from __future__ import annotations

import os
import resource
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from etf_pipeline.core.portfolio.costs import TradingCosts
from etf_pipeline.core.validation.backtest import (
    AccountRules,
    backtest,
    backtest_returns,
    best_ranked,
    month_ends,
    trading_market,
)

DATA = Path(os.environ.get("ETF_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
TOP = 20
FEE = 0.001


def closes() -> tuple[str, pd.DataFrame]:
    """Adjusted closes filled forward, sessions by tickers: ASX where the data is at hand, else simulated."""
    file = DATA / "asx" / "asx_prices_adj.parquet"
    if file.exists():
        frame = pd.read_parquet(file)
        wide = frame.pivot_table(index="date", columns="ticker", values="close")
        wide = wide[wide.index >= "2010-01-01"]
        return "ASX", wide.loc[:, wide.notna().sum() > 300].where(lambda x: x > 0).ffill()
    rng = np.random.default_rng(0)
    path = np.exp(np.cumsum(0.01 * rng.standard_normal((4000, 380)), axis=0))
    return "SIMULATED", pd.DataFrame(path, index=pd.bdate_range("2010-01-01", periods=4000))


def ranks(wide: pd.DataFrame, look_back: int = 126) -> np.ndarray:
    """Rank by past return, 0 where there is none."""
    past = wide.to_numpy() / wide.shift(look_back).to_numpy() - 1.0
    past = np.where(np.isfinite(past), past + 1e-9 * np.arange(past.shape[1]), np.nan)
    return pd.DataFrame(past).rank(axis=1, ascending=False).fillna(0).to_numpy().astype(np.int64)


def best_of(run: Callable[[], object], times: int) -> tuple[float, object]:
    """Shortest time of several, and the result."""
    took = []
    for _ in range(times):
        begin = time.perf_counter()
        result = run()
        took.append(time.perf_counter() - begin)
    return min(took), result


def main() -> None:
    """Print times, ratios and the agreement of daily equity."""
    warnings.simplefilter("ignore")
    name, wide = closes()
    close = wide.to_numpy()
    sessions = wide.index.to_numpy(dtype="datetime64[D]")
    rank, rows = ranks(wide), month_ends(sessions)
    rows = rows[(rank[rows] > 0).sum(axis=1) >= TOP]
    ones, zeros = np.ones(close.shape), np.zeros(close.shape)
    none = zeros > 0
    print(f"{name}: {close.shape[0]} sessions, {close.shape[1]} funds, {len(rows)} rebalances, top {TOP}")

    def market(half_spread: float):
        return trading_market(
            sessions, wide.columns.to_numpy().astype(str), close, np.nan_to_num(close, nan=1.0), np.isfinite(close), ones,
            ones, zeros, none, TradingCosts(np.full(close.shape, half_spread), zeros), basis="total_return_adjusted",
        )  # fmt: skip

    prepared = {fee: market(fee) for fee in (0.0, FEE)}
    rules = AccountRules(capital=1e6)
    backtest(prepared[0.0], best_ranked(rank, rows, top=TOP), rules)

    whole, _ = best_of(lambda: backtest(market(0.0), best_ranked(rank, rows, top=TOP), rules), 5)
    ours, account = best_of(lambda: backtest(prepared[0.0], best_ranked(rank, rows, top=TOP), rules), 9)
    equity = np.concatenate([np.full(account.first, 1e6), account.item("end")])
    print(f"ours       {ours:8.4f} s    (with the preparation of the market {whole:.4f} s)")

    targets = pd.DataFrame(np.nan, index=wide.index, columns=wide.columns)
    wanted = best_ranked(rank, rows, top=TOP)
    for r, at in enumerate(wanted.executed):
        targets.iloc[at] = 0.0
        own = slice(wanted.start[r], wanted.start[r + 1])
        targets.iloc[at, wanted.fund[own]] = wanted.weight[own]

    import vectorbt as vbt

    def with_vectorbt(fee: float):
        return vbt.Portfolio.from_orders(
            wide, targets, size_type="targetpercent", group_by=True, cash_sharing=True, call_seq="auto", fees=fee,
            init_cash=1e6, freq="1D",
        ).value()  # fmt: skip

    with_vectorbt(0.0)
    theirs, value = best_of(lambda: with_vectorbt(0.0), 3)
    gap = np.abs(value.to_numpy() / equity - 1.0).max()
    print(f"vectorbt   {theirs:8.4f} s    {theirs / ours:6.1f} x   daily equity differs by at most {gap:.1e}")
    charged = backtest(prepared[FEE], best_ranked(rank, rows, top=TOP), rules)
    end = with_vectorbt(FEE).to_numpy()[-1] / charged.item("end")[-1] - 1.0
    print(
        f"           with {1e4 * FEE:.0f} bp of costs theirs ends {end:+.1e} from ours: it pays costs out of cash that "
        "the orders have already spent, and cuts the last ones"
    )

    import bt

    def with_bt():
        held = targets.dropna(how="all")
        strategy = bt.Strategy("top", [bt.algos.WeighTarget(held), bt.algos.Rebalance()])
        test = bt.Backtest(strategy, wide, initial_capital=1e6, integer_positions=False, progress_bar=False)
        return bt.run(test).prices["top"]

    theirs, value = best_of(with_bt, 2)
    # bt begins with a day of 100 before the first target.
    own = pd.Series(equity / 1e6, wide.index).reindex(value.index[1:])
    gap = (value.iloc[1:] / 100.0 / own - 1.0).abs().max()
    print(f"bt         {theirs:8.4f} s    {theirs / ours:6.1f} x   daily equity differs by at most {gap:.1e}")

    rng = np.random.default_rng(1)
    looks = [ranks(wide, look) for look in rng.choice(np.arange(20, 260), 40, replace=False)]
    choices = [
        (look, top, keep)
        for look in looks
        for top in (5, 10, 15, 20, 30)
        for keep in (1.0, 1.25, 1.5, 2.0, 3.0)
    ]

    def sweep() -> np.ndarray:
        made = [best_ranked(look, rows, top=top, keep=int(keep * top)) for look, top, keep in choices]
        return backtest_returns(prepared[FEE], made, rules)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sweep()
    took, returns = best_of(sweep, 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    one, _ = best_of(lambda: with_vectorbt(FEE), 3)
    print(
        f"sweep of {len(choices)} configurations: {took:.2f} s, {np.isfinite(returns).any(axis=0).sum()} with returns, "
        f"{(peak - before) / 1024:.0f} MB more than before, peak {peak / 1024:.0f} MB;  vectorbt, one of them {one:.3f} s: "
        f"{one * len(choices) / took:.0f} x"
    )


if __name__ == "__main__":
    main()
