"""What ``etf exposure TICKER`` prints: one fund's loadings by every model and span, their path, and its style mix."""

from __future__ import annotations

from typing import Any

import duckdb
from rich.console import Console
from rich.markup import escape

from etf_pipeline.attribution_evidence import (
    STAR_FROM,
    NoAttributionError,
    Row,
    fund_or_error,
    loading,
    month_end,
    print_fund,
    say_if_simulated,
    tell,
    unsigned_zero,
)
from etf_pipeline.backtest_evidence import records
from etf_pipeline.exposure_report import HEADERS, HOUSE, PUBLISHED
from etf_pipeline.risk_report import grid, known, pct, ratio

SPANS = {"rolling": "last 252 sessions", "to_date": "all so far"}
YEARS_SHOWN = 15


def exposure_card(
    connection: duckdb.DuckDBPyConnection, console: Console, *, ticker: str, session: str | None
) -> None:
    """Print each model's newest estimate with errors and shrinkage, the loadings at years' ends, and the style mix.

    Raises
    ------
    NoAttributionError : no such fund up to the session, or nothing has exposures so early.
    """
    end = month_end(connection, "factor_exposure", session)
    fund = fund_or_error(connection, ticker, session or end)
    rows = records(
        connection,
        "attribution.factor_exposure",
        "SELECT *, session::VARCHAR AS day FROM attribution.factor_exposure WHERE ticker = ? AND session <= ?::DATE "
        "QUALIFY session = max(session) OVER (PARTITION BY model, span) ORDER BY is_main DESC, model",
        [ticker, end],
    )
    if not rows:
        raise NoAttributionError(
            f"{ticker} has no exposures up to {end}: a regression needs half a year of returns within 252 sessions on days "
            f"on which the factors are known; it has {fund['observed_sessions']} observed sessions by {fund['last_seen']}"
        )
    say_if_simulated(connection, console)
    print_fund(console, fund, f"exposures known at the close of {session or end}")
    models: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        models.setdefault(row["model"], {}).setdefault(row["span"], []).append(row)
    for model, spans in models.items():
        _print_model(connection, console, model, spans, end)
    tell(
        console,
        "Error: Newey-West, robust to the overlap of returns. Shrunk: the posterior mean that draws the loading to the "
        "fund's asset class by as much as its own error asks; own is the weight of its own estimate. [bold]Bold with *[/]: "
        f"|t| of {STAR_FROM:.0f} or more.",
    )
    _print_path(connection, console, ticker, rows, end)
    _print_styles(connection, console, ticker, end)


def _print_model(
    connection: duckdb.DuckDBPyConnection,
    console: Console,
    model: str,
    spans: dict[str, list[dict[str, Any]]],
    end: str,
) -> None:
    held = [span for span in SPANS if span in spans]
    main = spans[held[0]][0]["is_main"]
    table = grid(
        f"{model}{', the main model of its class' if main else ''}",
        "factor",
        *(
            h
            for span in held
            for h in (f">{SPANS[span]}\nloading", ">\nerror", ">\nt", ">\nshrunk", ">\nown")
        ),
    )
    by_span = {span: {row["factor"]: row for row in spans[span]} for span in held}
    for name in _in_order({name for rows in by_span.values() for name in rows}):
        cells = []
        for span in held:
            row = by_span[span].get(name) or {}
            cells += [
                loading(row.get("loading"), row.get("t_value")),
                known(row.get("standard_error"), _three),
                known(row.get("t_value"), lambda v: f"{v:.1f}"),
                known(row.get("shrunk_loading"), _three),
                known(row.get("own_weight"), lambda v: f"{100 * v:.0f} %"),
            ]
        table.add_row(escape(name), *cells)
    console.print(table)
    for span in held:
        row = spans[span][0]
        tell(
            console,
            f"{SPANS[span].capitalize()}, at {row['day']}: alpha {known(row['alpha_annualised'], pct)} a year (t "
            f"{known(row['alpha_t_value'], lambda v: f'{v:.1f}')}), R2 {known(row['r_squared'], ratio)}, volatility of the "
            f"rest {known(row['residual_volatility_annualised'], pct)}; {row['observations']} returns since "
            f"{row['window_start']}.",
        )
    tell(console, _how(spans[held[0]][0]))
    newest = spans[held[0]][0]["day"]
    if newest < end:
        tell(console, _why_it_ends(connection, model, newest, end))


def _how(row: Row) -> str:
    """How the regression is made: what a return spans, the lag, the currency, and as of when the factors are read."""
    sessions = row["return_sessions"]
    spans = "one session" if sessions == 1 else f"{sessions} sessions, overlapping"
    lag = "on the same date" if not row["lag_days"] else f"{row['lag_days']} day late"
    currency = (
        "returns were converted into the factors' currency" if row["converted"] else "nothing is converted"
    )
    known_at = (
        "the factors are the house's own series"
        if row["factors_known_at"] is None
        else f"the factors are read as known at {row['factors_known_at']:%Y-%m-%d %H:%M} UTC"
    )
    return f"Each return spans {spans}; the market sees the factors' day {lag}; {currency}; {known_at}."


def _why_it_ends(connection: duckdb.DuckDBPyConnection, model: str, newest: str, end: str) -> str:
    last = records(
        connection,
        "attribution.factor_exposure",
        "SELECT max(session)::VARCHAR AS last FROM attribution.factor_exposure WHERE model = ? AND session <= ?::DATE",
        [model, end],
    )[0]["last"]
    if last == newest:
        return f"Nothing later than {newest}: the factors published by {end} end there."
    return f"Nothing later than {newest}: too few of its returns since meet the factors."


def _print_path(
    connection: duckdb.DuckDBPyConnection,
    console: Console,
    ticker: str,
    rows: list[dict[str, Any]],
    end: str,
) -> None:
    """The year's loadings at years' ends: of the main model; of the house's where that ends earlier."""
    newest = max(
        (r for r in rows if r["is_main"] or r["model"] == "house"), key=lambda r: (r["day"], r["is_main"])
    )
    model = newest["model"]
    path = records(
        connection,
        "attribution.rolling_exposure",
        "SELECT *, session::VARCHAR AS day FROM attribution.rolling_exposure WHERE ticker = ? AND model = ? "
        "AND session <= ?::DATE QUALIFY session = max(session) OVER (PARTITION BY year(session)) ORDER BY session",
        [ticker, model, end],
    )[-YEARS_SHOWN:]
    factors = [n for n in (*PUBLISHED, *HOUSE) if any(row[n] is not None for row in path)]
    if not factors:
        tell(console, f"No path of {model}: it has no estimate at a close.")
        return
    table = grid(
        f"The path of its loadings: {model}, over the 252 sessions to each year's last",
        "session", *(f">{HEADERS[n]}" for n in factors), ">alpha a year", ">R2", ">returns",
    )  # fmt: skip
    for row in path:
        table.add_row(
            row["day"], *(known(row[n], lambda v: unsigned_zero(v, 2)) for n in factors),
            known(row["alpha_annualised"], pct), known(row["r_squared"], ratio), str(row["observations"]),
        )  # fmt: skip
    console.print(table)


def _print_styles(connection: duckdb.DuckDBPyConnection, console: Console, ticker: str, end: str) -> None:
    rows = records(
        connection,
        "attribution.style_weights",
        "SELECT * FROM attribution.style_weights WHERE ticker = ? AND session <= ?::DATE "
        "QUALIFY session = max(session) OVER () ORDER BY weight DESC",
        [ticker, end],
    )
    if not rows:
        return
    table = grid(f"What mix it moves like at {rows[0]['session']}", "asset class", ">weight", ">error", "")
    for row in rows:
        table.add_row(
            escape(row["style"].replace("_", " ")), f"{100 * row['weight']:.0f} %",
            known(row["standard_error"], lambda v: f"{100 * v:.0f} %"), "#" * round(20 * row["weight"]),
        )  # fmt: skip
    console.print(table)
    tell(
        console,
        f"The best mix of at most five classes (Sharpe 1992); it explains {100 * rows[0]['r_squared']:.0f} % of the "
        f"variance of {rows[0]['observations']} returns{'; too little to go by' if rows[0]['r_squared'] < 0.5 else ''}.",
    )


def _three(value: float) -> str:
    return unsigned_zero(value, 3)


def _in_order(names: set[str]) -> list[str]:
    first = [name for name in (*PUBLISHED, *HOUSE) if name in names]
    return first + sorted(names - set(first))
