"""A factor that has ended, or not begun, leaves the rest of its model standing."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.attribution.factor_regression import factor_regression
from etf_pipeline.core.attribution.known_factors import (
    known_factors,
    last_known,
    regression_on_known,
    rolling_on_known,
)
from etf_pipeline.core.attribution.rolling_exposure import rolling_exposure
from etf_pipeline_tests.core.attribution.factor_fixtures import factor_market
from etf_pipeline_tests.core.random_market import assert_causal

OPTIONS = {"window": 100, "min_observations": 40}
BEGINS, ENDS = 150, 300
"""Rows on which the second factor begins and the third ends."""


def ending(seed=0):
    y, spanned, f = factor_market(seed, sessions=500)
    f = np.nan_to_num(f)
    f[:BEGINS, 1] = np.nan
    f[ENDS:, 2] = np.nan
    return y, spanned, f, known_factors(f, window=100, share=0.8)


def test_a_factor_is_known_while_four_fifths_of_a_year_are():
    f = np.ones((500, 3))
    f[:BEGINS, 1] = np.nan
    f[ENDS:, 2] = np.nan
    known = known_factors(f, window=100, share=0.8)
    for column, first, stop in ((0, 79, 500), (1, BEGINS + 79, 500), (2, 79, ENDS + 20)):
        assert np.flatnonzero(known[:, column]).tolist() == list(range(first, stop)), column
    short = known_factors(f[:60], window=100, share=0.8)
    assert short.shape == (60, 3)
    assert not short.any()


def test_the_rest_is_estimated_as_if_the_missing_factor_were_none_of_the_model():
    y, spanned, f, known = ending()
    whole = rolling_on_known(y, spanned, f, known, **OPTIONS)
    for row, columns in ((200, [0, 2]), (280, [0, 1, 2]), (450, [0, 1])):
        assert known[row].nonzero()[0].tolist() == columns
        alone = rolling_exposure(y, spanned, f[:, columns], **OPTIONS)
        assert np.isfinite(alone.loading[row]).any()
        np.testing.assert_array_equal(whole.loading[row][:, columns], alone.loading[row])
        assert np.isnan(np.delete(whole.loading[row], columns, axis=1)).all()
        for name in ("alpha", "r_squared", "residual_variance", "observations", "reason"):
            np.testing.assert_array_equal(getattr(whole, name)[row], getattr(alone, name)[row], err_msg=name)


def test_regressions_at_chosen_ends_do_the_same():
    y, spanned, f, known = ending()
    ends = np.array([120, 200, 280, 450])
    whole = regression_on_known(y, spanned, f, known[ends], ends, **OPTIONS)
    for place, end in enumerate(ends):
        columns = np.flatnonzero(known[end])
        alone = factor_regression(y, spanned, f[:, columns], ends[[place]], **OPTIONS)
        np.testing.assert_array_equal(whole.loading[place][:, columns], alone.loading[0])
        np.testing.assert_array_equal(whole.t_value[place][:, columns], alone.t_value[0])
        np.testing.assert_array_equal(whole.residual_variance[place], alone.residual_variance[0])
        np.testing.assert_array_equal(whole.window_start[place], alone.window_start[0])
    assert regression_on_known(y, spanned, f, np.zeros((4, 3), dtype=bool), ends, **OPTIONS) is None


def test_without_any_factor_there_is_no_estimate():
    y, spanned, f, known = ending()
    none = rolling_on_known(y, spanned, f, np.zeros_like(known), **OPTIONS)
    assert np.isnan(none.loading).all()
    assert (none.reason != 0).all()
    assert none.loading.shape == (*y.shape, 3)


@pytest.mark.parametrize("seed", [1, 2])
def test_cuts_change_nothing(seed):
    y, spanned, f, _ = ending(seed)

    def stage(y, spanned, f):
        known = known_factors(f, window=100, share=0.8)
        found = rolling_on_known(y, spanned, f, known, **OPTIONS)
        return {"known": known, "loading": found.loading, "alpha": found.alpha}

    assert_causal(stage, (y, spanned, f), (1, 99, 200, ENDS + 5, 450))


def test_the_last_known_value_stands():
    given = np.array([np.nan, 1.0, np.nan, np.nan, 3.0, np.nan])
    np.testing.assert_array_equal(last_known(given), [np.nan, 1.0, 1.0, 1.0, 3.0, 3.0])
    assert len(last_known(given[:0])) == 0
