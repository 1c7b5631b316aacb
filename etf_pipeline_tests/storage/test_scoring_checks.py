"""Each check of the scoring tables is silent on sound rows and finds the broken one."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from etf_pipeline.core.scoring import COMPONENT_NAMES, PENALTY_LABELS
from etf_pipeline.storage.checks import RULES
from etf_pipeline.storage.connection import ensure_schema
from etf_pipeline_tests.contract_rows import DAY, insert

# Names are those of the tables that the score alone fills; what else is in the stage has its own tests.
JUDGED = [
    rule
    for rule in RULES
    if rule.table in {"scoring.component_scores", "scoring.composite_ranking", "scoring.adjustments"}
    and rule.name not in {"contract", "risk_is_known"}
]
FUNDS = 60


def ranked(connection: duckdb.DuckDBPyConnection, rank: int) -> None:
    """A fund with 99 - rank points in everything, less seven per cent."""
    score = 99.0 - 1.5 * rank
    key = {"ticker": f"T{rank:02d}", "session": DAY}
    insert(connection, "market.universe", **key, is_member=True, exclusion_reason=None)
    insert(connection, "scoring.component_scores", **key, **{f"{n}_score": score for n in COMPONENT_NAMES})
    insert(
        connection, "scoring.composite_ranking", **key, rank=rank, ranked_funds=FUNDS, raw_score=score,
        **{f"{n}_score": score for n in COMPONENT_NAMES}, **{f"{n}_weight": 0.25 for n in COMPONENT_NAMES},
        **dict.fromkeys((f"{n}_points" for n in PENALTY_LABELS), 0.0) | {"units_points": 10.0},
        penalty_points=7.0, final_score=0.93 * score, static_score=0.93 * score, adaptive_score=score,
        weights_from="static", position_size=0.05,
    )  # fmt: skip
    insert(connection, "scoring.adjustments", **key, penalty_share=0.7, penalty_total=7.0, position_base=0.12)


@pytest.fixture(scope="module")
def sound() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as memory:
        ensure_schema(memory)
        for rank in range(1, FUNDS + 1):
            ranked(memory, rank)
        insert(memory, "market.universe", ticker="OUT", is_member=False, exclusion_reason="illiquid")
        insert(
            memory, "scoring.composite_ranking", ticker="OUT", exclusion_reason="illiquid", ranked_funds=FUNDS
        )
        yield memory


@pytest.fixture
def connection(sound: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    sound.execute("BEGIN TRANSACTION")
    yield sound
    sound.execute("ROLLBACK")


def broken(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {f"{r.table} {r.name}" for r in JUDGED if connection.execute(r.offenders).fetchall()}


def test_sound_rows_pass(connection: duckdb.DuckDBPyConnection) -> None:
    assert broken(connection) == set()


ONE = "WHERE ticker = 'T07'"
RANKING, ADJUSTED, COMPONENTS = (
    f"scoring.{t}" for t in ("composite_ranking", "adjustments", "component_scores")
)
BREAKS = (
    (f"{COMPONENTS} scores_in_range", f"UPDATE {COMPONENTS} SET risk_score = 101 {ONE}"),
    (f"{COMPONENTS} scores_in_range", f"UPDATE {COMPONENTS} SET forecast_score = NULL {ONE}"),
    (f"{COMPONENTS} scores_in_range", f"UPDATE {COMPONENTS} SET forecast_known_share = 0.3 {ONE}"),
    (f"{RANKING} ranks_are_complete", f"UPDATE {RANKING} SET rank = 61 {ONE}"),
    (f"{RANKING} ranks_are_complete", f"UPDATE {RANKING} SET ranked_funds = 59"),
    (f"{RANKING} scores_add_up", f"UPDATE {RANKING} SET momentum_weight = 0.26 {ONE}"),
    (f"{RANKING} scores_add_up", f"UPDATE {RANKING} SET raw_score = raw_score + 1e-8 {ONE}"),
    (f"{RANKING} scores_add_up", f"UPDATE {RANKING} SET penalty_points = 6.9 {ONE}"),
    (f"{RANKING} scores_add_up", f"UPDATE {RANKING} SET weights_from = 'adaptive' {ONE}"),
    (f"{ADJUSTED} penalties_add_up", f"UPDATE {ADJUSTED} SET penalty_total = 7.1 {ONE}"),
    (f"{ADJUSTED} penalties_add_up", f"UPDATE {RANKING} SET cvar_points = 5 {ONE}"),
    (f"{ADJUSTED} penalties_add_up", f"UPDATE {RANKING} SET position_size = 0.13 {ONE}"),
    (f"{RANKING} only_members_are_ranked", f"UPDATE market.universe SET is_member = false {ONE}"),
    (f"{RANKING} only_members_are_ranked", f"UPDATE {RANKING} SET exclusion_reason = NULL WHERE ticker = 'OUT'"),
)  # fmt: skip


@pytest.mark.parametrize(("check", "statement"), BREAKS, ids=range(len(BREAKS)))
def test_a_broken_row_is_found_by_its_check(
    connection: duckdb.DuckDBPyConnection, check: str, statement: str
) -> None:
    connection.execute(statement)
    assert check in broken(connection)


@pytest.mark.parametrize(
    "squeeze", ["50 + (final_score - 50) / 3", "CASE WHEN rank BETWEEN 5 AND 40 THEN 60 ELSE final_score END"]
)
def test_scores_that_cluster_are_found(connection: duckdb.DuckDBPyConnection, squeeze: str) -> None:
    connection.execute(f"UPDATE {RANKING} SET final_score = {squeeze} WHERE rank IS NOT NULL")
    assert f"{RANKING} scores_spread_out" in broken(connection)


def test_every_check_has_been_seen_to_fail() -> None:
    seen = {check for check, _ in BREAKS} | {f"{RANKING} scores_spread_out"}
    assert seen == {f"{rule.table} {rule.name}" for rule in JUDGED}
