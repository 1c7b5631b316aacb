"""The published snapshot: CHECKPOINT, copy, atomic rename; readers never meet a half-written file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from etf_pipeline.storage.connection import Warehouse


def publish(warehouse: Warehouse) -> Path:
    """Replace ``published.duckdb`` by a copy of the working file as it stands committed.

    A reader that has the old snapshot open keeps it. Killed at any moment, either the old or the new
    snapshot is there, whole.
    """
    target = warehouse.published_path
    fresh = target.with_suffix(f".{os.getpid()}.tmp")
    # The copy is taken while we hold the write lock, so that no other process can commit in between.
    with warehouse.write() as connection:
        for stale in target.parent.glob(f"{target.stem}.*.tmp"):
            stale.unlink(missing_ok=True)
        connection.execute("CHECKPOINT")
        copy_file(warehouse.path, fresh)
    with fresh.open("rb+") as handle:
        os.fsync(handle.fileno())
    fresh.replace(target)
    return target


def copy_file(source: Path, target: Path) -> None:
    """Copy a file that this process has open, by another process.

    A process that closes any descriptor of a file loses all locks it holds on it (POSIX), so that reading the working
    file here would let others write to it while it is open for writing.

    Raises
    ------
    OSError : with the reason, a full disk say.
    """
    done = subprocess.run(  # noqa: S603
        ["cp", "--", str(source), str(target)],  # noqa: S607
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        target.unlink(missing_ok=True)
        raise OSError(f"cannot publish {source}: {done.stderr.strip()}")
