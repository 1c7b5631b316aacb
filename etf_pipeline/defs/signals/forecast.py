"""Return forecasts of every member at every close."""

from collections.abc import Iterator

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.long import from_long_column
from etf_pipeline.core.risk.category import RISK_CATEGORIES
from etf_pipeline.core.signals import momentum as compute_momentum
from etf_pipeline.core.signals.forecast import (
    CONTEXT_STATES,
    FUND_FEATURES,
    HORIZONS,
    MEMBERS,
    ForecastRules,
    Forecasts,
    across_funds,
    causal_score,
    context_state,
    forecast_returns,
    macro_state,
)
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_out
from etf_pipeline.plots import lines, markdown_table
from etf_pipeline.storage.panels import ReturnPanel, read_classes, read_reference, return_panel

RECENT = (5, 21)
"""Windows in sessions of the recent returns: reversal, and what momentum leaves out."""

MEDIANS = ("risk_adjusted_momentum", "return_21", "volatility_annualised", "drawdown")
"""Measures whose median over funds is part of the market's state."""


@dg.multi_asset(
    outs={
        "forecast": table_out(
            "signals.forecast", "Total return ahead of every member, raw and corrected, at each close."
        ),
        "forecast_models": table_out(
            "signals.forecast_models",
            "Weights and past skill of the ensemble's members at each quarterly refit.",
        ),
    },
    ins={
        "returns": dg.AssetIn(["market", "total_return"]),
        "universe": dg.AssetIn(["market", "universe"]),
        "sessions": dg.AssetIn(["market", "sessions"]),
        "momentum": dg.AssetIn(["signals", "momentum"]),
        "volume": dg.AssetIn(["signals", "volume"]),
        "market_context": dg.AssetIn(["signals", "market_context"]),
        "volatility": dg.AssetIn(["risk", "volatility"]),
        "beta": dg.AssetIn(["risk", "beta"]),
        "tail": dg.AssetIn(["risk", "tail"]),
        "drawdown": dg.AssetIn(["risk", "drawdown"]),
        "liquidity": dg.AssetIn(["risk", "liquidity"]),
        "risk_category": dg.AssetIn(["risk", "risk_category"]),
        "regime": dg.AssetIn(["risk", "regime"]),
    },
    deps=[dg.AssetKey(["raw", "listings"]), dg.AssetKey(["raw", "reference_series"])],
    name="return_forecasts",
    pool="warehouse",
)
def return_forecasts(
    returns: pd.DataFrame,
    universe: pd.DataFrame,
    sessions: pd.DataFrame,
    momentum: pd.DataFrame,
    volume: pd.DataFrame,
    market_context: pd.DataFrame,
    volatility: pd.DataFrame,
    beta: pd.DataFrame,
    tail: pd.DataFrame,
    drawdown: pd.DataFrame,
    liquidity: pd.DataFrame,
    risk_category: pd.DataFrame,
    regime: pd.DataFrame,
    pipeline: PipelineResource,
) -> Iterator[dg.Output[pd.DataFrame]]:
    """Refit the ensemble each quarter on what was known, and correct it by its forecasts that have come due."""
    panel = return_panel(returns, sessions)
    tables = {
        "momentum": momentum, "volume": volume, "volatility": volatility, "beta": beta, "tail": tail,
        "drawdown": drawdown, "liquidity": liquidity,
    }  # fmt: skip
    funds = {
        column: _panel(tables[table.split(".")[1]], column, panel)
        for table, columns in FUND_FEATURES.items()
        for column in columns
    }
    for window in RECENT:
        recent = compute_momentum(panel.total_return, panel.spanned, lookback=window, skip=0)
        funds[f"return_{window}"] = recent.momentum
    eligible = _panel(universe, "is_member", panel) == 1.0
    category = risk_category.assign(
        category=risk_category["category"].map({name: float(k) for k, name in enumerate(RISK_CATEGORIES)})
    )
    settings = pipeline.settings.forecast
    forecasts = forecast_returns(
        funds,
        _market(funds, eligible, market_context, regime, pipeline, panel),
        eligible=eligible,
        volatility={
            h: funds["volatility_5_annualised" if h == min(HORIZONS) else "volatility_annualised"]
            for h in HORIZONS
        },
        exposure=funds["correlation"],
        total_return=panel.total_return,
        sessions_spanned=panel.spanned,
        classes=read_classes(pipeline.warehouse, panel.tickers)[0],
        categories=np.nan_to_num(_panel(category, "category", panel), nan=-1.0).astype(np.int64),
        sessions=panel.sessions,
        rules=ForecastRules(settings.window, settings.min_sessions, settings.embargo, settings.seed),
    )
    models = _models(forecasts, panel.sessions)
    newest = models[models["session"] == models["session"].max()]
    yield dg.Output(_frame(forecasts, panel), "forecast")
    yield dg.Output(
        models,
        "forecast_models",
        metadata={
            "weights_over_time": dg.MetadataValue.md(_weights(models)),
            "newest_refit": dg.MetadataValue.md(
                markdown_table(newest[["horizon", "member", "weight", "past_r_squared", "slope", "bias"]])
            ),
        },
    )


def _panel(table: pd.DataFrame, column: str, panel: ReturnPanel) -> np.ndarray:
    known = table[table["ticker"].isin(panel.tickers)]
    return from_long_column(known, column, panel.sessions, panel.tickers)


def _market(
    funds: dict[str, np.ndarray],
    eligible: np.ndarray,
    market_context: pd.DataFrame,
    regime: pd.DataFrame,
    pipeline: PipelineResource,
    panel: ReturnPanel,
) -> dict[str, np.ndarray]:
    """The market's state: its funds in the middle, how it goes together, its regime, and series from abroad."""
    state = {f"median_{name}": causal_score(across_funds(funds[name], eligible)[0]) for name in MEDIANS}
    days = pd.DatetimeIndex(panel.sessions)
    known = market_context.set_index("session").reindex(days)
    state |= context_state({name: known[name].to_numpy(dtype=float) for name in CONTEXT_STATES})
    for name in ("calm_probability", "stress_probability"):
        state[name] = 2.0 * regime.set_index("session")[name].reindex(days).to_numpy(dtype=float) - 1.0
    return state | macro_state(read_reference(pipeline.warehouse), panel.sessions)


def _frame(forecasts: Forecasts, panel: ReturnPanel) -> pd.DataFrame:
    """One row a member and session since the first refit, ordered by ticker, then session."""
    first = forecasts.ensembles[0]
    features = forecasts.features
    keep = np.flatnonzero(first.refit >= 0)
    keep = keep[np.lexsort((features.row[keep], features.column[keep]))]
    days = panel.sessions.astype("datetime64[s]")
    frame = {
        "ticker": pd.array(panel.tickers.astype(object), dtype="str").take(features.column[keep]),
        "session": days[features.row[keep]],
        "fitted_on": days[first.folds.refit[first.refit[keep]]] if len(keep) else days[:0],
    }
    for served in forecasts.served:
        for name in ("raw", "corrected", "lower", "upper", "hit_rate", "confidence"):
            frame[f"{name}_{served.horizon}"] = getattr(served, name)[keep]
    return pd.DataFrame(frame)


def _models(forecasts: Forecasts, sessions: np.ndarray) -> pd.DataFrame:
    """One row a refit, horizon and member."""
    frames = []
    for ensemble, served in zip(forecasts.ensembles, forecasts.served, strict=True):
        corrections = dict(served.corrections)
        fits = [corrections[int(row)] for row in ensemble.folds.refit]
        for m, member in enumerate(("timing", *MEMBERS)):
            which = 1 if m == 0 else 2
            frames.append(
                pd.DataFrame(
                    {
                        "session": sessions[ensemble.folds.refit].astype("datetime64[s]"),
                        "horizon": np.full(len(fits), ensemble.horizon, dtype=np.int32),
                        "member": np.full(len(fits), member, dtype=object),
                        "weight": ensemble.weights[:, m],
                        "past_r_squared": ensemble.past_r_squared[:, m],
                        "past_observations": ensemble.past_rows.astype(np.int64),
                        "premium_market": ensemble.mean[:, 0],
                        "premium_own": ensemble.mean[:, 1],
                        "bias": np.array([f.pooled[0] for f in fits], dtype=float),
                        "slope": np.array([f.pooled[which] for f in fits], dtype=float),
                        "slope_kept": np.array([f.believed[which] for f in fits], dtype=float),
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def _weights(models: pd.DataFrame) -> str:
    """Weights of the middle horizon's members over time."""
    one = models[models["horizon"] == HORIZONS[1]]
    if one.empty:
        return "no refit yet"
    series = {str(name): rows.set_index("session")["weight"] for name, rows in one.groupby("member")}
    return lines(series, f"Weights in the stacks, {HORIZONS[1]} sessions ahead", "weight")
