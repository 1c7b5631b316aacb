-- What the quality stage refused or repaired in the last year of data, newest first.
SELECT detected_on, ticker, session_start, session_end, rule, severity, action, evidence
FROM market.quality_events
WHERE severity <> 'info' AND detected_on > (SELECT max(session) FROM market.sessions) - INTERVAL 365 DAY
ORDER BY detected_on DESC, ticker, rule;
