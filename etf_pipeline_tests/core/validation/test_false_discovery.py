"""Benjamini-Yekutieli against statsmodels, and that the past is judged by the past."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from etf_pipeline.core.validation.false_discovery import adjusted_to_date, benjamini_yekutieli


@pytest.mark.parametrize("count", [1, 2, 17, 400])
@pytest.mark.parametrize("signal", [0.0, 0.3])
def test_statsmodels_agrees(count, signal):
    rng = np.random.default_rng(count)
    p = rng.random(count)
    p[rng.random(count) < signal] *= 1e-4
    p[::5] = np.round(p[::5], 1)  # ties, zeros and ones
    rejected, expected, *_ = multipletests(p, alpha=0.05, method="fdr_by")
    adjusted = benjamini_yekutieli(p)
    np.testing.assert_allclose(adjusted, expected, rtol=1e-12)
    np.testing.assert_array_equal(adjusted <= 0.05, rejected)


def test_what_was_not_tested_does_not_count():
    p = np.array([0.01, np.nan, 0.04, np.nan, 0.5])
    adjusted = benjamini_yekutieli(p)
    assert np.isnan(adjusted[[1, 3]]).all()
    np.testing.assert_array_equal(adjusted[[0, 2, 4]], benjamini_yekutieli(p[[0, 2, 4]]))
    assert np.isnan(benjamini_yekutieli(np.full(3, np.nan))).all()
    assert len(benjamini_yekutieli(np.array([]))) == 0


def test_pure_noise_is_rarely_a_discovery():
    """All hypotheses true: a family with any discovery is a false one, so at most 5 % of the families may have one."""
    rng = np.random.default_rng(5)
    families = [bool((benjamini_yekutieli(rng.random(60)) <= 0.05).any()) for _ in range(1000)]
    assert np.mean(families) <= 0.05


def test_later_tests_touch_no_earlier_ones():
    rng = np.random.default_rng(6)
    year = rng.integers(2000, 2006, 200)
    p = rng.random(200) ** 3
    p[rng.random(200) < 0.1] = np.nan
    whole = adjusted_to_date(p, year)
    for last in range(2000, 2006):
        early = year <= last
        np.testing.assert_array_equal(adjusted_to_date(p[early], year[early]), whole[early])
        newest = year[early] == last
        np.testing.assert_array_equal(whole[early][newest], benjamini_yekutieli(p[early])[newest])


@pytest.mark.parametrize("wrong", [-0.1, 1.1])
def test_what_is_no_probability_is_refused(wrong):
    with pytest.raises(ValueError, match="between 0 and 1"):
        benjamini_yekutieli(np.array([0.5, wrong]))
