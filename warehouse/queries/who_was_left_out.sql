-- Funds left out of the newest ranking, by reason.
SELECT exclusion_reason, count(*) AS funds, string_agg(ticker, ', ' ORDER BY ticker) AS tickers
FROM latest_ranking
WHERE exclusion_reason IS NOT NULL
GROUP BY exclusion_reason
ORDER BY funds DESC, exclusion_reason;
