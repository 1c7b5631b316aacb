"""What ``etf risk`` prints of the whole universe, read from the published snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from etf_pipeline.core.risk import RISK_CATEGORIES, CategoryRules
from etf_pipeline.reports import SIMULATED, NoRiskError, is_simulated, percent

MISSING = "–"
Row = dict[str, Any]


def risk_overview(
    connection: duckdb.DuckDBPyConnection, console: Console, *, top: int, session: str | None
) -> None:
    """Print one session's regime, the count of each risk category, the riskiest and the calmest funds.

    Raises
    ------
    NoRiskError : no session has an estimate, or not this one.
    """
    day = risk_session(connection, session)
    funds = records(connection, "SELECT * FROM main.risk_at(?)", day)
    members = [fund for fund in funds if fund["is_member"]]
    if is_simulated(connection):
        console.print(f"[bold yellow]{SIMULATED}[/]")
    print_regime(connection, console, day)
    _categories(console, day, funds)
    forecast = [fund for fund in members if fund["volatility_annualised"] is not None]
    if not forecast:
        console.print(
            "No member of the universe has a volatility forecast on this session; `etf risk TICKER` shows any other fund.",
            highlight=False,
        )
        return
    if len(forecast) <= 2 * top:
        _funds(console, f"The {len(forecast)} members of the universe, riskiest first", [forecast])
    else:
        _funds(
            console, f"The {top} riskiest and the {top} calmest members", [forecast[:top], forecast[-top:]]
        )
    console.print(
        "Vol. is the annualised volatility forecast for the next 1, 5 and 21 sessions, by the model named; CVaR 95 the "
        "mean return of the worst session in 20, by filtered historical simulation (historical while history is short); "
        "drawdown is from the highest close ever, deepest the deepest fall from a peak within the last 756 "
        "sessions, so that a fall that began earlier may be deeper than that; beta is to the market fund; spread is what "
        "buying and selling again costs, in hundredths of a per cent, with its 95 % "
        "interval. [bold]etf risk TICKER[/] shows all of one fund.",
        highlight=False,
    )


def risk_session(connection: duckdb.DuckDBPyConnection, session: str | None) -> str:
    """The session asked for, or the one ``main.latest_risk`` shows, as an ISO date.

    Raises
    ------
    NoRiskError : no session has an estimate, or this is not a session with any.
    """
    first, last = connection.execute("SELECT min(session), max(session) FROM risk.volatility").fetchone() or (
        None,
        None,
    )
    if last is None:
        raise NoRiskError("no fund has a risk estimate: load more sessions with `etf build`")
    if session is None:
        (shown,) = connection.execute("SELECT max(session) FROM main.latest_risk").fetchone() or (None,)
        return str(shown or last)
    known = connection.execute(
        "SELECT count(*) FROM risk.volatility WHERE session = ?::DATE", [session]
    ).fetchone()
    if not known or not known[0]:
        raise NoRiskError(
            f"{session} is not a session with risk estimates in this warehouse; they exist from {first} to {last}"
        )
    return session


def print_regime(connection: duckdb.DuckDBPyConnection, console: Console, day: str) -> None:
    """The regimes' probabilities on a session, and what each means by the fit then in force."""
    now = one(connection, "SELECT * FROM main.market_regime WHERE session = ?::DATE", day)
    if now is None:
        console.print(
            "The market's regime is not known: a model needs 504 returns of the market fund.", highlight=False
        )
        return
    states = records(
        connection,
        "SELECT * FROM risk.regime_states WHERE states = 3 AND session = ?::DATE ORDER BY volatility_annualised",
        now["fitted_on"],
    )
    table = grid(
        f"The market's regime at the close of {day}: {now['regime']} ({now['benchmark']}, fitted {now['fitted_on']})",
        "regime", ">probability", ">volatility a year", ">mean return a month", ">a stay lasts", ">share of sessions",
    )  # fmt: skip
    for state in states:
        name = state["state"]
        table.add_row(
            f"[bold]{name}[/]" if name == now["regime"] else name,
            percent(now[f"{name}_probability"], 1),
            percent(state["volatility_annualised"], 1),
            percent(state["mean_return_annualised"] / 12, 1, sign=True),
            f"{state['expected_duration_sessions']:.0f} sessions",
            percent(state["ergodic_share"], 0),
        )
    console.print(table)
    if now["two_state_stress_probability"] is not None:
        console.print(
            f"A model of two regimes gives stress {percent(now['two_state_stress_probability'], 1)}. "
            "Volatility and mean return are those of the years it was fitted on: a description, not a forecast. The mean is "
            "arithmetic, 21 times that of a session.",
            highlight=False,
        )


def _categories(console: Console, day: str, funds: Sequence[Row]) -> None:
    """How many funds each category has, and where its borders are."""
    rules = CategoryRules()
    members = sum(bool(fund["is_member"]) for fund in funds)
    table = grid(
        f"Risk categories at the close of {day}: {members} members of the universe",
        "category", ">members", ">share", ">median vol.", ">other funds", "members, riskiest first",
    )  # fmt: skip
    for category in (*reversed(RISK_CATEGORIES[1:]), None):
        within = [fund for fund in funds if fund["risk_category"] == category]
        inside = [fund for fund in within if fund["is_member"]]
        if category is None and not within:
            continue
        volatility = [v for f in inside if (v := f["volatility_annualised"]) is not None]
        names = ", ".join(fund["ticker"] for fund in inside)
        table.add_row(
            category or "none",
            str(len(inside)),
            percent(len(inside) / members, 0) if members else MISSING,
            percent(median(volatility), 1) if volatility else MISSING,
            str(len(within) - len(inside)),
            names if len(names) < 70 else names[:66].rsplit(",", 1)[0] + ", ...",
        )
    console.print(table)
    limits = (rules.volatility_annualised, rules.cvar_95_annualised, rules.maximum_drawdown)
    medium, high = ([f"{100 * getattr(limit, at):.0f} %" for limit in limits] for at in ("medium", "high"))
    console.print(
        f"MEDIUM begins at a volatility of {medium[0]}, an annualised CVaR of {medium[1]} or a drawdown of {medium[2]}, "
        f"HIGH at {high[0]}, {high[1]} or {high[2]}; a category changes when measures have been {100 * rules.margin:.0f} % "
        f"beyond for {rules.sessions_up} sessions upwards, {rules.sessions_down} downwards. Leveraged funds are HIGH.",
        highlight=False,
    )


def _funds(console: Console, title: str, groups: Iterable[Sequence[Row]]) -> None:
    table = grid(
        title, "ticker", "name", "category", ">vol. 1", ">vol. 5", ">vol. 21", "model", ">CVaR 95", ">drawdown",
        ">deepest", ">beta", ">spread bps",
    )  # fmt: skip
    # Where the screen is too narrow the names give way; no number is cut.
    table.columns[1].no_wrap, table.columns[1].max_width = False, 24
    for group in groups:
        table.add_section()
        for f in group:
            table.add_row(
                f["ticker"], Text(f["name"] or "", no_wrap=True, overflow="ellipsis"), f["risk_category"] or "none",
                known(f["volatility_1_annualised"], pct), known(f["volatility_5_annualised"], pct),
                known(f["volatility_annualised"], pct), f["volatility_model"], known(f["cvar_95"], pct2),
                known(f["drawdown"], pct), known(f["maximum_drawdown_756"], pct), known(f["beta"], ratio), spread(f),
            )  # fmt: skip
    console.print(table)


def records(connection: duckdb.DuckDBPyConnection, query: str, *values: object) -> list[Row]:
    """A query's rows as dictionaries."""
    answer = connection.execute(query, list(values))
    names = [column[0] for column in answer.description or ()]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def one(connection: duckdb.DuckDBPyConnection, query: str, *values: object) -> Row | None:
    """The first row of a query, or None."""
    rows = records(connection, query, *values)
    return rows[0] if rows else None


def grid(title: str, *columns: str) -> Table:
    """A table whose columns do not wrap; those written ``>name`` are aligned to the right."""
    table = Table(title=f"\n{title}", title_justify="left")
    for column in columns:
        table.add_column(
            column.removeprefix(">"), justify="right" if column.startswith(">") else "left", no_wrap=True
        )
    return table


def known(value: float | None, show: Callable[[float], str]) -> str:
    """The value as ``show`` writes it, or the sign for a missing one."""
    return MISSING if value is None else show(value)


def pct(value: float) -> str:
    """A fraction as a percentage with one decimal; two where one would hide it."""
    return percent(value, 2 if 0 < abs(value) < 0.01 else 1)


def pct2(value: float) -> str:
    """A fraction as a percentage with two decimals; three where two would hide it."""
    return percent(value, 3 if 0 < abs(value) < 0.001 else 2)


def ratio(value: float) -> str:
    """Two decimals."""
    return f"{value:.2f}"


def bps(value: float) -> str:
    """A fraction in hundredths of a per cent."""
    return f"{10_000 * value:.1f}"


def spread(fund: Row) -> str:
    """Spread and its 95 % interval in hundredths of a per cent; too small to be seen: what it is probably below."""
    if fund["spread"] is None:
        return MISSING
    lower, upper = fund["spread_lower"], fund["spread_upper"]
    if fund["spread"] <= 0.0:
        return f"below {bps(upper)}" if upper else "not seen"
    return bps(fund["spread"]) + ("" if upper is None else f" ({bps(lower)} to {bps(upper)})")


def clipped(text: str, width: int) -> str:
    """Text for one cell, shortened and safe from markup."""
    return escape(text if len(text) <= width else text[: width - 1].rstrip() + "…")
