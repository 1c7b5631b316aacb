"""What the fork server loads before the first fork: the package, and what a run would import as it goes.

It starts no Python thread and leaves no file open, so that its forks are as good as new processes.
"""

from __future__ import annotations

import dagster as dg
import matplotlib.backends.backend_agg
import matplotlib.figure
import numba

from etf_pipeline_tests.crash import victim

__all__ = ["matplotlib", "victim"]

with dg.DagsterInstance.ephemeral():
    pass


@numba.njit
def _load_the_compiler(x: float) -> float:
    return x + 1.0


_load_the_compiler(1.0)
