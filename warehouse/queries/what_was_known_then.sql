-- A fund's bars as they were known at a moment, beside what is known now.
-- Parameters: ticker, moment (YYYY-MM-DD HH:MM, UTC).
SELECT coalesce(t.session, n.session) AS session, t.close AS close_then, n.close AS close_now,
       t.adj_close AS adj_close_then, n.adj_close AS adj_close_now, t.known_at AS known_at_then
FROM (SELECT * FROM raw.bars_as_of($moment::TIMESTAMP) WHERE ticker = $ticker) t
FULL JOIN (SELECT * FROM raw.bars_latest WHERE ticker = $ticker) n USING (ticker, session, occurrence)
ORDER BY session DESC;
