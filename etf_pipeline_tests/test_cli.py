"""The ``etf`` command as a user meets it: what it prints, and how it refuses."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from etf_pipeline import cli
from etf_pipeline.core.risk.garch.exotic import EXOTIC
from etf_pipeline_tests.conftest import ROOT

LAST, NEXT = "2026-01-09", "2026-01-12"


@dataclass(frozen=True)
class Printed:
    code: int
    out: str
    err: str


def clean_environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ETF_") and k != "DAGSTER_HOME"}
    paths = [str(ROOT), kept.get("PYTHONPATH", "")]
    return kept | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "ETF_SIMULATED_FUNDS": "16",
        # Above what a few of the sixteen funds trade, so that some are left out.
        "ETF_UNIVERSE__MIN_MEDIAN_TRADED_VALUE": "300000",
    }


def run_etf(folder: Path, *arguments: str) -> Printed:
    """The command in a process of its own, as a job needs it: the graph is loaded under its settings."""
    done = subprocess.run(
        [sys.executable, "-m", "etf_pipeline.cli", *arguments],
        cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return Printed(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def built(folder: Path) -> Printed:
    """A small simulated market up to LAST, in ``folder``/warehouse."""
    printed = run_etf(folder, "build", "--start", "2023-06-01", "--end", LAST)
    assert printed.code == 0, printed.err
    return printed


@pytest.fixture
def etf(
    folder: Path, built: Printed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Printed]:
    """The command in this process, in the folder of the built warehouse."""
    monkeypatch.chdir(folder)
    for key in [k for k in os.environ if k.startswith("ETF_")]:
        monkeypatch.delenv(key)
    # What a command's options put into the environment is taken out again at the end of the test.
    for name in ("WAREHOUSE", "SOURCE", "PATH", "FACTOR_PATH", "MARKET", "START", "END"):
        monkeypatch.setenv(f"ETF_{name}", "")

    def call(*arguments: str) -> Printed:
        monkeypatch.setattr(sys, "argv", ["etf", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return Printed(int(ended.value.code or 0), out, err)

    return call


def assert_refused(printed: Printed, *told: str) -> None:
    """One line that says it all, exit code 2, nothing on standard output."""
    assert printed.code == 2
    assert printed.out == ""
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1, printed.err
    assert lines[0].startswith("error: ")
    for text in told:
        assert text in lines[0]


def test_help_lists_every_command(etf: Callable[..., Printed]) -> None:
    printed = etf("--help")
    assert printed.code == 0
    for command in ("build", "daily", "rank", "explain", "risk", "exposure", "stress", "sql"):
        assert f" {command} " in printed.out


def test_build_tells_each_asset_and_nothing_else(built: Printed) -> None:
    lines = built.err.splitlines()
    assert built.out == ""
    assets = [line.split()[0] for line in lines if line.startswith("  ") and "check" not in line]
    assert assets[-1] == "production/tear_sheets"
    assert {"raw/price_history", "market/bars", "scoring/composite_ranking"} <= set(assets)
    assert lines[-1].startswith("build finished in ")
    assert "DEBUG" not in built.err
    assert len(lines) < 100, "a line a table, and a few on what was fetched"


def test_rank_prints_the_best_first_and_says_that_it_is_simulated(etf: Callable[..., Printed]) -> None:
    printed = etf("rank", "--top", "3")
    assert printed.code == 0
    assert printed.out.startswith("SIMULATED MARKET")
    assert f"Ranking at the close of {LAST}" in printed.out
    shown = [line.split("│")[1:4] for line in printed.out.splitlines() if re.search(r"\.SIM +│", line)]
    assert [cells[0].strip() for cells in shown][:3] == ["1", "2", "3"]
    assert "illiquid: too little of it is traded" in printed.out
    assert "etf explain TICKER" in printed.out


def test_rank_of_an_earlier_session(etf: Callable[..., Printed]) -> None:
    assert "Ranking at the close of 2025-12-31" in etf("rank", "--session", "2025-12-31").out


def test_explain_takes_the_best_fund_apart(etf: Callable[..., Printed]) -> None:
    best = answer(etf("sql", "SELECT ticker, name, final_score FROM latest_ranking WHERE rank = 1", "--csv"))[
        0
    ]
    printed = etf("explain", best["ticker"])
    assert printed.code == 0
    assert f"{best['ticker']} ranks 1st of" in printed.out
    assert best["name"] in printed.out
    assert "raw score" in printed.out
    assert f"{float(best['final_score']):.4f}" in printed.out
    assert "raw bar versions of" in printed.out


def test_explain_an_excluded_fund_says_why(etf: Callable[..., Printed]) -> None:
    query = "SELECT ticker, exclusion_reason FROM latest_ranking WHERE rank IS NULL ORDER BY 1"
    excluded = answer(etf("sql", query, "--csv"))
    assert excluded
    for row in excluded:
        printed = etf("explain", row["ticker"])
        assert f"{row['ticker']} on {LAST} is not ranked: " in printed.out
        assert "What the score is made of" not in printed.out
        assert "ranked" in printed.out.split("is not ranked")[1], "when it last was, or that it never was"


def test_risk_of_all_funds_and_of_one(etf: Callable[..., Printed]) -> None:
    printed = etf("risk", "--top", "2")
    assert printed.code == 0
    assert printed.out.startswith("SIMULATED MARKET")
    assert f"Risk categories at the close of {LAST}" in printed.out
    assert "The 2 riskiest and the 2 calmest members" in printed.out
    printed = etf("risk", "MKT.SIM", "--session", "2025-12-31")
    assert printed.code == 0
    assert "risk at the close of 2025-12-31" in printed.out
    assert "How often was the value at risk exceeded?" in printed.out
    assert "Rarer volatility models" not in printed.out


def test_exposure_of_the_ranking_and_of_one_fund(etf: Callable[..., Printed]) -> None:
    printed = etf("exposure", "--top", "4")
    assert printed.code == 0, printed.err
    assert printed.out.startswith("SIMULATED MARKET")
    assert f"What the first of the ranking of {LAST} load on" in printed.out
    shown = re.findall(r"│ +(\d+) │ \S+\.SIM +│ \S+ +│ 2025-12-31 │", printed.out)
    assert sorted(shown) == ["1", "2", "3", "4"]
    printed = etf("exposure", "MKT.SIM", "--session", "2025-12-15")
    assert printed.code == 0, printed.err
    assert "at 2025-11-28" in printed.out, "the newest month's end by then"
    assert "2025-12-31" not in printed.out
    assert "The path of its loadings" in printed.out


def test_stress_of_the_ranking_and_of_one_fund(etf: Callable[..., Printed]) -> None:
    printed = etf("stress", "--top", "4")
    assert printed.code == 0, printed.err
    assert printed.out.startswith("SIMULATED MARKET")
    fall = next(line for line in printed.out.splitlines() if line.startswith("│ Equities -20 %"))
    assert fall.count("│") == 6, "a column a fund"
    assert "Not asked: Dot-com crash" in printed.out
    printed = etf("stress", "MKT.SIM")
    assert printed.code == 0, printed.err
    rows = [line.split("│") for line in printed.out.splitlines() if line.startswith("│ Equities -20 %")]
    assert rows[0][4].strip() == "-20.0", "the market fund is the market"
    assert "others unchanged" in printed.out


def test_what_make_run_shows_fits_a_screen(etf: Callable[..., Printed]) -> None:
    target = re.search(r"^run:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert target is not None
    commands = re.findall(r"\$\(BIN\)/etf (.*)", target.group(1))
    assert commands == ["build", "rank", "exposure --short", "stress --short"]
    printed = [etf(*command.split()) for command in commands[2:]]
    assert [one.code for one in printed] == [0, 0]
    assert sum(len(one.out.splitlines()) for one in printed) <= 40


def test_risk_asks_rarer_models_on_request(etf: Callable[..., Printed]) -> None:
    printed = etf("risk", "MKT.SIM", "--session", "2025-12-31", "--exotic")
    assert printed.code == 0
    rows = [line for line in printed.out.splitlines() if any(f"│ {name} " in line for name in EXOTIC)]
    assert len(rows) == len(EXOTIC)
    assert all(row.count(" %") == 3 for row in rows), "a forecast for each horizon"
    refused = etf("risk", "--exotic")
    assert refused.code == 2
    assert "--exotic is about one fund: name it" in refused.err


def test_explain_an_unknown_fund_names_near_ones(etf: Callable[..., Printed]) -> None:
    assert_refused(etf("explain", "mkt.sin"), "mkt.sin is not in this warehouse; nearest are MKT.SIM, ")


def answer(printed: Printed) -> list[dict[str, str]]:
    assert printed.code == 0, printed.err
    return list(csv.DictReader(io.StringIO(printed.out)))


def test_sql_prints_a_table(etf: Callable[..., Printed]) -> None:
    printed = etf("sql", "SELECT 1 AS one, NULL AS nothing, '[bold]x' AS markup, 1234567.5::DOUBLE AS large")
    assert "│ 1   │         │ [bold]x │ 1234568 │" in printed.out


def test_sql_limit(etf: Callable[..., Printed]) -> None:
    printed = etf("sql", "FROM range(10)", "--limit", "4")
    assert "The first 4 rows; --limit 0 shows all" in printed.out
    assert "│ 3 " in printed.out
    assert "│ 4 " not in printed.out
    for arguments in (("--limit", "10"), ("--limit", "0"), ()):
        whole = etf("sql", "FROM range(10)", *arguments)
        assert "│ 9 " in whole.out
        assert "first" not in whole.out


def test_sql_csv_is_complete_and_exact(etf: Callable[..., Printed]) -> None:
    printed = etf(
        "sql", "SELECT i, i / 3 AS third, 'a,b' AS text, NULL AS none FROM range(100) t(i)", "--csv"
    )
    rows = answer(printed)
    assert len(rows) == 100, "the limit is for people, not for files"
    assert float(rows[1]["third"]) == 1 / 3
    assert rows[0] == {"i": "0", "third": "0.0", "text": "a,b", "none": ""}
    assert "\r" not in printed.out


def test_sql_shows_a_wide_answer_unbroken_where_nobody_looks_at_a_screen(etf: Callable[..., Printed]) -> None:
    printed = etf("sql", "FROM latest_ranking", "--limit", "2")
    assert "volatility_annualised" in printed.out
    assert "…" not in printed.out


def test_sql_from_a_file_with_parameters(etf: Callable[..., Printed], tmp_path: Path) -> None:
    file = tmp_path / "one.sql"
    file.write_text("SELECT count(*) AS n FROM market.bars WHERE ticker = $ticker AND session <= $day::DATE")
    rows = answer(
        etf("sql", "--file", str(file), "--param", "ticker=MKT.SIM", "--param", f"day={LAST}", "--csv")
    )
    assert int(rows[0]["n"]) > 500
    assert_refused(etf("sql", "--file", str(file), "--param", "ticker"), "--param ticker: write name=value")
    assert_refused(etf("sql", "--file", str(file), "--param", "ticker=A"), "parameters: day")


def test_every_shipped_query_prints(etf: Callable[..., Printed]) -> None:
    values = {"ticker": "MKT.SIM", "session": LAST, "moment": "2026-01-02 00:00"}
    for file in sorted((ROOT / "warehouse" / "queries").glob("*.sql")):
        used = [f"--param={k}={v}" for k, v in values.items() if f"${k}" in file.read_text(encoding="utf-8")]
        assert etf("sql", "--file", str(file), *used, "--limit", "2").code == 0, file.name


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM raw.bars",
        "CREATE TABLE t (i INT)",
        "UPDATE raw.bars SET close = 1",
        "DROP VIEW fund_card",
    ],
)
def test_sql_cannot_write(etf: Callable[..., Printed], statement: str) -> None:
    before = etf("sql", "SELECT count(*), sum(close) FROM raw.bars", "--csv").out
    assert_refused(etf("sql", statement), "read-only mode")
    assert etf("sql", "SELECT count(*), sum(close) FROM raw.bars", "--csv").out == before


def test_a_mistake_in_sql_is_pointed_at(etf: Callable[..., Printed]) -> None:
    printed = etf("sql", "SELECT nothing FROM raw.bars")
    assert printed.code == 2
    lines = printed.err.splitlines()
    assert lines[0].startswith('error: Binder Error: Referenced column "nothing" not found')
    assert lines[-1].strip() == "^"
    assert "Traceback" not in printed.err


def test_there_is_no_warehouse_yet(etf: Callable[..., Printed], tmp_path: Path) -> None:
    for command in (
        ["rank"], ["explain", "MKT.SIM"], ["risk"], ["risk", "MKT.SIM"], ["exposure"], ["exposure", "MKT.SIM"], ["stress"],
        ["stress", "MKT.SIM"], ["sql", "SELECT 1"],
    ):  # fmt: skip
        assert_refused(
            etf(*command, "--warehouse", str(tmp_path / "none")),
            "nothing is published",
            "run `etf build` first",
        )
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("rank", "--session", "2026-13-01"), ("session 2026-13-01: write a date as YYYY-MM-DD",)),
        (("explain", "MKT.SIM", "--session", "today"), ("session today: write a date as YYYY-MM-DD",)),
        (("risk", "--session", "2026-13-01"), ("session 2026-13-01: write a date as YYYY-MM-DD",)),
        (("risk", "MKT.SIM", "--session", "2025-12-25"), ("2025-12-25 is not a session with risk", f"to {LAST}")),
        (("risk", "mkt.sin"), ("mkt.sin is not in this warehouse; nearest are MKT.SIM, ",)),
        (("exposure", "--session", "2026-13-01"), ("session 2026-13-01: write a date as YYYY-MM-DD",)),
        (("exposure", "mkt.sin"), ("mkt.sin is not in this warehouse; nearest are MKT.SIM, ",)),
        (("exposure", "--session", "2001-01-02"), ("no month's end at or before 2001-01-02", "to 2025-12-31")),
        (("exposure", "MKT.SIM", "--short"), ("--short is about the ranking's first funds",)),
        (("stress", "--session", "2026-13-01"), ("session 2026-13-01: write a date as YYYY-MM-DD",)),
        (("stress", "mkt.sin"), ("mkt.sin is not in this warehouse; nearest are MKT.SIM, ",)),
        (("stress", "--session", "2001-01-02"), ("no month's end at or before 2001-01-02", "to 2025-12-31")),
        (("stress", "MKT.SIM", "--short"), ("--short is about the ranking's first funds",)),
        (("rank", "--session", "2025-12-25"), ("2025-12-25 is not a session", f"to {LAST}")),
        (("daily", "2026-13-01"), ("session 2026-13-01: write a date as YYYY-MM-DD",)),
        (("daily", "2026-01-26"), ("2026-01-26, a Monday, is no session of the exchange (asx)",)),
        (("daily", "2026-01-10"), ("2026-01-10, a Saturday, is no session",)),
        (("daily", "2025-12-31"), ("before go-live, 2026-01-05 (operate_from)", "etf build")),
        (("daily", "2099-01-05"), ("session 2099-01-05 is not final: the last final session is 20",)),
        (("build", "--source", "csv"), ("source = 'csv'", "'simulated', 'files' or 'yahoo'")),
        (("build", "--source", "files"), ("source = 'files' needs path",)),
        (("build", "--source", "files", "--path", "/no/such/file.parquet"), ("/no/such/file.parquet does not exist",)),
        (("build", "--source", "yahoo", "--factor-path", "/no/ff"), ("factor_path /no/ff is not a directory",)),
        (("build", "--factor-path", "/no/ff"), ("factor_path brings in what real markets did",)),
        (("build", "--start", "2026-02-01", "--end", "2026-01-01"), ("start 2026-02-01 is after end 2026-01-01",)),
        (("sql",), ("give a query or --file, one of the two",)),
        (("sql", "SELECT 1", "--file", "x.sql"), ("give a query or --file, one of the two",)),
        (("sql", "--file", "nowhere.sql"), ("nowhere.sql: No such file or directory",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_refusals(etf: Callable[..., Printed], arguments: tuple[str, ...], told: tuple[str, ...]) -> None:
    assert_refused(etf(*arguments), *told)


def test_an_unknown_setting_is_refused(etf: Callable[..., Printed], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETF_MARKTE", "us")
    assert_refused(etf("rank"), "unknown environment variable ETF_MARKTE: allowed are ETF_ADJUSTED")


def test_a_broken_settings_file_is_refused(
    etf: Callable[..., Printed], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "etf.toml").write_text("market = \n")
    monkeypatch.setenv("ETF_CONFIG", str(tmp_path / "etf.toml"))
    assert_refused(etf("rank"), "etf.toml cannot be read as TOML: Invalid value (at line 1")


@pytest.mark.parametrize(
    "arguments", [("rank", "--top", "0"), ("rank", "--nonsense"), ("explain",), ("fly",)]
)
def test_wrong_usage_is_exit_code_2(etf: Callable[..., Printed], arguments: tuple[str, ...]) -> None:
    printed = etf(*arguments)
    assert printed.code == 2
    assert "Traceback" not in printed.err


def test_a_reader_that_has_seen_enough_is_no_error(folder: Path, built: Printed) -> None:
    done = subprocess.run(
        f"{sys.executable} -m etf_pipeline.cli sql 'FROM raw.bars' --csv | head -n 1",
        shell=True, cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("ticker,session,")
    assert done.stderr == ""


def test_daily_publishes_a_session(folder: Path, built: Printed) -> None:
    printed = run_etf(folder, "daily", NEXT, "--quiet")
    assert printed.code == 0, printed.err
    assert printed.err.splitlines()[-1].startswith("daily finished in ")
    said = run_etf(
        folder,
        "sql",
        "SELECT session, count(rank) AS ranked FROM production.published_ranking GROUP BY 1",
        "--csv",
    )
    rows = answer(said)
    assert [row["session"] for row in rows] == [NEXT]
    assert int(rows[0]["ranked"]) > 5
    assert f"Ranking at the close of {NEXT}" in run_etf(folder, "rank").out
