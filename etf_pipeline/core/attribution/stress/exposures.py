"""What is known of funds' exposures to the stress factors at a session, and how surely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.attribution.stress.exposures_kernels import fit_windows
from etf_pipeline.core.attribution.stress.factors import FACTORS
from etf_pipeline.core.parallel import over_columns


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
    factor_moves : (S, K) float64, of the same sessions as the funds see them; NaN where unknown. A factor that stands still
        throughout (0: no such series) has the loading 0.
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
    _check(total_return, factor_moves, min_observations, lags)
    if use.shape != (len(total_return),):
        raise ValueError(f"{len(total_return)} sessions of returns beside {len(use)} of use")
    design = _design(np.where(use[:, None], factor_moves, np.nan), lags)
    design[~use] = np.nan
    ends = np.array([len(total_return) - 1])
    loadings, covariance, residual = _fit(
        total_return, design, factor_moves.shape[1], ends, len(total_return), min_observations, lags
    )
    return Exposures(loadings[0], covariance[0], residual[0])


def exposures_at(
    total_return: np.ndarray,
    factor_moves: np.ndarray,
    ends: np.ndarray,
    *,
    window: int = 1260,
    min_observations: int = 126,
    lags: tuple[int, ...] = (0,),
) -> list[Exposures]:
    """``fit_exposures`` on the last ``window`` sessions up to each of the rows ``ends``, for which nothing later is read.

    Parameters
    ----------
    ends : (R,) int, rows. The rest as ``fit_exposures`` takes it.

    Returns
    -------
    R Exposures.
    """
    _check(total_return, factor_moves, min_observations, lags)
    found = _fit(
        total_return, _design(factor_moves, lags), factor_moves.shape[1], ends, window, min_observations, lags
    )
    return [Exposures(*one) for one in zip(*found, strict=True)]


def shifted(values: np.ndarray, lag: int) -> np.ndarray:
    """Row t holds row ``t - lag``; NaN beyond the ends."""
    out = np.full_like(values, np.nan)
    if lag >= 0:
        out[lag:] = values[: len(values) - lag]
    else:
        out[:lag] = values[-lag:]
    return out


def _check(
    total_return: np.ndarray, factor_moves: np.ndarray, min_observations: int, lags: tuple[int, ...]
) -> None:
    width = 1 + factor_moves.shape[1] * len(lags)
    if len(factor_moves) != len(total_return):
        raise ValueError(f"{len(total_return)} sessions of returns, {len(factor_moves)} of factors")
    if min_observations <= width or not lags:
        raise ValueError(f"min_observations must exceed the {width} coefficients, not {min_observations}")


def _design(factor_moves: np.ndarray, lags: tuple[int, ...]) -> np.ndarray:
    """(S, 1 + K L): a constant, and the factors of each lag."""
    return np.hstack([np.ones((len(factor_moves), 1)), *(shifted(factor_moves, lag) for lag in lags)])


def _fit(
    total_return: np.ndarray,
    design: np.ndarray,
    count: int,
    ends: np.ndarray,
    window: int,
    min_observations: int,
    lags: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loadings (R, N, K), their covariances (R, N, K, K) and residual variances (R, N)."""
    funds, rows = total_return.shape[1], len(ends)
    loadings = np.full((rows, funds, count), np.nan)
    covariance = np.full((rows, funds, count, count), np.nan)
    residual = np.full((rows, funds), np.nan)
    returns, x = np.ascontiguousarray(total_return.T), np.ascontiguousarray(design)
    usable = ~np.isnan(x).any(axis=1)
    # A lead reaches beyond the session it belongs to, a lag before the window's first.
    head, tail = max(0, *lags), max(0, *(-lag for lag in lags))
    at = np.asarray(ends, dtype=np.int64)

    def work(columns: np.ndarray) -> None:
        fit_windows(
            columns,
            returns,
            x,
            usable,
            at,
            window,
            head,
            tail,
            min_observations,
            loadings,
            covariance,
            residual,
        )

    over_columns(work, funds)
    return loadings, covariance, residual
