"""One factor model on a market: its factors, the funds' returns beside them, and what can be estimated when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.attribution.alignment import AlignedFactors, excess_return
from etf_pipeline.core.attribution.factor_covariance import factor_covariance
from etf_pipeline.core.attribution.factor_models import FactorModel
from etf_pipeline.core.attribution.factor_regression import FactorRegression
from etf_pipeline.core.attribution.known_factors import known_factors, regression_on_known, rolling_on_known
from etf_pipeline.core.attribution.overlapping_returns import overlapping_returns
from etf_pipeline.core.attribution.rolling_exposure import RollingExposure
from etf_pipeline.core.market.rolling import sessions_since

LONGEST_SPAN = 5
"""Sessions that a return may span and still find its factors."""
FRESH_SESSIONS = 5
"""Sessions without a value of any factor after which a model has ended."""


@dataclass(frozen=True)
class Explained:
    """A factor model beside N funds on S sessions.

    Attributes
    ----------
    model : FactorModel.
    funds : (N,) int64, columns of the funds in the panel of all.
    factors : (V, M, S, K) float64 returns over the last 1..M sessions, V vintages.
    vintage : (S,) int64, which of them the window ending there is read from, -1 for none.
    known_at : (S,) datetime64[us], moment as of which the window ending at a session is read; NaT for the house's own
        factors and where there is none.
    available : (S, K) bool, factors that are a part of the model at a session.
    single : AlignedFactors, as first known; its row of one session explains that session.
    return_sessions : that each return in the regressions spans at least.
    excess, spanned : (S, N), returns for the regressions and the sessions they span.
    single_excess : (S, N), returns since the bar before, in the factors' currency over their risk-free rate.
    converted : whether the fund's currency is not the factors'.
    """

    model: FactorModel
    funds: np.ndarray
    factors: np.ndarray
    vintage: np.ndarray
    known_at: np.ndarray
    available: np.ndarray
    single: AlignedFactors
    return_sessions: int
    excess: np.ndarray
    spanned: np.ndarray
    single_excess: np.ndarray
    converted: bool

    @property
    def alive(self) -> np.ndarray:
        """(S,) bool, sessions on or shortly before which a factor of the model had a value: here it explains."""
        known = np.isfinite(self.single.value[0]).any(axis=1, keepdims=True)
        since = sessions_since(known)[:, 0]
        return np.asarray((since >= 0) & (since <= FRESH_SESSIONS) & self.available.any(axis=1))

    def covariance(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Factors known at a row, (k,) columns, and the covariance (k, k) of their moves, a session, as read there.

        Of returns over as many sessions as those of the regressions, divided by their number: what moves on the session
        before or after because markets close at other hours counts as together. NaN with too few of them.
        """
        known = np.flatnonzero(self.available[row])
        if self.vintage[row] < 0 or not len(known):
            return known, np.full((len(known), len(known)), np.nan)
        table = self.factors[self.vintage[row], self.return_sessions - 1]
        return known, factor_covariance(table[:, known], row) / self.return_sessions

    def rolling(self, window: int, min_observations: int) -> RollingExposure:
        """At every session, over the last ``window``."""
        return rolling_on_known(
            self.excess,
            self.spanned,
            self.factors,
            self.available,
            vintage=self.vintage,
            window=window,
            min_observations=min_observations,
        )

    def regression(
        self, ends: np.ndarray, window: int | None, min_observations: int
    ) -> FactorRegression | None:
        """With robust errors, at the rows ``ends``."""
        return regression_on_known(
            self.excess,
            self.spanned,
            self.factors,
            self.available[ends] & (self.vintage[ends] >= 0)[:, None],
            ends,
            vintage=self.vintage[ends],
            window=window,
            min_observations=min_observations,
        )


def explained(
    model: FactorModel,
    funds: np.ndarray,
    total_return: np.ndarray,
    spanned: np.ndarray,
    factors: np.ndarray,
    vintage: np.ndarray,
    known_at: np.ndarray,
    single: AlignedFactors,
    *,
    return_sessions: int,
    exchange_rate: np.ndarray | None,
    known_window: int = 252,
) -> Explained:
    """Put a model's factors and the funds' returns together.

    Parameters
    ----------
    funds : (n,) int64, columns of the panels that the model is to explain.
    total_return, spanned : (S, N), of all funds.
    factors, vintage, known_at, single, return_sessions : see ``Explained``.
    exchange_rate : (S,) price of the funds' currency in the factors', where it is another; else None.
    known_window : sessions over most of which a factor must be known to be a part of the model.
    """
    own, span = total_return[:, funds], spanned[:, funds]
    single_excess = excess_return(own, span, single, exchange_rate=exchange_rate)
    excess, used = single_excess, span
    if return_sessions > 1:
        longer, used = overlapping_returns(own, span, return_sessions)
        excess = excess_return(longer, used, single, exchange_rate=exchange_rate)
    available = known_factors(single.value[0], window=known_window)
    return Explained(
        model, funds, factors, vintage, known_at, available, single, return_sessions, excess, used, single_excess,
        exchange_rate is not None,
    )  # fmt: skip


def over_spans(value: np.ndarray, longest: int, compounded: np.ndarray) -> np.ndarray:
    """Returns over the last 1..M sessions from those of one.

    Parameters
    ----------
    value : (S, K) float64, NaN where unknown; longest : M.
    compounded : (K,) bool; the others add up.

    Returns
    -------
    (M, S, K) float64, NaN where one of the sessions is.
    """
    sessions, count = value.shape
    out = np.full((longest, sessions, count), np.nan)
    growth, total = np.ones((sessions, count)), np.zeros((sessions, count))
    for m in range(longest):
        shifted = np.full((sessions, count), np.nan)
        shifted[m:] = value[: sessions - m]
        growth, total = growth * (1.0 + shifted), total + shifted
        out[m] = np.where(compounded, growth - 1.0, total) if m else value
    return out
