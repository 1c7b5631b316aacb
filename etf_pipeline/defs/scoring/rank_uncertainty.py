"""How certain the ranks are, and what each device of the score changes at the top."""

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.calendar import week_starts
from etf_pipeline.core.market.long import from_long_column, to_long
from etf_pipeline.core.market.traded_value import traded_value
from etf_pipeline.core.scoring.components import COMPONENTS
from etf_pipeline.core.scoring.device_effects import device_effects as compute_device_effects
from etf_pipeline.core.scoring.device_effects import scores_without
from etf_pipeline.core.scoring.rank_uncertainty import ResampleRules, signed_turnover
from etf_pipeline.core.scoring.rank_uncertainty import rank_uncertainty as compute_rank_uncertainty
from etf_pipeline.core.scoring.rules import PENALTY_LABELS
from etf_pipeline.core.validation.information_coefficient import fund_groups
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_asset
from etf_pipeline.plots import markdown_table
from etf_pipeline.storage.panels import column_of, panel_axes, read_classes, return_panel


@table_asset(
    "scoring.rank_uncertainty",
    reads={
        "returns": "market.total_return",
        "bars": "market.bars",
        "sessions": "market.sessions",
        "scores": "scoring.component_scores",
        "ranking": "scoring.composite_ranking",
    },
    after=["raw.listings"],
)
def rank_uncertainty(
    returns: pd.DataFrame,
    bars: pd.DataFrame,
    sessions: pd.DataFrame,
    scores: pd.DataFrame,
    ranking: pd.DataFrame,
    pipeline: PipelineResource,
) -> dg.Output[pd.DataFrame]:
    """Resample the days of the past year, the same for all funds, and rank again."""
    panel, windows = return_panel(returns, sessions), pipeline.settings.windows

    def column(frame: pd.DataFrame, name: str) -> np.ndarray:
        own = frame[frame["ticker"].isin(panel.tickers)]
        return from_long_column(own, name, panel.sessions, panel.tickers)

    classes, names, _ = read_classes(pipeline.warehouse, panel.tickers)
    traded = traded_value(column(bars, "close"), column(bars, "volume"), column(bars, "accepted") == 1.0)
    rank = np.nan_to_num(column(ranking, "rank")).astype(np.int64)
    rows = week_starts(panel.sessions)
    rules = ResampleRules(lookback=windows.momentum, half=windows.momentum // 2, skip=windows.momentum_skip)
    result = compute_rank_uncertainty(
        panel.total_return,
        panel.total_return[:, column_of(panel.tickers, pipeline.settings.benchmark_ticker)],
        signed_turnover(traded, panel.total_return, window=windows.volume_long),
        {name: column(scores, f"{name}_average") for name in COMPONENTS},
        {name: column(ranking, f"{name}_weight") for name in COMPONENTS},
        column(ranking, "penalty_points"),
        rank,
        panel.sessions,
        rows,
        fund_groups(classes, names),
        peers=pipeline.rules.peers,
        contrast=_contrast(scores, panel.sessions),
        rules=rules,
    )
    frame = to_long(
        panel.sessions[rows],
        panel.tickers,
        np.isfinite(result.rank_50),
        rank=rank[rows],
        rank_10=result.rank_10,
        rank_50=result.rank_50,
        rank_90=result.rank_90,
        top_20_probability=result.top_probability,
        score_standard_error=result.score_standard_error,
    )
    newest = frame[frame["session"] == frame["session"].max()].nsmallest(20, "rank")
    return dg.Output(
        frame, metadata={"first_20": dg.MetadataValue.md(markdown_table(newest.drop(columns="session")))}
    )


def _contrast(scores: pd.DataFrame, sessions: np.ndarray) -> dict[str, np.ndarray]:
    """Component -> (S,) contrast of each session; 1 on those without scores."""
    found = scores.groupby("session")[[f"{name}_contrast" for name in COMPONENTS]].first()
    found = found.reindex(pd.DatetimeIndex(sessions.astype("datetime64[s]"))).fillna(1.0)
    return {name: found[f"{name}_contrast"].to_numpy() for name in COMPONENTS}


@table_asset(
    "scoring.device_effects",
    reads={
        "sessions": "market.sessions",
        "ranking": "scoring.composite_ranking",
        "adjustments": "scoring.adjustments",
    },
)
def device_effects(
    sessions: pd.DataFrame, ranking: pd.DataFrame, adjustments: pd.DataFrame, pipeline: PipelineResource
) -> dg.Output[pd.DataFrame]:
    """Rank again without each multiplier, penalty and cap, and compare the first 20."""
    axis, tickers = panel_axes(sessions, ranking)

    def column(frame: pd.DataFrame, name: str) -> np.ndarray:
        return from_long_column(frame, name, axis, tickers)

    without = scores_without(
        column(ranking, "raw_score"),
        column(ranking, "unadjusted_score"),
        {name: column(ranking, f"{name}_points") for name in PENALTY_LABELS},
        column(adjustments, "penalty_share"),
        pipeline.rules.penalty_cap,
    )
    without["adaptive_weights"] = column(ranking, "static_score")
    effects = pd.DataFrame(
        compute_device_effects(
            np.nan_to_num(column(ranking, "rank")).astype(np.int64), without, tickers, top=20
        )
    )
    effects["session"] = axis[effects.pop("row")].astype("datetime64[us]")
    frame = effects.rename(columns={"ranked": "ranked_funds"})
    crowded = frame[frame["ranked_funds"] > 20]
    shown = crowded.assign(changes_the_top=crowded["changed"] > 0).groupby("device")
    summary = shown[["changes_the_top", "changed", "largest_move"]].mean().reset_index()
    return dg.Output(
        frame, metadata={"on_sessions_with_more_than_20": dg.MetadataValue.md(markdown_table(summary))}
    )
