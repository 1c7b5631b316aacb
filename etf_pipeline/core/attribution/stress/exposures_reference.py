"""Stress exposures, one fund at a time by an orthogonal decomposition: what the kernel is held against."""

from __future__ import annotations

import numpy as np

from etf_pipeline.core.attribution.stress.exposures import Exposures, shifted


def fit_exposures_reference(
    total_return: np.ndarray,
    factor_moves: np.ndarray,
    use: np.ndarray,
    *,
    min_observations: int = 126,
    lags: tuple[int, ...] = (0,),
) -> Exposures:
    """As ``fit_exposures``."""
    sessions, funds = total_return.shape
    k = factor_moves.shape[1]
    width = 1 + k * len(lags)
    if factor_moves.shape[0] != sessions or use.shape != (sessions,):
        raise ValueError(f"{sessions} sessions of returns, {len(factor_moves)} of factors, {len(use)} of use")
    if min_observations <= width or not lags:
        raise ValueError(f"min_observations must exceed the {width} coefficients, not {min_observations}")
    used = np.where(use[:, None], factor_moves, np.nan)
    lagged = np.hstack([shifted(used, lag) for lag in lags])
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
        moves = scale > 0
        scale = np.where(moves, scale, 1.0)
        # What stands still gets a row of its own, so that it has the coefficient 0.
        extra = np.diag(np.where(moves, 0.0, 1.0))[~moves]
        q, r = np.linalg.qr(np.vstack([x / scale, extra]))
        q = q[: len(x)]
        if np.abs(np.diag(r)).min() < 1e-8:
            return  # factors that cannot be told apart on these sessions
        inverse = add_up @ (np.linalg.inv(r) / scale[:, None])
        error = y[known, j] - q @ (q.T @ y[known, j])
        score = q * error[:, None]
        loadings[j] = inverse @ (q.T @ y[known, j])
        covariance[j] = inverse @ (score.T @ score) @ inverse.T * (n / (n - float(width)))
        residual[j] = error @ error / (n - float(width))

    for fund in range(funds):
        fit(fund)
    return Exposures(loadings, covariance, residual)
