"""Bars that should be there and are not, and bars that should not be there."""

from __future__ import annotations

import numpy as np
import pandas as pd

from etf_pipeline.core.market.panel import BarPanel
from etf_pipeline.core.market.quality.events import MARKET, EventLog
from etf_pipeline.core.market.quality.rules import QualityRules

ALIVE_SESSIONS = 5
"""A fund is alive if it had a bar within so many sessions."""
TRADING_SHARE = 0.25
"""Share of the living funds with a bar from which the market counts as trading."""
LONG_HOLE_SESSIONS = 10
"""Market sessions missed in a row by a regular fund that are worth an event."""


def bars_within(bar: np.ndarray, window: int) -> np.ndarray:
    """(S, N) int: bars on this session and the ``window - 1`` before it."""
    total = np.cumsum(bar, axis=0, dtype=np.int32)
    total[window:] -= total[:-window].copy() if window < len(total) else 0
    return total


def bars_before(bar: np.ndarray, window: int) -> np.ndarray:
    """(S, N) int: bars on the ``window`` sessions before this one."""
    earlier = np.zeros_like(bar)
    earlier[1:] = bar[:-1]
    return bars_within(earlier, window)


def market_trading(bar: np.ndarray) -> np.ndarray:
    """(S,) bool: enough of the living funds have a bar; one fund alone is no market."""
    alive = (bars_before(bar, ALIVE_SESSIONS) > 0).sum(axis=1)
    return np.asarray(bar.sum(axis=1) >= np.maximum(2, TRADING_SHARE * alive))


def covered_sessions(panel: BarPanel, coverage_end: np.ndarray | None) -> np.ndarray:
    """(S, N) bool: the source was asked about this fund and session.

    Without ``coverage_end`` (or where it is NaT), a fund's coverage pauses after a bar that is not final:
    the download ended there, unless a later one follows.
    """
    bar = ~np.isnan(panel.close)
    position = np.where(bar, np.arange(len(bar))[:, None], -1)
    last = np.maximum.accumulate(position, axis=0) if len(bar) else position
    final = np.take_along_axis(panel.is_final | ~bar, np.maximum(last, 0), axis=0) | (last < 0)
    covered = final | bar
    if coverage_end is not None:
        end = np.asarray(coverage_end, dtype="datetime64[D]")
        covered = np.where(np.isnat(end), covered, panel.sessions[:, None] <= end)
    return covered


def market_wide_holes(
    panel: BarPanel, covered: np.ndarray, eligible: np.ndarray, rules: QualityRules, log: EventLog
) -> None:
    """Sessions that many funds with regular bars miss."""
    bar = ~np.isnan(panel.close) & eligible
    regular = (bars_before(bar, rules.hole_window) >= rules.hole_window - 1) & covered
    count = regular.sum(axis=1)
    missing = (regular & ~bar).sum(axis=1)
    hole = (missing >= rules.hole_funds) & (missing >= rules.hole_share * count)
    for t in np.flatnonzero(hole):
        day = panel.sessions[t]
        severity = "error" if missing[t] >= 0.5 * count[t] else "warning"
        log.add(MARKET, day, day, day, "market_wide_hole", severity, "none",
                f"{missing[t]} of {count[t]} funds with a bar on nearly all of the last "
                f"{rules.hole_window} sessions have none")  # fmt: skip


def sparse_history(panel: BarPanel, eligible: np.ndarray, rules: QualityRules, log: EventLog) -> np.ndarray:
    """(S, N) bool: the fund has no daily history (month-end quotes); its bars there are excluded."""
    bar = ~np.isnan(panel.close) & eligible
    sessions = len(bar)
    sparse = np.zeros_like(bar)
    if not sessions:
        return sparse
    recent, lately = bars_within(bar, rules.sparse_window), bars_within(bar, rules.sparse_exit_window)
    first = np.where(bar.any(axis=0), bar.argmax(axis=0), sessions)
    old = np.arange(sessions)[:, None] - first >= rules.sparse_window - 1
    enter = old & bar & (recent <= rules.sparse_bars)
    leave = lately >= rules.sparse_exit_bars
    for j in np.flatnonzero(enter.any(axis=0)):
        name = panel.tickers[j]
        rows = np.flatnonzero(bar[:, j])
        spacing = np.diff(rows, prepend=rows[0])
        t = 0
        while True:
            starts = np.flatnonzero(enter[t:, j]) + t
            # One long silence in the window is a suspension, not a habit.
            begin = next((int(i) for i in starts if _steady(rows, spacing, int(i), rules)), -1)
            if begin < 0:
                break
            window = np.flatnonzero(bar[max(begin - rules.sparse_window + 1, 0) : begin + 1, j])
            origin = max(begin - rules.sparse_window + 1, 0) + int(window[0])
            rule = "mixed_frequency" if recent[begin, j] <= rules.monthly_bars else "sparse_history"
            log.add(name, panel.sessions[origin], panel.sessions[begin], panel.sessions[begin],
                    rule, "warning", "excluded",
                    f"{recent[begin, j]} bars in {rules.sparse_window} sessions: no daily history; bars "
                    f"excluded until {rules.sparse_exit_bars} in {rules.sparse_exit_window}")  # fmt: skip
            ends = np.flatnonzero(leave[begin:, j])
            end = begin + int(ends[0]) if len(ends) else sessions
            sparse[begin:end, j] = True
            if end == sessions:
                break
            inside = np.flatnonzero(bar[begin:end, j])
            log.add(name, panel.sessions[origin], panel.sessions[begin + int(inside[-1])],
                    panel.sessions[end], rule, "info", "resolved",
                    f"daily bars from {panel.sessions[end]} after {len(inside)} bars on {end - begin} "
                    "sessions")  # fmt: skip
            t = end
    return sparse


def _steady(rows: np.ndarray, spacing: np.ndarray, at: int, rules: QualityRules) -> bool:
    """Whether the bars up to row ``at`` have come at intervals, none longer than ``sparse_gap``."""
    last = int(np.searchsorted(rows, at))
    first = int(np.searchsorted(rows, at - rules.sparse_window, side="right"))
    return bool(spacing[first : last + 1].max() <= rules.sparse_gap)


def silences(
    panel: BarPanel,
    covered: np.ndarray,
    eligible: np.ndarray,
    sparse: np.ndarray,
    rules: QualityRules,
    log: EventLog,
) -> None:
    """Series that end, resume, or have long holes, counted in sessions on which the market traded."""
    bar = ~np.isnan(panel.close) & eligible
    sessions, funds = bar.shape
    if sessions < 2:
        return
    market = np.cumsum(market_trading(~np.isnan(panel.close)))
    recent = bars_within(bar, rules.sparse_window)
    for j in range(funds):
        rows = np.flatnonzero(bar[:, j])
        if not len(rows):
            continue
        following = np.append(rows[1:], sessions)
        for last, back in zip(rows, following, strict=True):
            until = market[min(back, sessions) - 1] - market[last]
            if until < LONG_HOLE_SESSIONS or sparse[last, j]:
                continue
            age = min(last - rows[0] + 1, rules.sparse_window)
            regular = 2 * recent[last, j] >= age and last > rows[0]
            limit = rules.silent_sessions if regular else rules.irregular_silent_sessions
            _silence(panel, covered, market, j, int(last), int(back), int(until), limit, regular, log)


def _silence(
    panel: BarPanel,
    covered: np.ndarray,
    market: np.ndarray,
    j: int,
    last: int,
    back: int,
    silent: int,
    limit: int,
    regular: bool,
    log: EventLog,
) -> None:
    """Events of one stretch without bars, from after row ``last`` to before row ``back``."""
    name, day = panel.tickers[j], panel.sessions
    ended = False
    if silent >= limit:
        known = int(np.searchsorted(market, market[last] + limit))
        if covered[known, j]:
            ended = True
            log.add(name, day[last], day[last], day[known], "series_ends", "warning", "none",
                    f"last bar; none since on {limit} sessions while the market traded")  # fmt: skip
    if back >= len(day):
        return
    if ended:
        log.add(name, day[last], day[back], day[back], "series_ends", "info", "resolved",
                f"bars again after {silent} silent sessions")  # fmt: skip
    elif regular:
        log.add(name, day[last + 1], day[back - 1], day[back], "long_hole", "info", "none",
                f"no bar on {silent} sessions while the market traded")  # fmt: skip


def closed_days(
    panel: BarPanel, off_session: pd.DataFrame, refused: set[str], rules: QualityRules, log: EventLog
) -> None:
    """Bars on days without a session: dropped. ``refused`` tickers are accounted for elsewhere."""
    if not len(off_session) or not len(panel.sessions):
        return
    days = np.asarray(off_session["session"], dtype="datetime64[D]")
    inside = (days >= panel.sessions[0]) & (days <= panel.sessions[-1])
    frame = off_session.assign(day=days)[inside].sort_values(["ticker", "day"], kind="stable")
    for ticker, rows in frame.groupby("ticker", sort=True):
        if ticker in refused:
            continue
        dates = rows["day"].to_numpy().astype("datetime64[D]")
        window = np.timedelta64(rules.calendar_window_days, "D")
        recent = np.arange(len(dates)) - np.searchsorted(dates, dates - window) + 1
        for day, close, volume, count in zip(dates, rows["close"], rows["volume"], recent, strict=True):
            systematic = count >= rules.calendar_bars
            note = f"; closed-day bar {count} within {rules.calendar_window_days} days" if systematic else ""
            log.add(ticker, day, day, day, "wrong_calendar" if systematic else "holiday_bogus_bar",
                    "warning", "dropped",
                    f"close {close:.6g}, volume {volume:.0f}, exchange closed{note}")  # fmt: skip
