"""Returns from month's end to month's end, for factors that are published by the month."""

from __future__ import annotations

import numpy as np


def monthly_returns(
    total_return: np.ndarray, sessions_spanned: np.ndarray, ends: np.ndarray, *, max_stale_sessions: int = 5
) -> np.ndarray:
    """Compounded return of each fund from its last bar of one month to its last bar of the next.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns since the fund's bar before, NaN where unknown.
    sessions_spanned : (S, N) int, sessions each spans; 0 where there is no bar or no earlier one.
    ends : (M,) int, rows of the months' last sessions, ascending.
    max_stale_sessions : sessions by which the last bar may lie before the month's end; beyond it the month has no value.

    Returns
    -------
    (M, N) float64; NaN in the first row, where either end has no bar of late, and where a return between them is
    unknown: what happened then is not known, so the month is left out. Rows up to a month's end use nothing later.

    Raises
    ------
    ValueError : shapes that differ, ends out of order or outside the panel.
    """
    if sessions_spanned.shape != total_return.shape:
        raise ValueError(f"sessions_spanned {sessions_spanned.shape} must match {total_return.shape}")
    at = np.asarray(ends, dtype=np.int64)
    if len(at) and not (at[0] >= 0 and at[-1] < len(total_return) and (np.diff(at) > 0).all()):
        raise ValueError("ends must ascend within the panel's rows")
    out = np.full((len(at), total_return.shape[1]), np.nan)
    bar = sessions_spanned > 0
    row = np.where(bar, np.arange(len(bar))[:, None], -1)
    last = np.maximum.accumulate(row, axis=0)[at] if len(at) else row[:0]
    fresh = (last >= 0) & (at[:, None] - last <= max_stale_sessions)
    for m in range(1, len(at)):
        inside = slice(at[m - 1] + 1, at[m] + 1)
        # Bar by bar, so that neighbours in the panel cannot change a fund's bits.
        growth = np.ones(total_return.shape[1])
        for known, change in zip(bar[inside], total_return[inside], strict=True):
            growth = np.where(known, growth * (1.0 + change), growth)
        out[m] = np.where(fresh[m] & fresh[m - 1], growth - 1.0, np.nan)
    return out
