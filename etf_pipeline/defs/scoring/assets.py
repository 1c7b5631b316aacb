"""Component scores and the composite ranking of every session."""

import logging
from collections.abc import Iterator, Mapping

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.long import from_long_column, to_long
from etf_pipeline.core.market.universe import REASONS
from etf_pipeline.core.scoring import (
    CATEGORY_NAMES,
    COMPONENT_NAMES,
    COMPONENTS,
    composite,
    exclusion_reasons,
    penalties,
    position_size,
    unknown_inputs,
)
from etf_pipeline.core.scoring import (
    component_scores as compute_component_scores,
)
from etf_pipeline.core.scoring.beyond_risk import beyond_risk
from etf_pipeline.core.scoring.composite import by_session
from etf_pipeline.core.scoring.contrast import flatten
from etf_pipeline.core.validation.ablation_gate import served_on
from etf_pipeline.defs.resources import Pipeline, PipelineResource
from etf_pipeline.defs.table_asset import table_asset, table_out
from etf_pipeline.plots import bars as bar_plot
from etf_pipeline.plots import histogram, markdown_table
from etf_pipeline.storage.contracts.scoring import PENALTY_INPUTS
from etf_pipeline.storage.panels import panel_axes, read_as_known, read_classes, read_facts

log = logging.getLogger(__name__)

NOTHING = np.array(None, dtype=object)
MIN_KNOWN_SESSIONS = 126
"""Of the last 252 sessions, on which it is known whether the fund traded: with fewer, its silent days are unknown."""


@table_asset(
    "scoring.component_scores",
    reads={
        "universe": "market.universe",
        "sessions": "market.sessions",
        "momentum": "signals.momentum",
        "volume": "signals.volume",
        "forecast": "signals.forecast",
        "volatility": "risk.volatility",
        "beta": "risk.beta",
        "tail": "risk.tail",
        "drawdown": "risk.drawdown",
        "liquidity": "risk.liquidity",
        "categories": "risk.risk_category",
    },
    after=["raw.listings"],
)
def component_scores(
    universe: pd.DataFrame,
    sessions: pd.DataFrame,
    momentum: pd.DataFrame,
    volume: pd.DataFrame,
    forecast: pd.DataFrame,
    volatility: pd.DataFrame,
    beta: pd.DataFrame,
    tail: pd.DataFrame,
    drawdown: pd.DataFrame,
    liquidity: pd.DataFrame,
    categories: pd.DataFrame,
    pipeline: PipelineResource,
) -> dg.Output[pd.DataFrame]:
    """Momentum, forecast, risk and volume as percentiles among the funds that could be ranked that day and their peers."""
    axis, tickers = panel_axes(sessions, universe)
    tables = (momentum, volume, forecast, volatility, beta, tail, drawdown, liquidity)
    names = [item.name for parts in COMPONENTS.values() for item in parts]
    inputs = {
        name: from_long_column(table, name, axis, tickers)
        for name in names
        for table in tables
        if name in table
    }
    member = from_long_column(universe, "is_member", axis, tickers) == 1.0
    for horizon in (5, 21, 63):
        corrected = from_long_column(forecast, f"corrected_{horizon}", axis, tickers)
        risks = (inputs["volatility_annualised"], inputs["beta"])
        inputs[f"beyond_risk_{horizon}"] = beyond_risk(corrected, risks, member)
    category = _category_codes(categories, axis, tickers)
    values = _penalty_inputs(axis, tickers, tail, volume, liquidity, pipeline)
    classes = read_classes(pipeline.warehouse, tickers)[0]
    result = compute_component_scores(
        inputs,
        member,
        classes,
        pipeline.rules,
        category=category,
        penalty_points=penalties(values, category, pipeline.rules).applied,
    )
    ever = member.any(axis=0)
    without_class = int((ever & (classes < 0)).sum())
    if without_class:
        log.info(
            "%d of %d funds have no asset class: their percentiles are among all funds, and whether they are leveraged "
            "may not be known (name classes in a universe_file)",
            without_class,
            int(ever.sum()),
        )
    frame = to_long(
        axis,
        tickers,
        member,
        **{f"{name}_score": score for name, score in result.scores.items()},
        **{f"{name}_contrast": value[:, None] for name, value in result.contrast.items()},
        **{f"{name}_average": average for name, average in result.averages.items()},
        **{f"{name}_known_share": share for name, share in result.confidence.items()},
        **{name: np.where(np.isfinite(inputs[name]), inputs[name], np.nan) for name in names},
        **{f"{name}_score": score for name, score in result.input_scores.items()},
    )
    return dg.Output(frame, metadata={"funds_without_asset_class": without_class, "funds": int(ever.sum())})


@dg.multi_asset(
    name="composite_ranking",
    outs={
        "composite_ranking": table_out(
            "scoring.composite_ranking",
            "The ranking of every session, all it is made of, and everyone left out.",
        ),
        "adjustments": table_out(
            "scoring.adjustments", "What lies behind the penalties and position sizes of the ranked funds."
        ),
    },
    ins={
        name: dg.AssetIn(table.split("."))
        for name, table in {
            "scores": "scoring.component_scores",
            "universe": "market.universe",
            "sessions": "market.sessions",
            "categories": "risk.risk_category",
            "tail": "risk.tail",
            "liquidity": "risk.liquidity",
            "volume": "signals.volume",
            "forecast": "signals.forecast",
            "volatility": "risk.volatility",
            "adaptive_weights": "scoring.adaptive_weights",
            "gate": "scoring.ablation_gate",
        }.items()
    },
    deps=[dg.AssetKey(["raw", "listings"])],
    pool="warehouse",
)
def composite_ranking(
    scores: pd.DataFrame,
    universe: pd.DataFrame,
    sessions: pd.DataFrame,
    categories: pd.DataFrame,
    tail: pd.DataFrame,
    liquidity: pd.DataFrame,
    volume: pd.DataFrame,
    forecast: pd.DataFrame,
    volatility: pd.DataFrame,
    adaptive_weights: pd.DataFrame,
    gate: pd.DataFrame,
    pipeline: PipelineResource,
) -> Iterator[dg.Output[pd.DataFrame]]:
    """Components weighted by risk category, less penalties, ranked; with position sizes."""
    axis, tickers = panel_axes(sessions, universe)

    def panel(frame: pd.DataFrame, column: str) -> np.ndarray:
        return from_long_column(frame, column, axis, tickers)

    rules = pipeline.rules
    category = _category_codes(categories, axis, tickers)
    values = _penalty_inputs(axis, tickers, tail, volume, liquidity, pipeline)
    taken = penalties(values, category, rules)
    component = {name: panel(scores, f"{name}_score") for name in COMPONENT_NAMES}
    member = panel(universe, "is_member") == 1.0
    static, adaptive = (
        composite(
            component,
            member,
            category,
            panel(universe, "median_traded_value"),
            tickers,
            rules=rules,
            base_weights=base,
            penalty_points=taken.applied,
            input_share={name: panel(scores, f"{name}_known_share") for name in COMPONENT_NAMES},
        )
        for base in (None, _weights_by_session(adaptive_weights, axis, rules.base_weights))
    )
    is_adaptive = served_on(gate, "adaptive_weights", axis)
    result = by_session(static, adaptive, is_adaptive)
    ranked = result.rank > 0
    position = position_size(
        ranked,
        category,
        # What its contrast of a session adds is no quality of the fund.
        flatten(component["momentum"], np.nan_to_num(panel(scores, "momentum_contrast"), nan=1.0)),
        panel(forecast, "confidence_21"),
        panel(volatility, "volatility_annualised"),
        rules.position,
    )
    unknown = unknown_inputs({**taken.known, "category": category >= 0}, category.shape)
    names = np.array([*CATEGORY_NAMES, None], dtype=object)
    reason = universe["exclusion_reason"].map({name: code for code, name in enumerate(REASONS)})
    code = panel(universe.assign(code=reason.fillna(0)), "code")
    numbers = {
        **{f"{name}_score": component[name] for name in COMPONENT_NAMES},
        **{f"{name}_adjusted": result.adjusted[name] for name in COMPONENT_NAMES},
        **{f"{name}_weight": result.weights[name] for name in COMPONENT_NAMES},
        **{f"{name}_points": points for name, points in taken.points.items()},
        "unadjusted_score": result.unadjusted_score,
        "raw_score": result.raw_score,
        "penalty_points": taken.applied,
        "final_score": result.final_score,
        "static_score": static.final_score,
        "adaptive_score": adaptive.final_score,
        "position_size": position.size,
        "confidence": result.confidence,
        "rank": result.rank.astype(float),
        "rank_in_category": result.rank_in_category.astype(float),
    }
    texts = {
        "risk_category": names[category],
        "weights_from": np.where(is_adaptive, "adaptive", "static").astype(object)[:, None],
        "unknown_inputs": unknown,
    }
    ranking = to_long(
        axis,
        tickers,
        np.isfinite(code),
        **{name: np.where(ranked, values, np.nan) for name, values in numbers.items()},
        **{name: np.where(ranked, text, NOTHING) for name, text in texts.items()},
        ranked_funds=result.ranked[:, None],
        exclusion_reason=np.where(
            ranked, NOTHING, exclusion_reasons(np.nan_to_num(code, nan=0.0).astype(np.int8), result.reason)
        ),
    ).astype({"rank": "Int32", "rank_in_category": "Int32"})
    yield dg.Output(ranking, "composite_ranking", metadata=_metadata(ranking, pipeline.source.simulated))
    share = np.array([rules.penalty_share[name] for name in CATEGORY_NAMES])
    yield dg.Output(
        to_long(
            axis,
            tickers,
            ranked,
            **{column.name: values[name] for name, column in PENALTY_INPUTS.items()},
            penalty_share=share[np.where(category < 0, CATEGORY_NAMES.index("MEDIUM"), category)],
            penalty_total=taken.total,
            position_base=position.base,
            quality_factor=position.quality_factor,
            confidence_factor=position.confidence_factor,
            volatility_factor=position.volatility_factor,
        ),
        "adjustments",
    )


def _category_codes(categories: pd.DataFrame, axis: np.ndarray, tickers: np.ndarray) -> np.ndarray:
    """(S, N) int64, index into ``CATEGORY_NAMES``; -1 without a category."""
    codes = categories["category"].map({name: code for code, name in enumerate(CATEGORY_NAMES)})
    panel = from_long_column(categories.assign(code=codes), "code", axis, tickers)
    return np.nan_to_num(panel, nan=-1.0).astype(np.int64)


def _penalty_inputs(
    axis: np.ndarray,
    tickers: np.ndarray,
    tail: pd.DataFrame,
    volume: pd.DataFrame,
    liquidity: pd.DataFrame,
    pipeline: Pipeline,
) -> dict[str, np.ndarray]:
    """What each penalty looks at, as panels. Size is what was known on the session, the expense ratio the newest known."""
    facts = read_facts(pipeline.warehouse)[0].set_index("ticker").reindex(tickers)
    silent = from_long_column(liquidity, "zero_volume_sessions", axis, tickers)
    known = from_long_column(liquidity, "known_sessions", axis, tickers)
    return {
        "cvar": from_long_column(tail, "cvar_95_annualised", axis, tickers),
        "units": from_long_column(volume, "average_daily_units", axis, tickers),
        "amihud": from_long_column(liquidity, "amihud_per_million", axis, tickers),
        "silence": np.where(known >= MIN_KNOWN_SESSIONS, silent, np.nan),
        "expense": np.broadcast_to(facts["expense_ratio"].to_numpy(dtype=float), silent.shape),
        "size": read_as_known(pipeline.warehouse, "fund_size", axis, tickers),
    }


def _weights_by_session(
    table: pd.DataFrame, axis: np.ndarray, base: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """(S,) adaptive weights by component; the base weights on sessions without."""
    rows = table.set_index("session").reindex(pd.DatetimeIndex(axis.astype("datetime64[s]")))
    return {
        name: rows[f"{name}_weight"].fillna(weight).to_numpy(dtype=float) for name, weight in base.items()
    }


def _metadata(frame: pd.DataFrame, simulated: bool) -> dict[str, dg.MetadataValue | str | int | bool]:
    ranked = frame[frame["rank"].notna()]
    if ranked.empty:
        return {"ranked_funds": 0}
    newest = frame[frame["session"] == ranked["session"].max()]
    shown = ["rank", "ticker", "final_score", "raw_score", "penalty_points", "risk_category", "position_size"]
    top = newest.nsmallest(10, "rank")[shown]
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
