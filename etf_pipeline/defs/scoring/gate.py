"""The gate every overlay has to pass before it is served."""

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.market.long import from_long_column
from etf_pipeline.core.scoring.rules import CATEGORY_NAMES, COMPONENT_NAMES
from etf_pipeline.core.validation.ablation_gate import ablation_gate as decide
from etf_pipeline.core.validation.ablation_gate import mean_known_before
from etf_pipeline.core.validation.composite_performance import (
    complete_months,
    monthly_information_coefficient,
    monthly_spread_after_costs,
    weighted_score,
)
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_asset
from etf_pipeline.plots import lines
from etf_pipeline.storage.panels import return_panel


@table_asset(
    "scoring.ablation_gate",
    reads={
        "scores": "scoring.component_scores",
        "weights": "scoring.adaptive_weights",
        "categories": "risk.risk_category",
        "liquidity": "risk.liquidity",
        "returns": "market.total_return",
        "sessions": "market.sessions",
    },
)
def ablation_gate(
    scores: pd.DataFrame,
    weights: pd.DataFrame,
    categories: pd.DataFrame,
    liquidity: pd.DataFrame,
    returns: pd.DataFrame,
    sessions: pd.DataFrame,
    pipeline: PipelineResource,
) -> dg.Output[pd.DataFrame]:
    """Serve the adaptive weights only in months in which their past beats the static weights' past by Hansen's test."""
    panel = return_panel(returns, sessions)

    def column(frame: pd.DataFrame, name: str) -> np.ndarray:
        own = frame[frame["ticker"].isin(panel.tickers)]
        return from_long_column(own, name, panel.sessions, panel.tickers)

    codes = categories["category"].map({name: code for code, name in enumerate(CATEGORY_NAMES)})
    category = np.nan_to_num(column(categories.assign(code=codes), "code"), nan=-1.0).astype(np.int64)
    component = {name: column(scores, f"{name}_score") for name in COMPONENT_NAMES}
    spread = column(liquidity, "spread")
    rules = pipeline.rules
    months = complete_months(panel.total_return, panel.spanned, panel.sessions)
    by_session = weights.sort_values("session")
    performance, earned = {}, {}
    for name, base in (
        ("adaptive", {c: by_session[f"{c}_weight"].to_numpy(dtype=float) for c in COMPONENT_NAMES}),
        ("static", rules.base_weights),
    ):
        score = weighted_score(component, base, rules.multipliers, category)
        performance[name] = monthly_information_coefficient(score, months)
        earned[name] = monthly_spread_after_costs(score, months, spread)
    known = panel.sessions[months.known]
    decided = panel.sessions[month_starts(panel.sessions)]
    result = decide(
        performance["adaptive"],
        performance["static"],
        known,
        decided,
        overlay="adaptive_weights",
        measure="rank information coefficient",
    )
    frame = pd.DataFrame(
        {
            "session": result.decided.astype("datetime64[s]"),
            "overlay": result.overlay,
            "decision": result.decision,
            "served": result.served,
            "p_value": result.p_value,
            "mean_gain": result.mean_gain,
            "observations": result.observations,
            "differing": result.differing,
            "mean_gain_after_costs": mean_known_before(earned["adaptive"] - earned["static"], known, decided),
            "reason": result.reason,
        }
    )
    days = pd.DatetimeIndex(frame["session"])
    return dg.Output(
        frame,
        metadata={
            "newest_decision": str(result.reason[-1]) if len(frame) else "none yet",
            "months_served": int(result.served.sum()),
            "p_value": dg.MetadataValue.md(
                lines(
                    {"p-value to date": pd.Series(result.p_value, days)},
                    "Adaptive against static weights: Hansen's test on the history to each month",
                    "p-value",
                )
            ),
        },
    )
