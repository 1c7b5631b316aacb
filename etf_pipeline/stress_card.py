"""What ``etf stress TICKER`` prints: every scenario for one fund, with intervals and what each factor brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
from rich.console import Console

from etf_pipeline.attribution_evidence import (
    STRESS_NAMES,
    NoAttributionError,
    Row,
    fund_or_error,
    interval,
    month_end,
    print_fund,
    say_if_replays_are_invented,
    say_if_simulated,
    tell,
    tenths,
)
from etf_pipeline.backtest_evidence import records
from etf_pipeline.risk_report import MISSING, grid
from etf_pipeline.scenario_titles import (
    KINDS,
    Key,
    in_order,
    narrow_titles,
    say_scenarios_left_out,
    title,
    when,
)
from etf_pipeline.stress_accounts import print_coverage, print_simulated
from etf_pipeline.stress_scenarios import StressScenarios

HEADERS = dict(zip(STRESS_NAMES, ("equity", "yield", "credit", "AUD", "oil", "VIX"), strict=True))


def stress_card(
    connection: duckdb.DuckDBPyConnection,
    console: Console,
    *,
    ticker: str,
    session: str | None,
    scenarios: StressScenarios,
) -> None:
    """Print a fund's loss in every scenario, its intervals, its parts, its next month, and how good such predictions are.

    Raises
    ------
    NoAttributionError : no such fund up to the session, or it has no stress losses so early.
    """
    end = month_end(connection, "stress_losses", session)
    fund = fund_or_error(connection, ticker, session or end)
    rows = records(
        connection,
        "attribution.stress_losses",
        "SELECT *, session::VARCHAR AS day FROM attribution.stress_losses WHERE ticker = ? AND session <= ?::DATE "
        "QUALIFY session = max(session) OVER ()",
        [ticker, end],
    )
    if not rows:
        raise NoAttributionError(
            f"{ticker} has no stress losses up to {end}: half a year of returns on days on which the factors are known is "
            f"needed; it has {fund['observed_sessions']} observed sessions by {fund['last_seen']}"
        )
    day = rows[0]["day"]
    say_if_simulated(connection, console)
    print_fund(console, fund, f"stress at {day}")
    if day < end:
        tell(console, f"It has none at {end}: no bar of the last five sessions, or too few returns.")
    by_key: dict[Key, dict[str, Row]] = {}
    for row in rows:
        by_key.setdefault((row["kind"], row["scenario"]), {})[row["others"]] = row
    keys = in_order(set(by_key), scenarios)
    _print_returns(console, by_key, keys, scenarios)
    _print_parts(console, by_key, keys, scenarios)
    say_if_replays_are_invented(connection, console)
    say_scenarios_left_out(console, set(keys), scenarios, day)
    print_simulated(connection, console, "fund", [ticker], day)
    print_coverage(
        connection,
        console,
        session,
        ("all", *((fund["asset_class"],) if fund["asset_class"] else ())),
    )


def _print_returns(
    console: Console,
    by_key: Mapping[Key, Mapping[str, Row]],
    keys: Sequence[Key],
    scenarios: StressScenarios,
) -> None:
    table = narrow_titles(
        grid(
            "What it would return, per cent: the other factors as expected",
            "scenario", "over", ">realised", ">from exposures", ">80 % interval", ">95 % interval",
        )
    )  # fmt: skip
    for kind in KINDS:
        table.add_section()
        for key in (k for k in keys if k[0] == kind):
            row = by_key[key].get("conditional") or {}
            realised = row.get("realised_return")
            predicted = tenths(row.get("total_return"))
            table.add_row(
                title(key, scenarios), when(key, scenarios),
                "" if kind == "hypothetical" else MISSING if realised is None else f"[bold]{tenths(realised)}[/]",
                predicted if realised is not None else f"[bold]{predicted}[/]",
                interval(row.get("low_80"), row.get("high_80")), interval(row.get("low_95"), row.get("high_95")),
            )  # fmt: skip
    console.print(table)
    tell(
        console,
        f"Bold is what is served: realised, from its own prices then, where there is one. {MISSING}: it did not live "
        "through the window, or has no bar at one of its ends.",
    )


def _print_parts(
    console: Console,
    by_key: Mapping[Key, Mapping[str, Row]],
    keys: Sequence[Key],
    scenarios: StressScenarios,
) -> None:
    table = narrow_titles(
        grid(
            "What each factor brings, per cent",
            "scenario",
            ">return",
            ">95 % interval",
            *(f">{HEADERS[name]}" for name in STRESS_NAMES),
        )
    )
    for key in keys:
        for others in ("conditional", "unchanged"):
            row = by_key[key].get(others)
            if row is None:
                continue
            label = title(key, scenarios) if others == "conditional" else "  others unchanged"
            bounds = interval(row["low_95"], row["high_95"]) if others == "unchanged" else ""
            table.add_row(
                label,
                tenths(row["total_return"]),
                bounds,
                *(tenths(row[f"from_{name}"]) for name in STRESS_NAMES),
            )
    console.print(table)
    tell(
        console,
        "Equity is the market fund, yield that of 10 years, credit the high-yield spread, AUD the Australian dollar. A "
        "shock moves the factors it does not name as they have moved with it; below it what is left if they stand still.",
    )
