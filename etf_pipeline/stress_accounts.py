"""What could break the accounts beside scenarios, as ``etf stress`` prints it, and how good predictions of crises are."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
from rich.console import Console
from rich.markup import escape

from etf_pipeline.attribution_evidence import ACCOUNTS, STRESS_NAMES, Row, listed, tell, unsigned_zero
from etf_pipeline.backtest_evidence import records
from etf_pipeline.core.attribution.stress.factors import RETURNS
from etf_pipeline.risk_report import MISSING, grid, known, pct, pct2
from etf_pipeline.stress_scenarios import StressScenarios

STRATEGY = "top_ranked"
SMALL_MOVE = {
    "equity": 0.005,
    "rates": 0.05,
    "credit": 0.05,
    "currency": 0.005,
    "oil": 0.005,
    "volatility": 0.5,
}
"""Moves below these are not worth a word."""
FAR_OUT = 20.0
"""Standard deviations from which a most likely way to a loss is no way at all."""
LEVELS = (0.80, 0.95)


def print_accounts_beyond_scenarios(
    connection: duckdb.DuckDBPyConnection, console: Console, end: str, scenarios: StressScenarios
) -> None:
    """Print reverse stress, correlations at one, a dry market, and the simulated month, at a month's end."""
    _reverse(connection, console, end)
    _fragility(connection, console, end, scenarios)
    _liquidity(connection, console, end, scenarios)
    print_simulated(connection, console, "strategy", list(ACCOUNTS), end)


def _reverse(connection: duckdb.DuckDBPyConnection, console: Console, end: str) -> None:
    rows = records(
        connection,
        "attribution.reverse_stress",
        "SELECT * FROM attribution.reverse_stress WHERE strategy = ? AND session = ?::DATE ORDER BY loss, scenario",
        [STRATEGY, end],
    )
    if not rows:
        tell(console, f"\nWhat would lose a given share of {STRATEGY} is not known at {end}.")
    for row in rows:
        tell(console, "\n" + reverse_sentence(row))


def reverse_sentence(row: Row) -> str:
    """The most likely way to a loss, in words."""
    moves = [
        _move(name, row[name])
        for name in STRESS_NAMES
        if row[name] is not None and abs(row[name]) >= SMALL_MOVE[name]
    ]
    if row["specific"] is not None and abs(row["specific"]) >= SMALL_MOVE["equity"]:
        moves.append(f"{_signed(100 * row['specific'])} % beside the factors")
    way = listed(moves) if moves else "nothing that has a name"
    start = (
        f"[bold]What would lose {100 * row['loss']:.0f} %[/] of {row['strategy']} within {row['horizon_sessions']} "
        f"sessions? Most likely {way}: {known(row['distance'], lambda v: f'{v:.1f}')} standard deviations from no move"
    )
    if row["distance"] is not None and row["distance"] >= FAR_OUT:
        return f"{start}, which is to say that no move of these factors of any likeness to those of the past loses so much."
    fat, normal = _odds(row["probability_student_t"]), _odds(row["probability_normal"])
    return f"{start}; a loss as large has a chance of {fat} with fat tails ({normal} with normal moves)."


def _move(name: str, value: float) -> str:
    if name in RETURNS:
        return f"{STRESS_NAMES[name]} {_signed(100 * value)} %"
    if name == "volatility":
        return f"{STRESS_NAMES[name]} {_signed(value)} points"
    return f"{STRESS_NAMES[name]} {_signed(value)} percentage points"


def _signed(value: float) -> str:
    text = unsigned_zero(value, 0 if abs(value) >= 10 else 1)
    return text if text.startswith("-") else f"+{text}"


def _odds(chance: float | None) -> str:
    if chance is None:
        return MISSING
    if chance >= 0.01:
        return f"{100 * chance:.0f} %"
    return "less than one in a million" if chance < 1e-6 else f"one in {float(f'{1 / chance:.2g}'):,.0f}"


def _fragility(
    connection: duckdb.DuckDBPyConnection, console: Console, end: str, scenarios: StressScenarios
) -> None:
    rows = records(
        connection,
        "attribution.portfolio_fragility",
        "SELECT * FROM attribution.portfolio_fragility WHERE list_contains(?, strategy) AND session = ?::DATE "
        "ORDER BY strategy <> 'top_ranked', strategy, scenario",
        [list(ACCOUNTS), end],
    )
    for row in rows:
        if row["strategy"] != STRATEGY:
            continue
        told_by = scenarios.correlation.get(row["scenario"])
        spells = (
            f"1 in {1 / (1 - told_by.confidence):.0f} spells of {told_by.horizon_sessions}" if told_by else ""
        )
        which = (
            f"the loss that {spells} sessions exceeds" if spells else "the loss at the scenario's confidence"
        )
        told = [
            f"[bold]With all correlations at one[/] the volatility of {STRATEGY} would be "
            f"{known(row['volatility_worst_annualised'], pct)} a year instead of {known(row['volatility_annualised'], pct)}"
            f", and {which} {known(row['loss_worst'], pct)} instead of {known(row['loss'], pct)} "
            "(normal moves)"
        ]
        told += [
            f"the market fund's volatility is {known(other['volatility_annualised'], pct)}"
            for other in rows
            if other["strategy"] != STRATEGY and other["scenario"] == row["scenario"]
        ]
        tell(console, f"{'; '.join(told)}.")
    if not any(row["strategy"] == STRATEGY for row in rows):
        tell(console, f"What correlations at one would do to {STRATEGY} is not known at {end}.")


def _liquidity(
    connection: duckdb.DuckDBPyConnection, console: Console, end: str, scenarios: StressScenarios
) -> None:
    rows = records(
        connection,
        "attribution.liquidity_stress",
        "SELECT * FROM attribution.liquidity_stress WHERE strategy = ? AND session = ?::DATE ORDER BY scenario, capital",
        [STRATEGY, end],
    )
    if not rows:
        tell(
            console,
            f"What selling {STRATEGY} in a dry market takes is not known at {end}: a fund it holds has no known spread, or "
            "it holds none.",
        )
        return
    for name in dict.fromkeys(row["scenario"] for row in rows):
        market = scenarios.liquidity.get(name)
        table = grid(
            f"Selling {STRATEGY} in a dry market, at {end}: {escape(market.title if market else name)}",
            ">capital", ">sessions until all is sold", ">sold after 1", ">after 5", ">after 20", ">cost, of the account",
        )  # fmt: skip
        for row in (r for r in rows if r["scenario"] == name):
            table.add_row(
                f"{row['capital']:,.0f}", known(row["days_to_sell_all"], lambda v: f"{v:,.0f}"),
                *(known(row[f"share_sold_{n}"], lambda v: f"{100 * v:.0f} %") for n in (1, 5, 20)),
                known(row["cost_to_sell"], pct2),
            )  # fmt: skip
        console.print(table)
    tell(
        console,
        "Capital in the quote currency, held in the same parts. Cost is half the spread and the impact.",
    )


def print_simulated(
    connection: duckdb.DuckDBPyConnection, console: Console, kind: str, names: Sequence[str], day: str
) -> None:
    """Print the simulated next 21 sessions of funds or accounts, at the newest quarter's end at or before a day."""
    rows = records(
        connection,
        "attribution.simulated_losses",
        "SELECT * FROM attribution.simulated_losses WHERE kind = $1 AND list_contains($2, name) AND session = ("
        "SELECT max(session) FROM attribution.simulated_losses WHERE kind = $1 AND session <= $3::DATE) "
        "ORDER BY list_position($2, name)",
        [kind, list(names), day],
    )
    # All paths at nothing: what an account holds was not simulated.
    rows = [row for row in rows if row["expected_shortfall_99"] != 0.0]
    if not rows:
        tell(
            console,
            "The next month is not simulated: half a year of returns and a bar of late are needed at a quarter's end.",
        )
        return
    table = grid(
        f"The next 21 sessions, simulated at {rows[0]['session']}: returns",
        "what", ">worst in 20", ">mean of those", ">worst in 100", ">mean of those", ">losing 10 %", ">losing 20 %",
    )  # fmt: skip
    for row in rows:
        table.add_row(
            escape(ACCOUNTS.get(row["name"], row["name"])),
            *(
                known(row[f"{m}_{level}"], pct)
                for level in (95, 99)
                for m in ("value_at_risk", "expected_shortfall")
            ),
            *(_chance(row[f"probability_of_losing_{loss}"], row["paths"]) for loss in (10, 20)),
        )
    console.print(table)
    left = [ACCOUNTS.get(n, n) for n in names if n not in {row["name"] for row in rows}]
    tell(
        console,
        f"Past shocks, drawn for all funds together, at the day's volatility; {rows[0]['paths']:,} paths."
        + (f" Not simulated: {listed(left)}; no recent returns." if left else ""),
    )


def _chance(value: float | None, paths: int) -> str:
    if value is None:
        return MISSING
    return f"below {100 / paths:.2g} %" if value == 0.0 else pct(value)


def print_coverage(
    connection: duckdb.DuckDBPyConnection, console: Console, session: str | None, classes: Sequence[str]
) -> None:
    """Say how good predictions of past crises have been, to the newest complete year at or before a day."""
    rows = records(
        connection,
        "attribution.replay_coverage",
        "SELECT * FROM attribution.replay_coverage WHERE list_contains($1, asset_class) AND year = ("
        "SELECT max(year) FROM attribution.replay_coverage WHERE session <= coalesce($2::DATE, DATE '9999-12-31')) "
        "ORDER BY list_position($1, asset_class), level",
        [list(classes), session],
    )
    told = False
    for name in classes:
        levels = {round(row["level"], 4): row for row in rows if row["asset_class"] == name}
        if not set(LEVELS) <= set(levels):
            continue
        told = True
        first = levels[LEVELS[0]]
        inside = [
            f"{known(levels[level]['covered'], lambda v: f'{100 * v:.0f} %')} in the {100 * level:.0f} % interval"
            for level in LEVELS
        ]
        question = "[bold]How good are such predictions?[/] " if name == classes[0] else ""
        who = "all funds" if name == "all" else escape(name.replace("_", " "))
        crises = f"{first['windows']} {'crisis' if first['windows'] == 1 else 'crises'}"
        bias = first["bias"]
        side = "worse" if bias is not None and bias < 0 else "better"
        tell(
            console,
            f"{question}Of {who} to the end of {first['year']}: {first['pairs']} pairs of fund and crisis, {crises}, "
            f"predicted as if the fund had not lived then. {listed(inside)}; what came "
            f"was {known(None if bias is None else abs(bias), pct)} {side} than predicted on average, and half of the "
            f"predictions were off by more than {known(first['median_absolute_error'], pct)}.",
        )
    if told:
        tell(console, "Funds fall together: it is the crises that count, and they are few.")
    else:
        tell(
            console,
            "How good such predictions are is not known: no complete year has a crisis behind it that funds lived through.",
        )
