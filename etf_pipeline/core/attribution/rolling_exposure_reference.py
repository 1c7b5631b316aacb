"""What ``rolling_exposure`` computes, one window at a time and without haste."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.attribution.rolling_exposure import factor_table


@dataclass(frozen=True)
class WindowRegression:
    """One window's regression: slopes and their errors (K,), constant and its error, R squared, residual variance."""

    loading: np.ndarray
    standard_error: np.ndarray
    alpha: float
    alpha_error: float
    r_squared: float
    residual_variance: float
    observations: int


def window_regression(
    excess_return: np.ndarray,
    sessions_spanned: np.ndarray,
    factors: np.ndarray,
    end: int,
    *,
    vintage: int = 0,
    window: int = 252,
) -> WindowRegression:
    """Least squares of one fund over the ``window`` sessions that end at row ``end``, by a QR decomposition.

    Parameters
    ----------
    excess_return, sessions_spanned : (S,).
    factors : as for ``rolling_exposure``.
    end : row; vintage : table.

    Returns
    -------
    WindowRegression. It has no limits: fewer observations than K + 2 or collinear factors give what numpy gives.
    """
    x, y = paired_rows(excess_return, sessions_spanned, factors, end, vintage=vintage, window=window)
    design = np.column_stack([np.ones(len(y)), x])
    q, r = np.linalg.qr(design)
    coefficient = np.linalg.solve(r, q.T @ y)
    rest = y - design @ coefficient
    variance = float(rest @ rest) / (len(y) - design.shape[1])
    inverse = np.linalg.inv(r)
    error = np.sqrt(variance * (inverse * inverse).sum(axis=1))
    centred = y - y.mean()
    moved = float(centred @ centred)
    return WindowRegression(
        loading=coefficient[1:],
        standard_error=error[1:],
        alpha=float(coefficient[0]),
        alpha_error=float(error[0]),
        r_squared=1.0 - float(rest @ rest) / moved if moved > 0 else float("nan"),
        residual_variance=variance,
        observations=len(y),
    )


def paired_rows(
    excess_return: np.ndarray,
    sessions_spanned: np.ndarray,
    factors: np.ndarray,
    end: int,
    *,
    vintage: int = 0,
    window: int | None = 252,
) -> tuple[np.ndarray, np.ndarray]:
    """Factors (n, K) and returns (n,) of the window's sessions on which both are known."""
    table = factor_table(factors, len(excess_return))[vintage]
    begin = 0 if window is None else max(0, end - window + 1)
    x, y = [], []
    for t in range(begin, end + 1):
        span = int(sessions_spanned[t])
        if not 1 <= span <= len(table) or np.isnan(excess_return[t]) or np.isnan(table[span - 1, t]).any():
            continue
        x.append(table[span - 1, t])
        y.append(float(excess_return[t]))
    return np.array(x).reshape(-1, table.shape[2]), np.array(y)
