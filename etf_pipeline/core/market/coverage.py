"""What the source saw: its holes and its ends, told apart from funds that do not trade."""

from __future__ import annotations

import numpy as np

from etf_pipeline.core.market.rolling import rolling_sum


def market_traded(accepted: np.ndarray, *, window: int = 20, share: float = 0.5) -> np.ndarray:
    """Sessions on which the source saw the market trade, as against a hole in its data.

    A session counts if at least one fund has a bar, and at least ``share`` of the average number of funds
    that had one over the ``window`` sessions before it. When a file ends for every fund at once, its last
    sessions are a hole, and no fund is presumed gone for them.

    Parameters
    ----------
    accepted : (S, N) bool.

    Returns
    -------
    (S,) bool.
    """
    bars = accepted.sum(axis=1, dtype=np.int64)
    before = np.concatenate([[0], rolling_sum(bars, window)[:-1]])[: len(bars)]
    length = np.minimum(np.arange(len(bars)), window)
    return (bars > 0) & (bars * length >= share * before)


def source_ended(
    accepted: np.ndarray, *, wait: int = 5, share: float = 0.2, min_funds: int = 5
) -> np.ndarray:
    """Funds that fell silent together with so many others that it was the source that stopped.

    Funds die one by one, or a few of one issuer; a vendor's file ends for a whole group on one day. The
    source ended on session L if, as far as t shows, at least ``min_funds`` funds, and at least ``share`` of
    those with a bar on L, have been silent ever since. A fund is marked on t if it has been silent since L,
    or since up to ``wait`` sessions before (a thin fund need not have traded on the very last day).

    Parameters
    ----------
    accepted : (S, N) bool.
    wait : sessions after L before anything is said: shorter silences are holes.

    Returns
    -------
    (S, N) bool, False on a session with a bar and before the first one.
    """
    length, funds = accepted.shape
    ended = np.zeros((length, funds), dtype=bool)
    bars = accepted.sum(axis=1)
    silent_since = np.zeros(length, dtype=np.int64)  # funds whose last bar so far is on this session
    last = np.full(funds, -1)
    for t in range(length):
        now = accepted[t]
        np.subtract.at(silent_since, last[now & (last >= 0)], 1)
        last[now] = t
        silent_since[t] = bars[t]
        quiet = np.flatnonzero((last >= 0) & (last < t - wait))
        for later in range(wait + 1):
            end = last[quiet] + later
            group = silent_since[end]
            ended[t, quiet] |= (end < t - wait) & (group >= min_funds) & (group >= share * bars[end])
    return ended
