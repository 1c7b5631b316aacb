-- One fund's risk at each month's end: category, volatility forecast and its model, expected shortfall, drawdown, beta.
-- Parameter: ticker.
SELECT u.session, c.category, c.raw_category, c.decided_by, round(100 * v.volatility_annualised, 1) AS volatility_pct,
       v.model, round(100 * t.cvar_95, 2) AS cvar_95_pct, round(100 * d.drawdown, 1) AS drawdown_pct,
       round(100 * d.maximum_drawdown_756, 1) AS deepest_in_756_pct, round(b.beta, 2) AS beta,
       round(b.kalman_beta, 2) AS kalman_beta, round(10000 * q.spread, 1) AS spread_bps
FROM market.universe u
LEFT JOIN risk.risk_category c USING (ticker, session)
LEFT JOIN risk.volatility v USING (ticker, session)
LEFT JOIN risk.tail t USING (ticker, session)
LEFT JOIN risk.drawdown d USING (ticker, session)
LEFT JOIN risk.beta b USING (ticker, session)
LEFT JOIN risk.liquidity q USING (ticker, session)
WHERE u.ticker = $ticker AND u.session IN (
    SELECT max(session) FROM market.sessions GROUP BY year(session), month(session))
ORDER BY u.session DESC;
