"""Tails, drawdowns and the risk category they lead to."""

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.long import from_long_column, to_long
from etf_pipeline.core.risk import (
    DECIDING_MEASURES,
    RISK_CATEGORIES,
    TAIL_MODELS,
    CategoryRules,
    drawdowns,
    flips_per_fund_year,
    risk_category,
    tail_risk,
)
from etf_pipeline.core.risk.volatility import SESSIONS_A_YEAR
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_asset
from etf_pipeline.plots import band, bars, lines
from etf_pipeline.storage.panels import panel_axes, read_classes, return_panel


@table_asset(
    "risk.tail",
    reads={"returns": "market.total_return", "volatility": "risk.volatility", "sessions": "market.sessions"},
)
def tail(returns: pd.DataFrame, volatility: pd.DataFrame, sessions: pd.DataFrame) -> dg.Output[pd.DataFrame]:
    """Value at risk and expected shortfall: historical, Student t, filtered historical simulation."""
    panel = return_panel(returns, sessions)
    annual = from_long_column(volatility, "volatility_1_annualised", panel.sessions, panel.tickers)
    result = tail_risk(panel.total_return, panel.spanned, annual / np.sqrt(SESSIONS_A_YEAR), panel.sessions)
    models = {"historical": result.historical, "student_t": result.student_t, "filtered": result.filtered}
    measures = ("var_95", "cvar_95", "var_99", "cvar_99")
    frame = to_long(
        panel.sessions,
        panel.tickers,
        np.isfinite(result.served.cvar_95) & np.isfinite(result.served.cvar_99),
        **{measure: getattr(result.served, measure) for measure in measures},
        cvar_95_annualised=result.served.cvar_95_annualised,
        model=np.array(TAIL_MODELS, dtype=object)[result.served_model],
        **{f"{m}_{name}": getattr(estimate, m) for name, estimate in models.items() for m in measures},
        cvar_95_annualised_historical=result.historical.cvar_95_annualised,
    )
    plot = band(
        frame.rename(columns={"cvar_95": "value"}), "Expected shortfall at 95 %, next session", "return"
    )
    return dg.Output(frame, metadata={"expected_shortfall_over_time": dg.MetadataValue.md(plot)})


@table_asset("risk.drawdown", reads={"returns": "market.total_return", "sessions": "market.sessions"})
def drawdown(returns: pd.DataFrame, sessions: pd.DataFrame) -> dg.Output[pd.DataFrame]:
    """Drawdowns of the total-return index, Ulcer index, downside deviation, tail ratio."""
    panel = return_panel(returns, sessions)
    result = drawdowns(panel.total_return, panel.spanned)
    frame = to_long(
        panel.sessions,
        panel.tickers,
        np.isfinite(result.current),
        drawdown=result.current,
        sessions_under_water=result.sessions_under_water,
        maximum_drawdown_252=result.maximum_252,
        maximum_drawdown_756=result.maximum_756,
        ulcer_index=result.ulcer_index,
        downside_deviation_annualised=result.downside_deviation_annualised,
        tail_ratio=result.tail_ratio,
        unknown_returns=result.unknown_returns,
    )
    plot = band(frame.rename(columns={"drawdown": "value"}), "Drawdown, all funds", "return from the peak")
    return dg.Output(frame, metadata={"drawdown_over_time": dg.MetadataValue.md(plot)})


@table_asset(
    "risk.risk_category",
    reads={
        "volatility": "risk.volatility",
        "tail": "risk.tail",
        "drawdown": "risk.drawdown",
        "universe": "market.universe",
        "sessions": "market.sessions",
    },
    after=["raw.listings"],
)
def risk_category_table(
    volatility: pd.DataFrame,
    tail: pd.DataFrame,
    drawdown: pd.DataFrame,
    universe: pd.DataFrame,
    sessions: pd.DataFrame,
    pipeline: PipelineResource,
) -> dg.Output[pd.DataFrame]:
    """LOW, MEDIUM or HIGH, with hysteresis; leveraged and inverse funds always HIGH."""
    axis, tickers = panel_axes(sessions, universe)
    leveraged = read_classes(pipeline.warehouse, tickers)[2]
    result = risk_category(
        from_long_column(volatility, "volatility_annualised", axis, tickers),
        from_long_column(tail, "cvar_95_annualised_historical", axis, tickers),
        from_long_column(drawdown, "maximum_drawdown_756", axis, tickers),
        leveraged,
    )
    # A leveraged fund is HIGH without any measure: not for ever after its last bar.
    stale = from_long_column(universe, "stale_sessions", axis, tickers)
    seen = (stale >= 0) & (stale <= CategoryRules().max_stale_sessions)
    names = np.array(RISK_CATEGORIES, dtype=object)
    frame = to_long(
        axis,
        tickers,
        seen & (result.category > 0),
        category=names[result.category],
        raw_category=names[result.raw_category],
        score=result.score,
        decided_by=np.array([None, *DECIDING_MEASURES[1:]], dtype=object)[result.decided_by],
    )
    counts = frame.groupby(["session", "category"]).size().unstack(fill_value=0)  # noqa: PD010
    shown = {name: counts[name] for name in RISK_CATEGORIES[1:] if name in counts}
    free = np.where(seen & ~leveraged, result.category, 0)
    raw = np.where(seen & ~leveraged, result.raw_category, 0)
    reasons = frame.loc[frame["session"] == frame["session"].max(), "decided_by"].value_counts()
    return dg.Output(
        frame,
        metadata={
            "categories_over_time": dg.MetadataValue.md(
                lines(shown, "Funds in each risk category", "funds") if shown else "none"
            ),
            "decided_by_now": dg.MetadataValue.md(
                bars(reasons, "What decides the category now", "funds") if len(reasons) else "none"
            ),
            "flips_per_fund_year": float(np.nan_to_num(flips_per_fund_year(free))),
            "flips_per_fund_year_without_hysteresis": float(np.nan_to_num(flips_per_fund_year(raw))),
        },
    )
