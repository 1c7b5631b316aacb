"""Sessions that end a month or a quarter, known on the day itself."""

from __future__ import annotations

import numpy as np

from etf_pipeline.core.market.calendar import Market, next_session
from etf_pipeline.core.validation.backtest import every


def period_ends(sessions: np.ndarray, market: Market, months: int = 1) -> np.ndarray:
    """Rows of the last sessions of every ``months``-th calendar month, by the exchange's calendar.

    Parameters
    ----------
    sessions : (S,) datetime64, ascending, sessions of the market.
    market : whose calendar says which session follows the last: on the evening of a month's end that is known, and a
        row of that evening must not wait for the next session to be held.
    months : 1 for month-ends; 3 for those of March, June, September and December.

    Returns
    -------
    (M,) int64, ascending; empty without sessions.
    """
    days = np.asarray(sessions, dtype="datetime64[D]")
    if not len(days):
        return np.zeros(0, dtype=np.int64)
    return every(np.append(days, next_session(market, days[-1])), months)
