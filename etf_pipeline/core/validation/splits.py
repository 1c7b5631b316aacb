"""Splits of history into training and test: walk-forward windows, purged k-fold, combinatorial purged cross-validation.

What is learned from session t is known only ``horizon`` sessions later: its label spans the sessions t to t + horizon. A
session whose label overlaps that of a test session would carry the test into training and is purged.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np


@dataclass(frozen=True)
class WalkForwardWindows:
    """W windows, each trained on sessions before those it is tested on: (W,) int64 rows, ends exclusive.

    Attributes
    ----------
    train_begin, train_end, test_begin, test_end : window w learns from ``train_begin[w]:train_end[w]`` and is tested on
        ``test_begin[w]:test_end[w]``.
    """

    train_begin: np.ndarray
    train_end: np.ndarray
    test_begin: np.ndarray
    test_end: np.ndarray

    def __len__(self) -> int:
        """Windows."""
        return len(self.test_begin)


def walk_forward_windows(
    sessions: int,
    *,
    train: int,
    test: int,
    step: int | None = None,
    expanding: bool = False,
    horizon: int = 0,
    embargo: int = 0,
) -> WalkForwardWindows:
    """Windows that move through history, or grow with it.

    Parameters
    ----------
    sessions : S.
    train : sessions before the first test window, purged ones included; of every window unless ``expanding``.
    test, step : sessions of a test window, and from one to the next; ``step`` is ``test`` if None, so that every session
        after the first ``train`` is tested once.
    expanding : train from the first session on.
    horizon : sessions after t that the label of t spans; the last ``horizon`` sessions before a test are purged.
    embargo : further sessions left out between the last label learned from and the test.

    Returns
    -------
    WalkForwardWindows, complete test windows only: further sessions add windows and change none.

    Raises
    ------
    ValueError : a length below one, a negative horizon or embargo, or nothing left to train on.
    """
    step = test if step is None else step
    if min(train, test, step) < 1 or min(horizon, embargo) < 0:
        raise ValueError(
            f"train, test and step must be at least 1 session, horizon and embargo at least 0; given are "
            f"{train}, {test}, {step}, {horizon}, {embargo}"
        )
    if train <= horizon + embargo:
        raise ValueError(
            f"{train} training sessions less a horizon of {horizon} and an embargo of {embargo} leave none"
        )
    begin = np.arange(train, sessions - test + 1, step, dtype=np.int64)
    return WalkForwardWindows(
        train_begin=np.zeros_like(begin) if expanding else begin - train,
        train_end=begin - horizon - embargo,
        test_begin=begin,
        test_end=begin + test,
    )


@dataclass(frozen=True)
class CrossValidation:
    """C splits of S sessions in N groups.

    Attributes
    ----------
    edges : (N + 1,) int64, group g holds the rows ``edges[g]:edges[g + 1]``; lengths differ by one at most.
    test_groups : (C, k) int64, ascending.
    train, test : (C, S) bool, what each split learns from and is tested on. Sessions in neither are purged or embargoed.
    """

    edges: np.ndarray
    test_groups: np.ndarray
    train: np.ndarray
    test: np.ndarray

    @property
    def groups(self) -> int:
        """N."""
        return len(self.edges) - 1

    @property
    def paths(self) -> int:
        """Times that each session is tested: ``k / N * C``."""
        return len(self.test_groups) * self.test_groups.shape[1] // self.groups


def purged_k_fold(sessions: int, folds: int, *, horizon: int = 0, embargo: int = 0) -> CrossValidation:
    """Each fold is tested once, by what is learned from the others: ``combinatorial_purged`` with one test group.

    Notes
    -----
    Lopez de Prado (2018), Advances in Financial Machine Learning, section 7.4.
    """
    return combinatorial_purged(sessions, folds, 1, horizon=horizon, embargo=embargo)


def combinatorial_purged(
    sessions: int, groups: int, test_groups: int, *, horizon: int = 0, embargo: int = 0
) -> CrossValidation:
    """Every choice of k of N groups is a test set, the others train.

    Parameters
    ----------
    sessions : S, at least N.
    groups : N, at least 2; test_groups : k, from 1 to N - 1.
    horizon : sessions after t that the label of t spans: training sessions whose labels overlap a test session's are purged.
    embargo : further sessions that are left out of training after each run of test sessions and its labels.

    Returns
    -------
    CrossValidation of ``N! / k! / (N - k)!`` splits in lexicographic order of their test groups.

    Raises
    ------
    ValueError : numbers out of bounds, or a split without any training session.

    Notes
    -----
    Lopez de Prado (2018), section 12.4; purging and embargo: 7.4.
    """
    if not 2 <= groups <= sessions or not 1 <= test_groups < groups or min(horizon, embargo) < 0:
        raise ValueError(
            f"groups must be from 2 to {sessions} sessions, test groups from 1 to groups - 1, horizon and embargo at least "
            f"0; given are {groups}, {test_groups}, {horizon}, {embargo}"
        )
    lengths = [len(part) for part in np.array_split(np.arange(sessions), groups)]
    edges = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    chosen = np.array(list(combinations(range(groups), test_groups)), dtype=np.int64)
    train = np.ones((len(chosen), sessions), dtype=bool)
    test = np.zeros((len(chosen), sessions), dtype=bool)
    for c, own in enumerate(chosen):
        for g in own:
            begin, end = int(edges[g]), int(edges[g + 1])
            test[c, begin:end] = True
            train[c, max(begin - horizon, 0) : end + horizon + embargo] = False
    empty = np.flatnonzero(~train.any(axis=1))
    if len(empty):
        raise ValueError(
            f"a horizon of {horizon} and an embargo of {embargo} leave nothing to train on where groups "
            f"{chosen[empty[0]].tolist()} of {groups} are tested: take fewer groups"
        )
    return CrossValidation(edges, chosen, train, test)


def path_splits(groups: int, test_groups: int) -> np.ndarray:
    """Which split tests each group on each path.

    Parameters
    ----------
    groups, test_groups : N and k.

    Returns
    -------
    (phi, N) int64 number of the split, ``phi = C(N - 1, k - 1)``: path j takes for each group the j-th split that tests it.

    Notes
    -----
    Lopez de Prado (2018), figure 12.2.
    """
    chosen = list(combinations(range(groups), test_groups))
    out = np.array([[c for c, own in enumerate(chosen) if g in own] for g in range(groups)], dtype=np.int64)
    return out.T.reshape(comb(groups - 1, test_groups - 1), groups)


def assemble_paths(splits: CrossValidation, results: np.ndarray) -> np.ndarray:
    """Put the results of the splits together into histories, each of which tests every session once.

    Parameters
    ----------
    results : (C, S) or (C, S, ...), of each split on its test sessions; what it holds elsewhere is not looked at.

    Returns
    -------
    (phi, S) or (phi, S, ...).

    Raises
    ------
    ValueError : results of another shape than the splits.
    """
    if results.shape[:2] != splits.test.shape:
        raise ValueError(f"results are {results.shape[:2]}, the splits {splits.test.shape}")
    table = path_splits(splits.groups, splits.test_groups.shape[1])
    group = np.repeat(np.arange(splits.groups), np.diff(splits.edges))
    return results[table[:, group], np.arange(results.shape[1])]
