"""Momentum of what the market does not explain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.rolling import rolling_sum
from etf_pipeline.core.risk.paired_returns import pair_returns
from etf_pipeline.core.signals.return_path import (
    FLAT,
    NO_MOVEMENT,
    TOO_FEW_SESSIONS,
    UNKNOWN_RETURN,
    delayed,
    return_path,
    window_reason,
)


@dataclass(frozen=True)
class ResidualMomentumPanel:
    """Residual momentum per session.

    Attributes
    ----------
    residual_momentum : (S, N) float64, summed residuals in standard deviations of their sum.
    reason : (S, N) int8, index into ``PATH_REASONS``: why there is no value.
    observations : (S, N) int32, common returns the market model was estimated on.
    """

    residual_momentum: np.ndarray
    reason: np.ndarray
    observations: np.ndarray


def residual_momentum(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    benchmark_return: np.ndarray,
    benchmark_spanned: np.ndarray,
    *,
    lookback: int = 252,
    skip: int = 21,
    estimation: int = 756,
    min_observations: int = 504,
    min_observed_share: float = 0.8,
    max_stale_sessions: int = 5,
) -> ResidualMomentumPanel:
    """Sum of market-model residuals from session ``t - lookback`` to ``t - skip`` over its standard deviation.

    The model ``r = alpha + beta r_m + e`` is fitted by least squares to the common one-session returns of the
    last ``estimation`` sessions up to ``t``. With the k residuals of the window ``(t - lookback, t - skip]`` and
    their standard deviation s the value is ``sum e / (s sqrt k)``: 2 means that the fund has beaten what its
    beta and its own long-run alpha led to expect by two standard deviations.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int.
    benchmark_return, benchmark_spanned : (S,) of the market's fund; or (S, N), a benchmark for each fund.
    lookback, skip : sessions, ``0 <= skip < lookback``.
    estimation : sessions, more than ``lookback``.
    min_observations : common returns the model needs. Least squares makes the residuals of its whole window sum
        to zero; were it no longer than the ``lookback``, the sum would be what the skipped sessions leave.
    min_observed_share : share of the lookback window's sessions that need a common return.
    max_stale_sessions : a value stands for this many sessions without a bar of the fund.

    Returns
    -------
    ResidualMomentumPanel. NaN with a reason where too few returns are common, a return in the window is unknown,
    the fund's last bar is too long ago, or nothing is left beside the market (the benchmark itself).

    Raises
    ------
    ValueError : windows that cannot be, a benchmark of another shape.

    Notes
    -----
    Blitz, Huij and Martens (2011), Residual momentum, Journal of Empirical Finance 18, 506-521: 36 months of
    estimation and a window of 12-1 months, here daily and with the market as the only factor. Dividing by
    sqrt(k) as well changes no order between funds with full windows, and makes thinner ones comparable.
    """
    if not 0 <= skip < lookback < estimation:
        raise ValueError(f"0 <= skip ({skip}) < lookback ({lookback}) < estimation ({estimation}) must hold")
    if not lookback <= min_observations <= estimation:
        raise ValueError(f"min_observations ({min_observations}) must lie in {lookback}..{estimation}")
    path = return_path(total_return, sessions_spanned, max_stale_sessions)
    p = pair_returns(total_return, sessions_spanned, benchmark_return, benchmark_spanned, max_stale_sessions)
    y = np.where(p.usable, p.fund, 0.0)
    x = np.where(p.usable, p.benchmark, 0.0)
    terms = (p.usable.astype(np.float64), x, y, x * x, x * y, y * y)
    n, sx, sy, xx, xy = (rolling_sum(term, estimation) for term in terms[:5])
    k, wx, wy, wxx, wxy, wyy = (delayed(rolling_sum(term, lookback - skip), skip) for term in terms)

    reason, _ = window_reason(path, lookback, skip, min_observed_share)
    few = (n < min_observations) | (k < min_observed_share * (lookback - skip))
    reason[(reason == UNKNOWN_RETURN) & few] = TOO_FEW_SESSIONS
    reason[(reason == 0) & few] = TOO_FEW_SESSIONS
    with np.errstate(divide="ignore", invalid="ignore"):
        sxx = xx - sx * sx / n
        beta = np.where(sxx > FLAT * xx, (xy - sx * sy / n) / sxx, np.nan)
        alpha = (sy - beta * sx) / n
        total = wy - k * alpha - beta * wx
        # Squared deviations of the residuals from their own mean in the window: alpha falls out.
        own, mixed, market = wyy - wy * wy / k, wxy - wx * wy / k, wxx - wx * wx / k
        squares = own - 2.0 * beta * mixed + beta * beta * market
        still = ~(squares > FLAT * (wyy + beta * beta * wxx))
        reason[(reason == 0) & still] = NO_MOVEMENT
        value = total / np.sqrt(k * squares / (k - 1.0))
    return ResidualMomentumPanel(np.where(reason == 0, value, np.nan), reason, n.astype(np.int32))


def residual_momentum_reference(
    y: np.ndarray, x: np.ndarray, t: int, lookback: int, skip: int, estimation: int
) -> float:
    """One fund on session ``t``: the regression and the residuals spelled out.

    Parameters
    ----------
    y, x : (S,) one-session returns of fund and benchmark, NaN where not common.
    """
    rows = np.arange(max(0, t - estimation + 1), t + 1)
    rows = rows[~np.isnan(y[rows] + x[rows])]
    slope, intercept = np.polyfit(x[rows], y[rows], 1)
    inside = rows[(rows > t - lookback) & (rows <= t - skip)]
    e = y[inside] - intercept - slope * x[inside]
    return float(e.sum() / (e.std(ddof=1) * np.sqrt(len(e))))
