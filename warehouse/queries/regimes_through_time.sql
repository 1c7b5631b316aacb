-- The market's regime at each month's end, how many of the month's sessions were in stress, and what stress meant.
SELECT max(session) AS session, arg_max(regime, session) AS regime,
       round(arg_max(calm_probability, session), 3) AS calm, round(arg_max(normal_probability, session), 3) AS normal,
       round(arg_max(stress_probability, session), 3) AS stress,
       count(*) FILTER (regime = 'stress') AS sessions_in_stress, count(*) AS sessions,
       round(100 * arg_max(calm_volatility_annualised, session), 1) AS calm_volatility_pct,
       round(100 * arg_max(normal_volatility_annualised, session), 1) AS normal_volatility_pct,
       round(100 * arg_max(stress_volatility_annualised, session), 1) AS stress_volatility_pct
FROM market_regime
GROUP BY year(session), month(session)
ORDER BY session DESC;
