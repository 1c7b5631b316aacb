"""How straight the way of a fund's total-return index was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.rolling import rolling_sum
from etf_pipeline.core.signals.return_path import NO_MOVEMENT, return_path, window_reason


@dataclass(frozen=True)
class EfficiencyPanel:
    """Efficiency ratio per session.

    Attributes
    ----------
    efficiency_ratio : (S, N) float64 in [-1, 1].
    reason : (S, N) int8, index into ``PATH_REASONS``: why there is no value.
    """

    efficiency_ratio: np.ndarray
    reason: np.ndarray


def efficiency_ratio(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    *,
    window: int = 126,
    min_observed_share: float = 0.8,
    max_stale_sessions: int = 5,
) -> EfficiencyPanel:
    """Change of the log total-return index over the sum of its absolute changes, with the change's sign.

    Kaufman's ratio is the absolute value: 1 for a straight line, near 0 for a walk that leads nowhere (about
    ``1 / sqrt(window)`` for a random one). The sign tells a straight rise from a straight fall.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int.
    window : sessions.
    min_observed_share : share of the window's sessions that need a bar.
    max_stale_sessions : a value stands for this many sessions without a bar of the fund.

    Returns
    -------
    EfficiencyPanel. NaN with a reason where the history is too short, the fund's last bar is too long ago, too
    few sessions have a bar, a return is unknown, or the price did not move at all. A return over several sessions
    is one change: what happened on the way is not seen, so missing bars make a way look straighter.

    Notes
    -----
    Kaufman (1995), Smarter Trading, McGraw-Hill, chapter 7, there over 10 bars of price.
    """
    if window < 2:
        raise ValueError(f"window must be at least 2 sessions, not {window}")
    path = return_path(total_return, sessions_spanned, max_stale_sessions)
    reason, _ = window_reason(path, window, 0, min_observed_share)
    way = rolling_sum(np.abs(path.growth), window)
    reason[(reason == 0) & ~(way > 0)] = NO_MOVEMENT
    value = np.full(way.shape, np.nan)
    np.divide(rolling_sum(path.growth, window), way, out=value, where=reason == 0)
    return EfficiencyPanel(np.clip(value, -1.0, 1.0), reason)
