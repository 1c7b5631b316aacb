"""FRED's series over HTTP, against a server of our own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from etf_pipeline.sources.base import REFERENCE_COLUMNS, SourceError
from etf_pipeline.sources.download import Downloader
from etf_pipeline.sources.files.reference import KNOWN, read_reference
from etf_pipeline.sources.fred import FredSource
from etf_pipeline.sources.fred.source import GRAPH, OFFERED
from etf_pipeline.sources.ingest import ingest_reference
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline_tests.sources.file_server import FileServer

DGS10 = (
    b"observation_date,DGS10\n2025-01-01,\n2025-01-02,4.57\n2025-01-03,4.60\n2025-01-06,.\n2025-01-07,4.67\n"
)
VIX = b"DATE,VIXCLS\n2025-01-02,17.93\n2025-01-03,16.13\n"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with FileServer({f"{GRAPH}DGS10": DGS10, f"{GRAPH}VIXCLS": VIX}).running() as running:
        yield running


def fred(server: FileServer) -> FredSource:
    return FredSource(
        ["VIXCLS", "DGS10"], base_url=server.url, downloader=Downloader(sleep=lambda _: None, attempts=2)
    )


def test_series_under_the_projects_names_without_missing_values(server: FileServer) -> None:
    frame = fred(server).reference(None, None)
    assert list(frame.columns) == REFERENCE_COLUMNS
    assert [(s, str(d.date()), v, u) for s, d, v, u in frame.itertuples(index=False)] == [
        ("us_10y_yield", "2025-01-02", 4.57, "percent"),
        ("us_10y_yield", "2025-01-03", 4.60, "percent"),
        ("us_10y_yield", "2025-01-07", 4.67, "percent"),
        ("vix", "2025-01-02", 17.93, "index points"),
        ("vix", "2025-01-03", 16.13, "index points"),
    ]


def test_the_window_is_inclusive(server: FileServer) -> None:
    frame = fred(server).reference(date(2025, 1, 3), date(2025, 1, 3))
    assert frame["value"].tolist() == [4.60, 16.13]


def test_the_same_as_from_a_file(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "DGS10.csv").write_bytes(DGS10)
    downloaded = fred(server).reference(None, None)
    downloaded = downloaded[downloaded["series"] == "us_10y_yield"]
    from_file = read_reference(tmp_path, None, None)
    assert downloaded.to_dict("list") == from_file.to_dict("list")
    assert downloaded.dtypes.tolist() == from_file.dtypes.tolist()


def test_a_busy_server_is_asked_again_and_a_dead_one_named(server: FileServer) -> None:
    server.faults[f"{GRAPH}DGS10"] = [500]
    assert len(fred(server).reference(None, None)) == 5
    server.faults[f"{GRAPH}DGS10"] = [500, 500]
    with pytest.raises(SourceError, match=r"id=DGS10: HTTP 500 .*after 2 attempts"):
        fred(server).reference(None, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"<html>maintenance</html>\n",
            r"begins with '<html>maintenance</html>' where observation_date,DGS10",
        ),
        (b"", "begins with '' where"),
        (VIX, "begins with 'DATE,VIXCLS' where observation_date,DGS10 is expected"),
        (DGS10 + b"2025-01-08\n", "line 7: 1 cells where 2 are expected"),
        (DGS10 + b"2025-01-07,4.7\n", "its dates do not ascend"),
        (DGS10 + b"2025-01-08,none yet\n", "id=DGS10: DGS10"),
        (b"\xff\xfe", "not a CSV file"),
    ],
    ids=["page", "empty", "other", "cut", "twice", "text", "bytes"],
)
def test_another_answer_is_refused(server: FileServer, content: bytes, message: str) -> None:
    server.files[f"{GRAPH}DGS10"] = content
    with pytest.raises(SourceError, match=message):
        fred(server).reference(None, None)


def test_ids_on_offer_are_known_by_name() -> None:
    assert set(OFFERED) <= set(KNOWN)
    with pytest.raises(
        SourceError, match="FRED series FIRMMCRTD: no name is known for it; use some of VIXCLS"
    ):
        FredSource(["FIRMMCRTD"])
    with pytest.raises(SourceError, match="FRED series none"):
        FredSource([])


def test_a_shorter_series_withdraws_nothing(server: FileServer, tmp_path: Path) -> None:
    """FRED serves only the last years of some series: what is held of earlier ones stays."""
    warehouse = Warehouse(tmp_path)
    assert ingest_reference(fred(server), warehouse, None, None) == 5
    server.files[f"{GRAPH}DGS10"] = b"observation_date,DGS10\n2025-01-07,4.67\n2025-01-08,4.69\n"
    assert ingest_reference(fred(server), warehouse, None, None) == 1
    with warehouse.read() as connection:
        held = connection.execute(
            "SELECT count(*) FROM raw.macro_as_of(TIMESTAMP '9999-12-31') WHERE series = 'us_10y_yield'"
        ).fetchone()
    assert held == (4,)
