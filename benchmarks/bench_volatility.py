"""EWMA volatility of every fund: ours (which spans holes) against pandas on a panel without holes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from bench_rolling_beta import market, median_seconds

from etf_pipeline.core.risk import ewma_volatility

HALF_LIFE = 33.0


def main() -> None:
    """Print seconds, ratio and largest relative difference."""
    r, _ = market()
    spanned = np.ones(r.shape, dtype=np.int64)
    spanned[0] = 0
    r[0] = np.nan

    def ours() -> np.ndarray:
        return ewma_volatility(r, spanned, half_life=HALF_LIFE).volatility_annualised

    def with_pandas() -> np.ndarray:
        squares = pd.DataFrame(r * r)
        return np.sqrt(252.0 * squares.ewm(halflife=HALF_LIFE, min_periods=60).mean().to_numpy())

    base, peer = median_seconds(ours, 5), median_seconds(with_pandas, 5)
    a, b = ours(), with_pandas()
    gap = np.nanmax(np.abs(a / b - 1.0))
    print(f"EWMA volatility, {r.shape[0]} sessions x {r.shape[1]} funds (simulated), half-life {HALF_LIFE:g}")
    print(f"  ours   {base:7.4f} s")
    print(f"  pandas {peer:7.4f} s  {peer / base:6.1f} x  largest relative difference {gap:.1e}")


if __name__ == "__main__":
    main()
