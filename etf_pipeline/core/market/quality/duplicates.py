"""Rows that name the same fund and session twice."""

from __future__ import annotations

import numpy as np
import pandas as pd

from etf_pipeline.core.market.quality.events import EventLog

VALUES = ("open", "high", "low", "close", "adj_close", "volume")


def find_duplicates(bars: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave at most one bar for each ticker and session.

    Rows that say the same keep one of them. Rows that contradict each other are all set aside: nothing in
    the rows tells which is right, the order of a file least of all, and a missing bar costs no return
    (the next one spans it) while a wrong one costs two. Rows alike in close and volume keep the first:
    they agree on the observation and differ only in the day's range.

    Parameters
    ----------
    bars : columns ticker, session, open, high, low, close, adj_close, volume, is_final.

    Returns
    -------
    kept : ``bars`` without the surplus rows, in their order, index reset.
    events : EVENT_COLUMNS; ``duplicate`` dropped (info) for agreeing rows, ``conflicting_duplicate``
        quarantined (error) for contradicting ones.
    """
    log = EventLog()
    twice = bars.duplicated(["ticker", "session"], keep=False).to_numpy()
    if not twice.any():
        return bars.reset_index(drop=True), log.frame()
    keep = ~twice
    suspects = bars.loc[twice].assign(row=np.flatnonzero(twice))
    for _, rows in suspects.groupby(["ticker", "session"], sort=True):
        ticker = str(rows["ticker"].iloc[0])
        day = rows["session"].to_numpy(dtype="datetime64[D]")[0]
        same = len(rows[["close", "volume"]].drop_duplicates()) == 1
        if same:
            keep[rows["row"].to_numpy()[0]] = True
            alike = len(rows[[name for name in VALUES if name in rows]].drop_duplicates()) == 1
            detail = "identical rows" if alike else "rows with one close and volume"
            log.add(ticker, day, day, day, "duplicate", "info", "dropped", f"{len(rows)} {detail}; one kept")
        else:
            low, high = rows["close"].min(), rows["close"].max()
            log.add(ticker, day, day, day, "conflicting_duplicate", "error", "quarantined",
                    f"{len(rows)} rows with closes from {low:.6g} to {high:.6g}, volumes from "
                    f"{rows['volume'].min():.0f} to {rows['volume'].max():.0f}; none kept")  # fmt: skip
    return bars.loc[keep].reset_index(drop=True), log.frame()
