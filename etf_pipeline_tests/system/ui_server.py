"""The Dagster UI as ``make ui`` starts it, on a free loopback port and an installation of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from etf_pipeline_tests.conftest import ROOT


class UiError(AssertionError):
    """The UI did not start, or answered with an error; the message quotes its log."""


@dataclass(frozen=True)
class Installation:
    """A working directory with its own settings, warehouse and Dagster books."""

    home: Path
    environment: dict[str, str]

    @property
    def warehouse(self) -> Path:
        return self.home / "warehouse"

    def etf(self, *arguments: str, timeout: float = 300.0) -> str:
        """Run the ``etf`` command here; raises with its output where it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "etf_pipeline.cli", *arguments],
            cwd=self.home, env=self.environment, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
        if done.returncode:
            raise UiError(f"etf {' '.join(arguments)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout


def install(home: Path, **settings: object) -> Installation:
    """An installation as a clean checkout has it: the project's own ``dagster.yaml`` and ``workspace.yaml``."""
    (home / "warehouse").mkdir(parents=True)
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / name, home)
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("ETF_", "DAGSTER_"))
    }
    own = {
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "PYTHONPATH": str(ROOT),
    }
    chosen = {f"ETF_{name.upper()}": str(value) for name, value in settings.items()}
    return Installation(home, {**inherited, **own, **chosen})


@dataclass(frozen=True)
class Ui:
    """A running UI."""

    address: str

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """The data of a GraphQL query."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = Request(f"{self.address}/graphql", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=30) as answer:
            content = json.load(answer)
        if content.get("errors"):
            raise UiError(f"{query}: {content['errors']}")
        return dict(content["data"])

    def runs(self, job: str) -> list[dict[str, Any]]:
        """Runs of a job, newest first: runId, status, tags."""
        query = """query($job: String!) { runsOrError(filter: {pipelineName: $job}) {
            ... on Runs { results { runId status tags { key value } } } } }"""
        return list(self.ask(query, job=job)["runsOrError"]["results"])

    def failures(self, run: str) -> list[str]:
        """What a run's log says went wrong."""
        query = """query($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
            __typename ... on MessageEvent { message stepKey } ... on ErrorEvent { error { message } } } } } }"""
        events = self.ask(query, run=run)["logsForRun"]["events"]
        return [
            f"{e['stepKey']}: {e['message']} {e.get('error')}" for e in events if "Failure" in e["__typename"]
        ]


@contextmanager
def running_ui(installation: Installation, *, timeout: float = 150.0) -> Iterator[Ui]:
    """Start ``dg dev`` on loopback; every process it started is gone at the end."""
    port = _free_port()
    log_path = installation.home / "warehouse" / "ui.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [
                str(Path(sys.executable).parent / "dg"), "dev", "--workspace", "workspace.yaml",
                "--host", "127.0.0.1", "--port", str(port),
            ],
            cwd=installation.home, env=installation.environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    ui = Ui(f"http://127.0.0.1:{port}")
    try:
        deadline = time.monotonic() + timeout
        while not _answers(ui):
            if process.poll() is not None or time.monotonic() > deadline:
                raise UiError(f"the UI did not start within {timeout:.0f} s:\n{log_path.read_text()[-3000:]}")
            time.sleep(0.5)
        yield ui
    finally:
        _end_group(process)


def _answers(ui: Ui) -> bool:
    try:
        with urlopen(f"{ui.address}/server_info", timeout=5):
            return True
    except (URLError, OSError):
        return False


def _end_group(process: subprocess.Popen[bytes], patience: float = 10.0) -> None:
    """Ask the whole process group to end, then end it."""
    for wish in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, wish)
        except ProcessLookupError:
            return
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
