"""The most likely scenario that loses a given part."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize

from etf_pipeline.core.attribution.stress.reverse import reverse_stress
from etf_pipeline_tests.core.attribution.stress.stress_market import COVARIANCE, exposures

FUNDS = exposures(5)
WEIGHTS = np.array([0.3, 0.2, 0.1, 0.2, 0.15])


def run(**more):
    return reverse_stress(WEIGHTS, FUNDS.loadings, COVARIANCE, FUNDS.residual_variance, **more)


def distance(moves: np.ndarray, specific: np.ndarray, horizon: int) -> float:
    far = moves @ np.linalg.solve(horizon * COVARIANCE, moves)
    return float(np.sqrt(far + (specific**2 / (horizon * FUNDS.residual_variance)).sum()))


def test_it_reaches_exactly_the_loss() -> None:
    for loss in (0.05, 0.2, 0.6):
        got = run(loss=loss)
        log_return = WEIGHTS @ (FUNDS.loadings @ got.moves + got.specific)
        assert np.expm1(log_return) == pytest.approx(-loss, abs=1e-13)
        assert got.contribution.sum() == pytest.approx(np.log1p(-loss), abs=1e-13)


def test_a_numerical_search_finds_nothing_nearer() -> None:
    got = run(loss=0.2, horizon=21)
    assert distance(got.moves, got.specific, 21) == pytest.approx(got.distance)
    root = np.linalg.cholesky(21 * COVARIANCE)
    own = np.sqrt(21 * FUNDS.residual_variance)

    def reached(u: np.ndarray) -> float:
        return float(WEIGHTS @ (FUNDS.loadings @ (root @ u[:6]) + own * u[6:]) - np.log(0.8))

    found = minimize(
        lambda u: u @ u,
        np.full(11, -0.5),
        jac=lambda u: 2 * u,
        constraints={"type": "eq", "fun": reached},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert np.sqrt(found.fun) == pytest.approx(got.distance, rel=1e-7)
    np.testing.assert_allclose(root @ found.x[:6], got.moves, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(own * found.x[6:], got.specific, rtol=1e-4, atol=1e-7)


def test_probabilities_hold_in_simulation() -> None:
    got = run(loss=0.05, horizon=21)
    rng = np.random.default_rng(0)
    n, nu = 400_000, 4.0
    sigma = np.sqrt(21 * (WEIGHTS @ FUNDS.loadings @ COVARIANCE @ FUNDS.loadings.T @ WEIGHTS
                          + WEIGHTS**2 @ FUNDS.residual_variance))  # fmt: skip
    normal = sigma * rng.normal(size=n)
    fat = sigma * rng.standard_t(nu, n) * np.sqrt((nu - 2) / nu)
    assert (normal <= np.log(0.95)).mean() == pytest.approx(got.probability_normal, rel=0.05)
    assert (fat <= np.log(0.95)).mean() == pytest.approx(got.probability_t, rel=0.05)
    far = stats.chi2(7).sf(got.distance**2)
    assert got.scenario_probability_normal == pytest.approx(far)
    assert got.scenario_probability_t > 0


def test_fat_tails_make_disasters_likelier_and_more_is_less_likely() -> None:
    mild, severe = run(loss=0.1), run(loss=0.3)
    assert severe.probability_t > 1e3 * severe.probability_normal
    assert severe.distance > mild.distance
    assert severe.probability_t < mild.probability_t
    longer = run(loss=0.3, horizon=126)
    assert longer.distance < severe.distance
    # With many degrees of freedom it is the normal.
    nearly = run(loss=0.05, degrees_of_freedom=1e6)
    assert nearly.probability_t == pytest.approx(nearly.probability_normal, rel=1e-3)
    assert nearly.scenario_probability_t == pytest.approx(nearly.scenario_probability_normal, rel=1e-3)


def test_funds_that_are_not_held_may_be_unknown() -> None:
    loadings = FUNDS.loadings.copy()
    loadings[4] = np.nan
    weights = WEIGHTS.copy()
    weights[4] = 0
    got = reverse_stress(weights, loadings, COVARIANCE, FUNDS.residual_variance)
    assert np.isfinite(got.moves).all()
    assert got.specific[4] == 0
    with pytest.raises(ValueError, match="fund 4 is held but has no exposures"):
        reverse_stress(WEIGHTS, loadings, COVARIANCE, FUNDS.residual_variance)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"loss": 20.0}, "between 0 and 1"),
        ({"horizon": 0}, "at least 1 session"),
        ({"degrees_of_freedom": 2.0}, "must exceed 2"),
    ],
)
def test_what_cannot_be_is_refused(more, told) -> None:
    with pytest.raises(ValueError, match=told):
        run(**more)


def test_no_risk_no_loss() -> None:
    with pytest.raises(ValueError, match="has no risk"):
        reverse_stress(np.zeros(5), FUNDS.loadings, COVARIANCE, FUNDS.residual_variance)
