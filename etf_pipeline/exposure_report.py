"""What ``etf exposure`` prints of the ranking's first funds: what their returns load on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
from rich.console import Console
from rich.markup import escape

from etf_pipeline.account_attribution import print_account_years, print_volatility
from etf_pipeline.attribution_evidence import (
    STAR_FROM,
    NoAttributionError,
    Row,
    few_of,
    first_funds,
    listed,
    loading,
    month_end,
    say_if_simulated,
    t_text,
    tell,
)
from etf_pipeline.backtest_evidence import records
from etf_pipeline.risk_report import MISSING, grid, known, ratio

HEADERS = {
    "market": "market", "market_excess": "market", "size": "size", "value": "value", "profitability": "profit.",
    "investment": "invest.", "momentum": "mom.", "term": "term", "credit": "credit", "currency": "curr.", "oil": "oil",
    "volatility": "volat.",
}  # fmt: skip
"""What a column of a factor is called."""
PUBLISHED = ("market_excess", "size", "value", "profitability", "investment", "momentum")
HOUSE = ("market", "term", "credit", "currency", "oil", "volatility")
SHORT_FUNDS = 5
LEGEND = {
    True: "Published factors (as Fama and French's): market beyond cash; small less large, cheap less dear, profitable less "
    "not, cautiously less boldly investing, risen less fallen shares.",
    False: "House factors: market, the market fund beyond cash; term, a 10-year government bond beyond cash; credit, "
    "what a narrower high-yield spread brings; curr., a US dollar in Australian ones; oil; volat., the VIX's logarithm.",
}


def exposure_overview(
    connection: duckdb.DuckDBPyConnection,
    console: Console,
    *,
    session: str | None,
    top: int = 10,
    short: bool = False,
) -> None:
    """Print what the ranking's first funds load on, and what the accounts' returns and volatility came from.

    Parameters
    ----------
    session : ISO date; the newest month's end and ranking at or before it are shown, by default the newest of all.
    short : one table of a few funds, and no accounts.

    Raises
    ------
    NoAttributionError : nothing has exposures so early, or nothing is ranked.
    """
    end = month_end(connection, "factor_exposure", session)
    funds = first_funds(connection, session, min(top, SHORT_FUNDS) if short else top)
    if not funds:
        raise NoAttributionError("no session has a ranking so early: `etf exposure TICKER` shows one fund")
    say_if_simulated(connection, console)
    held = _exposures(connection, funds, session or "9999-12-31")
    ranked = funds[0]["session"]
    if short:
        _print_short(console, funds, held, ranked)
        return
    shown = [fund for fund in funds if fund["ticker"] in held]
    for published in (True, False):
        own = [
            fund for fund in shown if ("market_excess" in held[fund["ticker"]][0]["by_factor"]) == published
        ]
        if own:
            _print_family(console, own, held, ranked, published)
    _say_what_is_missing(connection, console, funds, held, end)
    tell(
        console,
        f"Loadings of the last 252 sessions, t-values in parentheses (Newey-West); [bold]bold with *[/]: |t| of "
        f"{STAR_FROM:.0f} or more. A loading of 0.5 takes half of the factor's move. R2 is the share of the variance that "
        "the factors explain. [bold]etf exposure TICKER[/] shows all models, spans and years of one fund.",
    )
    print_account_years(connection, console, session)
    print_volatility(connection, console, session)


def _exposures(
    connection: duckdb.DuckDBPyConnection, funds: Sequence[Row], day: str
) -> dict[str, list[dict[str, Any]]]:
    """By ticker one row in a list: the model and, by factor, loading and t-value; funds without exposures are left out."""
    found = records(
        connection,
        "attribution.factor_exposure",
        "SELECT ticker, session::VARCHAR AS session, model, is_main, main_model, main_model_session::VARCHAR AS main_until, "
        "factor, loading, t_value, r_squared FROM main.exposures_at(?) WHERE list_contains(?, ticker)",
        [day, [fund["ticker"] for fund in funds]],
    )
    out: dict[str, list[dict[str, Any]]] = {}
    for row in found:
        one = out.setdefault(row["ticker"], [{**row, "by_factor": {}}])[0]
        one["by_factor"][row["factor"]] = (row["loading"], row["t_value"])
    return out


def _print_family(
    console: Console,
    funds: Sequence[Row],
    held: dict[str, list[dict[str, Any]]],
    ranked: str,
    published: bool,
) -> None:
    factors = PUBLISHED if published else HOUSE
    table = grid(
        f"What the first of the ranking of {ranked} load on: {'published factors' if published else 'house factors'}",
        ">rank", "ticker", "model", "as of", *(f">{HEADERS[name]}" for name in factors), ">R2",
    )  # fmt: skip
    for fund in funds:
        one = held[fund["ticker"]][0]
        cells = [one["by_factor"].get(name, (None, None)) for name in factors]
        table.add_row(
            str(fund["rank"]), escape(fund["ticker"]), escape(one["model"]), one["session"],
            *(f"{loading(value, t)}\n{t_text(t)}" for value, t in cells), known(one["r_squared"], ratio),
        )  # fmt: skip
    console.print(table)
    unknown = any(name not in held[fund["ticker"]][0]["by_factor"] for fund in funds for name in factors)
    tell(
        console, LEGEND[published] + (f" {MISSING}: not in the model, or not known then." if unknown else "")
    )


def _say_what_is_missing(
    connection: duckdb.DuckDBPyConnection,
    console: Console,
    funds: Sequence[Row],
    held: dict[str, list[dict[str, Any]]],
    end: str,
) -> None:
    """Funds without exposures, with old ones, or with another model's than their own, each with the reason."""
    none = [
        f"{escape(f['ticker'])} ({f['observed_sessions'] or 0} observed sessions)"
        for f in funds
        if f["ticker"] not in held
    ]
    if none:
        tell(
            console,
            f"No exposures of {listed(none)}: a regression needs half a year of returns within the last 252 sessions, on "
            "days on which the factors are known, too.",
        )
    stand_in: dict[tuple[str, str], list[str]] = {}
    for ticker, (one,) in held.items():
        if not one["is_main"] and one["main_model"]:
            stand_in.setdefault((one["main_model"], one["main_until"]), []).append(escape(ticker))
        if one["session"] < end:
            tell(
                console,
                f"{escape(ticker)}: the newest month's end with enough returns is {one['session']}, not {end}.",
            )
    for (model, until), tickers in stand_in.items():
        last = records(
            connection,
            "attribution.factor_exposure",
            "SELECT max(session)::VARCHAR AS last FROM attribution.factor_exposure WHERE model = ? AND session <= ?::DATE",
            [model, end],
        )[0]["last"]
        why = (
            f"the factors published by {end} end there"
            if last == until
            else "too few of its returns meet the factors since"
        )
        tell(
            console,
            f"{listed(tickers)}: the house model stands in for {escape(model)}, whose newest estimate is of {until}: {why}.",
        )
    few = few_of(connection, "factor_exposure", end)
    if few:
        tell(console, few)


def _print_short(
    console: Console, funds: Sequence[Row], held: dict[str, list[dict[str, Any]]], ranked: str
) -> None:
    table = grid(
        f"What the first of the ranking of {ranked} load on",
        ">rank", "ticker", "model", "as of", ">market", ">R2", "and on, where it is told from none",
    )  # fmt: skip
    table.columns[-1].no_wrap = False
    for fund in funds:
        if fund["ticker"] not in held:
            table.add_row(
                str(fund["rank"]), escape(fund["ticker"]), MISSING, "too few returns", *[MISSING] * 3
            )
            continue
        one = held[fund["ticker"]][0]
        factors = one["by_factor"]
        market = next(
            (factors[name] for name in ("market_excess", "market") if name in factors), (None, None)
        )
        others = [
            f"{HEADERS.get(name, name)} {value:+.2f}"
            for name, (value, t) in factors.items()
            if not name.startswith("market") and t is not None and abs(t) >= STAR_FROM
        ]
        table.add_row(
            str(fund["rank"]), escape(fund["ticker"]), escape(one["model"]), one["session"], loading(*market),
            known(one["r_squared"], ratio), escape(", ".join(others)) or "nothing",
        )  # fmt: skip
    console.print(table)
    tell(console, f"*: |t| of {STAR_FROM:.0f} or more. [bold]etf exposure[/] shows all of it.")
