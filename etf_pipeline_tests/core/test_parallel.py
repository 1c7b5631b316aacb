"""Work spread over threads: the same numbers, every column once, no error swallowed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from etf_pipeline.core import parallel
from etf_pipeline.core.parallel import over_columns, over_tasks, set_workers, workers
from etf_pipeline.core.risk import rolling_beta
from etf_pipeline.core.risk.garch import fit_garch, specification


@pytest.fixture(autouse=True)
def _as_many_as_before() -> Iterator[None]:
    before = parallel._workers
    yield
    set_workers(before)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("columns", [0, 1, 2, 3, 100, 257])
@pytest.mark.parametrize("dearest_first", [False, True])
def test_every_column_is_handed_out_once(threads: int, columns: int, dearest_first: bool) -> None:
    set_workers(threads)
    lock, seen = threading.Lock(), []

    def work(which: np.ndarray) -> None:
        assert which.dtype == np.int64
        with lock:
            seen.extend(which.tolist())

    over_columns(work, columns, cost=np.arange(columns) if dearest_first else None)
    assert sorted(seen) == list(range(columns))


def test_the_dearest_column_comes_first() -> None:
    set_workers(1)
    handed: list[int] = []
    over_columns(lambda which: handed.extend(which.tolist()), 4, cost=[1.0, 9.0, 3.0, 9.0])
    assert handed == [1, 3, 2, 0]


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_reaches_the_caller_after_the_others_have_worked(threads: int) -> None:
    set_workers(threads)
    done = np.zeros(64, dtype=bool)

    def work(which: np.ndarray) -> None:
        done[which] = True
        if 17 in which:
            raise ArithmeticError("column 17")

    with pytest.raises(ArithmeticError, match="column 17"):
        over_columns(work, 64)
    assert done.all()


def test_zero_workers_are_as_many_as_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel.os, "cpu_count", lambda: 6)
    set_workers(0)
    assert workers() == 6
    monkeypatch.setattr(parallel.os, "cpu_count", lambda: None)
    assert workers() == 1
    set_workers(3)
    assert workers() == 3


def test_a_negative_count_is_refused_and_changes_nothing() -> None:
    set_workers(2)
    with pytest.raises(ValueError, match="not -1"):
        set_workers(-1)
    assert workers() == 2


def test_the_numbers_do_not_depend_on_the_number_of_threads() -> None:
    rng = np.random.default_rng(3)
    returns = rng.standard_t(5, (600, 9))
    returns[rng.random(returns.shape) < 0.1] = np.nan
    spanned = np.where(np.isnan(returns), 0, 1)
    outcomes = []
    for threads in (1, 2, 4):
        set_workers(threads)
        fits = fit_garch(returns, specification("gjr_t"))
        beta = rolling_beta(returns, spanned, returns[:, 0], spanned[:, 0])
        outcomes.append((fits.parameters, fits.log_likelihood, beta.beta))
    for other in outcomes[1:]:
        for one, two in zip(outcomes[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("threads", [1, 4])
def test_tasks_give_their_results_in_order_each_with_one_thread(threads: int) -> None:
    import sklearn.tree  # noqa: F401  (brings its own OpenMP)

    set_workers(threads)

    def work(task: int) -> tuple[int, set[int]]:
        return task, {int(library["num_threads"]) for library in threadpool_info()}

    before = threadpool_info()
    done = over_tasks(work, 9, cost=np.arange(9))
    assert [task for task, _ in done] == list(range(9))
    assert all(counts == {1} for _, counts in done)
    assert threadpool_info() == before
    assert over_tasks(work, 0) == []


@pytest.mark.parametrize("threads", [1, 3])
def test_a_task_that_fails_tells_the_caller(threads: int) -> None:
    set_workers(threads)
    with pytest.raises(ZeroDivisionError):
        over_tasks(lambda task: 1 // (task - 4), 9)


def test_work_may_spread_work_of_its_own() -> None:
    set_workers(2)
    seen = np.zeros((8, 8), dtype=int)

    def outer(which: np.ndarray) -> None:
        for i in which:

            def inner(columns: np.ndarray, row: int = int(i)) -> None:
                seen[row, columns] += 1

            over_columns(inner, 8)

    over_columns(outer, 8)
    assert (seen == 1).all()
