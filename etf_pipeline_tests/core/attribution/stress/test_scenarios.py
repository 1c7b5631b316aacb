"""Scenarios as paths."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.attribution.stress.factors import over_sessions
from etf_pipeline.core.attribution.stress.scenarios import (
    hypothetical_path,
    replay_path,
    shock_to,
    turbulence,
)
from etf_pipeline_tests.core.attribution.stress.stress_market import COVARIANCE, factor_history


@pytest.mark.parametrize("others", ["conditional", "unchanged"])
def test_named_shocks_arrive_in_full(others: str) -> None:
    path = hypothetical_path({"equity": -0.4, "rates": 2.0}, 126, COVARIANCE, others=others)
    over = over_sessions(path.moves[0], path.sessions)
    np.testing.assert_allclose(over[:2], [-0.4, 2.0])
    assert path.repeat == 126
    if others == "unchanged":
        assert not over[2:].any()
        assert not path.uncertainty.any()
    else:
        assert over[2] > 0 > over[3]
        assert over[5] > 0
        assert path.uncertainty[5, 5] > 0
        assert not path.uncertainty[:2].any()


def test_what_the_rest_does_is_uncertain_by_the_session() -> None:
    short = hypothetical_path({"equity": -0.1}, 5, COVARIANCE)
    long = hypothetical_path({"equity": -0.1}, 50, COVARIANCE)
    np.testing.assert_allclose(long.uncertainty, 10 * short.uncertainty)


def test_impossible_shocks_are_refused() -> None:
    for shocks, told in (
        ({"equty": -0.2}, "shocks to equty: the factors are equity, rates"),
        ({}, "shocks to nothing"),
        ({"rates": np.nan}, "the shock to rates is nan"),
        ({"equity": -1.5}, "below -100 %"),
    ):
        with pytest.raises(ValueError, match=told):
            hypothetical_path(shocks, 21, COVARIANCE)


def test_shocks_to_a_level() -> None:
    assert shock_to("volatility", 65.0, 20.0) == 45.0
    assert shock_to("volatility", 65.0, 80.0) == 0.0
    assert shock_to("rates", 1.0, 4.3) == pytest.approx(-3.3)
    with pytest.raises(ValueError, match="give a move, or one of rates, credit, volatility"):
        shock_to("equity", 3000.0, 5000.0)
    with pytest.raises(ValueError, match="no observation"):
        shock_to("rates", 1.0, np.nan)


def test_a_replay_is_the_moves_after_the_first_close() -> None:
    moves = factor_history(40)
    path = replay_path(moves, 10, 15, COVARIANCE)
    np.testing.assert_array_equal(path.moves, moves[11:16])
    assert path.sessions == 5
    assert path.repeat == 1
    assert not path.uncertainty.any()


def test_a_series_that_did_not_exist_moves_as_expected_of_it() -> None:
    moves = factor_history(40)
    gone = moves.copy()
    gone[:, [2, 3]] = np.nan
    path = replay_path(gone, 10, 20, COVARIANCE)
    a = [0, 1, 4, 5]
    slope = COVARIANCE[np.ix_([2, 3], a)] @ np.linalg.inv(COVARIANCE[np.ix_(a, a)])
    np.testing.assert_allclose(path.moves[:, [2, 3]], moves[11:21][:, a] @ slope.T)
    left = COVARIANCE[np.ix_([2, 3], [2, 3])] - slope @ COVARIANCE[np.ix_(a, [2, 3])]
    np.testing.assert_allclose(path.uncertainty[np.ix_([2, 3], [2, 3])], 10 * left)


def test_a_holiday_of_one_market_is_no_move() -> None:
    moves = factor_history(40)
    moves[13, 4] = np.nan
    path = replay_path(moves, 10, 20, COVARIANCE)
    assert path.moves[2, 4] == 0
    assert not path.uncertainty.any()


def test_nothing_to_replay() -> None:
    with pytest.raises(ValueError, match="no factor is known"):
        replay_path(np.full((40, 6), np.nan), 10, 20, COVARIANCE)
    with pytest.raises(ValueError, match="no window of 40 sessions"):
        replay_path(factor_history(40), 20, 20, COVARIANCE)


def test_turbulence_is_one_in_ordinary_times_and_the_square_of_the_excess_otherwise() -> None:
    calm = factor_history(50_000)
    assert turbulence(calm, COVARIANCE) == pytest.approx(1.0, abs=0.02)
    assert turbulence(3 * calm, COVARIANCE) == pytest.approx(9.0, rel=0.02)
    assert turbulence(0.1 * calm, COVARIANCE) == 1.0
    few = calm.copy()
    few[:, 2:] = np.nan
    assert turbulence(3 * few, COVARIANCE) == pytest.approx(9.0, rel=0.03)
