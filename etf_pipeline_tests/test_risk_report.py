"""What ``etf risk`` prints, on funds whose risk is known by heart."""

from __future__ import annotations

import io
from collections.abc import Iterator

import duckdb
import pytest
from rich.console import Console

from etf_pipeline.core.risk.garch import HORIZONS, MODELS
from etf_pipeline.reports import NoRiskError
from etf_pipeline.risk_card import risk_card
from etf_pipeline.risk_report import risk_overview
from etf_pipeline.storage.connection import ensure_schema
from etf_pipeline_tests.contract_rows import DAY, insert

EARLIER, MONTH = "2026-01-06", "2026-01-02"
# Volatility, category, whether a member.
FUNDS = {"A": (0.40, "HIGH", True), "B": (0.20, "MEDIUM", True), "C": (0.10, "MEDIUM", True),
         "D": (0.03, "LOW", True), "E": (0.50, "HIGH", False)}  # fmt: skip
TAILS = {f"{m}_{level}_{model}": -0.01 * level / 95 * (2 if m == "cvar" else 1)
         for model in ("historical", "student_t", "filtered") for m in ("var", "cvar") for level in (95, 99)}  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as memory:
        ensure_schema(memory)
        for ticker, (volatility, category, member) in FUNDS.items():
            fill(memory, ticker, volatility, category, member)
        for day, stress in ((EARLIER, 0.6), (DAY, 0.2)):
            insert(
                memory, "risk.regime", session=day, calm_probability=0.1, normal_probability=0.9 - stress,
                stress_probability=stress, two_state_stress_probability=0.35, benchmark="B",
            )  # fmt: skip
        for fitted, states in ((MONTH, (0.081, 0.152, 0.384)), (EARLIER, (None, None, None))):
            for state, volatility in zip(("calm", "normal", "stress"), states, strict=True):
                insert(
                    memory, "risk.regime_states", session=fitted, states=3, state=state,
                    volatility_annualised=volatility, mean_return_annualised=0.05, expected_duration_sessions=30.0,
                    ergodic_share=0.5, log_likelihood=None if volatility is None else 1.0,
                )  # fmt: skip
        yield memory


@pytest.fixture
def connection(rows: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The funds, put back after each test."""
    rows.execute("BEGIN TRANSACTION")
    yield rows
    rows.execute("ROLLBACK")


def fill(
    memory: duckdb.DuckDBPyConnection, ticker: str, volatility: float, category: str, member: bool
) -> None:
    """All that is known of one fund on two sessions."""
    insert(
        memory, "raw.listings", ticker=ticker, name=f"Fund [{ticker}]", asset_class="us_equity", currency="AUD",
        is_leveraged=False, withdrawn=False,
    )  # fmt: skip
    for day in (EARLIER, DAY):
        key = {"ticker": ticker, "session": day}
        insert(
            memory, "market.universe", **key, is_member=member, exclusion_reason=None if member else "illiquid",
            observed_sessions=700, stale_sessions=0,
        )  # fmt: skip
        insert(
            memory, "risk.risk_category", **key, category="MEDIUM" if day == EARLIER else category,
            raw_category=category, decided_by="cvar", score=1.5,
        )  # fmt: skip
        insert(
            memory, "risk.volatility", **key, volatility_annualised=volatility, volatility_1_annualised=volatility / 2,
            volatility_5_annualised=volatility * 0.75, ewma_annualised=0.123, model="gjr_t",
        )  # fmt: skip
        variances = {f"{m}_variance_{h}": 0.24**2 * h / 252 for m in MODELS for h in HORIZONS}
        insert(memory, "risk.volatility_forecasts", **key, **variances)
        insert(
            memory, "risk.range_volatility", **key, parkinson_annualised=0.111, yang_zhang_annualised=0.222
        )
        insert(
            memory, "risk.beta", **key, benchmark="B", beta=1.234, standard_error=0.051, hac_standard_error=0.062,
            kalman_beta=1.345, kalman_standard_error=0.073, dimson_beta=1.456, dimson_standard_error=0.084,
            downside_beta=1.567, shrunk_beta=1.111, shrunk_standard_error=0.045, ewma_beta=1.2, static_beta=1.01,
        )  # fmt: skip
        insert(
            memory, "risk.class_beta", **key, asset_class="us_equity", beta=0.876, standard_error=0.031,
            kalman_beta=0.9, kalman_standard_error=0.04,
        )  # fmt: skip
        served = {
            name.removesuffix("_filtered"): v for name, v in TAILS.items() if name.endswith("_filtered")
        }
        insert(
            memory, "risk.tail", **key, **TAILS, **served, model="filtered", cvar_95_annualised_historical=-0.31,
        )  # fmt: skip
        insert(
            memory, "risk.drawdown", **key, drawdown=-0.12, sessions_under_water=45, maximum_drawdown_252=-0.2,
            maximum_drawdown_756=-0.35, unknown_returns=0,
        )  # fmt: skip
        insert(
            memory, "risk.liquidity", **key, spread=0.0010, spread_lower=0.0006, spread_upper=0.0013, edge_signed=0.0010,
            corwin_schultz_signed=-0.0003, abdi_ranaldo_signed=0.0012, spread_pairs=250, amihud_per_million=0.0123,
            zero_volume_sessions=7, known_sessions=252,
        )  # fmt: skip
    insert(memory, "risk.garch_fits", ticker=ticker, session=MONTH, model="gjr_t", persistence=0.977, nu=5.5)


def judge(
    memory: duckdb.DuckDBPyConnection,
    ticker: str,
    year: int,
    exceptions: int,
    saved: float,
    model: str = "served",
) -> None:
    """A year of track record, known on the next year's first session."""
    period = {"ticker": ticker, "session": f"{year + 1}-01-02", "year": year}
    for scope in ("year", "to_date"):
        for horizon in (1, 21):
            judged = {**period, "scope": scope, "horizon": horizon, "model": model}
            judged["history"] = "short" if model == "ewma_shrunk" else "long"
            insert(memory, "validation.volatility_losses", **judged, observations=252, qlike=-8.5)
            for baseline in ("rolling_63", "rolling_252", "ewma"):
                insert(
                    memory, "validation.volatility_tests", **judged, baseline=baseline, observations=252,
                    qlike_difference=-saved, qlike_p_value=0.001 if baseline == "rolling_252" else 0.5,
                )  # fmt: skip
        for level in (0.95, 0.99):
            insert(
                memory, "validation.value_at_risk", **period, scope=scope, model="served", level=level, observations=252,
                exceptions=exceptions, expected_exceptions=252 * (1 - level), judged=True,
                lowest_accepted=7 if level == 0.95 else 0, highest_accepted=19 if level == 0.95 else 6,
            )  # fmt: skip


def overview(connection: duckdb.DuckDBPyConnection, top: int = 1, session: str | None = None) -> str:
    screen = io.StringIO()
    risk_overview(connection, Console(file=screen, width=150), top=top, session=session)
    return screen.getvalue()


def card(connection: duckdb.DuckDBPyConnection, ticker: str = "A", session: str | None = None) -> str:
    screen = io.StringIO()
    risk_card(connection, Console(file=screen, width=150), ticker=ticker, session=session)
    return screen.getvalue()


def cells(text: str, first: str) -> list[str]:
    """The cells of the table row that begins with ``first``."""
    lines = [
        [c.strip() for c in line.strip("│\n").split("│")]
        for line in text.splitlines()
        if line.startswith("│")
    ]
    return next(line for line in lines if line[0] == first)


def test_the_regime_and_what_it_means(connection: duckdb.DuckDBPyConnection) -> None:
    text = overview(connection)
    assert f"regime at the close of {DAY}: normal (B, fitted {MONTH})" in text, (
        "the failed refit leaves the last in force"
    )
    assert cells(text, "stress") == ["stress", "20.0 %", "38.4 %", "+0.4 %", "30 sessions", "50 %"]
    assert "two regimes gives stress 35.0 %" in text
    assert f"regime at the close of {EARLIER}: stress" in overview(connection, session=EARLIER)


def test_no_number_is_cut_at_150_columns(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "UPDATE raw.listings SET name = 'A fund with a name that is longer than the column for names'"
    )
    connection.execute(
        "UPDATE risk.liquidity SET spread = 0.01123, spread_lower = 0.01001, spread_upper = 0.01501; "
        "UPDATE risk.drawdown SET drawdown = -0.123, maximum_drawdown_756 = -0.456; "
        "UPDATE risk.volatility SET model = 'egarch_normal'"
    )
    row = cells(overview(connection, top=5), "A")
    assert [cell for cell in row if "…" in cell] == [row[1]], "only the name gives way"
    assert row[-1] == "112.3 (100.1 to 150.1)"
    assert max(map(len, overview(connection, top=5).splitlines())) <= 150


def test_a_stressed_market_does_not_lose_more_than_everything(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("UPDATE risk.regime_states SET mean_return_annualised = -1.2 WHERE state = 'stress'")
    assert cells(overview(connection), "stress")[3] == "-10.0 %"
    assert "mean return a month" in overview(connection)


def test_the_models_of_the_shortfall_are_named(connection: duckdb.DuckDBPyConnection) -> None:
    text = " ".join(card(connection).split())
    assert "by the served model, filtered, which the score takes, and -31.0 % by the historical one" in text
    assert "by filtered historical simulation" in " ".join(overview(connection).split())


def test_categories_are_counted_and_explained(connection: duckdb.DuckDBPyConnection) -> None:
    text = overview(connection)
    assert "4 members of the universe" in text
    assert cells(text, "HIGH") == ["HIGH", "1", "25 %", "40.0 %", "1", "A"]
    assert cells(text, "MEDIUM")[1:4] == ["2", "50 %", "15.0 %"], "the median of 10 % and 20 %"
    assert "HIGH at 35 %, 55 % or 45 %" in text


def test_the_riskiest_and_the_calmest_members(connection: duckdb.DuckDBPyConnection) -> None:
    text = overview(connection).split("The 1 riskiest and the 1 calmest members")[1]
    assert cells(text, "A") == [
        "A", "Fund [A]", "HIGH", "20.0 %", "30.0 %", "40.0 %", "gjr_t", "-2.00 %", "-12.0 %", "-35.0 %", "1.23",
        "10.0 (6.0 to 13.0)",
    ]  # fmt: skip
    assert [line[2] for line in text.splitlines() if line.startswith("│")] == ["A", "D"]
    everyone = overview(connection, top=2).split("The 4 members of the universe, riskiest first")[1]
    assert [line[2] for line in everyone.splitlines() if line.startswith("│")] == ["A", "B", "C", "D"]


def test_nobody_to_show(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("UPDATE market.universe SET is_member = false, exclusion_reason = 'not_seasoned'")
    connection.execute("DELETE FROM risk.regime")
    text = overview(connection)
    assert "No member of the universe has a volatility forecast" in text
    assert "regime is not known" in text


@pytest.mark.parametrize(
    "show", [overview, lambda c, session: card(c, "A", session)], ids=["overview", "card"]
)
def test_a_session_without_estimates_is_refused(connection: duckdb.DuckDBPyConnection, show) -> None:
    with pytest.raises(NoRiskError, match=f"2026-01-10 is not a session .* from {EARLIER} to {DAY}"):
        show(connection, session="2026-01-10")
    connection.execute("DELETE FROM risk.volatility")
    with pytest.raises(NoRiskError, match="etf build"):
        show(connection, session=None)


def test_an_unknown_fund_is_refused(connection: duckdb.DuckDBPyConnection) -> None:
    insert(connection, "raw.bars", ticker="A", withdrawn=False)
    with pytest.raises(NoRiskError, match="a is not in this warehouse; nearest are A"):
        card(connection, "a")


def test_simulated_data_says_so(connection: duckdb.DuckDBPyConnection) -> None:
    assert "SIMULATED" not in overview(connection) + card(connection)
    insert(connection, "raw.fetches", simulated=True)
    assert overview(connection).startswith("SIMULATED MARKET")
    assert card(connection).startswith("SIMULATED MARKET")


def test_the_category_is_held_against_its_thresholds(connection: duckdb.DuckDBPyConnection) -> None:
    text = card(connection)
    assert "Risk category: HIGH" in text
    assert cells(text, "CVaR 95, historical, annualised")[1:] == [
        "31.0 %",
        "15 %",
        "55 %",
        "MEDIUM",
        "decides",
    ]
    assert cells(text, "volatility, 21 sessions, annualised")[1:] == ["40.0 %", "7 %", "35 %", "HIGH", ""]
    assert f"HIGH since {DAY}, MEDIUM before." in text
    assert f"MEDIUM since {EARLIER}, its first category." in card(connection, "B")


@pytest.mark.parametrize(
    ("fund", "told"),
    [("A", "beyond the threshold for 42 sessions"), ("D", "below the threshold for 126 sessions")],
)
def test_a_category_that_waits_says_for_what(
    connection: duckdb.DuckDBPyConnection, fund: str, told: str
) -> None:
    text = card(connection, fund, EARLIER)
    assert "The measures of this session alone say" in text
    assert told in text
    assert "alone say" not in card(connection, "B", EARLIER)


def test_every_model_and_the_one_that_serves(connection: duckdb.DuckDBPyConnection) -> None:
    text = card(connection)
    assert cells(text, "served") == ["served", "20.0 %", "30.0 %", "40.0 %", "gjr_t", "", "", "", ""]
    assert cells(text, "gjr_t") == [
        "gjr_t",
        "24.0 %",
        "24.0 %",
        "24.0 %",
        "serves",
        MONTH,
        "1",
        "0.977",
        "5.5",
    ]
    assert cells(text, "egarch_t")[1:6] == ["24.0 %", "24.0 %", "24.0 %", "", "–"]
    assert cells(text, "ewma")[1:5] == ["12.3 %", "12.3 %", "12.3 %", "for comparison"]
    assert "Parkinson 11.1 %, Garman-Klass – (both without the overnight move), Yang-Zhang 22.2 %" in text


def test_a_fall_back_says_why(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("UPDATE risk.volatility SET model = 'ewma_shrunk'")
    assert "ewma_shrunk: too few returns for a GARCH model" in card(connection)


def test_betas_with_their_errors(connection: duckdb.DuckDBPyConnection) -> None:
    text = card(connection)
    assert cells(text, "least squares")[1:5] == ["1.234", "0.051", "0.876", "0.031"]
    assert cells(text, "random walk")[1:5] == ["1.345", "0.073", "0.900", "0.040"]
    assert cells(text, "lagged (Dimson)")[1:5] == ["1.456", "0.084", "", ""], "the class has no such beta"
    assert "0.062" in text
    assert "to B " in text
    assert "to other us equity" in text
    connection.execute("DELETE FROM risk.class_beta")
    text = card(connection)
    assert cells(text, "least squares")[1:5] == ["1.234", "0.051", "–", "–"]
    assert "–: fewer than 126 common returns with its class." in text


def test_tails_of_three_models(connection: duckdb.DuckDBPyConnection) -> None:
    text = card(connection)
    assert cells(text, "filtered")[1:6] == ["-1.00 %", "-2.00 %", "-1.04 %", "-2.08 %", "served"]
    assert cells(text, "historical")[5] == ""
    connection.execute("UPDATE risk.tail SET model = 'historical', var_95_filtered = NULL")
    text = card(connection)
    assert cells(text, "filtered")[1] == "–"
    assert "–: the filtered model needs 250 returns" in text


def test_drawdown_and_liquidity_with_units(connection: duckdb.DuckDBPyConnection) -> None:
    text = card(connection)
    assert cells(text, "drawdown") == [
        "drawdown",
        "-12.0 %",
        "from its highest close ever, 45 sessions ago",
    ]
    assert cells(text, "spread (EDGE)")[1:] == [
        "10.0 (6.0 to 13.0)",
        "bps",
        "what buying and selling again costs",
    ]
    assert cells(text, "Amihud illiquidity")[1:3] == ["1.23 %", "a million AUD"]
    assert cells(text, "sessions without trade")[1:3] == ["7", "of 252 known"]


@pytest.mark.parametrize(
    ("lower", "spread", "upper", "shown", "measured"),
    [
        (0.0002, 0.0010, 0.0014, "10.0 (2.0 to 14.0)", True),
        (0.0, 0.0010, 0.0021, "10.0 (0.0 to 21.0)", False),
        (0.0, 0.0, 0.0008, "below 8.0", False),
        (0.0, 0.0, 0.0, "not seen", False),
        (None, 0.0010, None, "10.0", True),
        (None, 0.0, None, "not seen", True),
    ],
)
def test_a_spread_comes_with_an_interval_cut_at_zero(
    connection: duckdb.DuckDBPyConnection,
    lower: float | None,
    spread: float,
    upper: float | None,
    shown: str,
    measured: bool,
) -> None:
    connection.execute(
        "UPDATE risk.liquidity SET spread = ?, spread_lower = ?, spread_upper = ?", [spread, lower, upper]
    )
    row = cells(card(connection), "spread (EDGE)")
    assert row[1] == shown
    assert ("too small to be told from none" not in row[3]) == measured
    assert cells(overview(connection).split("calmest members")[1], "A")[-1] == shown


def test_the_track_record_and_its_verdicts(connection: duckdb.DuckDBPyConnection) -> None:
    judge(connection, "A", 2024, exceptions=25, saved=0.1)
    judge(connection, "A", 2025, exceptions=3, saved=-0.05)
    text = card(connection)
    volatility, tail = text.split("How often was the value at risk exceeded?")
    assert cells(volatility, "2024") == ["2024", "long", "1", "252", "-8.500", "+0.100", "+0.100**", "+0.100"]
    assert cells(volatility, "all to 2025")[5] == "-0.050"
    assert "all to 2024" not in text
    assert cells(tail, "2024")[2:] == ["25", "12.6", "7 to 19", "too mild", "25", "2.5", "0 to 6", "too mild"]
    assert cells(tail, "2025")[5] == "too cautious"
    assert cells(tail, "2025")[9] == "as stated"


@pytest.mark.parametrize(
    ("exceptions", "verdict"), [(6, "too cautious"), (7, "as stated"), (19, "as stated"), (20, "too mild")]
)
def test_the_borders_of_the_band_are_within_it(
    connection: duckdb.DuckDBPyConnection, exceptions: int, verdict: str
) -> None:
    judge(connection, "A", 2025, exceptions=exceptions, saved=0.0)
    assert cells(card(connection).split("How often was the value at risk exceeded?")[1], "2025")[5] == verdict


def test_the_forecast_of_a_short_history_has_a_record_of_its_own(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    judge(connection, "A", 2025, exceptions=10, saved=0.02, model="ewma_shrunk")
    text = card(connection).split("How often was the value at risk exceeded?")[0]
    assert cells(text, "2025") == ["2025", "short", "1", "252", "-8.500", "+0.020", "+0.020**", "+0.020"]
    assert "an EWMA drawn towards the fund's peers" in text


def test_a_year_of_too_few_days_is_not_judged(connection: duckdb.DuckDBPyConnection) -> None:
    judge(connection, "A", 2024, exceptions=1, saved=0.1)
    judge(connection, "A", 2025, exceptions=10, saved=0.1)
    thin = "UPDATE validation.value_at_risk SET judged = false, observations = {} WHERE year = 2024 AND level > {}"
    connection.execute(thin.format(60, 0.98))
    tail = card(connection).split("How often was the value at risk exceeded?")[1]
    assert cells(tail, "2024")[5:] == ["too cautious", "1", "2.5", "–", "too few days"]
    connection.execute(thin.format(2, 0))
    tail = card(connection).split("How often was the value at risk exceeded?")[1]
    assert "2024" not in tail
    assert cells(tail, "2025")[5] == "as stated"


def test_a_year_is_not_told_before_it_is_over(connection: duckdb.DuckDBPyConnection) -> None:
    judge(connection, "A", 2026, exceptions=10, saved=0.1)
    text = card(connection)
    assert "No track record of the volatility forecasts yet" in text
    assert "No track record of the value at risk yet" in text


def test_a_fund_long_gone_has_no_estimate_and_says_why(connection: duckdb.DuckDBPyConnection) -> None:
    insert(
        connection, "market.universe", ticker="Z", session=DAY, is_member=False, exclusion_reason="delisted",
        observed_sessions=400, stale_sessions=99,
    )  # fmt: skip
    text = card(connection, "Z")
    assert "It is not in the universe: delisted" in text
    for what in ("volatility forecast", "beta", "value at risk", "drawdown"):
        assert f"No {what}: its last bar is 99 sessions old." in text
    assert "Risk category: none" in text
    connection.execute(
        "UPDATE market.universe SET stale_sessions = 0, observed_sessions = 15 WHERE ticker = 'Z'"
    )
    assert "No value at risk: it needs 250 returns and has 15 observed sessions." in card(connection, "Z")


def test_the_views_carry_the_risk(connection: duckdb.DuckDBPyConnection) -> None:
    for ticker, (_, _, member) in FUNDS.items():
        insert(
            connection, "scoring.composite_ranking", ticker=ticker, session=DAY, rank=1 if member else None
        )
        insert(connection, "market.bars", ticker=ticker, session=DAY)
    for view in ("latest_ranking", "fund_card", "latest_risk"):
        found = dict(connection.execute(f"SELECT ticker, risk_category FROM {view}").fetchall())
        assert found == {ticker: category for ticker, (_, category, _) in FUNDS.items()}, view
    assert connection.execute("SELECT DISTINCT regime FROM latest_ranking").fetchall() == [("normal",)]
    assert connection.execute("SELECT DISTINCT session::VARCHAR FROM latest_risk").fetchall() == [(DAY,)]
    assert connection.execute(
        "SELECT regime, fitted_on::VARCHAR, stress_volatility_annualised FROM market_regime ORDER BY session"
    ).fetchall() == [("stress", MONTH, 0.384), ("normal", MONTH, 0.384)]
    assert len(connection.execute("FROM risk_at(?)", [EARLIER]).fetchall()) == len(FUNDS)
