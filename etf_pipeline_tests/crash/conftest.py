"""Processes that start warm, so that thirty of them can be killed in the time of a test."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable

import pytest

from etf_pipeline_tests.conftest import ROOT

Spawn = Callable[..., multiprocessing.process.BaseProcess]


@pytest.fixture(scope="session")
def spawn() -> Spawn:
    """Start ``target(*arguments)`` in a fork of a process that has the package loaded."""
    context = multiprocessing.get_context("forkserver")
    # The server imports before it knows our sys.path.
    paths = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        context.set_forkserver_preload(["etf_pipeline_tests.crash.warm"])
        warm = context.Process(target=os.getpid)
        warm.start()
        warm.join()

    def start(target: Callable[..., None], *arguments: object) -> multiprocessing.process.BaseProcess:
        process = context.Process(target=target, args=arguments, daemon=True)
        process.start()
        return process

    return start
