"""Total-return momentum over a look-back window that leaves out the most recent sessions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.rolling import rolling_sum

MOMENTUM_REASONS = (
    "",  # there is a value
    "short_history",  # no accepted bar at or before the start of the window
    "too_few_sessions",  # bars on less than the required share of the window's sessions
    "unknown_return",  # a return inside the window is unknown (closes that cannot be compared)
)
"""Names of the reason codes; the first that applies, in this order, is given."""


@dataclass(frozen=True)
class MomentumPanel:
    """Momentum per session.

    Attributes
    ----------
    momentum : (S, N) float64, compounded simple total return over the window (0.18 = +18 %).
    observed_share : (S, N) float64, share of the window's sessions with an accepted bar.
    reason : (S, N) int8, index into ``MOMENTUM_REASONS``: why there is no value.
    lookback, skip : sessions.
    """

    momentum: np.ndarray
    observed_share: np.ndarray
    reason: np.ndarray
    lookback: int
    skip: int


def momentum(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    *,
    lookback: int = 252,
    skip: int = 21,
    min_observed_share: float = 0.8,
) -> MomentumPanel:
    """Total return from session ``t - lookback`` to session ``t - skip``.

    With 252 and 21 this is the "12-1" momentum: twelve months without the last, in which short-term
    reversal dominates. It compounds the returns stamped with the sessions ``t - lookback + 1`` to
    ``t - skip``.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where none or unknown.
    sessions_spanned : (S, N) int, 0 where there is no bar to compare.
    lookback, skip : sessions, ``0 <= skip < lookback``.
    min_observed_share : share of the window's sessions that need a bar.

    Returns
    -------
    MomentumPanel. NaN with a reason where the fund's history does not reach back to the window's start,
    too few sessions have a bar, or a return in the window is unknown. A return over several sessions
    belongs to the session on which it ends, so a hole at the window's start brings in what happened
    in it, and a hole at its end leaves it to later windows.

    Notes
    -----
    Jegadeesh and Titman (1993), Returns to Buying Winners and Selling Losers, Journal of Finance 48.
    """
    if not 0 <= skip < lookback:
        raise ValueError(f"0 <= skip ({skip}) < lookback ({lookback}) must hold")
    window = lookback - skip
    spanned = np.asarray(sessions_spanned)
    has_return = spanned > 0
    unknown = has_return & np.isnan(total_return)
    growth = np.zeros(total_return.shape)
    np.log1p(total_return, out=growth, where=has_return & ~unknown)
    log_growth = _shift(rolling_sum(growth, window), skip, 0.0)
    observed = _shift(rolling_sum(has_return.astype(np.int32), window), skip, 0)
    any_unknown = _shift(rolling_sum(unknown.astype(np.int32), window), skip, 0) > 0
    observed_share = observed / window

    reason = np.zeros(total_return.shape, dtype=np.int8)
    reason[any_unknown] = MOMENTUM_REASONS.index("unknown_return")
    reason[observed_share < min_observed_share] = MOMENTUM_REASONS.index("too_few_sessions")
    reason[~_history_reaches(spanned, lookback)] = MOMENTUM_REASONS.index("short_history")
    value = np.full(total_return.shape, np.nan)
    np.expm1(log_growth, out=value, where=reason == 0)
    return MomentumPanel(value, observed_share, reason, lookback, skip)


def momentum_reference(
    total_return: np.ndarray, sessions_spanned: np.ndarray, t: int, lookback: int, skip: int
) -> float:
    """One fund's momentum on session ``t`` as a plain product; NaN where a return in it is unknown."""
    inside = slice(t - lookback + 1, t - skip + 1)
    return float(np.prod(1.0 + total_return[inside][sessions_spanned[inside] > 0]) - 1.0)


def _shift(panel: np.ndarray, sessions: int, fill: float) -> np.ndarray:
    """The panel as it was ``sessions`` ago."""
    out = np.full_like(panel, fill)
    out[sessions:] = panel[: len(panel) - sessions] if sessions < len(panel) else panel[:0]
    return out


def _history_reaches(spanned: np.ndarray, lookback: int) -> np.ndarray:
    """(S, N) bool: an accepted bar is known at or before ``lookback`` sessions ago.

    The first bar itself has no return; the first return says how far back it lies, once it is there.
    """
    length, funds = spanned.shape
    if length == 0:
        return np.zeros(spanned.shape, dtype=bool)
    begun = spanned > 0
    ever = begun.any(axis=0)
    first_return = begun.argmax(axis=0)
    first_bar = first_return - spanned[first_return, np.arange(funds)]
    row = np.arange(length)[:, None]
    return ever & (row >= first_return) & (row - lookback >= first_bar)
