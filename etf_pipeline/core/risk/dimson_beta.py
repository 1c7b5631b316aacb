"""Dimson beta: the market's move of earlier sessions counts too.

A fund of foreign assets closes before they do. The New York session opens after Sydney's close, so what it does
reaches the Australian fund one session later, and the same-session slope sees only part of the exposure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.risk.beta_kernels import FLAT
from etf_pipeline.core.risk.paired_returns import pair_returns


@dataclass(frozen=True)
class DimsonPanel:
    """Regression of each fund on the benchmark's return of the same and of earlier sessions.

    Attributes
    ----------
    beta : (S, N) float64, sum of the slopes.
    standard_error : (S, N) float64, of the sum, from the classical formula.
    slopes : (lags + 1, S, N) float64, on the benchmark's return of the same session, of one earlier, and so on.
    observations : (S, N) int32, fund returns in the window whose benchmark returns are all known.
    """

    beta: np.ndarray
    standard_error: np.ndarray
    slopes: np.ndarray
    observations: np.ndarray


def dimson_beta(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    benchmark_return: np.ndarray,
    benchmark_spanned: np.ndarray,
    *,
    lags: int = 1,
    window: int = 252,
    min_observations: int = 126,
    max_stale_sessions: int = 5,
) -> DimsonPanel:
    """Sum of the slopes on ``r_m,t, r_m,t-1 ... r_m,t-lags`` in a rolling multiple regression.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int.
    benchmark_return, benchmark_spanned : (S,) or (S, N).
    lags : earlier sessions of the benchmark, 0..5; with 0 it is ``rolling_beta``. Leading returns, which Dimson
        adds for benchmarks that trade thinly themselves, would look ahead and are not offered.
    window : sessions from which the fund's returns come; the first reaches ``lags`` sessions further back.
    min_observations : needed, at least ``lags + 3``.
    max_stale_sessions : the estimate stands for this many sessions without a bar of the fund.

    Returns
    -------
    DimsonPanel. A session enters if the fund's return and the benchmark's of it and of the ``lags`` sessions
    before are known one-session returns. NaN (but for ``observations``) where there are too few, the lagged
    returns are collinear, or the fund's last bar is too long ago.

    Notes
    -----
    Dimson (1979), Journal of Financial Economics 7, 197-226. Windows are summed as in ``rolling_beta``: a return
    that has left leaves no trace.
    """
    if not 0 <= lags <= 5:
        raise ValueError(f"lags must lie in 0..5, not {lags}")
    if min_observations < lags + 3 or window < min_observations:
        raise ValueError(
            f"lags + 3 ({lags + 3}) <= min_observations ({min_observations}) <= window ({window}) must hold"
        )
    p = pair_returns(total_return, sessions_spanned, benchmark_return, benchmark_spanned, max_stale_sessions)
    known = (benchmark_spanned == 1) & ~np.isnan(benchmark_return)
    if known.ndim == 1:
        known = known[:, None]
    usable = p.usable.copy()
    for lag in range(1, lags + 1):
        usable[:lag] = False
        usable[lag:] &= known[:-lag]
    shape = p.fund.shape
    beta, error = np.full(shape, np.nan), np.full(shape, np.nan)
    slopes = np.full((lags + 1, *shape), np.nan)
    observations = np.zeros(shape, dtype=np.int32)

    def work(funds: np.ndarray) -> None:
        _dimson(
            funds,
            p.fund,
            p.benchmark,
            usable,
            p.serves,
            window,
            min_observations,
            beta,
            error,
            slopes,
            observations,
        )

    over_columns(work, shape[1], usable.sum(axis=0))
    return DimsonPanel(beta, error, slopes, observations)


@njit(cache=True, nogil=True, error_model="numpy")
def _dimson(
    funds: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    usable: np.ndarray,
    serves: np.ndarray,
    window: int,
    min_observations: int,
    beta: np.ndarray,
    error: np.ndarray,
    slopes: np.ndarray,
    observations: np.ndarray,
) -> None:
    """Products of (1, x_t, x_t-1 ..., y) summed over the block so far and the tail of the block before."""
    rows = y.shape[0]
    k = slopes.shape[0]
    step = 1 if x.shape[1] > 1 else 0
    size = k + 2
    products = size * (size + 1) // 2
    u = np.ones(size)
    head = np.empty(products)
    tail = np.empty((window + 1, products))
    total = np.empty((size, size))
    root = np.empty((k, k))  # lower Cholesky factor of the centred products
    along = np.empty(k)
    ones = np.empty(k)
    for j in funds:
        head[:] = 0.0
        tail[:] = 0.0
        for t in range(rows):
            place = t % window
            if place == 0 and t > 0:
                head[:] = 0.0
                for b in range(window - 1, -1, -1):
                    s = t - window + b
                    for m in range(products):
                        tail[b, m] = tail[b + 1, m]
                    if usable[s, j]:
                        for lag in range(k):
                            u[1 + lag] = x[s - lag, j * step]
                        u[k + 1] = y[s, j]
                        _add_products(tail[b], u)
            if usable[t, j]:
                for lag in range(k):
                    u[1 + lag] = x[t - lag, j * step]
                u[k + 1] = y[t, j]
                _add_products(head, u)
            n = head[0] + tail[place + 1, 0]
            observations[t, j] = int(n)
            if n < min_observations or not serves[t, j]:
                continue
            m = 0
            for a in range(size):
                for b in range(a, size):
                    total[b, a] = head[m] + tail[place + 1, m]
                    m += 1
            # Cholesky of the centred products, solved forwards for the fund and for a vector of ones.
            regular = True
            residual = total[k + 1, k + 1] - total[k + 1, 0] * total[k + 1, 0] / n
            variance = 0.0
            for a in range(k):
                for b in range(a + 1):
                    c = total[a + 1, b + 1] - total[a + 1, 0] * total[b + 1, 0] / n
                    for m in range(b):
                        c -= root[a, m] * root[b, m]
                    if a > b:
                        root[a, b] = c / root[b, b]
                    elif c <= FLAT * total[a + 1, a + 1]:
                        regular = False
                        root[a, a] = 1.0
                    else:
                        root[a, a] = np.sqrt(c)
                c = total[k + 1, a + 1] - total[k + 1, 0] * total[a + 1, 0] / n
                one = 1.0
                for m in range(a):
                    c -= root[a, m] * along[m]
                    one -= root[a, m] * ones[m]
                along[a] = c / root[a, a]
                ones[a] = one / root[a, a]
                residual -= along[a] * along[a]
                variance += ones[a] * ones[a]
            if not regular:
                continue
            whole = 0.0
            for a in range(k - 1, -1, -1):
                c = along[a]
                for m in range(a + 1, k):
                    c -= root[m, a] * slopes[m, t, j]
                slopes[a, t, j] = c / root[a, a]
                whole += slopes[a, t, j]
            beta[t, j] = whole
            error[t, j] = np.sqrt(max(residual, 0.0) / (n - k - 1.0) * variance)


@njit(cache=True, nogil=True)
def _add_products(sums: np.ndarray, u: np.ndarray) -> None:
    """All products of two components of one observation more."""
    m = 0
    for a in range(len(u)):
        for b in range(a, len(u)):
            sums[m] += u[a] * u[b]
            m += 1


def dimson_reference(
    y: np.ndarray, x: np.ndarray, lags: int, rows: np.ndarray
) -> tuple[float, float, np.ndarray]:
    """Sum of slopes, its standard error and the slopes of one window, from a QR least-squares solution.

    Parameters
    ----------
    y, x : (S,) float64.
    lags : earlier sessions of x.
    rows : (K,) int, the observations, each at least ``lags``.
    """
    design = np.column_stack([np.ones(len(rows)), *(x[rows - lag] for lag in range(lags + 1))])
    q, r = np.linalg.qr(design)
    coefficients = np.linalg.solve(r, q.T @ y[rows])
    residual = y[rows] - design @ coefficients
    picked = np.linalg.solve(r.T, np.concatenate([[0.0], np.ones(lags + 1)]))
    variance = residual @ residual / (len(rows) - lags - 2) * (picked @ picked)
    return float(coefficients[1:].sum()), float(np.sqrt(variance)), coefficients[1:]


def lagged_exposure_by_class(
    dimson: np.ndarray, same_session: np.ndarray, class_index: np.ndarray, *, min_funds: int = 3
) -> np.ndarray:
    """Median over each asset class of Dimson minus same-session beta: exposure that shows a session late.

    Parameters
    ----------
    dimson, same_session : (S, N) float64, betas of ``dimson_beta`` and ``rolling_beta``.
    class_index : (N,) int, 0.. the asset class, -1 where it is not known.
    min_funds : with both betas that are needed on a session.

    Returns
    -------
    (S, C) float64 for the classes 0..C-1; NaN where a class has too few funds.
    """
    classes = int(class_index.max(initial=-1)) + 1
    difference = dimson - same_session
    median = np.full((len(difference), classes), np.nan)
    for c in range(classes):
        columns = np.sort(difference[:, class_index == c], axis=1)  # NaN last
        count = (~np.isnan(columns)).sum(axis=1)
        enough = np.flatnonzero(count >= max(min_funds, 1))
        middle = count[enough] // 2
        lower = np.where(count[enough] % 2 == 1, middle, middle - 1)
        median[enough, c] = 0.5 * (columns[enough, lower] + columns[enough, middle])
    return median
