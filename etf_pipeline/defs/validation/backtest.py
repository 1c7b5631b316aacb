"""What the ranking would have earned, day by day, beside the market fund, the whole universe and chance."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.calendar import year_after
from etf_pipeline.core.market.long import from_long_column
from etf_pipeline.core.validation.annual_performance import annual_return, annual_sharpe, scopes
from etf_pipeline.core.validation.backtest import (
    ITEMS,
    TRADE_KINDS,
    Account,
    Orders,
    backtest,
    best_ranked,
    every,
    month_ends,
    orders,
)
from etf_pipeline.core.validation.performance import MIN_SESSIONS, performance
from etf_pipeline.core.validation.periods import SCOPES, complete_years
from etf_pipeline.core.validation.random_portfolios import random_portfolios
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_out
from etf_pipeline.defs.validation.trading import Trading, trading
from etf_pipeline.plots import lines, markdown_table
from etf_pipeline.settings import Backtest
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline.storage.panels import column_of

CAPITALS = (1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
STRATEGIES = ("top_ranked", "top_ranked_sized")
BASELINES = ("benchmark", "equal_weight")


def strategy_orders(
    rank: np.ndarray, size: np.ndarray, made: Trading, settings: Backtest, benchmark: str
) -> dict[str, Orders]:
    """Orders of every strategy and of what it is held against, all from the first session with enough ranked funds.

    Parameters
    ----------
    rank : (S, N), 0 where not ranked; size : (S, N) position sizes.
    """
    sessions = made.market.sessions
    rows = every(sessions, settings.months)
    rows = rows[(rank[rows] > 0).sum(axis=1) >= settings.top]
    top, keep, delay = settings.top, settings.keep, settings.delay
    # The market fund is bought anew each month too, or its distributions would lie idle for ever.
    market_fund = (np.array([column_of(made.market.tickers, benchmark)]), np.ones(1))
    monthly = month_ends(sessions)
    monthly = monthly[monthly >= rows[0]] if len(rows) else monthly[:0]
    members = [np.flatnonzero(made.member[row]) for row in monthly]
    everyone = [(own, np.full(len(own), 1.0 / max(1, len(own)))) for own in members]
    return {
        "top_ranked": best_ranked(rank, rows, top=top, keep=keep, delay=delay),
        "top_ranked_sized": best_ranked(rank, rows, top=top, keep=keep, weight=size, delay=delay),
        "benchmark": orders(monthly, [market_fund] * len(monthly), len(sessions), delay=delay),
        "equal_weight": orders(monthly, everyone, len(sessions), delay=delay),
    }


@dg.multi_asset(
    outs={
        "backtest_daily": table_out("validation.backtest_daily", "The account of each strategy, day by day."),
        "backtest_trades": table_out("validation.backtest_trades", "Every trade of the accounts."),
        "backtest_holdings": table_out("validation.backtest_holdings", "What the accounts held."),
        "backtest_summary": table_out(
            "validation.backtest_summary", "What the accounts earned, risked and paid."
        ),
        "random_portfolios": table_out("validation.random_portfolios", "The strategies beside chance."),
        "capacity": table_out("validation.capacity", "What is left of the return of larger accounts."),
    },
    ins={
        name: dg.AssetIn(table.split("."))
        for name, table in {
            "bars": "market.bars",
            "sessions": "market.sessions",
            "universe": "market.universe",
            "liquidity": "risk.liquidity",
            "volatility": "risk.volatility",
            "ranking": "scoring.composite_ranking",
        }.items()
    },
    deps=[dg.AssetKey(["raw", "reference_series"])],
    name="backtest",
    pool="warehouse",
)
def backtest_assets(
    bars: pd.DataFrame,
    sessions: pd.DataFrame,
    universe: pd.DataFrame,
    liquidity: pd.DataFrame,
    volatility: pd.DataFrame,
    ranking: pd.DataFrame,
    pipeline: PipelineResource,
) -> Iterator[dg.Output[pd.DataFrame]]:
    """Hold the best ranked from the session after each decision, at the costs of the day; keep books to the cent."""
    settings = pipeline.settings.backtest
    made = trading(bars, sessions, universe, liquidity, volatility, pipeline)
    market = made.market
    rank = np.nan_to_num(from_long_column(ranking, "rank", market.sessions, market.tickers)).astype(np.int64)
    size = from_long_column(ranking, "position_size", market.sessions, market.tickers)
    wanted = strategy_orders(rank, size, made, settings, pipeline.settings.benchmark_ticker)
    wanted = {name: one for name, one in wanted.items() if len(one.executed)}
    accounts = {
        name: backtest(market, one, made.rules, holdings_on=one.executed) for name, one in wanted.items()
    }
    daily = _daily(accounts, market.sessions, made.covered)
    yield dg.Output(
        daily,
        "backtest_daily",
        metadata={
            "simulated": pipeline.source.simulated,
            "cash_rate": made.cash_rate,
            "worst_imbalance": max((a.imbalance() for a in accounts.values()), default=0.0),
            "growth": dg.MetadataValue.md(_growth(daily, pipeline.source.simulated)),
        },
    )
    yield dg.Output(_trades(accounts, market.sessions, market.tickers), "backtest_trades")
    yield dg.Output(_holdings(accounts, market.sessions, market.tickers), "backtest_holdings")
    net = {name: _counted(account, made) for name, account in accounts.items()}
    base = net.get("benchmark", np.full(len(market.sessions), np.nan))
    summary = _by_strategy(
        {
            name: performance(
                account,
                market.sessions,
                base,
                market.deposit,
                {
                    f"{scenario}_costs": _counted(
                        backtest(made.at_costs(scenario), wanted[name], made.rules), made
                    )
                    for scenario in ("low", "high")
                },
                counts=made.covered,
            )
            for name, account in accounts.items()
        },
        market.sessions,
        "validation.backtest_summary",
    )
    shown = summary[(summary["scope"] == "to_date") & (summary["year"] == summary["year"].max())]
    yield dg.Output(
        summary,
        "backtest_summary",
        metadata={
            "to_date": dg.MetadataValue.md(
                markdown_table(
                    shown[
                        ["strategy", "annual_return", "gross_annual_return", "annual_return_low_costs",
                         "annual_return_high_costs", "volatility_annualised", "sharpe", "maximum_drawdown",
                         "excess_annual_return", "traded_annual"]
                    ]
                )
            )
        },
    )  # fmt: skip
    yield dg.Output(_random(wanted, net, rank, made, settings), "random_portfolios")
    yield dg.Output(_capacity(wanted, made, base), "capacity")


def _counted(account: Account, made: Trading) -> np.ndarray:
    """(S,) net returns; NaN before the first trade and where the market fund is covered no more."""
    out = np.full(len(made.covered), np.nan)
    out[account.first :] = account.net_return
    return np.where(made.covered, out, np.nan)


def _daily(accounts: Mapping[str, Account], sessions: np.ndarray, covered: np.ndarray) -> pd.DataFrame:
    names = {"start": "start_value", "end": "end_value", "traded": "traded_value"}
    frames = []
    for strategy, account in accounts.items():
        frame = pd.DataFrame(account.daily, columns=[names.get(item, item) for item in ITEMS])
        end = account.item("end")
        frame = frame.assign(
            strategy=strategy,
            session=sessions[account.first :].astype("datetime64[s]"),
            funds=frame["funds"].astype("int32"),
            covered=covered[account.first :],
            net_return=account.net_return,
            gross_return=account.gross_return,
            drawdown=end / np.maximum.accumulate(np.concatenate([[account.item("start")[0]], end]))[1:] - 1.0,
        )
        frames.append(frame)
    return together(frames, "validation.backtest_daily")


def _trades(accounts: Mapping[str, Account], sessions: np.ndarray, tickers: np.ndarray) -> pd.DataFrame:
    frames = []
    for strategy, account in accounts.items():
        row, fund, units, price, value, spread, impact, kind = account.trades.T
        frames.append(
            pd.DataFrame(
                {
                    "strategy": strategy,
                    "session": sessions[row.astype(int)].astype("datetime64[s]"),
                    "ticker": tickers[fund.astype(int)].astype(object),
                    "kind": np.array(TRADE_KINDS, dtype=object)[kind.astype(int)],
                    "units": units, "price": price, "value": value, "spread_cost": spread, "impact_cost": impact,
                }
            )
        )  # fmt: skip
    return together(frames, "validation.backtest_trades")


def _holdings(accounts: Mapping[str, Account], sessions: np.ndarray, tickers: np.ndarray) -> pd.DataFrame:
    frames = []
    for strategy, account in accounts.items():
        row, fund, units, value = account.holdings.T
        end = account.item("end")[row.astype(int) - account.first]
        frames.append(
            pd.DataFrame(
                {
                    "strategy": strategy,
                    "session": sessions[row.astype(int)].astype("datetime64[s]"),
                    "ticker": tickers[fund.astype(int)].astype(object),
                    "units": units, "value": value, "weight": value / end,
                }
            )
        )  # fmt: skip
    return together(frames, "validation.backtest_holdings")


def _random(
    wanted: Mapping[str, Orders],
    net: Mapping[str, np.ndarray],
    rank: np.ndarray,
    made: Trading,
    settings: Backtest,
) -> pd.DataFrame:
    """The equally weighted strategy's place among portfolios drawn at random."""
    if "top_ranked" not in wanted:
        return together([], "validation.random_portfolios")
    rows, market = wanted["top_ranked"].decided, made.market
    drawn = random_portfolios(
        market, rank[rows], rows, top=settings.top, keep=settings.keep, draws=settings.random_portfolios,
        seed=settings.seed, delay=settings.delay, account=made.rules,
    )  # fmt: skip
    returns = np.where(made.covered[:, None], drawn.returns, np.nan)
    own = net["top_ranked"]
    first = int(np.flatnonzero(np.isfinite(own))[0])
    years = complete_years(market.sessions)
    percent = [5, 25, 50, 75, 95]
    found = []
    for p, scope, span in scopes(years):
        span = slice(max(first, span.start), span.stop)
        if span.stop - span.start < MIN_SESSIONS:
            continue
        until = (rows + settings.delay >= span.start) & (rows + settings.delay < span.stop)
        row: dict[str, object] = {
            "year": int(years.year[p]),
            "scope": str(SCOPES[scope]),
            "draws": settings.random_portfolios,
            "persistence": float(drawn.persistence[until].mean()) if until.any() else np.nan,
        }
        excess = returns[span] - market.deposit[span, None]
        for name, one, many in (
            ("annual_return", annual_return(own[span])[0], annual_return(returns[span])),
            ("sharpe", annual_sharpe(own[span] - market.deposit[span])[0], annual_sharpe(excess)),
        ):
            row[name] = float(one)
            row |= {f"random_{name}_{q:02d}": float(np.percentile(many, q)) for q in percent}
            row[f"beaten_in_{name.removeprefix('annual_')}"] = float((many < one).mean())
        found.append(row)
    columns = {name: np.array([row[name] for row in found]) for name in found[0]} if found else {}
    return _by_strategy({"top_ranked": columns}, market.sessions, "validation.random_portfolios")


def _capacity(wanted: Mapping[str, Orders], made: Trading, benchmark: np.ndarray) -> pd.DataFrame:
    frames = []
    for name in STRATEGIES:
        for capital in CAPITALS if name in wanted else ():
            account = backtest(made.market, wanted[name], replace(made.rules, capital=capital))
            found = performance(
                account, made.market.sessions, benchmark, made.market.deposit, counts=made.covered
            )
            frame = _by_strategy({name: found}, made.market.sessions, "validation.backtest_summary")
            frames.append(frame[frame["scope"] == "to_date"].assign(capital=capital))
    columns = ["strategy", "session", "year", "capital", "annual_return", "spread_cost_annual", "impact_cost_annual",
               "excess_annual_return"]  # fmt: skip
    return together([frame[columns] for frame in frames], "validation.capacity")


def _by_strategy(
    found: Mapping[str, Mapping[str, np.ndarray]], sessions: np.ndarray, table: str
) -> pd.DataFrame:
    """Figures by year as rows, with the session at which each could be known."""
    frames = [
        pd.DataFrame({**columns, "strategy": name, "session": year_after(sessions, columns["year"])})
        for name, columns in found.items()
        if len(columns)
    ]
    return together(frames, table)


def together(frames: list[pd.DataFrame], table: str) -> pd.DataFrame:
    """The frames in one, or an empty one with the table's columns."""
    return (
        pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(CONTRACTS[table].names))
    )


def _growth(daily: pd.DataFrame, simulated: bool) -> str:
    if daily.empty:
        return "too few ranked funds for a strategy yet"
    curves = {
        str(name): own.set_index("session")["end_value"]
        for name, own in daily.groupby("strategy", sort=False)
    }
    return lines(curves, "Accounts after costs" + (" (SIMULATED)" if simulated else ""), "quote currency")
