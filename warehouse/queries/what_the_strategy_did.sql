-- Every trade of the strategy on one day of orders, with what it cost.
-- etf sql --file warehouse/queries/what_the_strategy_did.sql --param session=2025-10-01
SELECT t.ticker, t.kind, t.units, t.price, t.value, t.spread_cost, t.impact_cost, h.weight AS weight_afterwards
FROM validation.backtest_trades t
LEFT JOIN validation.backtest_holdings h USING (strategy, session, ticker)
WHERE t.strategy = 'top_ranked' AND t.session = CAST($session AS DATE)
ORDER BY abs(t.value) DESC;
