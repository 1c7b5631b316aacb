"""What ``etf backtest`` and ``etf doctor`` print, on accounts known by heart."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from etf_pipeline.backtest_evidence import NoBacktestError
from etf_pipeline.backtest_report import backtest_overview, readiness_report
from etf_pipeline.risk_report import pct
from etf_pipeline.storage.connection import Warehouse, ensure_schema
from etf_pipeline_tests.backtest_warehouse import GATES, ODD, backtest_frames, fill
from etf_pipeline_tests.contract_rows import insert


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    warehouse = Warehouse(tmp_path_factory.mktemp("backtest"))
    fill(warehouse, backtest_frames())
    with warehouse.write() as connection:
        yield connection


@pytest.fixture
def connection(rows: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The accounts, put back after each test."""
    rows.execute("BEGIN TRANSACTION")
    yield rows
    rows.execute("ROLLBACK")


def told(
    connection: duckdb.DuckDBPyConnection, strategy: str = "top_ranked", trades: str | None = None
) -> str:
    screen = io.StringIO()
    backtest_overview(connection, Console(file=screen, width=200), strategy=strategy, trades=trades)
    return screen.getvalue()


def doctor(connection: duckdb.DuckDBPyConnection) -> tuple[int, str]:
    screen = io.StringIO()
    refused = readiness_report(connection, Console(file=screen, width=200))
    return refused, screen.getvalue()


def line(text: str, beginning: str) -> list[str]:
    """Cells of the first table row that begins so."""
    found = next(row for row in text.splitlines() if row.startswith(f"│ {beginning} "))
    return [cell.strip() for cell in found.strip("│").split("│")]


def test_the_verdict_comes_first_and_the_market_is_labelled(connection: duckdb.DuckDBPyConnection) -> None:
    lines = told(connection).splitlines()
    assert lines[0].startswith("SIMULATED MARKET")
    assert lines[1].startswith("No. After costs it earned")
    assert lines[1].rstrip().endswith("2.1 points a year less than the market fund.")
    connection.execute("UPDATE raw.fetches SET simulated = false")
    assert "SIMULATED" not in told(connection)


def test_figures_are_those_of_the_tables(connection: duckdb.DuckDBPyConnection) -> None:
    text = told(connection)
    earned, drawdown = connection.execute(
        "SELECT annual_return, maximum_drawdown FROM validation.backtest_summary "
        "WHERE strategy = 'top_ranked' AND scope = 'to_date' ORDER BY year DESC"
    ).fetchone() or (0.0, 0.0)
    cells = line(text, "top_ranked")
    assert cells[1] == pct(earned)
    assert f"{100 * drawdown:.1f} %" in cells
    years = connection.execute(
        "SELECT year, annual_return, benchmark_annual_return FROM validation.backtest_summary "
        "WHERE strategy = 'top_ranked' AND scope = 'year'"
    ).fetchall()
    assert len(years) == 2
    for year, own, base in years:
        assert line(text, str(year))[1:3] == [pct(own), pct(base)]
        assert line(text, str(year))[-1] == "42 %", "share of random portfolios beaten"
    assert line(text, "benchmark")[0] == "benchmark"
    assert line(text, "cash")[1:5] == ["0.55", "0.31", "-0.05 to 1.15", "0.62"]


def test_what_is_not_known_is_a_dash(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("UPDATE validation.backtest_summary SET sharpe = NULL, sortino = 'nan'::DOUBLE")
    connection.execute("UPDATE validation.significance SET sharpe_upper = NULL, deflated_sharpe = NULL")
    text = told(connection)
    assert line(text, "top_ranked")[6:8] == ["–", "–"]
    assert "nan" not in text
    assert line(text, "cash")[3] == "–"


def test_one_sessions_trades(connection: duckdb.DuckDBPyConnection) -> None:
    text = told(connection, trades="2021-04-30")
    assert "Trades of top_ranked on 2021-04-30" in text
    assert line(text, ODD) == [
        ODD, "<script>alert('x')</script>", "order", "12.50", "80.0000", "1,000.00", "1.25", "0.50"
    ]  # fmt: skip
    assert line(text, "VAS")[3] == "-12.50"
    assert "Bought 1,000.00, sold 1,000.00, paid 3.50 in spread and impact" in text
    assert "Sharpe" not in text


def test_a_session_without_trades_names_those_beside_it(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(
        NoBacktestError, match="did not trade on 2021-05-05; it did on 2021-04-30 and 2021-05-31"
    ):
        told(connection, trades="2021-05-05")
    connection.execute("DELETE FROM validation.backtest_trades")
    with pytest.raises(NoBacktestError, match="it has no trades at all"):
        told(connection, trades="2021-05-05")


def test_a_strategy_that_is_not_there(connection: duckdb.DuckDBPyConnection) -> None:
    for name in ("best", "benchmark"):
        with pytest.raises(NoBacktestError, match=f"{name} is not a strategy .*; there are top_ranked"):
            told(connection, strategy=name)


def test_empty_tables_say_which_command_fills_them(connection: duckdb.DuckDBPyConnection) -> None:
    for table in ("backtest_summary", "significance", "random_portfolios", "overfitting", "survivorship"):
        connection.execute(f"DELETE FROM validation.{table}")
    text = told(connection)
    assert "Nothing can be said yet" in text
    assert "there are no figures yet" in text
    connection.execute("DELETE FROM validation.backtest_daily")
    with pytest.raises(NoBacktestError, match="run `etf build`"):
        told(connection)
    connection.execute("DELETE FROM validation.readiness")
    with pytest.raises(NoBacktestError, match="run `etf build`"):
        doctor(connection)


def test_a_warehouse_of_an_earlier_version_has_no_such_tables() -> None:
    with duckdb.connect() as memory:
        memory.execute("CREATE SCHEMA validation")
        with pytest.raises(NoBacktestError, match="run `etf build`"):
            told(memory)
        with pytest.raises(NoBacktestError, match="run `etf build`"):
            doctor(memory)


def test_the_doctor_counts_what_is_failed_and_what_is_unknown(connection: duckdb.DuckDBPyConnection) -> None:
    refused, text = doctor(connection)
    assert refused == 2
    assert text.startswith("SIMULATED MARKET")
    assert "Not ready: of 3 gates 1 failed, 1 are unknown." in text
    assert line(text, "deflated_sharpe")[1:5] == ["at least 0.95", "0.31", "0.95", "fail"]
    assert line(text, "restatements")[2] == "–"
    assert "restatements: Are prices restated?\n  FROM raw.restatements" in text, "the query that shows it"
    assert "SELECT 1" not in text, "a gate that is passed needs no query"


def test_only_the_newest_answers_count() -> None:
    with duckdb.connect() as memory:
        ensure_schema(memory)
        for day, verdict in (("2026-01-05", "fail"), ("2026-01-06", "pass")):
            insert(memory, "validation.readiness", **{**GATES[0], "session": day, "verdict": verdict})
        refused, text = doctor(memory)
    assert refused == 0
    assert "All 1 gates are passed." in text


def test_nothing_is_written(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    before = sorted(tmp_path.iterdir())
    told(connection)
    assert sorted(tmp_path.iterdir()) == before
