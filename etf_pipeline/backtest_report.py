"""What ``etf backtest`` and ``etf doctor`` print, read from the published snapshot."""

from __future__ import annotations

import duckdb
from rich.console import Console
from rich.markup import escape

from etf_pipeline.backtest_evidence import YARDSTICKS, NoBacktestError, gather, records, strategy_or_error
from etf_pipeline.reports import SIMULATED, is_simulated, percent
from etf_pipeline.risk_report import MISSING, clipped, grid, known, pct, pct2, ratio
from etf_pipeline.verdict import Verdict, judge

COLOURS = {"yes": "green", "no": "red", "unknown": "yellow"}
OUTCOMES = {True: "[green]ruled out[/]", False: "[red]not ruled out[/]", None: "[yellow]not known[/]"}
GATES = {"pass": "[green]pass[/]", "fail": "[red]fail[/]"}


def backtest_overview(
    connection: duckdb.DuckDBPyConnection, console: Console, *, strategy: str, trades: str | None = None
) -> None:
    """Print the verdict on a strategy, its figures beside its yardsticks, its years; or one session's trades.

    Raises
    ------
    NoBacktestError : no such strategy, or no trades on the session.
    """
    strategy = strategy_or_error(connection, strategy)
    simulated = is_simulated(connection)
    if trades is not None:
        # Refused before anything is printed.
        rows = _trades_of(connection, strategy, trades)
        if simulated:
            console.print(f"[bold yellow]{SIMULATED}[/]")
        _print_trades(console, strategy, trades, rows)
        return
    if simulated:
        console.print(f"[bold yellow]{SIMULATED}[/]")
    verdict = judge(gather(connection, strategy))
    console.print(f"[bold {COLOURS[verdict.answer]}]{escape(verdict.headline)}[/]", highlight=False)
    for sentence in verdict.sentences:
        console.print(f"  {escape(sentence)}", highlight=False)
    _to_date(connection, console, strategy)
    _years(connection, console, strategy)
    _luck(connection, console, strategy, verdict)
    console.print(
        "Returns are a year, after half spreads and price impact; gross is before them. Ahead is over the market fund; "
        "beaten the share of portfolios drawn at random from the same funds. [bold]etf report[/] writes all this as a page, "
        "[bold]etf backtest --trades SESSION[/] shows what was traded, [bold]etf doctor[/] whether it may be traded on.",
        highlight=False,
    )


def _to_date(connection: duckdb.DuckDBPyConnection, console: Console, strategy: str) -> None:
    rows = records(
        connection,
        "validation.backtest_summary",
        "SELECT * FROM validation.backtest_summary WHERE scope = 'to_date' "
        "QUALIFY row_number() OVER (PARTITION BY strategy ORDER BY year DESC) = 1 "
        "ORDER BY strategy <> ?, list_contains(?, strategy), strategy",
        [strategy, list(YARDSTICKS)],
    )
    if not rows:
        console.print(
            "No calendar year of the account is complete: there are no figures yet.", highlight=False
        )
        return
    table = grid(
        f"Strategies and what they are held against, to the end of {rows[0]['year']}",
        "strategy", ">return", ">gross", ">low costs", ">high costs", ">vol.", ">Sharpe", ">Sortino", ">drawdown",
        ">ahead", ">beta", ">turnover", ">cash",
    )  # fmt: skip
    for r in rows:
        table.add_row(
            r["strategy"], known(r["annual_return"], pct), known(r["gross_annual_return"], pct),
            known(r["annual_return_low_costs"], pct), known(r["annual_return_high_costs"], pct),
            known(r["volatility_annualised"], pct), known(r["sharpe"], ratio), known(r["sortino"], ratio),
            known(r["maximum_drawdown"], pct), known(r["excess_annual_return"], _ahead), known(r["beta"], ratio),
            known(r["traded_annual"], ratio), known(r["average_cash_share"], pct),
        )  # fmt: skip
    console.print(table)


def _years(connection: duckdb.DuckDBPyConnection, console: Console, strategy: str) -> None:
    rows = records(
        connection,
        "validation.backtest_summary",
        "SELECT s.*, r.beaten_in_return, r.beaten_in_sharpe, b.annual_return AS everyone "
        "FROM validation.backtest_summary s "
        "LEFT JOIN validation.random_portfolios r USING (strategy, year, scope) "
        "LEFT JOIN validation.backtest_summary b ON b.strategy = 'equal_weight' AND b.year = s.year AND b.scope = s.scope "
        "WHERE s.strategy = ? AND s.scope = 'year' ORDER BY s.year",
        [strategy],
    )
    if not rows:
        return
    table = grid(
        f"{strategy} by year",
        "year", ">return", ">market fund", ">ahead", ">all funds", ">Sharpe", ">drawdown", ">gross", ">spread", ">impact",
        ">haircut", ">turnover", ">beaten",
    )  # fmt: skip
    for r in rows:
        table.add_row(
            str(r["year"]), known(r["annual_return"], pct), known(r["benchmark_annual_return"], pct),
            known(r["excess_annual_return"], _ahead), known(r["everyone"], pct), known(r["sharpe"], ratio),
            known(r["maximum_drawdown"], pct), known(r["gross_annual_return"], pct),
            known(r["spread_cost_annual"], pct2), known(r["impact_cost_annual"], pct2),
            known(r["haircut_annual"], pct2), known(r["traded_annual"], ratio), known(r["beaten_in_return"], _whole),
        )  # fmt: skip
    console.print(table)


def _luck(connection: duckdb.DuckDBPyConnection, console: Console, strategy: str, verdict: Verdict) -> None:
    table = grid("Is it luck?", "explanation other than skill", "outcome")
    for test in verdict.tests:
        table.add_row(escape(test.name), OUTCOMES[test.passed])
    console.print(table)
    rows = records(
        connection,
        "validation.significance",
        "SELECT * FROM validation.significance WHERE strategy = ? "
        "QUALIFY row_number() OVER (PARTITION BY against ORDER BY year DESC) = 1 "
        "ORDER BY list_position(['cash', 'benchmark', 'equal_weight'], against), against",
        [strategy],
    )
    if not rows:
        return
    table = grid(
        "Sharpe ratio over each yardstick",
        "over", ">Sharpe", ">error", ">95 % interval", ">best by luck", ">deflated", ">p of the difference", ">alpha",
        ">t", ">years", ">years needed",
    )  # fmt: skip
    for r in rows:
        between = (
            MISSING
            if r["sharpe_lower"] is None or r["sharpe_upper"] is None
            else f"{r['sharpe_lower']:.2f} to {r['sharpe_upper']:.2f}"
        )
        table.add_row(
            r["against"], known(r["sharpe"], ratio), known(r["sharpe_standard_error"], ratio), between,
            known(r["expected_maximum_sharpe"], ratio), known(r["deflated_sharpe"], _whole),
            known(r["difference_p_value"], ratio), known(r["alpha_annual"], pct), known(r["alpha_t_value"], ratio),
            known(r["years"], lambda v: f"{v:.1f}"), known(r["years_for_power"], lambda v: f"{v:,.0f}"),
        )  # fmt: skip
    console.print(table)


def _trades_of(connection: duckdb.DuckDBPyConnection, strategy: str, session: str) -> list[dict[str, object]]:
    rows = records(
        connection,
        "validation.backtest_trades",
        "SELECT t.*, l.name FROM validation.backtest_trades t "
        "LEFT JOIN raw.listings_as_of(TIMESTAMP '9999-12-31') l USING (ticker) "
        "WHERE t.strategy = ? AND t.session = ?::DATE ORDER BY t.value < 0, abs(t.value) DESC, t.ticker, t.kind",
        [strategy, session],
    )
    if rows:
        return rows
    near = records(
        connection,
        "validation.backtest_trades",
        "SELECT max(session) FILTER (session < ?::DATE) AS earlier, min(session) FILTER (session > ?::DATE) AS later "
        "FROM validation.backtest_trades WHERE strategy = ?",
        [session, session, strategy],
    )
    days = [str(day) for day in (near[0]["earlier"], near[0]["later"]) if day] if near else []
    raise NoBacktestError(
        f"{strategy} did not trade on {session}; "
        + (f"it did on {' and '.join(days)}" if days else "it has no trades at all")
    )


def _print_trades(console: Console, strategy: str, session: str, rows: list[dict[str, object]]) -> None:
    table = grid(
        f"Trades of {strategy} on {session}",
        "ticker", "name", "kind", ">units", ">price", ">value", ">spread", ">impact",
    )  # fmt: skip
    for r in rows:
        table.add_row(
            escape(str(r["ticker"])), clipped(str(r["name"] or ""), 30), escape(str(r["kind"])), f"{r['units']:,.2f}",
            f"{r['price']:,.4f}", f"{r['value']:,.2f}", f"{r['spread_cost']:,.2f}", f"{r['impact_cost']:,.2f}",
        )  # fmt: skip
    values = [float(str(r["value"])) for r in rows]
    paid = sum(float(str(r["spread_cost"])) + float(str(r["impact_cost"])) for r in rows)
    console.print(table)
    bought, sold = sum(v for v in values if v > 0), -sum(v for v in values if v < 0)
    console.print(
        f"Bought {bought:,.2f}, sold {sold:,.2f}, paid {paid:,.2f} in spread and impact, in the quote currency.",
        highlight=False,
    )


def readiness_report(connection: duckdb.DuckDBPyConnection, console: Console) -> int:
    """Print every gate as it stood when last asked.

    Returns
    -------
    Gates that are not passed, failed or unknown: what is not known permits nothing.

    Raises
    ------
    NoBacktestError : no gate was ever asked.
    """
    rows = records(
        connection,
        "validation.readiness",
        "SELECT * FROM validation.readiness WHERE session = (SELECT max(session) FROM validation.readiness) ORDER BY gate",
    )
    if not rows:
        raise NoBacktestError("no readiness gate was asked in this warehouse: run `etf build`")
    if is_simulated(connection):
        console.print(f"[bold yellow]{SIMULATED}[/]")
    table = grid(
        f"May it be traded on? Gates at {rows[0]['session']}",
        "gate", "must hold", ">value", ">threshold", "verdict", "what it says",
    )  # fmt: skip
    table.columns[1].no_wrap = table.columns[-1].no_wrap = False
    for r in rows:
        table.add_row(
            escape(r["gate"]), escape(r["requirement"]), known(r["value"], _short), known(r["threshold"], _short),
            GATES.get(r["verdict"], f"[yellow]{escape(r['verdict'])}[/]"), escape(r["explanation"]),
        )  # fmt: skip
    console.print(table)
    refused = [r for r in rows if r["verdict"] != "pass"]
    for r in refused:
        console.print(
            f"{r['gate']}: {r['question']}\n  {r['evidence']}", markup=False, highlight=False, soft_wrap=True
        )
    failed = sum(r["verdict"] == "fail" for r in rows)
    console.print(
        f"[bold green]All {len(rows)} gates are passed.[/]"
        if not refused
        else f"[bold red]Not ready:[/] of {len(rows)} gates {failed} failed, {len(refused) - failed} are unknown.",
        highlight=False,
    )
    return len(refused)


def _ahead(value: float) -> str:
    return percent(value, 1, sign=True)


def _whole(value: float) -> str:
    return percent(value, 0)


def _short(value: float) -> str:
    return f"{value:,.4g}"
