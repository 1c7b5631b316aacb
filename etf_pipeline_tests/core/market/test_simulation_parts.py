"""Building blocks of the simulated market against hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.market.simulation.catalogue import catalogue
from etf_pipeline.core.market.simulation.factors import (
    FACTORS,
    combine,
    mixture_matrix,
    simulate_economy,
    simulate_regimes,
    stationary_regimes,
)
from etf_pipeline.core.market.simulation.sleeves import ORDER, SLEEVES
from etf_pipeline.core.market.simulation.streams import fund_panel, standard_student_t, stream
from etf_pipeline.core.market.simulation.trading import to_tick
from etf_pipeline_tests.core.market.simulation_fixtures import weekdays


def test_streams_are_prefixes_and_differ_by_key() -> None:
    long, short = stream(7, "alpha", 3).standard_normal(500), stream(7, "alpha", 3).standard_normal(200)
    np.testing.assert_array_equal(long[:200], short)
    for other in (stream(8, "alpha", 3), stream(7, "alpha", 4), stream(7, "activity", 3)):
        assert not (other.standard_normal(200) == short).any()


def test_fund_panel_columns_do_not_know_each_other() -> None:
    np.testing.assert_array_equal(
        fund_panel(7, "death", 90, 5, "uniform")[:50, :2], fund_panel(7, "death", 50, 2, "uniform")
    )


def test_student_t_has_unit_variance_fat_tails_and_a_limit() -> None:
    draws = standard_student_t(stream(7, "factor", 0), 5.5, 400_000)
    assert draws.var() == pytest.approx(1.0, abs=0.02)
    assert (draws**4).mean() > 4.5
    assert np.abs(draws).max() <= 9.0


@pytest.mark.parametrize(
    ("price", "market", "expected"),
    [
        (10.004, "asx", 10.0),
        (10.006, "asx", 10.01),
        (1.0026, "asx", 1.005),
        (0.0994, "asx", 0.099),
        (0.00001, "asx", 0.001),
        (1.0026, "us", 1.0),
        (0.001, "us", 0.01),
    ],
)
def test_ticks(price: float, market: str, expected: float) -> None:
    assert float(to_tick(np.array([price]), market)[0]) == expected


def test_combine_is_the_matrix_product() -> None:
    rng = np.random.default_rng(0)
    weights, columns = rng.normal(size=(5, 13)), rng.normal(size=(40, 13))
    np.testing.assert_allclose(combine(weights, columns), columns @ weights.T, atol=1e-12)


def test_long_run_of_the_regimes() -> None:
    share = stationary_regimes()
    assert share.sum() == pytest.approx(1.0)
    observed = np.bincount(simulate_regimes(1, 200_000), minlength=3) / 200_000
    np.testing.assert_allclose(observed, share, atol=0.03)


def test_factor_covariance_is_that_of_the_mixture() -> None:
    """Over two centuries the factors have the variances and correlations they are said to have."""
    sessions = np.arange(50_000).astype("datetime64[D]")
    economy = simulate_economy(11, sessions, "asx")
    mixture = mixture_matrix()
    stated = mixture @ np.diag(economy.long_run_shock_variance) @ mixture.T
    observed = np.cov(economy.felt_factor_return.T)
    np.testing.assert_allclose(np.diag(observed) / np.diag(stated), 1.0, atol=0.12)
    deviation = np.sqrt(np.diag(stated))
    correlation = stated / np.outer(deviation, deviation)
    np.testing.assert_allclose(np.corrcoef(economy.felt_factor_return.T), correlation, atol=0.05)


def test_us_factors_are_felt_a_session_late_on_the_asx_only() -> None:
    for market, lag in (("asx", 1), ("us", 0)):
        economy = simulate_economy(7, weekdays()[:100], market)
        k = FACTORS.index("overseas_equity")
        felt, own = economy.felt_factor_return[:, k], economy.factor_return[:, k]
        np.testing.assert_array_equal(felt[lag:], own[: 100 - lag])
        if lag:
            assert felt[0] == 0.0


def test_yields_are_what_the_bond_factor_says() -> None:
    economy = simulate_economy(7, weekdays(), "asx")
    change = np.diff(economy.home_yield) / 100.0
    np.testing.assert_allclose(-change, economy.felt_factor_return[1:, FACTORS.index("rates")], atol=1e-12)
    currency = economy.exchange_rate[:-1] / economy.exchange_rate[1:] - 1.0
    np.testing.assert_allclose(
        currency, economy.felt_factor_return[1:, FACTORS.index("currency")], atol=1e-12
    )


def test_catalogue_covers_the_classes_early_and_spoils_one_fund_in_six() -> None:
    funds = catalogue(7, 121, "asx")
    assert {f.asset_class for f in funds[:15]} == {s.asset_class for s in SLEEVES.values()}
    assert len({f.ticker for f in catalogue(7, 400, "asx")}) == 400
    assert set(ORDER) == set(SLEEVES)
    spoiled = [f for f in funds if f.defect]
    assert 0.14 < len(spoiled) / len(funds) < 0.18
    assert all(f.safe_until > f.defect_at for f in spoiled)
    assert not funds[0].defect
