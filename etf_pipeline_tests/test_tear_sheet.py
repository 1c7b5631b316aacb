"""The tear sheet: one page that needs nothing but itself, says what the tables say, and escapes what is in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise

import duckdb
import numpy as np
import pytest

from etf_pipeline.backtest_evidence import NoBacktestError
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.tear_sheet import tear_sheet
from etf_pipeline.tear_sheet.holdings import weights
from etf_pipeline.tear_sheet.page import Sheet
from etf_pipeline.tear_sheet.record import rolling_estimates
from etf_pipeline.tear_sheet.stability import matter_most
from etf_pipeline_tests.attribution_warehouse import PARTS
from etf_pipeline_tests.backtest_warehouse import backtest_frames, fill
from etf_pipeline_tests.contract_rows import insert

SECTIONS = (
    "verdict", "summary", "growth", "drawdowns", "rolling-sharpe", "monthly", "exposures", "holdings", "by-factor", "stress",
    "costs", "capacity",
    "luck", "random", "stability", "walk-forward", "survivorship", "readiness", "definitions", "provenance",
)  # fmt: skip
TABLES = (
    "backtest_trades", "backtest_holdings", "backtest_summary", "random_portfolios", "capacity", "parameter_sweep",
    "walk_forward", "overfitting", "significance", "survivorship", "readiness",
)  # fmt: skip
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Reader(HTMLParser):
    """Tags that are closed in order, the text outside of styles, and the ids in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [str(value) for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def words(page: str) -> str:
    return " ".join(" ".join(read(page).texts).replace("\N{NO-BREAK SPACE}", " ").split())


def row_of(page: str, section: str, first: str) -> list[str]:
    """Cells of the first table row of a section whose first cell is this."""
    part = page[page.index(f'<section id="{section}"') :]
    part = part[: part.index("</section>")]
    for row in re.findall(r"<tr>(.*?)</tr>", part, flags=re.DOTALL):
        cells = [
            re.sub("<[^>]+>", "", cell).replace("\N{NO-BREAK SPACE}", " ")
            for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, flags=re.DOTALL)
        ]
        if cells[0] == first:
            return cells
    raise AssertionError(f"{section} has no row {first}")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    warehouse = Warehouse(tmp_path_factory.mktemp("tear_sheet"))
    fill(warehouse, backtest_frames())
    with warehouse.write() as connection:
        yield connection


@pytest.fixture(scope="module")
def page(rows: duckdb.DuckDBPyConnection) -> str:
    return tear_sheet(rows, "top_ranked")


@pytest.fixture
def connection(rows: duckdb.DuckDBPyConnection, page: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """The accounts, put back after each test."""
    rows.execute("BEGIN TRANSACTION")
    yield rows
    rows.execute("ROLLBACK")


def sheet_of(connection: duckdb.DuckDBPyConnection) -> Sheet:
    first, last = connection.execute(
        "SELECT min(session), max(session) FROM validation.backtest_daily WHERE strategy = 'top_ranked'"
    ).fetchone() or (None, None)
    return Sheet(connection, "top_ranked", True, first, last)


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    for reference in ("http:", "https:", "//", "url(", "@import", "src=", "href="):
        assert reference not in page.lower(), reference
    assert not {"script", "link", "iframe", "img", "object", "embed"} & set(read(page).tags)


def test_it_is_well_formed_and_every_section_is_there_in_order(page: str) -> None:
    reader = read(page)
    assert reader.open == []
    assert page.startswith("<!DOCTYPE html>\n")
    assert tuple(reader.ids) == SECTIONS
    assert reader.tags.count("main") == reader.tags.count("h1") == reader.tags.count("title") == 1
    assert '<meta name="viewport"' in page
    for media in ("prefers-color-scheme: dark", "@media print", "max-width"):
        assert media in page


def test_it_is_the_same_for_the_same_warehouse(rows: duckdb.DuckDBPyConnection, page: str) -> None:
    assert tear_sheet(rows, "top_ranked") == page


def test_the_verdict_is_the_first_thing_said(page: str) -> None:
    assert "No. After costs it earned" in words(page)[:300]
    assert 'class="verdict no"' in page
    assert "the best of so many useless strategies would show a Sharpe ratio of 0.62" in words(page)


def test_simulated_is_on_the_title_and_on_every_chart(
    connection: duckdb.DuckDBPyConnection, page: str
) -> None:
    title = re.search(r"<title>(.*?)</title>", page)
    assert title is not None
    assert title[1].endswith("(SIMULATED)")
    charts = re.findall(r"<figure>.*?</figure>", page, flags=re.DOTALL)
    assert len(charts) == 5
    for chart in charts:
        assert ">SIMULATED</text>" in chart
        assert re.search(r"<figcaption>[^<]*\(SIMULATED\)</figcaption>", chart)
    connection.execute("UPDATE raw.fetches SET simulated = false")
    assert "SIMULATED" not in tear_sheet(connection, "top_ranked")


def test_what_is_in_the_tables_cannot_break_the_page(
    connection: duckdb.DuckDBPyConnection, page: str
) -> None:
    assert "&lt;b&gt;&amp;" in page
    assert "<b>&" not in page
    assert "<script" not in page
    nasty = "</td><script>1</script>"
    connection.execute("UPDATE validation.readiness SET explanation = ?, gate = ?", [nasty, nasty])
    connection.execute("UPDATE raw.listings SET asset_class = ?", [nasty])
    connection.execute("UPDATE scoring.composite_ranking SET risk_category = ?", [nasty])
    connection.execute("UPDATE validation.survivorship SET asset_class = ?, comparison = ?", [nasty, nasty])
    connection.execute("UPDATE validation.significance SET against = ? WHERE against = 'cash'", [nasty])
    connection.execute("UPDATE validation.walk_forward SET scheme = ?", [nasty])
    connection.execute("UPDATE validation.parameter_sweep SET stability = ?", [nasty])
    broken = tear_sheet(connection, "top_ranked")
    assert "<script" not in broken
    assert read(broken).open == []


def test_figures_are_those_of_the_tables(connection: duckdb.DuckDBPyConnection, page: str) -> None:
    names = ["top_ranked", "benchmark", "equal_weight"]
    for column, label, form in (
        ("annual_return", "return a year, after costs", lambda v: f"{100 * v:.1f} %"),
        ("sharpe", "Sharpe ratio", lambda v: f"{v:.2f}"),
    ):
        stored = dict(
            connection.execute(
                f"SELECT strategy, {column} FROM validation.backtest_summary WHERE scope = 'to_date' AND year = 2022"
            ).fetchall()
        )
        if column == "annual_return":
            assert row_of(page, "costs", "to date")[5] == form(stored["top_ranked"])
        assert row_of(page, "summary", label)[1:] == [form(stored[name]) for name in names]
    cost = row_of(page, "costs", "2022")
    assert cost[2:5] == ["0.31 %", "0.09 %", "0.00 %"]
    assert row_of(page, "capacity", "10,000,000")[1] == "3.0 %"
    assert row_of(page, "random", "to date")[1:] == ["5.0 %", "1.4 %", "5.0 %", "8.6 %", "42 %", "47 %"]
    assert row_of(page, "luck", "best of so many without skill")[1:] == ["0.62"] * 3
    assert row_of(page, "luck", "probability of overfitting, 924 splits")[1] == "48 %"
    assert row_of(page, "readiness", "deflated sharpe")[3:5] == ["0.31", "fail"]
    assert row_of(page, "survivorship", "survivors less all")[2:6] == ["240", "31", "1.1 %", "0.2 % to 2.0 %"]


def test_months_compound_to_years(connection: duckdb.DuckDBPyConnection, page: str) -> None:
    daily = connection.execute(
        "SELECT month(session), net_return FROM validation.backtest_daily "
        "WHERE strategy = 'top_ranked' AND year(session) = 2022 ORDER BY session"
    ).fetchall()
    month, net = (np.array(column) for column in zip(*daily, strict=True))
    cells = row_of(page, "monthly", "2022")
    for number in range(1, 13):
        assert float(cells[number]) == pytest.approx(100 * (np.prod(1 + net[month == number]) - 1), abs=0.051)
    assert float(cells[13]) == pytest.approx(100 * (np.prod(1 + net) - 1), abs=0.051)
    assert row_of(page, "monthly", "2021")[1:3] == ["–", "–"], "before the account began"


def test_the_rolling_sharpe_ratio_is_of_the_sessions_before(connection: duckdb.DuckDBPyConnection) -> None:
    days, values, errors = rolling_estimates(sheet_of(connection))
    net = connection.execute(
        "SELECT net_return FROM validation.backtest_daily WHERE strategy = 'top_ranked' AND session <= ? "
        "ORDER BY session DESC LIMIT 252",
        [days[3]],
    ).fetchnumpy()["net_return"]
    excess = net - (1.02 ** (1 / 252) - 1)
    assert values[3] == pytest.approx(excess.mean() / excess.std(ddof=1) * 252**0.5)
    assert 0.3 < errors[3] < 3
    assert all((later - earlier).days > 20 for earlier, later in pairwise(days[:-1]))


def test_weights_and_cash_add_up_to_the_account(connection: duckdb.DuckDBPyConnection) -> None:
    days, layers = weights(sheet_of(connection), "risk_category", "unknown")
    assert list(layers) == ["LOW", "MEDIUM", "HIGH", "in cash"]
    assert len(days) > 20
    np.testing.assert_allclose(sum(np.array(own) for own in layers.values()), 1.0)
    np.testing.assert_allclose(layers["in cash"], 0.03)


def test_a_risk_category_is_that_of_the_decision(connection: duckdb.DuckDBPyConnection) -> None:
    # Ranked anew at the close of the trade: too late for it.
    connection.execute(
        "INSERT INTO scoring.composite_ranking BY NAME SELECT ticker, session, 'LOW' AS risk_category, 1 AS rank, "
        "4 AS ranked_funds FROM validation.backtest_holdings WHERE session = (SELECT max(session) FROM "
        "validation.backtest_holdings)"
    )
    _, layers = weights(sheet_of(connection), "risk_category", "unknown")
    assert list(layers) == ["LOW", "MEDIUM", "HIGH", "in cash"]
    assert layers["HIGH"][-1] > 0.05


def test_the_largest_holdings_come_first(connection: duckdb.DuckDBPyConnection, page: str) -> None:
    found = connection.execute(
        "SELECT ticker, weight FROM validation.backtest_holdings QUALIFY session = max(session) OVER () "
        "ORDER BY weight DESC"
    ).fetchall()
    section = words(page[page.index('<section id="holdings"') : page.index('<section id="costs"')])
    places = [section.index(f"{ticker} ") for ticker, _ in found]
    assert places == sorted(places)
    assert f"{100 * found[0][1]:.1f} %" in section


def test_the_grid_is_over_the_settings_that_matter_most(page: str) -> None:
    rows = [
        {"momentum_weight": m, "forecast_weight": 0.2, "risk_weight": 0.2, "volume_weight": 0.6 - m, "multipliers": True,
         "penalties": p, "top": top, "kept": 1.5, "months": 1, "sharpe": m + 0.5 * p + 0.001 * top}
        for m in (0.1, 0.3) for p in (False, True) for top in (10, 20)
    ]  # fmt: skip
    assert matter_most(rows) == ("momentum_weight", "penalties")
    assert page.count('class="n default"') == 1
    assert row_of(page, "stability", "0.35")[1:] == ["0.45", "0.50", "0.55", "0.45"]
    assert "The settings in force are on a plateau" in words(page)


def test_what_is_not_known_is_a_dash(connection: duckdb.DuckDBPyConnection) -> None:
    for table in (
        "backtest_summary",
        "random_portfolios",
        "significance",
        "parameter_sweep",
        "capacity",
        "overfitting",
    ):
        names = connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = ? AND data_type = 'DOUBLE' AND is_nullable",
            [table],
        ).fetchall()
        connection.execute(
            f"UPDATE validation.{table} SET " + ", ".join(f"{name} = 'nan'::DOUBLE" for (name,) in names)
        )
    told = words(tear_sheet(connection, "top_ranked"))
    assert not re.search(r"\b(nan|NaN|inf|None|NaT)\b", told)
    assert "–" in told
    assert "Nothing can be said yet" in told


@pytest.mark.parametrize("empty", [*TABLES, "all of them"])
def test_an_empty_table_leaves_a_page(connection: duckdb.DuckDBPyConnection, empty: str) -> None:
    for table in TABLES if empty == "all of them" else (empty,):
        connection.execute(f"DELETE FROM validation.{table}")
    page = tear_sheet(connection, "top_ranked")
    reader = read(page)
    assert reader.open == []
    assert tuple(reader.ids) == SECTIONS
    assert not re.search(r"\bnan\b|\bNone\b", words(page))
    if empty != "backtest_trades":
        assert "etf build fills it" in words(page)


def test_an_account_of_a_few_sessions(connection: duckdb.DuckDBPyConnection) -> None:
    for table in TABLES:
        connection.execute(f"DELETE FROM validation.{table}")
    connection.execute("DELETE FROM validation.backtest_daily WHERE session > '2021-03-02'")
    assert tuple(read(tear_sheet(connection, "top_ranked")).ids) == SECTIONS
    connection.execute("DELETE FROM validation.backtest_daily WHERE session > '2021-03-01'")
    assert "Not enough days for a chart yet" in words(tear_sheet(connection, "top_ranked"))


def test_where_it_is_from(page: str) -> None:
    told = words(page)
    for text in ("run-1", "abcdef0123456789", "capital = 100000.0", "2021-03-01 to 2023-", "simulated"):
        assert text in told[told.index("Where this is from") :]


def test_nothing_to_show(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(NoBacktestError, match="fast is not a strategy"):
        tear_sheet(connection, "fast")
    connection.execute("DELETE FROM validation.backtest_daily")
    with pytest.raises(NoBacktestError, match="run `etf build`"):
        tear_sheet(connection, "top_ranked")


def test_the_parts_of_a_year_are_shown_and_add_up(connection: duckdb.DuckDBPyConnection) -> None:
    for year, scale in ((2020, 1.0), (2021, -0.5)):
        for part, value in PARTS.items():
            insert(
                connection, "attribution.annual_attribution", strategy="top_ranked", model="house", year=year, part=part,
                session=f"{year + 1}-01-04", contribution=scale * value,
            )  # fmt: skip
    page = tear_sheet(connection, "top_ranked")
    assert row_of(page, "by-factor", "year") == [
        "year", "market", "term", "credit", "currency", "volatility", "beyond the factors", "cash rate", "trading costs",
        "return",
    ]  # fmt: skip
    assert row_of(page, "by-factor", "2020") == [
        "2020", "5.0 %", "-1.0 %", "0.2 %", "0.3 %", "-0.4 %", "2.0 %", "4.0 %", "-0.3 %", "9.8 %",
    ]  # fmt: skip
    assert row_of(page, "by-factor", "2021")[-1] == "-4.9 %"


def test_losses_are_those_of_the_newest_month_at_which_most_of_the_account_is_known(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    for day, covered in (("2021-10-29", 1.0), ("2021-11-30", 0.8), ("2021-12-31", 0.3)):
        for strategy, loss in (("top_ranked", -0.12), ("benchmark", -0.3)):
            for scenario, others, times in (
                ("covid_2020", "conditional", 1.0), ("oil_up", "conditional", -0.1), ("oil_up", "unchanged", 9.0),
            ):  # fmt: skip
                insert(
                    connection, "attribution.portfolio_stress", strategy=strategy, session=day, kind="replay",
                    scenario=scenario, others=others, covered_weight=covered, served_return=times * loss * covered,
                    low_95=-0.2, high_95=-0.05,
                )  # fmt: skip
    page = tear_sheet(connection, "top_ranked")
    assert "As held at 2021-11-30" in words(page)
    assert row_of(page, "stress", "covid 2020") == [
        "covid 2020", "replay", "-9.6 %", "-20.0 % to -5.0 %", "-24.0 %",
    ]  # fmt: skip
    assert row_of(page, "stress", "oil up")[2] == "1.0 %"
    part = page[page.index('<section id="stress"') :]
    assert part.index("covid 2020") < part.index("oil up"), "worst first"
