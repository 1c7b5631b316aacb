"""Rolling market beta by ordinary least squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from etf_pipeline.core.market.rolling import sessions_since

_SUMS = 6  # observations, x, y, x*x, x*y, y*y


@dataclass(frozen=True)
class BetaPanel:
    """Regression of each fund on the benchmark, per session.

    Attributes
    ----------
    beta : (S, N) float64, slope.
    alpha : (S, N) float64, intercept, simple return a session.
    correlation : (S, N) float64; NaN for a fund whose price did not move.
    standard_error : (S, N) float64, of the slope, from the classical formula.
    observations : (S, N) int32, common one-session returns in the window.
    """

    beta: np.ndarray
    alpha: np.ndarray
    correlation: np.ndarray
    standard_error: np.ndarray
    observations: np.ndarray


def rolling_beta(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    benchmark_return: np.ndarray,
    benchmark_spanned: np.ndarray,
    *,
    window: int = 252,
    min_observations: int = 126,
    max_stale_sessions: int = 5,
) -> BetaPanel:
    """Slope of fund returns on benchmark returns over the last ``window`` sessions.

    Only sessions on which fund and benchmark both have a known one-session return enter: a return over
    several sessions has no partner of the same length.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int.
    benchmark_return, benchmark_spanned : (S,), of the market's fund or index on the same sessions.
    window : sessions.
    min_observations : common returns needed, at least 3.
    max_stale_sessions : the estimate stands for this many sessions without a bar of the fund.

    Returns
    -------
    BetaPanel. NaN (but for ``observations``) where there are too few common returns, the benchmark did
    not move, or the fund's last bar is too long ago. A fund that did not move has beta zero.

    Notes
    -----
    Each window is the tail of one block of ``window`` sessions and the head of the next, so sums are only
    ever added, never subtracted: a large return that has left the window leaves no trace.
    """
    if min_observations < 3 or window < min_observations:
        raise ValueError(f"3 <= min_observations ({min_observations}) <= window ({window}) must hold")
    usable = (sessions_spanned == 1) & ~np.isnan(total_return)
    usable &= ((benchmark_spanned == 1) & ~np.isnan(benchmark_return))[:, None]
    stale = sessions_since(sessions_spanned > 0)
    serves = (stale >= 0) & (stale <= max_stale_sessions)
    beta, alpha, correlation, error, observations = _rolling_ols(
        np.ascontiguousarray(total_return, dtype=np.float64),
        np.ascontiguousarray(benchmark_return, dtype=np.float64),
        usable,
        serves,
        window,
        min_observations,
    )
    return BetaPanel(beta, alpha, correlation, error, observations)


@njit(cache=True)
def _rolling_ols(
    y: np.ndarray, x: np.ndarray, usable: np.ndarray, serves: np.ndarray, window: int, min_observations: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sums of the current block so far (head) plus those of the previous block's tail, then the formulas."""
    rows, funds = y.shape
    beta = np.full((rows, funds), np.nan)
    alpha = np.full((rows, funds), np.nan)
    correlation = np.full((rows, funds), np.nan)
    error = np.full((rows, funds), np.nan)
    observations = np.zeros((rows, funds), dtype=np.int32)
    head = np.zeros((funds, _SUMS))
    tail = np.zeros((window + 1, funds, _SUMS))  # tail[k]: rows k.. of the previous block
    for t in range(rows):
        place = t % window
        if place == 0:
            head[:] = 0.0
            if t > 0:
                for k in range(window - 1, -1, -1):
                    s = t - window + k
                    for j in range(funds):
                        for m in range(_SUMS):
                            tail[k, j, m] = tail[k + 1, j, m]
                        if usable[s, j]:
                            _add(tail[k, j], x[s], y[s, j])
        for j in range(funds):
            if usable[t, j]:
                _add(head[j], x[t], y[t, j])
            n = head[j, 0] + tail[place + 1, j, 0]
            observations[t, j] = int(n)
            if n < min_observations or not serves[t, j]:
                continue
            sx = head[j, 1] + tail[place + 1, j, 1]
            sy = head[j, 2] + tail[place + 1, j, 2]
            raw_xx = head[j, 3] + tail[place + 1, j, 3]
            raw_yy = head[j, 5] + tail[place + 1, j, 5]
            sxx = raw_xx - sx * sx / n
            sxy = head[j, 4] + tail[place + 1, j, 4] - sx * sy / n
            syy = raw_yy - sy * sy / n
            # Below this the centred sum is rounding: the series did not move about its mean.
            if sxx <= 1e-13 * raw_xx:
                continue
            slope = sxy / sxx
            beta[t, j] = slope
            alpha[t, j] = (sy - slope * sx) / n
            residual = max(syy - slope * sxy, 0.0)
            error[t, j] = np.sqrt(residual / (n - 2.0) / sxx)
            if syy > 1e-13 * raw_yy:
                correlation[t, j] = min(1.0, max(-1.0, sxy / np.sqrt(sxx * syy)))
    return beta, alpha, correlation, error, observations


@njit(cache=True)
def _add(sums: np.ndarray, x: float, y: float) -> None:
    """One observation more."""
    sums[0] += 1.0
    sums[1] += x
    sums[2] += y
    sums[3] += x * x
    sums[4] += x * y
    sums[5] += y * y


def ols_reference(y: np.ndarray, x: np.ndarray) -> tuple[float, float, float, float]:
    """Slope, intercept, correlation and the slope's standard error of one window, from centred data.

    Parameters
    ----------
    y, x : (K,) float64 without NaN, K >= 3, x not constant.
    """
    dx, dy = x - x.mean(), y - y.mean()
    slope = float(dx @ dy / (dx @ dx))
    residual = dy - slope * dx
    error = float(np.sqrt(residual @ residual / (len(x) - 2) / (dx @ dx)))
    moved = float(dy @ dy)
    correlation = float(dx @ dy / np.sqrt(dx @ dx * moved)) if moved > 0 else float("nan")
    return slope, float(y.mean() - slope * x.mean()), correlation, error
