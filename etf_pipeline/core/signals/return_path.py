"""What the signals of a fund's price path share: its log returns, and whether a window of them can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.rolling import rolling_sum, sessions_since

PATH_REASONS = (
    "",  # there is a value
    "short_history",  # no accepted bar at or before the start of the window
    "no_recent_bar",  # the fund's last bar is too long ago: the value has ended with it
    "too_few_sessions",  # bars on less than the required share of the window's sessions
    "unknown_return",  # a return inside the window is unknown (closes that cannot be compared)
    "no_movement",  # the price has not moved, or not but with the benchmark: there is nothing to divide by
)
"""Names of the reason codes; the first that applies, in this order, is given."""

SHORT_HISTORY, NO_RECENT_BAR, TOO_FEW_SESSIONS, UNKNOWN_RETURN, NO_MOVEMENT = range(1, 6)

FLAT = 1e-13
"""A centred sum of squares below this part of the raw one is rounding: the series did not move."""


@dataclass(frozen=True)
class ReturnPath:
    """Log returns of every fund, without holes.

    Attributes
    ----------
    growth : (S, N) float64, log total return that ends on the session; 0 where there is none or it is unknown.
    spanned : (S, N) int64, sessions it spans; 0 without a bar to compare.
    known, unknown : (S, N) bool, a return ends here whose size is, or is not, known.
    serves : (S, N) bool, the fund's last bar is recent enough for a value to stand.
    """

    growth: np.ndarray
    spanned: np.ndarray
    known: np.ndarray
    unknown: np.ndarray
    serves: np.ndarray


def return_path(
    total_return: np.ndarray, sessions_spanned: np.ndarray, max_stale_sessions: int = 5
) -> ReturnPath:
    """Simple total returns as log growth.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where none or unknown.
    sessions_spanned : (S, N) int, 0 where there is no bar to compare.
    max_stale_sessions : a value stands for this many sessions without a bar of the fund.

    Raises
    ------
    ValueError : shapes that differ, or a negative number of sessions.
    """
    if total_return.shape != sessions_spanned.shape:
        raise ValueError(
            f"total_return {total_return.shape} and sessions_spanned {sessions_spanned.shape} differ in shape"
        )
    if max_stale_sessions < 0:
        raise ValueError(f"max_stale_sessions must be 0 or more, not {max_stale_sessions}")
    spanned = np.ascontiguousarray(sessions_spanned, dtype=np.int64)
    has_return = spanned > 0
    known = has_return & ~np.isnan(total_return)
    growth = np.zeros(total_return.shape)
    np.log1p(total_return, out=growth, where=known)
    stale = sessions_since(has_return)
    return ReturnPath(
        growth=growth,
        spanned=spanned,
        known=known,
        unknown=has_return & ~known,
        serves=(stale >= 0) & (stale <= max_stale_sessions),
    )


def window_reason(
    path: ReturnPath, lookback: int, skip: int, min_observed_share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Why the window from session ``t - lookback`` to ``t - skip`` cannot be used.

    Returns
    -------
    (S, N) int8 index into ``PATH_REASONS`` (0: it can), and (S, N) float64 share of its sessions with a bar.
    """
    window = lookback - skip
    observed = delayed(rolling_sum((path.spanned > 0).astype(np.int32), window), skip)
    unknown = delayed(rolling_sum(path.unknown.astype(np.int32), window), skip)
    share = observed / window
    reason = np.zeros(share.shape, dtype=np.int8)
    reason[unknown > 0] = UNKNOWN_RETURN
    reason[share < min_observed_share] = TOO_FEW_SESSIONS
    reason[~path.serves] = NO_RECENT_BAR
    reason[~_history_reaches(path.spanned, lookback)] = SHORT_HISTORY
    return reason, share


def window_variance(path: ReturnPath, lookback: int, skip: int = 0) -> np.ndarray:
    """Variance of the log return, a session, over the window from session ``t - lookback`` to ``t - skip``.

    A return over n sessions has n times the mean and the variance of one: with k returns g over n sessions each,
    ``(sum g**2 / n - (sum g)**2 / sum n) / (k - 1)``, the sample variance where all n are 1.

    Returns
    -------
    (S, N) float64; NaN with fewer than two returns, exactly 0 where they do not differ.
    """
    window = lookback - skip
    span = np.maximum(path.spanned, 1)
    squares = rolling_sum(path.growth**2 / span, window)
    total = rolling_sum(path.growth, window)
    sessions = rolling_sum(np.where(path.known, path.spanned, 0), window)
    returns = rolling_sum(path.known.astype(np.int32), window)
    centred = squares - total**2 / np.maximum(sessions, 1)
    centred[centred <= FLAT * squares] = 0.0
    variance = np.full(squares.shape, np.nan)
    np.divide(centred, returns - 1, out=variance, where=returns > 1)
    return delayed(variance, skip, np.nan)


def delayed(panel: np.ndarray, sessions: int, fill: float = 0) -> np.ndarray:
    """The panel as it was ``sessions`` ago; ``fill`` before that."""
    if sessions == 0:
        return panel
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
