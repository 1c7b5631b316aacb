"""Single bars: prices that cannot be, fields that disagree, volume that is not known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from etf_pipeline.core.market.panel import BarPanel
from etf_pipeline.core.market.quality.events import MARKET, EventLog
from etf_pipeline.core.market.quality.rules import QualityRules


@dataclass(frozen=True)
class CleanBars:
    """Bars with impossible fields removed.

    Attributes
    ----------
    open, high, low, close, volume : (S, N) float64, NaN where missing or refused.
    sound : (S, N) bool, the bar can be judged further: a positive close inside its range.
    unknown_volume : (S,) bool, the whole market's volume is missing on that session.
    """

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    sound: np.ndarray
    unknown_volume: np.ndarray


def clean_bars(panel: BarPanel, eligible: np.ndarray, rules: QualityRules, log: EventLog) -> CleanBars:
    """Check every bar on its own.

    A close that is not positive and finite, or lies outside its own range by more than rounding, costs
    the bar. Any other bad field costs the field. Rounding is repaired by widening the range.

    Parameters
    ----------
    panel : the bars.
    eligible : (S, N) bool, bars whose faults are to be reported; the others are cleaned in silence,
        because another event accounts for them.
    """
    bar = ~np.isnan(panel.close)
    fields = {name: getattr(panel, name).copy() for name in ("open", "high", "low", "close")}

    with np.errstate(invalid="ignore"):
        bad_close = bar & ~((fields["close"] > 0) & (fields["close"] < np.inf))
        _report(log, panel, bad_close & eligible, "non_positive_price", "error", "quarantined",
                lambda t, j: f"close {panel.close[t, j]:g} is not a price")  # fmt: skip
        zero_open = bar & (fields["open"] == 0)
        _report(log, panel, zero_open & eligible & ~bad_close, "open_zero", "info", "repaired",
                lambda t, j: f"open is 0 beside close {panel.close[t, j]:.6g}; open removed")  # fmt: skip
        for name in ("open", "high", "low"):
            values = fields[name]
            raw = getattr(panel, name)
            bad = bar & ~((values > 0) & (values < np.inf))
            spoken = bad & ~np.isnan(values) & ~(zero_open if name == "open" else False)
            _report(log, panel, spoken & eligible & ~bad_close, "non_positive_price", "warning", "repaired",
                    partial(_no_price, name, raw))  # fmt: skip
            values[bad] = np.nan
        fields["close"][bad_close] = np.nan
        sound = bar & ~bad_close
        _range(panel, fields, sound, eligible, rules, log)
    volume = np.where(bar & (panel.volume >= 0) & (panel.volume < np.inf), panel.volume, np.nan)
    unknown = _unknown_volume(panel, volume, bar & eligible, rules, log)
    volume[unknown] = np.nan
    return CleanBars(volume=volume, sound=sound, unknown_volume=unknown, **fields)


def _range(
    panel: BarPanel,
    fields: dict[str, np.ndarray],
    sound: np.ndarray,
    eligible: np.ndarray,
    rules: QualityRules,
    log: EventLog,
) -> None:
    """Reconcile open and close with the high-low range, in place; clears ``sound`` where they clash."""
    open_, high, low, close = (fields[name] for name in ("open", "high", "low", "close"))
    tolerance = 1.0 + rules.coherent_tolerance
    crossed = sound & (high < low)
    outside = sound & ((close > high * tolerance) | (close * tolerance < low))
    refused = crossed | outside
    _report(log, panel, refused & eligible, "incoherent_ohlc", "error", "quarantined",
            lambda t, j: f"close {close[t, j]:.6g}, low {low[t, j]:.6g}, high {high[t, j]:.6g}")  # fmt: skip
    sound &= ~refused
    stray = sound & ((open_ > high * tolerance) | (open_ * tolerance < low))
    _report(log, panel, stray & eligible, "incoherent_ohlc", "warning", "repaired",
            lambda t, j: f"open {open_[t, j]:.6g} outside {low[t, j]:.6g} to {high[t, j]:.6g}, "
            "open removed")  # fmt: skip
    open_[stray] = np.nan
    top, bottom = np.fmax(high, np.fmax(open_, close)), np.fmin(low, np.fmin(open_, close))
    # Equal up to the last few bits is not worth a word: float32 vendors round each field separately.
    widened = sound & ((top > high * (1 + 1e-6)) | (bottom * (1 + 1e-6) < low))
    _report(log, panel, widened & eligible, "incoherent_ohlc", "info", "repaired",
            lambda t, j: f"range {low[t, j]:.6g} to {high[t, j]:.6g} widened "
            f"to {bottom[t, j]:.6g} to {top[t, j]:.6g}")  # fmt: skip
    keep_high, keep_low = sound & ~np.isnan(high), sound & ~np.isnan(low)
    high[keep_high] = top[keep_high]
    low[keep_low] = bottom[keep_low]


def _unknown_volume(
    panel: BarPanel, volume: np.ndarray, bar: np.ndarray, rules: QualityRules, log: EventLog
) -> np.ndarray:
    """(S,) sessions on which every bar's volume is zero or missing: the vendor has none."""
    bars = bar.sum(axis=1)
    unknown = (bars >= rules.unknown_volume_bars) & ~(bar & (volume > 0)).any(axis=1)
    start = -1
    ended = np.zeros_like(unknown)
    ended[1:] = unknown[:-1] & ~unknown[1:]
    for t in (int(i) for i in np.flatnonzero(unknown | ended)):
        day = panel.sessions[t]
        if unknown[t] and start < 0:
            start = t
            log.add(MARKET, day, day, day, "volume_unknown", "info", "none",
                    f"all {bars[t]} bars have volume 0: volume is unknown from here on")  # fmt: skip
        elif not unknown[t]:
            if t - start > 1:
                log.add(MARKET, panel.sessions[start], panel.sessions[t - 1], day, "volume_unknown", "info",
                        "resolved", f"unknown on {t - start} sessions, known again on {day}")  # fmt: skip
            start = -1
    return unknown


def _no_price(name: str, values: np.ndarray, t: int, j: int) -> str:
    return f"{name} {values[t, j]:g} is no price; removed"


def _report(
    log: EventLog,
    panel: BarPanel,
    mask: np.ndarray,
    rule: str,
    severity: str,
    action: str,
    evidence: Callable[[int, int], str],
) -> None:
    """One event for each cell of ``mask``."""
    for t, j in np.argwhere(mask):
        day = panel.sessions[t]
        log.add(panel.tickers[j], day, day, day, rule, severity, action, evidence(t, j))
