"""What was bought after a signal: by hand, against the reference, and for funds that stop or pause."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core import parallel
from etf_pipeline.core.validation.forward_return import forward_return, forward_return_reference


def with_holes(seed, sessions=120, funds=7, hole=0.15):
    """Returns and sessions spanned of funds that begin, pause and end; the first never pauses."""
    rng = np.random.default_rng(seed)
    bar = rng.random((sessions, funds)) > hole
    bar[:, 0] = True
    bar[:30, 1], bar[70:, 2], bar[:, 3] = False, False, False
    spanned = np.zeros(bar.shape, dtype=np.int64)
    for j in range(funds):
        at = np.flatnonzero(bar[:, j])
        spanned[at[1:], j] = np.diff(at)
    returns = np.where(spanned > 0, rng.normal(0, 0.02, bar.shape), np.nan)
    returns[50, 0] = np.nan  # two bars that cannot be compared
    return returns, spanned


def test_hand_computed():
    returns, spanned = np.array([[np.nan, 0.5, 0.01, 0.02, -0.03, 0.04]]).T, np.array([[0, 1, 1, 1, 1, 1]]).T
    two = forward_return(returns, spanned, 2)[:, 0]
    # A signal of session 0 is traded at the close of session 1: the return of that session is not earned.
    np.testing.assert_allclose(two[:3], [1.01 * 1.02 - 1, 1.02 * 0.97 - 1, 0.97 * 1.04 - 1], rtol=1e-12)
    assert np.isnan(two[3:]).all()
    at_once = forward_return(returns, spanned, 1, delay=0)[:, 0]
    np.testing.assert_allclose(at_once[1:5], [0.01, 0.02, -0.03, 0.04], rtol=1e-12)
    assert (
        at_once[0] == 0.0
    )  # no bar is known to be there: bought at the next, which is the last of the horizon
    assert np.isnan(at_once[5])


@pytest.mark.parametrize("horizon", [1, 5, 21])
@pytest.mark.parametrize("delay", [0, 1, 3])
def test_the_reference_agrees(horizon, delay):
    returns, spanned = with_holes(3)
    got = forward_return(returns, spanned, horizon, delay=delay)
    for t, j in np.ndindex(got.shape):
        expected = forward_return_reference(returns[:, j], spanned[:, j], t, horizon, delay)
        assert got[t, j] == pytest.approx(expected, rel=1e-12, nan_ok=True), (t, j)


def test_a_fund_that_dies_counts_to_its_last_bar():
    returns, spanned = np.full((12, 1), np.nan), np.zeros((12, 1), dtype=int)
    returns[1:6, 0], spanned[1:6, 0] = [0.1, 0.1, 0.1, 0.1, -0.5], 1  # the last bar is that of session 5
    got = forward_return(returns, spanned, 4)[:, 0]
    assert got[2] == pytest.approx(1.1 * 0.5 - 1)  # bought at 3, earned 4 and 5
    assert got[3] == pytest.approx(-0.5)  # bought at 4
    assert got[4] == 0.0  # bought at its last bar: it lies idle
    assert np.isnan(got[5:]).all()  # nothing to buy any more


def test_a_fund_without_a_bar_is_bought_at_its_next():
    returns, spanned = np.full((10, 1), np.nan), np.zeros((10, 1), dtype=int)
    for t, (value, span) in {1: (0.1, 1), 4: (0.5, 3), 5: (0.2, 1), 6: (0.3, 1)}.items():
        returns[t], spanned[t] = value, span
    got = forward_return(returns, spanned, 3)[:, 0]
    # Bought at session 2 or 3 it is bought at 4: what happened since session 1 is not earned.
    assert got[1] == pytest.approx(0.2)
    assert got[2] == pytest.approx(1.2 * 1.3 - 1)
    assert got[0] == pytest.approx(0.5)  # held since session 1, the return over the hole is its own


def test_an_unknown_return_is_not_zero():
    returns, spanned = np.full((8, 1), 0.01), np.ones((8, 1), dtype=int)
    returns[4] = np.nan
    got = forward_return(returns, spanned, 2)[:, 0]
    assert np.isnan(got[[1, 2]]).all()
    assert np.isfinite(got[[0, 3, 4]]).all()


@pytest.mark.parametrize("cut", [40, 75, 100])
def test_later_sessions_change_only_what_was_not_known(cut):
    returns, spanned = with_holes(4)
    whole, part = (forward_return(returns[:n], spanned[:n], 5) for n in (None, cut))
    assert part[: cut - 6].tobytes() == whole[: cut - 6].tobytes()
    assert np.isnan(part[cut - 6 :]).all()


def test_workers_change_nothing():
    returns, spanned = with_holes(5, funds=40)
    try:
        parallel.set_workers(1)
        alone = forward_return(returns, spanned, 5)
        parallel.set_workers(3)
        assert forward_return(returns, spanned, 5).tobytes() == alone.tobytes()
    finally:
        parallel.set_workers(0)


@pytest.mark.parametrize(("horizon", "delay"), [(0, 1), (1, -1)])
def test_impossible_horizons_are_refused(horizon, delay):
    with pytest.raises(ValueError, match="horizon"):
        forward_return(np.zeros((3, 1)), np.ones((3, 1), dtype=int), horizon, delay=delay)
