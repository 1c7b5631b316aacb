"""Betas to the market fund and to the fund's asset class, by several estimators."""

from collections.abc import Iterator

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.market.long import from_long_column, to_long
from etf_pipeline.core.risk import (
    BetaPanel,
    KalmanBetaPanel,
    class_return,
    dimson_beta,
    downside_beta,
    ewma_beta,
    hac_standard_error,
    kalman_beta,
    rolling_beta,
    shrunk_beta,
)
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_asset, table_out
from etf_pipeline.plots import band, lines
from etf_pipeline.storage.panels import ReturnPanel, column_of, read_classes, return_panel


@dg.multi_asset(
    outs={
        "beta": table_out("risk.beta", "Beta to the market fund by every estimator, with standard errors."),
        "kalman_fits": table_out("risk.kalman_fits", "Monthly variances of the random-walk beta."),
    },
    ins={
        "returns": dg.AssetIn(["market", "total_return"]),
        "sessions": dg.AssetIn(["market", "sessions"]),
    },
    deps=[dg.AssetKey(["raw", "listings"])],
    name="market_beta",
    pool="warehouse",
)
def market_beta(
    returns: pd.DataFrame, sessions: pd.DataFrame, pipeline: PipelineResource
) -> Iterator[dg.Output[pd.DataFrame]]:
    """Regress every fund on the market fund: rolling, weighted, random-walk, lagged, downside, shrunk, static."""
    panel, settings = return_panel(returns, sessions), pipeline.settings
    benchmark = settings.benchmark_ticker
    market = column_of(panel.tickers, benchmark)
    pair = (panel.total_return, panel.spanned, panel.total_return[:, market], panel.spanned[:, market])
    window = settings.windows.beta
    rolling = rolling_beta(*pair, window=window)
    robust = hac_standard_error(*pair, window=window)
    kalman = kalman_beta(*pair, month_starts(panel.sessions), window=settings.risk.kalman_window)
    dimson = dimson_beta(*pair, window=window)
    shrunk = shrunk_beta(rolling.beta, robust, read_classes(pipeline.warehouse, panel.tickers)[0])
    frame = to_long(
        panel.sessions,
        panel.tickers,
        np.isfinite(rolling.beta),
        **_regression(rolling, robust),
        ewma_beta=ewma_beta(*pair).beta,
        kalman_beta=kalman.beta,
        kalman_standard_error=kalman.standard_error,
        dimson_beta=dimson.beta,
        dimson_standard_error=dimson.standard_error,
        lagged_slope=dimson.slopes[1],
        downside_beta=downside_beta(*pair, window=window).beta,
        shrunk_beta=shrunk.beta,
        shrunk_standard_error=shrunk.standard_error,
        static_beta=ewma_beta(*pair, half_life=np.inf).beta,
    ).assign(benchmark=benchmark)
    plots = {
        "beta_over_time": band(
            frame.rename(columns={"beta": "value"}), f"Beta to {benchmark}, all funds", "ratio"
        ),
        "estimators_of_one_fund": _one_fund(frame, benchmark),
    }
    yield dg.Output(frame, "beta", metadata={k: dg.MetadataValue.md(v) for k, v in plots.items()})
    yield dg.Output(_fits(kalman, panel), "kalman_fits")


@table_asset(
    "risk.class_beta",
    reads={"returns": "market.total_return", "universe": "market.universe", "sessions": "market.sessions"},
    after=["raw.listings"],
)
def class_beta(
    returns: pd.DataFrame, universe: pd.DataFrame, sessions: pd.DataFrame, pipeline: PipelineResource
) -> pd.DataFrame:
    """Regress every fund on the mean return of the other members of its asset class."""
    panel, settings = return_panel(returns, sessions), pipeline.settings
    members = universe[universe["ticker"].isin(panel.tickers)]
    member = from_long_column(members, "is_member", panel.sessions, panel.tickers) == 1.0
    index, names, _ = read_classes(pipeline.warehouse, panel.tickers)
    benchmark = class_return(panel.total_return, panel.spanned, member, index)
    pair = (panel.total_return, panel.spanned, benchmark, (~np.isnan(benchmark)).astype(np.int64))
    rolling = rolling_beta(*pair, window=settings.windows.beta)
    kalman = kalman_beta(*pair, month_starts(panel.sessions), window=settings.risk.kalman_window)
    asset_class = np.array([*names, None], dtype=object)[index]
    return to_long(
        panel.sessions,
        panel.tickers,
        np.isfinite(rolling.beta),
        asset_class=asset_class[None, :],
        **_regression(rolling, hac_standard_error(*pair, window=settings.windows.beta)),
        ewma_beta=ewma_beta(*pair).beta,
        kalman_beta=kalman.beta,
        kalman_standard_error=kalman.standard_error,
        static_beta=ewma_beta(*pair, half_life=np.inf).beta,
    )


def _regression(rolling: BetaPanel, robust: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "beta": rolling.beta,
        "standard_error": rolling.standard_error,
        "hac_standard_error": robust,
        "correlation": rolling.correlation,
        "observations": rolling.observations,
    }


def _fits(kalman: KalmanBetaPanel, panel: ReturnPanel) -> pd.DataFrame:
    return to_long(
        panel.sessions[kalman.refit_rows],
        panel.tickers,
        np.isfinite(kalman.log_likelihood) & np.isfinite(kalman.state_variance),
        observation_variance=kalman.observation_variance,
        state_variance=kalman.state_variance,
        log_likelihood=kalman.log_likelihood,
        observations=kalman.observations,
    )


def _one_fund(frame: pd.DataFrame, benchmark: str) -> str:
    """The estimators side by side for the fund with the longest history that is not the benchmark."""
    others = frame[frame["ticker"] != benchmark]
    if others.empty:
        return "no values yet"
    ticker = others.groupby("ticker").size().idxmax()
    one = others[others["ticker"] == ticker].set_index("session")
    shown = {
        "least squares": "beta",
        "random walk": "kalman_beta",
        "weighted": "ewma_beta",
        "static": "static_beta",
    }
    return lines(
        {name: one[column] for name, column in shown.items()}, f"Beta of {ticker} to {benchmark}", "ratio"
    )
