-- Funds that could be ranked at each year's end, and those seen by then that were gone.
SELECT session, count(*) FILTER (is_member) AS members, count(*) AS seen_so_far,
       count(*) FILTER (exclusion_reason IN ('delisted', 'presumed_delisted')) AS gone
FROM market.universe
WHERE session IN (SELECT max(session) FROM market.sessions GROUP BY year(session))
GROUP BY session
ORDER BY session;
