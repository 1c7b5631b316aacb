"""Which model is believed: the criteria spelled out, and nothing but the past."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from etf_pipeline.core.risk.garch import HORIZONS, GarchHistory, walk_forward
from etf_pipeline.core.risk.garch.likelihood import NU
from etf_pipeline.core.risk.garch.selection import MIN_DEGREES_OF_FREEDOM, MIN_JUDGED, choose
from etf_pipeline_tests.core.risk.garch.test_walk_forward import OPTIONS, market

NAMES = ("garch_normal", "garch_t", "gjr_t")
FREE = np.array([4, 5, 6])
REFITS = np.array([20, 41, 62, 80, 103])
SESSIONS, FUNDS = 120, 5


def invented(seed: int = 0) -> tuple[GarchHistory, np.ndarray, np.ndarray]:
    """Fits and forecasts made up: missing fits, heavy tails, holes, sessions that not all models forecast."""
    rng = np.random.default_rng(seed)
    shape = (len(REFITS), FUNDS, len(NAMES))
    known = rng.random((SESSIONS, FUNDS)) < 0.85
    known[:, 4] = rng.random(SESSIONS) < 0.15  # hardly ever judged
    returns = np.where(known, 0.01 * rng.standard_normal((SESSIONS, FUNDS)), np.nan)
    variance = 1e-4 * np.exp(0.3 * rng.standard_normal((len(HORIZONS), len(NAMES), SESSIONS, FUNDS)))
    variance[:, rng.random(variance.shape[1:]) < 0.03] = np.nan
    variance[:, :, ~known] = np.nan
    variance[:, :, : REFITS[0]] = np.nan
    parameters = np.zeros((*shape, 7))
    parameters[..., 1:, NU] = rng.uniform(2.1, 4.0, (*shape[:2], 2))
    log_likelihood = 300 + 3 * rng.standard_normal(shape)
    log_likelihood[rng.random(shape) < 0.1] = np.nan
    log_likelihood[0, 1] = np.nan
    history = GarchHistory(
        models=NAMES,
        horizons=HORIZONS,
        refit_rows=REFITS,
        parameters=parameters,
        log_likelihood=log_likelihood,
        observations=rng.integers(80, 100, shape[:2]),
        converged=np.ones(shape, dtype=bool),
        fresh=np.ones(shape[:2], dtype=bool),
        variance=variance,
        chosen=np.full(shape[:2], -1),
    )
    return history, returns, known


def naive(
    history: GarchHistory, returns: np.ndarray, known: np.ndarray, criterion: str, window: int
) -> tuple[np.ndarray, np.ndarray]:
    """(R, N) choice and (R, N) sessions judged, one fund, one refit, one session at a time."""
    chosen = np.full(history.observations.shape, -1)
    judged = np.zeros(chosen.shape, dtype=int)
    for r, i in np.ndindex(chosen.shape):
        losses = [0.0] * len(history.models)
        for t in range(max(0, history.refit_rows[r] - window + 1), history.refit_rows[r] + 1):
            before = [s for s in range(t) if known[s, i]]
            if not known[t, i] or not before:
                continue
            forecasts = history.variance[0, :, before[-1], i]
            if np.isnan(forecasts).any():
                continue
            judged[r, i] += 1
            for m, h in enumerate(forecasts):
                losses[m] += math.log(h) + returns[t, i] ** 2 / h
        best = math.inf
        for m in range(len(history.models)):
            fit, nu = history.log_likelihood[r, i, m], history.parameters[r, i, m, NU]
            if math.isnan(fit) or 0.0 < nu < MIN_DEGREES_OF_FREEDOM:
                continue
            penalty = 2.0 if criterion == "aic" else math.log(history.observations[r, i])
            score = -2.0 * fit + penalty * FREE[m]
            if criterion == "predictive" and judged[r, i] >= MIN_JUDGED:
                score = losses[m]
            if score < best:
                best, chosen[r, i] = score, m
    return chosen, judged


@pytest.mark.parametrize("window", [30, 63, 1000])
@pytest.mark.parametrize("criterion", ["predictive", "bic", "aic"])
@pytest.mark.parametrize("seed", range(4))
def test_equals_the_criterion_spelled_out(criterion: str, window: int, seed: int) -> None:
    history, returns, known = invented(seed)
    expected, judged = naive(history, returns, known, criterion, window)
    got = choose(history, returns, known, FREE, criterion=criterion, window=window)  # type: ignore[arg-type]
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == np.int64
    assert {-1, 0, 1, 2} == set(np.unique(got))
    assert (judged >= MIN_JUDGED).any()
    assert (judged < MIN_JUDGED).any()


def test_the_three_criteria_are_three() -> None:
    history, returns, known = invented(1)
    by = [choose(history, returns, known, FREE, criterion=c, window=63) for c in ("predictive", "bic", "aic")]  # type: ignore[arg-type]
    assert (by[0] != by[1]).any()
    assert (by[1] != by[2]).any()


@pytest.mark.parametrize("r", range(len(REFITS)))
def test_what_comes_after_a_refit_does_not_choose(r: int) -> None:
    """The forecast made at the refit's own close is judged from the next session on."""
    history, returns, known = invented(2)
    row = REFITS[r]
    before = choose(history, returns, known, FREE, criterion="predictive", window=63)[: r + 1]
    variance, returns, known = history.variance.copy(), returns.copy(), known.copy()
    variance[:, :, row:] = 1e-9
    returns[row + 1 :], known[row + 1 :] = 0.5, True
    other = choose(
        replace(history, variance=variance), returns, known, FREE, criterion="predictive", window=63
    )
    np.testing.assert_array_equal(other[: r + 1], before)


def lone(
    returns: np.ndarray, forecasts: np.ndarray, log_likelihood: list[float]
) -> tuple[GarchHistory, np.ndarray]:
    """One fund that trades daily, one refit on its last session; forecasts (M, S)."""
    sessions = len(returns)
    history, _, _ = invented()
    models = len(forecasts)
    shape = (1, 1, models)
    return replace(
        history,
        models=NAMES[:models],
        refit_rows=np.array([sessions - 1]),
        parameters=np.zeros((*shape, 7)),
        log_likelihood=np.array(log_likelihood).reshape(shape),
        observations=np.full((1, 1), 250),
        variance=np.repeat(forecasts[None, :, :, None], len(HORIZONS), axis=0),
    ), returns[:, None]


@pytest.mark.parametrize(("judged", "wins"), [(20, 0), (21, 1)])
def test_forecasts_are_compared_from_the_twenty_first_on(judged: int, wins: int) -> None:
    """The first model fits better, the second forecasts better."""
    sessions = judged + 1  # nothing was forecast for the first
    forecasts = np.stack([np.full(sessions, 1e-2), np.full(sessions, 1e-4)])
    history, returns = lone(np.full(sessions, 0.01), forecasts, [500.0, 400.0])
    known = np.ones(returns.shape, dtype=bool)
    got = choose(history, returns, known, FREE[:2], criterion="predictive", window=1000)
    assert got.tolist() == [[wins]]


def test_the_loss_is_least_for_the_variance_that_was() -> None:
    returns = 0.01 * np.random.default_rng(0).standard_normal(2000)
    forecasts = np.stack([np.full(2000, v) for v in (0.8e-4, 1e-4, 1.25e-4)])
    history, column = lone(returns, forecasts, [500.0, 400.0, 500.0])
    got = choose(history, column, np.ones(column.shape, bool), FREE, criterion="predictive", window=2000)
    assert got.tolist() == [[1]]


def test_of_equals_the_first_is_taken() -> None:
    history, returns = lone(np.full(60, 0.01), np.full((2, 60), 1e-4), [500.0, 500.0])
    known = np.ones(returns.shape, dtype=bool)
    for criterion in ("predictive", "bic", "aic"):
        got = choose(history, returns, known, np.array([4, 4]), criterion=criterion, window=60)  # type: ignore[arg-type]
        assert got.tolist() == [[0]]


@pytest.mark.parametrize(("nu", "wins"), [(2.05, 0), (2.4999, 0), (2.5, 1), (6.0, 1), (0.0, 1)])
def test_a_tail_without_a_variance_is_never_chosen(nu: float, wins: int) -> None:
    """However well it fits and forecasts; no tail at all (0) is a normal distribution."""
    history, returns = lone(
        np.full(60, 0.01), np.stack([np.full(60, 1e-2), np.full(60, 1e-4)]), [100.0, 900.0]
    )
    history.parameters[0, 0, 1, NU] = nu
    known = np.ones(returns.shape, dtype=bool)
    for criterion in ("predictive", "bic", "aic"):
        got = choose(history, returns, known, FREE[:2], criterion=criterion, window=60)  # type: ignore[arg-type]
        assert got.tolist() == [[wins]]
    history.parameters[0, 0, :, NU] = 2.1
    got = choose(history, returns, known, FREE[:2], criterion="predictive", window=60)
    assert got.tolist() == [[-1]]


def test_no_refits_no_choice() -> None:
    history, returns, known = invented()
    none = replace(
        history,
        refit_rows=REFITS[:0],
        parameters=history.parameters[:0],
        log_likelihood=history.log_likelihood[:0],
        observations=history.observations[:0],
    )
    for criterion in ("predictive", "bic"):
        assert choose(none, returns, known, FREE, criterion=criterion, window=63).shape == (0, FUNDS)  # type: ignore[arg-type]


@pytest.mark.parametrize("criterion", ["predictive", "bic", "aic"])
@pytest.mark.parametrize("sessions", [320, 401, 555])
def test_the_choice_of_a_prefix_is_the_prefix_of_the_choice(criterion: str, sessions: int) -> None:
    returns, spanned, days = market(seed=3)
    options = {**OPTIONS, "criterion": criterion, "models": ("garch_normal", "gjr_t", "garch_t")}
    whole = walk_forward(returns, spanned, days, **options)
    part = walk_forward(returns[:sessions].copy(), spanned[:sessions].copy(), days[:sessions], **options)
    np.testing.assert_array_equal(part.chosen, whole.chosen[: len(part.chosen)])
    np.testing.assert_array_equal(part.model_in_force(), whole.model_in_force()[:sessions])
    assert len(np.unique(whole.chosen)) >= 3


def test_the_model_in_force_is_that_of_the_last_refit() -> None:
    history, _, _ = invented()
    history.chosen[:] = np.arange(len(REFITS) * FUNDS).reshape(-1, FUNDS) % 4 - 1
    got, served = history.model_in_force(), history.served_variance()
    for t in range(SESSIONS):
        past = [r for r, row in enumerate(REFITS) if row <= t]
        for i in range(FUNDS):
            model = history.chosen[past[-1], i] if past else -1
            assert got[t, i] == model
            expected = history.variance[:, model, t, i] if model >= 0 else np.full(len(HORIZONS), np.nan)
            np.testing.assert_array_equal(served[:, t, i], expected)
