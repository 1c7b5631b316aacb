"""Invariant 4: thirty builds killed at random moments, and the warehouse opens, is consistent, and completes."""

from __future__ import annotations

import random
import re
import signal
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import duckdb
import pytest

from etf_pipeline.core.market.calendar import exchange_sessions
from etf_pipeline.storage.connection import CONFIG, Warehouse
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline.storage.hashing import content_hash
from etf_pipeline.storage.tables import RAW_TABLE, from_arrow
from etf_pipeline.storage.truncation import RESEARCH, research_hashes
from etf_pipeline_tests.crash.conftest import Spawn
from etf_pipeline_tests.crash.victim import JUDGEMENT, build
from etf_pipeline_tests.harness import resolve_job, rows, small_market

KILLS = 30
OF_WHOLE_BUILDS = 10
SEED = 20260105
HALF_LIVES = (33, 20)
PUBLISHING = "production__published_snapshot"
AS_FACTORS_WERE_KNOWN = {
    f"attribution.{name}"
    for name in (
        "factor_exposure",
        "rolling_exposure",
        "return_attribution",
        "annual_attribution",
        "portfolio_risk",
    )
}
OF_THE_LEDGER = {
    f"validation.{name}" for name in ("trials", "trial_returns", "overfitting", "significance", "readiness")
}
STAGES = ("ingest", "market", "risk", "signals", "scoring", "production")


def days(count: int) -> list[str]:
    """The market grows by four sessions before each build, so that every stage has something to write."""
    return [str(day) for day in exchange_sessions("asx", "2024-06-03", "2025-12-31")[::4][:count]]


def assert_consistent(path: Path) -> dict[str, str]:
    """The file opens, and each table holds exactly the rows of its newest recorded materialisation."""
    with duckdb.connect(str(path), read_only=True, config=dict(CONFIG)) as connection:
        if not connection.execute("SELECT 1 FROM duckdb_schemas() WHERE schema_name = 'meta'").fetchone():
            return {}
        recorded = dict(
            connection.execute("SELECT asset, content_hash FROM meta.latest_materializations").fetchall()
        )
        for table in RESEARCH:
            frame = from_arrow(connection.execute(f"SELECT * FROM {table}").to_arrow_table())
            if table in recorded:
                assert content_hash(frame, CONTRACTS[table]) == recorded[table], (
                    f"{table} mixes old and new rows"
                )
            else:
                assert frame.empty, f"{table} has rows that no materialisation recorded"
        torn = connection.execute(
            "SELECT f.fetch_id, f.new_versions, count(b.fetch_id) FROM raw.fetches f "
            "LEFT JOIN raw.bars b USING (fetch_id) GROUP BY ALL HAVING count(b.fetch_id) <> f.new_versions"
        ).fetchall()
        assert torn == [], "a fetch is in the log with another number of bars than it says"
        for table in ("raw.bars", "raw.actions", "raw.coverage"):
            orphans = connection.execute(
                f"SELECT count(*) FROM {table} WHERE fetch_id NOT IN (SELECT fetch_id FROM raw.fetches)"
            ).fetchone()
            assert orphans == (0,), f"{table} has rows of a fetch that was never completed"
        unknown = connection.execute(
            "SELECT count(*) FROM meta.inputs i LEFT JOIN meta.materializations m "
            "ON m.materialization_id = i.input_id WHERE m.asset IS NULL"
        ).fetchone()
        assert unknown == (0,)
    return {k: v for k, v in recorded.items() if k not in RAW_TABLE}


def read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def durations(log: Path) -> dict[str, float]:
    """Seconds that each step of a finished build took, in the order they ran."""
    taken = re.findall(r'Finished execution of step "(\w+)" in ([\d.]+)(ms|s)\b', read(log))
    return {step: float(number) / (1000 if unit == "ms" else 1) for step, number, unit in taken}


def stage_of(log: Path) -> str:
    """The stage at work when the process died: that of the last step started, checks told apart."""
    text = read(log)
    steps = re.findall(r" - (\w+) - STEP_START - ", text)
    if "RUN_SUCCESS" in text:
        return "finished"
    if not steps:
        return "before the first step"
    stage, _, name = steps[-1].partition("__")
    if stage in {"raw", "assessed_market", "production"}:
        return {"raw": "ingest", "assessed_market": "market"}.get(stage, stage)
    return stage if f"{stage}.{name}" in CONTRACTS else f"{stage} checks"


@dataclass(frozen=True)
class Moment:
    """So many seconds into a step, of a whole build or of one without the stages of judgement."""

    step: str
    seconds: float
    whole: bool


def moments(taken: dict[str, float], short: set[str], random_numbers: random.Random) -> list[Moment]:
    """A third in a step of a whole build at random, so that short ones are hit too; the others anywhere in time."""
    first = [step for step in taken if step in short]
    by_time = random_numbers.choices(
        first, weights=[taken[step] for step in first], k=KILLS - OF_WHOLE_BUILDS
    )
    by_step = [PUBLISHING, *random_numbers.sample(sorted(set(taken) - {PUBLISHING}), OF_WHOLE_BUILDS - 1)]
    chosen = [Moment(step, random_numbers.random() * taken[step], False) for step in by_time]
    chosen += [Moment(step, random_numbers.random() * taken[step], True) for step in by_step]
    random_numbers.shuffle(chosen)
    return chosen


def wait_for(moment: Moment, process: BaseProcess, log: Path) -> None:
    """Return at the moment, or when the process has ended."""
    while process.is_alive() and f" - {moment.step} - STEP_START - " not in read(log):
        time.sleep(0.003)
    time.sleep(moment.seconds)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_thirty_random_kills(spawn: Spawn, tmp_path: Path) -> None:
    random_numbers = random.Random(SEED)
    warehouse = Warehouse(tmp_path / "killed")
    ends = days(KILLS + 1)

    def start(directory: Path, number: int, log: Path, whole: bool = True) -> BaseProcess:
        return spawn(build, str(directory), ends[number], HALF_LIVES[number % 2], str(log), whole)

    # Uninterrupted, elsewhere: what the killed warehouse must come to, and how long each step takes.
    reference = Warehouse(tmp_path / "reference")
    process = start(reference.directory, KILLS, tmp_path / "reference.log")
    process.join()
    assert process.exitcode == 0, read(tmp_path / "reference.log")[-3000:]

    landed: Counter[str] = Counter()
    seen: set[str] = set()
    short = set(resolve_job(small_market(tmp_path, ends[0]), "build", JUDGEMENT).graph.node_dict)
    for number, moment in enumerate(moments(durations(tmp_path / "reference.log"), short, random_numbers)):
        log = tmp_path / f"{number}.log"
        process = start(warehouse.directory, number, log, moment.whole)
        wait_for(moment, process, log)
        process.kill()
        process.join()
        assert process.exitcode in {-signal.SIGKILL, 0}, read(log)[-3000:]
        landed[stage_of(log)] += 1
        if warehouse.path.exists():
            seen |= set(assert_consistent(warehouse.path).values())
        if warehouse.published_path.exists():
            assert_consistent(warehouse.published_path)
    print(f"\n{KILLS} kills landed in: {dict(landed.most_common())}")

    process = start(warehouse.directory, KILLS, tmp_path / "last.log")
    process.join()
    assert process.exitcode == 0, read(tmp_path / "last.log")[-3000:]
    # The ledger remembers what the killed builds tried under the other setting, and factors are read as they first were
    # known, which the killed builds had learned one by one; the rest knows nothing of them.
    derived = [table for table in RESEARCH if table not in OF_THE_LEDGER | AS_FACTORS_WERE_KNOWN]
    assert research_hashes(warehouse, None, derived) == research_hashes(reference, None, derived)
    tried, once = (set(rows(w, "validation.trials")["trial_id"]) for w in (warehouse, reference))
    assert once <= tried
    assert_consistent(warehouse.published_path)
    assert {p.name for p in warehouse.directory.iterdir()} == {
        "etf.duckdb", "published.duckdb", "run.lock", "reports"
    }  # fmt: skip
    held, expected = (
        rows(w, "raw.bars_latest")
        .drop(columns=["known_at", "fetch_id"])
        .sort_values(["ticker", "session", "occurrence"])
        for w in (warehouse, reference)
    )
    assert held.reset_index(drop=True).equals(expected.reset_index(drop=True))

    # The kills mean something: they hit many stages, and tables were rewritten between them.
    hit = {stage.split()[0] for stage in landed} & set(STAGES)
    assert len(hit) >= 5, landed
    assert len(seen) > 3 * len(RESEARCH), "too few different table contents for old and new to be told apart"
    assert landed["finished"] <= KILLS // 5, landed
