"""Value at risk and expected shortfall of the next session, three ways, and the one that is served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.market.rolling import sessions_since
from etf_pipeline.core.risk.student_t import StudentTPanel, rolling_student_t, student_t_tail
from etf_pipeline.core.risk.tail_kernels import rolling_tails
from etf_pipeline.core.risk.volatility import SESSIONS_A_YEAR

TAIL_MODELS = ("", "historical", "student_t", "filtered")
"""Names of the codes in ``TailPanel.served_model``; empty where there is no estimate."""

_TAIL_PROBABILITIES = (0.05, 0.01)
_WHOLE_LOSS = -1.0


@dataclass(frozen=True)
class TailEstimate:
    """Tail of the next session's return. All are simple returns, so losses are negative and none exceeds the whole.

    Attributes
    ----------
    var_95, var_99 : (S, N) float64, value at risk: the return that one session in 20 (in 100) falls below.
    cvar_95, cvar_99 : (S, N) float64, expected shortfall: the mean return of those sessions.
    """

    var_95: np.ndarray
    cvar_95: np.ndarray
    var_99: np.ndarray
    cvar_99: np.ndarray

    @property
    def cvar_95_annualised(self) -> np.ndarray:
        """(S, N) float64, ``cvar_95 * sqrt(252)``: a fraction on the scale of annualised volatility."""
        return self.cvar_95 * np.sqrt(SESSIONS_A_YEAR)

    @property
    def cvar_99_annualised(self) -> np.ndarray:
        """(S, N) float64, ``cvar_99 * sqrt(252)``."""
        return self.cvar_99 * np.sqrt(SESSIONS_A_YEAR)


@dataclass(frozen=True)
class TailPanel:
    """Every model's estimate, and the one to use.

    Attributes
    ----------
    historical, student_t, filtered : TailEstimate, NaN where the model has none.
    served : TailEstimate, of the filtered model, before it has history of the historical one.
    served_model : (S, N) int8, index into ``TAIL_MODELS``.
    distribution : StudentTPanel behind ``student_t``, one-session returns.
    """

    historical: TailEstimate
    student_t: TailEstimate
    filtered: TailEstimate
    served: TailEstimate
    served_model: np.ndarray
    distribution: StudentTPanel


def tail_risk(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    forecast: np.ndarray,
    sessions: np.ndarray,
    *,
    window: int = 1000,
    min_observations: int = 250,
    min_moving_share: float = 0.1,
    max_stale_sessions: int = 5,
) -> TailPanel:
    """Value at risk and expected shortfall by history, by a fitted distribution and by filtered history.

    A return over n sessions enters as the one-session return ``r / sqrt(n)``.

    * **historical**: the last ``window`` known returns as they are.
    * **student_t**: a Student-t distribution fitted to the same returns by maximum likelihood, on the first
      session of each calendar month.
    * **filtered**: filtered historical simulation. Each return is divided by the forecast made at the close
      it starts from; the tail of the last ``window`` such residuals is multiplied by today's forecast. A
      forecast counts, then and today, where at least ``min_moving_share`` of the ``min_observations`` returns
      up to it moved the price: a forecast that silence has worn down turns the next move into a residual
      without bound.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int, 0 where there is no bar to compare.
    forecast : (S, N) float64, standard deviation of the next session's return as forecast at the close of
        the row; NaN where there is none. A forecast of zero yields no residual.
    sessions : (S,) datetime64, ascending.
    window : known returns (residuals) used.
    min_observations : known returns (residuals) needed, at least 99.
    min_moving_share : share of the last ``min_observations`` known returns that must not be zero for a filtered
        estimate, 0..1. Where fewer than twice 5 % move, up as often as down, the 5 % quantile is a zero.
    max_stale_sessions : estimates stand for this many sessions without a bar.

    Returns
    -------
    TailPanel. A price that never moved has historical tails of zero and no Student-t or filtered ones (see
    ``rolling_student_t`` for prices that mostly stood still), and a fund that is silent on more than nine sessions
    of ten is served by its history. A single giant return is one observation in the historical tails until it
    leaves the window. The tail of a fund that only ever rises is positive. No estimate is below -1: a share of a
    fund cannot lose more than its price.

    Raises
    ------
    ValueError : panels differ in shape, or too few observations for the 99 % level.

    Notes
    -----
    Quantiles lie at (n + 1) p, and the expected shortfall is the mean of the same quantile function beyond
    (``rolling_tails``); Barone-Adesi, Giannopoulos and Vosper (1999) for the filtering. The filtered model
    is served because its violations are as frequent as stated and do not come in clusters on the most
    funds (``validation.value_at_risk``): the other two let losses bunch whenever volatility rises.
    """
    if not 0 <= min_moving_share <= 1:
        raise ValueError(f"min_moving_share must lie in 0..1, not {min_moving_share}")
    for panel in (sessions_spanned, forecast):
        if panel.shape != total_return.shape:
            raise ValueError(f"panels differ in shape: {panel.shape} beside returns {total_return.shape}")
    stale = sessions_since(sessions_spanned > 0)
    serves = (stale >= 0) & (stale <= max_stale_sessions)
    one_session = one_session_return(total_return, sessions_spanned)
    moves = moving_share(one_session, min_observations) >= min_moving_share
    forecast = np.where(moves, forecast, np.nan)
    residual = standardised_residual(total_return, sessions_spanned, forecast)
    limits = {"window": window, "min_observations": min_observations}

    historical = _estimate(*rolling_tails(one_session, _TAIL_PROBABILITIES, **limits), serves)
    quantile, beyond = rolling_tails(residual, _TAIL_PROBABILITIES, **limits)
    filtered = _estimate(quantile * forecast, beyond * forecast, serves)
    refit = np.zeros(len(sessions), dtype=bool)
    refit[month_starts(sessions)] = True
    distribution = rolling_student_t(one_session, refit, **limits)
    parameters = distribution.location, distribution.scale, distribution.degrees_of_freedom
    fitted = [student_t_tail(p, *parameters) for p in _TAIL_PROBABILITIES]
    student_t = _estimate([f[0] for f in fitted], [f[1] for f in fitted], serves)

    has_filtered = ~np.isnan(filtered.var_95)
    has_historical = ~np.isnan(historical.var_95)
    code = np.where(has_historical, TAIL_MODELS.index("historical"), 0)
    served_model = np.where(has_filtered, TAIL_MODELS.index("filtered"), code).astype(np.int8)
    served = TailEstimate(
        *(
            np.where(has_filtered, ours, fallback)
            for ours, fallback in zip(_fields(filtered), _fields(historical), strict=True)
        )
    )
    return TailPanel(historical, student_t, filtered, served, served_model, distribution)


def one_session_return(total_return: np.ndarray, sessions_spanned: np.ndarray) -> np.ndarray:
    """(S, N) float64: ``r / sqrt(n)``, the return over n sessions brought to the scale of one; NaN if unknown."""
    known = sessions_spanned > 0
    return np.where(known, total_return, np.nan) / np.sqrt(np.where(known, sessions_spanned, 1))


def standardised_residual(
    total_return: np.ndarray, sessions_spanned: np.ndarray, forecast: np.ndarray
) -> np.ndarray:
    """One-session returns over the forecasts they were met with.

    Parameters
    ----------
    total_return : (S, N) float64.
    sessions_spanned : (S, N) int.
    forecast : (S, N) float64, daily standard deviation as forecast at the close of the row.

    Returns
    -------
    (S, N) float64: ``r_t / (sqrt(n) * forecast_{t-n})``, the forecast being that of the bar the return
    starts from. NaN where return or forecast are unknown or the forecast is zero.
    """
    start = np.arange(len(total_return))[:, None] - sessions_spanned
    met = np.take_along_axis(forecast, np.maximum(start, 0), axis=0)
    met = np.where(met > 0.0, met, np.nan)
    return one_session_return(total_return, sessions_spanned) / met


def moving_share(values: np.ndarray, window: int) -> np.ndarray:
    """Share of the last ``window`` known values that are not zero.

    Parameters
    ----------
    values : (S, N) float64, NaN is not known and takes no place in the window.
    window : known values, at least 1.

    Returns
    -------
    (S, N) float64, of what there is where fewer are known; NaN before the first.
    """
    share = np.full(values.shape, np.nan)
    for j in range(values.shape[1]):
        known = ~np.isnan(values[:, j])
        seen = np.cumsum(known)
        moved = np.concatenate([[0], np.cumsum(values[known, j] != 0.0)])
        left = np.maximum(seen - window, 0)
        np.divide(moved[seen] - moved[left], seen - left, out=share[:, j], where=seen > 0)
    return share


def _estimate(
    quantile: Sequence[np.ndarray] | np.ndarray, beyond: Sequence[np.ndarray] | np.ndarray, serves: np.ndarray
) -> TailEstimate:
    """One panel a probability in ``quantile`` and ``beyond``, no loss above the whole, NaN where none serves."""
    panels = (quantile[0], beyond[0], quantile[1], beyond[1])
    return TailEstimate(*(np.where(serves, np.maximum(panel, _WHOLE_LOSS), np.nan) for panel in panels))


def _fields(estimate: TailEstimate) -> tuple[np.ndarray, ...]:
    return estimate.var_95, estimate.cvar_95, estimate.var_99, estimate.cvar_99
