-- Which model makes each fund's volatility forecast now, since when, and what its last fit says.
WITH newest AS (SELECT * FROM risk.volatility WHERE session = (SELECT max(session) FROM latest_risk)),
other AS (
    SELECT v.ticker, max(v.session) AS last_other
    FROM risk.volatility v JOIN newest n USING (ticker)
    WHERE v.model <> n.model AND v.session <= n.session GROUP BY v.ticker
),
since AS (
    SELECT v.ticker, min(v.session) AS serves_since
    FROM risk.volatility v LEFT JOIN other o USING (ticker)
    WHERE o.last_other IS NULL OR v.session > o.last_other GROUP BY v.ticker
)
SELECT n.session, n.ticker, n.model, s.serves_since, round(100 * n.volatility_annualised, 1) AS volatility_21_pct,
       f.session AS fitted_on, f.observations AS returns, round(f.persistence, 3) AS persistence,
       round(f.nu, 1) AS degrees_of_freedom, f.converged
FROM newest n
JOIN since s USING (ticker)
ASOF LEFT JOIN risk.garch_fits f ON n.ticker = f.ticker AND n.model = f.model AND n.session >= f.session
ORDER BY n.model, n.ticker;
