"""One small market, built once and only read by the tests of the invariants."""

from __future__ import annotations

import pytest

from etf_pipeline_tests.harness import Pipeline, run, small_market

FIRST_DAY, LAST_DAY = "2017-01-03", "2026-02-27"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """The whole pipeline on 24 simulated funds up to LAST_DAY. Treat it as read-only."""
    pipeline = small_market(tmp_path_factory.mktemp("built"), LAST_DAY, start=FIRST_DAY)
    assert run(pipeline, "build").success
    return pipeline
