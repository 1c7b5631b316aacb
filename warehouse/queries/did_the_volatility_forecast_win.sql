-- Did the served volatility forecast beat the rolling standard deviation? By asset class, year, horizon and history.
-- Short history: before a fund has a GARCH model, when an EWMA drawn towards its peers serves.
-- Better: smaller QLIKE than of 63 sessions' standard deviation; significant: at 5 %, Diebold-Mariano.
SELECT coalesce(l.asset_class, 'unknown') AS asset_class, t.year, t.horizon, t.history, count(*) AS funds,
       count(*) FILTER (qlike_difference < 0) AS better, count(*) FILTER (qlike_difference < 0 AND qlike_p_value < 0.05)
           AS significantly_better, count(*) FILTER (qlike_difference > 0 AND qlike_p_value < 0.05) AS significantly_worse,
       round(median(-qlike_difference), 4) AS median_qlike_saved
FROM validation.volatility_tests t
LEFT JOIN raw.listings_as_of(TIMESTAMP '9999-12-31') l USING (ticker)
WHERE t.model IN ('served', 'ewma_shrunk') AND t.baseline = 'rolling_63' AND t.scope = 'year' AND t.qlike_difference IS NOT NULL
GROUP BY ALL
ORDER BY t.year DESC, t.horizon, t.history, asset_class;
