"""``latest_exposures`` and ``latest_stress``: whose newest month's end, by which model, and nothing after the day asked."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from etf_pipeline_tests.attribution_warehouse import BEFORE, END, HOUSE, RANKED, STYLES, fill, loss
from etf_pipeline_tests.conftest import ROOT
from etf_pipeline_tests.contract_rows import insert


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as memory:
        fill(memory)
        yield memory


def models(connection: duckdb.DuckDBPyConnection, of: str = "latest_exposures") -> set[tuple[object, ...]]:
    return set(
        connection.execute(
            f"SELECT ticker, session::VARCHAR, model, is_main, main_model, main_model_session::VARCHAR FROM {of}"
        ).fetchall()
    )


def test_the_model_of_the_class_or_the_house_model_where_it_ends_earlier(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert models(connection) == {
        ("FUND1.AX", END, "us_six", True, "us_six", END),
        ("FUND2.AX", END, "house", False, "us_six", BEFORE),
    }


def test_no_third_model_is_ever_taken(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("DELETE FROM attribution.factor_exposure WHERE model <> 'us_three'")
    assert models(connection) == set()


def test_one_row_a_factor_with_both_loadings(connection: duckdb.DuckDBPyConnection) -> None:
    found = connection.execute(
        "SELECT factor, loading, loading_to_date, t_value, t_value_to_date FROM latest_exposures WHERE ticker = 'FUND1.AX'"
    ).fetchall()
    assert {row[0]: row[1] for row in found} == STYLES
    assert len(found) == len(STYLES)
    for _, loading, to_date, t, t_to_date in found:
        assert to_date == pytest.approx(loading + 0.1)
        assert t == t_to_date
    house = connection.execute(
        "SELECT factor, loading FROM latest_exposures WHERE ticker = 'FUND2.AX'"
    ).fetchall()
    assert dict(house) == HOUSE


def test_exposures_of_a_day_know_nothing_later(connection: duckdb.DuckDBPyConnection) -> None:
    assert models(connection, "exposures_at(DATE '2025-12-30')") == {
        ("FUND1.AX", BEFORE, "us_six", True, "us_six", BEFORE),
        ("FUND2.AX", BEFORE, "us_six", True, "us_six", BEFORE),
    }
    assert models(connection, f"exposures_at(DATE '{END}')") == models(connection)


def test_stress_is_of_the_newest_month_alone(connection: duckdb.DuckDBPyConnection) -> None:
    loss(connection, "GONE.AX", "replay", "covid_2020", -0.5, session=BEFORE)
    query = "SELECT ticker, scenario, others, is_realised, served_return FROM {} ORDER BY ALL"
    assert connection.execute(query.format("latest_stress")).fetchall()[:3] == [
        ("FUND1.AX", "covid_2020", "conditional", True, -0.232),
        ("FUND1.AX", "equity_down_20", "conditional", False, -0.08),
        ("FUND1.AX", "equity_down_20", "unchanged", False, pytest.approx(-0.07)),
    ]
    assert connection.execute(query.format("stress_at(DATE '2025-12-30')")).fetchall() == [
        ("GONE.AX", "covid_2020", "conditional", False, -0.5)
    ]
    assert connection.execute("SELECT DISTINCT session::VARCHAR FROM latest_stress").fetchall() == [(END,)]


def test_both_say_whether_anything_is_invented(connection: duckdb.DuckDBPyConnection) -> None:
    for invented in (False, True):
        connection.execute("UPDATE raw.fetches SET simulated = ?", [invented])
        for view in ("latest_exposures", "latest_stress"):
            assert connection.execute(f"SELECT DISTINCT simulated FROM {view}").fetchall() == [(invented,)]


def query(connection: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, object]]:
    answer = connection.execute((ROOT / "warehouse" / "queries" / f"{name}.sql").read_text(encoding="utf-8"))
    columns = [column[0] for column in answer.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]


def test_the_queries_about_the_top(connection: duckdb.DuckDBPyConnection) -> None:
    found = query(connection, "exposures_of_the_top")
    assert [row["factor"] for row in found[:3]] == ["market_excess", "size", "value"], "the surest first"
    assert [row["told_from_none"] for row in found[:3]] == [True, True, False]
    insert(connection, "scoring.composite_ranking", ticker="FUND9.AX", session=RANKED, rank=11)
    loss(connection, "FUND9.AX", "replay", "covid_2020", -0.9)
    found = query(connection, "what_could_break_it")
    assert [(row["ticker"], row["scenario"], row["return_pct"], row["realised"]) for row in found] == [
        ("FUND1.AX", "covid_2020", -23.2, True),
        ("FUND2.AX", "covid_2020", -12.0, False),
        ("FUND1.AX", "equity_down_20", -8.0, False),
        ("FUND2.AX", "equity_down_20", -4.0, False),
    ], "the eleventh is not of the top, and what stands still is not asked"


def test_the_query_about_years_adds_up(connection: duckdb.DuckDBPyConnection) -> None:
    found = query(connection, "why_it_moved")
    assert [row["year"] for row in found[:1]] == [2024]
    for year, total in ((2024, 10.8), (2023, 9.8)):
        own = [row for row in found if row["year"] == year]
        assert {row["return_pct"] for row in own} == {total}
        assert sum(float(str(row["contribution_pct"])) for row in own) == pytest.approx(total)
