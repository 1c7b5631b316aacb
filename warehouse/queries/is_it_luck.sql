-- Has the ranking earned more than its yardsticks, and is that luck? One row a yardstick, at the newest complete year.
-- etf sql --file warehouse/queries/is_it_luck.sql
SELECT s.year, s.against, b.annual_return, b.excess_annual_return AS over_market_fund, s.sharpe AS sharpe_over_it,
       s.sharpe_standard_error AS standard_error, s.trials, s.effective_trials, s.expected_maximum_sharpe AS best_by_luck,
       s.deflated_sharpe, o.spa_p_value, o.probability_of_overfitting, s.years, s.years_for_power
FROM validation.significance s
JOIN validation.overfitting o USING (year)
JOIN validation.backtest_summary b ON b.strategy = s.strategy AND b.year = s.year AND b.scope = 'to_date'
WHERE s.strategy = 'top_ranked' AND s.year = (SELECT max(year) FROM validation.significance)
ORDER BY s.against;
