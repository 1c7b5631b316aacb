"""Total-return momentum over a look-back window that leaves out the most recent sessions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.rolling import rolling_sum
from etf_pipeline.core.risk.volatility import SESSIONS_A_YEAR
from etf_pipeline.core.signals.return_path import (
    NO_MOVEMENT,
    delayed,
    return_path,
    window_reason,
    window_variance,
)


@dataclass(frozen=True)
class MomentumPanel:
    """Momentum per session.

    Attributes
    ----------
    momentum : (S, N) float64, compounded simple total return over the window (0.18 = +18 %).
    observed_share : (S, N) float64, share of the window's sessions with an accepted bar.
    reason : (S, N) int8, index into ``PATH_REASONS``: why there is no momentum.
    risk_adjusted : (S, N) float64, momentum over the annualised volatility of the same window.
    risk_adjusted_reason : (S, N) int8, why there is none; ``no_movement`` where the price stood still.
    lookback, skip : sessions.
    """

    momentum: np.ndarray
    observed_share: np.ndarray
    reason: np.ndarray
    risk_adjusted: np.ndarray
    risk_adjusted_reason: np.ndarray
    lookback: int
    skip: int


def momentum(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    *,
    lookback: int = 252,
    skip: int = 21,
    min_observed_share: float = 0.8,
    max_stale_sessions: int = 5,
) -> MomentumPanel:
    """Total return from session ``t - lookback`` to session ``t - skip``, as it is and over its risk.

    With 252 and 21 this is the "12-1" momentum: twelve months without the last, in which short-term
    reversal dominates. It compounds the returns stamped with the sessions ``t - lookback + 1`` to
    ``t - skip``. Risk is the standard deviation of these (log) returns times sqrt(252).

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where none or unknown.
    sessions_spanned : (S, N) int, 0 where there is no bar to compare.
    lookback, skip : sessions, ``0 <= skip < lookback``.
    min_observed_share : share of the window's sessions that need a bar.
    max_stale_sessions : a value stands for this many sessions without a bar of the fund.

    Returns
    -------
    MomentumPanel. NaN with a reason where the fund's history does not reach back to the window's start,
    its last bar is too long ago, too few sessions have a bar, or a return in the window is unknown. A return
    over several sessions belongs to the session on which it ends, so a hole at the window's start brings in
    what happened in it, and a hole at its end leaves it to later windows.

    Notes
    -----
    Jegadeesh and Titman (1993), Returns to Buying Winners and Selling Losers, Journal of Finance 48. Ranking by
    return over risk: Rachev, Jasic, Stoyanov and Fabozzi (2007), Momentum strategies based on reward-risk stock
    selection criteria, Journal of Banking & Finance 31. No riskless rate is taken off, so funds that hold cash
    or bills, which rise evenly and hardly vary, have the greatest ratios of all.
    """
    if not 0 <= skip < lookback:
        raise ValueError(f"0 <= skip ({skip}) < lookback ({lookback}) must hold")
    path = return_path(total_return, sessions_spanned, max_stale_sessions)
    reason, observed_share = window_reason(path, lookback, skip, min_observed_share)
    value = np.full(path.growth.shape, np.nan)
    log_growth = delayed(rolling_sum(path.growth, lookback - skip), skip)
    np.expm1(log_growth, out=value, where=reason == 0)

    volatility = np.sqrt(window_variance(path, lookback, skip) * SESSIONS_A_YEAR)
    adjusted_reason = np.where((reason == 0) & ~(volatility > 0), np.int8(NO_MOVEMENT), reason)
    adjusted = np.full(value.shape, np.nan)
    np.divide(value, volatility, out=adjusted, where=adjusted_reason == 0)
    return MomentumPanel(value, observed_share, reason, adjusted, adjusted_reason, lookback, skip)


def momentum_reference(
    total_return: np.ndarray, sessions_spanned: np.ndarray, t: int, lookback: int, skip: int
) -> float:
    """One fund's momentum on session ``t`` as a plain product; NaN where a return in it is unknown."""
    inside = slice(t - lookback + 1, t - skip + 1)
    return float(np.prod(1.0 + total_return[inside][sessions_spanned[inside] > 0]) - 1.0)
