"""Factors on a market's sessions, each window read from the vintage in which its last day was first known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.attribution.alignment import AlignedFactors, align_factors

MAX_AGE_DAYS = 7
"""Calendar days after which the last factor day says nothing of a session any more."""


@dataclass(frozen=True)
class VintageFactors:
    """V vintages of K factors on S sessions.

    Attributes
    ----------
    value : (V, M, S, K) float64, ``AlignedFactors.value`` of each vintage.
    vintage : (S,) int64, which of them the window ending at a session is read from; -1 where its day was never published.
    first_known : AlignedFactors of each day's value as it first was known.
    """

    value: np.ndarray
    vintage: np.ndarray
    first_known: AlignedFactors


def vintage_factors(
    sessions: np.ndarray,
    days: np.ndarray,
    values: np.ndarray,
    risk_free: np.ndarray,
    first: np.ndarray,
    names: tuple[str, ...],
    *,
    lag_days: int,
    longest_span: int,
) -> VintageFactors:
    """Align every vintage, and say which one serves each session.

    Parameters
    ----------
    sessions : (S,) datetime64, ascending; days : (D,) datetime64, ascending, of the factors.
    values : (V, D, K) float64, as known at V moments, ascending; risk_free : (V, D).
    first : (D,) int64, the first of the moments at which all factors of the day were known; -1 for never.
    names, lag_days, longest_span : as ``align_factors`` takes them.

    Returns
    -------
    VintageFactors. No later vintage and no later session moves a row.

    Raises
    ------
    ValueError : as ``align_factors``.
    """
    t, d = np.asarray(sessions, dtype="datetime64[D]"), np.asarray(days, dtype="datetime64[D]")
    size = (longest_span, len(t), len(names))

    def aligned(value: np.ndarray, rate: np.ndarray) -> AlignedFactors:
        return align_factors(t, d, value, rate, names, lag_days=lag_days, longest_span=longest_span)

    table = np.empty((len(values), *size))
    for v in range(len(values)):
        table[v] = aligned(values[v], risk_free[v]).value
    known = first >= 0
    row = np.arange(len(d))
    told = (
        np.where(known[:, None], values[np.maximum(first, 0), row], np.nan)
        if len(values)
        else np.empty((len(d), len(names)))
    )
    rate = np.where(known, risk_free[np.maximum(first, 0), row], np.nan) if len(values) else np.empty(len(d))
    last = np.searchsorted(d, t - lag_days, side="right") - 1
    fresh = last >= 0
    fresh[fresh] = (t[fresh] - lag_days - d[last[fresh]]).astype(np.int64) <= MAX_AGE_DAYS
    serves = np.where(fresh, first[np.maximum(last, 0)] if len(d) else -1, -1)
    return VintageFactors(table, serves.astype(np.int64), aligned(told, rate))
