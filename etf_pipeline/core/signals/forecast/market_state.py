"""The market's state at each close, from its funds and from abroad, each against its own past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.signals.forecast.features import as_known, causal_score, change


@dataclass(frozen=True)
class MacroState:
    """A reference series as a state: held back by ``lag`` sessions, as a level or its change over ``over``."""

    series: str
    lag: int
    over: int = 0

    @property
    def name(self) -> str:
        """As the feature is called."""
        return f"{self.series}_change_{self.over}" if self.over else self.series


MACRO_STATES = (
    MacroState("vix", 1),
    MacroState("vix", 1, 21),
    MacroState("audusd", 1, 63),
    MacroState("us_10y_yield", 2, 63),
    MacroState("us_10y_2y_spread", 2),
    MacroState("us_high_yield_spread", 2),
    MacroState("us_high_yield_spread", 2, 63),
)
"""American closes come after the Australian one of the same date: one session back. Yields and credit spreads are
published on the next American day: two. The exchange rate is held back one as well, as it may be fixed in London."""

CONTEXT_STATES = (
    "equity_bond_correlation",
    "gold_equity_correlation",
    "vix_rates_correlation",
    "dispersion",
)
"""Columns of signals.market_context that are part of the state."""


def context_state(context: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The ``CONTEXT_STATES``, each (S,) against its own past: within +-3, NaN where unknown."""
    return {name: causal_score(context[name]) for name in CONTEXT_STATES}


def macro_state(
    series: Mapping[str, tuple[np.ndarray, np.ndarray]], sessions: np.ndarray
) -> dict[str, np.ndarray]:
    """Scored states from reference series.

    Parameters
    ----------
    series : name -> (K,) days ascending and (K,) values; one that is missing gives an unknown state.
    sessions : (S,) datetime64, ascending.

    Returns
    -------
    name -> (S,) float64 within +-3, NaN where unknown.
    """
    nothing = np.zeros(0, dtype="datetime64[D]"), np.zeros(0)
    out = {}
    for state in MACRO_STATES:
        days, values = series.get(state.series, nothing)
        level = as_known(days, values, sessions, lag=state.lag)
        out[state.name] = causal_score(change(level, state.over) if state.over else level)
    return out


def across_funds(panel: np.ndarray, eligible: np.ndarray, least: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Median and spread (standard deviation) across eligible funds of each session.

    Parameters
    ----------
    panel : (S, N) float64, NaN where unknown; eligible : (S, N) bool; least : funds needed.

    Returns
    -------
    (S,), (S,) float64, NaN for sessions with fewer funds.
    """
    use = eligible & np.isfinite(panel)
    middle, spread = np.full(len(panel), np.nan), np.full(len(panel), np.nan)
    for t in np.flatnonzero(use.sum(axis=1) >= least):
        # Of the known values alone: how sums are grouped depends on the length of what is added.
        values = panel[t, use[t]]
        middle[t], spread[t] = np.median(values), np.std(values)
    return middle, spread
