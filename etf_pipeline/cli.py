"""The ``etf`` command: a thin layer over the same jobs and tables the Dagster UI and SQL show."""

from __future__ import annotations

import logging
import os
import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from etf_pipeline.settings import SettingsError, load_settings

app = typer.Typer(
    help="Rank exchange-traded funds from point-in-time data, and say why.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
# Not a terminal: a table should not be squeezed into eighty columns.
console = Console(width=None if sys.stdout.isatty() else 150)
# Nor should a message be broken in the middle of a path or a command.
error_console = Console(stderr=True, soft_wrap=True)

Market = Annotated[str | None, typer.Option(help="asx or us")]
SourceOption = Annotated[str | None, typer.Option(help="simulated, files or yahoo")]
PathOption = Annotated[Path | None, typer.Option(help="files source: a file or a directory")]
WarehouseOption = Annotated[Path | None, typer.Option(help="directory of the DuckDB files")]
StrategyOption = Annotated[str, typer.Option(help="top_ranked or top_ranked_sized")]


class CommandError(ValueError):
    """What was asked for cannot be done; the message says what can."""


def configure(**options: Any) -> None:
    """Hand the command's options to everything that reads the settings, and check them at once."""
    for name, value in options.items():
        if value is not None:
            os.environ[f"ETF_{name.upper()}"] = str(value)
    load_settings()


@app.command()
def build(
    market: Market = None,
    source: SourceOption = None,
    path: PathOption = None,
    warehouse: WarehouseOption = None,
    adjusted: Annotated[bool | None, typer.Option(help="files: prices are already adjusted")] = None,
    known_at: Annotated[
        str | None, typer.Option(help="files: when downloaded, e.g. 2021-01-27T08:00Z")
    ] = None,
    reference_path: Annotated[
        Path | None, typer.Option(help="files: directory of VIX, yields, rates")
    ] = None,
    factor_path: Annotated[
        Path | None, typer.Option(help="directory of factor returns, as Ken French's files")
    ] = None,
    universe_file: Annotated[Path | None, typer.Option(help="CSV of tickers, names, classes")] = None,
    benchmark: Annotated[str | None, typer.Option(help="market ETF")] = None,
    start: Annotated[str | None, typer.Option(help="first session to load, YYYY-MM-DD")] = None,
    end: Annotated[str | None, typer.Option(help="last session to load, YYYY-MM-DD")] = None,
    refetch: Annotated[bool | None, typer.Option(help="ask again for what is stored")] = None,
    quiet: Annotated[bool, typer.Option(help="only warnings")] = False,
) -> None:
    """Materialise everything, from raw bars to the ranking."""
    configure(
        market=market, source=source, path=path, warehouse=warehouse, adjusted=adjusted, known_at=known_at,
        reference_path=reference_path, factor_path=factor_path, universe_file=universe_file, benchmark=benchmark,
        start=start, end=end, refetch=refetch,
    )  # fmt: skip
    _source_opens()
    _run_job("build", None, quiet)


@app.command()
def daily(
    session: Annotated[
        str | None, typer.Argument(help="YYYY-MM-DD; the last final session by default")
    ] = None,
    market: Market = None,
    source: SourceOption = None,
    path: PathOption = None,
    warehouse: WarehouseOption = None,
    quiet: Annotated[bool, typer.Option(help="only warnings")] = False,
) -> None:
    """One session: bring in its bars, recompute, publish its ranking."""
    configure(market=market, source=source, path=path, warehouse=warehouse)
    asked = _day(session)
    _source_opens()
    from etf_pipeline.runner import session_to_run

    try:
        day = session_to_run(load_settings(), asked)
    except ValueError as error:
        raise CommandError(str(error)) from error
    _run_job("daily", day, quiet)


@app.command()
def rank(
    top: Annotated[int, typer.Option(help="how many funds", min=1)] = 20,
    session: Annotated[str | None, typer.Option(help="YYYY-MM-DD; the newest by default")] = None,
    excluded: Annotated[bool, typer.Option(help="show those left out, with the reason")] = False,
    warehouse: WarehouseOption = None,
) -> None:
    """Print the ranking."""
    configure(warehouse=warehouse)
    day = _day(session)
    from etf_pipeline.reports import ranking

    with _published().read_published() as connection:
        ranking(connection, console, top=top, session=day, excluded=excluded)


@app.command()
def explain(
    ticker: Annotated[str, typer.Argument(help="a fund, e.g. VAS.AX")],
    session: Annotated[str | None, typer.Option(help="YYYY-MM-DD; the newest by default")] = None,
    warehouse: WarehouseOption = None,
) -> None:
    """Say where a fund stands and how its score came about, from the measures to the position."""
    configure(warehouse=warehouse)
    day = _day(session)
    from etf_pipeline.score_card import explanation

    with _published().read_published() as connection:
        explanation(connection, console, ticker=ticker, session=day)


@app.command()
def risk(
    ticker: Annotated[str | None, typer.Argument(help="a fund, e.g. VAS.AX; none: all of them")] = None,
    session: Annotated[str | None, typer.Option(help="YYYY-MM-DD; the newest by default")] = None,
    top: Annotated[int, typer.Option(help="how many of the riskiest and of the calmest", min=1)] = 10,
    exotic: Annotated[bool, typer.Option(help="also rarer volatility models, fitted now")] = False,
    warehouse: WarehouseOption = None,
) -> None:
    """Show the market's regime and the funds' risk; of one fund, all that is known of its risk."""
    configure(warehouse=warehouse)
    day = _day(session)
    from etf_pipeline.risk_card import risk_card
    from etf_pipeline.risk_report import risk_overview

    with _published().read_published() as connection:
        if ticker is None:
            if exotic:
                raise typer.BadParameter("--exotic is about one fund: name it")
            risk_overview(connection, console, top=top, session=day)
        else:
            risk_card(connection, console, ticker=ticker, session=day, exotic=exotic)


@app.command()
def exposure(
    ticker: Annotated[
        str | None, typer.Argument(help="a fund, e.g. VAS.AX; none: the ranking's first")
    ] = None,
    session: Annotated[str | None, typer.Option(help="YYYY-MM-DD: the newest month's end up to it")] = None,
    top: Annotated[int, typer.Option(help="how many of the ranking", min=1)] = 10,
    short: Annotated[bool, typer.Option("--short", help="one table of the ranking's first funds")] = False,
    warehouse: WarehouseOption = None,
) -> None:
    """Show what funds' returns load on, and what the account's returns and volatility came from."""
    configure(warehouse=warehouse)
    day = _day(session)
    from etf_pipeline.exposure_card import exposure_card
    from etf_pipeline.exposure_report import exposure_overview

    _short_is_of_all(short, ticker)
    with _published().read_published() as connection:
        if ticker is None:
            exposure_overview(connection, console, session=day, top=top, short=short)
        else:
            exposure_card(connection, console, ticker=ticker, session=day)


@app.command()
def stress(
    ticker: Annotated[
        str | None, typer.Argument(help="a fund, e.g. VAS.AX; none: the ranking's first")
    ] = None,
    session: Annotated[str | None, typer.Option(help="YYYY-MM-DD: the newest month's end up to it")] = None,
    top: Annotated[int, typer.Option(help="how many of the ranking", min=1)] = 10,
    short: Annotated[bool, typer.Option("--short", help="one table of the worst scenarios")] = False,
    warehouse: WarehouseOption = None,
) -> None:
    """Show what funds and the account would lose in past crises and supposed shocks, and how sure that is."""
    configure(warehouse=warehouse)
    day = _day(session)
    from etf_pipeline.stress_card import stress_card
    from etf_pipeline.stress_report import stress_overview
    from etf_pipeline.stress_scenarios import read_stress_scenarios

    _short_is_of_all(short, ticker)
    scenarios = read_stress_scenarios(load_settings().attribution.scenario_file)
    with _published().read_published() as connection:
        if ticker is None:
            stress_overview(connection, console, session=day, scenarios=scenarios, top=top, short=short)
        else:
            stress_card(connection, console, ticker=ticker, session=day, scenarios=scenarios)


@app.command()
def backtest(
    strategy: StrategyOption = "top_ranked",
    trades: Annotated[str | None, typer.Option(help="YYYY-MM-DD: what was traded on it")] = None,
    warehouse: WarehouseOption = None,
) -> None:
    """Say what the ranking would have earned, and whether that is luck."""
    configure(warehouse=warehouse)
    day = _day(trades)
    from etf_pipeline.backtest_report import backtest_overview

    with _published().read_published() as connection:
        backtest_overview(connection, console, strategy=strategy, trades=day)


@app.command()
def report(
    strategy: StrategyOption = "top_ranked",
    output: Annotated[
        Path | None, typer.Option(help="file; WAREHOUSE/reports/STRATEGY.html by default")
    ] = None,
    warehouse: WarehouseOption = None,
) -> None:
    """Write the tear sheet of a strategy as one HTML page that opens anywhere, and print its path."""
    configure(warehouse=warehouse)
    from etf_pipeline.tear_sheet import tear_sheet, write_page

    with _published().read_published() as connection:
        page = tear_sheet(connection, strategy)
    typer.echo(write_page(_published().directory, strategy, page, output))


@app.command()
def prove(
    session: Annotated[
        str | None, typer.Argument(help="YYYY-MM-DD to cut at; a year before the newest by default")
    ] = None,
    warehouse: WarehouseOption = None,
) -> None:
    """Cut the raw tier at a session, compute everything again from what is left, and compare every row up to it."""
    configure(warehouse=warehouse)
    day = _day(session)
    from etf_pipeline.defs.resources import Pipeline
    from etf_pipeline.proof import prove as compare
    from etf_pipeline.proof import session_to_cut

    pipeline = Pipeline(load_settings())
    proof = compare(pipeline, session_to_cut(pipeline.warehouse, day), error_console.print)
    if proof.different:
        error_console.print(
            f"[bold red]looked ahead:[/] rows up to {proof.session} differ in {', '.join(proof.different)}",
            highlight=False,
        )
        raise typer.Exit(1)
    console.print(
        f"All rows up to {proof.session} of {proof.tables} tables are the same, bit for bit, whether or not what came "
        "after it is known.",
        highlight=False,
    )


@app.command()
def doctor(warehouse: WarehouseOption = None) -> None:
    """Say whether the ranking may be traded on; exit code 1 where a gate is failed or unknown."""
    configure(warehouse=warehouse)
    from etf_pipeline.backtest_report import readiness_report

    with _published().read_published() as connection:
        if readiness_report(connection, console):
            raise typer.Exit(1)


@app.command()
def sql(
    query: Annotated[str | None, typer.Argument(help="a query; or use --file")] = None,
    file: Annotated[
        Path | None, typer.Option(help="a file with one query, e.g. warehouse/queries/...")
    ] = None,
    param: Annotated[list[str] | None, typer.Option(help="name=value for $name in the query")] = None,
    csv: Annotated[bool, typer.Option(help="plain CSV on standard output")] = False,
    limit: Annotated[int, typer.Option(help="rows shown; 0 for all", min=0)] = 50,
    warehouse: WarehouseOption = None,
) -> None:
    """Ask the published snapshot a question in SQL; it is read-only."""
    configure(warehouse=warehouse)
    if (query is None) == (file is None):
        raise CommandError("give a query or --file, one of the two")
    if query is not None and not query.strip():
        raise CommandError("the query is empty")
    text = query if query is not None else Path(str(file)).read_text(encoding="utf-8")
    wrong = [p for p in param or [] if "=" not in p]
    if wrong:
        raise CommandError(f"--param {wrong[0]}: write name=value, for $name in the query")
    values = dict(p.split("=", 1) for p in param or [])
    from etf_pipeline.reports import answer_query

    with _published().read_published() as connection:
        answer_query(connection, console, text, values, csv_file=sys.stdout if csv else None, limit=limit)


def _day(text: str | None) -> str | None:
    """A session option as an ISO date, or None."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise CommandError(f"session {text}: write a date as YYYY-MM-DD ({error})") from error


def _short_is_of_all(short: bool, ticker: str | None) -> None:
    if short and ticker is not None:
        raise CommandError("--short is about the ranking's first funds: leave the ticker or --short out")


def _source_opens() -> None:
    """Raise at once, before a run begins, where a source cannot be opened: of prices, reference series or factors."""
    from etf_pipeline.sources import open_factor_source, open_reference_source, open_source

    settings = load_settings()
    source = open_source(settings)
    open_reference_source(settings, source)
    open_factor_source(settings, source)


def _published():  # type: ignore[no-untyped-def]
    from etf_pipeline.storage.connection import Warehouse

    return Warehouse(load_settings().warehouse)


def _run_job(name: str, partition: str | None, quiet: bool) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("etf_pipeline").setLevel(logging.WARNING if quiet else logging.INFO)
    from etf_pipeline.runner import run_job

    def tell(line: str) -> None:
        error_console.print(line, markup=False, highlight=False)

    outcome = run_job(name, partition, on_step=None if quiet else tell)
    if not outcome.success:
        error_console.print(f"[bold red]{name} failed:[/] {escape(outcome.message)}", highlight=False)
        raise typer.Exit(1)
    tell(outcome.message)


def main() -> None:
    """Entry point: errors a user can mend are a line, not a traceback."""
    import duckdb

    from etf_pipeline.attribution_evidence import NoAttributionError
    from etf_pipeline.backtest_evidence import NoBacktestError
    from etf_pipeline.proof import ProofError
    from etf_pipeline.reports import NoRiskError, NotRankedError
    from etf_pipeline.sources.base import SourceError
    from etf_pipeline.storage.connection import WarehouseBusyError

    mendable = (
        SettingsError, CommandError, SourceError, WarehouseBusyError, NotRankedError, NoRiskError, NoBacktestError,
        NoAttributionError, ProofError, OSError, UnicodeDecodeError, duckdb.Error,
    )  # fmt: skip
    try:
        app()
    except BrokenPipeError:
        # The reader (head, less) has seen enough; what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except mendable as error:
        error_console.print(f"[bold red]error:[/] {escape(_message(error))}", highlight=False)
        sys.exit(2)


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    # DuckDB points at the place in the query under a blank line that helps nobody.
    return str(error).replace("\n\n", "\n")


if __name__ == "__main__":
    main()
