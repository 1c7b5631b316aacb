"""Small steps of the level state machine: writing an event, naming what a bar or a level was."""

from __future__ import annotations

import numba as nb
import numpy as np

from etf_pipeline.core.market.quality import codes as c
from etf_pipeline.core.market.quality.judge import LevelParameters, confirmed_level

EVENTS_PER_BAR = 8
"""More than one bar can ever write."""


@nb.njit(cache=True)
def emit(
    events: np.ndarray,
    n: int,
    start: int,
    end: int,
    detected: int,
    kind: tuple[int, int, int],
    numbers: tuple[float, float, float, float, float],
    opening: bool,
) -> int:
    """Append one event row; ``kind`` is (rule, severity, action). Returns the new count."""
    row = events[n]
    row[c.E_START] = start
    row[c.E_END] = end
    row[c.E_DETECTED] = detected
    row[c.E_RULE] = kind[0]
    row[c.E_SEVERITY] = kind[1]
    row[c.E_ACTION] = kind[2]
    for i in range(5):
        row[c.E_EVIDENCE + i] = numbers[i]
    row[c.E_OPENING] = 1.0 if opening else 0.0
    return n + 1


@nb.njit(cache=True)
def push(recent: np.ndarray, value: int) -> None:
    """Drop the oldest entry and append ``value``."""
    for i in range(len(recent) - 1):
        recent[i] = recent[i + 1]
    recent[-1] = value


@nb.njit(cache=True)
def untraded_rule(changed: int, count: int, p: LevelParameters) -> int:
    """Name of a long history without a trade; ``changed`` closes differed from the one before."""
    if changed >= p.nav_share * count:
        return c.PRELISTING_NAV_HISTORY
    return c.UNTRADED_HISTORY


@nb.njit(cache=True)
def recent_flip(flips: np.ndarray, t: int, window: int) -> bool:
    """Whether the scale was wrong before within ``window`` sessions."""
    return flips[-1] >= 0 and t - flips[-1] <= window


@nb.njit(cache=True)
def left_level_rule(
    level: float, surge: float, fiscal: bool, flipping: bool, p: LevelParameters
) -> tuple[int, int, int]:
    """(rule, severity, action) of a candidate that was left again."""
    if abs(level) >= p.scale_log_move:
        if flipping:
            return c.TRADED_FLIP, c.ERROR, c.QUARANTINED
        return c.BAD_SCALE_BLOCK, c.ERROR, c.QUARANTINED
    if surge >= 0.5 * p.genuine_surge:
        return c.LARGE_MOVE_REVERSED, c.INFO, c.QUARANTINED
    if fiscal and surge >= p.print_surge:
        return c.DISTRIBUTION_REVERSED, c.WARNING, c.QUARANTINED
    return c.BAD_PRINT, c.WARNING, c.QUARANTINED


@nb.njit(cache=True)
def untraded_level_rule(
    level: float, fiscal: bool, flipping: bool, p: LevelParameters
) -> tuple[int, int, int]:
    """(rule, severity, action) of a bar without volume far from the reference."""
    if abs(level) >= p.scale_log_move:
        return c.SCALE_FLIP_FLOP if flipping else c.UNTRADED_BLOCK, c.ERROR, c.QUARANTINED
    if fiscal and 0 < level <= p.distribution_limit:
        return c.DISTRIBUTION_UNTRADED, c.WARNING, c.QUARANTINED
    return c.UNTRADED_PRINT, c.INFO, c.QUARANTINED


@nb.njit(cache=True)
def leave_level(
    events: np.ndarray,
    n: int,
    span: tuple[int, int, int],
    level: float,
    kept_out: int,
    move: float,
    sigma: float,
    surge: float,
    fiscal: bool,
    flips: np.ndarray,
    p: LevelParameters,
) -> int:
    """Write the event of a candidate that was left at ``span`` (start, end, now); record a scale flip."""
    start, end, t = span
    kind = left_level_rule(level, surge, fiscal, recent_flip(flips, t, p.doubt_sessions), p)
    numbers = (np.exp(level), float(kept_out), np.exp(move), sigma, surge)
    if abs(level) >= p.scale_log_move:
        push(flips, t)
    return emit(events, n, start, end, t, kind, numbers, False)


@nb.njit(cache=True)
def resolve_level(
    events: np.ndarray,
    n: int,
    span: tuple[int, int],
    moves: tuple[float, float, float, float],
    volume_ratio: float,
    surge: float,
    fiscal: bool,
    stable: bool,
    p: LevelParameters,
) -> tuple[int, float]:
    """Decide on a candidate that was confirmed, or never settled (``stable`` False), and write the event.

    Parameters
    ----------
    span : first bar of the candidate, and this one.
    moves : level, level now, what the market explains, deviation; as in ``confirmed_level``.

    Returns
    -------
    n : events written so far.
    log_ratio : log of the scale to repair by, 0 for a genuine move, NaN where nothing can be compared.
    """
    level, level_now, expected, sigma = moves
    rule, log_ratio, odds = confirmed_level(level, level_now, expected, sigma, volume_ratio, surge, fiscal, p)
    if not stable and abs(level) >= p.scale_log_move:
        rule, log_ratio = c.ADJUSTMENT_BREAK, np.nan
    severity, action = c.ERROR, c.QUARANTINED
    if rule == c.LARGE_MOVE_CONFIRMED:
        severity, action = c.INFO, c.RESOLVED
    elif rule in (c.SPLIT_UNADJUSTED, c.CONSOLIDATION_UNADJUSTED):
        action = c.REPAIRED
    numbers = (np.exp(level), np.exp(log_ratio), np.exp(level_now), odds, np.exp(volume_ratio))
    return emit(events, n, span[0], span[1], span[1], (rule, severity, action), numbers, False), log_ratio
