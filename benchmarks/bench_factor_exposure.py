"""Daily rolling exposures to six factors: ours against statsmodels, and the robust regressions at month-ends."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from etf_pipeline.core.attribution.factor_regression import factor_regression
from etf_pipeline.core.attribution.rolling_exposure import rolling_exposure

WINDOW = 252


def market(sessions: int = 4_032, funds: int = 380, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Simulated excess returns (S, N) and six correlated factors (S, 6)."""
    rng = np.random.default_rng(seed)
    mixing = np.eye(6) + 0.3 * rng.standard_normal((6, 6))
    factors = 0.006 * rng.standard_t(4, (sessions, 6)) @ mixing
    loadings = rng.normal(0, 0.4, (6, funds))
    loadings[0] += 1.0
    return factors @ loadings + 0.006 * rng.standard_t(4, (sessions, funds)), factors


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall-clock seconds of ``repeats`` runs after one warm-up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(few: int = 6) -> None:
    """Print seconds, ratio and largest difference."""
    from statsmodels.regression.rolling import RollingOLS

    y, f = market()
    spanned = np.ones(y.shape, dtype=np.int64)
    design = np.column_stack([np.ones(len(f)), f])

    def ours():
        return rolling_exposure(y, spanned, f, window=WINDOW, min_observations=WINDOW)

    def theirs():
        return [RollingOLS(y[:, j], design, WINDOW).fit() for j in range(few)]

    base, found = median_seconds(ours, 3), ours()
    start = time.perf_counter()
    fits = theirs()
    seconds = (time.perf_counter() - start) * y.shape[1] / few
    rows = slice(WINDOW - 1, None)
    gap = max(np.abs(fit.params[rows, 1:] - found.loading[rows, j]).max() for j, fit in enumerate(fits))
    error_gap = max(
        np.abs(fit.bse[rows, 1:] - found.standard_error[rows, j]).max() for j, fit in enumerate(fits)
    )
    print(
        f"rolling six-factor exposures, {y.shape[0]} sessions x {y.shape[1]} funds (simulated), window {WINDOW}"
    )
    print(f"  {'ours':<24}{base:9.3f} s")
    print(
        f"  {'statsmodels RollingOLS':<24}{seconds:9.1f} s  {seconds / base:8.1f} x  largest difference: loading {gap:.1e},"
        f" error {error_gap:.1e} (from {few} funds, extrapolated)"
    )
    newey_west(y, f, spanned)


def newey_west(y: np.ndarray, f: np.ndarray, spanned: np.ndarray, few: int = 100) -> None:
    """Month-end regressions with robust errors, on all data so far; statsmodels fits one window at a time."""
    from statsmodels.api import OLS, add_constant

    from etf_pipeline.core.validation.heteroskedasticity_autocorrelation import newey_west_lags

    ends = np.arange(251, len(y), 19)
    for name, window in (("rolling 252", WINDOW), ("expanding", None)):
        base = median_seconds(lambda w=window: factor_regression(y, spanned, f, ends, window=w), 3)
        found = factor_regression(y, spanned, f, ends, window=window)
        rng = np.random.default_rng(4)
        at, funds = rng.integers(0, len(ends), few), rng.integers(0, y.shape[1], few)
        start = time.perf_counter()
        gap = 0.0
        for r, j in zip(at, funds, strict=True):
            rows = slice(0 if window is None else ends[r] - window + 1, ends[r] + 1)
            n = rows.stop - rows.start
            fit = OLS(y[rows, j], add_constant(f[rows])).fit(
                cov_type="HAC", cov_kwds={"maxlags": newey_west_lags(n), "use_correction": True}
            )
            gap = max(gap, np.abs(fit.bse[1:] / found.standard_error[r, j] - 1).max())
        seconds = (time.perf_counter() - start) * len(ends) * y.shape[1] / few
        print(f"Newey-West regressions at {len(ends)} month-ends x {y.shape[1]} funds, {name}")
        print(f"  {'ours':<24}{base:9.3f} s")
        print(
            f"  {'statsmodels OLS, HAC':<24}{seconds:9.1f} s  {seconds / base:8.1f} x  largest relative difference"
            f" {gap:.1e} (from {few} windows, extrapolated)"
        )


if __name__ == "__main__":
    main()
