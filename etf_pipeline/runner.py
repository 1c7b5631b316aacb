"""Run a job of the graph in this process, on the same Dagster instance the UI shows."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg


@dataclass(frozen=True)
class Outcome:
    """How a run ended, in one line."""

    success: bool
    message: str


@contextmanager
def dagster_instance() -> Iterator[dg.DagsterInstance]:
    """The instance of ``DAGSTER_HOME``, or of a ``dagster.yaml`` in this folder, or one in memory."""
    if not os.environ.get("DAGSTER_HOME") and Path("dagster.yaml").exists():
        os.environ["DAGSTER_HOME"] = str(Path.cwd())
    if os.environ.get("DAGSTER_HOME"):
        with dg.DagsterInstance.get() as instance:
            yield instance
    else:
        with dg.DagsterInstance.ephemeral() as instance:
            yield instance


def run_job(name: str, partition: str | None, on_step: Callable[[str], None] | None = None) -> Outcome:
    """Execute the job ``name`` (for ``partition``) in this process.

    ``on_step`` is called with a line for every asset written.
    """
    # Options this project relies on are still marked beta; their notices are for us, not for the user.
    warnings.simplefilter("ignore", dg.BetaWarning)
    from etf_pipeline.definitions import defs

    started = time.monotonic()
    with dagster_instance() as instance:
        result = defs.resolve_job_def(name).execute_in_process(
            instance=instance, partition_key=partition, raise_on_error=False
        )
        seconds = time.monotonic() - started
        for event in result.all_events:
            if on_step and event.is_step_materialization:
                materialization = event.step_materialization_data.materialization
                rows = materialization.metadata.get("dagster/row_count")
                on_step(
                    f"  {materialization.asset_key.to_user_string():<32} {rows.value if rows else '':>12} rows"
                )
        if result.success:
            return Outcome(True, f"{name} finished in {seconds:.1f} s (run {result.run_id})")
        return Outcome(False, _why(result))


def _why(result: dg.ExecuteInProcessResult) -> str:
    """The innermost reasons of a failed run, one a step, and checks that blocked."""
    reasons = []
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error and error.cause:
                error = error.cause
            if error:
                reasons.append(f"{event.step_key}: {error.message.strip()}")
    return "\n".join(reasons) or "see the run's log in the UI"
