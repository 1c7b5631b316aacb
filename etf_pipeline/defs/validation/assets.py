"""Forecasts judged by what followed: volatility, value at risk, hedges."""

from collections.abc import Iterator, Mapping

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.calendar import year_after
from etf_pipeline.core.market.long import from_long_column
from etf_pipeline.core.risk import class_return
from etf_pipeline.core.risk.garch import HORIZONS, MODELS
from etf_pipeline.core.risk.served_volatility import SHRUNK_EWMA
from etf_pipeline.core.risk.volatility import SESSIONS_A_YEAR
from etf_pipeline.core.validation.hedging import hedging_error, judge_hedges
from etf_pipeline.core.validation.value_at_risk import evaluate_value_at_risk
from etf_pipeline.core.validation.volatility_forecast import evaluate_volatility_forecasts, rolling_variance
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_asset, table_out
from etf_pipeline.plots import markdown_table
from etf_pipeline.storage.panels import ReturnPanel, column_of, read_classes, return_panel

TAIL_MODELS = {"served": "", "historical": "_historical", "student_t": "_student_t", "filtered": "_filtered"}
HEDGE_HORIZONS = (1, 5)
# As few returns as the served forecast needs: what it is held against exists from its first session on.
BASELINE_MIN_OBSERVATIONS = 21


def _long(columns: Mapping[str, np.ndarray], panel: ReturnPanel, **more: str) -> pd.DataFrame:
    """Columns of a judgement as a frame: funds by their ticker, the session on which a year's row was known."""
    frame = pd.DataFrame({name: values for name, values in columns.items() if name != "fund"})
    frame["ticker"] = pd.array(panel.tickers.astype(object), dtype="str").take(columns["fund"])
    if "session" not in frame:
        frame["session"] = year_after(panel.sessions, columns["year"])
    return frame.assign(**more)


@dg.multi_asset(
    outs={
        "volatility_losses": table_out(
            "validation.volatility_losses", "QLIKE and MSE of every volatility forecast, by fund and year."
        ),
        "volatility_tests": table_out(
            "validation.volatility_tests", "Diebold-Mariano tests of the forecasts against simple ones."
        ),
    },
    ins={
        "returns": dg.AssetIn(["market", "total_return"]),
        "volatility": dg.AssetIn(["risk", "volatility"]),
        "forecasts": dg.AssetIn(["risk", "volatility_forecasts"]),
        "sessions": dg.AssetIn(["market", "sessions"]),
    },
    name="volatility_judgement",
    pool="warehouse",
)
def volatility_judgement(
    returns: pd.DataFrame, volatility: pd.DataFrame, forecasts: pd.DataFrame, sessions: pd.DataFrame
) -> Iterator[dg.Output[pd.DataFrame]]:
    """Hold every forecast against the squared returns that followed it.

    Twice: where every GARCH model had a forecast, and where none had and the shrunk EWMA served instead.
    """
    panel = return_panel(returns, sessions)

    def column(frame: pd.DataFrame, name: str) -> np.ndarray:
        return from_long_column(frame, name, panel.sessions, panel.tickers)

    baselines = {
        "ewma": column(volatility, "ewma_annualised") ** 2 / SESSIONS_A_YEAR,
        **{
            f"rolling_{w}": rolling_variance(
                panel.total_return, panel.spanned, window=w, min_observations=BASELINE_MIN_OBSERVATIONS
            )
            for w in (63, 252)
        },
    }
    served = {1: "volatility_1_annualised", 5: "volatility_5_annualised", 21: "volatility_annualised"}
    fallen_back = volatility.assign(fallen_back=volatility["model"] == SHRUNK_EWMA)
    short = column(fallen_back, "fallen_back") == 1.0
    losses, tests = [], []
    for horizon in HORIZONS:
        ours = column(volatility, served[horizon]) ** 2 * (horizon / SESSIONS_A_YEAR)
        garch = {model: column(forecasts, f"{model}_variance_{horizon}") for model in MODELS}
        simple = {name: horizon * variance for name, variance in baselines.items()}
        for history, judged, made in (
            ("long", {"served": ours, **garch, **simple}, ~short),
            ("short", {SHRUNK_EWMA: ours, **simple}, short),
        ):
            result = evaluate_volatility_forecasts(
                panel.total_return, panel.spanned, panel.sessions, judged, horizon, made=made
            )
            losses.append(_long(result.losses, panel, history=history))
            tests.append(_long(result.tests, panel, history=history))
    table = pd.concat(tests, ignore_index=True)
    yield dg.Output(pd.concat(losses, ignore_index=True), "volatility_losses")
    yield dg.Output(
        table,
        "volatility_tests",
        metadata={"share_of_funds_better_to_date": dg.MetadataValue.md(markdown_table(_wins(table)))},
    )


def _wins(tests: pd.DataFrame) -> pd.DataFrame:
    """Share of the funds whose forecasts differ, to the newest year's end, with a QLIKE below the baseline's."""
    newest = tests[(tests["scope"] == "to_date") & (tests["year"] == tests["year"].max())]
    known = newest[newest["qlike_difference"].notna() & (newest["qlike_difference"] != 0)]
    keys = [known[name] for name in ("history", "horizon", "model", "baseline")]
    better = (known["qlike_difference"] < 0).groupby(keys)
    return better.mean().unstack("baseline").reset_index()  # noqa: PD010


@dg.multi_asset(
    outs={
        "value_at_risk": table_out(
            "validation.value_at_risk",
            "Coverage, clustering and severity of the exceptions, by fund and year.",
        ),
        "value_at_risk_exceptions": table_out(
            "validation.value_at_risk_exceptions", "Every exception of the served value at risk."
        ),
    },
    ins={
        "returns": dg.AssetIn(["market", "total_return"]),
        "tail": dg.AssetIn(["risk", "tail"]),
        "sessions": dg.AssetIn(["market", "sessions"]),
    },
    name="tail_judgement",
    pool="warehouse",
)
def tail_judgement(
    returns: pd.DataFrame, tail: pd.DataFrame, sessions: pd.DataFrame
) -> Iterator[dg.Output[pd.DataFrame]]:
    """Hold every return against the value at risk forecast at the close before."""
    panel = return_panel(returns, sessions)
    coverage, exceptions = [], pd.DataFrame()
    for model, ending in TAIL_MODELS.items():
        forecasts = {
            level / 100: tuple(
                from_long_column(tail, f"{measure}_{level}{ending}", panel.sessions, panel.tickers)
                for measure in ("var", "cvar")
            )
            for level in (95, 99)
        }
        result = evaluate_value_at_risk(panel.total_return, panel.spanned, panel.sessions, forecasts)  # type: ignore[arg-type]
        coverage.append(
            _long(result.coverage, panel, model=model).rename(
                columns={"z1": "z1_statistic", "z2": "z2_statistic"}
            )
        )
        if model == "served":
            exceptions = _long(result.exceptions, panel).drop(columns="row")
    table = pd.concat(coverage, ignore_index=True)
    yield dg.Output(
        table,
        "value_at_risk",
        metadata={"coverage_to_date": dg.MetadataValue.md(markdown_table(_coverage(table)))},
    )
    yield dg.Output(exceptions, "value_at_risk_exceptions")


def _coverage(table: pd.DataFrame) -> pd.DataFrame:
    """Exception rates to the newest year's end, and the share of funds within Kupiec's band."""
    newest = table[(table["scope"] == "to_date") & (table["year"] == table["year"].max())]
    newest = newest[newest["observations"] >= 250]
    inside = newest["exceptions"].between(newest["lowest_accepted"], newest["highest_accepted"])
    grouped = newest.assign(inside=inside).groupby(["model", "level"])
    rate = grouped["exceptions"].sum() / grouped["observations"].sum()
    return pd.DataFrame(
        {"funds": grouped.size(), "exception_rate": rate, "share_within_band": grouped["inside"].mean()}
    ).reset_index()


@table_asset(
    "validation.hedging",
    reads={
        "returns": "market.total_return",
        "universe": "market.universe",
        "beta": "risk.beta",
        "class_beta": "risk.class_beta",
        "sessions": "market.sessions",
    },
    after=["raw.listings"],
)
def hedging(
    returns: pd.DataFrame,
    universe: pd.DataFrame,
    beta: pd.DataFrame,
    class_beta: pd.DataFrame,
    sessions: pd.DataFrame,
    pipeline: PipelineResource,
) -> dg.Output[pd.DataFrame]:
    """Out-of-sample hedging errors of every beta, against the static one's."""
    panel = return_panel(returns, sessions)
    market = column_of(panel.tickers, pipeline.settings.benchmark_ticker)
    members = universe[universe["ticker"].isin(panel.tickers)]
    peers = class_return(
        panel.total_return,
        panel.spanned,
        from_long_column(members, "is_member", panel.sessions, panel.tickers) == 1.0,
        read_classes(pipeline.warehouse, panel.tickers)[0],
    )
    estimators = {"static": "static_beta", "rolling": "beta", "ewma": "ewma_beta", "kalman": "kalman_beta"}
    lagged = {"dimson": "dimson_beta", "shrunk": "shrunk_beta"}
    judged = (
        ("market", beta, estimators | lagged, panel.total_return[:, market], panel.spanned[:, market]),
        ("asset_class", class_beta, estimators, peers, (~np.isnan(peers)).astype(np.int64)),
    )
    frames = []
    for benchmark, table, columns, series, spanned in judged:
        betas = {
            name: from_long_column(table, column, panel.sessions, panel.tickers)
            for name, column in columns.items()
        }
        for horizon in HEDGE_HORIZONS:
            errors = {
                name: hedging_error(
                    panel.total_return, panel.spanned, series, spanned, values, horizon=horizon
                )
                for name, values in betas.items()
            }
            frames.append(
                _long(judge_hedges(errors, panel.sessions, horizon=horizon), panel, benchmark=benchmark)
            )
    frame = pd.concat(frames, ignore_index=True)
    newest = frame[(frame["scope"] == "to_date") & (frame["year"] == frame["year"].max())]
    medians = newest.groupby(["benchmark", "horizon", "estimator"])["ratio_to_static"].median().reset_index()
    return dg.Output(
        frame, metadata={"median_ratio_to_static_to_date": dg.MetadataValue.md(markdown_table(medians))}
    )
