"""Factors on a market's sessions, each window read from the vintage in which its last day was first known."""

from __future__ import annotations

from collections.abc import Iterable
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


def distinct_vintages(tables: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Vintages that had something else to say of a day than the one after them.

    A library that adds a day each evening would need a table each; where it restated nothing, the next one's serves the
    windows of both, which end before what was added.

    Parameters
    ----------
    tables : V of (D, F) float64, ascending by the moment they were known at; NaN where nothing was known.

    Returns
    -------
    (W, D, F) those kept, and (V,) int64, which of them stands for each; (0, 0, 0) for none.
    """
    kept: list[np.ndarray] = []
    place: list[int] = []
    for table in tables:
        if kept and _continues(table, kept[-1]):
            kept[-1] = table
        else:
            kept.append(table)
        place.append(len(kept) - 1)
    return np.array(kept) if kept else np.empty((0, 0, 0)), np.array(place, dtype=np.int64)


def _continues(table: np.ndarray, before: np.ndarray) -> bool:
    """Whether it says the same of every day up to the last that was known before."""
    end = int(np.flatnonzero(~np.isnan(before).all(axis=1))[-1]) + 1 if (~np.isnan(before)).any() else 0
    return bool(np.array_equal(table[:end], before[:end], equal_nan=True))


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
    told, rate = np.full((len(d), len(names)), np.nan), np.full(len(d), np.nan)
    row = np.flatnonzero(first >= 0)
    told[row], rate[row] = values[first[row], row], risk_free[first[row], row]
    day = last_factor_day(t, d, lag_days)
    serves = np.append(np.asarray(first, dtype=np.int64), -1)[day]
    return VintageFactors(table, serves, aligned(told, rate))


def last_factor_day(sessions: np.ndarray, days: np.ndarray, lag_days: int) -> np.ndarray:
    """(S,) int64, place in ``days`` of the last factor day that each session sees; -1 where it is too old, or none."""
    t, d = np.asarray(sessions, dtype="datetime64[D]"), np.asarray(days, dtype="datetime64[D]")
    last = np.searchsorted(d, t - lag_days, side="right") - 1
    fresh = last >= 0
    fresh[fresh] = (t[fresh] - lag_days - d[last[fresh]]).astype(np.int64) <= MAX_AGE_DAYS
    return np.where(fresh, last, -1).astype(np.int64)
