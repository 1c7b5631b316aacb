"""What ``etf stress`` prints, on losses known by heart."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from etf_pipeline.attribution_evidence import NoAttributionError
from etf_pipeline.exposure_report import exposure_overview
from etf_pipeline.stress_accounts import reverse_sentence
from etf_pipeline.stress_card import stress_card
from etf_pipeline.stress_report import stress_overview
from etf_pipeline.stress_scenarios import read_stress_scenarios
from etf_pipeline_tests.attribution_warehouse import BEFORE, END, FIRST, RANKED, fill, loss
from etf_pipeline_tests.contract_rows import insert
from etf_pipeline_tests.test_exposure_report import cells, lines_of, words

WIDTH = 120
SCENARIOS = read_stress_scenarios()


@pytest.fixture(scope="module")
def rows() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as memory:
        fill(memory)
        yield memory


@pytest.fixture
def connection(rows: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    rows.execute("BEGIN TRANSACTION")
    yield rows
    rows.execute("ROLLBACK")


def overview(
    connection: duckdb.DuckDBPyConnection,
    session: str | None = None,
    short: bool = False,
    width: int = WIDTH,
    scenarios=SCENARIOS,
) -> str:
    screen = io.StringIO()
    stress_overview(
        connection, Console(file=screen, width=width), session=session, scenarios=scenarios, short=short
    )
    return screen.getvalue()


def card(connection: duckdb.DuckDBPyConnection, ticker: str = "FUND1.AX", session: str | None = None) -> str:
    screen = io.StringIO()
    stress_card(
        connection, Console(file=screen, width=WIDTH), ticker=ticker, session=session, scenarios=SCENARIOS
    )
    return screen.getvalue()


def every_scenario(connection: duckdb.DuckDBPyConnection, tickers: int) -> None:
    """All shipped scenarios for so many ranked funds and the accounts, with long numbers."""
    connection.execute("DELETE FROM attribution.stress_losses; DELETE FROM attribution.portfolio_stress")
    for n in range(4, tickers + 1):
        insert(connection, "scoring.composite_ranking", ticker=f"FUND{n}.AX", session=RANKED, rank=n)
    for kind, names in (("replay", SCENARIOS.replay), ("hypothetical", SCENARIOS.hypothetical)):
        for name in names:
            loss(connection, "FUND1.AX", kind, name, -0.4321, realised=-0.4444 if kind == "replay" else None)
            loss(connection, "FUND1.AX", kind, name, -0.4321, others="unchanged")
            for strategy in ("top_ranked", "benchmark"):
                insert(
                    connection, "attribution.portfolio_stress", strategy=strategy, session=END, kind=kind, scenario=name,
                    others="conditional", total_return=-0.5, low_95=-0.7777, high_95=-0.2222, served_return=-0.51,
                    covered_weight=1.0,
                )  # fmt: skip
    connection.execute(
        "INSERT INTO attribution.stress_losses SELECT s.* REPLACE ('FUND' || n || '.AX' AS ticker) "
        "FROM attribution.stress_losses s, range(2, ?) t(n)",
        [tickers + 1],
    )


def test_the_accounts_with_what_is_realised_and_the_interval_of_the_prediction(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    table = overview(connection).split("What the accounts held")[1].split("What the first")[0]
    assert cells(table, "Covid crash") == [
        "Covid crash", "-10.9", "-12.0", "-17.0 to -7.0", "-10.9", "-12.0", "-17.0 to -7.0",
    ]  # fmt: skip
    assert cells(table, "Equities -20 %")[1:4] == ["-2.6", "-3.7", "-8.7 to 1.3"]
    assert f"Only 75.0 % of top_ranked is in funds with exposures at {END}" in words(table)
    assert "of market fund is in funds" not in words(table)


def test_an_account_that_is_the_factor_has_no_interval(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "UPDATE attribution.portfolio_stress SET low_95 = total_return, high_95 = total_return "
        "WHERE strategy = 'benchmark'"
    )
    assert cells(overview(connection), "Covid crash")[6] == "none"


def test_an_account_of_which_nothing_is_known_loses_nothing_is_not_said(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    connection.execute(
        "UPDATE attribution.portfolio_stress SET covered_weight = 0, served_return = 0, total_return = 0 "
        "WHERE strategy = 'benchmark'"
    )
    text = overview(connection)
    assert len(cells(text, "Covid crash")) == 4
    assert f"market fund is not shown: at {END} it holds nothing that has exposures" in words(text)
    connection.execute("DELETE FROM attribution.portfolio_stress")
    assert "What the accounts would lose is not known" in words(overview(connection))


def test_the_funds_side_by_side_with_realised_ones_marked(connection: duckdb.DuckDBPyConnection) -> None:
    table = overview(connection).split("What the first")[1]
    assert f"of the ranking of {RANKED} would return, per cent, at {END}" in words(table)
    header = next(line for line in table.splitlines() if "scenario" in line)
    assert header.split("┃")[2:4] == ["  FUND1 ", "  FUND2 "], "without the ending that all share"
    assert cells(table, "Covid crash") == ["Covid crash", "-23.2*", "-12.0"]
    assert cells(table, "Equities -20 %") == ["Equities -20 %", "-8.0", "-4.0"]
    assert "Not shown: FUND3.AX; no exposures at" in words(table)


def test_what_is_left_out_is_named_with_the_reason(connection: duckdb.DuckDBPyConnection) -> None:
    text = words(overview(connection))
    asked = text.split("Not asked: ")[1].split(";")[0]
    assert "Dot-com crash" in asked
    assert "Covid" not in asked
    assert "Not over at" not in text
    loss(connection, "FUND1.AX", "replay", "covid_2020", -0.1, session="2024-07-31")
    insert(connection, "scoring.composite_ranking", ticker="FUND1.AX", session="2024-07-31", rank=1)
    text = words(overview(connection, session="2024-12-31"))
    assert "Not over at 2024-07-31: August 2024, April 2025." in text


def test_nothing_after_the_session_asked_for_is_shown(connection: duckdb.DuckDBPyConnection) -> None:
    loss(connection, "FUND2.AX", "replay", "covid_2020", -0.111, session=BEFORE)
    insert(connection, "scoring.composite_ranking", ticker="FUND2.AX", session=BEFORE, rank=1)
    text = overview(connection, session="2025-12-30")
    assert f"ranking of {BEFORE} would return, per cent, at {BEFORE}" in words(text)
    assert cells(text, "Covid crash") == ["Covid crash", "-11.1"]
    assert END not in text
    assert "How good such predictions are is not known" in words(text), "2025 was not over"
    with pytest.raises(NoAttributionError, match=f"from {BEFORE} to {END}"):
        overview(connection, session="2025-01-01")


def test_the_most_likely_way_to_a_loss_in_words(connection: duckdb.DuckDBPyConnection) -> None:
    assert (
        "What would lose 20 % of top_ranked within 63 sessions? Most likely equities -26 %, 10-year yield -0.5 percentage "
        "points, high-yield spread +3.2 percentage points, Australian dollar +3.8 %, oil -25 % and -5.6 % beside the "
        "factors: 7.7 standard deviations from no move; a loss as large has a chance of one in 5,000 with fat tails (less "
        "than one in a million with normal moves)."
    ) in words(overview(connection)), "a VIX that moves by 0.2 points is not worth a word"
    connection.execute("UPDATE attribution.reverse_stress SET distance = 69, rates = NULL")
    text = words(overview(connection))
    assert "69.0 standard deviations from no move, which is to say that no move of these factors" in text
    assert "one in 5,000" not in text
    assert "10-year yield" not in text
    connection.execute("DELETE FROM attribution.reverse_stress")
    assert f"What would lose a given share of top_ranked is not known at {END}." in words(
        overview(connection)
    )


@pytest.mark.parametrize(
    ("chance", "told"), [(0.0124, "1 %"), (0.0099, "one in 100"), (1.1e-6, "one in 910,000"), (1e-9, "less than one in a")]
)  # fmt: skip
def test_chances_in_words(chance: float, told: str) -> None:
    moves = dict.fromkeys(("equity", "rates", "credit", "currency", "oil", "volatility", "specific"), 0.0)
    row = {"strategy": "top_ranked", "loss": 0.1, "horizon_sessions": 21, "distance": 2.0, **moves}
    sentence = reverse_sentence(row | {"probability_student_t": chance, "probability_normal": None})
    assert f"has a chance of {told}" in sentence
    assert "Most likely nothing that has a name" in sentence


def test_correlations_at_one(connection: duckdb.DuckDBPyConnection) -> None:
    text = words(overview(connection))
    assert "volatility of top_ranked would be 16.2 % a year instead of 8.1 %" in text
    assert "the loss that 1 in 100 spells of 21 sessions exceeds 11.0 % instead of 5.5 %" in text
    assert "the market fund's volatility is 8.1 %" in text


def test_a_dry_market_by_capital(connection: duckdb.DuckDBPyConnection) -> None:
    text = overview(connection).split("Selling top_ranked in a dry market")[1]
    assert "Spreads times three, volumes a third" in text
    assert cells(text, "100,000") == ["100,000", "2", "96 %", "100 %", "100 %", "0.73 %"]
    assert cells(text, "10,000,000")[1] == "1,195"
    connection.execute("DELETE FROM attribution.liquidity_stress")
    assert "What selling top_ranked in a dry market takes is not known" in words(overview(connection))


def test_the_simulated_month(connection: duckdb.DuckDBPyConnection) -> None:
    row = ["-3.1 %", "-4.2 %", "-5.3 %", "-6.4 %", "0.21 %", "below 0.01 %"]
    text = overview(connection)
    assert cells(text, "top_ranked") == ["top_ranked", *row]
    assert cells(text, "market fund") == ["market fund", *row]
    connection.execute(
        "UPDATE attribution.simulated_losses SET value_at_risk_95 = 0, expected_shortfall_99 = 0 WHERE name = 'benchmark'"
    )
    text = overview(connection)
    assert [line for line in lines_of(text) if line[0] == "market fund"] == []
    assert "Not simulated: market fund; no recent returns." in words(text)


def test_how_good_such_predictions_were(connection: duckdb.DuckDBPyConnection) -> None:
    text = words(overview(connection))
    assert "Of all funds to the end of 2025: 898 pairs of fund and crisis, 7 crises" in text
    assert "78 % in the 80 % interval and 94 % in the 95 % interval" in text
    assert "0.87 % worse than predicted on average" in text
    assert "off by more than 2.2 %" in text
    connection.execute("UPDATE attribution.replay_coverage SET windows = 1, bias = 0.02")
    text = words(overview(connection))
    assert "1 crisis," in text
    assert "2.0 % better than predicted" in text


def test_the_short_form_has_the_worst_scenarios_of_the_account(connection: duckdb.DuckDBPyConnection) -> None:
    text = overview(connection, short=True)
    assert text.count("┏") == 1
    assert [line[0] for line in lines_of(text)] == ["Covid crash", "Equities -20 %"]
    assert cells(text, "Covid crash") == [
        "Covid crash",
        "2020-02 to 2020-03",
        "-10.9",
        "-10.9",
        "-23.2*",
        "-12.0",
    ]
    connection.execute(
        "UPDATE attribution.portfolio_stress SET served_return = 0.1 WHERE scenario = 'covid_2020'"
    )
    assert next(line[0] for line in lines_of(overview(connection, short=True))) == "Equities -20 %"
    connection.execute("DELETE FROM attribution.portfolio_stress")
    assert next(line[0] for line in lines_of(overview(connection, short=True))) == "Covid crash", (
        "by the funds"
    )


def test_both_short_forms_are_at_most_forty_lines(connection: duckdb.DuckDBPyConnection) -> None:
    every_scenario(connection, 10)
    connection.execute("UPDATE raw.fetches SET simulated = true")
    for width in (WIDTH, 150):
        screen = io.StringIO()
        exposure_overview(connection, Console(file=screen, width=width), session=None, short=True)
        text = screen.getvalue() + overview(connection, short=True, width=width)
        assert len(text.splitlines()) <= 40
        assert text.count("┏") == 2


def test_no_number_is_cut_at_120_columns(connection: duckdb.DuckDBPyConnection) -> None:
    every_scenario(connection, 10)
    for text in (overview(connection), overview(connection, short=True), card(connection)):
        assert "…" not in text
        assert max(map(len, text.splitlines())) <= WIDTH
    text = overview(connection)
    assert text.count("would return, per cent, at") == 1, "ten funds fit beside each other"
    assert cells(text.split("What the first")[1], "Covid crash")[1:] == ["-44.4*"] * 10


def test_funds_that_do_not_fit_get_a_table_of_their_own(connection: duckdb.DuckDBPyConnection) -> None:
    every_scenario(connection, 10)
    text = overview(connection, width=80)
    tables = text.split("What the first of the ranking")[1:]
    assert len(tables) == 2
    assert "…" not in "".join(tables).split("*: what")[0]
    assert [len(cells(table, "Covid crash")) - 1 for table in tables] == [5, 5]


def test_a_scenario_that_the_settings_no_longer_have_keeps_its_name(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    loss(connection, "FUND1.AX", "replay", "tulips_1637", -0.99)
    text = overview(connection).split("What the first")[1]
    assert cells(text, "tulips_1637") == ["tulips_1637", "-99.0", "–"]
    names = [line[0] for line in lines_of(text)]
    assert names.index("Covid crash") < names.index("tulips_1637") < names.index("Equities -20 %")


def test_scenarios_of_ones_own_have_their_titles(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = tmp_path / "own.toml"
    file.write_text(
        '[hypothetical.mine]\ntitle = "Own [shock]"\nhorizon_sessions = 5\nshocks = { oil = -0.1 }\nreason = "why not"\n'
    )
    loss(connection, "FUND1.AX", "hypothetical", "mine", -0.05)
    text = overview(connection, scenarios=read_stress_scenarios(file))
    assert cells(text.split("What the first")[1], "Own [shock]")[1] == "-5.0"


def test_a_thin_month_points_to_the_fuller_one(connection: duckdb.DuckDBPyConnection) -> None:
    assert "Only 2 funds" not in overview(connection)
    for n in range(3):
        loss(connection, f"X{n}", "replay", "covid_2020", -0.1, session=FIRST)
    assert f"Only 2 funds have rows at {END}, of 3 at {FIRST}" in words(overview(connection))


def test_the_card_has_both_intervals_and_what_was_realised(connection: duckdb.DuckDBPyConnection) -> None:
    text = card(connection).split("What each factor brings")[0]
    assert cells(text, "Covid crash") == [
        "Covid crash", "2020-02 to 2020-03", "-23.2", "-24.0", "-27.0 to -21.0", "-29.0 to -19.0",
    ]  # fmt: skip
    assert cells(text, "Equities -20 %") == [
        "Equities -20 %",
        "21 sessions",
        "",
        "-8.0",
        "-11.0 to -5.0",
        "-13.0 to -3.0",
    ]
    assert cells(card(connection, "FUND2.AX"), "Covid crash")[2] == "–"


def test_the_card_has_what_each_factor_brings_and_the_others_unchanged(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    text = card(connection).split("What each factor brings")[1]
    assert cells(text, "Equities -20 %") == [
        "Equities -20 %",
        "-8.0",
        "",
        "-4.0",
        "0.0",
        "-4.0",
        "0.0",
        "0.0",
        "0.0",
    ]
    assert cells(text, "others unchanged")[:4] == ["others unchanged", "-7.0", "-12.0 to -2.0", "-3.5"]
    names = [line[0] for line in lines_of(text)]
    assert names.index("others unchanged") == names.index("Equities -20 %") + 1


def test_the_card_has_the_funds_month_and_the_record_of_its_class(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    text = card(connection)
    assert cells(text, "FUND1.AX")[1:3] == ["-5.0 %", "-7.0 %"]
    assert "Of us equity to the end of 2025: 36 pairs" in words(text)
    assert "The next month is not simulated" in words(card(connection, "FUND2.AX"))


def test_an_older_row_says_so(connection: duckdb.DuckDBPyConnection) -> None:
    assert "It has none at" not in card(connection)
    loss(connection, "FUND3.AX", "replay", "covid_2020", -0.1, session=BEFORE)
    text = words(card(connection, "FUND3.AX"))
    assert f"(asset class unknown), stress at {BEFORE}" in text
    assert f"It has none at {END}: no bar of the last five sessions" in text


def test_the_card_refuses_with_the_reason(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(
        NoAttributionError, match=r"FUND3.AX has no stress losses up to .* 120 observed sessions"
    ):
        card(connection, "FUND3.AX")
    with pytest.raises(NoAttributionError, match=r"FUND1 is not in this warehouse; nearest are FUND1.AX"):
        card(connection, "FUND1")


def test_nothing_to_show_is_refused_with_what_to_do(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("UPDATE scoring.composite_ranking SET rank = NULL")
    with pytest.raises(NoAttributionError, match="etf stress TICKER"):
        overview(connection)
    connection.execute("DELETE FROM attribution.stress_losses")
    with pytest.raises(NoAttributionError, match="etf build"):
        overview(connection)


def test_simulated_data_says_so(connection: duckdb.DuckDBPyConnection) -> None:
    assert "SIMULATED" not in overview(connection) + card(connection)
    connection.execute("UPDATE raw.fetches SET simulated = true")
    for text in (overview(connection), overview(connection, short=True), card(connection)):
        assert text.startswith("SIMULATED MARKET")
    for text in (overview(connection), card(connection)):
        assert "a replay is what it did on those dates, and has nothing of the crisis" in words(text)
