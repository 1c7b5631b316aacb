"""Judging predictions of windows as if the funds had not been alive."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.attribution.stress.coverage import (
    Comparison,
    coverage,
    inflation_factors,
    pretend_not_alive,
)
from etf_pipeline.core.attribution.stress.replay import Window
from etf_pipeline_tests.core.attribution.stress.stress_market import exposures, factor_history

WINDOWS = [Window(600 + 150 * i, 620 + 150 * i, 620 + 150 * i) for i in range(8)]
LEVELS = (0.80, 0.95)


def market(funds: int = 60, seed: int = 0):
    """Returns that are what the model says, and their factors."""
    x = exposures(funds)
    moves = factor_history(2200, seed + 10)
    own = np.random.default_rng(seed).normal(size=(2200, funds)) * np.sqrt(x.residual_variance)
    return moves @ x.loadings.T + own, moves


def compare(returns: np.ndarray, moves: np.ndarray, **more) -> Comparison:
    there = np.ones(returns.shape, dtype=bool)
    return pretend_not_alive(returns, there, there, moves, WINDOWS, **more)


@pytest.mark.parametrize("side", ["after", "before", "around"])
def test_covers_what_it_says_where_the_model_is_right(side: str) -> None:
    returns, moves = market()
    everyone = coverage(compare(returns, moves, side=side), LEVELS, np.zeros(60, dtype=int))[0]
    np.testing.assert_allclose(everyone.covered, LEVELS, atol=0.05)
    assert abs(everyone.bias) < 0.005
    assert everyone.windows == 8
    assert everyone.comparisons == 480


@pytest.mark.parametrize("side", ["after", "before", "around"])
def test_the_window_itself_is_not_used(side: str) -> None:
    returns, moves = market()
    before = compare(returns, moves, side=side)
    changed = returns.copy()
    changed[601:621] = -0.01
    after = compare(changed, moves, side=side)
    np.testing.assert_array_equal(after.predicted[0], before.predicted[0])
    np.testing.assert_allclose(after.realised[0], 0.99**20 - 1)


def test_sides_look_where_they_say() -> None:
    returns, moves = market()
    changed = returns.copy()
    changed[621:] *= 2
    early = compare(returns, moves, side="before").predicted[0]
    np.testing.assert_array_equal(compare(changed, moves, side="before").predicted[0], early)
    changed = returns.copy()
    changed[:600] *= 2
    late = compare(returns, moves, side="after").predicted[0]
    np.testing.assert_array_equal(compare(changed, moves, side="after").predicted[0], late)


def test_calibration_repairs_intervals_that_are_too_narrow_or_too_wide() -> None:
    rng = np.random.default_rng(0)
    for spread in (2.5, 0.4):
        z = spread * rng.normal(size=(12, 200))
        variance = np.full(z.shape, 0.01)
        predicted = np.zeros(z.shape)
        given = Comparison(predicted, np.expm1(0.1 * z), variance)
        group = np.zeros(200, dtype=int)
        plain = coverage(given, LEVELS, group)[0].covered
        repaired = coverage(given, LEVELS, group, calibrated=True)[0].covered
        assert (np.abs(plain - LEVELS) > 0.04).all()
        np.testing.assert_allclose(repaired, LEVELS, atol=0.02)
        np.testing.assert_allclose(inflation_factors(given.surprise, LEVELS), spread, rtol=0.05)
    widened = coverage(given, LEVELS, group, calibrated=True, least=1.0)[0].covered
    np.testing.assert_array_equal(widened, plain)


def test_a_window_is_judged_by_the_others_only() -> None:
    z = np.ones((6, 10))
    z[2] = 50.0
    assert inflation_factors(z, [0.95], without=2)[0] == pytest.approx(1 / 1.9599639845)
    assert inflation_factors(z, [0.95])[0] > 20


def test_every_window_weighs_the_same() -> None:
    z = np.full((5, 1000), np.nan)
    z[0] = 9.0
    z[1:, 0] = 1.0
    assert inflation_factors(z, [0.8])[0] == pytest.approx(1 / 1.2815515655)


def test_few_windows_leave_the_interval_plain() -> None:
    np.testing.assert_array_equal(inflation_factors(np.full((3, 9), 7.0), LEVELS), 1.0)
    np.testing.assert_array_equal(inflation_factors(np.full((3, 9), np.nan), LEVELS), 1.0)


def test_groups() -> None:
    returns, moves = market()
    group = np.repeat([0, 2, -1], 20)
    rows = coverage(compare(returns, moves), LEVELS, group)
    assert [r.group for r in rows] == [-1, 0, 2]
    assert rows[0].comparisons == sum(r.comparisons for r in rows[1:]) * 3 // 2


def test_an_unknown_side_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed are after, before, around"):
        compare(*market(), side="inside")
