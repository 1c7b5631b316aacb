"""Compounded losses and what each factor earned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_pipeline.core.attribution.stress.factors import per_session
from etf_pipeline.core.attribution.stress.path_loss import path_loss
from etf_pipeline.core.attribution.stress.path_loss_kernels import compound
from etf_pipeline.core.attribution.stress.path_loss_reference import compound_reference
from etf_pipeline_tests.core.attribution.stress.stress_market import exposures, factor_history

B = exposures(7).loadings


def plain(loading: np.ndarray, path: np.ndarray) -> tuple[float, np.ndarray]:
    """One fund, session by session, as an account would book it."""
    value, earned = 1.0, np.zeros(len(loading))
    for moves in path:
        part = loading * moves
        if part.sum() < -1:
            part *= -1 / part.sum()
        earned += value * part
        value *= 1 + part.sum()
    return value - 1, earned


def test_an_account_kept_by_the_session() -> None:
    path = factor_history(300)
    got = path_loss(B, path)
    for j, loading in enumerate(B):
        total, earned = plain(loading, path)
        assert got.total_return[j] == pytest.approx(total, abs=1e-12)
        np.testing.assert_allclose(got.contribution[j], earned, atol=1e-12)


def test_equal_sessions_in_closed_form() -> None:
    step = per_session(np.array([-0.4, 1.0, 3.0, -0.15, 0.5, 40.0]), 63)[None]
    closed, summed = path_loss(B, step, repeat=63), path_loss(B, np.repeat(step, 63, axis=0))
    for field in ("total_return", "contribution", "sensitivity"):
        np.testing.assert_allclose(getattr(closed, field), getattr(summed, field), rtol=1e-11, atol=1e-12)


def test_a_fund_that_is_the_market_loses_what_the_market_loses() -> None:
    one = np.array([[1.0, 0, 0, 0, 0, 0], [2.0, 0, 0, 0, 0, 0], [-1.0, 0, 0, 0, 0, 0]])
    step = per_session(np.array([-0.4, 0, 0, 0, 0, 0]), 126)[None]
    total = path_loss(one, step, repeat=126).total_return
    assert total[0] == pytest.approx(-0.4, abs=1e-12)
    # Twice by the session: about 0.6**2, less what reverts; at once 80 %.
    assert total[1] == pytest.approx(0.36 - 1, abs=0.003)
    assert total[2] == pytest.approx(1 / 0.6 - 1, abs=0.01)
    at_once = path_loss(one, np.array([[-0.4, 0, 0, 0, 0, 0]])).total_return
    np.testing.assert_allclose(at_once, [-0.4, -0.8, 0.4])


@given(
    loading=st.lists(st.floats(-5, 5), min_size=6, max_size=6),
    moves=st.lists(
        st.tuples(*[st.floats(-1, 1)] * 6),
        min_size=1,
        max_size=6,
    ),
    repeat=st.integers(1, 60),
)
def test_contributions_add_up_and_nothing_loses_more_than_all(loading, moves, repeat) -> None:
    path = np.array(moves)
    got = path_loss(np.array([loading]), path, repeat=repeat if len(path) == 1 else 1)
    scale = 1 + np.abs(got.contribution).sum()
    assert abs(got.contribution[0].sum() - got.total_return[0]) <= 1e-12 * scale
    assert got.total_return[0] >= -1
    assert np.isfinite(got.sensitivity).all()


@given(loss=st.floats(0.0, 0.95), more=st.floats(0.0, 0.04), horizon=st.sampled_from([1, 21, 126]))
def test_a_larger_shock_loses_more(loss, more, horizon) -> None:
    shocks = np.zeros((2, 6))
    shocks[:, 0] = [-loss, -loss - more]
    long = np.abs(B) * np.array([1, 0, 0, 0, 0, 0])
    steps = per_session(shocks, horizon)
    mild, severe = (path_loss(long, s[None], repeat=horizon).total_return for s in steps)
    assert (severe <= mild + 1e-12).all()


def test_a_shock_at_once_is_linear() -> None:
    move = factor_history(1)
    one, two = path_loss(B, move).total_return, path_loss(B, 2 * move).total_return
    np.testing.assert_allclose(two, 2 * one, rtol=1e-12)


def test_a_lost_fund_stays_lost() -> None:
    b = np.array([[3.0, 0, 0, 0, 0, 0]])
    path = np.zeros((3, 6))
    path[:, 0] = [0.1, -0.5, 0.9]
    got = path_loss(b, path)
    assert got.total_return[0] == -1
    np.testing.assert_allclose(got.contribution[0], [-1, 0, 0, 0, 0, 0], atol=1e-12)


def test_no_move_no_loss_and_tiny_moves_keep_their_digits() -> None:
    assert not path_loss(B, np.zeros((1, 6)), repeat=21).total_return.any()
    tiny = path_loss(B, np.full((1, 6), 1e-14), repeat=21)
    np.testing.assert_allclose(tiny.total_return, 21e-14 * B.sum(axis=1), rtol=1e-9)


def test_sensitivity_is_the_derivative() -> None:
    path = factor_history(40)
    got = path_loss(B, path)
    for k in range(6):
        up, down = B.copy(), B.copy()
        up[:, k] += 1e-5
        down[:, k] -= 1e-5
        slope = np.log1p(path_loss(up, path).total_return) - np.log1p(path_loss(down, path).total_return)
        np.testing.assert_allclose(got.sensitivity[:, k], slope / 2e-5, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("horizon", [1, 126])
def test_convexity_of_a_bond(horizon: int) -> None:
    """A 10-year bond of duration 8.5 and convexity 85 repriced at +-200 basis points, to the third order."""
    duration, convexity = 8.5, 85.0
    b = np.array([[0, -duration / 100, 0, 0, 0, 0]])
    bend = np.full((1, 6), np.nan)
    bend[0, 1] = convexity / 1e4
    for shock in (2.0, -2.0):
        want = -duration * shock / 100 + 0.5 * convexity * (shock / 100) ** 2
        step = per_session(np.array([0, shock, 0, 0, 0, 0]), horizon)[None]
        got = path_loss(b, step, repeat=horizon, convexity=bend)
        assert got.total_return[0] == pytest.approx(want, abs=1.5e-3)
        assert got.contribution.sum() == pytest.approx(got.total_return[0], abs=1e-12)


def test_funds_without_exposures_have_no_loss() -> None:
    b = B.copy()
    b[2, 3] = np.nan
    for path, repeat in ((factor_history(10), 1), (factor_history(1), 21)):
        got = path_loss(b, path, repeat=repeat)
        assert np.isnan(got.total_return[2])
        assert np.isnan(got.sensitivity[2]).all()
        assert np.isfinite(np.delete(got.total_return, 2)).all()
        np.testing.assert_array_equal(
            np.delete(got.contribution, 2, axis=0),
            path_loss(np.delete(b, 2, axis=0), path, repeat=repeat).contribution,
        )


def test_the_kernel_equals_its_reference() -> None:
    rng = np.random.default_rng(2)
    b = rng.normal(size=(200, 6)) * np.array([1.5, 0.05, 0.05, 0.5, 0.2, 0.001])
    b[0, 0] = -60.0  # loses everything on some session
    b[1, 2] = np.nan
    bend = np.zeros_like(b)
    bend[:, 1] = rng.normal(0, 1e-5, 200)
    path = factor_history(400)
    got = tuple(np.empty(shape) for shape in ((200,), (200, 6), (200, 6)))
    compound(b, path, bend, *got)
    assert got[0][0] == -1
    for fast, plain_result in zip(got, compound_reference(b, path, bend), strict=True):
        np.testing.assert_allclose(fast, plain_result, rtol=1e-10, atol=1e-12)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="has a NaN"):
        path_loss(B, np.full((2, 6), np.nan))
    with pytest.raises(ValueError, match="path of one row"):
        path_loss(B, factor_history(2), repeat=3)
    with pytest.raises(ValueError, match="are needed"):
        path_loss(B, np.zeros((2, 5)))
