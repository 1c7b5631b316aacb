"""Sharpe ratios: published probabilities, errors against simulation, and power that does what it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from etf_pipeline.core.validation.sharpe_ratio import (
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    minimum_track_record_length,
    power_of_sharpe_test,
    probabilistic_sharpe_ratio,
    sharpe_error,
    sharpe_estimates,
    sharpe_ratio,
    standardised_moments,
    years_to_detect,
)

EULER = 0.5772156649015329


class TestPublished:
    """Bailey and Lopez de Prado, 2012 and 2014."""

    def test_probabilistic_sharpe_ratio(self) -> None:
        """With the square root of T - 1; with T the value would be 0.9178."""
        found = probabilistic_sharpe_ratio(1.585 / np.sqrt(12), 24, -2.448, 10.164)
        assert found == pytest.approx(0.913234307, abs=5e-10)
        assert probabilistic_sharpe_ratio(1.585 / np.sqrt(12), 25, -2.448, 10.164) > 0.917

    def test_deflated_sharpe_ratio(self) -> None:
        found = deflated_sharpe_ratio(2.5 / np.sqrt(250), 1250, -3.0, 10.0, 100, 0.5 / 250)
        assert found == pytest.approx(0.900396834, abs=5e-10)

    def test_expected_maximum(self) -> None:
        assert expected_maximum_sharpe(100) == pytest.approx(2.530602893, abs=5e-10)

    @pytest.mark.parametrize(
        ("periods", "skew", "kurtosis", "years"),
        [(250, 0.0, 3.0, 2.73), (52, 0.0, 3.0, 2.83), (12, 0.0, 3.0, 3.24), (12, -0.72, 5.78, 4.99)],
    )
    def test_minimum_track_record(self, periods: int, skew: float, kurtosis: float, years: float) -> None:
        """An annualised ratio of 2 above one of 1 at 95 %: daily, weekly, monthly, and a monthly hedge fund index."""
        root = np.sqrt(periods)
        found = minimum_track_record_length(2 / root, skew, kurtosis, 1 / root) / periods
        assert found == pytest.approx(years, abs=0.005)


@pytest.mark.parametrize(("trials", "off"), [(10, 0.024), (100, 0.0095), (1000, 0.0045)])
def test_expected_maximum_is_near_the_exact_one(trials: int, off: float) -> None:
    def density(x: float) -> float:
        return x * trials * stats.norm.pdf(x) * stats.norm.cdf(x) ** (trials - 1)

    exact = integrate.quad(density, -8, 12)[0]
    assert exact < expected_maximum_sharpe(trials) < exact * (1 + off)


def test_expected_maximum_scales_with_the_deviation_and_is_nothing_for_one() -> None:
    assert expected_maximum_sharpe(50, 4.0) == pytest.approx(2 * expected_maximum_sharpe(50))
    assert expected_maximum_sharpe(1, np.nan) == 0.0
    many = expected_maximum_sharpe(np.linspace(1, 400, 2000))
    assert (np.diff(many) >= 0).all()
    assert many[0] == 0.0


@settings(max_examples=50, deadline=None)
@given(st.floats(-0.5, 0.5), st.integers(20, 5000), st.floats(-1, 1), st.floats(3, 15))
def test_track_record_and_probability_are_inverse(
    sharpe: float, n: int, skew: float, kurtosis: float
) -> None:
    benchmark = sharpe - 0.05
    length = minimum_track_record_length(sharpe, skew, kurtosis, benchmark, 0.9)
    assert probabilistic_sharpe_ratio(sharpe, length, skew, kurtosis, benchmark) == pytest.approx(0.9)
    longer = probabilistic_sharpe_ratio(sharpe, n + 1, skew, kurtosis, benchmark)
    assert longer > probabilistic_sharpe_ratio(sharpe, n, skew, kurtosis, benchmark)


@pytest.mark.parametrize("two_sided", [False, True])
def test_years_and_power_are_inverse(two_sided: bool) -> None:
    ratio = np.array([0.2, 0.5, 1.0, 3.0])
    years = years_to_detect(ratio, power=0.8, two_sided=two_sided, skewness=-0.5, kurtosis=6.0)
    power = power_of_sharpe_test(ratio, years, two_sided=two_sided, skewness=-0.5, kurtosis=6.0)
    np.testing.assert_allclose(power, 0.8, atol=1e-4)
    assert (np.diff(years) < 0).all()


def test_years_to_detect_half_a_sharpe() -> None:
    """(1.645 + 0.842)**2 / 0.5**2 = 24.7 years, 31.4 two-sided; quickly found is nothing at daily ratios of 0."""
    assert years_to_detect(0.5) == pytest.approx(24.73, abs=0.02)
    assert years_to_detect(0.5, two_sided=True) == pytest.approx(31.4, abs=0.05)
    assert np.isinf(years_to_detect(np.array([0.0, -0.4]))).all()
    assert years_to_detect(-0.5, two_sided=True) == pytest.approx(31.4, abs=0.05)


def test_power_is_what_simulation_finds() -> None:
    """Of 4,000 normal track records of 10 years of months, true Sharpe 0.8: found as often as said."""
    r = np.random.default_rng(0).normal(0.8 / np.sqrt(12), 1.0, (120, 4000))
    ratio = sharpe_ratio(r)
    found = (ratio / sharpe_error(ratio, 120) > stats.norm.ppf(0.95)).mean()
    assert power_of_sharpe_test(0.8, 10, periods_per_year=12) == pytest.approx(found, abs=0.03)
    assert power_of_sharpe_test(0.0, 10) == pytest.approx(0.05)
    assert power_of_sharpe_test(0.0, 10, two_sided=True) == pytest.approx(0.05)


class TestEstimates:
    def test_plain_reference(self) -> None:
        r = np.random.default_rng(1).standard_t(5, 300) * 0.01 + 0.001
        e = sharpe_estimates(r, 252)
        ratio = r.mean() / r.std(ddof=1)
        assert e.sharpe[0] == pytest.approx(ratio)
        assert e.sharpe_annualised[0] == pytest.approx(ratio * np.sqrt(252))
        assert e.skewness[0] == pytest.approx(stats.skew(r))
        assert e.kurtosis[0] == pytest.approx(stats.kurtosis(r, fisher=False))
        assert e.error_normal[0] == pytest.approx(np.sqrt((1 + ratio**2 / 2) / 300))
        spread = 1 - stats.skew(r) * ratio + (stats.kurtosis(r, fisher=False) - 1) / 4 * ratio**2
        assert e.error_moments[0] == pytest.approx(np.sqrt(spread / 299))

    def test_unit_and_gaps_do_not_matter(self) -> None:
        r = np.random.default_rng(2).standard_normal((200, 2)) + 0.1
        gaps = np.full((260, 2), np.nan)
        gaps[30:230] = 100 * r
        plain, other = sharpe_estimates(r), sharpe_estimates(gaps)
        assert other.observations.tolist() == [200, 200]
        for name in ("sharpe", "error_moments", "error_robust", "error_robust_annualised"):
            np.testing.assert_allclose(getattr(other, name), getattr(plain, name), rtol=1e-10)

    @pytest.mark.parametrize("phi", [-0.2, 0.0, 0.3])
    def test_robust_error_is_the_spread_of_estimates(self, phi: float) -> None:
        """Autocorrelated returns with t tails, 500 histories of 1,000: the mean error is within 8 % of the spread."""
        x = np.random.default_rng(3).standard_t(6, (1000, 500))
        for t in range(1, len(x)):
            x[t] += phi * x[t - 1]
        e = sharpe_estimates(x + 0.1)
        spread = e.sharpe.std()
        assert e.error_robust.mean() == pytest.approx(spread, rel=0.08)
        if phi:
            assert abs(e.error_moments.mean() / spread - 1) > 0.15

    def test_moments_error_sees_the_tails(self) -> None:
        """Crash-prone returns with a large ratio: the normal error is too small, the others are not."""
        rng = np.random.default_rng(4)
        r = np.where(rng.random((2000, 400)) < 0.02, -4.0, 0.3) + 0.3 * rng.standard_normal((2000, 400))
        e = sharpe_estimates(r)
        assert e.error_moments.mean() == pytest.approx(e.sharpe.std(), rel=0.1)
        assert e.error_robust.mean() == pytest.approx(e.sharpe.std(), rel=0.1)
        assert e.error_normal.mean() < 0.9 * e.sharpe.std()

    def test_nothing_to_judge(self) -> None:
        r = np.column_stack([np.full(30, 0.01), np.r_[0.5, np.full(29, np.nan)], np.full(30, np.nan)])
        e = sharpe_estimates(r)
        for name in ("sharpe", "skewness", "error_normal", "error_moments", "error_robust"):
            assert np.isnan(getattr(e, name)).all()
        assert e.observations.tolist() == [30, 1, 0]
        assert np.isnan(sharpe_estimates(np.array([0.1, 0.2, 0.4])).error_robust[0])
        moments, ratio = standardised_moments(np.full(5, 0.2))
        assert np.isnan(ratio)
        assert not moments.any()


def test_refusals() -> None:
    with pytest.raises(ValueError, match="finite or NaN"):
        sharpe_ratio(np.array([1.0, np.inf]))
    with pytest.raises(ValueError, match="at least 1 trial"):
        expected_maximum_sharpe(0.5)
    with pytest.raises(ValueError, match="not negative"):
        expected_maximum_sharpe(5, -1.0)
    with pytest.raises(ValueError, match="confidence"):
        minimum_track_record_length(0.1, confidence=1.0)
    with pytest.raises(ValueError, match="power"):
        years_to_detect(0.5, power=0.01)
    assert np.isinf(minimum_track_record_length(0.1, benchmark=0.2))
    assert np.isnan(probabilistic_sharpe_ratio(0.1, 1))
