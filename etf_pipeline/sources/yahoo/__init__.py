"""Yahoo Finance through ``yfinance``: raw daily prices with their dividends, splits and capital gains.

* ``limiter``: how fast we ask, and how long we keep quiet after a refusal.
* ``session``: the one place every HTTP request passes, where Yahoo's status codes are observed.
* ``chart``: what a chart response says, read without interpretation.
* ``client``: one ticker, asked until there is an answer or the attempts are used up.
* ``basis``: Yahoo's split-adjusted prices turned back into the prices paid on the day.
* ``source``: batches, coverage, reference series, listings.
"""

from __future__ import annotations

from etf_pipeline.sources.yahoo.source import YahooSource

__all__ = ["YahooSource"]
