"""Signals judged by the returns that followed: information coefficients, quantiles, correlation, decay."""

from collections.abc import Iterator, Mapping

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.calendar import year_after
from etf_pipeline.core.market.long import from_long_column
from etf_pipeline.core.scoring.components import COMPONENTS
from etf_pipeline.core.validation.forward_return import forward_return
from etf_pipeline.core.validation.information_coefficient import fund_groups
from etf_pipeline.core.validation.quantile_spreads import filled_half_spread
from etf_pipeline.core.validation.signal_evaluation import HORIZONS, evaluate_signals
from etf_pipeline.core.validation.signal_relations import signal_correlations, signal_decay
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_out
from etf_pipeline.plots import lines, markdown_table
from etf_pipeline.storage.panels import ReturnPanel, read_classes, return_panel

RANKING_SCORES = ("unadjusted_score", "raw_score", "final_score")
DECAY_HORIZON = 21
PLOTTED = ("final_score", *(f"{name}_score" for name in COMPONENTS))


def _signals(scores: pd.DataFrame, ranking: pd.DataFrame, panel: ReturnPanel) -> dict[str, np.ndarray]:
    """Components, the ranking's scores, and every measure as its percentile, which has the direction in it."""
    measures = [item.name for parts in COMPONENTS.values() for item in parts]
    columns = {f"{name}_score": (scores, f"{name}_score") for name in COMPONENTS}
    columns |= {name: (ranking, name) for name in RANKING_SCORES}
    columns |= {name: (scores, f"{name}_score") for name in measures}
    return {
        name: from_long_column(table, column, panel.sessions, panel.tickers)
        for name, (table, column) in columns.items()
    }


def _table(columns: Mapping[str, np.ndarray], panel: ReturnPanel) -> pd.DataFrame:
    return pd.DataFrame({**columns, "session": year_after(panel.sessions, columns["year"])})


@dg.multi_asset(
    outs={
        "signal_evaluation": table_out(
            "validation.signal_evaluation",
            "Information coefficients and quantile returns of every score and measure.",
        ),
        "signal_correlation": table_out(
            "validation.signal_correlation", "How scores and measures go together across funds."
        ),
        "signal_decay": table_out("validation.signal_decay", "How fast what a signal knows grows old."),
    },
    ins={
        "returns": dg.AssetIn(["market", "total_return"]),
        "sessions": dg.AssetIn(["market", "sessions"]),
        "scores": dg.AssetIn(["scoring", "component_scores"]),
        "ranking": dg.AssetIn(["scoring", "composite_ranking"]),
        "liquidity": dg.AssetIn(["risk", "liquidity"]),
    },
    deps=[dg.AssetKey(["raw", "listings"])],
    name="signal_judgement",
    pool="warehouse",
)
def signal_judgement(
    returns: pd.DataFrame,
    sessions: pd.DataFrame,
    scores: pd.DataFrame,
    ranking: pd.DataFrame,
    liquidity: pd.DataFrame,
    pipeline: PipelineResource,
) -> Iterator[dg.Output[pd.DataFrame]]:
    """Hold every signal against the returns of the sessions after the next, by horizon, asset class and year."""
    panel = return_panel(returns, sessions)
    known = ranking[ranking["ticker"].isin(panel.tickers)]
    signals = _signals(scores, known, panel)
    spread = liquidity[liquidity["ticker"].isin(panel.tickers)]
    forward = {horizon: forward_return(panel.total_return, panel.spanned, horizon) for horizon in HORIZONS}
    classes, names, _ = read_classes(pipeline.warehouse, panel.tickers)
    evaluation = _table(
        evaluate_signals(
            signals,
            forward,
            filled_half_spread(
                from_long_column(spread, "spread", panel.sessions, panel.tickers),
                np.isfinite(signals["final_score"]),
            ),
            panel.sessions,
            fund_groups(classes, names),
        ),
        panel,
    )
    yield dg.Output(
        evaluation, "signal_evaluation", metadata=_metadata(evaluation, pipeline.source.simulated)
    )
    yield dg.Output(_table(signal_correlations(signals, panel.sessions), panel), "signal_correlation")
    decay = _table(signal_decay(signals, forward[DECAY_HORIZON], panel.sessions, DECAY_HORIZON), panel)
    yield dg.Output(decay, "signal_decay")


def _metadata(table: pd.DataFrame, simulated: bool) -> dict[str, dg.MetadataValue | int | bool]:
    """Counts of tests and discoveries, coefficients by year and to date, and quintile returns."""
    everyone = table[(table["asset_class"] == "all") & (table["horizon"] == DECAY_HORIZON)]
    by_year = everyone[(everyone["scope"] == "year") & everyone["signal"].isin(PLOTTED)]
    newest = table[(table["scope"] == "to_date") & (table["year"] == table["year"].max())]
    shown = newest[newest["asset_class"] == "all"]
    label = "simulated market" if simulated else "market data"
    summary = shown[
        ["signal", "horizon", "mean_ic", "t_value", "adjusted_p_value", "quintile_spread",
         "quintile_spread_after_costs", "monotonicity", "top_quintile_turnover"]
    ]  # fmt: skip
    quintiles = shown[(shown["horizon"] == DECAY_HORIZON) & shown["signal"].isin(PLOTTED)]
    quintiles = quintiles.set_index("signal").filter(regex=r"^quintile_\d_return$")
    quintiles.columns = range(1, quintiles.shape[1] + 1)
    return {
        "simulated": simulated,
        "tests": int(table["p_value"].notna().sum()),
        "discoveries": int(table["discovered"].sum()),
        "to_date": dg.MetadataValue.md(markdown_table(summary)),
        "coefficient_by_year": dg.MetadataValue.md(
            lines(
                {str(name): group.set_index("year")["mean_ic"] for name, group in by_year.groupby("signal")},
                f"Mean rank information coefficient, {DECAY_HORIZON} sessions, {label}",
                "coefficient",
            )
        ),
        "quintile_returns": dg.MetadataValue.md(
            lines(
                {str(name): row for name, row in quintiles.iterrows()},
                f"Mean return of {DECAY_HORIZON} sessions by quintile of the signal, {label}",
                "fraction",
            )
        ),
    }
