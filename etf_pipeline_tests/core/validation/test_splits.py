"""Splits: no training label overlaps a test, and every session is tested equally often."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from etf_pipeline.core.validation.splits import (
    assemble_paths,
    combinatorial_purged,
    path_splits,
    purged_k_fold,
    walk_forward_windows,
)

lengths = st.integers(0, 12)


def overlap(train: np.ndarray, test: np.ndarray, horizon: int) -> bool:
    """Whether the label [t, t + horizon] of any training session meets that of any test session."""
    if not len(train) or not len(test):
        return False
    return bool((np.abs(train[:, None] - test[None, :]) <= horizon).any())


@given(
    sessions=st.integers(1, 300),
    train=st.integers(1, 80),
    test=st.integers(1, 40),
    step=st.integers(1, 50),
    expanding=st.booleans(),
    horizon=lengths,
    embargo=lengths,
)
@settings(max_examples=200, deadline=None)
def test_windows_learn_from_the_past_only(
    sessions: int, train: int, test: int, step: int, expanding: bool, horizon: int, embargo: int
) -> None:
    assume(train > horizon + embargo)
    rules = {"train": train, "test": test, "step": step, "horizon": horizon, "embargo": embargo}
    rules["expanding"] = expanding
    windows = walk_forward_windows(sessions, **rules)
    assert len(windows) == max(0, (sessions - train - test) // step + 1)
    for a, b, c, d in zip(
        windows.train_begin, windows.train_end, windows.test_begin, windows.test_end, strict=True
    ):
        assert 0 <= a < b <= c < d <= sessions
        assert d - c == test
        assert b - a == train - horizon - embargo if not expanding else a == 0
        assert not overlap(np.arange(a, b), np.arange(c, d), horizon + embargo)
        # As much as may be: the session after the last one learned from would break the rule.
        assert b + horizon + embargo == c
    more = walk_forward_windows(sessions + 17, **rules)
    for name in ("train_begin", "train_end", "test_begin", "test_end"):
        np.testing.assert_array_equal(getattr(more, name)[: len(windows)], getattr(windows, name))


def test_windows_without_gaps_test_every_session_once() -> None:
    windows = walk_forward_windows(100, train=40, test=10)
    tested = np.concatenate(
        [np.arange(a, b) for a, b in zip(windows.test_begin, windows.test_end, strict=True)]
    )
    np.testing.assert_array_equal(tested, np.arange(40, 100))


@given(
    sessions=st.integers(12, 120),
    groups=st.integers(2, 8),
    share=st.floats(0, 1),
    horizon=st.integers(0, 4),
    embargo=st.integers(0, 4),
)
@settings(max_examples=100, deadline=None)
def test_no_training_label_overlaps_a_test_and_all_are_tested_equally(
    sessions: int, groups: int, share: float, horizon: int, embargo: int
) -> None:
    k = 1 + int(share * (groups - 2))
    try:
        splits = combinatorial_purged(sessions, groups, k, horizon=horizon, embargo=embargo)
    except ValueError:
        assume(False)
    rows = np.arange(sessions)
    assert len(splits.test) == comb(groups, k)
    assert splits.paths == comb(groups - 1, k - 1)
    np.testing.assert_array_equal(splits.test.sum(axis=0), splits.paths)
    for train, test in zip(splits.train, splits.test, strict=True):
        assert not overlap(rows[train], rows[test], horizon)
        for t in rows[~train & ~test]:
            near = np.abs(rows[test] - t) <= horizon
            after = (t - rows[test] > horizon) & (t - rows[test] <= horizon + embargo)
            assert near.any() or after.any()  # nothing is left out without need
        for t in rows[train]:
            since = t - rows[test]
            assert not ((since > 0) & (since <= horizon + embargo)).any()
    # Every path is a history that its splits tested.
    group = np.repeat(np.arange(groups), np.diff(splits.edges))
    table = path_splits(groups, k)
    for path in table:
        assert splits.test[path[group], rows].all()
    used = np.sort(table, axis=0)
    assert (np.diff(used, axis=0) > 0).all()  # no group's test is used twice
    values = np.where(splits.test, np.arange(len(splits.test))[:, None] * 1000.0 + rows, np.nan)
    paths = assemble_paths(splits, values)
    np.testing.assert_array_equal(paths, table[:, group] * 1000.0 + rows)


def test_the_paths_are_the_books() -> None:
    """Lopez de Prado (2018), section 12.4: 6 groups, 2 of them tested: 15 splits, 5 paths (figures 12.1, 12.2)."""
    splits = combinatorial_purged(60, 6, 2)
    assert len(splits.test_groups) == 15
    assert splits.paths == 5
    assert (splits.test_groups[0] == [0, 1]).all()
    assert (splits.test_groups[14] == [4, 5]).all()
    table = path_splits(6, 2) + 1
    # The first two paths as the text beside figure 12.2 lists them, and the last one from the figure.
    assert table[0].tolist() == [1, 1, 2, 3, 4, 5]
    assert table[1].tolist() == [2, 6, 6, 7, 8, 9]
    assert table[4].tolist() == [5, 9, 12, 14, 15, 15]


def test_k_fold_by_hand() -> None:
    """Ten sessions, five folds; labels of one session more, an embargo of one."""
    splits = purged_k_fold(10, 5, horizon=1, embargo=1)
    assert splits.paths == 1
    assert [np.flatnonzero(row).tolist() for row in splits.test] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert [np.flatnonzero(row).tolist() for row in splits.train] == [
        [4, 5, 6, 7, 8, 9],
        [0, 6, 7, 8, 9],
        [0, 1, 2, 8, 9],
        [0, 1, 2, 3, 4],
        [0, 1, 2, 3, 4, 5, 6],
    ]


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match="leave none"):
        walk_forward_windows(100, train=10, test=5, horizon=10)
    with pytest.raises(ValueError, match="at least 1 session"):
        walk_forward_windows(100, train=10, test=5, step=0)
    with pytest.raises(ValueError, match="test groups from 1"):
        combinatorial_purged(100, 6, 6)
    with pytest.raises(ValueError, match="nothing to train on where groups"):
        combinatorial_purged(20, 10, 5, horizon=3)
    with pytest.raises(ValueError, match="results are"):
        assemble_paths(purged_k_fold(10, 5), np.zeros((5, 9)))
