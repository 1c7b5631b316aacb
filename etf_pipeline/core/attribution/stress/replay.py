"""Historical windows on a market's sessions, and what funds returned in them from their own prices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

REASONS: tuple[str, ...] = (
    "",
    "no bar at the window's first close",
    "no bar at the window's last close",
    "a return inside the window is unknown",
)
"""Why a fund has no realised return; 0 where it has one."""


@dataclass(frozen=True)
class Window:
    """Rows of a window.

    Attributes
    ----------
    first, last : rows of the closes it runs from and to.
    known_from : the first row at which the window is history: nothing of it may be used before.
    """

    first: int
    last: int
    known_from: int


def window_rows(
    sessions: np.ndarray, start: np.datetime64, end: np.datetime64, *, shift: int = 0
) -> Window | None:
    """Where a window of calendar days lies on a market's sessions.

    Parameters
    ----------
    sessions : (S,) datetime64[D], ascending.
    start, end : days whose closes it runs from and to; where a day is no session, the close before stands.
    shift : sessions by which this market sees the window's days later: 1 for the ASX and days of New York, whose close
        comes after its own.

    Returns
    -------
    Window, or None where the sessions do not reach from ``start`` to ``end``.

    Raises
    ------
    ValueError : an end that is not after the start.
    """
    if not end > start:
        raise ValueError(f"a window from {start} must end later than {end}")
    first = int(np.searchsorted(sessions, start, side="right")) - 1 + shift
    last = int(np.searchsorted(sessions, end, side="right")) - 1 + shift
    known_from = max(int(np.searchsorted(sessions, end, side="left")), last)
    if first - shift < 0 or known_from >= len(sessions) or first >= last:
        return None
    return Window(first, last, known_from)


def realised_returns(
    total_return: np.ndarray, accepted: np.ndarray, window: Window
) -> tuple[np.ndarray, np.ndarray]:
    """What one unit held over a window returned.

    Parameters
    ----------
    total_return : (S, N) float64, simple, from the previous accepted bar to this one; NaN where unknown.
    accepted : (S, N) bool, sessions with an accepted bar.
    window : rows.

    Returns
    -------
    realised : (N,) float64, the compounded returns of the bars after the first close; NaN with a reason: without a bar
        at both ends, what the fund returned in the window cannot be told from what it returned around it.
    reason : (N,) int8, index to ``REASONS``.
    """
    inside = slice(window.first + 1, window.last + 1)
    bars = accepted[inside]
    unknown = (bars & np.isnan(total_return[inside])).any(axis=0)
    reason = np.where(unknown, 3, 0)
    reason = np.where(accepted[window.last], reason, 2)
    reason = np.where(accepted[window.first], reason, 1).astype(np.int8)
    growth = np.where(bars, 1.0 + total_return[inside], 1.0).prod(axis=0)
    return np.where(reason == 0, growth - 1.0, np.nan), reason
