"""The gates of validation.readiness, each with the query that is its evidence."""

from __future__ import annotations

from etf_pipeline.core.validation.readiness import Gate

STRATEGY = "top_ranked"


def _newest(table: str, columns: str, where: str = "true") -> str:
    return f"SELECT {columns} FROM validation.{table} WHERE {where} ORDER BY year DESC LIMIT 1"  # noqa: S608


_OWN = f"strategy = '{STRATEGY}'"
_TO_DATE = f"{_OWN} AND scope = 'to_date'"
_AGAINST = f"{_OWN} AND against = 'benchmark'"

GATES: tuple[Gate, ...] = (
    Gate(
        "data_health", "Were almost all bars of the last year accepted?", False, 0.05, "%",
        "SELECT avg((NOT accepted)::INT) FROM market.bars "
        "WHERE session > (SELECT max(session) FROM market.bars) - INTERVAL 365 DAY",
    ),
    Gate(
        "data_coverage", "Does the newest ranking hold as many funds as usual of late?", True, 0.85, "%",
        "WITH daily AS (SELECT session, count(rank) AS ranked FROM scoring.composite_ranking "
        "WHERE session > (SELECT max(session) FROM scoring.composite_ranking) - INTERVAL 120 DAY GROUP BY session) "
        "SELECT max_by(ranked, session) / nullif(median(ranked), 0) FROM daily",
    ),
    Gate(
        "freshness", "Does the warehouse hold the newest session that is over?", False, 0.0, "",
        "SELECT sessions_behind FROM asked", "SELECT max(session) FROM market.sessions",
    ),
    Gate(
        "market_fund_is_covered", "Has the market fund a bar of late?", False, 5.0, "",
        "SELECT count(*) FROM market.sessions WHERE session > (SELECT max(session) FROM market.bars JOIN asked "
        "ON ticker = benchmark WHERE accepted)", "SELECT ticker, max(session) FROM market.bars WHERE accepted GROUP BY ALL",
    ),
    Gate(
        "point_in_time", "Did the last proof with this code and these settings find every table the same?", False, 0.0, "",
        "SELECT CASE WHEN different = '' THEN 0 ELSE len(string_split(different, ', ')) END FROM meta.point_in_time_proofs "
        "JOIN asked USING (code_version, settings_hash) WHERE session > (SELECT max(session) FROM market.sessions) "
        "- INTERVAL 400 DAY ORDER BY proved_at DESC LIMIT 1",
        "SELECT * FROM meta.point_in_time_proofs ORDER BY proved_at DESC",
    ),
    Gate(
        "ahead_of_the_market", "Has it earned more than the market fund, after costs?", True, 0.0, "p.a.",
        _newest("backtest_summary", "excess_annual_return", _TO_DATE),
    ),
    Gate(
        "deflated_sharpe", "Is its edge over the market fund more than the best of so many trials has by luck?", True, 0.95,
        "%", _newest("significance", "deflated_sharpe", _AGAINST),
    ),
    Gate(
        "superior_ability", "Does any trial beat the market fund, all of them allowed for?", False, 0.05, "",
        _newest("overfitting", "spa_p_value"),
    ),
    Gate(
        "overfitting", "Does the trial that was best keep its place afterwards?", False, 0.2, "%",
        _newest("overfitting", "probability_of_overfitting"),
    ),
    Gate(
        "ahead_of_chance", "Is it better than portfolios drawn at random from the same funds?", True, 0.95, "%",
        _newest("random_portfolios", "beaten_in_sharpe", _TO_DATE),
    ),
    Gate(
        "survivors_do_not_carry_it", "Would forgetting dead funds have changed little?", False, 0.01, "p.a.",
        _newest(
            "survivorship",
            "CASE WHEN dead_funds >= 0.05 * funds THEN abs(annual_return_difference) END",
            "comparison = 'survivors_less_all' AND asset_class = 'all' AND scope = 'to_date'",
        ),
    ),
    Gate(
        "cost_share", "Do costs take little of what is earned before them?", False, 0.25, "%",
        _newest(
            "backtest_summary",
            "CASE WHEN gross_annual_return > 0 THEN (spread_cost_annual + impact_cost_annual) / gross_annual_return END",
            _TO_DATE,
        ),
    ),
    Gate(
        "turnover_cost", "Does trading cost less than 2 % a year?", False, 0.02, "p.a.",
        _newest("backtest_summary", "spread_cost_annual + impact_cost_annual", _TO_DATE),
    ),
    Gate(
        "drawdown", "Has it fallen no deeper than the market fund?", True, None, "%",
        "SELECT s.maximum_drawdown, b.maximum_drawdown FROM validation.backtest_summary s "  # noqa: S608
        "JOIN validation.backtest_summary b "
        f"USING (year, scope) WHERE s.{_TO_DATE} AND b.strategy = 'benchmark' ORDER BY year DESC LIMIT 1",
    ),
    Gate(
        "value_at_risk", "Is the 99 % value at risk exceeded as often as it should be, for most funds?", True, 0.85, "%",
        "SELECT avg((kupiec_p_value >= 0.05)::INT) FROM validation.value_at_risk WHERE model = 'served' "
        "AND level = 0.99 AND scope = 'to_date' AND year = (SELECT max(year) FROM validation.value_at_risk)",
    ),
    Gate(
        "drift", "Does research today rank as what was published?", False, 0.05, "%",
        "SELECT avg((r.rank IS DISTINCT FROM p.rank)::INT) FROM production.published_ranking p "
        "LEFT JOIN scoring.composite_ranking r USING (session, ticker) WHERE p.rank IS NOT NULL OR r.rank IS NOT NULL",
    ),
)  # fmt: skip
