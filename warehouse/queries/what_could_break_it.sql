-- The worst scenarios for the ten best of the newest ranking, worst first: what each would return, and how sure that is.
-- `realised`: the fund lived through it, and this is what its own prices did; else it is from exposures, with the interval.
SELECT r.rank, s.ticker, s.session AS as_of, s.kind, s.scenario, round(100 * s.served_return, 1) AS return_pct,
       s.is_realised AS realised, round(100 * s.total_return, 1) AS from_exposures_pct,
       round(100 * s.low_95, 1) AS low_95_pct, round(100 * s.high_95, 1) AS high_95_pct, s.simulated
FROM latest_ranking r
JOIN latest_stress s USING (ticker)
WHERE r.rank <= 10 AND s.others = 'conditional'
QUALIFY row_number() OVER (PARTITION BY s.ticker ORDER BY s.served_return, s.scenario) <= 5
ORDER BY s.served_return, r.rank;
