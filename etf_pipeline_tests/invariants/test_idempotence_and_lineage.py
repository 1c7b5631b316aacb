"""Invariants 3 and 5 to 8: repeatable, contracted, traceable, deterministic, nothing silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from etf_pipeline.core.parallel import set_workers, workers
from etf_pipeline.storage.bitemporal import MixedSourcesError
from etf_pipeline.storage.checks import RULES, offenders
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline.storage.truncation import RESEARCH, research_hashes
from etf_pipeline_tests.conftest import ROOT
from etf_pipeline_tests.harness import Pipeline, rows, run, small_market
from etf_pipeline_tests.invariants.conftest import FIRST_DAY

# One worker builds what these share.
pytestmark = pytest.mark.xdist_group("built")

DAY = "2026-02-27"


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    pipeline = small_market(tmp_path, DAY, funds=16, start="2022-01-04")
    run(pipeline, "build")
    first, versions = research_hashes(pipeline.warehouse), len(rows(pipeline.warehouse, "raw.bars"))
    run(small_market(tmp_path, DAY, funds=16, start="2022-01-04"), "build")
    assert len(rows(pipeline.warehouse, "raw.bars")) == versions
    assert research_hashes(pipeline.warehouse) == first
    with pipeline.warehouse.read() as connection:
        changed = connection.execute(
            "SELECT asset FROM meta.materializations WHERE changed AND run_id = "
            "(SELECT max_by(run_id, materialization_id) FROM meta.materializations)"
        ).fetchall()
    assert changed == []


def test_the_same_hashes_elsewhere_with_another_number_of_workers(built: Pipeline, tmp_path: Path) -> None:
    used = workers()  # what a build with the default setting uses
    again = small_market(tmp_path, DAY, start=FIRST_DAY, workers=1 if used > 1 else 2)
    try:
        run(again, "build")
        assert workers() != used
    finally:
        set_workers(0)
    assert research_hashes(again.warehouse) == research_hashes(built.warehouse)


def test_recorded_hashes_are_those_of_the_stored_rows(built: Pipeline) -> None:
    actual = research_hashes(built.warehouse)
    with built.warehouse.read() as connection:
        recorded = dict(
            connection.execute("SELECT asset, content_hash FROM meta.latest_materializations").fetchall()
        )
    assert {t: recorded[t] for t in RESEARCH} == actual


@pytest.mark.parametrize("rule", RULES, ids=lambda r: f"{r.table}.{r.name}")
def test_checks_pass_on_a_clean_build(built: Pipeline, rule: object) -> None:
    ((count, first),) = offenders(built.warehouse, [rule])  # type: ignore[list-item]
    assert count == 0, first


def test_every_table_has_the_columns_of_its_contract(built: Pipeline) -> None:
    with built.warehouse.read() as connection:
        for name, contract in CONTRACTS.items():
            schema, table = name.split(".")
            stored = connection.execute(
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = ? "
                "AND table_name = ? ORDER BY ordinal_position",
                [schema, table],
            ).fetchall()
            assert stored == [(c.name, c.type) for c in contract.columns], name


def test_one_query_walks_from_a_rank_to_raw_rows(built: Pipeline) -> None:
    query = (ROOT / "warehouse" / "queries" / "where_a_rank_comes_from.sql").read_text(encoding="utf-8")
    top = rows(built.warehouse, "latest_ranking", "rank = 1").iloc[0]
    with built.warehouse.read_published() as connection:
        cursor = connection.execute(query, {"ticker": top["ticker"], "session": str(top["session"].date())})
        names = [c[0] for c in cursor.description]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    own = rows(built.warehouse, "raw.bars", f"ticker = '{top['ticker']}'")
    assert len(found) == (own["session"] <= top["session"]).sum() > 252
    assert {r["rank"] for r in found} == {1}
    assert all(r["known_at"] is not None and r["source"] == "simulated" for r in found)
    assert found[0]["steps_back"] >= 2, "rank < universe < raw, at the least"


def test_lineage_reaches_every_raw_asset_from_the_ranking(built: Pipeline) -> None:
    with built.warehouse.read() as connection:
        ancestors = connection.execute(
            "SELECT DISTINCT asset FROM meta.ancestry((SELECT max(materialization_id) FROM meta.materializations "
            "WHERE asset = 'scoring.composite_ranking'))"
        ).fetchall()
    assert {a[0] for a in ancestors} >= {
        "raw.price_history", "raw.listings", "market.bars", "market.total_return", "market.universe",
        "signals.momentum", "signals.volume", "risk.volatility", "risk.beta", "scoring.component_scores",
    }  # fmt: skip


def test_no_bar_is_refused_in_silence(built: Pipeline) -> None:
    """Every raw bar on a session that is not accepted lies inside a quality event of its fund."""
    with built.warehouse.read() as connection:
        silent = connection.execute(
            "SELECT b.ticker, b.session FROM raw.bars_latest b JOIN market.bars m USING (ticker, session) "
            "WHERE NOT m.accepted AND NOT EXISTS (SELECT 1 FROM market.quality_events e WHERE e.ticker = b.ticker "
            "AND b.session BETWEEN e.session_start AND e.session_end)"
        ).fetchall()
        dropped = connection.execute(
            "SELECT b.ticker, b.session FROM raw.bars_latest b WHERE NOT EXISTS (SELECT 1 FROM market.sessions s "
            "WHERE s.session = b.session) AND NOT EXISTS (SELECT 1 FROM market.quality_events e "
            "WHERE e.ticker = b.ticker AND b.session BETWEEN e.session_start AND e.session_end)"
        ).fetchall()
    assert silent == []
    assert dropped == []


def test_every_query_shipped_runs(built: Pipeline) -> None:
    values = {"ticker": "MKT.SIM", "session": DAY, "moment": "2026-02-01 00:00"}
    files = sorted((ROOT / "warehouse" / "queries").glob("*.sql"))
    assert len(files) >= 16
    with built.warehouse.read_published() as connection:
        for file in files:
            text = file.read_text(encoding="utf-8")
            used = {k: v for k, v in values.items() if f"${k}" in text}
            assert connection.execute(text, used).description, file.name


def test_simulated_data_says_so(built: Pipeline) -> None:
    assert set(rows(built.warehouse, "latest_ranking")["simulated"]) == {True}
    assert all(
        t.endswith(".SIM") for t in rows(built.warehouse, "scoring.composite_ranking")["ticker"].unique()
    )


def test_another_market_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    pipeline = small_market(tmp_path, DAY, funds=12, start="2024-01-03")
    run(pipeline, "build")
    before = len(rows(pipeline.warehouse, "raw.fetches")), len(rows(pipeline.warehouse, "raw.listings"))
    other = Pipeline(pipeline.settings.model_copy(update={"market": "us"}), clock=pipeline.clock)
    with pytest.raises(
        MixedSourcesError, match=r"holds simulated data of market asx .*--warehouse DIR.*delete the folder"
    ):
        other.refuse_other_market()
    with pytest.raises(Exception, match=r"pipeline"):
        run(other, "build")
    assert (
        len(rows(pipeline.warehouse, "raw.fetches")),
        len(rows(pipeline.warehouse, "raw.listings")),
    ) == before
