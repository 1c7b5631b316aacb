-- What each complete year's return of the strategy came from, by the house's factors; the parts add up to the year's return.
-- Exposures are those of the close before each session; specific is what the funds did beyond them.
SELECT year, part, round(100 * contribution, 2) AS contribution_pct,
       round(100 * sum(contribution) OVER (PARTITION BY year), 2) AS return_pct
FROM attribution.annual_attribution
WHERE strategy = 'top_ranked' AND model = 'house'
ORDER BY year DESC, abs(contribution) DESC, part;
