-- What it costs to trade each member now: the estimated spread with its 95 % interval, price impact, silent sessions; dearest first.
-- A spread whose interval begins at zero cannot be told from none. Buying alone costs half of it.
SELECT u.session, u.ticker, l.name, round(10000 * q.spread, 1) AS spread_bps,
       round(10000 * q.spread_lower, 1) AS lower_bps, round(10000 * q.spread_upper, 1) AS upper_bps,
       q.spread_lower > 0 AS measurable,
       round(10000 * q.corwin_schultz_signed, 1) AS corwin_schultz_bps,
       round(10000 * q.abdi_ranaldo_signed, 1) AS abdi_ranaldo_bps,
       round(100 * q.amihud_per_million, 3) AS move_for_a_million_pct, q.zero_volume_sessions, q.known_sessions,
       round(q.median_traded_value) AS median_traded_value
FROM market.universe u
JOIN risk.liquidity q USING (ticker, session)
LEFT JOIN raw.listings_as_of(TIMESTAMP '9999-12-31') l USING (ticker)
WHERE u.is_member AND u.session = (SELECT max(session) FROM latest_risk)
ORDER BY q.spread DESC NULLS LAST, u.ticker;
