-- From one rank back to the raw bars it rests on, with when each was learned.
-- The published record of the session if there is one, otherwise the newest research.
-- Parameters: ticker, session (YYYY-MM-DD).
WITH the_rank AS (
    SELECT 'published' AS said_by, ticker, session, rank, final_score FROM production.published_ranking
    WHERE ticker = $ticker AND session = $session::DATE
    UNION ALL
    SELECT 'research', ticker, session, rank, final_score FROM scoring.composite_ranking
    WHERE ticker = $ticker AND session = $session::DATE
      AND NOT EXISTS (SELECT 1 FROM production.published_ranking WHERE session = $session::DATE)
),
written AS (
    SELECT coalesce(
        (SELECT min(materialization_id) FROM meta.materializations
         WHERE asset = 'production.published_ranking' AND partition = $session),
        (SELECT max(materialization_id) FROM meta.materializations WHERE asset = 'scoring.composite_ranking')
    ) AS id
),
raw_load AS (
    SELECT max(depth) AS steps_back, max(finished) FILTER (asset LIKE 'raw.%') AS read_at,
           max_by(run_id, depth) AS run_id, max_by(code_version, depth) AS code_version,
           max_by(settings_hash, depth) AS settings_hash
    FROM meta.ancestry((SELECT id FROM written))
),
-- What was stored when the raw tier was read, the newest version of each bar.
bars AS (
    SELECT v.*, f.source, f.detail, f.stored_at
    FROM raw.bars v JOIN raw.fetches f USING (fetch_id)
    WHERE v.ticker = $ticker AND v.session <= $session::DATE AND f.stored_at <= (SELECT read_at FROM raw_load)
    QUALIFY row_number() OVER (PARTITION BY v.ticker, v.session, v.occurrence ORDER BY v.known_at DESC) = 1
)
SELECT r.said_by, r.ticker, r.session AS ranked_session, r.rank, round(r.final_score, 4) AS score,
       b.session AS bar_session, b.close, b.volume, b.known_at, b.stored_at, b.source, b.detail, b.fetch_id,
       l.steps_back, l.run_id, l.code_version, l.settings_hash
FROM the_rank r
CROSS JOIN raw_load l
JOIN bars b ON b.ticker = r.ticker AND NOT b.withdrawn
ORDER BY b.session DESC;
