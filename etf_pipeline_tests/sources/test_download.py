"""One file over HTTP: what is tried again, how long is waited, and what a failure says."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from etf_pipeline.sources.base import SourceError
from etf_pipeline.sources.download import Downloader
from etf_pipeline_tests.sources.file_server import FileServer

PATH, CONTENT = "/folder/file.csv", b"a,b\n1,2\n"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with FileServer({PATH: CONTENT}).running() as running:
        yield running


class Waits(list[float]):
    """What was slept, instead of sleeping."""


def downloader(waits: Waits, **changes: object) -> Downloader:
    return Downloader(**{"backoff_seconds": 2.0, "timeout_seconds": 5.0, "sleep": waits.append, **changes})  # type: ignore[arg-type]


def test_a_file_comes_as_it_is(server: FileServer) -> None:
    waits = Waits()
    assert downloader(waits).get(server.url + PATH) == CONTENT
    assert waits == []


@pytest.mark.parametrize("fault", [429, 500, 503, "cut"], ids=str)
def test_a_busy_server_is_asked_again_after_ever_longer_waits(server: FileServer, fault: int | str) -> None:
    waits = Waits()
    server.faults[PATH] = [fault, fault]
    assert downloader(waits).get(server.url + PATH) == CONTENT
    assert waits == [2.0, 4.0]
    assert len(server.log) == 3


def test_the_servers_own_word_on_waiting_counts_within_reason(server: FileServer) -> None:
    for stated, expected in (("7", 7.0), ("86400", 120.0), ("soon", 2.0)):
        waits = Waits()
        server.retry_after, server.faults[PATH] = stated, [429]
        downloader(waits).get(server.url + PATH)
        assert waits == [expected]


def test_it_gives_up_with_address_reason_and_remedy(server: FileServer) -> None:
    waits = Waits()
    server.faults[PATH] = [503] * 9
    with pytest.raises(SourceError, match=r"/folder/file\.csv: HTTP 503 .*after 3 attempts.*by hand"):
        downloader(waits, attempts=3).get(server.url + PATH)
    assert len(server.log) == 3
    assert waits == [2.0, 4.0]


@pytest.mark.parametrize("status", [403, 404])
def test_what_will_not_change_is_not_tried_again(server: FileServer, status: int) -> None:
    waits = Waits()
    server.faults[PATH] = [status]
    with pytest.raises(SourceError, match=rf"file\.csv: HTTP {status} .*set the base address"):
        downloader(waits).get(server.url + PATH)
    assert len(server.log) == 1


def test_no_answer_in_time(server: FileServer) -> None:
    waits = Waits()
    server.faults[PATH] = ["slow"]
    assert downloader(waits, timeout_seconds=0.2).get(server.url + PATH) == CONTENT
    assert waits == [2.0]


def test_nobody_at_the_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    waits = Waits()
    with pytest.raises(SourceError, match=r"refused, after 2 attempts"):
        downloader(waits, attempts=2).get(f"http://127.0.0.1:{port}/x")


def test_an_endless_answer_and_another_protocol_are_refused(server: FileServer) -> None:
    with pytest.raises(SourceError, match="more than 3 bytes"):
        downloader(Waits(), largest_bytes=3).get(server.url + PATH)
    with pytest.raises(SourceError, match="only http and https"):
        downloader(Waits()).get("file:///etc/hostname")
