"""Invariant 1: cut the raw tier at any session, and every research row up to it is the same, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from etf_pipeline.proof import ProofError, materialise_research, prove, session_to_cut
from etf_pipeline.settings import Settings
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.truncation import NOT_COMPARED, RESEARCH, cut_raw_tier, differing_tables
from etf_pipeline_tests.harness import Pipeline, rows, run

# The fiscal year's end, with a year of accounts; a proof below cuts elsewhere.
SIMULATED_CUTS = ["2022-06-30"]
# Everything, in the first year of the real file with forecasts and accounts.
REAL_CUT = "2013-09-16"
# What judges the bars, around defects of the real file: a repaired consolidation, prints, holes, the 2008 volumes.
REAL_MARKET_CUTS = ["2011-01-06", "2020-05-05", "2024-11-20"]
FILLED = {
    "market.bars", "market.universe", "scoring.composite_ranking", "validation.backtest_daily",
    "attribution.rolling_exposure", "attribution.return_attribution", "attribution.portfolio_risk",
    "attribution.stress_losses", "attribution.portfolio_stress", "attribution.liquidity_stress",
    "attribution.simulated_losses",
}  # fmt: skip
"""Tables that a comparison would prove nothing without rows of."""
MARKET = [table for table in RESEARCH if table.startswith("market.")]


def assert_cut_changes_nothing(
    full: Pipeline, directory: Path, session: str, tables: Sequence[str] = RESEARCH
) -> None:
    cut = Pipeline(
        full.settings.model_copy(update={"warehouse": directory}), source=full.source, clock=full.clock
    )
    cut_raw_tier(full.warehouse, cut.warehouse, session)
    materialise_research(cut, tables)
    different = differing_tables(full.warehouse, cut.warehouse, session, tables)
    assert not different, f"rows up to {session} depend on what came after it: {different}"
    assert all(len(rows(cut.warehouse, table)) for table in tables if table in FILLED)


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


def asx(data: Path, directory: Path, **settings: object) -> Pipeline:
    chosen = Settings(
        market="asx", source="files", path=data / "asx" / "asx_prices_adj.parquet", warehouse=directory,
        reference_path=data / "macro", factor_path=data / "ff",
        backtest={"weight_steps": 0, "random_portfolios": 20}, **settings,  # type: ignore[arg-type]
    )  # fmt: skip
    return Pipeline(chosen)


@pytest.mark.data
@pytest.mark.slow
def test_truncation_is_bit_identical_on_the_asx(market_data: Path, tmp_path: Path) -> None:
    real = asx(market_data, tmp_path / "whole", end=date(2014, 9, 30))
    assert run(real, "build").success
    assert_cut_changes_nothing(real, tmp_path / "cut", REAL_CUT)


@pytest.fixture(scope="module")
def judged(market_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    real = asx(market_data, tmp_path_factory.mktemp("asx"))
    materialise_research(real, ["raw.price_history", "raw.listings", *MARKET])
    return real


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.xdist_group("asx")
@pytest.mark.parametrize("session", REAL_MARKET_CUTS)
def test_truncation_changes_no_judgement_of_a_bar_on_the_asx(
    judged: Pipeline, tmp_path: Path, session: str
) -> None:
    assert_cut_changes_nothing(judged, tmp_path, session, MARKET)


@pytest.mark.xdist_group("built")
def test_a_proof_is_written_down(built: Pipeline) -> None:
    session = session_to_cut(built.warehouse, "2020-03-16")
    proof = prove(built, session)
    assert proof.different == []
    assert proof.tables == len(RESEARCH) - len(NOT_COMPARED)
    held = rows(built.warehouse, "meta.point_in_time_proofs")
    assert held[["tables", "different"]].to_numpy().tolist() == [[proof.tables, ""]]
    assert str(held["session"].iloc[0])[:10] == session
    with pytest.raises(ProofError, match="2020-03-15 is no session held"):
        session_to_cut(built.warehouse, "2020-03-15")
