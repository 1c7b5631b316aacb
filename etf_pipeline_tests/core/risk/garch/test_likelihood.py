"""The likelihood against its plain reference, its gradient against differences, the free space there and back."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import psi

from etf_pipeline.core.risk.garch import MODELS, specification
from etf_pipeline.core.risk.garch.likelihood import (
    WORK_ROWS,
    digamma,
    likelihood_and_gradient,
)
from etf_pipeline.core.risk.garch.likelihood_reference import log_likelihood_reference
from etf_pipeline.core.risk.garch.prepare import prepare
from etf_pipeline.core.risk.garch.transform import chain, free_parameters, to_free, to_natural

CASES = [(name, mean) for name in MODELS for mean in ("zero", "constant", "ar1")]


def clustered(seed: int = 0, length: int = 400) -> np.ndarray:
    y = np.random.default_rng(seed).standard_t(5, length)
    y[100:150] *= 2
    return y


class Case:
    """One model on one series, as a function of the free vector."""

    def __init__(self, name: str, mean: str, y: np.ndarray) -> None:
        self.code = specification(name, mean).code  # type: ignore[arg-type]
        self.y, self.first = y, int(mean == "ar1")
        self.work = np.empty((WORK_ROWS, len(y)))
        self.theta, self.natural = np.zeros(7), np.zeros(7)
        self.start, self.target = prepare(y, self.first, len(y), self.code[2], 1, np.zeros(7), self.work)
        self.k = free_parameters(self.code)

    def point(self, seed: int) -> np.ndarray:
        u = 0.2 * np.random.default_rng(seed).standard_normal(self.k)
        if self.code[0] == 2:
            beta = self.k - 1 - self.code[1]
            u[beta] += 2.0
            # Persistent, and moved by news the usual way round: the reference has no bounds to catch the rest.
            u[beta - 3] *= 0.1
            u[beta - 2] = abs(u[beta - 2])
        return u

    def value(self, u: np.ndarray) -> float:
        to_natural(u, self.code, self.target, self.theta)
        return likelihood_and_gradient(
            self.theta, self.code, self.y, self.first, len(self.y), self.start, self.work, self.natural
        )


@pytest.mark.parametrize(("name", "mean"), CASES)
def test_value_is_that_of_the_reference(name: str, mean: str) -> None:
    case = Case(name, mean, clustered())
    for seed in range(5):
        value = case.value(case.point(seed))
        reference = log_likelihood_reference(case.theta, case.code, case.y, case.start)
        assert value == pytest.approx(reference, rel=1e-12)


@pytest.mark.parametrize(("name", "mean"), CASES)
def test_gradient_is_that_of_differences(name: str, mean: str) -> None:
    case = Case(name, mean, clustered(1))
    for seed in range(3):
        u = case.point(seed)
        gradient = np.zeros(case.k)
        case.value(u)
        chain(u, case.code, case.target, case.theta, case.natural, gradient)
        step = 1e-6
        for i, unit in enumerate(np.eye(case.k)):
            slope = (case.value(u + step * unit) - case.value(u - step * unit)) / (2 * step)
            assert gradient[i] == pytest.approx(slope, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize(("name", "mean"), CASES)
def test_gradient_holds_where_variances_hit_their_bounds(name: str, mean: str) -> None:
    case = Case(name, mean, clustered(2))
    case.work[5, 50:60] = 30.0  # a lower bound above what the model says
    case.work[6, 200:210] = 0.01  # an upper bound below it
    u = case.point(1)
    gradient = np.zeros(case.k)
    case.value(u)
    chain(u, case.code, case.target, case.theta, case.natural, gradient)
    for i, unit in enumerate(np.eye(case.k)):
        slope = (case.value(u + 1e-6 * unit) - case.value(u - 1e-6 * unit)) / 2e-6
        assert gradient[i] == pytest.approx(slope, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize(("name", "mean"), CASES)
def test_there_and_back(name: str, mean: str) -> None:
    case = Case(name, mean, clustered())
    u, back = case.point(4), np.zeros(case.k)
    to_natural(u, case.code, case.target, case.theta)
    to_free(case.theta, case.code, case.target, back)
    np.testing.assert_allclose(back, u, atol=1e-12)


@pytest.mark.parametrize("name", [m for m in MODELS if not m.startswith("egarch")])
def test_the_free_space_stays_inside_the_borders(name: str) -> None:
    case = Case(name, "zero", clustered())
    rng = np.random.default_rng(0)
    for _ in range(300):
        to_natural(10 * rng.standard_normal(case.k), case.code, case.target, case.theta)
        _, _, omega, alpha, gamma, beta, nu = case.theta
        assert omega > 0
        assert alpha >= 0
        assert alpha + gamma >= -1e-15
        assert beta >= 0
        assert alpha + gamma / 2 + beta <= 1 + 1e-12
        assert nu == 0 or 2.05 - 1e-9 <= nu <= 500 + 1e-6


def test_digamma() -> None:
    x = np.concatenate([np.linspace(0.01, 10, 200), [50.0, 300.0]])
    np.testing.assert_allclose([digamma(v) for v in x], psi(x), rtol=1e-10, atol=1e-10)
