"""Turns the compiled detector's event rows into sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from etf_pipeline.core.market.quality import codes as c
from etf_pipeline.core.market.quality.events import EventLog


class Found(NamedTuple):
    """One detector event: five numbers, whether it opens a condition, and the sessions they index."""

    v: tuple[float, ...]
    opening: bool
    sessions: np.ndarray


def narrate(ticker: str, sessions: np.ndarray, rows: np.ndarray, log: EventLog) -> None:
    """Add one fund's detector events to the log.

    Parameters
    ----------
    sessions : (S,) datetime64[D].
    rows : (n, E_WIDTH) float64 as ``levels.walk`` wrote them.
    """
    for row in rows:
        start, end, detected = (sessions[int(row[i])] for i in (c.E_START, c.E_END, c.E_DETECTED))
        rule = int(row[c.E_RULE])
        numbers = tuple(float(v) for v in row[c.E_EVIDENCE : c.E_OPENING])
        sentence = SENTENCES[rule](Found(numbers, bool(row[c.E_OPENING] == 1.0), sessions))
        log.add(ticker, start, end, detected, c.LEVEL_RULES[rule], c.SEVERITIES[int(row[c.E_SEVERITY])],
                c.ACTIONS[int(row[c.E_ACTION])], sentence)  # fmt: skip


def _times(ratio: float) -> str:
    """A price ratio as a person would say it."""
    if 0.67 < ratio < 1.5:
        return f"{ratio - 1:+.1%}"
    return f"x{ratio:.4g}" if ratio >= 1 else f"x1/{1 / ratio:.4g}"


def _bars(count: float) -> str:
    return "1 bar" if count == 1 else f"{count:.0f} bars"


def _volume(ratio: float) -> str:
    return "volume not comparable" if np.isnan(ratio) else f"volume x{ratio:.2g} of its median"


def _unconfirmed(f: Found) -> str:
    return (
        f"close {f.v[0]:.6g} against the last accepted {f.v[1]:.6g} ({_times(f.v[2])}), deviation "
        f"over the span {f.v[3]:.2%}, {_volume(f.v[4])}: kept out until the level is confirmed or left"
    )


def _left(f: Found) -> str:
    return (
        f"{_bars(f.v[1])} at {_times(f.v[0])} of the old level (deviation {f.v[3]:.2%}, {_volume(f.v[4])}), "
        f"then {_times(f.v[2])} of it"
    )


def _split(f: Found) -> str:
    return (
        f"close {_times(f.v[0])} in one step, confirmed at {_times(f.v[2])}, {_volume(f.v[4])}: "
        f"history not adjusted for a ratio of {_ratio(f.v[1])}, log odds {f.v[3]:.1f}; return repaired"
    )


def _ratio(ratio: float) -> str:
    """0.1 as 10-for-1, 20 as 1-for-20, 1.5 as 2-for-3."""
    new, old = (1.0, ratio) if ratio > 1 else (1 / ratio, 1.0)
    factor = 1 if abs(new - round(new)) + abs(old - round(old)) < 1e-6 else 2
    return f"{new * factor:.0f}-for-{old * factor:.0f}"


def _break(f: Found) -> str:
    odds = "" if np.isnan(f.v[3]) else f", log odds of a split {f.v[3]:.1f}"
    return (
        f"close {_times(f.v[0])} in one step, confirmed at {_times(f.v[2])}, {_volume(f.v[4])}{odds}: "
        "neither a market move nor a clear split; return over the break unknown, fund in doubt"
    )


def _genuine(f: Found) -> str:
    return (
        f"move of {_times(f.v[0])} confirmed at {_times(f.v[2])} by more trades, {_volume(f.v[4])}: genuine"
    )


def _off_level(f: Found) -> str:
    if f.opening:
        return (
            f"untraded close {f.v[0]:.6g} against the last accepted {f.v[1]:.6g} ({_times(f.v[2])}), "
            f"deviation {f.v[3]:.2%}: kept out, and further ones, until a bar is accepted"
        )
    return f"{_bars(f.v[0])} without volume at {_times(f.v[2])} of the last accepted close {f.v[1]:.6g}"


def _reversed_afterwards(f: Found) -> str:
    return (
        f"accepted at {f.v[0]:.6g} after {f.v[1]:.6g}, then {_times(f.v[2])} straight back: in hindsight a "
        "bad print; both returns stand"
    )


def _untraded_history(f: Found) -> str:
    if f.opening:
        return f"{_bars(f.v[0])} in a row without a trade ever seen; excluded until it trades"
    return f"{_bars(f.v[0])} before the first trade seen, on {f.sessions[int(f.v[3])]}"


def _deferred(f: Found) -> str:
    if f.opening:
        return (
            f"{_bars(f.v[0])} without volume at {f.v[1]:.6g} in a fund that traded on each of its last "
            f"{f.v[2]:.0f} bars: trading is elsewhere (deferred settlement) or the feed has stopped"
        )
    return f"{_bars(f.v[0])} without volume ended: traded again at {f.v[2]:.6g} after {f.v[1]:.6g}"


def _stale(f: Found) -> str:
    until = ", no observation from here until it trades or changes" if f.opening else ""
    return f"{_bars(f.v[0])} without volume or change at {f.v[1]:.6g}{until}"


def _same_close(f: Found) -> str:
    return f"{_bars(f.v[0])} traded at the same close {f.v[1]:.6g}"


def _pre_listing(f: Found) -> str:
    if f.opening:
        why = "before the listing date" if f.v[2] == 1.0 else "without volume before any trade"
        return f"close {f.v[0]:.6g} {why}: excluded, and further ones, until the fund trades"
    return f"{_bars(f.v[0])} before the first trade on {f.sessions[int(f.v[3])]}"


def _nav_history(f: Found) -> str:
    if f.opening:
        return f"{_bars(f.v[0])} and not one trade: values, not prices; excluded until it trades"
    return f"{_bars(f.v[0])} of untraded values before the first trade on {f.sessions[int(f.v[3])]}"


def _nav_flip(f: Found) -> str:
    return f"untraded value {f.v[0]:.6g} to {f.v[1]:.6g} ({_times(float(np.exp(f.v[2])))}) before listing"


def _recycled(f: Found) -> str:
    return (
        f"bars again after {f.v[0]:.0f} sessions of silence since {f.sessions[int(f.v[1])]}: taken for "
        "another fund under the code; history starts over"
    )


def _lifted(f: Found) -> str:
    return f"{f.v[0]:.0f} sessions since the break: no look-back reaches it any more"


SENTENCES: dict[int, Callable[[Found], str]] = {
    c.UNCONFIRMED_LEVEL: _unconfirmed,
    c.BAD_PRINT: _left,
    c.BAD_SCALE_BLOCK: _left,
    c.TRADED_FLIP: _left,
    c.DISTRIBUTION_REVERSED: _left,
    c.SPLIT_UNADJUSTED: _split,
    c.CONSOLIDATION_UNADJUSTED: _split,
    c.ADJUSTMENT_BREAK: _break,
    c.DISTRIBUTION_WRONG_DATE: _break,
    c.LARGE_MOVE_CONFIRMED: _genuine,
    c.SCALE_FLIP_FLOP: _off_level,
    c.UNTRADED_PRINT: _off_level,
    c.DEFERRED_SETTLEMENT: _deferred,
    c.STALE_RUN: _stale,
    c.STALE_TRADED_RUN: _same_close,
    c.PRE_LISTING_BAR: _pre_listing,
    c.PRELISTING_NAV_HISTORY: _nav_history,
    c.PRELISTING_NAV_FLIP: _nav_flip,
    c.RECYCLED_CODE: _recycled,
    c.DOUBT_LIFTED: _lifted,
    c.LARGE_MOVE_REVERSED: _left,
    c.REVERSED_AFTERWARDS: _reversed_afterwards,
    c.DISTRIBUTION_UNTRADED: _off_level,
    c.UNTRADED_HISTORY: _untraded_history,
    c.UNTRADED_BLOCK: _off_level,
}
