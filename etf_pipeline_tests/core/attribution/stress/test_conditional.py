"""What is expected of factors given others."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.attribution.stress.conditional import conditional_moves
from etf_pipeline_tests.core.attribution.stress.stress_market import COVARIANCE, factor_history


def test_equals_the_regression_on_a_sample() -> None:
    """Expectation and variance left are those of least squares on the sample whose covariance is used."""
    x = factor_history(4000)
    x -= x.mean(axis=0)
    covariance = x.T @ x / len(x)
    named = np.full((1, 6), np.nan)
    named[0, [0, 4]] = [-0.05, 0.1]
    moves, uncertainty = conditional_moves(named, covariance)
    slope, *_ = np.linalg.lstsq(x[:, [0, 4]], x, rcond=None)
    np.testing.assert_allclose(moves[0], np.array([-0.05, 0.1]) @ slope, rtol=1e-9)
    left = x - x[:, [0, 4]] @ slope
    np.testing.assert_allclose(uncertainty[0], left.T @ left / len(x), atol=1e-12)


def test_it_is_linear_in_the_shock() -> None:
    named = np.full((2, 6), np.nan)
    named[:, 1] = [0.5, 1.5]
    moves, _ = conditional_moves(named, COVARIANCE)
    np.testing.assert_allclose(moves[1], 3 * moves[0])
    assert moves[0, 0] > 0
    assert moves[0, 5] < 0


def test_unchanged_moves_nothing_else() -> None:
    named = np.full((1, 6), np.nan)
    named[0, 1] = 2.0
    moves, uncertainty = conditional_moves(named, COVARIANCE, others="unchanged")
    np.testing.assert_array_equal(moves[0], [0, 2, 0, 0, 0, 0])
    assert not uncertainty.any()


def test_nothing_known_and_everything_known() -> None:
    moves, uncertainty = conditional_moves(np.full((1, 6), np.nan), COVARIANCE)
    assert not moves.any()
    np.testing.assert_allclose(uncertainty[0], COVARIANCE)
    given = factor_history(3)
    moves, uncertainty = conditional_moves(given, COVARIANCE)
    np.testing.assert_array_equal(moves, given)
    assert not uncertainty.any()


def test_units_do_not_matter() -> None:
    """Basis points instead of points: the same scenario, also where two factors are all but one."""
    near = COVARIANCE.copy()
    near[:, 4] = near[4, :] = near[0]
    near[4, 4] = near[0, 0] * (1 + 1e-14)
    unit = np.array([1, 1e4, 1e-3, 1, 1, 10.0])
    named = np.full((1, 6), np.nan)
    named[0, [0, 4]] = -0.1
    for covariance in (COVARIANCE, near):
        moves, _ = conditional_moves(named, covariance)
        scaled, _ = conditional_moves(named * unit, covariance * np.outer(unit, unit))
        np.testing.assert_allclose(scaled / unit, moves, rtol=1e-6, atol=1e-12)
        assert np.abs(moves).max() < 100


def test_what_is_no_covariance_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed are 'conditional' and 'unchanged'"):
        conditional_moves(np.zeros((1, 6)), COVARIANCE, others="expected")
    with pytest.raises(ValueError, match="not symmetric"):
        conditional_moves(np.zeros((1, 6)), np.triu(COVARIANCE))
    with pytest.raises(ValueError, match="and finite"):
        conditional_moves(np.zeros((1, 6)), np.full((6, 6), np.nan))
