"""Contributions to a portfolio's volatility: they add up, and are what a small change of weights says."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.attribution.risk_contribution import risk_contribution


def model(seed, funds=9, factors=4, lead=()):
    rng = np.random.default_rng(seed)
    root = rng.normal(0, 0.01, (*lead, factors, factors))
    return (
        rng.normal(0.1, 0.2, (*lead, funds)),
        rng.normal(0.5, 0.5, (*lead, funds, factors)),
        root @ root.swapaxes(-1, -2),
        rng.uniform(1e-6, 1e-4, (*lead, funds)),
    )


@pytest.mark.parametrize("seed", range(5))
def test_contributions_add_up_and_the_variance_is_the_portfolios(seed):
    w, b, f, s = model(seed)
    found = risk_contribution(w, b, f, s)
    whole = b @ f @ b.T + np.diag(s)
    assert found.variance == pytest.approx(w @ whole @ w, rel=1e-12)
    assert found.factor_variance.sum() + found.specific_variance == pytest.approx(found.variance, rel=1e-13)
    assert found.factor_volatility.sum() + found.specific_volatility == pytest.approx(
        found.volatility, rel=1e-13
    )
    assert found.fund_volatility.sum() == pytest.approx(found.volatility, rel=1e-12)
    assert found.fund_specific_volatility.sum() == pytest.approx(found.specific_volatility, rel=1e-12)
    for j in range(len(w)):
        step = np.zeros(len(w))
        step[j] = 1e-6
        up, down = ((w + d) @ whole @ (w + d) for d in (step, -step))
        assert found.marginal[j] == pytest.approx((np.sqrt(up) - np.sqrt(down)) / 2e-6, rel=1e-5)


def test_many_sessions_at_once_are_each_by_itself():
    w, b, f, s = model(3, lead=(6,))
    together = risk_contribution(w, b, f, s)
    for t in range(6):
        alone = risk_contribution(w[t], b[t], f[t], s[t])
        np.testing.assert_allclose(together.fund_volatility[t], alone.fund_volatility, rtol=1e-12)


def test_a_hedge_contributes_less_than_nothing():
    found = risk_contribution(
        np.array([1.0, 0.5]), np.array([[1.0], [-1.0]]), np.array([[1e-4]]), np.array([1e-6, 1e-6])
    )
    assert found.fund_volatility[1] < 0 < found.fund_volatility[0]
    assert found.exposure[0] == pytest.approx(0.5)


def test_funds_without_exposures_are_told():
    w, b, f, s = model(4)
    w[5] = 0.0
    b[2, 1], s[5] = np.nan, np.nan
    found = risk_contribution(w, b, f, s)
    assert found.unexplained_weight == pytest.approx(abs(w[2]))
    assert np.isnan(found.fund_volatility[2])
    assert found.fund_volatility[5] == 0.0
    keep = np.array([j not in (2, 5) for j in range(9)])
    rest = risk_contribution(w[keep], b[keep], f, s[keep])
    assert found.volatility == pytest.approx(rest.volatility, rel=1e-12)
    assert np.isnan(risk_contribution(w, b, f * np.nan, s).volatility)


def test_no_risk_gives_zeros():
    _, b, f, s = model(5)
    found = risk_contribution(np.zeros(9), b, f, s)
    assert found.volatility == 0
    np.testing.assert_array_equal(found.fund_volatility, 0)


def test_what_cannot_be_meant_is_refused():
    w, b, f, s = model(6)
    with pytest.raises(ValueError, match="differ in funds"):
        risk_contribution(w[1:], b, f, s)
    with pytest.raises(ValueError, match="factor_covariance"):
        risk_contribution(w, b, f[1:], s)
    w[0] = np.nan
    with pytest.raises(ValueError, match="weight is NaN"):
        risk_contribution(w, b, f, s)
