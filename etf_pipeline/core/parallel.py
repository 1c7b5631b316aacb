"""The only place where work is spread over cores.

Kernels release the interpreter's lock (``nogil``), so threads suffice: no copies, no start-up, and one cache of
compiled code. Every column is computed by exactly one call with nothing shared, so the result does not depend
on the number of workers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from threading import current_thread
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

Result = TypeVar("Result")

_workers = 0
_NAME = "over_columns"


def set_workers(count: int) -> None:
    """How many threads ``over_columns`` uses from now on; 0 stands for the machine's cores.

    Raises
    ------
    ValueError : a negative count.
    """
    global _workers
    if count < 0:
        raise ValueError(f"workers must be 0 (as many as cores) or more, not {count}")
    _workers = count


def workers() -> int:
    """Threads in use."""
    return _workers or os.cpu_count() or 1


@lru_cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Kept for the next call: starting threads takes longer than many a small table."""
    return ThreadPoolExecutor(threads, thread_name_prefix=_NAME)


# Threads do not live on in a forked child.
os.register_at_fork(after_in_child=_pool.cache_clear)


def over_columns(
    work: Callable[[np.ndarray], None], columns: int, cost: Sequence[float] | np.ndarray | None = None
) -> None:
    """Call ``work(indices)`` until every column has been handed out once.

    Parameters
    ----------
    work : takes a (k,) int64 array of column indices and writes its results for these columns, and only
        these, into arrays of its own; must release the interpreter's lock to gain anything.
    columns : how many there are.
    cost : (columns,) expected work of each; the dearest start first, so that no thread ends late.

    Raises
    ------
    Whatever ``work`` raises, after the other threads have finished what they had begun.
    """
    order = np.arange(columns) if cost is None else np.argsort(-np.asarray(cost, dtype=float), kind="stable")
    threads = min(workers(), columns)
    # A worker that waited for others of its own pool could wait for ever: what it calls it does itself.
    if threads <= 1 or current_thread().name.startswith(_NAME):
        if columns:
            work(order.astype(np.int64))
        return
    # Many small parcels: a fund may take a hundred times as long as another.
    parcels = np.array_split(order.astype(np.int64), min(columns, 16 * threads))
    pool = _pool(threads)
    outcomes = [pool.submit(work, parcel) for parcel in parcels]
    wait(outcomes)
    for outcome in outcomes:
        outcome.result()


def over_tasks(
    work: Callable[[int], Result], tasks: int, cost: Sequence[float] | np.ndarray | None = None
) -> list[Result]:
    """Results of ``work(0)``, ``work(1)``, ..., in this order, each with one thread of BLAS and OpenMP to itself.

    For libraries that would spread every call over all cores: sums would then depend on how many there are.

    Parameters
    ----------
    work : takes the number of a task; nothing is shared between tasks.
    tasks : how many there are.
    cost : (tasks,) expected work of each; the dearest start first, so that no thread ends late.

    Raises
    ------
    Whatever ``work`` raises, after the tasks under way have finished.
    """
    order = np.arange(tasks) if cost is None else np.argsort(-np.asarray(cost, dtype=float), kind="stable")
    threads = min(workers(), tasks)
    # BLAS keeps one number for the process, OpenMP one a thread: hence the initialiser.
    with threadpool_limits(1):
        if threads <= 1:
            done = {int(task): work(int(task)) for task in order}
        else:
            with ThreadPoolExecutor(threads, initializer=threadpool_limits, initargs=(1,)) as pool:
                running = {int(task): pool.submit(work, int(task)) for task in order}
                done = {task: outcome.result() for task, outcome in running.items()}
    return [done[task] for task in range(tasks)]
