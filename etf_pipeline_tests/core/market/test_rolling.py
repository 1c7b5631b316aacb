"""Trailing windows against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from etf_pipeline.core.market.rolling import (
    rolling_median,
    rolling_median_reference,
    rolling_sum,
    sessions_since,
)
from etf_pipeline_tests.core.random_market import assert_causal

shapes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)
quarters = st.integers(-40, 40).map(lambda k: k / 4)
maybe_quarters = st.one_of(quarters, st.just(float("nan")))


def test_sessions_since():
    mask = np.array([[0, 1], [1, 0], [0, 0], [0, 1], [1, 0]], dtype=bool)
    assert sessions_since(mask).T.tolist() == [[-1, 0, 1, 2, 0], [0, 1, 2, 0, 1]]


@settings(deadline=None)
@given(arrays(np.float64, shapes, elements=quarters), st.integers(1, 45))
def test_rolling_sum_is_the_sum_of_the_window(values, window):
    expected = np.array([values[max(0, t - window + 1) : t + 1].sum(axis=0) for t in range(len(values))])
    np.testing.assert_array_equal(rolling_sum(values, window), expected)  # quarters add up exactly


@settings(deadline=None)
@given(arrays(np.float64, shapes, elements=maybe_quarters), st.integers(1, 45))
def test_rolling_sum_is_nan_exactly_while_the_window_holds_one(values, window):
    holds = np.array(
        [np.isnan(values[max(0, t - window + 1) : t + 1]).any(axis=0) for t in range(len(values))]
    )
    np.testing.assert_array_equal(np.isnan(rolling_sum(values, window)), holds)


def test_rolling_sum_forgets_a_huge_value():
    values = np.zeros((50, 1))
    values[3], values[20:] = 1e300, 0.1
    total = rolling_sum(values, 7)
    assert (total[10:20] == 0).all()
    np.testing.assert_allclose(total[26:], 0.7, rtol=1e-15)


def test_rolling_sum_keeps_integers_and_vectors():
    counts = np.ones(9, dtype=np.int32)
    assert rolling_sum(counts, 4).tolist() == [1, 2, 3, 4, 4, 4, 4, 4, 4]
    assert rolling_sum(counts, 4).dtype == np.int32
    assert rolling_sum(np.zeros((0, 3)), 4).shape == (0, 3)
    with pytest.raises(ValueError, match="at least 1"):
        rolling_sum(counts, 0)


@settings(deadline=None, max_examples=60)
@given(arrays(np.float64, shapes, elements=maybe_quarters), st.integers(1, 20), st.data())
def test_rolling_median_equals_its_reference(values, window, data):
    need = data.draw(st.integers(1, window))
    np.testing.assert_array_equal(
        rolling_median(values, window, need), rolling_median_reference(values, window, need)
    )


def test_rolling_median_refuses_a_count_above_the_window():
    with pytest.raises(ValueError, match="min_count 5"):
        rolling_median(np.zeros((3, 1)), 4, 5)


def test_cutting_changes_nothing_earlier():
    rng = np.random.default_rng(3)
    values = rng.lognormal(0, 3, (200, 5))
    holes = np.where(rng.random(values.shape) < 0.1, np.nan, values)
    assert_causal(
        lambda v, h: {"sum": rolling_sum(v, 21), "median": rolling_median(h, 30, 10)},
        (values, holes),
        (1, 20, 21, 22, 63, 150, 199),
    )
