"""What funds' returns load on: at every close, and at months' ends with robust errors."""

from collections.abc import Iterator
from dataclasses import replace

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.attribution.explained import Explained
from etf_pipeline.core.attribution.factor_regression import FactorRegression
from etf_pipeline.core.attribution.period_ends import period_ends
from etf_pipeline.core.attribution.rolling_exposure import RollingExposure
from etf_pipeline.core.attribution.shrinkage import ShrunkLoadings, shrunk_loadings
from etf_pipeline.core.attribution.style_analysis import style_at
from etf_pipeline.core.market.long import from_long_column, to_long
from etf_pipeline.core.risk import class_return
from etf_pipeline.core.validation.performance import SESSIONS_A_YEAR
from etf_pipeline.defs.attribution.models import (
    MONTHLY_OBSERVATIONS,
    MONTHLY_WINDOW,
    Reference,
    factor_models,
    monthly_models,
)
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_asset, table_out
from etf_pipeline.defs.validation.backtest import together
from etf_pipeline.plots import markdown_table
from etf_pipeline.storage.contracts.attribution import LOADINGS
from etf_pipeline.storage.panels import ReturnPanel, read_classes, return_panel

LIBRARY = [dg.AssetKey(["raw", name]) for name in ("factor_returns", "reference_series", "listings")]
MIXED = "multi_asset"
MOST_STYLES = 5


@dg.multi_asset(
    outs={
        "factor_exposure": table_out(
            "attribution.factor_exposure", "What each fund loads on at months' ends, with robust errors."
        ),
        "rolling_exposure": table_out(
            "attribution.rolling_exposure", "What each fund loads on at every close."
        ),
    },
    ins={"returns": dg.AssetIn(["market", "total_return"]), "sessions": dg.AssetIn(["market", "sessions"])},
    deps=LIBRARY,
    name="factor_exposures",
    pool="warehouse",
)
def factor_exposures(
    returns: pd.DataFrame, sessions: pd.DataFrame, pipeline: PipelineResource
) -> Iterator[dg.Output[pd.DataFrame]]:
    """Regress every fund on its asset class's factor model and on the house's own factors."""
    panel, settings = return_panel(returns, sessions), pipeline.settings.attribution
    models, main, cash = factor_models(pipeline, panel)
    classes = read_classes(pipeline.warehouse, panel.tickers)[0]
    ends = period_ends(panel.sessions, pipeline.settings.market)
    long, wide = [], []
    for one in models:
        is_main = main.get(one.model.name, np.zeros(panel.total_return.shape, dtype=bool))[:, one.funds]
        wide.append(_wide(one, one.rolling(settings.window, settings.min_observations), panel, is_main))
        for span, window in (("rolling", settings.window), ("to_date", None)):
            found = one.regression(ends, window, settings.min_observations)
            if found is not None:
                drawn = shrunk_loadings(found.loading, found.standard_error, classes[one.funds])
                long.append(_long(one, found, drawn, ends, span, panel, is_main, pipeline.settings.market))
    months = replace(panel, sessions=panel.sessions[ends])
    for one in monthly_models(pipeline, panel, ends, main):
        for span, window in (("rolling", MONTHLY_WINDOW), ("to_date", None)):
            found = one.regression(np.arange(len(ends)), window, MONTHLY_OBSERVATIONS)
            if found is not None:
                drawn = shrunk_loadings(found.loading, found.standard_error, classes[one.funds])
                no = np.zeros((len(ends), len(one.funds)), dtype=bool)
                long.append(
                    _long(one, found, drawn, np.arange(len(ends)), span, months, no, pipeline.settings.market)
                )
    exposure = together(long, "attribution.factor_exposure")
    newest = exposure[
        (exposure["session"] == exposure["session"].max())
        & exposure["is_main"]
        & (exposure["span"] == "rolling")
    ]
    medians = newest.groupby(["model", "factor"])[["loading", "t_value", "r_squared"]].median()
    yield dg.Output(
        exposure,
        "factor_exposure",
        metadata={
            "simulated": pipeline.source.simulated,
            "cash_rate": cash,
            "models": ", ".join(one.model.name for one in models),
            "newest": dg.MetadataValue.md(markdown_table(medians.reset_index())),
        },
    )
    yield dg.Output(together(wide, "attribution.rolling_exposure"), "rolling_exposure")


def _wide(one: Explained, found: RollingExposure, panel: ReturnPanel, is_main: np.ndarray) -> pd.DataFrame:
    nothing = np.full(found.alpha.shape, np.nan)
    at = {name: k for k, name in enumerate(one.model.factors)}
    return to_long(
        panel.sessions,
        panel.tickers[one.funds],
        found.reason == 0,
        model=np.array(one.model.name, dtype=object),
        is_main=is_main,
        **{name: found.loading[..., at[name]] if name in at else nothing for name in LOADINGS},
        alpha_annualised=SESSIONS_A_YEAR / one.return_sessions * found.alpha,
        r_squared=found.r_squared,
        residual_volatility_annualised=np.sqrt(
            SESSIONS_A_YEAR / one.return_sessions * found.residual_variance
        ),
        observations=found.observations,
    )


def _long(
    one: Explained,
    found: FactorRegression,
    drawn: ShrunkLoadings,
    ends: np.ndarray,
    span: str,
    panel: ReturnPanel,
    is_main: np.ndarray,
    market: str,
) -> pd.DataFrame:
    year = SESSIONS_A_YEAR / one.return_sessions
    start = panel.sessions[np.maximum(found.window_start, 0)].astype("datetime64[s]")
    frames = []
    for k, name in enumerate(one.model.factors):
        frames.append(
            to_long(
                panel.sessions[ends],
                panel.tickers[one.funds],
                np.isfinite(found.loading[..., k]),
                model=np.array(one.model.name, dtype=object),
                span=np.array(span, dtype=object),
                factor=np.array(name, dtype=object),
                is_main=is_main[ends],
                loading=found.loading[..., k],
                standard_error=found.standard_error[..., k],
                t_value=found.t_value[..., k],
                shrunk_loading=drawn.loading[..., k],
                shrunk_error=drawn.standard_deviation[..., k],
                own_weight=drawn.own_weight[..., k],
                alpha_annualised=year * found.alpha,
                alpha_t_value=found.alpha_t,
                r_squared=found.r_squared,
                residual_volatility_annualised=np.sqrt(year * found.residual_variance),
                observations=found.observations,
                window_start=start,
                return_sessions=np.array(one.return_sessions, dtype=np.int32),
                lag_days=np.array(one.model.lag_days[market], dtype=np.int32),
                converted=np.array(one.converted),
                factors_known_at=one.known_at[ends][:, None],
            )
        )
    return together(frames, "attribution.factor_exposure")


@table_asset(
    "attribution.style_weights",
    reads={"returns": "market.total_return", "sessions": "market.sessions", "universe": "market.universe"},
    after=["raw.reference_series", "raw.listings"],
)
def style_weights(
    returns: pd.DataFrame, sessions: pd.DataFrame, universe: pd.DataFrame, pipeline: PipelineResource
) -> dg.Output[pd.DataFrame]:
    """Find the mix of asset classes that each multi-asset fund has moved like over the year."""
    panel, settings = return_panel(returns, sessions), pipeline.settings.attribution
    index, names, _ = read_classes(pipeline.warehouse, panel.tickers)
    quoted = universe[universe["ticker"].isin(panel.tickers)]
    member = from_long_column(quoted, "is_member", panel.sessions, panel.tickers) == 1.0
    styles, level = _styles(panel, member, index, names, pipeline)
    ends = period_ends(panel.sessions, pipeline.settings.market, 3)
    frames = []
    for column in np.flatnonzero(index == list(names).index(MIXED)) if MIXED in names else ():
        own = np.where(panel.spanned[:, column] == 1, panel.total_return[:, column], np.nan)
        for end in ends:
            first = max(0, end - settings.window + 1)
            # A class that was too small for a mean at some time of the window is no style of it.
            usable = np.flatnonzero(np.isfinite(level[first : end + 1]).mean(axis=0) > 0.95)
            if len(usable) < 2 or not np.isfinite(own[end - 5 : end + 1]).any():
                continue
            fit = style_at(
                own, level[:, usable], np.array([end]), window=settings.window, max_indices=MOST_STYLES, criterion="bic",
                min_observations=settings.min_observations,
            )[0]  # fmt: skip
            if np.isnan(fit.r_squared):  # a fund that did not move is like nothing
                continue
            chosen = np.flatnonzero(np.nan_to_num(fit.weight) > 0)
            frames.append(
                pd.DataFrame(
                    {
                        "ticker": panel.tickers[column],
                        "session": panel.sessions[end].astype("datetime64[s]"),
                        "style": [styles[usable[k]] for k in chosen],
                        "weight": fit.weight[chosen],
                        "standard_error": fit.standard_error[chosen],
                        "r_squared": fit.r_squared,
                        "observations": fit.observations,
                    }
                )
            )
    frame = together(frames, "attribution.style_weights")
    newest = frame[frame["session"] == frame["session"].max()]
    return dg.Output(
        frame, metadata={"newest": dg.MetadataValue.md(markdown_table(newest.drop(columns="session")))}
    )


def _styles(
    panel: ReturnPanel, member: np.ndarray, index: np.ndarray, names: np.ndarray, pipeline: PipelineResource
) -> tuple[list[str], np.ndarray]:
    """Names and (S, K) returns of the asset classes and of cash."""
    found, columns = [], []
    for number, name in enumerate(names):
        if name in (MIXED, "leveraged_inverse", "cash"):
            continue
        # A column of no fund, in the class: the mean of all of its members.
        extended = np.append(panel.total_return, np.full((len(panel.sessions), 1), np.nan), axis=1)
        mean = class_return(
            extended,
            np.append(panel.spanned, np.zeros((len(panel.sessions), 1), dtype=np.int64), axis=1),
            np.append(member, np.zeros((len(panel.sessions), 1), dtype=bool), axis=1),
            np.append(np.where(index == number, 0, -1), 0),
            min_funds=2,
        )[:, -1]
        found.append(str(name))
        columns.append(mean)
    rate, _ = Reference(pipeline, panel.sessions).cash_rate()
    days = np.diff(panel.sessions.astype("datetime64[D]")).astype(np.int64)
    found.append("cash_rate")
    columns.append(np.concatenate([[np.nan], rate[:-1] / 100.0 * days / 365.0]))
    return found, np.column_stack(columns)
