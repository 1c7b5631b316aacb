-- One fund's rank, score and risk at each month's end.
-- Parameter: ticker.
SELECT session, rank, ranked_funds, round(final_score, 1) AS score, exclusion_reason,
       round(100 * volatility_annualised, 1) AS volatility_pct, round(b.beta, 2) AS beta
FROM scoring.composite_ranking r
LEFT JOIN risk.volatility v USING (ticker, session)
LEFT JOIN risk.beta b USING (ticker, session)
WHERE ticker = $ticker AND session IN (
    SELECT max(session) FROM market.sessions GROUP BY year(session), month(session))
ORDER BY session DESC;
