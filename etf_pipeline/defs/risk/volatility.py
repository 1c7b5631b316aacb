"""Volatility: every model's forecast, the fits behind it, the one to use, and the ranges' estimates."""

from collections.abc import Iterator

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.long import to_long
from etf_pipeline.core.risk import ewma_volatility, range_volatility, served_volatility, walk_forward
from etf_pipeline.core.risk.garch import HORIZONS, GarchHistory
from etf_pipeline.core.risk.garch.likelihood import PARAMETERS
from etf_pipeline.core.risk.volatility import SESSIONS_A_YEAR
from etf_pipeline.core.validation.volatility_forecast import rolling_variance
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_asset, table_out
from etf_pipeline.plots import band, bars, cone
from etf_pipeline.storage.panels import (
    ReturnPanel,
    panel_axes,
    price_panels,
    read_classes,
    return_panel,
)

CONE_WINDOWS = (10, 21, 63, 126, 252)


@dg.multi_asset(
    outs={
        "volatility": table_out(
            "risk.volatility", "The volatility forecast to use, and which model made it."
        ),
        "volatility_forecasts": table_out("risk.volatility_forecasts", "What every model forecast."),
        "garch_fits": table_out("risk.garch_fits", "Every model's monthly fit to every fund."),
    },
    ins={
        "returns": dg.AssetIn(["market", "total_return"]),
        "sessions": dg.AssetIn(["market", "sessions"]),
    },
    deps=[dg.AssetKey(["raw", "listings"])],
    name="volatility_models",
    pool="warehouse",
)
def volatility_models(
    returns: pd.DataFrame, sessions: pd.DataFrame, pipeline: PipelineResource
) -> Iterator[dg.Output[pd.DataFrame]]:
    """Refit six GARCH models to every fund every month on the past, forecast daily, choose by past data alone."""
    panel, settings = return_panel(returns, sessions), pipeline.settings
    rules = settings.risk
    history = walk_forward(
        panel.total_return,
        panel.spanned,
        panel.sessions,
        mean=rules.garch_mean,
        window=rules.garch_window,
        min_observations=rules.garch_min_observations,
        start=rules.garch_start,
        criterion=rules.garch_criterion,
    )
    ewma = ewma_volatility(
        panel.total_return,
        panel.spanned,
        half_life=float(settings.windows.volatility_half_life),
        min_observations=21,
    )
    served = served_volatility(
        history,
        ewma.volatility_annualised**2 / SESSIONS_A_YEAR,
        ewma.observations,
        panel.spanned,
        read_classes(pipeline.warehouse, panel.tickers)[0],
    )
    where = np.isfinite(served.variance[0])
    volatility = to_long(
        panel.sessions,
        panel.tickers,
        where,
        volatility_annualised=served.annualised(21),
        volatility_1_annualised=served.annualised(1),
        volatility_5_annualised=served.annualised(5),
        ewma_annualised=ewma.volatility_annualised,
        model=served.model,
    )
    yield dg.Output(
        volatility, "volatility", metadata=_metadata(volatility, panel, settings.benchmark_ticker)
    )
    yield dg.Output(_forecasts(history, panel), "volatility_forecasts")
    fits = _fits(history, panel)
    shares = fits[fits["chosen"]].groupby("model").size()
    yield dg.Output(
        fits,
        "garch_fits",
        metadata={
            "chosen_models": dg.MetadataValue.md(
                bars(shares, "Refits that chose each model", "refits") if len(shares) else "none"
            ),
            "not_converged": int((~fits["converged"]).sum()),
        },
    )


def _forecasts(history: GarchHistory, panel: ReturnPanel) -> pd.DataFrame:
    columns = {
        f"{model}_variance_{horizon}": history.variance[h, m]
        for m, model in enumerate(history.models)
        for h, horizon in enumerate(HORIZONS)
    }
    return to_long(panel.sessions, panel.tickers, np.isfinite(history.variance[0]).any(axis=0), **columns)


def _fits(history: GarchHistory, panel: ReturnPanel) -> pd.DataFrame:
    days = panel.sessions[history.refit_rows]
    frames = []
    for m, model in enumerate(history.models):
        value = {name: history.parameters[:, :, m, i] for i, name in enumerate(PARAMETERS)}
        exponential = model.startswith("egarch")
        news = 0.0 if exponential else value["alpha"] + 0.5 * value["gamma"]
        value["nu"] = value["nu"] if model.endswith("_t") else np.full(value["nu"].shape, np.nan)
        frames.append(
            to_long(
                days,
                panel.tickers,
                np.isfinite(history.log_likelihood[:, :, m]),
                chosen=history.chosen == m,
                **value,
                persistence=news + value["beta"],
                log_likelihood=history.log_likelihood[:, :, m],
                observations=history.observations,
                converged=history.converged[:, :, m],
                fresh=history.fresh,
            ).assign(model=model)
        )
    return pd.concat(frames, ignore_index=True)


def _metadata(frame: pd.DataFrame, panel: ReturnPanel, benchmark: str) -> dict[str, dg.MetadataValue]:
    plots: dict[str, dg.MetadataValue] = {
        "volatility_over_time": dg.MetadataValue.md(
            band(
                frame.rename(columns={"volatility_annualised": "value"}),
                "Annualised volatility forecast, all funds",
                "fraction a year",
            )
        )
    }
    at = np.flatnonzero(panel.tickers == benchmark)
    if len(at):
        one, spanned = panel.total_return[:, at], panel.spanned[:, at]
        history = {
            w: np.sqrt(
                SESSIONS_A_YEAR
                * rolling_variance(one, spanned, window=w, min_observations=max(5, w // 2))[:, 0]
            )
            for w in CONE_WINDOWS
        }
        plots["volatility_cone"] = dg.MetadataValue.md(
            cone(history, {w: newest(v) for w, v in history.items()}, f"Volatility cone of {benchmark}")
        )
    return plots


def newest(values: np.ndarray) -> float:
    """The last value there is, NaN without any: the market's last session may not be the fund's."""
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else float("nan")


@table_asset("risk.range_volatility", reads={"bars": "market.bars", "sessions": "market.sessions"})
def range_volatility_table(bars: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    """Parkinson, Garman-Klass and Yang-Zhang volatility from daily ranges."""
    axis, tickers = panel_axes(sessions, bars)
    prices = price_panels(bars, axis, tickers)
    panel = range_volatility(**prices, basis=bars["basis"].iloc[0])
    some = np.isfinite(panel.yang_zhang_annualised) | np.isfinite(panel.parkinson_annualised)
    return to_long(
        axis,
        tickers,
        some,
        parkinson_annualised=panel.parkinson_annualised,
        garman_klass_annualised=panel.garman_klass_annualised,
        yang_zhang_annualised=panel.yang_zhang_annualised,
        observations=panel.observations,
    )
