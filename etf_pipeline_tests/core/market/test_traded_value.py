"""Nothing traded is zero, nobody knows is NaN."""

from __future__ import annotations

import numpy as np

from etf_pipeline.core.market.traded_value import traded_value
from etf_pipeline_tests.core.random_market import assert_causal, random_market


def test_zero_or_nan():
    volume = np.full((8, 4), 100.0)
    accepted = np.ones((8, 4), dtype=bool)
    close = np.full((8, 4), 2.0)
    accepted[:2, 0] = False  # not listed yet
    accepted[4, 1] = False  # did not trade
    volume[5, 2] = np.nan  # the source has no volume for this bar
    volume[6] = 0.0  # nor for anyone on this session
    accepted[7, 1:] = False  # a hole in the source
    volume[3, 3] = 0.0  # a bar without trade
    close[~accepted] = np.nan
    volume[~accepted] = np.nan
    value = traded_value(close, volume, accepted)
    expected = np.full((8, 4), 200.0)
    expected[:2, 0] = np.nan
    expected[4, 1] = 0.0
    expected[5, 2] = np.nan
    expected[6] = np.nan
    expected[7, 1:] = np.nan
    expected[3, 3] = 0.0
    np.testing.assert_array_equal(value, expected)


def test_cutting_changes_nothing_earlier():
    m = random_market(5)
    assert_causal(
        lambda c, v, a: {"value": traded_value(c, v, a)},
        (m.close, m.volume, m.accepted),
        (1, 9, 20, 21, 300),
    )
