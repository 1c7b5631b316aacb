"""Tables as a market that strategies can be run on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from etf_pipeline.core.market.long import from_long_column
from etf_pipeline.core.portfolio.costs import (
    SCENARIOS,
    CostRules,
    Scenario,
    TradingCosts,
    carry,
    trading_costs,
)
from etf_pipeline.core.validation.backtest import AccountRules, BacktestError, TradingMarket, trading_market
from etf_pipeline.core.validation.performance import SESSIONS_A_YEAR
from etf_pipeline.defs.resources import Pipeline
from etf_pipeline.storage.panels import column_of, panel_axes, price_panels, read_reference

SPREAD = {"low": "spread_lower", "base": "spread", "high": "spread_upper"}
GONE = ("delisted", "presumed_delisted")


@dataclass(frozen=True)
class Trading:
    """A market with costs as estimated, the same with costs at both ends of their intervals, and who may be held.

    Attributes
    ----------
    market : TradingMarket at costs as estimated.
    costs : scenario -> TradingCosts.
    member : (S, N) bool; gone : (S, N) bool, known to be delisted, or presumed so, at the close.
    covered : (S,) bool, the source still covers the market fund: what follows counts in no figure.
    rules : how the settings' account trades.
    cash_rate : where the rate of cash comes from, or that it is unknown and cash earns nothing.
    """

    market: TradingMarket
    costs: dict[Scenario, TradingCosts]
    member: np.ndarray
    gone: np.ndarray
    covered: np.ndarray
    rules: AccountRules
    cash_rate: str

    def at_costs(self, scenario: Scenario) -> TradingMarket:
        """The market at another estimate of spreads."""
        return replace(self.market, costs=self.costs[scenario])


def trading(
    bars: pd.DataFrame,
    sessions: pd.DataFrame,
    universe: pd.DataFrame,
    liquidity: pd.DataFrame,
    volatility: pd.DataFrame,
    pipeline: Pipeline,
) -> Trading:
    """Put prices, membership and costs together.

    Raises
    ------
    BacktestError : whole units asked for on adjusted prices.
    """
    settings = pipeline.settings.backtest
    axis, tickers = panel_axes(sessions, universe)
    bars, universe, liquidity, volatility = (
        frame[frame["ticker"].isin(tickers)] for frame in (bars, universe, liquidity, volatility)
    )
    basis = bars["basis"].iloc[0]
    if settings.whole_units and basis != "as_traded":
        raise BacktestError(
            f"backtest.whole_units needs prices as traded, and these are {basis}: a unit's price is not what was paid "
            "for one. Leave it out, or load prices as traded"
        )

    def panel(frame: pd.DataFrame, column: str) -> np.ndarray:
        return from_long_column(frame, column, axis, tickers)

    member = panel(universe, "is_member") == 1.0
    benchmark = column_of(tickers, pipeline.settings.benchmark_ticker)
    gone = panel(universe.assign(gone=universe["exclusion_reason"].isin(GONE)), "gone") == 1.0
    daily = panel(volatility, "volatility_annualised") / np.sqrt(SESSIONS_A_YEAR)
    value = panel(liquidity, "median_traded_value")
    rules = CostRules(
        impact_coefficient=settings.impact_coefficient, least_half_spread=settings.least_half_spread
    )
    costs = {
        scenario: trading_costs(panel(liquidity, SPREAD[scenario]), daily, value, member, rules)
        for scenario in SCENARIOS
    }
    series = (
        "us_cash_rate" if pipeline.settings.market == "us" and not pipeline.source.simulated else "cash_rate"
    )
    rate = _rate(pipeline, series, axis)
    prices = price_panels(bars, axis, tickers)
    return Trading(
        trading_market(
            axis, tickers, prices["open_"], prices["close"], prices["accepted"], prices["scale"], prices["split"],
            prices["distribution"], gone, costs["base"], basis=basis, trade_at=settings.trade_at,
            deposit=carry(axis, rate, -settings.cash_margin), loan=carry(axis, rate, settings.loan_margin),
        ),
        costs,
        member,
        gone,
        ~(panel(universe.assign(ended=universe["exclusion_reason"] == "not_covered"), "ended") == 1.0)[:, benchmark],
        AccountRules(settings.capital, settings.whole_units, settings.delisting_haircut),
        series if np.isfinite(rate).any() else f"unknown ({series} is not among the reference series): cash earns nothing",
    )  # fmt: skip


def _rate(pipeline: Pipeline, series: str, axis: np.ndarray) -> np.ndarray:
    """(S,) annual rate known at each close, a fraction; NaN before the first value and where there is no such series."""
    days, values = read_reference(pipeline.warehouse).get(
        series, (np.array([], "datetime64[D]"), np.array([]))
    )
    at = np.searchsorted(days, axis, side="right") - 1
    return (
        np.where(at >= 0, values[np.maximum(at, 0)] / 100.0, np.nan)
        if len(days)
        else np.full(len(axis), np.nan)
    )
