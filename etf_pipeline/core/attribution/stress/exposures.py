"""What is known of funds' exposures to the stress factors at a session, and how surely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.attribution.stress.factors import FACTORS
from etf_pipeline.core.parallel import over_tasks


@dataclass(frozen=True)
class Exposures:
    """Of N funds to K factors, as estimated from sessions up to the one they are used at.

    Attributes
    ----------
    loadings : (N, K) float64, return of a session for a move of one unit, in the order of ``FACTORS``. NaN in any column:
        the fund has no exposures, and gets no prediction.
    loading_covariance : (N, K, K) float64, of the estimates.
    residual_variance : (N,) float64, of one session's return beside the factors.
    """

    loadings: np.ndarray
    loading_covariance: np.ndarray
    residual_variance: np.ndarray

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        n, k = self.loadings.shape
        if k != len(FACTORS):
            raise ValueError(f"loadings have {k} columns; the factors are {', '.join(FACTORS)}")
        if self.loading_covariance.shape != (n, k, k) or self.residual_variance.shape != (n,):
            raise ValueError(
                f"loadings {self.loadings.shape} need a loading_covariance ({n}, {k}, {k}) and a residual_variance ({n},), "
                f"not {self.loading_covariance.shape} and {self.residual_variance.shape}; "
                "of standard errors only, use from_standard_errors"
            )
        if (self.residual_variance < 0).any():
            raise ValueError(
                f"residual_variance is negative for fund {int(np.argmax(self.residual_variance < 0))}"
            )


def from_standard_errors(
    loadings: np.ndarray, standard_error: np.ndarray, residual_variance: np.ndarray
) -> Exposures:
    """Exposures whose errors (N, K) are taken to be uncorrelated between factors."""
    k = loadings.shape[1]
    return Exposures(loadings, standard_error[:, :, None] ** 2 * np.eye(k), residual_variance)


def fit_exposures(
    total_return: np.ndarray,
    factor_moves: np.ndarray,
    use: np.ndarray,
    *,
    min_observations: int = 126,
    lags: tuple[int, ...] = (0,),
) -> Exposures:
    """Least squares with a constant on chosen sessions: for windows with a hole, which rolling estimates do not have.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns of one session; NaN otherwise.
    factor_moves : (S, K) float64, of the same sessions as the funds see them; NaN where unknown.
    use : (S,) bool, sessions that may be used. Which these are is the caller's: an exposure of session T uses sessions
        up to T only.
    min_observations : sessions with a return and all factors, more than the coefficients.
    lags : sessions by which a fund's return may follow the factors (negative: precede). The loading is the sum of the
        coefficients (Dimson 1979, Journal of Financial Economics 7, 197-226): markets that close at different hours see
        the same news on different sessions. A session counts only where all of its lags are sessions in ``use``.

    Returns
    -------
    Exposures; NaN for funds with fewer observations. The error of the loadings is White's (1980) with the correction
    ``n / (n - coefficients)`` (HC1): volatility and the factors' moves are large together, which the classical one ignores.
    """
    sessions, funds = total_return.shape
    k = factor_moves.shape[1]
    width = 1 + k * len(lags)
    if factor_moves.shape[0] != sessions or use.shape != (sessions,):
        raise ValueError(f"{sessions} sessions of returns, {len(factor_moves)} of factors, {len(use)} of use")
    if min_observations <= width or not lags:
        raise ValueError(f"min_observations must exceed the {width} coefficients, not {min_observations}")
    used = np.where(use[:, None], factor_moves, np.nan)
    lagged = np.hstack([_shifted(used, lag) for lag in lags])
    rows = use & ~np.isnan(lagged).any(axis=1)
    design = np.column_stack([np.ones(int(rows.sum())), lagged[rows]])
    add_up = np.hstack([np.zeros((k, 1)), np.tile(np.eye(k), len(lags))])
    y = total_return[rows]
    loadings = np.full((funds, k), np.nan)
    covariance = np.full((funds, k, k), np.nan)
    residual = np.full(funds, np.nan)

    def fit(j: int) -> None:
        known = ~np.isnan(y[:, j])
        n = int(known.sum())
        if n < min_observations:
            return
        x = design[known]
        scale = np.sqrt((x * x).sum(axis=0))
        if not (scale > 0).all():
            return
        q, r = np.linalg.qr(x / scale)
        if np.abs(np.diag(r)).min() < 1e-8:
            return  # factors that cannot be told apart on these sessions
        inverse = add_up @ (np.linalg.inv(r) / scale[:, None])
        error = y[known, j] - q @ (q.T @ y[known, j])
        score = q * error[:, None]
        loadings[j] = inverse @ (q.T @ y[known, j])
        covariance[j] = inverse @ (score.T @ score) @ inverse.T * (n / (n - float(width)))
        residual[j] = error @ error / (n - float(width))

    over_tasks(fit, funds)
    return Exposures(loadings, covariance, residual)


def _shifted(values: np.ndarray, lag: int) -> np.ndarray:
    """Row t holds row ``t - lag``; NaN beyond the ends."""
    out = np.full_like(values, np.nan)
    if lag >= 0:
        out[lag:] = values[: len(values) - lag]
    else:
        out[:lag] = values[-lag:]
    return out
