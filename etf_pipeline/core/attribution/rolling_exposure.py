"""Rolling exposures of funds to several factors at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.attribution.rolling_exposure_kernels import (
    TOO_FEW,
    outer_products,
    rolling_regression,
    shared_parts,
)
from etf_pipeline.core.market.rolling import sessions_since
from etf_pipeline.core.parallel import over_columns

REASONS = ("estimated", "too_few_observations", "collinear_factors", "stale", "factors_unknown")
"""What the codes in ``RollingExposure.reason`` say."""


@dataclass(frozen=True)
class RollingExposure:
    """Regression of each fund on K factors and a constant, per session; NaN where not estimated.

    Attributes
    ----------
    loading : (S, N, K) float64, slopes.
    standard_error : (S, N, K) float64, of the slopes, from the classical formula.
    alpha : (S, N) float64, constant, excess return a session.
    alpha_error : (S, N) float64, classical.
    r_squared : (S, N) float64, 0..1; NaN also for a fund that did not move.
    residual_variance : (S, N) float64, per session, divisor ``observations - K - 1``.
    observations : (S, N) int32, returns in the window that have their factors.
    reason : (S, N) int8, index into ``REASONS``: why there is no estimate; 0 where there is one.
    """

    loading: np.ndarray
    standard_error: np.ndarray
    alpha: np.ndarray
    alpha_error: np.ndarray
    r_squared: np.ndarray
    residual_variance: np.ndarray
    observations: np.ndarray
    reason: np.ndarray


def rolling_exposure(
    excess_return: np.ndarray,
    sessions_spanned: np.ndarray,
    factors: np.ndarray,
    *,
    vintage: np.ndarray | None = None,
    window: int = 252,
    min_observations: int = 126,
    max_stale_sessions: int = 5,
    max_variance_inflation: float = 1e6,
) -> RollingExposure:
    """Least squares of fund returns on the factors over the last ``window`` sessions.

    Parameters
    ----------
    excess_return : (S, N) float64, in the factors' currency over the risk-free rate (``alignment``), NaN where unknown.
    sessions_spanned : (S, N) int, sessions each return spans; 0 where there is no bar.
    factors : (S, K), or (M, S, K) returns over the last 1, 2, ... M sessions (``AlignedFactors.value``), or
        (V, M, S, K) with one such table a vintage. NaN where a factor is not known. A return over more than M
        sessions has no partner of the same length and is left out, as everywhere in ``core.risk``.
    vintage : (S,) int, which of the V tables the window ending at this session is read from, all its rows alike; -1
        where none was published. By default the first for all.
    window : sessions.
    min_observations : returns needed, at least K + 2.
    max_stale_sessions : the estimate stands for this many sessions without a bar of the fund.
    max_variance_inflation : a window is refused where the variance of a slope is more than this many times what it
        would be with uncorrelated factors. Up to the default, slopes keep nine digits.

    Returns
    -------
    RollingExposure. A fund that did not move has zero loadings.

    Raises
    ------
    ValueError : shapes that do not belong together, impossible options, an infinite value, an unknown vintage.

    Notes
    -----
    Each window is the tail of one block of ``window`` sessions and the head of the next; blocks lie at absolute rows
    and sums are only ever added. So nothing drifts, a large return that has left the window leaves no trace, and
    cutting the panel at any session leaves the earlier rows as they are, bit for bit. A change of vintage costs one
    window's sums. Normal equations are solved on centred factors scaled to correlations.
    """
    table = factor_table(factors, excess_return.shape[0])
    vintages, longest, sessions, count = table.shape
    chosen = np.zeros(sessions, dtype=np.int64) if vintage is None else np.asarray(vintage, dtype=np.int64)
    _check(excess_return, sessions_spanned, chosen, vintages, count, window, min_observations)
    y = np.ascontiguousarray(excess_return.T, dtype=np.float64)
    if np.isinf(y).any() or np.isinf(table).any():
        raise ValueError("excess_return and factors must be finite or NaN: mark what is unknown as NaN")
    usable = (sessions_spanned >= 1) & (sessions_spanned <= longest) & ~np.isnan(excess_return)
    span = np.ascontiguousarray(np.where(usable, sessions_spanned, 0).T.astype(np.int64))
    stale = sessions_since(sessions_spanned > 0)
    serves = np.ascontiguousarray(((stale >= 0) & (stale <= max_stale_sessions)).T)
    known = ~np.isnan(table).any(axis=3)
    products = np.zeros((*known.shape, (count + 1) * (count + 2) // 2))
    outer_products(table, known, products)
    usual = int(
        np.argmax(np.bincount(span.ravel(), minlength=longest + 1)[1:])
    )  # the span most returns have, less 1
    shares = ((span == 0) | (span == usual + 1)).all(axis=1)
    parts = np.full((sessions, 2 + 2 * count + count * count), np.nan)
    sound = np.zeros(sessions, dtype=bool)
    shared_parts(
        np.ascontiguousarray(products[:, usual]),
        np.ascontiguousarray(known[:, usual]),
        chosen,
        count,
        window,
        max_variance_inflation,
        parts,
        sound,
    )
    shape = y.shape
    slopes, errors = np.full((*shape, count), np.nan), np.full((*shape, count), np.nan)
    single = np.full((4, *shape), np.nan)
    observations = np.zeros(shape, dtype=np.int32)
    reason = np.full(shape, TOO_FEW, dtype=np.int8)

    def work(funds: np.ndarray) -> None:
        rolling_regression(
            funds, y, span, serves, products, known, chosen, parts, sound, shares, count, window, min_observations,
            max_variance_inflation, slopes, errors, single, observations, reason,
        )  # fmt: skip

    over_columns(work, shape[0], usable.sum(axis=0))
    alpha, alpha_error, r_squared, residual_variance = (panel.T for panel in single)
    return RollingExposure(
        loading=slopes.swapaxes(0, 1),
        standard_error=errors.swapaxes(0, 1),
        alpha=alpha,
        alpha_error=alpha_error,
        r_squared=r_squared,
        residual_variance=residual_variance,
        observations=observations.T,
        reason=reason.T,
    )


def factor_table(factors: np.ndarray, sessions: int) -> np.ndarray:
    """(V, M, S, K) contiguous, from any of the shapes that ``rolling_exposure`` takes.

    Raises
    ------
    ValueError : another number of dimensions or sessions, or no factor.
    """
    table = np.asarray(factors, dtype=np.float64)
    if not 2 <= table.ndim <= 4 or table.shape[-2] != sessions or table.shape[-1] < 1:
        raise ValueError(
            f"factors {table.shape} must be (S, K), (M, S, K) or (V, M, S, K) with the panel's S = {sessions} sessions"
        )
    return np.ascontiguousarray(table.reshape((1,) * (4 - table.ndim) + table.shape))


def _check(
    excess_return: np.ndarray,
    sessions_spanned: np.ndarray,
    vintage: np.ndarray,
    vintages: int,
    count: int,
    window: int,
    min_observations: int,
) -> None:
    if sessions_spanned.shape != excess_return.shape:
        raise ValueError(f"sessions_spanned {sessions_spanned.shape} must match {excess_return.shape}")
    if not count + 2 <= min_observations <= window:
        raise ValueError(
            f"{count + 2} (factors + 2) <= min_observations ({min_observations}) <= window ({window}) must hold"
        )
    if vintage.shape != (len(excess_return),):
        raise ValueError(f"vintage {vintage.shape} must be ({len(excess_return)},), one a session")
    if len(vintage) and not -1 <= vintage.min() <= vintage.max() < vintages:
        raise ValueError(f"vintage must lie in -1..{vintages - 1}, the tables given")
