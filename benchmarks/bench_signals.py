"""All momentum and volume signals of a market, and those that pandas and statsmodels have, side by side."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from bench_kalman_beta import calendar
from bench_rolling_beta import market, median_seconds

from etf_pipeline.core import signals as s
from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.parallel import workers
from etf_pipeline.core.signals.trend import filter_trend, trend_ratios


class Panels:
    """Returns, prices and volumes without holes, so that the peers can follow."""

    def __init__(self) -> None:
        self.returns, self.market = market()
        rng = np.random.default_rng(3)
        shape = self.returns.shape
        self.returns[0] = np.nan
        self.spanned = np.ones(shape, dtype=np.int64)
        self.spanned[0] = 0
        self.close = 10.0 * np.exp(np.cumsum(np.log1p(np.nan_to_num(self.returns)), axis=0))
        self.high = self.close * (1 + np.abs(rng.normal(0, 0.004, shape)))
        self.low = self.close * (1 - np.abs(rng.normal(0, 0.004, shape)))
        self.volume = np.round(rng.lognormal(8, 1, shape)) + 1
        self.refits = month_starts(calendar(shape[0]))
        ones = np.ones(shape)
        self.trading = (self.close, self.volume, ones == 1.0, ones, ones)
        self.path = (self.returns, self.spanned)
        self.pair = (*self.path, self.market, np.ones(shape[0], dtype=np.int64))
        self.trades = s.trading(*self.trading, basis="as_traded")
        self.log = pd.DataFrame(np.log1p(self.returns))


def processor_seconds(work: Callable[[], object]) -> float:
    """Of one run, all threads together: what a busy machine does not change much."""
    start = time.process_time()
    work()
    return time.process_time() - start


def with_pandas(p: Panels) -> dict[str, object]:
    """name -> a function that gives the signal as pandas has it."""
    log, volume = p.log, pd.DataFrame(p.volume)
    close, high, low = (pd.DataFrame(x) for x in (p.close, p.high, p.low))
    value = close * volume

    def risk_adjusted() -> np.ndarray:
        window = log.rolling(231)
        return (np.expm1(window.sum()) / (window.std() * np.sqrt(252))).shift(21).to_numpy()

    def efficiency() -> np.ndarray:
        return (log.rolling(126).sum() / log.abs().rolling(126).sum()).to_numpy()

    def money_flow() -> np.ndarray:
        place = (2 * close - high - low) / (high - low)
        return ((place * value).rolling(21).sum() / value.rolling(21).sum()).to_numpy()

    def correlation() -> np.ndarray:
        return np.log(volume).diff().rolling(63).corr(pd.DataFrame(p.returns)).to_numpy()

    def hull() -> np.ndarray:
        index = log.fillna(0.0).cumsum()

        def average(frame: pd.DataFrame, n: int) -> pd.DataFrame:
            weights = np.arange(1, n + 1) / (n * (n + 1) / 2)
            return frame.rolling(n).apply(lambda x: x @ weights, raw=True)

        smooth = average(2 * average(index, 63) - average(index, 126), 11)
        return (smooth.diff(5) * 252 / 5).to_numpy()

    return {
        "risk-adjusted momentum": risk_adjusted,
        "efficiency ratio": efficiency,
        "money flow": money_flow,
        "price-volume correlation": correlation,
        "Hull trend": hull,
    }


def spike_with_pandas(p: Panels, few: int) -> np.ndarray:
    """Median and MAD window by window: pandas has no rolling MAD."""
    x = np.log(pd.DataFrame(p.close[:, :few] * p.volume[:, :few]))
    past = x.shift(1).rolling(252)
    mad = past.apply(lambda w: np.median(np.abs(w - np.median(w))), raw=True)
    return ((x - past.median()) / (1.4826022185056018 * mad)).to_numpy()


def trend_with_statsmodels(p: Panels, fits: int = 12) -> tuple[float, float, float, float]:
    """Seconds a refit of one bank: ours, statsmodels' bank, statsmodels' maximum; largest difference of slopes."""
    import statsmodels.api as sm

    ratios = trend_ratios()
    rng = np.random.default_rng(5)
    ours = theirs = maximum = gap = 0.0
    one = (p.returns[:600, :1], p.spanned[:600, :1])
    s.local_linear_trend(*one, np.array([599]))
    for _ in range(fits):
        row, fund = int(rng.integers(600, len(p.returns))), int(rng.integers(p.returns.shape[1]))
        growth = np.log1p(p.returns[row - 503 : row + 1, fund])
        spanned = np.ones(504, dtype=np.int64)
        start = time.perf_counter()
        rows = slice(row - 504, row + 1)
        panel = s.local_linear_trend(
            p.returns[rows, fund : fund + 1], p.spanned[rows, fund : fund + 1], np.array([504])
        )
        ours += time.perf_counter() - start
        y = np.concatenate([[0.0], np.cumsum(growth)])
        fitted = [filter_trend(growth, spanned, *pair) for pair in ratios.T]
        start = time.perf_counter()
        model = sm.tsa.UnobservedComponents(y, "lltrend", use_exact_diffuse=True)
        model.ssm.tolerance = 0.0
        results = [
            model.filter([a * f.scale, f.scale, b * f.scale])
            for (a, b), f in zip(ratios.T, fitted, strict=True)
        ]
        theirs += time.perf_counter() - start
        slopes = np.array([r.filtered_state[1, -1] for r in results])
        likelihood = np.array([r.llf for r in results])
        weight = np.exp(likelihood - likelihood.max())
        gap = max(gap, abs(panel.slope_annualised[504, 0] - 252 * weight @ slopes / weight.sum()))
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it does not always converge
            model.fit(disp=0, cov_type="none")
        maximum += time.perf_counter() - start
    return ours / fits, theirs / fits, maximum / fits, gap


def main() -> None:
    """Print the seconds of each signal, and of its peer where it has one."""
    p = Panels()
    rows, funds = p.returns.shape
    ours = {
        "momentum 12-1 and risk-adjusted": lambda: s.momentum(*p.path).risk_adjusted,
        "momentum 6-1": lambda: s.momentum(*p.path, lookback=126).momentum,
        "residual momentum": lambda: s.residual_momentum(*p.pair).residual_momentum,
        f"local linear trend, {len(p.refits)} refits": lambda: (
            s.local_linear_trend(*p.path, p.refits).t_value
        ),
        "Hull trend": lambda: s.hull_trend(*p.path).hull_trend,
        "efficiency ratio": lambda: s.efficiency_ratio(*p.path).efficiency_ratio,
        "divergence": lambda: s.divergence(*p.path).divergence,
        "traded units and value": lambda: s.trading(*p.trading, basis="as_traded").value,
        "accumulation": lambda: s.accumulation(*p.trading[:3], p.returns).accumulation,
        "volume spike": lambda: s.volume_spike(p.trades).volume_spike,
        "money flow": lambda: s.money_flow(p.high, p.low, p.close, p.trades).accumulation_distribution,
        "on-balance volume": lambda: s.on_balance_volume(p.returns, p.trades).on_balance_volume,
        "price-volume correlation": lambda: (
            s.price_volume_correlation(*p.path, p.trades).price_volume_correlation
        ),
        "trading activity": lambda: s.trading_activity(p.trades).zero_volume_share,
    }
    print(f"signals of {rows} sessions x {funds} funds (simulated), {workers()} threads")
    seconds = {name: median_seconds(work, 3) for name, work in ours.items()}
    processor = {name: processor_seconds(work) for name, work in ours.items()}
    for name, value in seconds.items():
        print(f"  {name:<38}{value:9.3f} s  {processor[name]:9.3f} s of processor")
    print(f"  {'all':<38}{sum(seconds.values()):9.3f} s  {sum(processor.values()):9.3f} s of processor")

    print("beside pandas")
    named = {"risk-adjusted momentum": "momentum 12-1 and risk-adjusted"}
    for name, work in with_pandas(p).items():
        mine = named.get(name, name)
        start = time.perf_counter()
        theirs = work()
        took = time.perf_counter() - start
        gap = np.nanmax(np.abs(ours[mine]() - theirs))
        print(f"  {name:<38}{took:9.3f} s  {took / seconds[mine]:8.1f} x  largest difference {gap:.1e}")
    few = 4
    start = time.perf_counter()
    theirs = spike_with_pandas(p, few)
    took = (time.perf_counter() - start) * funds / few
    gap = np.nanmax(np.abs(ours["volume spike"]()[:, :few] - theirs))
    print(
        f"  {'volume spike':<38}{took:9.3f} s  {took / seconds['volume spike']:8.1f} x  largest difference {gap:.1e} "
        f"(from {few} funds, extrapolated)"
    )

    print("local linear trend beside statsmodels, one refit of one fund")
    mine, bank, maximum, gap = trend_with_statsmodels(p)
    print(f"  {'ours, 32 filters':<38}{1e3 * mine:9.3f} ms")
    print(
        f"  {'the same 32 filters':<38}{1e3 * bank:9.3f} ms  {bank / mine:7.1f} x  largest difference {gap:.1e} a year"
    )
    print(f"  {'its maximum of the likelihood':<38}{1e3 * maximum:9.3f} ms  {maximum / mine:7.1f} x")


if __name__ == "__main__":
    main()
