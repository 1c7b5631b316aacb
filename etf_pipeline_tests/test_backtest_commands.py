"""``etf backtest``, ``etf report`` and ``etf doctor``: what they print, write and refuse, and with which exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from etf_pipeline import cli
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.publish import publish
from etf_pipeline_tests.backtest_warehouse import backtest_frames, fill


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    warehouse = Warehouse(tmp_path_factory.mktemp("commands"))
    fill(warehouse, backtest_frames())
    publish(warehouse)
    return warehouse


@pytest.fixture
def etf(
    published: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """The command in this process: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ETF_WAREHOUSE", str(published.directory))

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["etf", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def test_backtest_says_the_verdict(etf: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = etf("backtest")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].startswith("No. After costs it earned")
    assert "top_ranked by year" in out


def test_backtest_shows_a_sessions_trades(etf: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = etf("backtest", "--trades", "2021-04-30")
    assert code == 0
    assert "Trades of top_ranked on 2021-04-30" in out


def test_report_writes_a_page_beside_the_warehouse_and_prints_its_path(
    etf: Callable[..., tuple[int, str, str]], published: Warehouse
) -> None:
    code, out, err = etf("report")
    path = published.directory / "reports" / "top_ranked.html"
    assert (code, out, err) == (0, f"{path}\n", "")
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_report_writes_where_it_is_told(etf: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    assert etf("report", "--output", "new/sheet.html")[:2] == (0, "new/sheet.html\n")
    assert [p.name for p in tmp_path.rglob("*.html")] == ["sheet.html"]


def test_the_doctor_refuses_by_its_exit_code(etf: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = etf("doctor")
    assert (code, err) == (1, "")
    assert "Not ready: of 3 gates 1 failed, 1 are unknown." in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("backtest", "--strategy", "best"),
            "best is not a strategy in this warehouse; there are top_ranked",
        ),
        (("report", "--strategy", "best"), "best is not a strategy in this warehouse; there are top_ranked"),
        (("report", "--strategy", "../x"), "../x is not a strategy"),
        (("backtest", "--trades", "2021-05-05"), "it did on 2021-04-30 and 2021-05-31"),
        (("backtest", "--trades", "today"), "session today: write a date as YYYY-MM-DD"),
        (("backtest", "--warehouse", "none"), "run `etf build` first"),
        (("report", "--warehouse", "none"), "run `etf build` first"),
        (("doctor", "--warehouse", "none"), "run `etf build` first"),
    ],
)
def test_refusals(
    etf: Callable[..., tuple[int, str, str]], tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    code, out, err = etf(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert told in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
