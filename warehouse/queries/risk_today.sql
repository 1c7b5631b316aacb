-- What each member of the newest universe risks: category, volatility by horizon, tails, drawdowns, beta; riskiest first.
SELECT session, ticker, name, risk_category, decided_by, round(100 * volatility_1_annualised, 1) AS volatility_1_pct,
       round(100 * volatility_annualised, 1) AS volatility_21_pct, volatility_model,
       round(100 * cvar_95, 2) AS cvar_95_pct, round(100 * cvar_99, 2) AS cvar_99_pct,
       round(100 * drawdown, 1) AS drawdown_pct, round(100 * maximum_drawdown_756, 1) AS deepest_in_756_pct,
       round(beta, 2) AS beta, regime, simulated
FROM latest_risk
WHERE is_member
ORDER BY volatility_annualised DESC NULLS LAST, ticker;
