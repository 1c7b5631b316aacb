"""What ``etf exposure`` and ``etf stress`` share: which session is shown, which funds, and how factors are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
from rich.console import Console
from rich.markup import escape

from etf_pipeline.backtest_evidence import records
from etf_pipeline.reports import SIMULATED, is_simulated, unknown_fund
from etf_pipeline.risk_report import MISSING, known

Row = Mapping[str, Any]

ACCOUNTS = {"top_ranked": "top_ranked", "benchmark": "market fund"}
"""The accounts that are shown, and what a table calls them."""
STAR_FROM = 2.0
"""Absolute t-value from which a loading is marked."""
FRESH_SESSIONS = 5
STRESS_NAMES = {
    "equity": "equities",
    "rates": "10-year yield",
    "credit": "high-yield spread",
    "currency": "Australian dollar",
    "oil": "oil",
    "volatility": "VIX",
}


class NoAttributionError(LookupError):
    """There is nothing to show for what was asked; the message says what there is."""


def month_end(connection: duckdb.DuckDBPyConnection, table: str, session: str | None) -> str:
    """The newest month's end of a table of ``attribution`` at or before a day, as an ISO date.

    Raises
    ------
    NoAttributionError : the table has no rows, or none so early.
    """
    found = records(
        connection,
        f"attribution.{table}",
        f"SELECT min(session)::VARCHAR AS first, max(session)::VARCHAR AS last, max(session) FILTER (session <= "  # noqa: S608
        f"coalesce(?::DATE, DATE '9999-12-31'))::VARCHAR AS chosen FROM attribution.{table}",
        [session],
    )
    if not found or found[0]["last"] is None:
        raise NoAttributionError(
            f"attribution.{table} has no rows: run `etf build` over more sessions; a fund needs a month's end with half a "
            "year of returns before it"
        )
    if found[0]["chosen"] is None:
        raise NoAttributionError(
            f"no month's end at or before {session} is in attribution.{table}; it has them from {found[0]['first']} to "
            f"{found[0]['last']}"
        )
    return str(found[0]["chosen"])


def first_funds(connection: duckdb.DuckDBPyConnection, session: str | None, top: int) -> list[dict[str, Any]]:
    """The best-ranked funds of the newest ranking at or before a day: ``session`` (ISO), ``rank``, ``ticker``, ``name``,
    ``observed_sessions``; none where nothing is ranked so early.
    """
    return records(
        connection,
        "scoring.composite_ranking",
        "SELECT r.session::VARCHAR AS session, r.rank, r.ticker, l.name, u.observed_sessions "
        "FROM scoring.composite_ranking r "
        "LEFT JOIN raw.listings_as_of(TIMESTAMP '9999-12-31') l USING (ticker) "
        "LEFT JOIN market.universe u USING (ticker, session) "
        "WHERE r.rank <= $2 AND r.session = (SELECT max(session) FROM scoring.composite_ranking WHERE rank IS NOT NULL "
        "AND session <= coalesce($1::DATE, DATE '9999-12-31')) ORDER BY r.rank",
        [session, top],
    )


def fund_or_error(connection: duckdb.DuckDBPyConnection, ticker: str, day: str) -> dict[str, Any]:
    """What is known of a fund: ``ticker``, ``name``, ``asset_class``, and its newest session so far.

    Raises
    ------
    NoAttributionError : the fund has no session up to the day.
    """
    found = records(
        connection,
        "market.universe",
        "SELECT u.ticker, l.name, l.asset_class, u.session::VARCHAR AS last_seen, u.observed_sessions, u.stale_sessions "
        "FROM market.universe u LEFT JOIN raw.listings_as_of(TIMESTAMP '9999-12-31') l USING (ticker) "
        "WHERE ticker = ? AND session <= ?::DATE ORDER BY session DESC LIMIT 1",
        [ticker, day],
    )
    if not found:
        raise NoAttributionError(unknown_fund(connection, ticker, day))
    return found[0]


def print_fund(console: Console, fund: Row, what: str) -> None:
    """The line that a fund's card begins with."""
    kind = f" ({fund['asset_class'].replace('_', ' ')})" if fund["asset_class"] else " (asset class unknown)"
    tell(console, f"[bold]{escape(fund['ticker'])}[/] {escape(fund['name'] or '')}{kind}, {what}")
    if (fund["stale_sessions"] or 0) > FRESH_SESSIONS:
        tell(
            console,
            f"At {fund['last_seen']} its last bar is {fund['stale_sessions']} sessions old: nothing here knows later ones.",
        )


def say_if_simulated(connection: duckdb.DuckDBPyConnection, console: Console) -> None:
    """The warning that comes first where anything is invented."""
    if is_simulated(connection):
        console.print(f"[bold yellow]{SIMULATED}[/]")


def say_if_replays_are_invented(connection: duckdb.DuckDBPyConnection, console: Console) -> None:
    """What a replay is where the market is invented: a window of dates, and no crisis."""
    if is_simulated(connection):
        tell(
            console,
            "The market is invented: a replay is what it did on those dates, and has nothing of the crisis.",
        )


def tell(console: Console, text: str) -> None:
    """A sentence below a table; markup counts."""
    console.print(text, highlight=False)


def few_of(connection: duckdb.DuckDBPyConnection, table: str, day: str) -> str:
    """A sentence where a month's end has far fewer funds than one of the year before it; else nothing."""
    counts = records(
        connection,
        f"attribution.{table}",
        f"SELECT session::VARCHAR AS session, count(DISTINCT ticker) AS funds FROM attribution.{table} "  # noqa: S608
        "WHERE session BETWEEN ?::DATE - INTERVAL 1 YEAR AND ?::DATE GROUP BY 1 ORDER BY funds DESC, session DESC",
        [day, day],
    )
    at = next((row["funds"] for row in counts if row["session"] == day), 0)
    if not counts or at >= 0.7 * counts[0]["funds"]:
        return ""
    fullest = counts[0]
    return (
        f"Only {at} funds have rows at {day}, of {fullest['funds']} at {fullest['session']}: the source covers part of the "
        f"market by then. --session {fullest['session']} shows the fuller one."
    )


def loading(value: float | None, t_value: float | None) -> str:
    """A loading, bold and with a star where it is told from none; the star's place is kept, so that points align."""
    if value is None:
        return MISSING + " "
    text = unsigned_zero(value, 2 if abs(value) >= 0.095 else 3)
    return f"[bold]{text}*[/]" if t_value is not None and abs(t_value) >= STAR_FROM else f"{text} "


def t_text(value: float | None) -> str:
    """A t-value in parentheses; its decimal is given up where it no longer matters."""
    return "" if value is None else f"({value:.1f})" if abs(value) < 100 else f"({value:.0f})"


def unsigned_zero(value: float, digits: int) -> str:
    """A number with so many decimals, without a minus on what rounds to nothing."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def tenths(value: float | None) -> str:
    """A fraction in per cent without the sign for it, one decimal."""
    return known(value, lambda v: unsigned_zero(100 * v, 1))


def interval(low: float | None, high: float | None) -> str:
    """Two fractions as a range in per cent."""
    return MISSING if low is None or high is None else f"{tenths(low)} to {tenths(high)}"


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
