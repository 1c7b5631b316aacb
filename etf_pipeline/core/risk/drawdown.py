"""Drawdowns of the total-return index, and the measures of downside that go with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.rolling import rolling_sum, sessions_since
from etf_pipeline.core.risk.drawdown_kernels import rolling_peak_and_fall
from etf_pipeline.core.risk.tail import one_session_return
from etf_pipeline.core.risk.tail_kernels import rolling_tails
from etf_pipeline.core.risk.volatility import SESSIONS_A_YEAR

YEAR, THREE_YEARS = 252, 756
_MIN_TAIL = 19
ROUNDING = 1e-10
"""A level this close to its peak, as a fraction, is at the peak: compounding returns is exact to about 1e-13."""


@dataclass(frozen=True)
class DrawdownPanel:
    """Drawdowns and downside per session; drawdowns are fractions, -0.20 = 20 % below the peak.

    Attributes
    ----------
    current : (S, N) float64, from the highest close so far, 0 at a peak.
    sessions_under_water : (S, N) int32, since that peak; 0 at a peak, -1 where ``current`` is NaN.
    maximum_252, maximum_756 : (S, N) float64, deepest fall from peak to trough within the last 252 and 756
        sessions.
    ulcer_index : (S, N) float64, root mean square drawdown of the last 252 sessions, each from the highest
        close of the 252 sessions up to it; a fraction.
    downside_deviation_annualised : (S, N) float64, below zero, over the last 252 sessions.
    tail_ratio : (S, N) float64, 95th percentile over the size of the 5th of the last 252 known one-session
        returns; above 1 the gains reach further than the losses. NaN where the 5th is not a loss.
    unknown_returns : (S, N) int32, so far: how often the index was carried over a break.
    """

    current: np.ndarray
    sessions_under_water: np.ndarray
    maximum_252: np.ndarray
    maximum_756: np.ndarray
    ulcer_index: np.ndarray
    downside_deviation_annualised: np.ndarray
    tail_ratio: np.ndarray
    unknown_returns: np.ndarray


def drawdowns(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    *,
    peak_window: int | None = None,
    min_observations: int = 126,
    max_stale_sessions: int = 5,
) -> DrawdownPanel:
    """Drawdowns of the index made by compounding a fund's total returns from its first bar on.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown; at least -1.
    sessions_spanned : (S, N) int, 0 where there is no bar to compare.
    peak_window : sessions in which the peak of ``current`` is sought; None for all since the first bar.
    min_observations : known returns needed in each measure's window (``current`` needs one ever, the tail
        ratio 19, below which there is no 5th percentile).
    max_stale_sessions : values stand for this many sessions without a bar.

    Returns
    -------
    DrawdownPanel, NaN where history is too short or the last bar too long ago. A price that never moved
    has drawdowns, ulcer index and downside deviation of zero and no tail ratio.

    Raises
    ------
    ValueError : a return below -1, or an impossible window.

    Notes
    -----
    An unknown return (two bars that cannot be compared) counts as zero: the index goes on from where it
    was, so a drawdown before the break is not forgotten; ``unknown_returns`` counts them. Sessions without
    a bar hold the index. Windows reach back sessions, and a drawdown may begin at the close before the
    window's first return.

    Ulcer index: Martin and McCann (1989), The Investor's Guide to Fidelity Funds. Downside deviation:
    Sortino and van der Meer (1991), with target zero; as elsewhere a return r over n sessions stands for n
    sessions, ``sqrt(252 * sum(min(r, 0)**2) / sum(n))``.
    """
    if (total_return < -1.0).any():
        row, column = np.argwhere(total_return < -1.0)[0]
        raise ValueError(
            f"total return {total_return[row, column]} at session {row}, ticker {column} loses more than "
            "everything: reject the bar in the quality stage"
        )
    bar = sessions_spanned > 0
    known = bar & ~np.isnan(total_return)
    stale = sessions_since(bar)
    begun = stale >= 0
    alive = begun & (stale <= max_stale_sessions)
    has_begun = alive & np.maximum.accumulate(known, axis=0)
    has_year, has_three_years = (
        alive & (rolling_sum(known.astype(np.int32), window) >= min_observations)
        for window in (YEAR, THREE_YEARS)
    )
    returns = np.where(known, total_return, 0.0)
    # The first row is the close before the panel's first return.
    level = np.cumprod(np.concatenate([np.ones((1, known.shape[1])), 1.0 + returns]), axis=0)

    current, under_water = _current(level, peak_window)
    year_peak, year_fall = rolling_peak_and_fall(level, YEAR + 1)
    _, three_year_fall = rolling_peak_and_fall(level, THREE_YEARS + 1)
    squared = _fraction_below(level, year_peak)[1:] ** 2
    loss_squared = np.minimum(returns, 0.0) ** 2
    return DrawdownPanel(
        current=np.where(has_begun, current, np.nan),
        sessions_under_water=np.where(has_begun, under_water, np.int32(-1)),
        maximum_252=np.where(has_year, year_fall[1:], np.nan),
        maximum_756=np.where(has_three_years, three_year_fall[1:], np.nan),
        ulcer_index=_root_mean(squared, begun, has_year),
        downside_deviation_annualised=np.sqrt(SESSIONS_A_YEAR)
        * _root_mean(loss_squared, np.where(known, sessions_spanned, 0), has_year),
        tail_ratio=_tail_ratio(
            one_session_return(total_return, sessions_spanned), min_observations, has_year
        ),
        unknown_returns=np.cumsum(bar & ~known, axis=0, dtype=np.int32),
    )


def _current(level: np.ndarray, peak_window: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Fall from the peak and sessions since it, without the level's first row."""
    if peak_window is None:
        peak = np.maximum.accumulate(level, axis=0)
    else:
        peak, _ = rolling_peak_and_fall(level, peak_window + 1)
    fall = _fraction_below(level, peak)
    at_peak = fall >= -ROUNDING
    return np.where(at_peak, 0.0, fall)[1:], sessions_since(at_peak)[1:]


def _fraction_below(level: np.ndarray, peak: np.ndarray) -> np.ndarray:
    """``level / peak - 1``, and -1 where the peak is zero."""
    return np.divide(level, peak, out=np.zeros(level.shape), where=peak > 0.0) - 1.0


def _root_mean(squares: np.ndarray, sessions: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Root of the sum of squares of the last year over the sessions they stand for."""
    total, count = rolling_sum(squares, YEAR), rolling_sum(sessions.astype(np.int64), YEAR)
    return np.sqrt(np.divide(total, count, out=np.full(total.shape, np.nan), where=where & (count > 0)))


def _tail_ratio(one_session: np.ndarray, min_observations: int, where: np.ndarray) -> np.ndarray:
    """Both tails are lower tails: the upper one of the returns with their signs turned."""
    limits = {"window": YEAR, "min_observations": min(max(min_observations, _MIN_TAIL), YEAR)}
    lower, _ = rolling_tails(one_session, (0.05,), **limits)
    upper, _ = rolling_tails(-one_session, (0.05,), **limits)
    ratio = np.full(where.shape, np.nan)
    np.divide(-upper[0], -lower[0], out=ratio, where=where & (lower[0] < 0.0))
    return ratio
