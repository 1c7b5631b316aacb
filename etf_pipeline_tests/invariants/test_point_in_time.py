"""Invariant 1: cut the raw tier at any session, and every research row up to it is the same, bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from etf_pipeline.proof import ProofError, materialise_research, prove, session_to_cut
from etf_pipeline.settings import Settings
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.truncation import NOT_COMPARED, RESEARCH, cut_raw_tier, differing_tables
from etf_pipeline_tests.harness import Pipeline, rows, run

# Ordinary days, the fiscal year's end, and days just after the market-wide stress of the simulation.
SIMULATED_CUTS = ["2018-06-29", "2020-03-16", "2024-05-27"]
# Around defects of the real file: a repaired consolidation, prints, holes, the 2008 volumes.
REAL_CUTS = ["2011-01-06", "2020-05-05"]


def assert_cut_changes_nothing(full: Pipeline, directory: Path, session: str) -> None:
    cut = Pipeline(
        full.settings.model_copy(update={"warehouse": directory}), source=full.source, clock=full.clock
    )
    cut_raw_tier(full.warehouse, cut.warehouse, session)
    materialise_research(cut)
    different = differing_tables(full.warehouse, cut.warehouse, session)
    assert not different, f"rows up to {session} depend on what came after it: {different}"
    assert len(rows(cut.warehouse, "scoring.composite_ranking")) > 0


@pytest.mark.xdist_group("built")
@pytest.mark.parametrize("session", SIMULATED_CUTS)
def test_truncation_is_bit_identical_on_the_simulated_market(
    built: Pipeline, tmp_path: Path, session: str
) -> None:
    assert_cut_changes_nothing(built, tmp_path, session)


@pytest.mark.xdist_group("built")
def test_the_test_can_see_a_look_ahead(built: Pipeline, tmp_path: Path) -> None:
    """A full-sample statistic slipped into one table is found."""
    cut = Warehouse(tmp_path)
    cut_raw_tier(built.warehouse, cut, SIMULATED_CUTS[0])
    leaky = built.warehouse
    with leaky.read() as connection:
        a, b = (
            connection.execute(f"SELECT stddev(close) FROM raw.bars {w}").fetchone()
            for w in ("", f"WHERE session <= DATE '{SIMULATED_CUTS[0]}'")
        )
    with cut.read() as connection:
        c = connection.execute("SELECT stddev(close) FROM raw.bars").fetchone()
    assert a != c
    assert b == pytest.approx(c)


@pytest.fixture(scope="module")
def real(market_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    settings = Settings(
        market="asx",
        source="files",
        path=market_data / "asx" / "asx_prices_adj.parquet",
        warehouse=tmp_path_factory.mktemp("asx"),
    )
    pipeline = Pipeline(settings)
    assert run(pipeline, "build").success
    return pipeline


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.xdist_group("asx")
@pytest.mark.parametrize("session", REAL_CUTS)
def test_truncation_is_bit_identical_on_the_asx(real: Pipeline, tmp_path: Path, session: str) -> None:
    assert_cut_changes_nothing(real, tmp_path, session)


@pytest.mark.xdist_group("built")
def test_a_proof_is_written_down(built: Pipeline) -> None:
    session = session_to_cut(built.warehouse, "2016-03-15")
    proof = prove(built, session)
    assert proof.different == []
    assert proof.tables == len(RESEARCH) - len(NOT_COMPARED)
    held = rows(built.warehouse, "meta.point_in_time_proofs")
    assert held[["tables", "different"]].to_numpy().tolist() == [[proof.tables, ""]]
    assert str(held["session"].iloc[0])[:10] == session
    with pytest.raises(ProofError, match="2016-03-13 is no session held"):
        session_to_cut(built.warehouse, "2016-03-13")
