"""What the reports print, on rankings small enough to be known by heart."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import duckdb
import numpy as np
import pytest
from rich.console import Console

from etf_pipeline.core.scoring.contrast import sharpen
from etf_pipeline.reports import NotRankedError, ParameterError, answer_query, print_rows, ranking
from etf_pipeline.score_card import explanation, score_record
from etf_pipeline.scoring_settings import read_scoring
from etf_pipeline.storage.connection import ensure_schema
from etf_pipeline_tests.contract_rows import insert

DAYS = [f"2026-01-{day:02d}" for day in range(5, 10)]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty warehouse in memory, every table in place."""
    with duckdb.connect() as memory:
        ensure_schema(memory)
        yield memory


def told(connection: duckdb.DuckDBPyConnection, session: str | None = None, width: int = 150) -> str:
    screen = io.StringIO()
    ranking(connection, Console(file=screen, width=width), top=5, session=session, excluded=False)
    return screen.getvalue()


def tell_of(connection: duckdb.DuckDBPyConnection, ticker: str, session: str | None = None) -> str:
    screen = io.StringIO()
    explanation(connection, Console(file=screen, width=150), ticker=ticker, session=session)
    return screen.getvalue()


def session_of(
    connection: duckdb.DuckDBPyConnection, day: str, ranked: int, left_out: dict[str, int]
) -> None:
    """A session with ``ranked`` ranked funds F00, F01, ... and some left out, by reason."""
    rows = [(f"F{n:02d}", n + 1, 90.0 - n, None) for n in range(ranked)]
    rows += [
        (f"{reason[:3]}{n}".upper(), None, None, reason)
        for reason, count in left_out.items()
        for n in range(count)
    ]
    for ticker, rank, score, reason in rows:
        insert(
            connection, "scoring.composite_ranking", ticker=ticker, session=day, rank=rank, raw_score=score,
            final_score=score,
            momentum_score=score, momentum_weight=None if rank is None else 1.0, confidence=None if rank is None else 0.35,
            penalty_points=None if rank is None else 0.0, ranked_funds=ranked, exclusion_reason=reason,
        )  # fmt: skip
        connection.execute(
            "INSERT INTO market.universe VALUES (?, ?::DATE, ?, ?, 300, 0, 1e6)",
            [ticker, day, rank is not None, reason],
        )
        if rank is not None:
            insert(connection, "scoring.component_scores", ticker=ticker, session=day, momentum_score=score)
            insert(
                connection,
                "scoring.adjustments",
                ticker=ticker,
                session=day,
                penalty_share=0.7,
                penalty_total=0.0,
            )


def test_nothing_ranked_says_where_to_look(connection: duckdb.DuckDBPyConnection) -> None:
    session_of(connection, DAYS[0], 0, {"illiquid": 2})
    with pytest.raises(NotRankedError, match="SELECT exclusion_reason"):
        told(connection)


def test_the_table_and_who_was_left_out(connection: duckdb.DuckDBPyConnection) -> None:
    session_of(connection, DAYS[0], 6, {"illiquid": 2, "quarantined": 1})
    text = told(connection)
    assert f"Ranking at the close of {DAYS[0]}: 6 funds ranked, 3 left out" in text
    assert "F04" in text
    assert "F05" not in text, "only the top five were asked for"
    assert "illiquid: too little of it is traded" in text
    assert "ILL0, ILL1" in text
    assert text.index("illiquid") < text.index("quarantined"), "the commonest reason first"
    assert "SIMULATED" not in text


def test_a_simulated_market_is_labelled(connection: duckdb.DuckDBPyConnection) -> None:
    session_of(connection, DAYS[0], 1, {})
    connection.execute(
        "INSERT INTO raw.fetches VALUES ('f', 'simulated', 'asx', true, '', 'as_traded', '', true, now(), now(), 1, 1, 'r')"
    )
    for text in (told(connection), tell_of(connection, "F00")):
        assert text.startswith("SIMULATED MARKET")


def test_a_thin_newest_session_points_to_the_fullest(connection: duckdb.DuckDBPyConnection) -> None:
    session_of(connection, DAYS[0], 9, {})
    session_of(connection, DAYS[1], 10, {})
    session_of(connection, DAYS[2], 10, {})
    session_of(connection, DAYS[3], 4, {"not_covered": 6})
    hint = next(line for line in told(connection).splitlines() if "etf rank --session" in line)
    assert (
        f"not asked about 6 funds. The fullest of the last 60 sessions is {DAYS[2]} with 10 funds ranked"
        in hint
    )
    assert "etf rank --session" not in told(connection, session=DAYS[3]), (
        "who names a session knows which he wants"
    )


@pytest.mark.parametrize(
    "newest",
    [(9, {"not_covered": 1}), (4, {"illiquid": 6}), (10, {})],
    ids=["nearly full", "covered", "full"],
)
def test_no_hint_where_there_is_nothing_to_gain(
    connection: duckdb.DuckDBPyConnection, newest: tuple[int, dict[str, int]]
) -> None:
    session_of(connection, DAYS[0], 10, {})
    session_of(connection, DAYS[1], *newest)
    assert "etf rank --session" not in told(connection)


def test_what_a_thin_session_lacks_is_said_before_its_table(connection: duckdb.DuckDBPyConnection) -> None:
    session_of(connection, DAYS[0], 10, {})
    session_of(connection, DAYS[1], 4, {"not_covered": 6})
    text = told(connection)
    assert text.startswith("Only 4 funds are ranked")
    assert text.index("etf rank --session") < text.index("Ranking at the close of")


def test_holds_are_scaled_down_to_a_portfolio(connection: duckdb.DuckDBPyConnection) -> None:
    session_of(connection, DAYS[0], 5, {})
    connection.execute("UPDATE scoring.composite_ranking SET position_size = 0.5 / rank")
    row = [
        cell.strip() for line in told(connection).splitlines() if "F00" in line for cell in line.split("│")
    ]
    assert "50.0 %" in row, "the largest single position"
    assert "43.8 %" in row, "its share: 0.5 / (0.5 + 0.25 + 0.167 + 0.125 + 0.1)"
    assert "the holds of these 5 add up to 114 %" in " ".join(told(connection).split())
    connection.execute("UPDATE scoring.composite_ranking SET position_size = 0.1 / rank")
    row = [
        cell.strip() for line in told(connection).splitlines() if "F00" in line for cell in line.split("│")
    ]
    assert row.count("10.0 %") == 2, "what fits is not scaled up"


def scored_by(connection: duckdb.DuckDBPyConnection, **weights: float) -> None:
    rules = read_scoring(None).model_dump()
    rules["base_weights"].update(weights)
    insert(connection, "meta.settings", settings_hash="h", settings=json.dumps({"scoring": rules}))
    insert(connection, "meta.materializations", asset="scoring.composite_ranking", settings_hash="h")


def test_other_rules_than_the_shipped_are_named(connection: duckdb.DuckDBPyConnection) -> None:
    session_of(connection, DAYS[0], 2, {})
    scored_by(connection, momentum=0.5, risk=0.1)
    for text in (told(connection), tell_of(connection, "F00")):
        assert (
            "other rules than the shipped ones (scoring_file): base_weights.momentum 0.5 (shipped: 0.35); "
            "base_weights.risk 0.1 (shipped: 0.25)." in " ".join(text.split())
        )


def test_of_the_shipped_rules_nothing_is_said(connection: duckdb.DuckDBPyConnection) -> None:
    session_of(connection, DAYS[0], 2, {})
    scored_by(connection)
    assert "other rules" not in told(connection)


def test_a_score_can_be_computed_from_what_is_printed(connection: duckdb.DuckDBPyConnection) -> None:
    session_of(connection, DAYS[0], 2, {})
    score = float(sharpen(np.array(75.43), 1.44))
    connection.execute(
        "UPDATE scoring.component_scores SET momentum_contrast = 1.44, momentum_score = $1, momentum_average = 66.07, "
        "momentum_12_1 = 0.2, momentum_12_1_score = 66.07 WHERE ticker = 'F00'; ",
        [score],
    )
    connection.execute(
        "UPDATE scoring.composite_ranking SET momentum_score = $1, raw_score = $1, final_score = $1 WHERE ticker = 'F00'",
        [score],
    )
    text = tell_of(connection, "F00")
    assert "percentile 75.43: 50 + 50 x 0.5086^(1/1.44)" in text
    assert f"{50 + 50 * 0.5086 ** (1 / 1.44):.2f}" == f"{score:.2f}"
    assert f"{score:.2f}" in text
    assert "away from 50 by the session's contrast, 1.44: 50 ± 50 |x|^(1/contrast)" in " ".join(text.split())


def test_contrasts_that_differ_are_told_for_each_component(connection: duckdb.DuckDBPyConnection) -> None:
    session_of(connection, DAYS[0], 2, {})
    score, risk = float(sharpen(np.array(75.43), 1.44)), float(sharpen(np.array(30.0), 2.0736))
    total = 0.5 * score + 0.5 * risk
    connection.execute(
        "UPDATE scoring.component_scores SET momentum_contrast = 1.44, risk_contrast = 2.0736, momentum_score = $1, "
        "momentum_average = 66.07, risk_score = $2, risk_average = 40 WHERE ticker = 'F00'",
        [score, risk],
    )
    connection.execute(
        "UPDATE scoring.composite_ranking SET momentum_score = $1, risk_score = $2, momentum_weight = 0.5, "
        "risk_weight = 0.5, raw_score = $3, final_score = $3 WHERE ticker = 'F00'",
        [score, risk, total],
    )
    text = " ".join(tell_of(connection, "F00").split())
    assert "by its contrast of the session (momentum 1.44, risk 2.074): 50 ± 50 |x|^(1/contrast)" in text
    assert "percentile 75.43: 50 + 50 x 0.5086^(1/1.44)" in text
    assert "percentile 30.00: 50 - 50 x 0.4000^(1/2.074)" in text


def test_the_same_code_of_this_exchange_is_suggested(connection: duckdb.DuckDBPyConnection) -> None:
    session_of(connection, DAYS[0], 2, {"wrong_namespace": 1})
    for ticker in ("WRO0", "WRO0.AX", "WRO1"):
        insert(connection, "raw.bars", ticker=ticker, session=DAYS[0], occurrence=0, withdrawn=False)
    assert "Did you mean WRO0.AX? etf explain WRO0.AX" in tell_of(connection, "WRO0")


def test_a_missing_parameter_says_how_it_is_given(connection: duckdb.DuckDBPyConnection) -> None:
    for values in ({}, {"tickr": "A"}):
        with pytest.raises(ParameterError, match="--param ticker=VALUE"):
            answer_query(connection, Console(), "SELECT $ticker", values, csv_file=None, limit=5)


def test_a_fund_left_out_today_says_when_it_was_ranked(connection: duckdb.DuckDBPyConnection) -> None:
    session_of(connection, DAYS[0], 3, {})
    session_of(connection, DAYS[1], 2, {"quarantined": 1})
    connection.execute(
        "INSERT INTO scoring.composite_ranking BY NAME SELECT 'F02' AS ticker, ?::DATE AS session, "
        "2 AS ranked_funds, 'quarantined' AS exclusion_reason",
        [DAYS[1]],
    )
    text = tell_of(connection, "F02")
    assert "is not ranked: its recent prices are under a corporate-action doubt" in text
    assert f"It was last ranked on {DAYS[0]}, at 3 of 3: etf explain F02 --session {DAYS[0]}" in text
    assert "It was never ranked before." in tell_of(connection, "QUA0")


def test_what_happens_later_is_not_told_of_an_earlier_session(connection: duckdb.DuckDBPyConnection) -> None:
    session_of(connection, DAYS[0], 2, {})
    session_of(connection, DAYS[1], 1, {})
    for day, rule in ((DAYS[0], "stale_run"), (DAYS[1], "bad_print")):
        connection.execute(
            "INSERT INTO market.quality_events BY NAME SELECT 'F00' AS ticker, ?::DATE AS session_start, "
            "?::DATE AS session_end, ?::DATE AS detected_on, ? AS rule, 'warning' AS severity, "
            "'quarantined' AS action, 'evidence with [brackets]' AS evidence",
            [day, day, day, rule],
        )
    earlier = tell_of(connection, "F00", DAYS[0])
    assert "stale_run" in earlier
    assert "bad_print" not in earlier
    assert "[brackets]" in earlier
    assert "bad_print" in tell_of(connection, "F00")


def test_the_score_is_taken_apart_to_its_points(connection: duckdb.DuckDBPyConnection) -> None:
    session_of(connection, DAYS[0], 2, {})
    record = score_record(connection, "F01", DAYS[0])
    assert (record.rank, record.ranked, record.raw_score, record.confidence) == (2, 2, 89.0, 0.35)
    assert record.scores == {"momentum": 89.0}
    assert "89.0000" in tell_of(connection, "F01")


def test_a_fund_without_a_row_on_the_day(connection: duckdb.DuckDBPyConnection) -> None:
    session_of(connection, DAYS[0], 2, {})
    session_of(connection, DAYS[1], 1, {})
    with pytest.raises(
        NotRankedError, match=f"F01 has no row on {DAYS[1]}; it is in the warehouse from {DAYS[0]}"
    ):
        tell_of(connection, "F01")


def test_near_names_do_not_depend_on_case(connection: duckdb.DuckDBPyConnection) -> None:
    session_of(connection, DAYS[0], 1, {})
    for ticker in ("VAS.AX", "VGS.AX", "BOND.AX", "ZZZ.AX"):
        connection.execute(
            "INSERT INTO raw.bars BY NAME SELECT ? AS ticker, ?::DATE AS session, 0 AS occurrence, now()::TIMESTAMP AS "
            "known_at, 'f' AS fetch_id, 'as_traded' AS basis, true AS is_final, false AS withdrawn",
            [ticker, DAYS[0]],
        )
    with pytest.raises(NotRankedError, match=r"vas is not in this warehouse; nearest are VAS.AX, VGS.AX, "):
        tell_of(connection, "vas")


NAMES = ["ticker", "a_rather_long_column_name", "value"]
ROWS = [("A", "x" * 30, 0.1234567), ("B", None, 12345678.9)]


def printed(width: int, terminal: bool) -> str:
    screen = io.StringIO()
    print_rows(Console(file=screen, width=width, force_terminal=terminal, color_system=None), NAMES, ROWS)
    return screen.getvalue()


def test_rows_that_fit_are_a_table() -> None:
    text = printed(100, terminal=True)
    assert "│ A      │ xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx │ 0.123457 │" in text
    assert "│ 12345679 │" in text


def test_rows_that_do_not_fit_a_screen_are_listed_one_by_one() -> None:
    text = printed(40, terminal=True)
    assert "row 1 ─" in text
    assert "ticker                     A\n" in text
    assert "a_rather_long_column_name  \n" in text, "NULL is empty"
    assert "value                      12345679\n" in text


def test_a_table_for_a_file_is_as_wide_as_it_must_be() -> None:
    assert "│ A      │ xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx │ 0.123457 │" in printed(40, terminal=False)
