-- Sessions of the last two years of data on which a member lost more than its value at risk, newest first.
SELECT e.session, e.ticker, l.name, e.level, round(100 * e.total_return, 2) AS return_pct,
       round(100 * e.value_at_risk, 2) AS value_at_risk_pct, round(100 * e.expected_shortfall, 2) AS expected_shortfall_pct,
       round(e.total_return / e.expected_shortfall, 2) AS loss_over_expected_shortfall, e.sessions_spanned, g.regime
FROM validation.value_at_risk_exceptions e
JOIN market.universe u ON u.ticker = e.ticker AND u.session = e.session AND u.is_member
LEFT JOIN raw.listings_as_of(TIMESTAMP '9999-12-31') l ON l.ticker = e.ticker
LEFT JOIN market_regime g ON g.session = e.session
WHERE e.session > (SELECT max(session) FROM market.sessions) - INTERVAL 730 DAY
ORDER BY e.session DESC, e.total_return, e.level;
