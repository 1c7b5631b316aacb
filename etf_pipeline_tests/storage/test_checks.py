"""Each check of the risk and validation tables is silent on sound rows and finds the broken one."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from etf_pipeline.storage.checks import FORECASTS, LIQUIDITY_ESTIMATES, RULES, TAILS, Rule
from etf_pipeline.storage.connection import ensure_schema
from etf_pipeline_tests.contract_rows import DAY, insert

# Ten sessions; the fund A has a bar on the first three and estimates until five sessions after the last.
DAYS = [f"2026-01-{day:02d}" for day in (5, 6, 7, 8, 9, 12, 13, 14, 15, 16)]
LAST_BAR, LAST_ESTIMATE, TOO_LATE = DAY, DAYS[7], DAYS[8]
JUDGED = [
    rule
    for rule in RULES
    if (rule.table.split(".")[0] in {"risk", "validation"} or rule.table == "scoring.ablation_gate")
    and rule.name != "contract"
]


def tail(**more: float) -> dict[str, float]:
    depth = {"var_95": -0.01, "cvar_95": -0.02, "var_99": -0.03, "cvar_99": -0.04}
    return {f"{name}{ending}": value for ending in TAILS for name, value in depth.items()} | more


@pytest.fixture
def connection(sound: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The sound warehouse, to be broken; it is mended after each test."""
    sound.execute("BEGIN TRANSACTION")
    yield sound
    sound.execute("ROLLBACK")


@pytest.fixture(scope="module")
def sound() -> Iterator[duckdb.DuckDBPyConnection]:
    """A sound warehouse of one plain and one leveraged fund, in memory."""
    with duckdb.connect() as memory:
        ensure_schema(memory)
        for day in DAYS:
            insert(memory, "market.sessions", session=day)
        for ticker in ("A", "LEV"):
            leveraged = ticker == "LEV"
            insert(memory, "raw.listings", ticker=ticker, is_leveraged=leveraged, withdrawn=False)
            for day in DAYS[:3]:
                insert(memory, "market.bars", ticker=ticker, session=day)
            for day in (LAST_BAR, LAST_ESTIMATE):
                key = {"ticker": ticker, "session": day}
                insert(memory, "risk.volatility", **key, model="gjr_t")
                insert(memory, "risk.range_volatility", **key)
                insert(
                    memory, "risk.beta", **key, correlation=1.0, hac_standard_error=0.1, kalman_standard_error=0.1,
                    dimson_standard_error=0.1, shrunk_standard_error=0.1,
                )  # fmt: skip
                insert(memory, "risk.class_beta", **key)
                insert(memory, "risk.tail", **key, **tail())
                insert(
                    memory,
                    "risk.drawdown",
                    **key,
                    drawdown=-0.1,
                    maximum_drawdown_252=-0.2,
                    maximum_drawdown_756=-0.2,
                )
                insert(
                    memory, "risk.risk_category", **key, category="HIGH" if leveraged else "LOW",
                    raw_category="HIGH" if leveraged else "LOW", decided_by="leveraged" if leveraged else "cvar",
                )  # fmt: skip
            insert(memory, "market.universe", ticker=ticker, session=LAST_BAR)
            insert(memory, "risk.volatility_forecasts", ticker=ticker, **dict.fromkeys(FORECASTS, 1e-4))
            insert(memory, "risk.garch_fits", ticker=ticker, model="gjr_t")
            insert(memory, "risk.kalman_fits", ticker=ticker)
            estimates = {"spread": 0.0, "spread_lower": 0.0, "spread_upper": 0.001, "edge_signed": -0.001}
            estimates["amihud_per_million"] = 0.1
            insert(memory, "risk.liquidity", ticker=ticker, **estimates)
            # Long after the end, silence is still counted and nothing is estimated.
            silent = dict.fromkeys(LIQUIDITY_ESTIMATES) | {"median_traded_value": 0.0}
            insert(
                memory, "risk.liquidity", ticker=ticker, session=DAYS[9], zero_volume_sessions=1, known_sessions=1, **silent
            )  # fmt: skip
            for model in ("served", "ewma"):
                insert(memory, "validation.volatility_losses", ticker=ticker, model=model, history="long")
            # Other sessions than those of the long history.
            insert(
                memory,
                "validation.volatility_losses",
                ticker=ticker,
                model="ewma",
                history="short",
                observations=9,
            )
            for level in (0.95, 0.99):
                insert(
                    memory, "validation.value_at_risk", ticker=ticker, model="served", scope="year", level=level,
                    year=2026, exceptions=1 if level == 0.95 else 0,
                )  # fmt: skip
            insert(
                memory, "validation.value_at_risk_exceptions", ticker=ticker, level=0.95, total_return=-0.03,
                value_at_risk=-0.01, expected_shortfall=-0.02,
            )  # fmt: skip
            for estimator, ratio in (("static", 1.0), ("kalman", 0.9)):
                insert(
                    memory, "validation.hedging", ticker=ticker, estimator=estimator, ratio_to_static=ratio
                )
        insert(
            memory, "validation.signal_evaluation", mean_ic=0.05, p_value=0.001, adjusted_p_value=0.04, discovered=True
        )  # fmt: skip
        insert(memory, "validation.signal_evaluation", mean_ic=-0.05, year=2, discovered=False)
        for day, start, end in ((DAYS[0], 100.0, 101.0), (DAYS[1], 101.0, 101.5)):
            book = dict.fromkeys(("income", "interest", "spread_cost", "impact_cost", "haircut"), 0.0)
            insert(
                memory, "validation.backtest_daily", session=day, start_value=start, price_gain=end - start, end_value=end,
                **book,
            )  # fmt: skip
        insert(memory, "validation.backtest_trades", ticker="A", session=DAYS[0], kind="order")
        insert(memory, "validation.backtest_trades", ticker="A", session=DAYS[9], kind="delisted")
        insert(memory, "validation.backtest_holdings", ticker="A", weight=0.6)
        insert(memory, "validation.backtest_holdings", ticker="LEV", weight=0.4)
        insert(memory, "validation.significance", probabilistic_sharpe=0.9, deflated_sharpe=0.5)
        insert(memory, "validation.significance", against="y", probabilistic_sharpe=0.9)
        insert(memory, "validation.trials", trial_id="t")
        insert(memory, "validation.trial_returns", trial_id="t")
        insert(memory, "scoring.ablation_gate", decision="kept", p_value=0.05, mean_gain=0.01)
        insert(memory, "scoring.ablation_gate", overlay="y", decision="refused", served=False, p_value=0.05)
        insert(
            memory, "validation.forecast_bias", asset_class="all", scope="to_date", verdict="skill", coverage=0.81
        )  # fmt: skip
        insert(
            memory, "risk.regime", calm_probability=0.7, normal_probability=0.2, stress_probability=0.1,
            two_state_stress_probability=0.3,
        )  # fmt: skip
        for states, state, volatility in (
            (2, "calm", 0.1), (2, "stress", 0.3), (3, "calm", 0.08), (3, "normal", 0.15), (3, "stress", 0.4)
        ):  # fmt: skip
            insert(
                memory, "risk.regime_states", states=states, state=state, volatility_annualised=volatility,
                log_likelihood=1.0,
            )  # fmt: skip
        yield memory


def broken(connection: duckdb.DuckDBPyConnection) -> set[str]:
    found = {}
    for rule in JUDGED:
        row = connection.execute(f"SELECT count(*) FROM ({rule.offenders})").fetchone()
        found[f"{rule.table} {rule.name}"] = row[0] if row else 0
    return {name for name, count in found.items() if count}


@pytest.mark.parametrize("rule", JUDGED, ids=lambda r: f"{r.table}.{r.name}")
def test_sound_rows_pass(connection: duckdb.DuckDBPyConnection, rule: Rule) -> None:
    assert connection.execute(rule.offenders).fetchall() == []


A = "WHERE ticker = 'A' AND session = DATE '2026-01-07'"
MOVED = f"SET session = DATE '{TOO_LATE}' WHERE session = DATE '{LAST_ESTIMATE}' AND ticker = 'A'"
BEFORE_A_FIT = "SET session = DATE '2026-01-08'"
BREAKS = (
    *(("validation.forecast_bias intervals_keep_their_promise", f"UPDATE validation.forecast_bias SET coverage = {c}")
      for c in (0.74, 0.86)),
    *(("scoring.ablation_gate served_on_evidence", f"UPDATE scoring.ablation_gate SET {change}")
      for change in ("p_value = 0.11 WHERE served", "p_value = NULL WHERE served", "mean_gain = -0.01 WHERE served",
                     "decision = 'withdrawn' WHERE served", "served = true WHERE overlay = 'y'")),
    *((f"risk.{t} ends_with_the_fund", f"UPDATE risk.{t} {MOVED}") for t in (
        "volatility", "range_volatility", "beta", "class_beta", "tail", "drawdown", "risk_category")),
    *(("risk.liquidity ends_with_the_fund", f"UPDATE risk.liquidity SET {column} = 0 WHERE session = DATE '{DAYS[9]}'")
      for column in ("spread_standard_error", "corwin_schultz_signed", "abdi_ranaldo_signed", "amihud_per_million")),
    ("risk.drawdown ends_with_the_fund", f"UPDATE risk.drawdown SET session = DATE '2026-01-04' {A}"),
    ("risk.drawdown ends_with_the_fund", f"UPDATE risk.drawdown SET ticker = 'NOBODY' {A}"),
    ("risk.volatility positive_forecasts", f"UPDATE risk.volatility SET volatility_5_annualised = 0 {A}"),
    ("risk.volatility positive_forecasts", f"UPDATE risk.volatility SET volatility_annualised = -0.1 {A}"),
    ("risk.volatility positive_forecasts", f"UPDATE risk.volatility SET volatility_1_annualised = 'inf' {A}"),
    ("risk.volatility positive_forecasts", f"UPDATE risk.volatility SET volatility_1_annualised = 'nan' {A}"),
    ("risk.volatility positive_forecasts", f"UPDATE risk.volatility SET model = 'constant' {A}"),
    ("risk.volatility served_by_a_fit", f"UPDATE risk.volatility SET model = 'garch_t' {A}"),
    ("risk.volatility served_by_a_fit", f"UPDATE risk.garch_fits {BEFORE_A_FIT}"),
    ("risk.volatility_forecasts positive_forecasts", f"UPDATE risk.volatility_forecasts SET gjr_t_variance_21 = 0 {A}"),
    ("risk.volatility_forecasts positive_forecasts",
     f"UPDATE risk.volatility_forecasts SET egarch_t_variance_1 = 'inf' {A}"),
    ("risk.beta kalman_after_its_fit", f"UPDATE risk.kalman_fits {BEFORE_A_FIT}"),
    ("risk.beta kalman_after_its_fit", "DELETE FROM risk.kalman_fits WHERE ticker = 'A'"),
    ("risk.beta errors_not_negative", f"UPDATE risk.beta SET dimson_standard_error = -0.1 {A}"),
    ("risk.beta errors_not_negative", f"UPDATE risk.beta SET standard_error = 'nan' {A}"),
    ("risk.beta errors_not_negative", f"UPDATE risk.beta SET correlation = 1.1 {A}"),
    *(("risk.tail severity_in_order", f"UPDATE risk.tail SET {column} = {value} {A}")
      for ending in TAILS
      for column, value in ((f"cvar_95{ending}", -0.009), (f"cvar_99{ending}", -0.025), (f"var_99{ending}", -0.009))),
    ("risk.drawdown depths_in_order", f"UPDATE risk.drawdown SET maximum_drawdown_252 = -0.3 {A}"),
    ("risk.drawdown depths_in_order", f"UPDATE risk.drawdown SET drawdown = 0.1 {A}"),
    ("risk.risk_category leveraged_is_high",
     "UPDATE risk.risk_category SET category = 'MEDIUM' WHERE ticker = 'LEV' AND session = DATE '2026-01-07'"),
    ("risk.risk_category leveraged_is_high", "UPDATE raw.listings SET asset_class = 'leveraged_inverse' WHERE ticker = 'A'"),
    ("risk.risk_category members_have_one", f"UPDATE market.universe SET session = DATE '{TOO_LATE}' {A}"),
    ("risk.regime probabilities_sum_to_one", "UPDATE risk.regime SET calm_probability = 0.6"),
    ("risk.regime probabilities_sum_to_one", "UPDATE risk.regime SET calm_probability = 1.2, normal_probability = -0.3"),
    ("risk.regime probabilities_sum_to_one", "UPDATE risk.regime SET two_state_stress_probability = 1.01"),
    ("risk.regime after_the_first_fit", f"UPDATE risk.regime_states {BEFORE_A_FIT}"),
    ("risk.regime after_the_first_fit", "UPDATE risk.regime_states SET log_likelihood = NULL WHERE states = 3"),
    ("risk.regime_states states_in_order",
     "UPDATE risk.regime_states SET volatility_annualised = 0.5 WHERE states = 3 AND state = 'normal'"),
    ("risk.regime_states states_in_order",
     "UPDATE risk.regime_states SET volatility_annualised = 0.5 WHERE states = 2 AND state = 'calm'"),
    ("risk.liquidity counts_and_spreads", f"UPDATE risk.liquidity SET spread = 0.001 {A}"),
    ("risk.liquidity counts_and_spreads", f"UPDATE risk.liquidity SET spread_lower = 0.0005 {A}"),
    ("risk.liquidity counts_and_spreads", f"UPDATE risk.liquidity SET spread_lower = -0.0005 {A}"),
    ("risk.liquidity counts_and_spreads", f"UPDATE risk.liquidity SET spread = 0.002, edge_signed = 0.002 {A}"),
    ("risk.liquidity counts_and_spreads", f"UPDATE risk.liquidity SET spread = -0.001 {A}"),
    ("risk.liquidity counts_and_spreads", f"UPDATE risk.liquidity SET zero_volume_sessions = 2 {A}"),
    ("validation.volatility_losses judged_on_the_same_days",
     "UPDATE validation.volatility_losses SET observations = 2 WHERE model = 'ewma' AND history = 'long'"),
    ("validation.value_at_risk exceptions_are_listed", "DELETE FROM validation.value_at_risk_exceptions WHERE ticker = 'A'"),
    ("validation.value_at_risk exceptions_are_listed",
     "UPDATE validation.value_at_risk_exceptions SET level = 0.99 WHERE ticker = 'A'"),
    ("validation.value_at_risk_exceptions beyond_the_forecast",
     "UPDATE validation.value_at_risk_exceptions SET total_return = 0.01"),
    ("validation.value_at_risk_exceptions beyond_the_forecast",
     "UPDATE validation.value_at_risk_exceptions SET expected_shortfall = -0.005"),
    ("validation.hedging judged_on_the_same_days",
     "UPDATE validation.hedging SET observations = 2 WHERE estimator = 'kalman'"),
    ("validation.hedging judged_on_the_same_days",
     "UPDATE validation.hedging SET ratio_to_static = 1.1 WHERE estimator = 'static'"),
    *(("validation.signal_evaluation figures_agree", f"UPDATE validation.signal_evaluation SET {change} WHERE year = 1")
      for change in ("mean_ic = 1.1", "mean_ic = 'nan'", "adjusted_p_value = 0.0009", "adjusted_p_value = 0.06",
                     "discovered = false", "adjusted_p_value = NULL, discovered = false")),
    ("validation.signal_evaluation figures_agree",
     "UPDATE validation.signal_evaluation SET discovered = true WHERE year = 2"),
    ("validation.backtest_daily books_balance", "UPDATE validation.backtest_daily SET spread_cost = 0.02"),
    ("validation.backtest_daily books_balance",
     f"UPDATE validation.backtest_daily SET start_value = 90, end_value = 90.5 WHERE session = DATE '{DAYS[1]}'"),
    ("validation.backtest_trades traded_where_there_is_a_price",
     f"UPDATE validation.backtest_trades SET session = DATE '{DAYS[5]}' WHERE kind = 'order'"),
    ("validation.backtest_trades traded_where_there_is_a_price",
     "UPDATE market.bars SET close = 1; UPDATE validation.backtest_trades SET price = 1.01 WHERE kind = 'order'"),
    ("validation.backtest_trades traded_where_there_is_a_price",
     f"UPDATE market.bars SET accepted = false WHERE session = DATE '{DAYS[0]}' AND ticker = 'A'"),
    ("validation.backtest_holdings nothing_borrowed", f"UPDATE validation.backtest_holdings SET weight = 0.7 {A}"),
    ("validation.backtest_holdings nothing_borrowed", f"UPDATE validation.backtest_holdings SET units = -1 {A}"),
    ("validation.significance trials_make_it_no_surer", "UPDATE validation.significance SET deflated_sharpe = 0.91"),
    ("validation.significance trials_make_it_no_surer", "UPDATE validation.significance SET deflated_sharpe = -0.1"),
    ("validation.trial_returns of_a_trial_in_the_ledger", "DELETE FROM validation.trials"),
)  # fmt: skip


@pytest.mark.parametrize(("check", "statement"), BREAKS, ids=range(len(BREAKS)))
def test_a_broken_row_is_found_by_its_check(
    connection: duckdb.DuckDBPyConnection, check: str, statement: str
) -> None:
    connection.execute(statement)
    assert broken(connection) == {check}


def test_every_check_has_been_seen_to_fail() -> None:
    assert {check for check, _ in BREAKS} == {f"{rule.table} {rule.name}" for rule in JUDGED}


def test_a_price_that_never_moved_may_have_no_volatility(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "UPDATE risk.volatility SET model = 'constant', volatility_1_annualised = 0, "
        "volatility_5_annualised = 0, volatility_annualised = 0"
    )
    assert broken(connection) == set()


def test_a_constant_beta_without_error_needs_no_fit(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("DELETE FROM risk.kalman_fits WHERE ticker = 'A'")
    connection.execute("UPDATE risk.beta SET kalman_standard_error = 0 WHERE ticker = 'A'")
    assert broken(connection) == set()
