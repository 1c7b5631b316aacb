"""Tails, drawdowns and risk category of every fund: our kernels against pandas and scipy."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from bench_rolling_beta import market, median_seconds
from scipy import stats

from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.risk import ewma_volatility
from etf_pipeline.core.risk.category import risk_category
from etf_pipeline.core.risk.drawdown import drawdowns
from etf_pipeline.core.risk.drawdown_kernels import fall_reference, rolling_peak_and_fall
from etf_pipeline.core.risk.student_t import rolling_student_t
from etf_pipeline.core.risk.tail import tail_risk
from etf_pipeline.core.risk.tail_kernels import rolling_tails, tail_reference

WINDOW, YEAR = 1000, 252
FEW_FUNDS, FEW_WINDOWS = 8, 40


def report(name: str, seconds: float, base: float, gap: float, sample: str = "") -> None:
    print(
        f"  {name:<34}{seconds:9.3f} s  {seconds / base:8.1f} x  largest difference {gap:.1e}"
        + (f" ({sample}, extrapolated)" if sample else "")
    )


def once(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def quantiles(r: np.ndarray) -> None:
    """pandas interpolates at (n - 1) p; in full windows another p puts it at our (n + 1) p."""
    base = median_seconds(lambda: rolling_tails(r, (0.05, 0.01), window=WINDOW, min_observations=WINDOW), 3)
    ours, beyond = rolling_tails(r, (0.05, 0.01), window=WINDOW, min_observations=WINDOW)
    print(f"  {'ours: 95 and 99 % quantile and mean':<34}{base:8.3f} s")

    def with_pandas() -> np.ndarray:
        window = pd.DataFrame(r[:, :FEW_FUNDS]).rolling(WINDOW)
        return np.stack([window.quantile(((WINDOW + 1) * p - 1) / (WINDOW - 1)) for p in (0.05, 0.01)])

    seconds, theirs = once(with_pandas)
    gap = np.nanmax(np.abs(theirs - ours[:, :, :FEW_FUNDS]))
    share = r.shape[1] / FEW_FUNDS
    report("pandas rolling quantile alone", seconds * share, base, gap, f"from {FEW_FUNDS} funds")
    rows = range(WINDOW - 1, len(r), 90)
    seconds, theirs = once(
        lambda: np.array([[tail_reference(r[t - 999 : t + 1, 0], p) for p in (0.05, 0.01)] for t in rows])
    )
    gap = np.abs(theirs - np.stack([ours[:, rows, 0].T, beyond[:, rows, 0].T], axis=2)).max()
    share = (len(r) - WINDOW + 1) * r.shape[1] / len(rows)
    report("numpy, a sort a window", seconds * share, base, gap, f"from {len(rows)} windows")


def student_t(r: np.ndarray, refit: np.ndarray) -> None:
    base = median_seconds(lambda: rolling_student_t(r, refit), 3)
    ours = rolling_student_t(r, refit)
    rows = np.flatnonzero(refit)
    rows = rows[rows >= 249]
    print(f"  {'ours: Student-t, monthly refits':<34}{base:9.3f} s  ({len(rows) * r.shape[1]} fits)")
    sample = [(t, j) for j in range(4) for t in rows[:: max(1, len(rows) // (FEW_WINDOWS // 4))]]
    seconds, theirs = once(lambda: np.array([stats.t.fit(r[max(0, t - 999) : t + 1, j]) for t, j in sample]))
    excess = []
    for (t, j), (nu, location, scale) in zip(sample, theirs, strict=True):
        x = r[max(0, t - 999) : t + 1, j]
        mine = stats.t.logpdf(x, ours.degrees_of_freedom[t, j], ours.location[t, j], ours.scale[t, j]).sum()
        excess.append(mine - stats.t.logpdf(x, nu, location, scale).sum())
    gap = np.abs(theirs[:, 2] / [ours.scale[t, j] for t, j in sample] - 1).max()
    share = len(rows) * r.shape[1] / len(sample)
    report("scipy t.fit", seconds * share, base, gap, f"scale, relative; from {len(sample)} fits")
    print(f"  {'':<34}our log-likelihood less scipy's: {min(excess):.1e} to {max(excess):.1e}")


def maximum_drawdown(r: np.ndarray) -> None:
    level = np.cumprod(1 + r, axis=0)
    base = median_seconds(lambda: rolling_peak_and_fall(level, YEAR), 3)
    _, ours = rolling_peak_and_fall(level, YEAR)
    print(f"  {'ours: 252-session maximum drawdown':<34}{base:9.3f} s")
    few = 2
    window = pd.DataFrame(level[:, :few]).rolling(YEAR)
    seconds, theirs = once(lambda: window.apply(fall_reference, raw=True).to_numpy())
    gap = np.nanmax(np.abs(theirs - ours[:, :few]))
    report("pandas rolling apply", seconds * r.shape[1] / few, base, gap, f"from {few} funds")


def main() -> None:
    """Print seconds, ratio and largest difference for each peer, then the whole of our three stages."""
    r, _ = market()
    spanned = np.ones(r.shape, dtype=np.int64)
    sessions = np.busday_offset("2008-01-02", np.arange(len(r)), roll="forward").astype("datetime64[D]")
    volatility = ewma_volatility(r, spanned).volatility_annualised
    print(f"tails, {r.shape[0]} sessions x {r.shape[1]} funds (simulated, no holes), window {WINDOW}")
    quantiles(r)
    student_t(r, np.isin(np.arange(len(sessions)), month_starts(sessions)))
    maximum_drawdown(r)
    forecast = volatility / np.sqrt(252)
    tails, falls = tail_risk(r, spanned, forecast, sessions), drawdowns(r, spanned)
    shortfall, fall = tails.historical.cvar_95_annualised, falls.maximum_756
    flags = np.zeros(r.shape[1], dtype=bool)
    for name, work in (
        ("tail_risk", lambda: tail_risk(r, spanned, forecast, sessions)),
        ("drawdowns", lambda: drawdowns(r, spanned)),
        ("risk_category", lambda: risk_category(volatility, shortfall, fall, flags)),
    ):
        print(f"  ours, {name + ', everything':<28}{median_seconds(work, 3):9.3f} s")


if __name__ == "__main__":
    main()
