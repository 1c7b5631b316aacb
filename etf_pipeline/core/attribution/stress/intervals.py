"""How sure a predicted return is: residuals, errors of loadings, and factors that had to be filled in."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from etf_pipeline.core.attribution.stress.exposures import Exposures
from etf_pipeline.core.attribution.stress.path_loss import PathLoss
from etf_pipeline.core.attribution.stress.scenarios import FactorPath


def own_variance(exposures: Exposures, loss: PathLoss, path: FactorPath) -> np.ndarray:
    """Variance (N,) of funds' log returns that is their own: residuals of the sessions, and errors of the loadings.

    ``residual_variance * sessions * turbulence + d' C d``, d being the log return's derivative to the loadings. Both are
    taken to be independent between funds.
    """
    d = loss.sensitivity
    estimation = np.einsum("nk,nkl,nl->n", d, exposures.loading_covariance, d)
    return exposures.residual_variance * path.sessions * path.turbulence + np.maximum(estimation, 0.0)


def filled_variance(loadings: np.ndarray, path: FactorPath) -> np.ndarray:
    """Variance (N,) of log returns from factors that were not observed or not named: common to all funds."""
    return path.turbulence * np.maximum(((loadings @ path.uncertainty) * loadings).sum(axis=1), 0.0)


def interval(
    total_return: np.ndarray, log_variance: np.ndarray, level: float, *, inflation: float | np.ndarray = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric in the log return, so that no bound lies below -100 %.

    Parameters
    ----------
    total_return : (...) float64, predicted, simple.
    log_variance : (...) float64, of the log return.
    level : probability that the return lies inside, e.g. 0.8.
    inflation : factor on the standard deviation, from ``coverage.inflation_factors``.

    Returns
    -------
    low, high : (...) float64; both -1 where everything is lost.
    """
    if not 0 < level < 1:
        raise ValueError(f"an interval's level lies between 0 and 1, not {level}")
    half = ndtri(0.5 + 0.5 * level) * np.asarray(inflation) * np.sqrt(log_variance)
    # Multiplied out rather than through a logarithm, which a total loss does not have.
    return (1.0 + total_return) * np.exp(-half) - 1.0, (1.0 + total_return) * np.exp(half) - 1.0
