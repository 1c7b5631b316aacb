-- What became of factor returns after they were first published: by factor and year, how many were revised, and by how much.
-- Sizes are percent a session or a month. `beyond_rounding`: by more than the last digit printed can hide (0.005 percent).
-- `common` factors are built alike in the tables of three and of five factors, and followed from one to the other.
WITH revised AS (
    SELECT region, frequency, construction, factor, year(session) AS year, count(*) AS revised,
           count(*) FILTER (abs(difference) > 0.0000501) AS beyond_rounding,
           count(*) FILTER (newest_value IS NULL) AS withdrawn, avg(abs(difference)) AS mean_absolute,
           max(abs(difference)) AS largest, arg_max(session, abs(difference)) AS largest_on,
           min(first_known_at)::DATE AS first_known, max(newest_known_at)::DATE AS newest_known
    FROM raw.factor_revisions GROUP BY ALL
), told AS (
    SELECT region, frequency, factor, year(session) AS year, count(DISTINCT session) AS told
    FROM raw.factors GROUP BY ALL
)
SELECT r.region, r.frequency, r.construction, r.factor, r.year, t.told, r.revised, r.beyond_rounding, r.withdrawn,
       round(100 * r.mean_absolute, 4) AS mean_absolute_pct, round(100 * r.largest, 4) AS largest_pct, r.largest_on,
       r.first_known, r.newest_known
FROM revised r JOIN told t USING (region, frequency, factor, year)
ORDER BY r.region, r.frequency, r.construction, r.factor, r.year;
