"""Who may be ranked on each session, and for everyone else why not.

Survivorship-aware and causal: membership on session t is decided by listing dates not after t and bars
not after t. A fund that dies stays in history, leaves when that could be known, and the record says when.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from etf_pipeline.core.market.coverage import market_traded, source_ended
from etf_pipeline.core.market.rolling import rolling_median, sessions_since
from etf_pipeline.core.market.traded_value import traded_value

REASONS = (
    "member",
    "wrong_namespace",  # another exchange's instrument among this market's
    "not_listed_yet",  # before the listing date, or before the first bar where that date is unknown
    "delisted",  # after the delisting date of the listing data
    "presumed_delisted",  # silent for `silent_sessions` sessions while the market traded
    "not_covered",  # the source was not asked about this fund any more, or stopped for a whole group
    "quarantined",  # corporate-action doubt at the last close
    "no_bar",  # no accepted bar in the last `max_stale_sessions` sessions, or nobody's on this one
    "not_seasoned",  # fewer than `seasoning` accepted bars since listing
    "volume_unknown",  # the source recorded volume on less than half of the liquidity window
    "illiquid",  # median traded value below `min_median_traded_value`
    "leveraged",  # leveraged or inverse, and the rules leave those out
)
"""Names of the reason codes; the first that applies, in this order, is given."""
CODE = {name: np.int8(code) for code, name in enumerate(REASONS)}


@dataclass(frozen=True)
class UniverseRules:
    """Who may be ranked.

    Attributes
    ----------
    seasoning : accepted bars a fund needs since listing.
    liquidity_window : sessions of the traded-value median.
    min_median_traded_value : quote currency a session.
    silent_sessions : sessions without a bar, while the market traded, until a fund is presumed gone.
    max_stale_sessions : sessions without a bar that a member may have: a thin fund that did not trade
        today can still be held, and is ranked on its last close.
    include_leveraged : rank leveraged and inverse funds too.
    """

    seasoning: int = 252
    liquidity_window: int = 60
    min_median_traded_value: float = 50_000.0
    silent_sessions: int = 20
    max_stale_sessions: int = 5
    include_leveraged: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name in ("seasoning", "liquidity_window", "silent_sessions"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1 session, not {getattr(self, name)}")
        if not 0 <= self.max_stale_sessions < self.silent_sessions:
            raise ValueError(
                f"max_stale_sessions {self.max_stale_sessions} must lie in 0..silent_sessions - 1 "
                f"({self.silent_sessions - 1})"
            )
        if not self.min_median_traded_value >= 0:
            raise ValueError(f"min_median_traded_value must not be negative: {self.min_median_traded_value}")


@dataclass(frozen=True)
class UniversePanel:
    """Membership and its evidence, per session.

    Attributes
    ----------
    member : (S, N) bool.
    reason : (S, N) int8, index into ``REASONS``; 0 for members.
    observed_sessions : (S, N) int32, accepted bars since listing.
    median_traded_value : (S, N) float64, quote currency a session over the liquidity window; NaN where
        volume is known for less than half of it.
    stale_sessions : (S, N) int32, sessions since the last accepted bar, -1 before the first.
    silent_sessions : (S, N) int32, those of them on which the market traded and the source was asked.
    presumed_delisted : (S, N) bool, silent for too long, whatever the listing data say.
    """

    member: np.ndarray
    reason: np.ndarray
    observed_sessions: np.ndarray
    median_traded_value: np.ndarray
    stale_sessions: np.ndarray
    silent_sessions: np.ndarray
    presumed_delisted: np.ndarray


def universe(
    sessions: np.ndarray,
    close: np.ndarray,
    volume: np.ndarray,
    accepted: np.ndarray,
    doubt: np.ndarray,
    *,
    listed_on: np.ndarray | None = None,
    delisted_on: np.ndarray | None = None,
    coverage_end: np.ndarray | None = None,
    is_leveraged: np.ndarray | None = None,
    is_foreign: np.ndarray | None = None,
    rules: UniverseRules | None = None,
) -> UniversePanel:
    """Membership of every fund on every session.

    Parameters
    ----------
    sessions : (S,) datetime64[D].
    close, volume : (S, N) float64, quote currency and units; NaN where unknown.
    accepted : (S, N) bool, bars the quality stage let through.
    doubt : (S, N) bool, corporate-action doubt at that close. It lasts through sessions without an
        accepted bar.
    listed_on, delisted_on : (N,) datetime64, first and last day quoted; NaT where unknown (the bars
        decide). Bars before ``listed_on`` do not count towards seasoning.
    coverage_end : (N,) datetime64, last day the source was asked about; NaT = all of them. Silence after
        it is no evidence of death.
    is_leveraged : (N,) bool; an unknown fund counts as not leveraged.
    is_foreign : (N,) bool, codes of another exchange, which the quality stage refuses altogether.
    rules : UniverseRules, the defaults if None.

    Returns
    -------
    UniversePanel.

    Notes
    -----
    A presumed delisting ends with the next accepted bar (a suspension, or a fund that trades once a
    month); ``presumed_delistings`` lists them. A group that falls silent on one day is the source's end
    (``coverage.source_ended``), not a death. Without a bar while the market traded, a session's traded
    value is zero in the liquidity median; a session on which the source recorded no volume for anyone is
    left out of it.
    """
    rules = rules or UniverseRules()
    day = np.asarray(sessions, dtype="datetime64[D]")[:, None]
    funds = close.shape[1]
    listed, delisted, covered_to = (_days(d, funds) for d in (listed_on, delisted_on, coverage_end))
    leveraged = np.zeros(funds, dtype=bool) if is_leveraged is None else np.asarray(is_leveraged, dtype=bool)

    covered = ~(day > covered_to)
    before_listing = day < listed
    stale = sessions_since(accepted)
    started = stale >= 0
    listed_unseen = ~np.isnat(listed) & ~before_listing
    observed = np.cumsum(accepted & ~before_listing, axis=0, dtype=np.int32)
    silent = _silent(market_traded(accepted)[:, None] & covered, accepted)
    stopped = source_ended(accepted, wait=rules.max_stale_sessions)
    presumed = started & (silent >= rules.silent_sessions) & ~stopped
    window = rules.liquidity_window
    median = rolling_median(
        np.where(covered, traded_value(close, volume, accepted), np.nan), window, (window + 1) // 2
    )

    reason = np.zeros(close.shape, dtype=np.int8)
    # Assigned from the weakest to the strongest, so that the first of REASONS wins.
    if not rules.include_leveraged:
        reason[:, leveraged] = CODE["leveraged"]
    reason[median < rules.min_median_traded_value] = CODE["illiquid"]
    reason[np.isnan(median)] = CODE["volume_unknown"]
    reason[observed < rules.seasoning] = CODE["not_seasoned"]
    # A session of which no bar at all is known says nothing new about anybody: it is not ranked again.
    unseen = ~accepted.any(axis=1, keepdims=True)
    reason[(stale < 0) | (stale > rules.max_stale_sessions) | unseen] = CODE["no_bar"]
    reason[_doubt_state(doubt, accepted)] = CODE["quarantined"]
    reason[~covered | stopped] = CODE["not_covered"]
    reason[presumed] = CODE["presumed_delisted"]
    reason[day > delisted] = CODE["delisted"]
    reason[before_listing | (~started & ~listed_unseen)] = CODE["not_listed_yet"]
    if is_foreign is not None:
        reason[:, np.asarray(is_foreign, dtype=bool)] = CODE["wrong_namespace"]
    return UniversePanel(
        member=reason == 0,
        reason=reason,
        observed_sessions=observed,
        median_traded_value=median,
        stale_sessions=stale,
        silent_sessions=silent,
        presumed_delisted=presumed,
    )


def presumed_delistings(panel: UniversePanel, sessions: np.ndarray, tickers: np.ndarray) -> pd.DataFrame:
    """Every time a fund was presumed gone: since when it was silent, when that was known, when it came back.

    Returns
    -------
    Columns ticker, last_session (of its last bar), presumed_on (the session on which the presumption
    could first be made), resumed_on (NaT while gone); ordered by ticker and presumed_on.
    """
    gone = panel.presumed_delisted
    edge = np.zeros((1, gone.shape[1]), dtype=bool)
    column, row = np.nonzero((gone & ~np.vstack([edge, gone[:-1]])).T)
    _, ended = np.nonzero((gone & ~np.vstack([gone[1:], edge])).T)
    day = np.asarray(sessions).astype("datetime64[us]")
    last_row = len(day) - 1
    resumed = day[np.minimum(ended + 1, last_row)] if len(day) else day[ended]
    resumed[ended == last_row] = np.datetime64("NaT")
    return pd.DataFrame(
        {
            "ticker": pd.array(np.asarray(tickers, dtype=object), dtype="str")[column],
            "last_session": day[row - panel.stale_sessions[row, column]],
            "presumed_on": day[row],
            "resumed_on": resumed,
        }
    )


def _days(value: np.ndarray | None, funds: int) -> np.ndarray:
    """(N,) datetime64[D], NaT where not given; comparisons with NaT are False."""
    if value is None:
        return np.full(funds, np.datetime64("NaT"), dtype="datetime64[D]")
    days = np.asarray(value).astype("datetime64[D]")
    if days.shape != (funds,):
        raise ValueError(f"one date a fund is needed: shape {days.shape}, funds {funds}")
    return days


def _silent(counts: np.ndarray, accepted: np.ndarray) -> np.ndarray:
    """(S, N) int32: sessions that count since the last accepted bar; 0 before the first."""
    so_far = np.cumsum(counts, axis=0, dtype=np.int32)
    at_last_bar = np.maximum.accumulate(np.where(accepted, so_far, np.int32(-1)), axis=0)
    return np.where(at_last_bar < 0, np.int32(0), so_far - at_last_bar)


def _doubt_state(doubt: np.ndarray, accepted: np.ndarray) -> np.ndarray:
    """(S, N) bool: doubt at this session, or at the last close since which no bar was accepted."""
    decided = doubt | accepted
    since = sessions_since(decided)
    row = np.arange(len(doubt))[:, None] - np.maximum(since, 0)
    return np.where(since >= 0, np.take_along_axis(doubt, row, axis=0), False)
