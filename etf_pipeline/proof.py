"""Proof that nothing looked ahead: cut the raw tier at a session, compute everything again, compare every row."""

from __future__ import annotations

import tempfile
import uuid
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from etf_pipeline.defs.resources import Pipeline, build_resources
from etf_pipeline.storage.connection import Warehouse, transaction
from etf_pipeline.storage.hashing import code_version
from etf_pipeline.storage.lineage import utc_now
from etf_pipeline.storage.run_lock import run_lock
from etf_pipeline.storage.truncation import NOT_COMPARED, RESEARCH, cut_raw_tier, differing_tables


@dataclass(frozen=True)
class Proof:
    """What a comparison found.

    Attributes
    ----------
    session : where the raw tier was cut.
    tables : how many were compared; different : those whose rows up to the session are not the same, bit for bit.
    """

    session: str
    tables: int
    different: list[str]


class ProofError(ValueError):
    """The session cannot be cut at; the message says what can."""


def session_to_cut(warehouse: Warehouse, session: str | None) -> str:
    """The session asked for, or one a year before the newest.

    Raises
    ------
    ProofError : nothing is built, or the session is none of those held.
    """
    with warehouse.read() as connection:
        days = [
            str(row[0])
            for row in connection.execute("SELECT session FROM market.sessions ORDER BY 1").fetchall()
        ]
    if not days:
        raise ProofError("there is nothing to prove yet: run `etf build` first")
    if session is None:
        return days[max(0, len(days) - 252)]
    if session not in days:
        raise ProofError(
            f"{session} is no session held, which run from {days[0]} to {days[-1]}: choose one of them"
        )
    return session


def materialise_research(pipeline: Pipeline, tables: Sequence[str] = RESEARCH) -> None:
    """Compute research tables, all by default, of a warehouse whose raw tier is there. Raises where a step fails."""
    from etf_pipeline.definitions import defs

    warnings.simplefilter("ignore", dg.BetaWarning)
    keys = [dg.AssetKey(name.split(".")) for name in tables]
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(
            list(defs.assets or []),  # type: ignore[arg-type]
            instance=instance,
            resources=build_resources(pipeline),
            selection=dg.AssetSelection.assets(*keys),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )


def prove(pipeline: Pipeline, session: str, tell: Callable[[str], None] = lambda _: None) -> Proof:
    """Cut, recompute and compare, and write down what was found.

    Parameters
    ----------
    pipeline : the installation; its warehouse is read, and one row of meta.point_in_time_proofs is added.
    session : of ``session_to_cut``.
    tell : called with a line before each part.
    """
    full = pipeline.warehouse
    with tempfile.TemporaryDirectory(prefix="etf_proof_") as directory, run_lock(full.directory):
        tell(f"cutting the raw tier at {session}")
        settings = pipeline.settings.model_copy(update={"warehouse": Path(directory)})
        cut = Pipeline(settings, source=pipeline.source, clock=pipeline.clock)
        cut_raw_tier(full, cut.warehouse, session)
        tell(f"computing {len(RESEARCH)} tables from what was known then")
        materialise_research(cut)
        tell("comparing every row up to the session")
        different = differing_tables(full, cut.warehouse, session)
        proof = Proof(session, len(RESEARCH) - len(NOT_COMPARED), different)
        with full.write() as connection, transaction(connection):
            connection.execute(
                "INSERT INTO meta.point_in_time_proofs VALUES (?, ?, ?, ?, ?, ?, ?)",
                [str(uuid.uuid4()), session, proof.tables, ", ".join(different), code_version(),
                 pipeline.settings.settings_hash(), utc_now()],
            )  # fmt: skip
    return proof
