-- Bars a vendor has changed since we first saw them: which funds, how often, by how much, since when.
SELECT ticker, field, count(*) AS bars, min(session) AS first_bar, max(session) AS last_bar,
       round(100 * median(abs(relative_change)), 4) AS median_change_pct,
       round(100 * max(abs(relative_change)), 4) AS largest_change_pct, max(known_since) AS known_since
FROM raw.restatements
GROUP BY ticker, field
ORDER BY bars DESC, ticker, field;
