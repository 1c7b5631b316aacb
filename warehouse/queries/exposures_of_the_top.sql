-- What the ten best of the newest ranking load on: by the model of their class, or the house's where that ends earlier.
-- `told_from_none`: the loading is two errors or more from none. `to_date` is over the fund's whole history.
SELECT r.rank, e.ticker, e.name, e.model, e.session AS as_of, e.factor, round(e.loading, 3) AS loading,
       round(e.t_value, 1) AS t_value, abs(e.t_value) >= 2 AS told_from_none, round(e.shrunk_loading, 3) AS shrunk_loading,
       round(e.loading_to_date, 3) AS to_date, round(e.r_squared, 2) AS r_squared, e.main_model,
       e.main_model_session AS main_model_until, e.simulated
FROM latest_ranking r
JOIN latest_exposures e USING (ticker)
WHERE r.rank <= 10
ORDER BY r.rank, abs(e.t_value) DESC NULLS LAST, e.factor;
