"""Factor returns and reference series: which source the settings name, and what comes into the raw tier."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from etf_pipeline.settings import Settings
from etf_pipeline.sources import open_factor_source, open_reference_source
from etf_pipeline.sources.base import Source
from etf_pipeline.sources.fred import FredSource
from etf_pipeline.sources.french import FactorFiles, FrenchLibrary
from etf_pipeline.sources.ingest import ingest_factors, ingest_reference
from etf_pipeline.sources.simulated import SimulatedSource
from etf_pipeline.storage.bitemporal import OutOfOrderError
from etf_pipeline.storage.bitemporal_factors import UnusableVintageError
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline_tests.factor_vintages import as_of
from etf_pipeline_tests.sources.french_texts import US_DAILY
from etf_pipeline_tests.sources.test_ingest import FakeVendor

NOW = datetime(2026, 1, 20, tzinfo=UTC)
NAME = "F-F_Research_Data_Factors_daily.CSV"


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "ff"
    made.mkdir()
    (made / NAME).write_text(US_DAILY)
    return made


def real(**settings: object) -> Settings:
    return Settings(source="yahoo", **settings)  # type: ignore[arg-type]


def test_the_source_of_factors_that_the_settings_name(directory: Path) -> None:
    vendor: Source = FakeVendor()
    assert open_factor_source(real(), vendor) is None
    for chosen in (real(factor_path=directory), real(factor_path=directory, factor_source="files")):
        assert isinstance(open_factor_source(chosen, vendor), FactorFiles)
    assert isinstance(open_factor_source(real(factor_source="french"), vendor), FrenchLibrary)
    simulated = SimulatedSource(n_funds=2, end=date(2024, 7, 5))
    assert open_factor_source(Settings(), simulated) is simulated


def test_the_source_of_reference_series_that_the_settings_name(directory: Path, warehouse: Warehouse) -> None:
    vendor: Source = FakeVendor()
    assert open_reference_source(real(), vendor) is vendor
    assert isinstance(open_reference_source(real(reference_source="fred"), vendor), FredSource)
    (directory / "VIXCLS.csv").write_text("date,value\n2024-01-02,13.2\n")
    files = open_reference_source(real(reference_source="files", reference_path=directory), vendor)
    assert files.name == "files"
    assert ingest_reference(files, warehouse, None, None) == 1


def test_none_stores_nothing(warehouse: Warehouse) -> None:
    report = ingest_factors(None, warehouse, None, None)
    assert (report.new_versions, len(report.vintages)) == (0, 0)
    assert not warehouse.path.exists()


def test_a_window_is_cut_and_widened_later(directory: Path, warehouse: Warehouse) -> None:
    source = FactorFiles(directory, clock=lambda: NOW)
    day = date(2021, 10, 28)
    assert ingest_factors(source, warehouse, day, day).new_versions == 4
    assert ingest_factors(source, warehouse, None, None).new_versions == 8
    assert ingest_factors(source, warehouse, day, day).new_versions == 0
    assert as_of(warehouse, NOW)["size", "2021-10-27"] == -1.35 / 100


def test_files_of_one_moment_that_differ_are_refused_and_named(directory: Path, warehouse: Warehouse) -> None:
    (directory / f"202110_{NAME}").write_text(US_DAILY.replace("0.87", "0.88"))
    with pytest.raises(
        OutOfOrderError, match=r"us daily three_factor size 2021-10-28: F-F_.*Keep one of the two"
    ):
        ingest_factors(FactorFiles(directory, clock=lambda: NOW), warehouse, None, None)


def test_a_value_of_a_later_day_than_its_vintage_is_refused(directory: Path, warehouse: Warehouse) -> None:
    (directory / NAME).write_text(US_DAILY.replace("20211029,", "20211201,"))
    with pytest.raises(
        UnusableVintageError, match=r"holds 2021-12-01, and is said to be known at 2021-11-30"
    ):
        ingest_factors(FactorFiles(directory, clock=lambda: NOW), warehouse, None, None)


def test_simulated_factors_day_by_day_are_those_of_one_load(tmp_path: Path) -> None:
    """The newest vintage grows by a day; what it says is what one load says, and nothing is revised meanwhile."""
    whole, daily = Warehouse(tmp_path / "whole"), Warehouse(tmp_path / "daily")
    days = [date(2024, 7, 1), date(2024, 7, 2), date(2024, 7, 3)]
    for day in days:
        added = ingest_factors(SimulatedSource(n_funds=2, end=day), daily, None, day).new_versions
    assert added == 7, "one session of six factors and momentum"
    ingest_factors(SimulatedSource(n_funds=2, end=days[-1]), whole, None, days[-1])
    tables = []
    for warehouse in (whole, daily):
        with warehouse.read() as connection:
            tables.append(
                connection.execute(
                    "SELECT * EXCLUDE (known_at, fetch_id) FROM raw.factors_as_of(TIMESTAMP '9999-12-31') ORDER BY ALL"
                ).df()
            )
            revised = connection.execute("SELECT count(*) FROM raw.factor_revisions").fetchone()
        assert (revised or (0,))[0] > 500
    pd.testing.assert_frame_equal(*tables, check_exact=True)
