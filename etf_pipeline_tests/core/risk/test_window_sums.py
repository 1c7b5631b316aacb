"""Window sums of a walking kernel against the panel's."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.market.rolling import rolling_sum
from etf_pipeline.core.risk.window_sums import advance


def walk(values, window):
    stored, head, total = np.zeros((window, values.shape[1])), *np.zeros((2, values.shape[1]))
    out = np.empty(values.shape)
    for t in range(len(values)):
        advance(values[t], stored, head, total, t)
        out[t] = total
    return out


@pytest.mark.parametrize("window", [1, 2, 7, 50, 200])
def test_equals_the_sum_of_the_last_sessions(window):
    values = np.random.default_rng(window).normal(size=(120, 3))
    direct = [values[max(0, t - window + 1) : t + 1].sum(axis=0) for t in range(120)]
    np.testing.assert_allclose(walk(values, window), direct, rtol=0, atol=1e-12)
    np.testing.assert_allclose(walk(values, window), rolling_sum(values, window), rtol=0, atol=1e-12)


def test_what_has_left_the_window_leaves_no_trace():
    values = np.random.default_rng(1).normal(size=(100, 1))
    spoiled = values.copy()
    spoiled[20] = 1e300
    np.testing.assert_array_equal(walk(values, 10)[30:], walk(spoiled, 10)[30:])
