"""How the factors move together, as known at a session."""

from __future__ import annotations

from typing import Literal

import numpy as np
from sklearn.covariance import ledoit_wolf

CovarianceMethod = Literal["sample", "ewma", "ledoit_wolf"]


def factor_covariance(
    factor_return: np.ndarray,
    end: int,
    *,
    method: CovarianceMethod = "ledoit_wolf",
    window: int = 756,
    half_life: float = 63.0,
    min_observations: int = 126,
) -> np.ndarray:
    """Covariance of the factors a session, from the sessions up to row ``end``.

    Parameters
    ----------
    factor_return : (S, K) float64; sessions on which one is NaN do not count.
    end : row, the last that is looked at.
    method : ``sample`` with divisor n - 1; ``ewma`` with weights that halve every ``half_life`` known sessions, about a
        mean of zero (RiskMetrics); ``ledoit_wolf`` shrinks the correlations' matrix towards the identity by as much as the
        data call for, with the sample's variances: the factors' own scales differ and are well known.
    window : sessions; half_life : known sessions; min_observations : known sessions needed.

    Returns
    -------
    (K, K) float64, symmetric; NaN with too few sessions.

    Raises
    ------
    ValueError : a row outside the panel, an unknown method, a half-life that is not positive.

    Notes
    -----
    Ledoit and Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices, Journal of
    Multivariate Analysis 88, 365-411, by scikit-learn. RiskMetrics Technical Document (1996), chapter 5.
    """
    if not 0 <= end < len(factor_return):
        raise ValueError(f"end must be a row in 0..{len(factor_return) - 1}, not {end}")
    if method not in ("sample", "ewma", "ledoit_wolf"):
        raise ValueError(f"method {method!r} is none of sample, ewma, ledoit_wolf")
    if not half_life > 0:
        raise ValueError(f"half_life must be positive, not {half_life}")
    count = factor_return.shape[1]
    rows = factor_return[max(0, end - window + 1) : end + 1]
    x = rows[~np.isnan(rows).any(axis=1)]
    if len(x) < max(min_observations, 2):
        return np.full((count, count), np.nan)
    if method == "ewma":
        weight = 0.5 ** (np.arange(len(x) - 1, -1, -1) / half_life)
        weighted = x * (weight / weight.sum())[:, None]
        return _symmetric(weighted.T @ x)
    centred = x - x.mean(axis=0)
    sample = centred.T @ centred / (len(x) - 1)
    deviation = np.sqrt(np.diag(sample))
    if method == "sample" or count == 1 or not (deviation > 0).all():
        return _symmetric(sample)
    shrunk, _ = ledoit_wolf(centred / deviation, assume_centered=True)
    correlation = shrunk / np.sqrt(np.outer(np.diag(shrunk), np.diag(shrunk)))
    return _symmetric(correlation * np.outer(deviation, deviation))


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (matrix + matrix.T), dtype=np.float64)
