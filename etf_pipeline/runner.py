"""Run a job of the graph in this process, on the same Dagster instance the UI shows."""

from __future__ import annotations

import os
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg

from etf_pipeline.kernels import compile_kernels
from etf_pipeline.settings import Settings


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

    ``on_step`` is called with a line for every asset as it is written.
    """
    # Options this project relies on are still marked beta; their notices are for us, not for the user.
    warnings.simplefilter("ignore", dg.BetaWarning)
    from etf_pipeline.definitions import defs, pipeline
    from etf_pipeline.sources import SourceError
    from etf_pipeline.storage.bitemporal import MixedSourcesError
    from etf_pipeline.storage.panels import BenchmarkMissingError

    try:
        pipeline.refuse_other_market()
        pipeline.refuse_missing_benchmark()
    except (MixedSourcesError, BenchmarkMissingError, SourceError) as error:
        return Outcome(False, str(error))
    compile_kernels(on_step)
    started = time.monotonic()
    run_id = str(uuid.uuid4())
    with dagster_instance() as instance:
        if on_step:
            instance.add_event_listener(run_id, lambda entry: _tell(entry.dagster_event, on_step))
        result = defs.resolve_job_def(name).execute_in_process(
            run_id=run_id,
            # The event log holds all that Dagster would print here; a person wants a line an asset.
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            instance=instance,
            partition_key=partition,
            raise_on_error=False,
        )
        seconds = time.monotonic() - started
        if result.success:
            return Outcome(True, f"{name} finished in {seconds:.1f} s (run {result.run_id})")
        return Outcome(False, _why(result))


def session_to_run(settings: Settings, day: str | None) -> str:
    """The partition that ``daily`` runs for ``day``, by default the last final session.

    Raises
    ------
    ValueError : it is no session, not over yet, or before go-live; the message says what could be run.
    """
    from etf_pipeline.defs.partitions import daily_partitions
    from etf_pipeline.defs.resources import Pipeline

    final = Pipeline(settings).last_final_session()
    chosen = date.fromisoformat(day) if day else final
    if chosen < settings.operate_from:
        raise ValueError(
            f"session {chosen} is before go-live, {settings.operate_from} (operate_from): earlier history is "
            "loaded by `etf build`"
        )
    if chosen > final:
        raise ValueError(f"session {chosen} is not final: the last final session is {final}")
    partition = chosen.isoformat()
    if not daily_partitions(settings).has_partition_key(partition):
        raise ValueError(f"{partition}, a {chosen:%A}, is no session of the exchange ({settings.market})")
    return partition


def _tell(event: dg.DagsterEvent | None, on_step: Callable[[str], None]) -> None:
    """One line for an asset just written, or for a check that found something."""
    if event is None:
        return
    if event.is_step_materialization:
        materialization = event.step_materialization_data.materialization
        rows = materialization.metadata.get("dagster/row_count")
        count = f"{rows.value:>12,} rows" if rows and isinstance(rows.value, int) else ""
        on_step(f"  {materialization.asset_key.to_user_string():<32} {count}".rstrip())
    elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        found = event.asset_check_evaluation_data
        if not found.passed:
            asset = found.asset_key.to_user_string()
            on_step(f"  {asset}: check {found.check_name} {found.severity.value}: {found.description}")


def _why(result: dg.ExecuteInProcessResult) -> str:
    """The innermost reasons of a failed run, each once, with the step that met it first."""
    reasons: dict[str, str] = {}
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error and error.cause:
                error = error.cause
            if error:
                # A message written for the user needs no place in the code; any other error does.
                kind, _, text = error.message.strip().partition(": ")
                ours = kind.startswith(("etf_pipeline.", "dagster."))
                where = "" if ours or not error.stack else f" ({' '.join(error.stack[-1].split())})"
                reasons.setdefault(
                    text if ours and text else error.message.strip() + where, str(event.step_key)
                )
    return "\n".join(f"{step}: {reason}" for reason, step in reasons.items()) or "see the run's log in the UI"
