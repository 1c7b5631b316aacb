"""Why the accounts moved: their returns by factor, session by session and year by year, and what their risk is made of."""

from collections.abc import Iterator, Mapping

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.attribution.explained import Explained
from etf_pipeline.core.attribution.period_ends import period_ends
from etf_pipeline.core.attribution.return_attribution import attribute_return, link_contributions
from etf_pipeline.core.attribution.risk_contribution import risk_contribution
from etf_pipeline.core.attribution.rolling_exposure import RollingExposure
from etf_pipeline.core.market.calendar import year_after
from etf_pipeline.core.market.long import from_long_column
from etf_pipeline.core.validation.backtest import Account, backtest
from etf_pipeline.core.validation.performance import SESSIONS_A_YEAR
from etf_pipeline.core.validation.periods import complete_years
from etf_pipeline.defs.attribution.models import PORTFOLIO_MODEL, Library
from etf_pipeline.defs.resources import Pipeline, PipelineResource
from etf_pipeline.defs.table_asset import table_out
from etf_pipeline.defs.validation.backtest import strategy_orders, together
from etf_pipeline.defs.validation.trading import Trading, trading
from etf_pipeline.plots import markdown_table
from etf_pipeline.storage.panels import ReturnPanel

TRADED = {
    "bars": "market.bars",
    "sessions": "market.sessions",
    "universe": "market.universe",
    "liquidity": "risk.liquidity",
    "volatility": "risk.volatility",
    "ranking": "scoring.composite_ranking",
    "returns": "market.total_return",
}
COSTS = ("spread_cost", "impact_cost", "haircut")
"""Items of the account that take from it."""


def held_weights(account: Account, shape: tuple[int, int]) -> np.ndarray:
    """(S, N) shares of the account at each close, 0 where a fund is not held; for an account written on all sessions."""
    out = np.zeros(shape)
    row, fund, _, value = account.holdings.T
    at = row.astype(np.int64)
    out[at, fund.astype(np.int64)] = value / account.item("end")[at - account.first]
    return out


def traded_accounts(
    frames: Mapping[str, pd.DataFrame], pipeline: Pipeline
) -> tuple[Trading, ReturnPanel, dict[str, Account]]:
    """The accounts of the backtest with their holdings at every close, and returns on the same axes."""
    made = trading(
        frames["bars"],
        frames["sessions"],
        frames["universe"],
        frames["liquidity"],
        frames["volatility"],
        pipeline,
    )
    axis, tickers = made.market.sessions, made.market.tickers
    ranking, returns = frames["ranking"], frames["returns"]
    rank = np.nan_to_num(from_long_column(ranking, "rank", axis, tickers)).astype(np.int64)
    size = from_long_column(ranking, "position_size", axis, tickers)
    wanted = strategy_orders(rank, size, made, pipeline.settings.backtest, pipeline.settings.benchmark_ticker)
    accounts = {
        name: backtest(made.market, orders, made.rules, holdings_on=np.arange(len(axis)))
        for name, orders in wanted.items()
        if len(orders.executed)
    }
    known = returns[returns["ticker"].isin(tickers)]
    spanned = np.nan_to_num(from_long_column(known, "sessions_spanned", axis, tickers)).astype(np.int64)
    panel = ReturnPanel(axis, tickers, from_long_column(known, "total_return", axis, tickers), spanned)
    return made, panel, accounts


@dg.multi_asset(
    outs={
        "return_attribution": table_out(
            "attribution.return_attribution", "Each session's return of the accounts, by factor."
        ),
        "annual_attribution": table_out(
            "attribution.annual_attribution", "Each year's return of the accounts, by factor."
        ),
        "portfolio_risk": table_out("attribution.portfolio_risk", "The accounts' volatility, by factor."),
    },
    ins={name: dg.AssetIn(table.split(".")) for name, table in TRADED.items()},
    deps=[
        *(dg.AssetKey(["raw", name]) for name in ("factor_returns", "reference_series")),
        # The books that the parts are checked against.
        dg.AssetKey(["validation", "backtest_daily"]),
    ],
    name="portfolio_attribution",
    pool="warehouse",
)
def portfolio_attribution(
    pipeline: PipelineResource, **frames: pd.DataFrame
) -> Iterator[dg.Output[pd.DataFrame]]:
    """Explain each session by the holdings and exposures of the close before it."""
    made, panel, accounts = traded_accounts(frames, pipeline)
    settings = pipeline.settings.attribution
    months = period_ends(panel.sessions, pipeline.settings.market)
    daily, annual, risk = [], [], []
    for one in _models(pipeline, panel):
        found = one.rolling(settings.window, settings.min_observations)
        covariances = _covariances(one, months)
        for strategy, account in accounts.items():
            label = {"strategy": strategy, "model": one.model.name}
            weight = held_weights(account, panel.total_return.shape)
            parts, rows = _by_part(one, found, account, weight, panel)
            daily.append(_daily(parts, rows, panel.sessions).assign(**label))
            annual.append(_annual(parts, rows, account, made.covered, panel.sessions).assign(**label))
            since = {row: both for row, both in covariances.items() if row >= account.first}
            risk.append(_risk(one, found, weight, since, panel.sessions).assign(**label))
    yield dg.Output(together(daily, "attribution.return_attribution"), "return_attribution")
    by_year = together(annual, "attribution.annual_attribution")
    shown = by_year[(by_year["strategy"] == "top_ranked") & (by_year["model"] == "house")]
    wide = shown.pivot_table(index="year", columns="part", values="contribution").reset_index()
    yield dg.Output(
        by_year, "annual_attribution", metadata={"by_year": dg.MetadataValue.md(markdown_table(wide))}
    )
    yield dg.Output(together(risk, "attribution.portfolio_risk"), "portfolio_risk")


def _models(pipeline: Pipeline, panel: ReturnPanel) -> list[Explained]:
    library = Library(pipeline, panel)
    published = library.published(PORTFOLIO_MODEL[pipeline.settings.market], np.arange(len(panel.tickers)))
    return [library.house()] + ([published] if published is not None else [])


def _by_part(
    one: Explained, found: RollingExposure, account: Account, weight: np.ndarray, panel: ReturnPanel
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Contributions by part, each (S,), which sum to the net return, and (S,) bool, the sessions of account and model."""
    size = len(panel.sessions)
    start = np.concatenate([np.full(account.first, np.nan), account.item("start")])

    def share(item: str) -> np.ndarray:
        return np.nan_to_num(np.concatenate([np.zeros(account.first), account.item(item)]) / start)

    # A factor that is no part of the model at the close before, or has no value, explains nothing; the others stand.
    # With none of them known the whole return stays unexplained.
    before = np.vstack([np.zeros((1, one.available.shape[1]), dtype=bool), one.available[:-1]])
    told = before & ~np.isnan(one.single.value[0])
    value = np.where(told, one.single.value[0], 0.0)
    value[~told.any(axis=1)] = np.nan
    net = np.concatenate([np.full(account.first, np.nan), account.net_return])
    result = attribute_return(
        np.where(np.isnan(net), 0.0, net),
        weight,
        panel.total_return,
        one.single_excess,
        one.single.risk_free[0],
        np.where(one.available[:, None, :], found.loading, 0.0),
        # Last year's constant is no reason why anything moved: it stays with what is specific.
        np.zeros(weight.shape),
        value,
        {"interest": share("interest"), **{name: -share(name) for name in COSTS}},
    )
    rows = one.alive & (np.arange(size) >= max(account.first, 1))
    parts = result.contributions(one.model.factors)
    return {name: part for name, part in parts.items() if name != "alpha"}, rows


def _daily(parts: Mapping[str, np.ndarray], rows: np.ndarray, sessions: np.ndarray) -> pd.DataFrame:
    at = np.flatnonzero(rows)
    return pd.DataFrame(
        {
            "session": np.tile(sessions[at].astype("datetime64[s]"), len(parts)),
            "part": np.repeat(np.array(list(parts), dtype=object), len(at)),
            "contribution": np.concatenate([part[at] for part in parts.values()]),
        }
    )


def _annual(
    parts: Mapping[str, np.ndarray],
    rows: np.ndarray,
    account: Account,
    covered: np.ndarray,
    sessions: np.ndarray,
) -> pd.DataFrame:
    """Complete years of which the model explains all covered sessions, in the account's first from its first trade on."""
    frames = []
    years = complete_years(sessions)
    for year, first, stop in zip(years.year, years.begin, years.end, strict=True):
        at = np.arange(max(int(first), account.first, 1), int(stop))
        at = at[covered[at]]
        if not len(at) or not rows[at].all():
            continue
        table = np.column_stack([part[at] for part in parts.values()])
        linked = link_contributions(table, account.net_return[at - account.first])
        frames.append(pd.DataFrame({"year": year, "part": list(parts), "contribution": linked}))
    if not frames:
        return together([], "attribution.annual_attribution")
    frame = pd.concat(frames, ignore_index=True)
    return frame.assign(session=year_after(sessions, frame["year"].to_numpy()))


def _covariances(one: Explained, rows: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Factors known and their covariance at those of the rows where the model explains anything."""
    return {int(row): one.covariance(int(row)) for row in rows[one.alive[rows]]}


def _risk(
    one: Explained,
    found: RollingExposure,
    weight: np.ndarray,
    covariances: Mapping[int, tuple[np.ndarray, np.ndarray]],
    sessions: np.ndarray,
) -> pd.DataFrame:
    """Volatility by part at the rows of ``covariances``, as the factors and residuals known there have it."""
    frames = []
    for row, (known, covariance) in covariances.items():
        # Funds that are held, and no others: sums over them then do not depend on who is listed later.
        held = np.flatnonzero(weight[row])
        if not len(held) or np.isnan(covariance).any():
            continue
        split = risk_contribution(
            weight[row, held],
            found.loading[row][np.ix_(held, known)],
            covariance,
            found.residual_variance[row, held] / one.return_sessions,
        )
        year = np.sqrt(SESSIONS_A_YEAR)
        variance = split.variance if split.variance > 0 else np.nan
        frames.append(
            pd.DataFrame(
                {
                    "session": sessions[row].astype("datetime64[s]"),
                    "part": [*(one.model.factors[k] for k in known), "specific"],
                    "exposure": [*split.exposure, np.nan],
                    "volatility_annualised": [
                        *(year * split.factor_volatility),
                        year * split.specific_volatility,
                    ],
                    "share_of_variance": [
                        *(split.factor_variance / variance),
                        split.specific_variance / variance,
                    ],
                    "unexplained_weight": split.unexplained_weight,
                }
            )
        )
    return pd.concat(frames, ignore_index=True) if frames else together([], "attribution.portfolio_risk")
