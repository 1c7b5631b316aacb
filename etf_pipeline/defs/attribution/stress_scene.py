"""What the stress tables are made from: a market, its funds and accounts, and what trading costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from etf_pipeline.core.market.long import from_long_column
from etf_pipeline.core.portfolio.costs import CostRules, TradingCosts, trading_costs
from etf_pipeline.core.validation.performance import SESSIONS_A_YEAR
from etf_pipeline.defs.attribution.portfolios import held_weights, traded_accounts
from etf_pipeline.defs.attribution.stress_market import StressMarket, stress_market
from etf_pipeline.defs.resources import Pipeline
from etf_pipeline.defs.validation.trading import SPREAD, Trading
from etf_pipeline.storage.panels import ReturnPanel
from etf_pipeline.stress_scenarios import StressScenarios, read_stress_scenarios

LEVELS = (0.80, 0.95)
"""Of the intervals of losses."""
STRATEGIES = ("top_ranked", "top_ranked_sized", "benchmark")
"""Accounts that are stressed; the whole universe in equal parts is none that anybody holds."""
FRESH_SESSIONS = 5


@dataclass(frozen=True)
class Scene:
    """Funds N on S sessions, their accounts and the scenarios put to them.

    Attributes
    ----------
    pipeline, scenarios, market, panel, made : settings and warehouse, what is supposed, the factors, returns, trading.
    weight : by strategy (S, N), shares of the account at each close.
    accepted : (S, N) bool, sessions with an accepted bar.
    single : (S, N) float64, returns of a single session, NaN otherwise.
    traded_value : (S, N) float64, median value traded a session, quote currency.
    costs : (S + 1, N): row t + 1 holds what the close of session t knows.
    """

    pipeline: Pipeline
    scenarios: StressScenarios
    market: StressMarket
    panel: ReturnPanel
    made: Trading
    weight: dict[str, np.ndarray]
    accepted: np.ndarray
    single: np.ndarray
    traded_value: np.ndarray
    costs: TradingCosts

    def alive(self, row: int) -> np.ndarray:
        """(N,) bool, funds with a bar of late."""
        return np.asarray(self.accepted[max(0, row - FRESH_SESSIONS) : row + 1].any(axis=0))


def make_scene(frames: Mapping[str, pd.DataFrame], pipeline: Pipeline) -> Scene:
    """Put the tables together."""
    made, panel, accounts = traded_accounts(frames, pipeline)
    traded_value = _on_panel(frames["liquidity"], "median_traded_value", panel)
    return Scene(
        pipeline,
        read_stress_scenarios(pipeline.settings.attribution.scenario_file),
        stress_market(pipeline, panel),
        panel,
        made,
        {
            name: held_weights(accounts[name], panel.total_return.shape)
            for name in STRATEGIES
            if name in accounts
        },
        _on_panel(frames["bars"], "accepted", panel) == 1.0,
        np.where(panel.spanned == 1, panel.total_return, np.nan),
        traded_value,
        _costs(frames, made, panel, traded_value, pipeline),
    )


def _on_panel(frame: pd.DataFrame, column: str, panel: ReturnPanel) -> np.ndarray:
    return from_long_column(frame[frame["ticker"].isin(panel.tickers)], column, panel.sessions, panel.tickers)


def _costs(
    frames: Mapping[str, pd.DataFrame],
    made: Trading,
    panel: ReturnPanel,
    traded_value: np.ndarray,
    pipeline: Pipeline,
) -> TradingCosts:
    """Costs (S + 1, N) as the accounts pay them, and those of the session after the last: what its close knows."""
    settings = pipeline.settings.backtest
    rules = CostRules(
        impact_coefficient=settings.impact_coefficient, least_half_spread=settings.least_half_spread
    )

    def after(values: np.ndarray, what: object = np.nan) -> np.ndarray:
        return np.concatenate([values, np.full((1, len(panel.tickers)), what)])

    spread = _on_panel(frames["liquidity"], SPREAD["base"], panel)
    daily = _on_panel(frames["volatility"], "volatility_annualised", panel) / np.sqrt(SESSIONS_A_YEAR)
    return trading_costs(after(spread), after(daily), after(traded_value), after(made.member, False), rules)
