"""What a downloaded file can vouch for: which last bars may still change, and up to which session.

A download stops somewhere, perhaps in the middle of a session, and the file does not say when. Where
many tickers stop on one session, that is the download's edge: their last bar may be partial, and nothing
is known of them afterwards. A file put together from several downloads has several edges. A ticker that
stops alone on another session stopped by itself: the download went on to the file's end and found
nothing more of it, its last bar is final and its later sessions are known to be empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from etf_pipeline.core.market.calendar import Market, last_final_session, timezone_name

EDGE_TICKERS = 5
EDGE_SHARE = 0.02


@dataclass(frozen=True)
class Vouched:
    """What a file says about each of its tickers.

    Attributes
    ----------
    start, end : (K,) datetime64[D], the sessions for which the ticker's bars are all there is.
    last : (K,) datetime64[D], its last bar; NaT without bars.
    on_edge : (K,) bool, the last bar is on a download edge.
    """

    start: np.ndarray
    end: np.ndarray
    last: np.ndarray
    on_edge: np.ndarray


def download_edges(last: np.ndarray) -> np.ndarray:
    """Sessions on which the download of some tickers stopped.

    Parameters
    ----------
    last : (K,) datetime64[D], last bar of each ticker, NaT without.

    Returns
    -------
    Sorted datetime64[D]: every session on which at least five tickers and 2 % of them end, and the
    file's last.
    """
    known = last[~np.isnat(last)]
    if not len(known):
        return known
    session, ending = np.unique(known, return_counts=True)
    edge = ending >= max(EDGE_TICKERS, EDGE_SHARE * len(known))
    edge[-1] = True
    return session[edge]


def vouch(code: np.ndarray, session: np.ndarray, tickers: int) -> Vouched:
    """What one file vouches for.

    Parameters
    ----------
    code, session : (n,) ticker index and datetime64[D] of every bar of the file, in any order.
    tickers : how many tickers the file has.
    """
    last = np.full(tickers, np.datetime64("NaT"), dtype="datetime64[D]")
    if not len(session):
        return Vouched(last, last, last, np.zeros(tickers, dtype=bool))
    np.fmax.at(last, code, session)
    on_edge = np.isin(last, download_edges(last))
    start = np.full(tickers, session.min())
    end = np.where(on_edge, last, session.max())
    return Vouched(start, end, last, on_edge)


def last_closed_day(market: Market, known_at: datetime) -> np.datetime64:
    """The last day whose trading, if any, was over and settled at ``known_at`` (time-zone aware)."""
    yesterday = known_at.astimezone(ZoneInfo(timezone_name(market))).date() - timedelta(days=1)
    return max(last_final_session(market, known_at), np.datetime64(yesterday, "D"))
