"""What the fork server loads before the first fork: the package, and what a run would import as it goes.

It starts no Python thread and leaves no file open, so that its forks are as good as new processes.
"""

from __future__ import annotations

import dagster as dg
import matplotlib.backends.backend_agg
import matplotlib.figure

from etf_pipeline.core.parallel import set_workers
from etf_pipeline.kernels import PARTS
from etf_pipeline_tests.crash import victim

__all__ = ["matplotlib", "victim"]

with dg.DagsterInstance.ephemeral():
    pass

set_workers(1)
for load_kernels in PARTS.values():
    load_kernels()
set_workers(0)
