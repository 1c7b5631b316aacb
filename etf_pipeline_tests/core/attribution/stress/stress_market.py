"""An invented market of funds and factors, for the tests of this folder."""

from __future__ import annotations

import numpy as np

from etf_pipeline.core.attribution.stress.exposures import Exposures
from etf_pipeline.core.attribution.stress.factors import FACTORS

DAILY = np.array([0.011, 0.06, 0.09, 0.007, 0.024, 1.7])
"""Standard deviations of one session, by factor."""
CORRELATION = np.array(
    [
        [1.0, 0.3, -0.5, 0.4, 0.3, -0.8],
        [0.3, 1.0, -0.3, 0.1, 0.2, -0.3],
        [-0.5, -0.3, 1.0, -0.3, -0.3, 0.5],
        [0.4, 0.1, -0.3, 1.0, 0.3, -0.4],
        [0.3, 0.2, -0.3, 0.3, 1.0, -0.2],
        [-0.8, -0.3, 0.5, -0.4, -0.2, 1.0],
    ]
)
COVARIANCE = CORRELATION * np.outer(DAILY, DAILY)


def exposures(funds: int = 5, seed: int = 0) -> Exposures:
    """Plausible ones: equity 0.2 to 2, the rest small."""
    draw = np.random.default_rng(seed)
    loadings = draw.normal(0, [0.1, 0.01, 0.01, 0.2, 0.05, 0.0005], (funds, len(FACTORS)))
    loadings[:, 0] += np.linspace(0.2, 2.0, funds)
    error = np.eye(len(FACTORS)) * (0.02 * np.array([1, 0.1, 0.1, 1, 0.2, 0.005])) ** 2
    return Exposures(loadings, np.repeat(error[None], funds, axis=0), draw.uniform(0.003, 0.01, funds) ** 2)


def factor_history(sessions: int, seed: int = 1) -> np.ndarray:
    """(S, K) independent normal moves."""
    return np.random.default_rng(seed).multivariate_normal(np.zeros(len(FACTORS)), COVARIANCE, sessions)
