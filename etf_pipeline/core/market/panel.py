"""Wide panels of bars: (sessions, tickers) float64 arrays, NaN for "no observation"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

FIELDS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class BarPanel:
    """Bars and actions of a market on its own sessions.

    Attributes
    ----------
    sessions : (S,) datetime64[D], strictly increasing exchange sessions.
    tickers : (N,) str, sorted.
    open, high, low, close, volume : (S, N) float64; NaN where there is no bar (``close`` NaN = no bar).
    adj_close : (S, N) float64, the vendor's adjusted close, NaN where none.
    split : (S, N) float64, units after for one unit before with that ex-date; 1 where none.
    distribution : (S, N) float64, cash a unit with that ex-date; 0 where none.
    is_final : (S, N) bool, False for a bar that may still change.
    """

    sessions: np.ndarray
    tickers: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    adj_close: np.ndarray
    split: np.ndarray
    distribution: np.ndarray
    is_final: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(sessions, tickers)."""
        return self.close.shape


def scatter(
    row: np.ndarray, column: np.ndarray, values: np.ndarray, shape: tuple[int, int], fill: float = np.nan
) -> np.ndarray:
    """A (S, N) float64 panel with ``values`` at (row, column) and ``fill`` elsewhere.

    Later entries win where a cell is named twice.
    """
    panel = np.full(shape, fill)
    panel[row, column] = values
    return panel


def from_long(
    bars: pd.DataFrame, actions: pd.DataFrame, sessions: np.ndarray, tickers: np.ndarray | None = None
) -> tuple[BarPanel, pd.DataFrame]:
    """Pivot long bars and actions onto the exchange's sessions.

    Parameters
    ----------
    bars : columns ticker, session, open, high, low, close, adj_close, volume, is_final; one row a
        ticker and session.
    actions : columns ticker, ex_date, kind (dividend, capital_gain, split), value. An action whose
        ex-date is not a session takes effect at the next session.
    sessions : (S,) datetime64, the exchange's sessions, strictly increasing.
    tickers : (N,) the columns wanted; by default those of ``bars``, sorted.

    Returns
    -------
    panel : BarPanel on ``sessions``.
    off_session : the rows of ``bars`` that fall on no session (closed days), for the quality stage.

    Notes
    -----
    Actions on tickers without bars are ignored; several distributions on one ex-date add up, several
    splits multiply.
    """
    sessions = np.asarray(sessions, dtype="datetime64[D]")
    names = np.unique(np.asarray(bars["ticker"], dtype=object).astype(str)) if tickers is None else tickers
    names = np.asarray(names, dtype=str)
    shape = (len(sessions), len(names))
    day = np.asarray(bars["session"], dtype="datetime64[D]")
    row = np.searchsorted(sessions, day)
    on = (
        (row < len(sessions)) & (sessions[np.minimum(row, len(sessions) - 1)] == day)
        if len(sessions)
        else (np.zeros(len(day), dtype=bool))
    )
    column = pd.Index(names).get_indexer(np.asarray(bars["ticker"], dtype=object))
    keep = on & (column >= 0)
    r, c = row[keep], column[keep]
    fields = {f: scatter(r, c, bars[f].to_numpy(dtype=float)[keep], shape) for f in (*FIELDS, "adj_close")}
    final = np.zeros(shape, dtype=bool)
    final[r, c] = bars["is_final"].to_numpy(dtype=bool)[keep]
    split, distribution = np.ones(shape), np.zeros(shape)
    if len(actions):
        a_row = np.searchsorted(sessions, np.asarray(actions["ex_date"], dtype="datetime64[D]"))
        a_col = pd.Index(names).get_indexer(np.asarray(actions["ticker"], dtype=object))
        value = actions["value"].to_numpy(dtype=float)
        inside = (a_row < len(sessions)) & (a_col >= 0)
        is_split = (actions["kind"] == "split").to_numpy()
        s = inside & is_split
        np.multiply.at(split, (a_row[s], a_col[s]), value[s])
        d = inside & ~is_split
        np.add.at(distribution, (a_row[d], a_col[d]), value[d])
    panel = BarPanel(
        sessions=sessions, tickers=names, split=split, distribution=distribution, is_final=final, **fields
    )
    return panel, bars.loc[~on & (column >= 0)].reset_index(drop=True)
