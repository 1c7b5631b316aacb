"""What the other funds of an asset class did: a benchmark for each fund, known on the session itself."""

from __future__ import annotations

import numpy as np
from numba import njit

UNKNOWN_CLASS = -1


def class_return(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    member: np.ndarray,
    class_index: np.ndarray,
    *,
    min_funds: int = 3,
) -> np.ndarray:
    """Equal-weighted mean one-session return of the other funds of each fund's asset class.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int.
    member : (S, N) bool, the fund belonged to the universe at the close of the session. A return counts if its
        fund was a member at the session before, so that no one joins a mean because of the return itself.
    class_index : (N,) int, 0.. the asset class, -1 where it is not known.
    min_funds : other funds with a known one-session return that are needed.

    Returns
    -------
    (S, N) float64. NaN in the first row, for funds of unknown class and where too few others have a return.
    The fund itself need be neither a member nor have a return.

    Notes
    -----
    The others are summed as those before plus those behind the fund in column order, never as all minus one:
    an error in the fund's own return does not reach its benchmark.
    """
    if min_funds < 1:
        raise ValueError(f"min_funds must be at least 1, not {min_funds}")
    counts = np.zeros(total_return.shape, dtype=bool)
    counts[1:] = member[:-1] & (sessions_spanned[1:] == 1) & ~np.isnan(total_return[1:])
    # Funds of one class side by side, in column order.
    order = np.argsort(class_index, kind="stable").astype(np.int64)
    return _mean_of_others(
        np.ascontiguousarray(total_return, dtype=np.float64),
        counts,
        np.ascontiguousarray(class_index, dtype=np.int64),
        order,
        min_funds,
    )


@njit(cache=True, nogil=True)
def _mean_of_others(
    returns: np.ndarray, counts: np.ndarray, class_index: np.ndarray, order: np.ndarray, min_funds: int
) -> np.ndarray:
    """Sums of the class before each fund, then behind it."""
    rows, funds = returns.shape
    out = np.full((rows, funds), np.nan)
    before = np.empty(funds)
    number = np.empty(funds, dtype=np.int64)
    for t in range(rows):
        total = 0.0
        known = 0
        for i in range(funds):
            j = order[i]
            if i == 0 or class_index[j] != class_index[order[i - 1]]:
                total = 0.0
                known = 0
            before[i] = total
            number[i] = known
            if counts[t, j]:
                total += returns[t, j]
                known += 1
        for i in range(funds - 1, -1, -1):
            j = order[i]
            if i == funds - 1 or class_index[j] != class_index[order[i + 1]]:
                total = 0.0
                known = 0
            others = number[i] + known
            if class_index[j] >= 0 and others >= min_funds:
                out[t, j] = (before[i] + total) / others
            if counts[t, j]:
                total += returns[t, j]
                known += 1
    return out


def class_return_reference(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    member: np.ndarray,
    class_index: np.ndarray,
    min_funds: int,
) -> np.ndarray:
    """``class_return`` spelled out, one fund and session at a time."""
    out = np.full(total_return.shape, np.nan)
    for t, j in np.ndindex(total_return.shape):
        if t == 0 or class_index[j] == UNKNOWN_CLASS:
            continue
        others = (class_index == class_index[j]) & member[t - 1] & (sessions_spanned[t] == 1)
        others[j] = False
        values = total_return[t, others]
        values = values[~np.isnan(values)]
        if len(values) >= min_funds:
            out[t, j] = values.mean()
    return out
