"""Between wide panels and long frames: one row a ticker and session, ordered by ticker, then session."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from etf_pipeline.core.market.panel import scatter


def to_long(
    sessions: np.ndarray, tickers: np.ndarray, where: np.ndarray, **columns: np.ndarray
) -> pd.DataFrame:
    """The cells of wide panels that are True in ``where``, as rows.

    Parameters
    ----------
    sessions : (S,) datetime64.
    tickers : (N,) str.
    where : (S, N) bool.
    columns : arrays that broadcast to (S, N): a panel, (S, 1) for a value a session, (N,) for a value a
        ticker. Their types are kept.

    Returns
    -------
    Columns ticker (str), session (datetime64[us]) and those given, in the order given; ordered by ticker
    as in ``tickers``, then session.

    Raises
    ------
    ValueError : a column that does not fit, by name.
    """
    column, row = np.nonzero(where.T)
    data: dict[str, object] = {
        "ticker": pd.array(np.asarray(tickers, dtype=object), dtype="str").take(column),
        "session": np.asarray(sessions).astype("datetime64[us]")[row],
    }
    for name, values in columns.items():
        try:
            panel = np.broadcast_to(values, where.shape)
        except ValueError:
            raise ValueError(
                f"column {name} of shape {np.shape(values)} does not fit {where.shape}"
            ) from None
        data[name] = panel[row, column]
    return pd.DataFrame(data)


def from_long_column(
    frame: pd.DataFrame, column: str, sessions: np.ndarray, tickers: np.ndarray
) -> np.ndarray:
    """One column of a long frame as a panel, (S, N) float64; see ``from_long_columns``."""
    return from_long_columns(frame, (column,), sessions, tickers)[column]


def from_long_columns(
    frame: pd.DataFrame, columns: Sequence[str], sessions: np.ndarray, tickers: np.ndarray
) -> dict[str, np.ndarray]:
    """Columns of a long frame as panels.

    Parameters
    ----------
    frame : ticker, session and ``columns`` (numeric), one row a ticker and session, in any order.
    sessions : (S,) datetime64, increasing.
    tickers : (N,) str.

    Returns
    -------
    column -> (S, N) float64, NaN where the frame has no row.

    Raises
    ------
    ValueError : a row on a session or ticker that the panel does not have; sessions that do not increase.
    """
    days = np.asarray(sessions, dtype="datetime64[D]")
    row = _row_of(np.asarray(frame["session"]).astype("datetime64[D]"), days)
    names = pd.Index(pd.array(np.asarray(tickers, dtype=object), dtype="str"))
    codes, told = pd.factorize(frame["ticker"])
    # The last place stands for code -1, a row without ticker.
    which = np.append(names.get_indexer(pd.Index(told)), -1)[codes]
    outside = (row < 0) | (which < 0)
    if outside.any():
        first = frame.iloc[int(np.argmax(outside))]
        raise ValueError(
            f"{int(outside.sum())} rows lie outside the panel, first {first['ticker']} {first['session']}"
        )
    shape = (len(days), len(names))
    return {name: scatter(row, which, frame[name].to_numpy(dtype=float), shape) for name in columns}


def _row_of(session: np.ndarray, days: np.ndarray) -> np.ndarray:
    """(R,) int64, place of each session among ``days``, increasing; -1 where it is none of them."""
    if not (np.diff(days) > np.timedelta64(0, "D")).all():  # nor is NaT
        raise ValueError("the sessions of a panel must increase")
    if not len(days):
        return np.full(len(session), -1, dtype=np.int64)
    place = np.full(int((days[-1] - days[0]).astype(np.int64)) + 2, -1, dtype=np.int64)  # the last: outside
    place[(days - days[0]).astype(np.int64)] = np.arange(len(days))
    since = (session - days[0]).astype(np.int64)  # NaT lies far outside
    return np.asarray(place[np.where((since >= 0) & (since < len(place)), since, -1)])
