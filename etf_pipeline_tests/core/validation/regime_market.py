"""Scores, returns and regimes of an invented market, in which what a component is worth may depend on the regime."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COMPONENTS = ("momentum", "forecast", "risk", "volume")
DEPENDENT = np.array([[0.035, 0.02, -0.02, 0.01], [0.02, 0.02, 0.0, 0.01], [-0.05, 0.0, 0.06, 0.0]])
"""Mean daily premium of each component's signal in calm, normal and stress, in daily standard deviations of a fund."""
STAY = (0.992, 0.985, 0.975)


@dataclass(frozen=True)
class RegimeMarket:
    """Panels (S, N); regime probabilities (S, 3) as a filter would have them; sessions (S,)."""

    scores: dict[str, np.ndarray]
    total_return: np.ndarray
    spanned: np.ndarray
    probability: np.ndarray
    sessions: np.ndarray


def regime_market(
    seed: int,
    *,
    premium: np.ndarray = DEPENDENT,
    sessions: int = 3780,
    funds: int = 60,
    factor_noise: float = 0.10,
) -> RegimeMarket:
    """Persistent signals whose premium is ``premium[regime]`` plus noise of its own on each session."""
    rng = np.random.default_rng(seed)
    state = np.empty(sessions, dtype=np.int64)
    state[0] = 0
    u = rng.random(sessions)
    for t in range(1, sessions):
        stays = u[t] < STAY[state[t - 1]]
        others = [(1, 2), (0, 2), (0, 1)][state[t - 1]]
        state[t] = state[t - 1] if stays else others[rng.integers(2)]
    signal = np.empty((len(COMPONENTS), sessions, funds))
    level = rng.standard_normal((len(COMPONENTS), funds))
    for t in range(sessions):
        level = 0.98 * level + np.sqrt(1 - 0.98**2) * rng.standard_normal(level.shape)
        signal[:, t] = level
    volatility = np.array([0.006, 0.009, 0.018])[state][:, None]
    worth = premium[state] + factor_noise * rng.standard_normal((sessions, len(COMPONENTS)))
    returns = rng.standard_normal((sessions, funds)) + rng.standard_normal((sessions, 1))
    returns[1:] += np.einsum("tc,ctn->tn", worth[1:], signal[:, :-1])
    # What a filter knows: late by some sessions, and never quite sure.
    seen = np.full((sessions, 3), 1 / 3)
    for t in range(1, sessions):
        evidence = np.where(np.arange(3) == state[t], 0.7, 0.15)
        seen[t] = (0.97 * seen[t - 1] + 0.015 * (1 - seen[t - 1])) * evidence
        seen[t] /= seen[t].sum()
    rank = signal.argsort(axis=2).argsort(axis=2)
    return RegimeMarket(
        scores={name: 100.0 * (rank[c] + 0.5) / funds for c, name in enumerate(COMPONENTS)},
        total_return=volatility * returns / np.sqrt(2),
        spanned=np.ones(returns.shape, dtype=np.int64),
        probability=seen,
        sessions=np.datetime64("2008-01-01") + np.arange(sessions) * 7 // 5,
    )
