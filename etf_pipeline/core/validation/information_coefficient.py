"""Rank information coefficient: does the order of a signal agree with the order of what followed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from etf_pipeline.core.parallel import over_columns

MIN_FUNDS = 5
"""Funds a cross-section needs: as many as a ranking needs."""


@dataclass(frozen=True)
class Groups:
    """Funds ordered so that each group is a run of neighbours.

    Attributes
    ----------
    order : (N,) int64, columns of a panel in the order in which the groups are runs.
    bounds : (G, 2) int64, group g holds the positions ``bounds[g, 0]:bounds[g, 1]``; group 0 is everyone.
    names : (G,) str, "all" and the classes' names.
    """

    order: np.ndarray
    bounds: np.ndarray
    names: np.ndarray

    def arrange(self, panel: np.ndarray) -> np.ndarray:
        """(S, N) panel with its columns in the groups' order, contiguous."""
        return np.ascontiguousarray(panel[:, self.order])


def fund_groups(class_index: np.ndarray, class_names: np.ndarray) -> Groups:
    """Everyone, and each asset class.

    Parameters
    ----------
    class_index : (N,) int, index into ``class_names``, -1 where the class is not known: such a fund is in "all" only.
    class_names : (C,) str.
    """
    index = np.asarray(class_index, dtype=np.int64)
    order = np.argsort(index, kind="stable").astype(np.int64)
    edges = np.searchsorted(index[order], np.arange(len(class_names) + 1))
    classes = np.column_stack([edges[:-1], edges[1:]])
    bounds = np.concatenate([[[0, len(index)]], classes]).astype(np.int64)
    return Groups(order, bounds, np.array(["all", *class_names], dtype=object))


def rank_correlation(
    first: np.ndarray, second: np.ndarray, bounds: np.ndarray, *, min_funds: int = MIN_FUNDS
) -> tuple[np.ndarray, np.ndarray]:
    """Spearman's rank correlation of two panels across the funds of each session, by group.

    With a signal and the forward returns stamped with the same session this is the rank information coefficient.

    Parameters
    ----------
    first, second : (S, N) float64, columns as ``Groups.arrange`` puts them.
    bounds : (G, 2) int64, of ``Groups``.
    min_funds : funds of a group with both values that a session needs, at least 2.

    Returns
    -------
    correlation : (G, S) float64. Equal values share the average of their ranks. NaN with fewer funds, and where one
        of the two does not differ between funds.
    funds : (G, S) int32, with both values.

    Raises
    ------
    ValueError : shapes that differ, or min_funds below 2.

    Notes
    -----
    Spearman (1904); Grinold and Kahn (2000), Active Portfolio Management, for its use as information coefficient.
    """
    if first.shape != second.shape or min_funds < 2:
        raise ValueError(f"panels {first.shape} and {second.shape} must agree, min_funds {min_funds} be >= 2")
    groups, rows = len(bounds), len(first)
    correlation, funds = np.full((groups, rows), np.nan), np.zeros((groups, rows), dtype=np.int32)

    def work(sessions: np.ndarray) -> None:
        _correlate(first, second, bounds, min_funds, sessions, correlation, funds)

    over_columns(work, rows)
    return correlation, funds


@njit(cache=True, nogil=True)
def average_ranks(values: np.ndarray, ranks: np.ndarray) -> None:
    """Write the ranks 1..k of ``values`` into ``ranks``; equal values share the average of theirs."""
    order = np.argsort(values)
    count = len(values)
    begin = 0
    while begin < count:
        end = begin + 1
        while end < count and values[order[end]] == values[order[begin]]:
            end += 1
        for k in range(begin, end):
            ranks[order[k]] = 0.5 * (begin + end + 1)
        begin = end


@njit(cache=True, nogil=True)
def _correlate(
    first: np.ndarray,
    second: np.ndarray,
    bounds: np.ndarray,
    min_funds: int,
    sessions: np.ndarray,
    correlation: np.ndarray,
    funds: np.ndarray,
) -> None:
    width = first.shape[1]
    x, y, x_rank, y_rank = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    for t in sessions:
        for g in range(len(bounds)):
            count = 0
            for j in range(bounds[g, 0], bounds[g, 1]):
                if np.isfinite(first[t, j]) and np.isfinite(second[t, j]):
                    x[count], y[count] = first[t, j], second[t, j]
                    count += 1
            funds[g, t] = count
            if count < min_funds:
                continue
            average_ranks(x[:count], x_rank[:count])
            average_ranks(y[:count], y_rank[:count])
            middle = 0.5 * (count + 1)
            xx, yy, xy = 0.0, 0.0, 0.0
            for k in range(count):
                a, b = x_rank[k] - middle, y_rank[k] - middle
                xx += a * a
                yy += b * b
                xy += a * b
            if xx > 0.0 and yy > 0.0:
                correlation[g, t] = xy / np.sqrt(xx * yy)
