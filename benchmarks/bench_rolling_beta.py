"""Rolling 252-session beta of every fund, and its Newey-West error: ours against pandas, polars, statsmodels."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from etf_pipeline.core.risk.beta import hac_standard_error, rolling_beta

WINDOW = 252


def market(sessions: int = 4_600, funds: int = 380, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Simulated fund returns (S, N) and the market's (S,)."""
    rng = np.random.default_rng(seed)
    m = 0.01 * rng.standard_t(4, sessions)
    return m[:, None] * rng.uniform(0, 2, funds) + 0.008 * rng.standard_t(4, (sessions, funds)), m


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall-clock seconds of ``repeats`` runs after one warm-up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Print seconds, ratio and largest difference for each peer."""
    r, m = market()
    spanned, market_spanned = np.ones(r.shape, dtype=np.int64), np.ones(len(m), dtype=np.int64)

    def ours() -> np.ndarray:
        return rolling_beta(r, spanned, m, market_spanned, window=WINDOW, min_observations=WINDOW).beta

    def with_pandas() -> np.ndarray:
        frame, series = pd.DataFrame(r), pd.Series(m)
        return (frame.rolling(WINDOW).cov(series).div(series.rolling(WINDOW).var(), axis=0)).to_numpy()

    base = median_seconds(ours, 7)
    reference = ours()
    print(f"rolling beta, {r.shape[0]} sessions x {r.shape[1]} funds (simulated), window {WINDOW}")
    print(f"  {'ours':<24}{base:9.4f} s")

    def report(name: str, seconds: float, beta: np.ndarray, columns: int, scaled: str = "") -> None:
        gap = np.nanmax(np.abs(beta - reference[:, :columns]))
        print(f"  {name:<24}{seconds:9.4f} s  {seconds / base:8.1f} x  largest difference {gap:.1e}{scaled}")

    report("pandas rolling cov/var", median_seconds(with_pandas, 3), with_pandas(), r.shape[1])
    try:
        import polars as pl
    except ImportError:
        print("  polars is not installed: make bench installs it")
    else:
        frame = pl.DataFrame(r, schema=[f"f{i}" for i in range(r.shape[1])]).with_columns(pl.Series("m", m))

        def with_polars() -> np.ndarray:
            beta = [
                pl.rolling_cov(c, "m", window_size=WINDOW, min_samples=WINDOW)
                / pl.col("m").rolling_var(WINDOW, min_samples=WINDOW)
                for c in frame.columns[:-1]
            ]
            return frame.select([b.alias(str(i)) for i, b in enumerate(beta)]).to_numpy()

        report("polars rolling_cov/var", median_seconds(with_polars, 3), with_polars(), r.shape[1])
    try:
        from statsmodels.regression.rolling import RollingOLS
    except ImportError:
        print("  statsmodels is not installed: make bench installs it")
    else:
        few = 4
        x = np.column_stack([np.ones(len(m)), m])

        def with_statsmodels() -> np.ndarray:
            return np.column_stack([RollingOLS(r[:, i], x, WINDOW).fit().params[:, 1] for i in range(few)])

        seconds = median_seconds(with_statsmodels, 1) * r.shape[1] / few
        report(
            "statsmodels RollingOLS", seconds, with_statsmodels(), few, f" (from {few} funds, extrapolated)"
        )
        newey_west(r, m)


def newey_west(r: np.ndarray, m: np.ndarray, lags: int = 5, few: int = 400) -> None:
    """The robust error of every window's slope; statsmodels fits one window at a time."""
    from statsmodels.api import OLS, add_constant

    spanned, market_spanned = np.ones(r.shape, dtype=np.int64), np.ones(len(m), dtype=np.int64)

    def ours() -> np.ndarray:
        return hac_standard_error(
            r, spanned, m, market_spanned, window=WINDOW, min_observations=WINDOW, lags=lags
        )

    base = median_seconds(ours, 3)
    found = ours()
    windows = (r.shape[0] - WINDOW + 1) * r.shape[1]
    rng = np.random.default_rng(4)
    ends, funds = rng.integers(WINDOW - 1, r.shape[0], few), rng.integers(0, r.shape[1], few)
    kinds = {"maxlags": lags, "use_correction": True}
    start = time.perf_counter()
    theirs = []
    for t, j in zip(ends, funds, strict=True):
        rows = slice(t - WINDOW + 1, t + 1)
        fit = OLS(r[rows, j], add_constant(m[rows])).fit(cov_type="HAC", cov_kwds=kinds)
        theirs.append(fit.bse[1])
    seconds = (time.perf_counter() - start) * windows / few
    gap = np.max(np.abs(found[ends, funds] / np.array(theirs) - 1))
    print(f"Newey-West error of its slope, {lags} lags")
    print(f"  {'ours':<24}{base:9.4f} s")
    print(
        f"  {'statsmodels OLS, HAC':<24}{seconds:9.1f} s  {seconds / base:8.1f} x  largest relative difference {gap:.1e}"
        f" (from {few} windows, extrapolated)"
    )


if __name__ == "__main__":
    main()
