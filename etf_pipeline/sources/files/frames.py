"""A pool's rows as the frames of a fetch."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from etf_pipeline.sources.base import ACTION_COLUMNS, BAR_COLUMNS, COVERAGE_COLUMNS
from etf_pipeline.sources.files.pool import Pool

DAY_UNIT = "datetime64[us]"
PRICE_FIELDS = ("open", "high", "low", "close", "adj_close", "volume")
NEUTRAL = {"dividend": (0.0,), "capital_gain": (0.0,), "split": (0.0, 1.0)}


def rows_of(pool: Pool, chosen: np.ndarray, start: date | None, end: date | None) -> np.ndarray:
    """(n,) bool: rows of the tickers ``chosen`` (indices) in ``[start, end]``."""
    wanted = np.zeros(len(pool.names), dtype=bool)
    wanted[chosen] = True
    rows = wanted[pool.code]
    if start is not None:
        rows &= pool.session >= np.datetime64(start, "D")
    if end is not None:
        rows &= pool.session <= np.datetime64(end, "D")
    return rows


def bars_frame(pool: Pool, rows: np.ndarray, *, closed: np.datetime64, edges_are_final: bool) -> pd.DataFrame:
    """BAR_COLUMNS of the bars among ``rows``.

    Parameters
    ----------
    closed : the last day whose trading was over when the file was downloaded.
    edges_are_final : the download time is known, so ``closed`` says all there is to say.
    """
    chosen = np.flatnonzero(rows & pool.is_bar)
    final = pool.session[chosen] <= closed
    if not edges_are_final:
        final &= ~pool.on_edge[chosen]
    nothing = np.full(len(chosen), np.nan)
    columns = {
        "ticker": _names(pool, pool.code[chosen]),
        "session": pool.session[chosen].astype(DAY_UNIT),
        **{f: pool.fields[f][chosen] if f in pool.fields else nothing for f in PRICE_FIELDS},
        "is_final": final,
    }
    return pd.DataFrame(columns)[BAR_COLUMNS]


def actions_frame(pool: Pool, rows: np.ndarray) -> pd.DataFrame:
    """ACTION_COLUMNS among ``rows``, of rows without a close too.

    Zero is no action, and one is no split. A row given twice states its action once.
    """
    parts = []
    for kind, neutral in NEUTRAL.items():
        if kind in pool.fields:
            value = pool.fields[kind]
            acts = np.flatnonzero(rows & ~np.isnan(value) & ~np.isin(value, neutral))
            parts.append((acts, np.full(len(acts), kind, dtype=object), value[acts]))
    at = np.concatenate([part[0] for part in parts]) if parts else np.array([], dtype=np.int64)
    frame = pd.DataFrame(
        {
            "ticker": _names(pool, pool.code[at]),
            "ex_date": pool.session[at].astype(DAY_UNIT),
            "kind": pd.array(np.concatenate([p[1] for p in parts]) if parts else [], dtype="str"),
            "value": np.concatenate([p[2] for p in parts]) if parts else np.array([], dtype=float),
        }
    )
    frame = frame.drop_duplicates().sort_values(["ticker", "ex_date"], kind="stable", ignore_index=True)
    return frame[ACTION_COLUMNS]


def coverage_frame(
    pool: Pool, rows: np.ndarray, chosen: np.ndarray, start: date | None, end: date | None
) -> pd.DataFrame:
    """COVERAGE_COLUMNS of the tickers ``chosen``: the window as far as the file vouches for it."""
    k = len(pool.names)
    bars = rows & pool.is_bar
    counts = np.bincount(pool.code[bars], minlength=k)
    empty = np.bincount(pool.code[rows & ~pool.is_bar], minlength=k)
    first, last = (np.full(k, np.datetime64("NaT"), dtype="datetime64[D]") for _ in range(2))
    np.fmin.at(first, pool.code[bars], pool.session[bars])
    np.fmax.at(last, pool.code[bars], pool.session[bars])
    low, high = pool.vouched_start.copy(), pool.vouched_end.copy()
    if start is not None:
        low = np.maximum(low, np.datetime64(start, "D"))
    if end is not None:
        high = np.minimum(high, np.datetime64(end, "D"))
    outside = ~(low <= high)
    low[outside] = high[outside] = np.datetime64("NaT")
    messages = []
    for i in chosen:
        parts = []
        if empty[i]:
            parts.append(f"rows without a close left out: {empty[i]}")
        if outside[i]:
            parts.append(
                "no bars in the file"
                if np.isnat(pool.vouched_end[i])
                else f"the file vouches only for {pool.vouched_start[i]} to {pool.vouched_end[i]}"
            )
        messages.append("; ".join(parts))
    return pd.DataFrame(
        {
            "ticker": _names(pool, chosen),
            "status": pd.array(np.where(counts[chosen] > 0, "ok", "empty").astype(object), dtype="str"),
            "requested_start": low[chosen].astype(DAY_UNIT),
            "requested_end": high[chosen].astype(DAY_UNIT),
            "first_session": first[chosen].astype(DAY_UNIT),
            "last_session": last[chosen].astype(DAY_UNIT),
            "rows": counts[chosen].astype(np.int64),
            "message": pd.array(messages, dtype="str"),
        }
    )[COVERAGE_COLUMNS]


def unknown_coverage(tickers: list[str], where: str) -> pd.DataFrame:
    """COVERAGE_COLUMNS of tickers that no file has."""
    n = len(tickers)
    nothing = np.full(n, np.datetime64("NaT"), dtype=DAY_UNIT)
    return pd.DataFrame(
        {
            "ticker": pd.array(tickers, dtype="str"),
            "status": pd.array(["no_such_symbol"] * n, dtype="str"),
            "requested_start": nothing,
            "requested_end": nothing,
            "first_session": nothing,
            "last_session": nothing,
            "rows": np.zeros(n, dtype=np.int64),
            "message": pd.array([f"not in {where}"] * n, dtype="str"),
        }
    )[COVERAGE_COLUMNS]


def _names(pool: Pool, code: np.ndarray) -> pd.api.extensions.ExtensionArray:
    return pd.array(pool.names, dtype="str").take(code)
