"""Macros answer for any argument as for a literal; macros, views and columns say what they are, and the guide names them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest

from etf_pipeline.core.scoring.contrast import sharpen
from etf_pipeline.storage import view_comments
from etf_pipeline.storage.connection import ensure_schema
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline_tests.conftest import ROOT
from etf_pipeline_tests.contract_rows import insert

DAYS = ("2026-01-05", "2026-01-06", "2026-01-07")
FUNDS = ("A", "B", "C", "D")
# Every name a macro gives a table or a subquery inside itself.
ALIASES = (
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "l", "m", "month", "n", "newest", "o", "own_model", "q", "r", "s", "t",
    "told", "u", "v", "w", "walk",
)  # fmt: skip
CONTRAST, OF_RISK = 1.44, 2.0736


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Four funds on three sessions, each with a score, a risk and a bar of its own, told twice."""
    with duckdb.connect() as memory:
        ensure_schema(memory)
        for day_number, day in enumerate(DAYS):
            for number, ticker in enumerate(FUNDS):
                fill(memory, ticker, day, percentile=20.0 + 15.0 * number + day_number, rank=number + 1)
            told_at = f"{day} 12:00"
            insert(memory, "raw.fetches", fetch_id=f"f{day_number}", known_at=told_at, simulated=False)
        for reader, read in ((1, 2), (2, 3), (4, 5)):
            insert(memory, "meta.inputs", materialization_id=reader, input_id=read)
        for number in range(1, 6):
            insert(memory, "meta.materializations", materialization_id=number, asset=f"a{number}")
        yield memory


def fill(memory: duckdb.DuckDBPyConnection, ticker: str, day: str, *, percentile: float, rank: int) -> None:
    score = float(sharpen(np.array(percentile), CONTRAST))
    at = {"ticker": ticker, "session": day}
    insert(
        memory, "scoring.composite_ranking", **at, rank=rank, momentum_score=score, momentum_weight=0.6, risk_score=70.0,
        risk_weight=0.4, raw_score=0.6 * score + 28.0, penalty_points=10.0, units_points=20.0,
        final_score=0.9 * (0.6 * score + 28.0), ranked_funds=len(FUNDS),
    )  # fmt: skip
    insert(
        memory, "scoring.component_scores", **at, momentum_contrast=CONTRAST, risk_contrast=OF_RISK,
        momentum_average=percentile, momentum_score=score, risk_score=70.0, momentum_12_1_score=percentile,
    )  # fmt: skip
    insert(memory, "scoring.adjustments", **at, penalty_share=0.5, penalty_total=10.0)
    insert(memory, "market.universe", **at, is_member=True)
    insert(memory, "risk.volatility", **at, volatility_annualised=percentile / 100)
    number = DAYS.index(day)
    insert(memory, "attribution.factor_exposure", **at, span="rolling", model="house", loading=percentile)
    insert(memory, "attribution.stress_losses", **at, served_return=percentile / 100)
    for known_at in DAYS[number:]:
        insert(
            memory, "raw.bars", **at, occurrence=0, known_at=f"{known_at} 12:00", fetch_id=f"f{DAYS.index(known_at)}",
            close=percentile, withdrawn=False,
        )  # fmt: skip
    insert(
        memory, "raw.coverage", fetch_id=f"f{number}", ticker=ticker, status="ok", first_session=DAYS[0], last_session=day,
        known_at=f"{day} 12:00",
    )  # fmt: skip
    insert(
        memory,
        "raw.actions",
        ticker=ticker,
        ex_date=day,
        kind="dividend",
        known_at=f"{day} 12:00",
        withdrawn=False,
    )
    insert(
        memory, "raw.listings", ticker=ticker, known_at=f"{day} 12:00", name=f"{ticker}{day}", withdrawn=False
    )
    if ticker == "A":
        insert(
            memory,
            "raw.factors",
            session=day,
            known_at=f"{day} 12:00",
            value=0.01 * percentile,
            withdrawn=False,
        )
        insert(
            memory,
            "raw.macro",
            series="vix",
            session=day,
            known_at=f"{day} 12:00",
            value=1.0,
            withdrawn=False,
        )


# Macro -> a number that tells its answers apart, the rows to ask it for, and the columns that are its arguments.
ASKED = {
    "main.explain_score": (
        "sum(points) FILTER (step = 2)",
        "scoring.composite_ranking",
        ("ticker", "session"),
    ),
    "main.exposures_at": ("sum(loading)", "attribution.factor_exposure", ("session",)),
    "main.stress_at": ("sum(served_return)", "attribution.stress_losses", ("session",)),
    "main.risk_at": ("sum(volatility_annualised)", "scoring.composite_ranking", ("session",)),
    "raw.bars_as_of": ("sum(close)", "raw.fetches", ("known_at",)),
    "raw.actions_as_of": ("count(*)", "raw.fetches", ("known_at",)),
    "raw.listings_as_of": ("string_agg(name ORDER BY name)", "raw.fetches", ("known_at",)),
    "raw.macro_as_of": ("count(*)", "raw.fetches", ("known_at",)),
    "raw.factors_as_of": ("sum(value)", "raw.fetches", ("known_at",)),
    "raw.bars_of_fetch": ("sum(close)", "raw.fetches", ("fetch_id",)),
    "meta.ancestry": ("sum(materialization_id)", "meta.materializations", ("materialization_id",)),
}


def by_literals(connection: duckdb.DuckDBPyConnection, macro: str) -> list[tuple[object, ...]]:
    answer, table, columns = ASKED[macro]
    keys = connection.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY ALL").fetchall()
    marks = ", ".join("?" * len(columns))
    return [
        (*key, *(connection.execute(f"SELECT {answer} FROM {macro}({marks})", list(key)).fetchone() or ()))
        for key in keys
    ]


def test_every_macro_is_asked_here(connection: duckdb.DuckDBPyConnection) -> None:
    assert set(ASKED) == set(view_comments.MACROS) == defined_macros(connection)


@pytest.mark.parametrize("macro", ASKED)
@pytest.mark.parametrize("alias", ["", *ALIASES])
def test_a_column_is_as_good_an_argument_as_a_literal(
    connection: duckdb.DuckDBPyConnection, macro: str, alias: str
) -> None:
    answer, table, columns = ASKED[macro]
    given = ", ".join(f"{alias}.{column}" if alias else column for column in columns)
    found = connection.execute(
        f"SELECT {given}, (SELECT {answer} FROM {macro}({given})) FROM {table} {alias} ORDER BY ALL"
    ).fetchall()
    expected = by_literals(connection, macro)
    assert len({row[-1] for row in expected}) > 1, "answers that differ"
    assert [row[:-1] for row in found] == [row[:-1] for row in expected]
    for (*_, mine), (*_, theirs) in zip(found, expected, strict=True):
        assert mine == (pytest.approx(theirs) if isinstance(theirs, float) else theirs)


def test_all_scores_are_explained_at_once(connection: duckdb.DuckDBPyConnection) -> None:
    one = connection.execute("SELECT count(*) FROM explain_score('A', DATE '2026-01-05')").fetchone()
    for alias in ("c", "r", "a"):
        rows = connection.execute(
            f"SELECT count(*) FROM scoring.composite_ranking {alias}, explain_score({alias}.ticker, {alias}.session)"
        ).fetchone()
        assert rows == (len(FUNDS) * len(DAYS) * (one or (0,))[0],)


def test_points_add_up_to_what_they_say_they_add_to(connection: duckdb.DuckDBPyConnection) -> None:
    sums = dict(
        connection.execute(
            "SELECT adds_to, sum(points) FROM explain_score('B', DATE '2026-01-05') WHERE adds_to IS NOT NULL GROUP BY 1"
        ).fetchall()
    )
    row = connection.execute(
        "SELECT raw_score, final_score FROM scoring.composite_ranking WHERE ticker = 'B' AND session = '2026-01-05'"
    ).fetchone()
    assert (sums["raw_score"], sums["final_score"]) == pytest.approx(row)
    assert sums["momentum_average"] == pytest.approx(35.0)


def test_a_score_follows_from_its_percentile_and_its_own_contrast(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    found = connection.execute(
        "SELECT item, percentile, contrast, score FROM explain_score('B', DATE '2026-01-05') "
        "WHERE item IN ('momentum', 'risk')"
    ).fetchall()
    told = {item: numbers for item, *numbers in found}
    assert told["momentum"][0] == pytest.approx(35.0)
    assert (told["momentum"][1], told["risk"][1]) == (CONTRAST, OF_RISK)
    for percentile, contrast, score in told.values():
        x = (percentile - 50) / 50
        assert score == pytest.approx(50 + 50 * np.sign(x) * abs(x) ** (1 / contrast))


def defined_macros(connection: duckdb.DuckDBPyConnection) -> set[str]:
    rows = connection.execute(
        "SELECT DISTINCT schema_name || '.' || function_name FROM duckdb_functions() "
        "WHERE function_type = 'table_macro' AND NOT internal"
    ).fetchall()
    return {str(row[0]) for row in rows}


def test_every_view_macro_and_column_says_what_it_is(connection: duckdb.DuckDBPyConnection) -> None:
    silent = connection.execute(
        """
        SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL
        UNION ALL
        SELECT schema_name || '.' || function_name FROM duckdb_functions()
        WHERE function_type = 'table_macro' AND NOT internal AND comment IS NULL
        UNION ALL
        SELECT schema_name || '.' || table_name || '.' || column_name FROM duckdb_columns()
        WHERE NOT internal AND comment IS NULL AND table_name <> 'schema_fingerprint'
        """
    ).fetchall()
    assert silent == []


def test_the_warehouse_guide_names_every_table() -> None:
    lines = (ROOT / "warehouse" / "README.md").read_text(encoding="utf-8").splitlines()
    missing = []
    for table in CONTRACTS:
        schema, name = table.split(".")
        if not any(line.startswith(f"| `{schema}` |") and f"`{name}`" in line for line in lines):
            missing.append(table)
    assert missing == []


def test_the_warehouse_guide_names_every_view_macro_and_query(connection: duckdb.DuckDBPyConnection) -> None:
    guide = (ROOT / "warehouse" / "README.md").read_text(encoding="utf-8")
    macros = {name.removeprefix("main.") for name in defined_macros(connection)}
    views = {name.removeprefix("main.") for name in view_comments.VIEWS}
    queries = {path.stem for path in Path(ROOT / "warehouse" / "queries").glob("*.sql")}
    assert {name for name in macros if f"`{name}(" not in guide} == set()
    assert {name for name in views | queries if f"`{name}`" not in guide} == set()
