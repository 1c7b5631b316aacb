-- Does a random-walk, lagged or other beta leave less of a fund's return unhedged than a static one? To the newest year.
-- A ratio below 1: it hedges better. Significant: at 5 %, Diebold-Mariano.
SELECT h.year AS up_to_year, h.benchmark, h.horizon, h.estimator, count(*) AS funds,
       round(median(h.ratio_to_static), 4) AS median_ratio, count(*) FILTER (h.ratio_to_static < 1) AS better,
       count(*) FILTER (h.statistic < 0 AND h.p_value < 0.05) AS significantly_better,
       count(*) FILTER (h.statistic > 0 AND h.p_value < 0.05) AS significantly_worse
FROM validation.hedging h
WHERE h.scope = 'to_date' AND h.year = (SELECT max(year) FROM validation.hedging) AND h.estimator <> 'static'
GROUP BY ALL
ORDER BY h.benchmark DESC, h.horizon, median_ratio, h.estimator;
