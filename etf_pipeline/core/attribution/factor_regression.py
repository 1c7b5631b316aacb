"""Regressions on factors at chosen sessions, with errors robust to autocorrelation and changing variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.attribution.factor_regression_kernels import regressions_at
from etf_pipeline.core.attribution.rolling_exposure import factor_table
from etf_pipeline.core.attribution.rolling_exposure_kernels import TOO_FEW
from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.validation.heteroskedasticity_autocorrelation import newey_west_lags


@dataclass(frozen=True)
class FactorRegression:
    """Regressions of N funds on K factors, each ending at one of R sessions; NaN where not estimated.

    Attributes
    ----------
    loading, standard_error, t_value : (R, N, K) float64.
    alpha : (R, N) float64, constant, excess return a session.
    alpha_annualised : times the sessions a year.
    alpha_error, alpha_t : (R, N), of ``alpha``.
    r_squared, adjusted_r_squared : (R, N) float64; NaN for a fund that did not move.
    residual_variance : (R, N) float64, a session, divisor ``observations - K - 1``.
    observations : (R, N) int64, returns that have their factors.
    window_start : (R, N) int64, row of the first of them, -1 where there is none.
    lags : (R, N) int64, of Bartlett's kernel.
    reason : (R, N) int64, index into ``rolling_exposure.REASONS``.
    """

    loading: np.ndarray
    standard_error: np.ndarray
    t_value: np.ndarray
    alpha: np.ndarray
    alpha_annualised: np.ndarray
    alpha_error: np.ndarray
    alpha_t: np.ndarray
    r_squared: np.ndarray
    adjusted_r_squared: np.ndarray
    residual_variance: np.ndarray
    observations: np.ndarray
    window_start: np.ndarray
    lags: np.ndarray
    reason: np.ndarray


def factor_regression(
    excess_return: np.ndarray,
    sessions_spanned: np.ndarray,
    factors: np.ndarray,
    ends: np.ndarray,
    *,
    window: int | None = 252,
    min_observations: int = 126,
    lags: int | None = None,
    vintage: np.ndarray | None = None,
    sessions_per_year: float = 252.0,
    max_variance_inflation: float = 1e6,
) -> FactorRegression:
    """Least squares with Newey-West errors over the window that ends at each of ``ends``.

    Parameters
    ----------
    excess_return, sessions_spanned, factors : as for ``rolling_exposure``.
    ends : (R,) int, rows, ascending: month-ends as a rule.
    window : sessions; None takes all from the first on.
    min_observations : at least K + 3.
    lags : of Bartlett's kernel, counted in a fund's own observations; by default the rule of Newey and West (1994) at
        the window's number of observations, ``newey_west_lags``. 0 gives White's errors.
    vintage : (R,) int, which of V tables of factors each end is read from, all its rows alike; -1 for none.
    sessions_per_year : for annualising.
    max_variance_inflation : as for ``rolling_exposure``.

    Returns
    -------
    FactorRegression. An estimate stands at its session only: where a fund had no bar lately, ``observations`` says how
    many it rests on, and the caller decides.

    Raises
    ------
    ValueError : shapes that do not belong together, impossible options, an infinite value.

    Notes
    -----
    Newey and West (1987), multiplied by ``n / (n - K - 1)``: the numbers of statsmodels'
    ``OLS.fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True})``, and those of ``factor_alphas``.
    statsmodels' own default has no correction; its errors are smaller by the root of ``(n - K - 1) / n``. Each window is
    computed from its own rows alone, and every fund by one thread: cutting the panel or adding workers changes nothing.
    """
    table = factor_table(factors, excess_return.shape[0])
    count = table.shape[3]
    at = np.ascontiguousarray(ends, dtype=np.int64)
    chosen = np.zeros(len(at), dtype=np.int64) if vintage is None else np.asarray(vintage, dtype=np.int64)
    _check(excess_return, sessions_spanned, at, chosen, len(table), count, window, min_observations)
    if lags is not None and lags < 0:
        raise ValueError(f"lags must be 0 or more, not {lags}")
    y = np.ascontiguousarray(excess_return.T, dtype=np.float64)
    if np.isinf(y).any() or np.isinf(table).any():
        raise ValueError("excess_return and factors must be finite or NaN: mark what is unknown as NaN")
    funds, sessions = y.shape
    usable = (sessions_spanned >= 1) & (sessions_spanned <= table.shape[1]) & ~np.isnan(excess_return)
    span = np.ascontiguousarray(np.where(usable, sessions_spanned, 0).T.astype(np.int64))
    known = ~np.isnan(table).any(axis=3)
    lags_at = np.array([newey_west_lags(n) if lags is None else lags for n in range(sessions + 1)])
    shape = (funds, len(at))
    slopes, errors = np.full((*shape, count), np.nan), np.full((*shape, count), np.nan)
    single = np.full((4, *shape), np.nan)
    whole = np.zeros((4, *shape), dtype=np.int64)
    whole[1], whole[3] = -1, TOO_FEW
    reach = sessions if window is None else window

    def work(columns: np.ndarray) -> None:
        regressions_at(
            columns, y, span, table, known, at, chosen, reach, min_observations, lags_at, max_variance_inflation,
            slopes, errors, single, whole,
        )  # fmt: skip

    over_columns(work, funds, usable.sum(axis=0))
    loading, error = slopes.swapaxes(0, 1), errors.swapaxes(0, 1)
    alpha, alpha_error, r_squared, residual_variance = (panel.T for panel in single)
    observations, start, used, reason = (panel.T for panel in whole)
    freedom = np.maximum(observations - count - 1, 1)
    return FactorRegression(
        loading=loading,
        standard_error=error,
        t_value=loading / np.where(error > 0, error, np.nan),
        alpha=alpha,
        alpha_annualised=sessions_per_year * alpha,
        alpha_error=alpha_error,
        alpha_t=alpha / np.where(alpha_error > 0, alpha_error, np.nan),
        r_squared=r_squared,
        adjusted_r_squared=1.0 - (1.0 - r_squared) * (observations - 1) / freedom,
        residual_variance=residual_variance,
        observations=observations,
        window_start=start,
        lags=used,
        reason=reason,
    )


def _check(
    excess_return: np.ndarray,
    sessions_spanned: np.ndarray,
    ends: np.ndarray,
    vintage: np.ndarray,
    vintages: int,
    count: int,
    window: int | None,
    min_observations: int,
) -> None:
    if sessions_spanned.shape != excess_return.shape:
        raise ValueError(f"sessions_spanned {sessions_spanned.shape} must match {excess_return.shape}")
    if min_observations < count + 3 or (window is not None and window < min_observations):
        raise ValueError(
            f"{count + 3} (factors + 3) <= min_observations ({min_observations}) <= window ({window}) must hold"
        )
    if len(ends) and not 0 <= ends.min() <= ends.max() < len(excess_return):
        raise ValueError(f"ends must be rows in 0..{len(excess_return) - 1}")
    if (np.diff(ends) <= 0).any():
        raise ValueError("ends must ascend without repeats")
    if vintage.shape != ends.shape or (len(ends) and not -1 <= vintage.min() <= vintage.max() < vintages):
        raise ValueError(f"vintage must be ({len(ends)},), one an end, and lie in -1..{vintages - 1}")
