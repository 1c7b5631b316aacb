-- The best twenty funds of the newest session, with what their scores are made of.
SELECT session, rank, ticker, name, round(final_score, 1) AS score, round(momentum_score, 1) AS momentum,
       round(risk_score, 1) AS risk, round(volume_score, 1) AS volume, round(100 * momentum_12_1, 1) AS return_12_1_pct,
       round(100 * volatility_annualised, 1) AS volatility_pct, round(beta, 2) AS beta, simulated
FROM latest_ranking
WHERE rank <= 20
ORDER BY rank;
