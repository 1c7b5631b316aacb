-- The best twenty funds of the newest session, with what their scores are made of: the four components, weighted, make the raw
-- score; penalties are a percentage of it; the position is the largest single one. Few ranked_funds: the source ends earlier
-- for most funds, and the ranking of a fuller session says more.
SELECT session, rank, ranked_funds, ticker, name, risk_category, round(final_score, 1) AS score,
       round(raw_score, 1) AS raw_score, round(penalty_points, 1) AS penalty_pct, round(momentum_score, 1) AS momentum,
       round(forecast_score, 1) AS forecast, round(risk_score, 1) AS risk, round(volume_score, 1) AS volume,
       round(100 * position_size, 1) AS position_pct, round(100 * momentum_12_1, 1) AS return_12_1_pct,
       round(100 * forecast_21, 2) AS forecast_21_pct, round(100 * volatility_annualised, 1) AS volatility_pct,
       round(beta, 2) AS beta, simulated
FROM latest_ranking
WHERE rank <= 20
ORDER BY rank;
