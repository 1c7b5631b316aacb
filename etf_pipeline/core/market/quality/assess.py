"""The quality stage as a whole: panel in, judged bars and an event log out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from etf_pipeline.core.market.panel import BarPanel
from etf_pipeline.core.market.quality import copies, coverage
from etf_pipeline.core.market.quality.bars import CleanBars, clean_bars
from etf_pipeline.core.market.quality.codes import E_WIDTH
from etf_pipeline.core.market.quality.context import around_fiscal_year_end, market_context
from etf_pipeline.core.market.quality.events import EventLog
from etf_pipeline.core.market.quality.judge import level_parameters
from etf_pipeline.core.market.quality.levels import walk
from etf_pipeline.core.market.quality.narrate import narrate
from etf_pipeline.core.market.quality.rules import QualityRules
from etf_pipeline.core.market.quality.transitions import EVENTS_PER_BAR

BASES = ("as_traded", "split_adjusted", "total_return_adjusted")


@dataclass(frozen=True)
class QualityResult:
    """Bars as they may be used, and why the others may not.

    Attributes
    ----------
    events : EVENT_COLUMNS, sorted by detected_on, ticker, session_start, rule. Append-only: later data
        adds rows with a later ``detected_on`` and changes none. A condition that lasts has an event when
        it opens and one, with its whole span, when it ends.
    accepted : (S, N) bool, the bar is an observation.
    traded : (S, N) bool, accepted, and units changed hands or the volume is unknown.
    scale : (S, N) float64, on accepted bars ``close / scale`` is on the basis of the previous accepted
        close once recorded splits are applied: 1 as a rule, 20 after an unrecorded 1-for-20
        consolidation, NaN where the two cannot be compared. NaN where not accepted.
    doubt : (S, N) bool, at the close of the session the fund is under a doubt about its scale or a
        corporate action, whether or not it has a bar.
    open, high, low, close, volume : (S, N) float64, NaN where the bar is not accepted or the field was
        refused.
    """

    events: pd.DataFrame
    accepted: np.ndarray
    traded: np.ndarray
    scale: np.ndarray
    doubt: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray


def assess(
    panel: BarPanel,
    off_session: pd.DataFrame,
    rules: QualityRules | None = None,
    *,
    ticker_suffix: str = "",
    listings: pd.DataFrame | None = None,
    basis: str = "total_return_adjusted",
    coverage_end: np.ndarray | None = None,
) -> QualityResult:
    """Judge every bar of a market with what was known at its close.

    Parameters
    ----------
    panel : bars on the exchange's sessions, at most one a ticker and session (``find_duplicates``).
    off_session : long bars on days without a session, as ``panel.from_long`` returns them.
    rules : thresholds; the defaults if None.
    ticker_suffix : what tickers of this market end with; others belong to another market and are
        excluded whole. "" accepts all.
    listings : LISTING_COLUMNS or the part of them known; ``listed_on`` excludes earlier bars,
        ``former_ticker_of`` marks recycled codes.
    basis : what the closes are; says which of ``panel``'s actions are still to be applied, as in
        ``returns.total_return``.
    coverage_end : (N,) datetime64, last day the source was asked about; NaT or None where unknown, when
        a bar that is not final ends the coverage. Silence after it is no evidence.

    Returns
    -------
    QualityResult.

    Raises
    ------
    ValueError : unknown basis, or a ``coverage_end`` of another length than the tickers.

    Notes
    -----
    Causal: a row t of every array, and every event with ``detected_on`` up to it, depend on bars up to t
    (and on ``listings``, which are facts of that day). Cutting the panel reproduces them bit for bit.
    """
    rules = rules or QualityRules()
    if basis not in BASES:
        raise ValueError(f"basis {basis!r} is none of {', '.join(BASES)}")
    if coverage_end is not None and len(coverage_end) != len(panel.tickers):
        raise ValueError(f"coverage_end has {len(coverage_end)} entries for {len(panel.tickers)} tickers")
    log = EventLog()
    bar = ~np.isnan(panel.close)
    foreign = _foreign(panel, bar, ticker_suffix, log)
    eligible = np.broadcast_to(~foreign, panel.shape)
    _not_final(panel, bar & eligible & ~panel.is_final, log)
    unlisted = _listings(panel, bar & eligible, listings, log)
    covered = coverage.covered_sessions(panel, coverage_end)
    coverage.closed_days(panel, off_session, {str(t) for t in panel.tickers[foreign]}, rules, log)
    coverage.market_wide_holes(panel, covered, eligible, rules, log)
    sparse = coverage.sparse_history(panel, eligible, rules, log)
    coverage.silences(panel, covered, eligible, sparse, rules, log)
    clean = clean_bars(panel, eligible & panel.is_final, rules, log)
    usable = clean.sound & eligible & panel.is_final & ~sparse
    copied = copies.copied_series(panel, clean, usable, rules, log)
    usable &= ~copies.repeated_bars(panel, clean, usable, rules, log)

    split = panel.split if basis == "as_traded" else np.ones(panel.shape)
    cash = panel.distribution if basis != "total_return_adjusted" else np.zeros(panel.shape)
    split = np.where(split > 0, split, 1.0)
    cash = np.where(cash >= 0, cash, 0.0)
    accepted, traded, scale, doubt = _levels(
        panel, clean, usable, unlisted, split, cash, eligible & clean.sound, rules, log
    )
    keep = {
        name: np.where(accepted, getattr(clean, name), np.nan)
        for name in ("open", "high", "low", "close", "volume")
    }
    return QualityResult(
        events=log.frame(), accepted=accepted, traded=traded, scale=scale, doubt=doubt | copied, **keep
    )


def _levels(
    panel: BarPanel,
    clean: CleanBars,
    usable: np.ndarray,
    unlisted: np.ndarray,
    split: np.ndarray,
    cash: np.ndarray,
    seen: np.ndarray,
    rules: QualityRules,
    log: EventLog,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Walk every fund through the level state machine."""
    sessions, funds = panel.shape
    context = market_context(clean.close, clean.volume, usable, split, cash, believable=rules.instant_limit)
    fiscal = around_fiscal_year_end(
        panel.sessions, rules.fiscal_year_end_months, rules.fiscal_days_before, rules.fiscal_days_after
    )
    parameters = level_parameters(rules)
    close, volume, usable_, unlisted_, split_, cash_ = (
        np.ascontiguousarray(a.T)
        for a in (np.where(seen, clean.close, np.nan), clean.volume, usable, unlisted, split, cash)
    )
    accepted, traded, doubt = (np.zeros((funds, sessions), dtype=bool) for _ in range(3))
    scale = np.full((funds, sessions), np.nan)
    events = np.empty((EVENTS_PER_BAR * max(sessions, 1), E_WIDTH))
    for j in range(funds):
        if not usable[:, j].any():
            continue
        count = walk(
            close[j],
            volume[j],
            usable_[j],
            unlisted_[j],
            clean.unknown_volume,
            split_[j],
            cash_[j],
            context.cumulative,
            context.dispersion,
            context.rise,
            context.fall,
            fiscal,
            parameters,
            accepted[j],
            traded[j],
            scale[j],
            doubt[j],
            events,
        )
        narrate(str(panel.tickers[j]), panel.sessions, events[:count], log)
    return accepted.T.copy(), traded.T.copy(), scale.T.copy(), doubt.T.copy()


def _foreign(panel: BarPanel, bar: np.ndarray, suffix: str, log: EventLog) -> np.ndarray:
    """(N,) bool: tickers of another market, reported at their first bar."""
    foreign = np.array([not str(t).endswith(suffix) for t in panel.tickers], dtype=bool)
    for j in np.flatnonzero(foreign & bar.any(axis=0)):
        day = panel.sessions[bar[:, j].argmax()]
        log.add(panel.tickers[j], day, day, day, "wrong_namespace", "error", "excluded",
                f"no suffix {suffix}: another market's instrument; all its bars are excluded")  # fmt: skip
    return foreign


def _not_final(panel: BarPanel, mask: np.ndarray, log: EventLog) -> None:
    """Bars that may still change: kept out until they are final."""
    for t, j in np.argwhere(mask):
        day = panel.sessions[t]
        log.add(panel.tickers[j], day, day, day, "partial_last_bar", "info", "excluded",
                f"close {panel.close[t, j]:.6g}, volume {panel.volume[t, j]:.0f}: not final")  # fmt: skip


def _listings(panel: BarPanel, bar: np.ndarray, listings: pd.DataFrame | None, log: EventLog) -> np.ndarray:
    """(S, N) bool: before the fund's listing date; recycled codes are reported at their first bar."""
    unlisted = np.zeros(panel.shape, dtype=bool)
    if listings is None or not len(listings):
        return unlisted
    column = {str(t): j for j, t in enumerate(panel.tickers)}
    for row in listings.itertuples(index=False):
        j = column.get(str(row.ticker))
        if j is None:
            continue
        listed_on = getattr(row, "listed_on", None)
        if listed_on is not None and not pd.isna(listed_on):
            unlisted[:, j] = panel.sessions < np.datetime64(pd.Timestamp(listed_on), "D")
        former = getattr(row, "former_ticker_of", None)
        own = np.flatnonzero(bar[:, j] & ~unlisted[:, j])
        if isinstance(former, str) and former and len(own):
            day = panel.sessions[own[0]]
            log.add(panel.tickers[j], day, day, day, "recycled_code", "warning", "none",
                    f"the code belonged to another fund before: {former}")  # fmt: skip
    return unlisted
