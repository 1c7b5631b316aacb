"""Invariant 2: publishing sessions one by one gives the rows of one run over the range."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from etf_pipeline.storage.truncation import table_hash
from etf_pipeline_tests.harness import Pipeline, rows, run, small_market

# One worker builds what these share.
pytestmark = pytest.mark.xdist_group("daily")

GO_LIVE = "2026-02-16"
SESSIONS = ["2026-02-17", "2026-02-18", "2026-02-19"]
TABLE = "production.published_ranking"


def market(directory: Path, day: str) -> Pipeline:
    """Three years of history: enough for a ranking, and each of the many runs here recomputes all of it."""
    return small_market(directory, day, funds=16, start="2023-01-04")


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Operated as in life: history at go-live, then each evening its session, the future unknown."""
    directory = tmp_path_factory.mktemp("daily")
    run(market(directory, GO_LIVE), "build")
    for day in SESSIONS:
        run(market(directory, day), "daily", [day])
    return market(directory, SESSIONS[-1])


def test_daily_equals_range(one_by_one: Pipeline, tmp_path: Path) -> None:
    run(market(tmp_path, GO_LIVE), "build")
    whole = market(tmp_path, SESSIONS[-1])
    run(whole, "daily", SESSIONS)
    a = rows(one_by_one.warehouse, TABLE).drop(columns="published_at").sort_values(["session", "ticker"])
    b = rows(whole.warehouse, TABLE).drop(columns="published_at").sort_values(["session", "ticker"])
    pd.testing.assert_frame_equal(a.reset_index(drop=True), b.reset_index(drop=True), check_exact=True)
    assert sorted(a["session"].dt.strftime("%Y-%m-%d").unique()) == SESSIONS
    assert table_hash(one_by_one.warehouse, TABLE) == table_hash(whole.warehouse, TABLE)


def test_the_record_agrees_with_research_on_an_unrevised_market(one_by_one: Pipeline) -> None:
    assert rows(one_by_one.warehouse, "production.drift").empty


def test_the_record_outlives_a_restatement(tmp_path: Path) -> None:
    """What was said stays said; drift shows where research now differs."""
    run(market(tmp_path, GO_LIVE), "build")
    day = SESSIONS[0]
    pipeline = market(tmp_path, day)
    run(pipeline, "daily", [day])
    said = table_hash(pipeline.warehouse, TABLE)
    ranked = rows(pipeline.warehouse, TABLE, "rank = 1")["ticker"].iloc[0]
    with pipeline.warehouse.write() as connection:
        connection.execute(
            "INSERT INTO raw.bars SELECT * REPLACE (known_at + INTERVAL 1 HOUR AS known_at, close * 0.9 AS close, "
            f"low * 0.9 AS low) FROM raw.bars WHERE ticker = '{ranked}' "
            "AND session BETWEEN DATE '2025-12-01' AND DATE '2025-12-31'"
        )
    # The same evening again, with the vendor's restatement in the raw tier.
    run(pipeline, "daily", [day])
    assert table_hash(pipeline.warehouse, TABLE) == said


def test_a_session_that_is_not_over_is_refused(tmp_path: Path) -> None:
    run(market(tmp_path, GO_LIVE), "build")
    with pytest.raises(
        dg.Failure, match=r"session 2026-02-17 is not final: the last final session is 2026-02-16"
    ):
        run(market(tmp_path, GO_LIVE), "daily", ["2026-02-17"])


def test_a_gap_between_build_and_daily_is_filled(one_by_one: Pipeline, tmp_path: Path) -> None:
    """Go-live long ago, nothing run since: the first daily run brings in all that was missed."""
    run(market(tmp_path, "2025-11-03"), "build")
    late = market(tmp_path, SESSIONS[-1])
    run(late, "daily", [SESSIONS[-1]])
    where = f"session = DATE '{SESSIONS[-1]}'"
    assert table_hash(late.warehouse, TABLE, where) == table_hash(one_by_one.warehouse, TABLE, where)


def test_a_session_of_which_most_funds_are_missing_is_not_published(tmp_path: Path) -> None:
    run(market(tmp_path, GO_LIVE), "build")
    day = SESSIONS[0]
    pipeline = market(tmp_path, day)
    whole = pipeline.source

    class Partial:
        """The vendor has answered for five funds only."""

        def __getattr__(self, name: str) -> object:
            return getattr(whole, name)

        def tickers(self) -> list[str]:
            return whole.tickers()[:5]

    with pytest.raises(dg.Failure, match=rf"session {day}: [45] funds have a bar where 1\d are usual"):
        run(Pipeline(pipeline.settings, source=Partial(), clock=pipeline.clock), "daily", [day])  # type: ignore[arg-type]
    assert rows(pipeline.warehouse, TABLE).empty
    run(pipeline, "daily", [day])
    assert len(rows(pipeline.warehouse, TABLE)) > 10, "and is, once the vendor is complete"
