"""The stress factors on a warehouse's market: their moves since 1990, as its closes know them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from etf_pipeline.core.attribution.known_factors import known_factors
from etf_pipeline.core.attribution.stress import FACTORS, Exposures, factor_moves
from etf_pipeline.core.attribution.stress.exposures import exposures_at
from etf_pipeline.core.market.calendar import exchange_sessions
from etf_pipeline.defs.attribution.models import HOME_CURRENCY, Library, Reference
from etf_pipeline.defs.resources import Pipeline
from etf_pipeline.storage.panels import ReturnPanel, column_of

FIRST_DAY = np.datetime64("1990-01-02")
EQUITY_MODEL = {"asx": "asia_pacific_five", "us": "us_six"}
"""Published model whose market stands for equity before the market fund's first return."""
LEADS = {"asx": (-1, 0), "us": (0,)}
"""Sessions by which funds follow the factors; a lead: Sydney's close holds a part of the New York day to come."""


@dataclass(frozen=True)
class StressMarket:
    """Stress factors of a market.

    Attributes
    ----------
    sessions : (L,) datetime64[D], from 1990 on; the last S of them are the panel's.
    offset : L - S.
    moves : (L, K) float64 in the order of ``FACTORS``, NaN where there is no observation.
    levels : (L, K) float64, of rates, credit and volatility; NaN for the others.
    available : (L, K) bool, factors that have been observed of late.
    shift : sessions by which the market sees New York's days later.
    lags : of the regressions.
    """

    sessions: np.ndarray
    offset: int
    moves: np.ndarray
    levels: np.ndarray
    available: np.ndarray
    shift: int
    lags: tuple[int, ...]

    def panel_moves(self, row: int) -> np.ndarray:
        """(S, K) moves on the panel's sessions, a factor that is not known at panel row ``row`` standing still."""
        known = self.available[self.offset + row]
        return np.where(known, self.moves[self.offset :], 0.0)

    def exposures(
        self, total_return: np.ndarray, rows: np.ndarray, window: int, min_observations: int
    ) -> list[Exposures]:
        """Exposures of one-session returns (S, N) at the panel's rows, each by the factors known then."""
        sets, which = np.unique(self.available[self.offset + rows], axis=0, return_inverse=True)
        out: dict[int, Exposures] = {}
        for number in range(len(sets)):
            own = rows[which.ravel() == number]
            found = exposures_at(
                total_return, self.panel_moves(int(own[0])), own, window=window, min_observations=min_observations,
                lags=self.lags,
            )  # fmt: skip
            out |= dict(zip(own.tolist(), found, strict=True))
        return [out[int(row)] for row in rows]

    def covariance(self, row: int, window: int) -> np.ndarray:
        """(K, K) of one session's moves over the ``window`` up to panel row ``row``; 0 for factors that are not known."""
        at = self.offset + row
        known = np.flatnonzero(self.available[at])
        recent = self.moves[max(0, at + 1 - window) : at + 1, known]
        recent = recent[~np.isnan(recent).any(axis=1)]
        out = np.zeros((len(FACTORS), len(FACTORS)))
        if len(known) and len(recent) > len(known) + 2:
            out[np.ix_(known, known)] = np.cov(recent.T).reshape(len(known), len(known))
        return out


def stress_market(pipeline: Pipeline, panel: ReturnPanel) -> StressMarket:
    """Equity from the market fund, before it from the factor library; the rest from the reference series."""
    market = pipeline.settings.market
    last = panel.sessions[-1].astype("datetime64[D]")
    before = exchange_sessions(market, FIRST_DAY, last)
    axis = np.concatenate([before[before < panel.sessions[0]], panel.sessions.astype("datetime64[D]")])
    offset = len(axis) - len(panel.sessions)
    reference = Reference(pipeline, axis)
    levels = np.full((len(axis), len(FACTORS)), np.nan)
    for name, need in (
        ("rates", "yield_10y"),
        ("credit", "credit_spread"),
        ("oil", "oil"),
        ("volatility", "vix"),
    ):
        levels[:, FACTORS.index(name)] = reference.of(need)
    levels[:, FACTORS.index("currency")] = reference.level("audusd")
    moves = factor_moves(levels)
    moves[:, FACTORS.index("equity")] = _equity(pipeline, panel, axis, offset, reference)
    levels[:, [FACTORS.index(name) for name in ("currency", "oil", "equity")]] = np.nan
    simulated = pipeline.source.simulated
    return StressMarket(
        axis, offset, moves, levels, known_factors(moves), 0 if simulated else reference.lag_days,
        (0,) if simulated else LEADS[market],
    )  # fmt: skip


def _equity(
    pipeline: Pipeline, panel: ReturnPanel, axis: np.ndarray, offset: int, reference: Reference
) -> np.ndarray:
    """(L,) return of the market, home currency where the exchange rate is known."""
    market = pipeline.settings.market
    column = column_of(panel.tickers, pipeline.settings.benchmark_ticker)
    fund = np.where(panel.spanned[:, column] == 1, panel.total_return[:, column], np.nan)
    out = np.full(len(axis), np.nan)
    nothing = np.empty((len(axis), 0))
    library = Library(
        pipeline,
        replace(
            panel,
            sessions=axis,
            tickers=panel.tickers[:0],
            total_return=nothing,
            spanned=nothing.astype(np.int64),
        ),
    )
    model = library.published(EQUITY_MODEL[market], np.array([], dtype=np.int64))
    if model is not None:
        single = model.single
        index = single.names.index("market_excess")
        out = single.value[0, :, index] + single.risk_free[0]
        if model.model.currency not in (HOME_CURRENCY[market], "local"):
            rate = reference.level("audusd")
            change = np.concatenate([[np.nan], rate[:-1] / rate[1:]])
            out = (1.0 + out) * np.where(np.isnan(change), 1.0, change) - 1.0
    begun = np.flatnonzero(np.isfinite(fund))
    if len(begun):
        out[offset + begun[0] :] = fund[begun[0] :]
    return out
