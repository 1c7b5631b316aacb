"""Simulated markets that several tests look at, each made once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from etf_pipeline.core.market.panel import from_long
from etf_pipeline.core.market.simulation import SimulatedMarket, SimulationConfig, simulate

FIRST, LAST = "2016-01-04", "2026-06-30"


def weekdays(first: str = FIRST, last: str = LAST) -> np.ndarray:
    """Weekdays without the year's end, Australia Day and a spring holiday: a calendar with closed days."""
    days = np.arange(np.datetime64(first), np.datetime64(last) + 1)
    month_day = np.char.partition(days.astype(str), "-")[:, 2]
    return days[np.is_busday(days) & ~np.isin(month_day, ["12-25", "12-26", "01-01", "01-26", "04-25"])]


@lru_cache(maxsize=6)
def market(seed: int = 7, n_funds: int = 120, where: str = "asx") -> SimulatedMarket:
    """The default market of the product on ``weekdays``; read-only."""
    return simulate(SimulationConfig(weekdays(), seed=seed, n_funds=n_funds, market=where))  # type: ignore[arg-type]


def wide(simulated: SimulatedMarket, field: str) -> np.ndarray:
    """(S, N) panel of a bar field as the vendor shows it, NaN where it has no bar; sessions only."""
    truth = simulated.truth
    panel, _ = from_long(simulated.bars, simulated.actions, truth.sessions, truth.tickers)
    return getattr(panel, field)


def own_defects(simulated: SimulatedMarket) -> pd.DataFrame:
    """Defects of single funds: all but the holes of the whole market."""
    defects = simulated.truth.defects
    return defects[defects["kind"] != "market_wide_hole"].reset_index(drop=True)
