"""Component scores and the composite ranking of every session."""

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.long import from_long_column, to_long
from etf_pipeline.core.market.universe import REASONS
from etf_pipeline.core.scoring import (
    component_scores as compute_component_scores,
)
from etf_pipeline.core.scoring import (
    composite,
    exclusion_reasons,
)
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_asset
from etf_pipeline.plots import bars as bar_plot
from etf_pipeline.plots import histogram, markdown_table
from etf_pipeline.storage.panels import panel_axes


@table_asset(
    "scoring.component_scores",
    reads={
        "universe": "market.universe",
        "sessions": "market.sessions",
        "momentum": "signals.momentum",
        "volume": "signals.volume",
        "volatility": "risk.volatility",
        "beta": "risk.beta",
    },
)
def component_scores(
    universe: pd.DataFrame,
    sessions: pd.DataFrame,
    momentum: pd.DataFrame,
    volume: pd.DataFrame,
    volatility: pd.DataFrame,
    beta: pd.DataFrame,
) -> pd.DataFrame:
    """Momentum, risk and volume as percentiles among the funds that could be ranked that day."""
    axis, tickers = panel_axes(sessions, universe)
    inputs = {
        "momentum_12_1": from_long_column(momentum, "momentum_12_1", axis, tickers),
        "volatility_annualised": from_long_column(volatility, "volatility_annualised", axis, tickers),
        "beta": from_long_column(beta, "beta", axis, tickers),
        "accumulation": from_long_column(volume, "accumulation", axis, tickers),
    }
    member = from_long_column(universe, "is_member", axis, tickers) == 1.0
    result = compute_component_scores(inputs, member)
    standings: dict[str, np.ndarray] = {}
    for name, standing in result.standings.items():
        standings[name] = np.where(standing.rank > 0, inputs[name], np.nan)
        standings[f"{name}_rank"] = np.where(standing.rank > 0, standing.rank.astype(float), np.nan)
        standings[f"{name}_count"] = standing.count[:, None]
        standings[f"{name}_percentile"] = standing.score
    frame = to_long(
        axis,
        tickers,
        member,
        **{f"{name}_score": scores for name, scores in result.scores.items()},
        **standings,
    )
    return frame.astype({name: "Int32" for name in frame.columns if name.endswith("_rank")})


@table_asset(
    "scoring.composite_ranking",
    reads={
        "scores": "scoring.component_scores",
        "universe": "market.universe",
        "sessions": "market.sessions",
    },
)
def composite_ranking(
    scores: pd.DataFrame, universe: pd.DataFrame, sessions: pd.DataFrame, pipeline: PipelineResource
) -> dg.Output[pd.DataFrame]:
    """The ranking of every session, with the weights used and everyone left out."""
    axis, tickers = panel_axes(sessions, universe)
    names = ("momentum", "risk", "volume")
    reason = universe["exclusion_reason"].map({name: code for code, name in enumerate(REASONS)})
    panel = composite(
        {name: from_long_column(scores, f"{name}_score", axis, tickers) for name in names},
        from_long_column(universe, "is_member", axis, tickers) == 1.0,
        from_long_column(universe, "median_traded_value", axis, tickers),
        tickers,
    )
    codes = from_long_column(universe.assign(code=reason.fillna(0)), "code", axis, tickers)
    why = exclusion_reasons(np.nan_to_num(codes, nan=0.0).astype(np.int8), panel.reason)
    ranked = panel.rank > 0
    frame = to_long(
        axis,
        tickers,
        np.isfinite(codes),
        rank=np.where(ranked, panel.rank.astype(float), np.nan),
        raw_score=np.where(ranked, panel.raw_score, np.nan),
        final_score=np.where(ranked, panel.final_score, np.nan),
        **{f"{name}_weight": panel.weights[name] for name in names},
        confidence=panel.confidence,
        ranked_funds=panel.ranked[:, None],
        exclusion_reason=np.where(ranked, np.array(None, dtype=object), why),
    ).astype({"rank": "Int32"})
    return dg.Output(frame, metadata=_metadata(frame, pipeline.source.simulated))


def _metadata(frame: pd.DataFrame, simulated: bool) -> dict[str, dg.MetadataValue | str | int | bool]:
    ranked = frame[frame["rank"].notna()]
    if ranked.empty:
        return {"ranked_funds": 0}
    newest = frame[frame["session"] == ranked["session"].max()]
    top = newest.nsmallest(10, "rank")[["rank", "ticker", "final_score", "confidence"]]
    left_out = newest["exclusion_reason"].value_counts()
    label = "simulated market" if simulated else "market data"
    return {
        "session": str(newest["session"].iloc[0].date()),
        "ranked_funds": int(newest["rank"].notna().sum()),
        "simulated": simulated,
        "top_10": dg.MetadataValue.md(markdown_table(top)),
        "score_distribution": dg.MetadataValue.md(
            histogram(newest["final_score"].to_numpy(dtype=float), f"Final scores, {label}", "points")
        ),
        "left_out": dg.MetadataValue.md(
            bar_plot(left_out, "Left out, by reason", "funds") if len(left_out) else "none"
        ),
    }
