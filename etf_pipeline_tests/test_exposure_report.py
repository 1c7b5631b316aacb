"""What ``etf exposure`` prints, on exposures known by heart."""

from __future__ import annotations

import io
from collections.abc import Iterator

import duckdb
import pytest
from rich.console import Console

from etf_pipeline.attribution_evidence import NoAttributionError, unsigned_zero
from etf_pipeline.exposure_card import exposure_card
from etf_pipeline.exposure_report import exposure_overview
from etf_pipeline_tests.attribution_warehouse import BEFORE, END, FIRST, RANKED, fill, regression
from etf_pipeline_tests.contract_rows import insert

WIDTH = 120


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
    connection: duckdb.DuckDBPyConnection, session: str | None = None, short: bool = False, width: int = WIDTH
) -> str:
    screen = io.StringIO()
    exposure_overview(connection, Console(file=screen, width=width), session=session, short=short)
    return screen.getvalue()


def card(
    connection: duckdb.DuckDBPyConnection,
    ticker: str = "FUND1.AX",
    session: str | None = None,
    width: int = WIDTH,
) -> str:
    screen = io.StringIO()
    exposure_card(connection, Console(file=screen, width=width), ticker=ticker, session=session)
    return screen.getvalue()


def lines_of(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("│\n").split("│")]
        for line in text.splitlines()
        if line.startswith("│")
    ]


def cells(text: str, first: str, nth: int = 0) -> list[str]:
    """The cells of the nth table row that begins with ``first``."""
    return [line for line in lines_of(text) if line[0] == first][nth]


def words(text: str) -> str:
    """The text with its line breaks undone."""
    return " ".join(text.split())


def test_a_fund_is_shown_by_the_model_of_its_class_with_t_values_below(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    table = overview(connection).split("published factors")[1].split("house factors")[0]
    assert cells(table, "1") == [
        "1", "FUND1.AX", "us_six", END, "0.95*", "-0.15*", "0.031", "–", "–", "–", "0.83",
    ]  # fmt: skip
    assert cells(table, "")[4:7] == ["(45.3)", "(-2.0)", "(1.9)"], "a star from |t| = 2 on, none at 1.9"
    assert "FUND2.AX" not in table


def test_the_house_model_stands_in_where_the_factors_end_earlier_and_says_so(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    text = overview(connection)
    assert cells(text.split("load on: house factors")[1], "2") == [
        "2", "FUND2.AX", "house", END, "0.51*", "-0.20", "–", "0.30*", "–", "-0.030*", "0.83",
    ]  # fmt: skip
    stands_in = "FUND2.AX: the house model stands in for us_six, whose newest estimate is of"
    assert f"{stands_in} {BEFORE}: too few of its returns meet the factors since." in words(text)
    connection.execute(
        "DELETE FROM attribution.factor_exposure WHERE model = 'us_six' AND session = ?", [END]
    )
    why = f"FUND1.AX and FUND2.AX: the house model stands in for us_six, whose newest estimate is of {BEFORE}: the factors"
    assert f"{why} published by {END} end there." in words(overview(connection))


def test_a_fund_without_exposures_is_named_with_the_reason(connection: duckdb.DuckDBPyConnection) -> None:
    assert "No exposures of FUND3.AX (120 observed sessions): a regression needs half a year" in words(
        overview(connection)
    )


def test_an_older_estimate_says_how_old_it_is(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "DELETE FROM attribution.factor_exposure WHERE ticker = 'FUND2.AX' AND session = ?", [END]
    )
    text = overview(connection)
    assert cells(text, "2")[1:4] == ["FUND2.AX", "us_six", BEFORE]
    assert f"FUND2.AX: the newest month's end with enough returns is {BEFORE}, not {END}." in words(text)


def test_nothing_after_the_session_asked_for_is_shown(connection: duckdb.DuckDBPyConnection) -> None:
    insert(connection, "scoring.composite_ranking", ticker="FUND2.AX", session=BEFORE, rank=1)
    text = overview(connection, session="2025-12-30")
    assert f"ranking of {BEFORE}" in text
    assert [line[1:4] for line in lines_of(text) if line[0] == "1"] == [["FUND2.AX", "us_six", BEFORE]]
    assert END not in text
    assert "2023" in text
    assert "2024" in text, "a year is known on the next one's first session"
    with pytest.raises(
        NoAttributionError, match=f"no month's end at or before 2025-01-01.*from {BEFORE} to {END}"
    ):
        overview(connection, session="2025-01-01")


def test_a_year_is_not_told_before_it_is_over(connection: duckdb.DuckDBPyConnection) -> None:
    regression(connection, "FUND1.AX", "house", "2024-11-29")
    insert(connection, "scoring.composite_ranking", ticker="FUND1.AX", session="2024-11-29", rank=1)
    text = overview(connection, session="2024-12-15").split("Where the returns")[1]
    assert "2023" in text
    assert "2024" not in text.split("What the volatility")[0]


def test_the_parts_of_a_year_add_up_to_its_return(connection: duckdb.DuckDBPyConnection) -> None:
    text = overview(connection).split("Where the returns of top_ranked came from")[1]
    assert cells(text, "market") == ["market", "5.0", "6.0"]
    assert cells(text, "beyond the factors") == ["beyond the factors", "2.0", "2.0"]
    assert cells(text, "spread, impact, haircuts")[1:] == ["-0.3", "-0.3"]
    assert cells(text, "cash rate")[1:] == ["4.0", "4.0"]
    assert cells(text, "return") == ["return", "9.8", "10.8"]
    assert cells(text, "market fund") == ["market fund", "9.8", "10.8"]
    names = ("market", "term", "credit", "currency", "volatility", "beyond the factors", "cash rate",
             "spread, impact, haircuts")  # fmt: skip
    assert sum(float(cells(text, name)[1]) for name in names) == pytest.approx(9.8), "nothing else is hidden"
    assert "interest on its cash" not in text, "nothing in any year"
    assert [line for line in lines_of(text) if line[0] == "oil"] == []
    assert "Without a part in any of these years: oil; not in the model" in words(text)


def test_a_part_that_nobody_foresaw_is_shown_by_its_name(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("UPDATE attribution.annual_attribution SET part = 'gold' WHERE part = 'term'")
    assert cells(overview(connection).split("Where the returns")[1], "gold")[1:] == ["-1.0", "-1.0"]


def test_a_year_that_is_missing_is_named(connection: duckdb.DuckDBPyConnection) -> None:
    assert "Not shown" not in overview(connection)
    for year in (2022, 2023, 2024, 2025):
        insert(
            connection, "validation.backtest_summary", strategy="top_ranked", scope="year", year=year,
            session=f"{year + 1}-01-02",
        )  # fmt: skip
    assert "Not shown: 2025; on some session of it a factor has no value" in words(overview(connection))


def test_the_volatility_and_what_is_left_out_of_it(connection: duckdb.DuckDBPyConnection) -> None:
    text = overview(connection).split("What the volatility is made of")[1]
    assert cells(text, "market") == ["market", "0.61", "8.00 %", "90 %", "0.61", "8.00 %", "90 %"]
    assert cells(text, "specific")[1:4] == ["", "1.30 %", "15 %"]
    assert cells(text, "all")[2] == "8.90 %"
    assert f"25.0 % of top_ranked is in funds without exposures at {END} and left out" in words(text)
    connection.execute(
        "UPDATE attribution.portfolio_risk SET unexplained_weight = 0.99999 WHERE strategy = 'benchmark'"
    )
    text = overview(connection).split("What the volatility is made of")[1]
    assert cells(text, "market")[4:] == ["–", "–", "–"], "an account of which nothing is known is not calm"
    assert "–: what market fund holds has no exposures" in text


def test_no_account_yet_is_said(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("DELETE FROM attribution.annual_attribution; DELETE FROM attribution.portfolio_risk")
    text = words(overview(connection))
    assert "Where the returns of top_ranked came from is not known: no complete year" in text
    assert "What the volatility of top_ranked is made of is not known" in text


def test_the_short_form_is_one_table(connection: duckdb.DuckDBPyConnection) -> None:
    text = overview(connection, short=True)
    assert text.count("┏") == 1
    assert cells(text, "1") == ["1", "FUND1.AX", "us_six", END, "0.95*", "0.83", "size -0.15"]
    assert cells(text, "2")[-1] == "curr. +0.30, volat. -0.03"
    assert cells(text, "3")[3] == "too few returns"


def test_nothing_to_show_is_refused_with_what_to_do(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("UPDATE scoring.composite_ranking SET rank = NULL")
    with pytest.raises(NoAttributionError, match="etf exposure TICKER"):
        overview(connection)
    with pytest.raises(NoAttributionError, match=r"no session has a ranking"):
        overview(connection, session=RANKED)
    connection.execute("DELETE FROM attribution.factor_exposure")
    with pytest.raises(NoAttributionError, match="etf build"):
        overview(connection)
    connection.execute("DROP VIEW main.latest_exposures; DROP TABLE attribution.factor_exposure")
    with pytest.raises(NoAttributionError, match="etf build"):
        overview(connection)


def test_simulated_data_says_so(connection: duckdb.DuckDBPyConnection) -> None:
    assert "SIMULATED" not in overview(connection) + card(connection)
    connection.execute("UPDATE raw.fetches SET simulated = true")
    for text in (overview(connection), overview(connection, short=True), card(connection)):
        assert text.startswith("SIMULATED MARKET")


def test_a_thin_month_points_to_the_fuller_one(connection: duckdb.DuckDBPyConnection) -> None:
    assert "Only" not in overview(connection)
    for n in range(3):
        insert(
            connection,
            "attribution.factor_exposure",
            ticker=f"X{n}",
            session=FIRST,
            span="rolling",
            is_main=True,
        )
    assert f"Only 2 funds have rows at {END}, of 3 at {FIRST}" in words(overview(connection))


def test_the_card_has_every_model_and_span(connection: duckdb.DuckDBPyConnection) -> None:
    text = card(connection)
    assert "Fund [1] (us equity), exposures known at the close of" in text
    assert (
        text.index("us_six, the main model of its class") < text.index("\nhouse ") < text.index("\nus_three ")
    )
    assert cells(text, "size") == [
        "size", "-0.15*", "0.021", "-2.0", "-0.076", "87 %", "-0.052*", "0.021", "-2.0", "-0.076", "87 %",
    ]  # fmt: skip
    said = words(text)
    assert (
        f"Last 252 sessions, at {END}: alpha 1.2 % a year (t 0.7), R2 0.83, volatility of the rest 4.5 %; 240"
        in said
    )
    assert (
        "Each return spans 5 sessions, overlapping; the market sees the factors' day 1 day late; returns were"
        in said
    )
    assert (
        "converted into the factors' currency; the factors are read as known at 2025-12-30 23:59 UTC." in said
    )
    assert "nothing is converted; the factors are the house's own series." in said


def test_a_model_that_ends_earlier_says_why(connection: duckdb.DuckDBPyConnection) -> None:
    assert "Nothing later than" not in card(connection)
    assert f"Nothing later than {BEFORE}: too few of its returns since" in words(card(connection, "FUND2.AX"))


def test_the_path_is_of_the_last_close_of_each_year(connection: duckdb.DuckDBPyConnection) -> None:
    path = card(connection).split("The path of its loadings: us_six")[1]
    assert [line[0] for line in lines_of(path)] == ["2024-12-31", END]
    assert cells(path, "2024-12-31") == ["2024-12-31", "0.95", "-0.15", "0.03", "2.0 %", "0.83", "240"]
    assert "The path of its loadings: house" in card(connection, "FUND2.AX")


def test_a_style_mix_is_shown_where_there_is_one(connection: duckdb.DuckDBPyConnection) -> None:
    assert "What mix it moves like" not in card(connection)
    for day, style, weight, fit in (("2025-09-30", "fixed_income", 1.0, 0.9), (END, "us_equity", 0.7, 0.45),
                                    (END, "cash_rate", 0.3, 0.45)):  # fmt: skip
        insert(
            connection, "attribution.style_weights", ticker="FUND1.AX", session=day, style=style, weight=weight,
            standard_error=None, r_squared=fit, observations=252,
        )  # fmt: skip
    text = card(connection).split(f"What mix it moves like at {END}")[1]
    assert [line[:3] for line in lines_of(text)] == [["us equity", "70 %", "–"], ["cash rate", "30 %", "–"]]
    assert "45 % of the variance of 252 returns; too little to go by" in words(text)


def test_the_card_refuses_with_the_reason(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(NoAttributionError, match=r"FUND3.AX has no exposures up to .* 120 observed sessions"):
        card(connection, "FUND3.AX", RANKED)
    with pytest.raises(NoAttributionError, match=r"FUND1 is not in this warehouse; nearest are FUND1.AX"):
        card(connection, "FUND1")


def test_a_fund_long_silent_says_so(connection: duckdb.DuckDBPyConnection) -> None:
    assert "sessions old" not in card(connection, session=RANKED)
    connection.execute("UPDATE market.universe SET stale_sessions = 37")
    assert "its last bar is 37 sessions old" in card(connection, session=RANKED)


def test_no_number_is_cut_at_120_columns(connection: duckdb.DuckDBPyConnection) -> None:
    names = ("profitability", "investment", "momentum")
    connection.execute(
        "UPDATE attribution.factor_exposure SET model = 'asia_pacific_five' WHERE model = 'us_six'; "
        "UPDATE attribution.factor_exposure SET loading = -1.234, t_value = -123.4"
    )
    for factor in names:
        insert(
            connection, "attribution.factor_exposure", ticker="FUND1.AX", session=END, model="asia_pacific_five",
            span="rolling", factor=factor, is_main=True, loading=-1.234, t_value=-123.4, standard_error=0.123,
        )  # fmt: skip
    for text in (overview(connection), card(connection), overview(connection, short=True)):
        assert "…" not in text
        assert max(map(len, text.splitlines())) <= WIDTH
    row = cells(overview(connection), "1")
    assert row[4:10] == ["-1.23*"] * 6


@pytest.mark.parametrize(
    ("value", "digits", "told"), [(-0.0004, 3, "0.000"), (-0.0005001, 3, "-0.001"), (0.04, 1, "0.0"), (-0.04, 1, "0.0")]
)  # fmt: skip
def test_what_rounds_to_nothing_has_no_sign(value: float, digits: int, told: str) -> None:
    assert unsigned_zero(value, digits) == told
