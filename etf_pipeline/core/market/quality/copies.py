"""Bars that are copies: of the fund's own bar before, or of another fund's."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import numpy as np

from etf_pipeline.core.market.panel import BarPanel
from etf_pipeline.core.market.quality.bars import CleanBars
from etf_pipeline.core.market.quality.events import EventLog
from etf_pipeline.core.market.quality.rules import QualityRules

ROUND_VOLUME = 100
"""A single price with a multiple of this volume can happen twice."""
SAME = 1e-5
"""Relative difference of two prices that are one price, rounded to float32 on the way."""


def repeated_bars(
    panel: BarPanel, clean: CleanBars, usable: np.ndarray, rules: QualityRules, log: EventLog
) -> np.ndarray:
    """(S, N) bool: the bar repeats the one of the session before, volume included.

    Vendors fill a day without trades that way. The prices may all have been multiplied by one factor (a
    distribution adjusted in between); a single price must repeat exactly, and not with a round volume.
    """
    repeat = np.zeros(panel.shape, dtype=bool)
    if len(repeat) < 2:
        return repeat
    prices = (clean.open, clean.high, clean.low, clean.close)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = [p[1:] / p[:-1] for p in prices]
        volume = clean.volume[1:]
        same_volume = (volume == clean.volume[:-1]) & (volume >= rules.repeat_volume)
        aligned = np.ones(volume.shape, dtype=bool)
        for r in ratio[:3]:
            aligned &= np.abs(r / ratio[3] - 1.0) <= SAME
        unchanged = np.abs(ratio[3] - 1.0) <= SAME
        spread = clean.high[1:] > clean.low[1:] * (1.0 + SAME)
        copy = same_volume & aligned & (spread | (unchanged & (volume % ROUND_VOLUME != 0)))
    repeat[1:] = copy & usable[1:] & usable[:-1]
    for t, j in np.argwhere(repeat):
        day = panel.sessions[t]
        factor = clean.close[t, j] / clean.close[t - 1, j]
        scaled = "" if abs(factor - 1.0) <= SAME else f", prices times {factor:.5f}"
        log.add(panel.tickers[j], day, day, day, "repeated_bar", "warning", "quarantined",
                f"copy of {panel.sessions[t - 1]}, volume {clean.volume[t, j]:.0f} too{scaled}")  # fmt: skip
    _long_repeats(panel, repeat, rules, log)
    return repeat


def _long_repeats(panel: BarPanel, repeat: np.ndarray, rules: QualityRules, log: EventLog) -> None:
    """A bar repeated for ``stale_bars`` sessions is a stale run: one event when it is, one at its end."""
    edges = np.diff(repeat.astype(np.int8), axis=0, prepend=0)
    for t, j in np.argwhere(edges == 1):
        stops = np.flatnonzero(~repeat[t:, j])
        end = int(t + stops[0]) if len(stops) else len(repeat)
        if end - t < rules.stale_bars:
            continue
        days, known = panel.sessions, int(t) + rules.stale_bars - 1
        log.add(panel.tickers[j], days[t], days[known], days[known], "stale_run", "warning", "quarantined",
                f"{rules.stale_bars} copies of the bar of {days[t - 1]} in a row")  # fmt: skip
        if end < len(repeat):
            log.add(panel.tickers[j], days[t], days[end - 1], days[end], "stale_run", "warning",
                    "quarantined", f"{end - t} copies of the bar of {days[t - 1]} in a row")  # fmt: skip


def copied_series(
    panel: BarPanel, clean: CleanBars, usable: np.ndarray, rules: QualityRules, log: EventLog
) -> np.ndarray:
    """(S, N) bool: the fund's series is also another's, and nothing tells whose it is.

    Two funds with one close and one volume on ``copied_bars`` sessions, which are nearly all on which
    both traded since the first, are one series under two codes until ``copied_cooldown`` sessions pass
    without another match.
    """
    doubt = np.zeros(panel.shape, dtype=bool)
    traded = usable & (clean.volume >= rules.repeat_volume)
    for (i, j), matches in _matches(clean, traded, rules.copied_bars).items():
        both = np.cumsum(traded[:, i] & traded[:, j])
        until = -1
        first = 0
        for k, t in enumerate(matches):
            if k > first and t - matches[k - 1] > rules.copied_cooldown:
                first = k
            count = k - first + 1
            common = both[t] - both[matches[first]] + 1
            if count < rules.copied_bars or count < rules.copied_share * common:
                continue
            if t > until:
                for one, other in ((i, j), (j, i)):
                    day = panel.sessions[t]
                    log.add(panel.tickers[one], panel.sessions[matches[first]], day, day, "copied_series",
                            "error", "excluded",
                            f"same close and volume as {panel.tickers[other]} on {count} of {common} "
                            "sessions on which both traded: one series under two codes")  # fmt: skip
            until = t + rules.copied_cooldown
            doubt[t : until + 1, i] = True
            doubt[t : until + 1, j] = True
    return doubt


def _matches(clean: CleanBars, traded: np.ndarray, least: int) -> dict[tuple[int, int], list[int]]:
    """Sessions on which two funds share close and volume, of pairs with at least ``least``, in order."""
    t, j = np.nonzero(traded)
    close, volume = clean.close[t, j], clean.volume[t, j]
    order = np.lexsort((j, close, volume, t))
    t, j, close, volume = t[order], j[order], close[order], volume[order]
    if len(t) < 2:
        return {}
    new = np.ones(len(t), dtype=bool)
    new[1:] = (t[1:] != t[:-1]) | (close[1:] != close[:-1]) | (volume[1:] != volume[:-1])
    starts = np.flatnonzero(new)
    sizes = np.diff(np.append(starts, len(t)))
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
        for a, b in combinations(j[start : start + size], 2):
            found[int(a), int(b)].append(int(t[start]))
    return {pair: sessions for pair, sessions in found.items() if len(sessions) >= least}
