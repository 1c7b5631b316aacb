"""Questions put to the tables of the backtest and of its judgement."""

from __future__ import annotations

from etf_pipeline.storage.rules import Rule

BACKTEST_RULES = (
    Rule(
        "validation.backtest_daily",
        "books_balance",
        "Start, gains, income and interest less costs are the end, to the cent; a day starts with what the last one ended.",
        "error",
        "SELECT strategy, session, end_value FROM (SELECT *, lag(end_value) OVER (PARTITION BY strategy ORDER BY session) "
        "AS before FROM validation.backtest_daily) WHERE abs(start_value + price_gain + income + interest - spread_cost "
        "- impact_cost - haircut - end_value) > greatest(0.01, 1e-9 * end_value) "
        "OR abs(start_value - before) > 1e-6 * end_value",
    ),
    Rule(
        "validation.backtest_trades",
        "traded_where_there_is_a_price",
        "Funds are traded on sessions with an accepted bar, within its range; those that are gone pay out without one.",
        "error",
        "SELECT t.strategy, t.session, t.ticker, t.price FROM validation.backtest_trades t LEFT JOIN market.bars b "
        "USING (ticker, session) WHERE kind <> 'delisted' AND (b.accepted IS NOT TRUE "
        "OR NOT t.price BETWEEN least(b.low, b.open, b.close) * (1 - 1e-9) "
        "AND greatest(b.high, b.open, b.close) * (1 + 1e-9))",
    ),
    Rule(
        "validation.backtest_holdings",
        "nothing_borrowed",
        "No fund is sold short, and all of them are worth no more than the account.",
        "error",
        "SELECT strategy, session, sum(weight) AS whole FROM validation.backtest_holdings GROUP BY ALL "
        "HAVING min(units) < 0 OR whole > 1 + 1e-6",
    ),
    Rule(
        "validation.significance",
        "trials_make_it_no_surer",
        "With the trials counted, no Sharpe ratio is surer than without.",
        "error",
        "SELECT strategy, against, year FROM validation.significance WHERE deflated_sharpe > probabilistic_sharpe + 1e-9 "
        "OR NOT coalesce(deflated_sharpe, 0) BETWEEN 0 AND 1",
    ),
    Rule(
        "validation.trial_returns",
        "of_a_trial_in_the_ledger",
        "Every return belongs to a trial in the ledger.",
        "error",
        "SELECT DISTINCT trial_id FROM validation.trial_returns "
        "WHERE trial_id NOT IN (SELECT trial_id FROM validation.trials)",
    ),
)
