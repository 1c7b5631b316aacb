"""How well one fund's forecasts of volatility and value at risk have done, as ``etf risk TICKER`` prints it."""

from __future__ import annotations

import duckdb
from rich.console import Console

from etf_pipeline.risk_report import MISSING, Row, grid, known, records

YEARS_SHOWN = 8
BASELINES = ("rolling_63", "rolling_252", "ewma")


def print_track_record(
    connection: duckdb.DuckDBPyConnection, console: Console, ticker: str, day: str
) -> None:
    """Print QLIKE against simple forecasts and Kupiec's verdict, of the years that were over on ``day``."""
    _volatility(connection, console, ticker, day)
    _value_at_risk(connection, console, ticker, day)


def _volatility(connection: duckdb.DuckDBPyConnection, console: Console, ticker: str, day: str) -> None:
    rows = records(
        connection,
        """
        SELECT t.year, t.scope, t.horizon, t.history, t.observations, any_value(l.qlike) AS qlike,
               map_from_entries(list((baseline, {'better_by': -qlike_difference, 'p': qlike_p_value}))) AS against
        FROM validation.volatility_tests t
        JOIN validation.volatility_losses l USING (ticker, year, scope, horizon, history, model)
        WHERE t.ticker = ? AND t.session <= ?::DATE AND t.model IN ('served', 'ewma_shrunk') AND t.observations > 0
        GROUP BY ALL ORDER BY t.scope DESC, t.horizon, t.year, t.history DESC
        """,
        ticker,
        day,
    )
    newest = max((row["year"] for row in rows), default=0)
    years = [r for r in rows if r["scope"] == "year" and r["horizon"] == 1][-YEARS_SHOWN:]
    to_date = [r for r in rows if r["scope"] == "to_date" and r["year"] == newest]
    if not years:
        console.print(
            "No track record of the volatility forecasts yet: it is made of complete calendar years.",
            highlight=False,
        )
        return
    table = grid(
        "Was the volatility forecast better than a simple one? Served QLIKE, and by how much it is smaller",
        "years", "history", ">sessions ahead", ">days", ">QLIKE",
        *(f">than {name}" for name in ("63-day std. dev.", "252-day std. dev.", "EWMA")),
    )  # fmt: skip
    for group in (years, to_date):
        table.add_section()
        for row in group:
            label = str(row["year"]) if row["scope"] == "year" else f"all to {row['year']}"
            table.add_row(
                label, row["history"], str(row["horizon"]), str(row["observations"]),
                known(row["qlike"], lambda v: f"{v:.3f}"),
                *(_margin(row["against"].get(name)) for name in BASELINES),
            )  # fmt: skip
    console.print(table)
    console.print(
        "Positive: the forecast was the better one. * is significant at 5 %, ** at 1 % (Diebold-Mariano). Short history: "
        "before there was a GARCH model, when an EWMA drawn towards the fund's peers served.",
        highlight=False,
    )


def _margin(against: Row | None) -> str:
    """Loss saved, with a star where it or the loss added is no accident."""
    if against is None or against["better_by"] is None:
        return MISSING
    p = against["p"]
    stars = "" if p is None else "**" if p < 0.01 else "*" if p < 0.05 else ""
    return f"{against['better_by']:+.3f}{stars:<2}"


def _value_at_risk(connection: duckdb.DuckDBPyConnection, console: Console, ticker: str, day: str) -> None:
    rows = records(
        connection,
        "SELECT * FROM validation.value_at_risk WHERE ticker = ? AND session <= ?::DATE AND model = 'served' "
        "QUALIFY bool_or(judged) OVER (PARTITION BY scope, year) ORDER BY scope DESC, year, level",
        ticker,
        day,
    )
    newest = max((row["year"] for row in rows), default=0)
    years = [r for r in rows if r["scope"] == "year"][-2 * YEARS_SHOWN :]
    to_date = [r for r in rows if r["scope"] == "to_date" and r["year"] == newest]
    if not years:
        console.print(
            "No track record of the value at risk yet: it is made of complete calendar years.",
            highlight=False,
        )
        return
    table = grid(
        "How often was the value at risk exceeded? Served model", "years", ">days",
        ">95 %: exceeded", ">expected", ">accepted", "Kupiec", ">99 %: exceeded", ">expected", ">accepted", "Kupiec",
    )  # fmt: skip
    for group in (years, to_date):
        table.add_section()
        by_year: dict[int, list[Row]] = {}
        for row in group:
            by_year.setdefault(row["year"], []).append(row)
        for year, levels in by_year.items():
            label = str(year) if levels[0]["scope"] == "year" else f"all to {year}"
            table.add_row(
                label, str(levels[0]["observations"]), *(cell for row in levels for cell in _coverage(row))
            )
    console.print(table)
    console.print(
        "Accepted are the counts that Kupiec's test does not reject at 5 %: with more the value at risk was too mild, "
        "with fewer too cautious. A year is judged if one exception or more was to be expected.",
        highlight=False,
    )


def _coverage(row: Row) -> tuple[str, str, str, str]:
    exceeded, expected = str(row["exceptions"]), f"{row['expected_exceptions']:.1f}"
    if not row["judged"]:
        return exceeded, expected, MISSING, "too few days"
    verdict = (
        "too mild" if row["exceptions"] > row["highest_accepted"]
        else "too cautious" if row["exceptions"] < row["lowest_accepted"]
        else "as stated"
    )  # fmt: skip
    accepted = f"{row['lowest_accepted']} to {row['highest_accepted']}"
    return exceeded, expected, accepted, verdict
