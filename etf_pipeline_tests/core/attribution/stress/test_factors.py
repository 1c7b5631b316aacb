"""Units of the stress factors, and moves spread over sessions."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.attribution.stress.factors import FACTORS, factor_moves, over_sessions, per_session


def test_returns_compound_and_differences_add_up() -> None:
    moves = np.array([-0.4, 2.0, 3.0, 0.15, -0.5, 50.0])
    step = per_session(moves, 21)
    np.testing.assert_allclose((1 + step[[0, 3, 4]]) ** 21 - 1, moves[[0, 3, 4]])
    np.testing.assert_allclose(step[[1, 2, 5]] * 21, moves[[1, 2, 5]])
    np.testing.assert_allclose(over_sessions(step, 21), moves)
    np.testing.assert_array_equal(per_session(moves, 1), moves)


def test_a_missing_level_is_spanned_by_the_next_move() -> None:
    levels = np.tile([100.0, 4.0, 3.0, 0.7, 60.0, 15.0], (4, 1))
    levels[1] = np.nan
    levels[2] = [110.0, 4.5, 3.1, 0.77, 66.0, 20.0]
    moves = factor_moves(levels)
    assert np.isnan(moves[:2]).all()
    np.testing.assert_allclose(moves[2], [0.1, 0.5, 0.1, 0.1, 0.1, 5.0])
    np.testing.assert_allclose(moves[3], [100 / 110 - 1, -0.5, -0.1, 0.7 / 0.77 - 1, 60 / 66 - 1, -5.0])


def test_a_negative_price_has_no_return() -> None:
    levels = np.tile([100.0, 4.0, 3.0, 0.7, 18.0, 15.0], (3, 1))
    levels[1, 4] = -37.0
    levels[2, 4] = 9.0
    oil = factor_moves(levels)[:, FACTORS.index("oil")]
    assert np.isnan(oil[1])
    assert oil[2] == pytest.approx(-0.5)


def test_a_yield_may_be_negative() -> None:
    levels = np.tile([100.0, -0.2, 3.0, 0.7, 18.0, 15.0], (2, 1))
    levels[1, 1] = 0.1
    assert factor_moves(levels)[1, 1] == pytest.approx(0.3)


def test_truncation_changes_nothing() -> None:
    levels = 100 + np.random.default_rng(0).normal(size=(50, 6)).cumsum(axis=0)
    levels[np.random.default_rng(1).random(levels.shape) < 0.1] = np.nan
    np.testing.assert_array_equal(factor_moves(levels)[:30], factor_moves(levels[:30]))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="below -100 % cannot be: equity"):
        per_session(np.array([-20.0, 0, 0, 0, 0, 0]), 5)
    with pytest.raises(ValueError, match="at least 1 session"):
        per_session(np.zeros(6), 0)
    with pytest.raises(ValueError, match="not 5 columns"):
        factor_moves(np.ones((3, 5)))
