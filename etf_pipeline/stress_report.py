"""What ``etf stress`` prints: every scenario for the accounts and for the ranking's first funds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
from rich.console import Console
from rich.markup import escape

from etf_pipeline.attribution_evidence import (
    ACCOUNTS,
    NoAttributionError,
    Row,
    few_of,
    first_funds,
    interval,
    listed,
    month_end,
    say_if_replays_are_invented,
    say_if_simulated,
    tell,
    tenths,
)
from etf_pipeline.backtest_evidence import records
from etf_pipeline.risk_report import MISSING, grid, pct
from etf_pipeline.scenario_titles import (
    KINDS,
    TITLE_WIDTH,
    Key,
    in_order,
    narrow_titles,
    say_scenarios_left_out,
    title,
    when,
)
from etf_pipeline.stress_accounts import print_accounts_beyond_scenarios, print_coverage
from etf_pipeline.stress_scenarios import StressScenarios

NO_WEIGHT = 0.001
"""Share of an account with exposures below which nothing is said of it."""
SHORT_FUNDS, SHORT_SCENARIOS = 5, 6


def stress_overview(
    connection: duckdb.DuckDBPyConnection,
    console: Console,
    *,
    session: str | None,
    scenarios: StressScenarios,
    top: int = 10,
    short: bool = False,
) -> None:
    """Print what the accounts and the ranking's first funds would lose, and how good such predictions have been.

    Parameters
    ----------
    session : ISO date; the newest month's end and ranking at or before it are shown, by default the newest of all.
    scenarios : titles, windows and horizons of what the tables name.
    short : one table: the scenarios that are worst for the account, and a few funds.

    Raises
    ------
    NoAttributionError : nothing has stress losses so early, or nothing is ranked.
    """
    end = month_end(connection, "stress_losses", session)
    funds = first_funds(connection, session, min(top, SHORT_FUNDS) if short else top)
    if not funds:
        raise NoAttributionError("no session has a ranking so early: `etf stress TICKER` shows one fund")
    say_if_simulated(connection, console)
    losses = _fund_losses(connection, [fund["ticker"] for fund in funds], end)
    accounts = account_losses(connection, end)
    keys = in_order({key for one in (*losses.values(), *accounts.values()) for key in one}, scenarios)
    if short:
        _print_short(console, funds, losses, accounts, worst_first(keys, losses, accounts), scenarios, end)
        return
    _print_accounts(console, accounts, keys, scenarios, end)
    _print_funds(console, funds, losses, keys, scenarios, end)
    say_if_replays_are_invented(connection, console)
    _say_what_is_missing(connection, console, funds, losses, keys, scenarios, end)
    print_accounts_beyond_scenarios(connection, console, end, scenarios)
    print_coverage(connection, console, session, ("all",))
    tell(
        console,
        "[bold]etf stress TICKER[/] shows all of one fund: both intervals, what each factor brings, and what is lost if the "
        "others stand still.",
    )


def account_losses(connection: duckdb.DuckDBPyConnection, end: str) -> dict[str, dict[Key, Row]]:
    """By account and scenario, with the other factors as expected; accounts of which nothing has exposures are left out."""
    found = records(
        connection,
        "attribution.portfolio_stress",
        "SELECT * FROM attribution.portfolio_stress WHERE session = ?::DATE AND others = 'conditional' "
        "AND list_contains(?, strategy) AND covered_weight > ?",
        [end, list(ACCOUNTS), NO_WEIGHT],
    )
    return _by_scenario(found, "strategy")


def _fund_losses(
    connection: duckdb.DuckDBPyConnection, tickers: list[str], end: str
) -> dict[str, dict[Key, Row]]:
    found = records(
        connection,
        "attribution.stress_losses",
        "SELECT * FROM attribution.stress_losses WHERE session = ?::DATE AND others = 'conditional' "
        "AND list_contains(?, ticker)",
        [end, tickers],
    )
    return _by_scenario(found, "ticker")


def _by_scenario(rows: Sequence[dict[str, Any]], of: str) -> dict[str, dict[Key, Row]]:
    out: dict[str, dict[Key, Row]] = {}
    for row in rows:
        out.setdefault(row[of], {})[(row["kind"], row["scenario"])] = row
    return out


def worst_first(
    keys: Sequence[Key], losses: Mapping[str, Mapping[Key, Row]], accounts: Mapping[str, Mapping[Key, Row]]
) -> list[Key]:
    """Scenarios by what the account would lose; where there is none, by the mean of the funds."""

    def expected(key: Key) -> float:
        own = accounts.get("top_ranked", {})
        rows = [own[key]] if key in own else [one[key] for one in losses.values() if key in one]
        values = [row["served_return"] for row in rows if row["served_return"] is not None]
        return sum(values) / len(values) if values else 0.0

    return sorted(keys, key=expected)


def _print_accounts(
    console: Console,
    accounts: Mapping[str, Mapping[Key, Row]],
    keys: Sequence[Key],
    scenarios: StressScenarios,
    end: str,
) -> None:
    held = [name for name in ACCOUNTS if name in accounts]
    if not held:
        tell(
            console,
            f"What the accounts would lose is not known: at {end} they hold nothing that has exposures.",
        )
        return
    table = narrow_titles(
        grid(
            f"What the accounts held at {end} would return, per cent",
            "scenario",
            *(h for n in held for h in (f">{ACCOUNTS[n]}\nreturn", ">from\nexposures", ">95 % interval\nof that")),
        )
    )  # fmt: skip
    for kind in KINDS:
        table.add_section()
        for key in (k for k in keys if k[0] == kind):
            cells = []
            for name in held:
                row = accounts[name].get(key) or {}
                cells += [
                    f"[bold]{tenths(row.get('served_return'))}[/]",
                    tenths(row.get("total_return")),
                    _bounds(row),
                ]
            table.add_row(title(key, scenarios), *cells)
    console.print(table)
    tell(
        console,
        "Replays from above, then supposed shocks with all other factors as expected given them. Return: funds that lived "
        "through a replay by their own prices, the others from exposures; the interval is of the loss from exposures alone."
        + (" None: the market fund is the factor itself." if "benchmark" in held else ""),
    )
    for name in ACCOUNTS:
        if name not in held:
            tell(
                console,
                f"{ACCOUNTS[name]} is not shown: at {end} it holds nothing that has exposures and a bar of late.",
            )
            continue
        share = next(iter(accounts[name].values()))["covered_weight"]
        if share < 1.0 - NO_WEIGHT:
            tell(
                console,
                f"Only {pct(share)} of {ACCOUNTS[name]} is in funds with exposures at {end}: what the rest would do is in "
                "no figure of it, here and below.",
            )


def _bounds(row: Row) -> str:
    """The 95 % interval of an account; of one that is the factor that is shocked, there is none."""
    low, high = row.get("low_95"), row.get("high_95")
    return "none" if low is not None and high is not None and high - low < 1e-6 else interval(low, high)


def _print_funds(
    console: Console,
    funds: Sequence[Row],
    losses: Mapping[str, Mapping[Key, Row]],
    keys: Sequence[Key],
    scenarios: StressScenarios,
    end: str,
) -> None:
    """The funds side by side, in as many tables as the screen is too narrow for one."""
    shown = [fund["ticker"] for fund in funds if fund["ticker"] in losses]
    names = without_common_ending(shown)
    room = min(console.width, 150) - TITLE_WIDTH - 4
    each = max(6, *(len(name) for name in names.values())) + 3 if names else 1
    fits = max(1, room // each)
    for first in range(0, len(shown), fits):
        own = shown[first : first + fits]
        table = narrow_titles(
            grid(
                f"What the first of the ranking of {funds[0]['session']} would return, per cent, at {end}",
                "scenario",
                *(f">{escape(names[ticker])}" for ticker in own),
            )
        )
        for kind in KINDS:
            table.add_section()
            for key in (k for k in keys if k[0] == kind):
                table.add_row(title(key, scenarios), *(_served(losses[ticker].get(key)) for ticker in own))
        console.print(table)
    if shown:
        tell(console, "*: what the fund's own prices did then; the others are from exposures.")


def _served(row: Row | None) -> str:
    """What is served of a fund's loss, with a star where it is realised."""
    if row is None:
        return MISSING + " "
    return tenths(row["served_return"]) + ("*" if row["realised_return"] is not None else " ")


def without_common_ending(tickers: Sequence[str]) -> dict[str, str]:
    """Ticker to a shorter name: without the exchange's ending where all share it."""
    endings = {ticker.rpartition(".")[2] if "." in ticker else "" for ticker in tickers}
    ending = endings.pop() if len(endings) == 1 else ""
    return {ticker: ticker.removesuffix(f".{ending}") if ending else ticker for ticker in tickers}


def _say_what_is_missing(
    connection: duckdb.DuckDBPyConnection,
    console: Console,
    funds: Sequence[Row],
    losses: Mapping[str, Mapping[Key, Row]],
    keys: Sequence[Key],
    scenarios: StressScenarios,
    end: str,
) -> None:
    absent = [escape(fund["ticker"]) for fund in funds if fund["ticker"] not in losses]
    if absent:
        tell(
            console,
            f"Not shown: {listed(absent)}; no exposures at {end}: half a year of returns and a bar of the last five "
            "sessions are needed.",
        )
    say_scenarios_left_out(console, set(keys), scenarios, end)
    few = few_of(connection, "stress_losses", end)
    if few:
        tell(console, few)


def _print_short(
    console: Console,
    funds: Sequence[Row],
    losses: Mapping[str, Mapping[Key, Row]],
    accounts: Mapping[str, Mapping[Key, Row]],
    worst: Sequence[Key],
    scenarios: StressScenarios,
    end: str,
) -> None:
    held = [name for name in ACCOUNTS if name in accounts]
    shown = [fund["ticker"] for fund in funds if fund["ticker"] in losses]
    names = without_common_ending(shown)
    table = narrow_titles(
        grid(
            f"What could break it: the worst scenarios, return in per cent, at {end}",
            "scenario", "over", *(f">{ACCOUNTS[n]}" for n in held), *(f">{escape(names[t])}" for t in shown),
        )
    )  # fmt: skip
    for key in worst[:SHORT_SCENARIOS]:
        own = [accounts[name].get(key) or {} for name in held]
        table.add_row(
            title(key, scenarios), when(key, scenarios), *(tenths(row.get("served_return")) for row in own),
            *(_served(losses[ticker].get(key)) for ticker in shown),
        )  # fmt: skip
    console.print(table)
    tell(console, "*: by its own prices then. [bold]etf stress[/] shows all of it.")
