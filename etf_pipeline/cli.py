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
from rich.table import Table

from etf_pipeline.settings import SettingsError, load_settings

app = typer.Typer(
    help="Rank exchange-traded funds from point-in-time data, and say why.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
# Not a terminal: a table should not be squeezed into eighty columns.
console = Console(width=None if sys.stdout.isatty() else 150)
error_console = Console(stderr=True)

Market = Annotated[str | None, typer.Option(help="asx or us")]
SourceOption = Annotated[str | None, typer.Option(help="simulated, files or yahoo")]
PathOption = Annotated[Path | None, typer.Option(help="files source: a file or a directory")]
WarehouseOption = Annotated[Path | None, typer.Option(help="directory of the DuckDB files")]


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
        reference_path=reference_path, universe_file=universe_file, benchmark=benchmark, start=start, end=end,
        refetch=refetch,
    )  # fmt: skip
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
    if session is None:
        from etf_pipeline.defs.resources import Pipeline

        session = Pipeline(load_settings()).last_final_session().isoformat()
    _run_job("daily", date.fromisoformat(session).isoformat(), quiet)


@app.command()
def rank(
    top: Annotated[int, typer.Option(help="how many funds")] = 20,
    session: Annotated[str | None, typer.Option(help="YYYY-MM-DD; the newest by default")] = None,
    excluded: Annotated[bool, typer.Option(help="show those left out, with the reason")] = False,
    warehouse: WarehouseOption = None,
) -> None:
    """Print the ranking."""
    configure(warehouse=warehouse)
    from etf_pipeline.reports import ranking

    with _published().read_published() as connection:
        ranking(connection, console, top=top, session=session, excluded=excluded)


@app.command()
def explain(
    ticker: Annotated[str, typer.Argument(help="a fund, e.g. VAS.AX")],
    session: Annotated[str | None, typer.Option(help="YYYY-MM-DD; the newest by default")] = None,
    warehouse: WarehouseOption = None,
) -> None:
    """Say where a fund stands and what its score is made of."""
    configure(warehouse=warehouse)
    from etf_pipeline.reports import explanation

    with _published().read_published() as connection:
        explanation(connection, console, ticker=ticker, session=session)


@app.command()
def sql(
    query: Annotated[str | None, typer.Argument(help="a query; or use --file")] = None,
    file: Annotated[
        Path | None, typer.Option(help="a file with one query, e.g. warehouse/queries/...")
    ] = None,
    param: Annotated[list[str] | None, typer.Option(help="name=value for $name in the query")] = None,
    csv: Annotated[bool, typer.Option(help="plain CSV on standard output")] = False,
    limit: Annotated[int, typer.Option(help="rows shown; 0 for all")] = 50,
    warehouse: WarehouseOption = None,
) -> None:
    """Ask the published snapshot a question in SQL; it is read-only."""
    configure(warehouse=warehouse)
    if (query is None) == (file is None):
        raise typer.BadParameter("give a query or --file, one of the two")
    text = query if query is not None else Path(str(file)).read_text(encoding="utf-8")
    values = dict(p.split("=", 1) for p in param or [])
    with _published().read_published() as connection:
        relation = connection.execute(text, values) if values else connection.execute(text)
        names = [column[0] for column in relation.description]
        rows = relation.fetchall()
    if csv:
        import csv as csv_writer

        writer = csv_writer.writer(sys.stdout)
        writer.writerow(names)
        writer.writerows(rows)
        return
    shown = rows if limit == 0 else rows[:limit]
    table = Table(*names)
    for row in shown:
        table.add_row(*(_cell(value) for value in row))
    console.print(table)
    if len(shown) < len(rows):
        console.print(f"{len(shown)} of {len(rows)} rows; --limit 0 shows all")


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _published():  # type: ignore[no-untyped-def]
    from etf_pipeline.storage.connection import Warehouse

    return Warehouse(load_settings().warehouse)


def _run_job(name: str, partition: str | None, quiet: bool) -> None:
    logging.basicConfig(
        level=logging.WARNING if quiet else logging.INFO, format="%(message)s", stream=sys.stderr
    )
    from etf_pipeline.runner import run_job

    outcome = run_job(name, partition, on_step=None if quiet else lambda line: error_console.print(line))
    if not outcome.success:
        error_console.print(f"[bold red]{name} failed[/]: {outcome.message}")
        raise typer.Exit(1)
    error_console.print(outcome.message)


def main() -> None:
    """Entry point: errors a user can mend are one line, not a traceback."""
    import duckdb

    from etf_pipeline.sources.base import SourceError

    try:
        app()
    except (SettingsError, SourceError, FileNotFoundError, LookupError, duckdb.Error) as error:
        error_console.print(f"[bold red]error:[/] {error}", highlight=False, markup=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
