"""Ken French's library over HTTP, against a server of our own; then stored."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from etf_pipeline.sources.base import SourceError
from etf_pipeline.sources.download import Downloader
from etf_pipeline.sources.factors import FactorSource
from etf_pipeline.sources.french import FrenchLibrary
from etf_pipeline.sources.french.http import FOLDER
from etf_pipeline.sources.ingest import ingest_factors
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline_tests.factor_vintages import as_of
from etf_pipeline_tests.sources.file_server import FileServer
from etf_pipeline_tests.sources.french_texts import US_DAILY, table_text, zipped

NOW = datetime(2022, 1, 20, tzinfo=UTC)
US_PATH = f"{FOLDER}F-F_Research_Data_Factors_daily_CSV.zip"
MEMBER = "F-F_Research_Data_Factors_daily.CSV"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with FileServer({US_PATH: zipped(US_DAILY, MEMBER)}).running() as running:
        yield running


def library(server: FileServer, now: datetime = NOW) -> FrenchLibrary:
    return FrenchLibrary(
        server.url, regions=["us"], constructions=["three_factor"], frequencies=["daily"],
        downloader=Downloader(sleep=lambda _: None), clock=lambda: now,
    )  # fmt: skip


def test_a_table_is_downloaded_and_read(server: FileServer) -> None:
    source = library(server)
    assert isinstance(source, FactorSource)
    (found,) = source.factor_vintages()
    assert (found.source, found.name, found.label) == ("french", "us daily three_factor", "2021-10")
    assert found.known_at == datetime(2021, 11, 30, 23, 59, 59, tzinfo=UTC)
    assert found.downloaded_at == NOW
    assert len(found.returns) == 12
    assert server.asked() == [US_PATH]


def test_a_busy_library_is_asked_again(server: FileServer) -> None:
    server.faults[US_PATH] = [503, "cut"]
    assert len(list(library(server).factor_vintages())) == 1
    assert len(server.log) == 3


NAMES = [
    "F-F_Research_Data_Factors_daily_CSV.zip",
    "F-F_Research_Data_Factors_CSV.zip",
    "F-F_Research_Data_5_Factors_2x3_daily_CSV.zip",
    "F-F_Research_Data_5_Factors_2x3_CSV.zip",
    "F-F_Momentum_Factor_daily_CSV.zip",
    "F-F_Momentum_Factor_CSV.zip",
    "Asia_Pacific_ex_Japan_3_Factors_Daily_CSV.zip",
    "Asia_Pacific_ex_Japan_3_Factors_CSV.zip",
    "Asia_Pacific_ex_Japan_5_Factors_Daily_CSV.zip",
    "Asia_Pacific_ex_Japan_5_Factors_CSV.zip",
    "Asia_Pacific_ex_Japan_MOM_Factor_Daily_CSV.zip",
    "Asia_Pacific_ex_Japan_MOM_Factor_CSV.zip",
    # No daily tables of emerging markets, nor their three factors.
    "Emerging_5_Factors_CSV.zip",
    "Emerging_MOM_Factor_CSV.zip",
]


def test_every_table_by_the_librarys_name(server: FileServer) -> None:
    server.files = {f"{FOLDER}{name}": zipped(table_text(name), "table.csv") for name in NAMES}
    source = FrenchLibrary(server.url, regions=["us", "asia_pacific_ex_japan", "emerging"])
    tables = [vintage.name for vintage in source.factor_vintages()]
    assert server.asked() == [f"{FOLDER}{name}" for name in NAMES]
    assert len(set(tables)) == len(NAMES)


def test_a_table_that_is_not_there_is_named(server: FileServer) -> None:
    source = FrenchLibrary(server.url, regions=["us"], constructions=["momentum"])
    with pytest.raises(
        SourceError, match=r"F-F_Momentum_Factor_daily_CSV\.zip: HTTP 404.*set the base address"
    ):
        list(source.factor_vintages())


def test_a_page_instead_of_a_file_is_refused(server: FileServer) -> None:
    server.files[US_PATH] = b"<html>moved</html>"
    with pytest.raises(SourceError, match="not a readable zip file"):
        list(library(server).factor_vintages())


def test_an_unknown_region() -> None:
    with pytest.raises(SourceError, match="region mars is unknown; use some of us, developed"):
        FrenchLibrary(regions=["mars"])


def test_downloads_gather_and_a_second_issue_counts_from_its_download(
    server: FileServer, tmp_path: Path
) -> None:
    warehouse = Warehouse(tmp_path)
    report = ingest_factors(library(server), warehouse, None, None)
    assert report.new_versions == 12
    assert report.vintages["vintage"].tolist() == ["2021-10"]
    assert ingest_factors(library(server), warehouse, None, None).new_versions == 0
    server.files[US_PATH] = zipped(US_DAILY.replace("0.87", "0.88"), MEMBER)
    later = datetime(2022, 1, 25, tzinfo=UTC)
    for expected in (1, 0):
        assert ingest_factors(library(server, later), warehouse, None, None).new_versions == expected
    cell = ("size", "2021-10-28")
    assert as_of(warehouse, "2021-11-30 23:59:58") == {}
    assert as_of(warehouse, NOW)[cell] == 0.87 / 100
    assert as_of(warehouse, later)[cell] == 0.88 / 100
    server.files[US_PATH] = zipped(US_DAILY, MEMBER)
    latest = datetime(2022, 1, 26, tzinfo=UTC)
    for expected in (1, 0):
        assert ingest_factors(library(server, latest), warehouse, None, None).new_versions == expected
    assert as_of(warehouse, latest)[cell] == 0.87 / 100, "and back to what it first said"
    assert as_of(warehouse, later)[cell] == 0.88 / 100
