"""Small markets with factors, and Ken French's daily files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd


def factor_market(
    seed: int, sessions: int = 420, funds: int = 6, factors: int = 3, hole: float = 0.05
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Excess returns (S, N), sessions spanned (S, N) and factors (S, K), with late listings, holes and unknown days."""
    rng = np.random.default_rng(seed)
    f = (
        0.008
        * rng.standard_t(5, (sessions, factors))
        @ (np.eye(factors) + 0.3 * rng.normal(size=(factors, factors)))
    )
    y = f @ rng.normal(0.5, 0.5, (factors, funds)) + 0.005 * rng.standard_t(4, (sessions, funds)) + 0.0002
    there = rng.random(y.shape) >= hole
    there[: sessions // 4, -1] = False
    spanned = np.zeros(y.shape, dtype=np.int64)
    for j in range(funds):
        rows = np.flatnonzero(there[:, j])
        spanned[rows[1:], j] = np.diff(rows)
    y[spanned == 0] = np.nan
    f[rng.random(sessions) < 0.02] = np.nan
    return y, spanned, f


def french_daily(market_data: Path, name: str) -> pd.DataFrame:
    """One of the original daily files as fractions, by day."""
    path = market_data / "ff" / name
    skip = next(i for i, line in enumerate(path.read_text().splitlines()) if line.startswith(","))
    frame = pd.read_csv(path, skiprows=skip, index_col=0, skipinitialspace=True)
    frame = frame[frame.index.astype(str).str.strip().str.fullmatch(r"\d{8}")]
    frame.index = pd.to_datetime(frame.index.astype(str).str.strip(), format="%Y%m%d")
    frame.columns = frame.columns.str.strip()
    values = frame.astype(float)
    return values.where(values > -99) / 100.0


def us_six(market_data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Days (D,), six US factors (D, 6) beginning with market and size, and the risk-free rate (D,)."""
    five = french_daily(market_data, "202511_F-F_Research_Data_5_Factors_2x3_daily.csv")
    momentum = french_daily(market_data, "202511_F-F_Momentum_Factor_daily.csv")
    both = five.join(momentum, how="inner")
    value = both[["Mkt-RF", "SMB", "HML", "RMW", "CMA", "Mom"]].to_numpy()
    return both.index.to_numpy().astype("datetime64[D]"), value, both["RF"].to_numpy()
