"""The simplex on functions whose minima are known, and on the likelihoods it is there for."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import rosen

from etf_pipeline.core.risk.garch import MODELS, fit_garch, simplex, specification
from etf_pipeline.core.risk.garch.likelihood import WORK_ROWS
from etf_pipeline.core.risk.garch.likelihood_reference import log_likelihood_reference
from etf_pipeline.core.risk.garch.prepare import prepare
from etf_pipeline.core.risk.garch.transform import free_parameters, to_free, to_natural
from etf_pipeline_tests.core.risk.garch.test_fit import simulated

Search = Callable[[Callable[[np.ndarray], float], list[float]], tuple[np.ndarray, int]]


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> Search:
    """The search as it is, on any function: where it ends and how often it looked."""

    def run(function: Callable[[np.ndarray], float], start: list[float]) -> tuple[np.ndarray, int]:
        looked: list[float] = []

        def value(u: np.ndarray, *_: object) -> float:
            looked.append(function(u.copy()))
            return looked[-1] if math.isfinite(looked[-1]) else math.inf

        monkeypatch.setattr(simplex, "_value", value)
        u = np.array(start, dtype=float)
        with np.errstate(invalid="ignore"):  # infinity less infinity, of which compiled code says nothing
            simplex.polish.py_func(u, (0, 0, 0), np.zeros(1), 0, 1, 1.0, 1.0, np.zeros((1, 1)))
        return u, len(looked)

    return run


@pytest.mark.parametrize("start", [[0.0, 0.0], [1.0, -2.0], [-1.0, 0.5]])
def test_a_tilted_bowl(search: Search, start: list[float]) -> None:
    a = np.array([[3.0, 1.0], [1.0, 1.0]])
    place = np.array([0.7, -0.4])
    found, _ = search(lambda u: float((u - place) @ a @ (u - place)), start)
    np.testing.assert_allclose(found, place, atol=1e-3)


@pytest.mark.parametrize("start", [[-0.5, 0.5], [0.5, 0.0], [1.5, 2.0]])
def test_rosenbrocks_valley(search: Search, start: list[float]) -> None:
    found, _ = search(lambda u: float(rosen(u)), start)
    assert rosen(found) < 1e-5
    np.testing.assert_allclose(found, [1.0, 1.0], atol=0.01)


def test_a_kink_where_a_gradient_would_stall(search: Search) -> None:
    found, _ = search(lambda u: abs(u[0] - 0.3) + 2 * abs(u[1] + 0.2) + abs(u[0] + u[1] - 0.1), [0.0, 0.0])
    np.testing.assert_allclose(found, [0.3, -0.2], atol=1e-3)


def test_a_minimum_on_a_border(search: Search) -> None:
    """Beyond the border there is no value: the search creeps up to it from inside."""
    found, _ = search(lambda u: u[0] + (u[1] - 0.5) ** 2 if u[0] >= 0.25 else math.nan, [1.0, 0.0])
    assert 0.25 <= found[0] < 0.26
    assert found[1] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("nothing", [math.nan, math.inf, -math.inf])
def test_where_there_is_no_value_anywhere_it_stays(search: Search, nothing: float) -> None:
    found, looked = search(lambda _: nothing, [0.4, -0.1, 2.0])
    np.testing.assert_array_equal(found, [0.4, -0.1, 2.0])
    assert looked < 5000


def test_it_finds_its_way_out_of_where_there_is_none(search: Search) -> None:
    found, _ = search(lambda u: math.inf if u[0] < 0.1 else float((u - 0.5) @ (u - 0.5)), [0.0, 0.0])
    np.testing.assert_allclose(found, [0.5, 0.5], atol=1e-2)


def test_it_ends(search: Search) -> None:
    """A function that falls for ever: 80 steps a parameter, each of one or two looks."""
    found, looked = search(lambda u: -float(u.sum()), [0.0, 0.0, 0.0])
    assert 240 <= looked <= 2 * 240 + 3 * 4
    assert found.sum() > 100


class Series:
    """One model on one series, as the fits call the simplex."""

    def __init__(self, name: str, y: np.ndarray) -> None:
        self.model, self.y = specification(name).code, y
        self.k = free_parameters(self.model)
        self.work = np.empty((WORK_ROWS, len(y)))
        self.start, self.target = prepare(y, 0, len(y), self.model[2], 1, np.zeros(7), self.work)

    def polish(self, u: np.ndarray) -> np.ndarray:
        out = u.copy()
        simplex.polish(out, self.model, self.y, 0, len(self.y), self.start, self.target, self.work)
        return out

    def value(self, u: np.ndarray) -> float:
        return simplex._value(
            u, self.model, self.y, 0, len(self.y), self.start, self.target, self.work, np.zeros(7)
        )


@pytest.mark.parametrize("name", MODELS)
def test_what_it_improves_is_the_negative_log_likelihood(name: str) -> None:
    y = simulated(1, 400)
    case = Series(name, y)
    fit = fit_garch(y[:, None], specification(name))
    u, theta = np.zeros(case.k), np.zeros(7)
    to_free(fit.parameters[0], case.model, case.target, u)
    u += 0.02
    to_natural(u, case.model, case.target, theta)
    reference = log_likelihood_reference(theta, case.model, y, case.start)
    assert case.value(u) == pytest.approx(-reference, rel=1e-10)


@pytest.mark.parametrize("name", MODELS)
def test_it_climbs_back_to_the_optimum(name: str) -> None:
    """From beside it, to within 0.05 in log-likelihood, without a single derivative."""
    y = simulated(5, 1000)
    case = Series(name, y)
    fit = fit_garch(y[:, None], specification(name))
    u = np.zeros(case.k)
    to_free(fit.parameters[0], case.model, case.target, u)
    beside = u + 0.05 * np.where(np.arange(case.k) % 2, 1.0, -1.0)
    lost = case.value(beside) + fit.log_likelihood[0]
    assert lost > 0.1
    assert case.value(case.polish(beside)) + fit.log_likelihood[0] < min(0.05, 0.5 * lost)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), name=st.sampled_from(MODELS), thin=st.booleans())
def test_it_is_never_worse_than_its_start(seed: int, name: str, thin: bool) -> None:
    """Wherever it starts, thin funds with their many zeros included."""
    rng = np.random.default_rng(seed)
    y = rng.standard_t(3, 300)
    if thin:
        y[rng.random(300) < 0.4] = 0.0
    case = Series(name, y)
    u = 2.0 * rng.standard_normal(case.k)
    once = case.polish(u)
    assert case.value(once) <= case.value(u)
    assert case.value(case.polish(once)) <= case.value(once)


def test_not_a_number_is_no_likelihood() -> None:
    case = Series("garch_t", simulated(2, 300))
    u = np.full(case.k, np.nan)
    assert case.value(u) == math.inf
    assert np.isnan(case.polish(u)).all()
