"""Returns of real US funds, clean enough to be used as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd


def us_returns(market_data: Path, tickers: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sessions (S,), total returns (S, N) and sessions spanned (S, N) from adjusted closes."""
    frame = pd.read_parquet(
        market_data / "us" / "us_etf_ohlcv_adj_div_2026-05.parquet",
        columns=["ticker", "date", "adj_close"],
        filters=[("ticker", "in", tickers)],
    )
    wide = frame.pivot_table(index="date", columns="ticker", values="adj_close")[tickers]
    close = wide.to_numpy(dtype=float)
    returns, spanned = np.full(close.shape, np.nan), np.zeros(close.shape, dtype=np.int64)
    for j in range(close.shape[1]):
        rows = np.flatnonzero(close[:, j] > 0)
        returns[rows[1:], j] = close[rows[1:], j] / close[rows[:-1], j] - 1
        spanned[rows[1:], j] = np.diff(rows)
    return wide.index.to_numpy().astype("datetime64[D]"), returns, spanned
