"""What forecasts are made from: ranks among the session's funds, and the market's state against its own past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit

from etf_pipeline.core.market.rolling import rolling_median
from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.validation.information_coefficient import average_ranks

CLIP = 3.0
"""Robust standard deviations beyond which the market's state is not taken more seriously."""

MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class FeatureTable:
    """One row an eligible fund and session, ordered by session, then fund.

    Attributes
    ----------
    row, column : (R,) int64, where in the panels each row stands.
    start : (S + 1,) int64, rows of session ``t`` are ``start[t]:start[t + 1]``.
    values : (R, K) float64, finite; 0 (the middle) where a feature is unknown.
    known_share : (R,) float64, share of the fund's own features that are known.
    names : of the K features, the fund's own first.
    own : how many of them are the fund's own; the others are the market's, the same for all funds of a session.
    """

    row: np.ndarray
    column: np.ndarray
    start: np.ndarray
    values: np.ndarray
    known_share: np.ndarray
    names: tuple[str, ...]
    own: int


def feature_table(
    funds: Mapping[str, np.ndarray], market: Mapping[str, np.ndarray], eligible: np.ndarray
) -> FeatureTable:
    """Ranks of the funds' measures beside the market's.

    Parameters
    ----------
    funds : name -> (S, N) float64, NaN where unknown.
    market : name -> (S,) float64, one value a session, scaled (see ``causal_score``); NaN where unknown.
    eligible : (S, N) bool, funds that are compared and forecast.

    Returns
    -------
    FeatureTable. A row depends on its own session's values alone.
    """
    row, column = np.nonzero(eligible)
    start = np.concatenate([[0], np.cumsum(eligible.sum(axis=1))])
    panels = list(funds.values())
    ranks = np.empty((len(row), len(panels)))

    def work(which: np.ndarray) -> None:
        for k in which:
            ranks[:, k] = cross_sectional_rank(panels[k], eligible)[row, column]

    over_columns(work, len(panels))
    state = [np.asarray(series)[row] for series in market.values()]
    known = np.isfinite(ranks).mean(axis=1) if panels else np.ones(len(row))
    values = np.nan_to_num(np.column_stack([ranks, *state]), nan=0.0)
    return FeatureTable(row, column, start, values, known, (*funds, *market), len(funds))


def cross_sectional_rank(panel: np.ndarray, eligible: np.ndarray) -> np.ndarray:
    """Rank among the session's eligible funds, from -1 (lowest) to 1 (highest); equal values share a rank.

    Parameters
    ----------
    panel : (S, N) float64, NaN where unknown; eligible : (S, N) bool.

    Returns
    -------
    (S, N) float64: (2 r - 1) / n - 1 for the r-th of n. NaN where not eligible or unknown.
    """
    return _rank(np.where(eligible & np.isfinite(panel), panel, np.nan))


@njit(cache=True, nogil=True)
def _rank(panel: np.ndarray) -> np.ndarray:
    out = np.full(panel.shape, np.nan)
    ranks = np.empty(panel.shape[1])
    for t in range(panel.shape[0]):
        which = np.flatnonzero(~np.isnan(panel[t]))
        count = len(which)
        average_ranks(panel[t][which], ranks[:count])
        for k in range(count):
            out[t, which[k]] = (2.0 * ranks[k] - 1.0) / count - 1.0
    return out


def causal_score(series: np.ndarray, window: int = 1260, min_observations: int = 252) -> np.ndarray:
    """A series against its own past: distance from the rolling median in robust standard deviations.

    Parameters
    ----------
    series : (S,) float64, NaN where unknown.
    window : sessions, the current one included.
    min_observations : known values needed in it.

    Returns
    -------
    (S,) float64 within +-``CLIP``; NaN where unknown, too short a past, or no movement in it.

    Notes
    -----
    The deviation is the rolling median of |x_s - m_s|, each against the median of its own day: nothing later
    than the row is touched.
    """
    values = np.asarray(series, dtype=np.float64)[:, None]
    middle = rolling_median(values, window, min_observations)
    spread = MAD_TO_SIGMA * rolling_median(np.abs(values - middle), window, min_observations // 2)
    score = np.full(len(values), np.nan)
    np.divide(values - middle, spread, out=score[:, None], where=spread > 0)
    return np.clip(score, -CLIP, CLIP)


def as_known(
    days: np.ndarray, values: np.ndarray, sessions: np.ndarray, *, lag: int, max_age: int = 10
) -> np.ndarray:
    """A foreign series as it was known at each close.

    Parameters
    ----------
    days : (K,) datetime64, ascending: the day each value is about.
    values : (K,) float64, NaN where none.
    sessions : (S,) datetime64, ascending.
    lag : sessions by which a value is held back: what is dated after ``sessions[t - lag]`` is not used at ``t``.
    max_age : sessions after which a series that has ended is unknown.

    Returns
    -------
    (S,) float64.
    """
    if lag < 0:
        raise ValueError(f"lag must not be negative, not {lag}")
    known = np.isfinite(values)
    dates = np.asarray(days, dtype="datetime64[D]")[known]
    numbers = np.asarray(values, dtype=np.float64)[known]
    axis = np.asarray(sessions, dtype="datetime64[D]")
    out = np.full(len(axis), np.nan)
    rows = np.arange(lag, len(axis))
    at = np.searchsorted(dates, axis[rows - lag], side="right") - 1
    oldest = axis[np.maximum(rows - lag - max_age, 0)]
    use = at >= 0
    use[use] = dates[at[use]] >= oldest[use]
    out[rows[use]] = numbers[at[use]]
    return out


def change(series: np.ndarray, sessions: int) -> np.ndarray:
    """Difference from ``sessions`` ago; NaN where either end is unknown."""
    out = np.full(len(series), np.nan)
    out[sessions:] = series[sessions:] - series[: max(len(series) - sessions, 0)]
    return out
