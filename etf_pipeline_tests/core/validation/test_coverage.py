"""Coverage tests: published regions, a worked example, size and power."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from etf_pipeline.core.validation.coverage import (
    ACCEPTED_BELOW,
    acceptance_band,
    chi_squared_p_value,
    independence_statistic,
    kupiec_statistic,
)


# Kupiec (1995): non-rejection regions at 95 %, as open intervals.
@pytest.mark.parametrize(
    ("probability", "observations", "above", "below"),
    [
        (0.01, 510, 1, 11),
        (0.01, 1000, 4, 17),
        (0.025, 255, 2, 12),
        (0.025, 510, 6, 21),
        (0.025, 1000, 15, 36),
        (0.05, 255, 6, 21),
        (0.05, 510, 16, 36),
        (0.05, 1000, 37, 65),
        (0.075, 255, 11, 28),
        (0.075, 510, 27, 51),
        (0.075, 1000, 59, 92),
        (0.10, 255, 16, 36),
        (0.10, 510, 38, 65),
        (0.10, 1000, 81, 120),
    ],
)
def test_published_non_rejection_regions(probability, observations, above, below):
    lowest, highest = acceptance_band(np.array([observations]), probability)
    assert (lowest[0], highest[0]) == (above + 1, below - 1)


def test_one_year_at_99_percent():
    # Published as N < 7; the ratio also rejects no exception in 255 sessions: -510 log 0.99 = 5.13.
    lowest, highest = acceptance_band(np.array([255]), 0.01)
    assert (lowest[0], highest[0]) == (1, 6)
    assert float(kupiec_statistic(0, 255, 0.01)) == pytest.approx(-510 * np.log(0.99), rel=1e-13)


def test_the_chi_squared_p_value_is_rough_in_one_year_at_99_percent():
    lowest, highest = acceptance_band(np.array([252]), 0.01)
    rejected = stats.binom.cdf(lowest[0] - 1, 252, 0.01) + stats.binom.sf(highest[0], 252, 0.01)
    assert rejected == pytest.approx(0.093, abs=0.005)


def test_the_band_is_where_the_test_accepts():
    for n, p in (
        (1, 0.05),
        (2, 0.45),
        (7, 0.01),
        (90, 0.05),
        (150, 0.01),
        (252, 0.01),
        (2301, 0.05),
        (4600, 0.01),
    ):
        accepted = np.flatnonzero(kupiec_statistic(np.arange(n + 1), n, p) <= ACCEPTED_BELOW)
        lowest, highest = acceptance_band(np.array([n, 0]), p)
        assert (lowest.tolist(), highest.tolist()) == ([accepted[0], 0], [accepted[-1], 0])
        assert len(accepted) == accepted[-1] - accepted[0] + 1


def test_kupiec_is_zero_at_the_expected_count_and_nan_without_observations():
    assert float(kupiec_statistic(10, 1000, 0.01)) == pytest.approx(0, abs=1e-12)
    assert np.isnan(kupiec_statistic(0, 0, 0.01))
    assert np.isnan(chi_squared_p_value(np.nan, 1))


def test_christoffersen_by_hand():
    # 0 0 1 1 0 0 0 1 0 0 0: transitions 00: 5, 01: 2, 10: 2, 11: 1.
    transitions = np.array([[5, 2], [2, 1]])
    alike = 7 * np.log(7 / 10) + 3 * np.log(3 / 10)
    apart = 5 * np.log(5 / 7) + 2 * np.log(2 / 7) + 2 * np.log(2 / 3) + np.log(1 / 3)
    statistic = float(independence_statistic(transitions))
    assert statistic == pytest.approx(2 * (apart - alike), rel=1e-13)
    assert statistic == pytest.approx(0.0224, abs=5e-5)
    assert float(chi_squared_p_value(statistic, 1)) == pytest.approx(stats.chi2.sf(statistic, 1), rel=1e-12)


def test_independence_is_the_likelihood_ratio_of_the_contingency_table():
    table = np.array([[930, 40], [35, 12]])
    expected = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic
    assert float(independence_statistic(table)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("table", [[[250, 0], [0, 0]], [[0, 0], [0, 9]], [[249, 1], [0, 0]]])
def test_nothing_speaks_against_independence_without_contrast(table):
    assert float(independence_statistic(np.array(table))) == pytest.approx(0, abs=1e-12)


def test_no_transitions():
    assert np.isnan(independence_statistic(np.zeros((2, 2))))


def chains(rng, paths, count, stay, enter):
    """(paths, 2, 2) transition counts of two-state chains."""
    state = np.zeros(paths, dtype=int)
    table = np.zeros((paths, 2, 2))
    for _ in range(count):
        after = (rng.random(paths) < np.where(state == 1, stay, enter)).astype(int)
        table[np.arange(paths), state, after] += 1
        state = after
    return table


def test_sizes():
    rng = np.random.default_rng(1)
    table = chains(rng, 4000, 1000, 0.05, 0.05)
    hits = table[:, :, 1].sum(axis=1)
    unconditional = kupiec_statistic(hits, 1000, 0.05)
    independence = independence_statistic(table)
    for statistic, freedom in ((unconditional, 1), (independence, 1), (unconditional + independence, 2)):
        assert 0.035 < np.mean(chi_squared_p_value(statistic, freedom) < 0.05) < 0.085


def test_clustered_exceptions_are_found():
    table = chains(np.random.default_rng(2), 300, 1000, 0.30, 0.037)  # 5 % in the long run
    assert np.mean(chi_squared_p_value(independence_statistic(table), 1) < 0.05) > 0.95


def test_twice_the_exceptions_are_found():
    hits = np.random.default_rng(3).binomial(1000, 0.10, 500)
    assert np.mean(chi_squared_p_value(kupiec_statistic(hits, 1000, 0.05), 1) < 0.05) > 0.99
