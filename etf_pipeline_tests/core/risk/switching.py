"""Simulated Markov-switching returns with realistic daily parameters, shared by the regime tests."""

from __future__ import annotations

import numpy as np

MEAN = {2: np.array([0.12, -0.20]) / 252, 3: np.array([0.12, 0.06, -0.20]) / 252}
VARIANCE = {2: np.square([0.11, 0.30]) / 252, 3: np.square([0.10, 0.18, 0.40]) / 252}
TRANSITION = {
    2: np.array([[1 - 1 / 150, 1 / 150], [1 / 40, 1 - 1 / 40]]),
    3: np.array(
        [
            [1 - 1 / 150, 1 / 150 - 1e-4, 1e-4],
            [0.6 / 80, 1 - 1 / 80, 0.4 / 80],
            [0.2 / 40, 0.8 / 40, 1 - 1 / 40],
        ]
    ),
}


def switching_returns(seed: int, length: int, states: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns (T,) and the true state of each (T,); expected stays of 150, 80 (with three states) and 40."""
    rng = np.random.default_rng(seed)
    ladder = np.cumsum(TRANSITION[states], axis=1)
    draws, noise = rng.random(length), rng.standard_normal(length)
    state = np.zeros(length, dtype=int)
    for t in range(1, length):
        state[t] = min(int((draws[t] > ladder[state[t - 1]]).sum()), states - 1)
    return MEAN[states][state] + np.sqrt(VARIANCE[states][state]) * noise, state
