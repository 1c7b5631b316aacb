"""Volatility from the range of each session's prices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from etf_pipeline.core.market.returns import PriceBasis
from etf_pipeline.core.market.rolling import sessions_since
from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.risk.previous_bar import log_prices, previous_bar_shift
from etf_pipeline.core.risk.volatility import SESSIONS_A_YEAR
from etf_pipeline.core.risk.window_sums import advance

_PARKINSON = 1.0 / (4.0 * np.log(2.0))
_GARMAN_KLASS = 2.0 * np.log(2.0) - 1.0
_TERMS = 8  # sessions, Parkinson, Garman-Klass, Rogers-Satchell, overnight, its square, intraday, its square


@dataclass(frozen=True)
class RangeVolatilityPanel:
    """Estimates of volatility per session, 0.20 = 20 % a year.

    Attributes
    ----------
    parkinson_annualised, garman_klass_annualised : (S, N) float64, from open to close only: the move from
        the close to the next open is left out, which for a fund of foreign assets may be most of it.
    yang_zhang_annualised : (S, N) float64, from close to close, the overnight move included.
    observations : (S, N) int32, sessions in the window with a full bar and a comparable bar before.
    """

    parkinson_annualised: np.ndarray
    garman_klass_annualised: np.ndarray
    yang_zhang_annualised: np.ndarray
    observations: np.ndarray


def range_volatility(
    open_: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    accepted: np.ndarray,
    scale: np.ndarray,
    split: np.ndarray,
    distribution: np.ndarray,
    *,
    basis: PriceBasis,
    window: int = 63,
    min_observations: int = 32,
    max_stale_sessions: int = 5,
) -> RangeVolatilityPanel:
    """Three range-based volatilities over the last ``window`` sessions, annualised by sqrt(252).

    With u, d, c the logarithms of high, low and close over the open, and o that of the open over the
    previous close:

    * Parkinson: mean of ``(u - d)**2 / (4 ln 2)``;
    * Garman-Klass: mean of ``(u - d)**2 / 2 - (2 ln 2 - 1) c**2``;
    * Yang-Zhang: ``var(o) + k var(c) + (1 - k) mean(u (u - c) + d (d - c))``, with
      ``k = 0.34 / (1.34 + (n + 1) / (n - 1))`` for n observations.

    Parameters
    ----------
    open_, high, low, close : (S, N) float64, prices, positive or NaN.
    accepted : (S, N) bool.
    scale, split, distribution : (S, N) float64, what moved the price besides the market, as in
        ``previous_bar.previous_bar_shift``.
    basis : ``as_traded``, ``split_adjusted`` or ``total_return_adjusted``.
    window : sessions.
    min_observations : sessions needed, at least 2.
    max_stale_sessions : the estimate stands for this many sessions without a bar.

    Returns
    -------
    RangeVolatilityPanel. All three use the same sessions: those with open, high, low and close, and a
    comparable bar on the session before. NaN with too few of them or when the last bar is too long ago.
    Zero for a price that never moved.

    Raises
    ------
    ValueError : a window that cannot be, an unknown basis, panels that differ in shape.

    Notes
    -----
    The formulas suppose that prices are seen all the time. In a fund that trades a few times a session the
    range seen is shorter than the true one, and a repeated bar without trade has none, so that Parkinson and
    Garman-Klass lie too low; a wide spread lengthens every range and works the other way.

    Parkinson (1980), The extreme value method for estimating the variance of the rate of return, Journal of
    Business 53(1), 61-65. Garman and Klass (1980), On the estimation of security price volatilities from
    historical data, Journal of Business 53(1), 67-78: their simplified estimator. Yang and Zhang (2000),
    Drift-independent volatility estimation based on high, low, open, and close prices, Journal of Business
    73(3), 477-492.
    """
    if not 2 <= min_observations <= window:
        raise ValueError(f"2 <= min_observations ({min_observations}) <= window ({window}) must hold")
    shift = previous_bar_shift(close, accepted, scale, split, distribution, basis=basis)
    logs = log_prices(open_, high, low, close, accepted)
    moves = np.ascontiguousarray(shift.T)
    parkinson, garman_klass, yang_zhang = (np.full(moves.shape, np.nan) for _ in range(3))
    observations = np.zeros(moves.shape, dtype=np.int32)

    def work(columns: np.ndarray) -> None:
        _rolling_ranges(
            columns, *logs, moves, window, min_observations, parkinson, garman_klass, yang_zhang, observations
        )

    over_columns(work, len(moves))
    stale = sessions_since(accepted)
    serves = (stale >= 0) & (stale <= max_stale_sessions)
    served = [
        np.where(serves, np.sqrt(variance * SESSIONS_A_YEAR).T, np.nan)
        for variance in (parkinson, garman_klass, yang_zhang)
    ]
    return RangeVolatilityPanel(served[0], served[1], served[2], np.ascontiguousarray(observations.T))


@njit(cache=True, nogil=True)
def _rolling_ranges(
    columns: np.ndarray,
    open_: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    shift: np.ndarray,
    window: int,
    min_observations: int,
    parkinson: np.ndarray,
    garman_klass: np.ndarray,
    yang_zhang: np.ndarray,
    observations: np.ndarray,
) -> None:
    """Variances a session of the funds in ``columns``; all panels (N, S), prices as logarithms."""
    terms, head, total = np.zeros(_TERMS), np.zeros(_TERMS), np.zeros(_TERMS)
    stored = np.zeros((window, _TERMS))
    for j in columns:
        head.fill(0.0)
        stored.fill(0.0)
        for t in range(open_.shape[1]):
            terms.fill(0.0)
            if not np.isnan(open_[j, t]) and not np.isnan(shift[j, t]) and not np.isnan(close[j, t - 1]):
                u, d = high[j, t] - open_[j, t], low[j, t] - open_[j, t]
                intraday = close[j, t] - open_[j, t]
                overnight = open_[j, t] - (close[j, t - 1] + shift[j, t])
                terms[0] = 1.0
                terms[1] = _PARKINSON * (u - d) ** 2
                terms[2] = 0.5 * (u - d) ** 2 - _GARMAN_KLASS * intraday * intraday
                terms[3] = u * (u - intraday) + d * (d - intraday)
                terms[4] = overnight
                terms[5] = overnight * overnight
                terms[6] = intraday
                terms[7] = intraday * intraday
            advance(terms, stored, head, total, t)
            n = total[0]
            observations[j, t] = int(n)
            if n < min_observations:
                continue
            parkinson[j, t] = total[1] / n
            garman_klass[j, t] = max(total[2], 0.0) / n
            of_overnight = max(total[5] - total[4] * total[4] / n, 0.0) / (n - 1.0)
            of_intraday = max(total[7] - total[6] * total[6] / n, 0.0) / (n - 1.0)
            k = 0.34 / (1.34 + (n + 1.0) / (n - 1.0))
            yang_zhang[j, t] = of_overnight + k * of_intraday + (1.0 - k) * max(total[3], 0.0) / n


def range_variances_reference(
    open_: np.ndarray, high: np.ndarray, low: np.ndarray, close: np.ndarray
) -> tuple[float, float, float]:
    """Parkinson, Garman-Klass and Yang-Zhang variance a session of one window.

    Parameters
    ----------
    open_, high, low, close : (K,) float64, prices without NaN, K >= 3, comparable throughout; of the first
        session only the close is used.
    """
    overnight = np.log(open_[1:] / close[:-1])
    u, d, c = (np.log(price[1:] / open_[1:]) for price in (high, low, close))
    n = len(c)
    parkinson = np.mean((u - d) ** 2) / (4.0 * np.log(2.0))
    garman_klass = np.mean(0.5 * (u - d) ** 2 - (2.0 * np.log(2.0) - 1.0) * c**2)
    rogers_satchell = np.mean(u * (u - c) + d * (d - c))
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    yang_zhang = overnight.var(ddof=1) + k * c.var(ddof=1) + (1.0 - k) * rogers_satchell
    return float(parkinson), float(garman_klass), float(yang_zhang)
