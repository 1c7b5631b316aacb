"""The one volatility forecast of each fund and session: a GARCH model's where there is one, else an EWMA's, shrunk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.rolling import sessions_since
from etf_pipeline.core.risk.garch import HORIZONS, GarchHistory
from etf_pipeline.core.risk.volatility import SESSIONS_A_YEAR

SHRUNK_EWMA, CONSTANT = "ewma_shrunk", "constant"


@dataclass(frozen=True)
class ServedVolatility:
    """The forecast to use.

    Attributes
    ----------
    variance : (H, S, N) float64, variance of the return over the next h sessions (``garch.HORIZONS``).
    model : (S, N) object, the name of the model behind it; None without a forecast.
    """

    variance: np.ndarray
    model: np.ndarray

    def annualised(self, horizon: int) -> np.ndarray:
        """(S, N) standard deviation over the next ``horizon`` sessions, times sqrt(252 / horizon)."""
        return np.sqrt(self.variance[HORIZONS.index(horizon)] * (SESSIONS_A_YEAR / horizon))


def served_volatility(
    garch: GarchHistory,
    ewma_variance: np.ndarray,
    observations: np.ndarray,
    sessions_spanned: np.ndarray,
    class_index: np.ndarray,
    *,
    prior_observations: float = 60.0,
    min_peers: int = 5,
    max_stale_sessions: int = 5,
) -> ServedVolatility:
    """Forecast of the model in force; without one an EWMA drawn towards the fund's peers.

    Parameters
    ----------
    garch : the walk-forward fits.
    ewma_variance : (S, N) float64, variance of one session by EWMA, NaN where there is none.
    observations : (S, N) int, known returns so far.
    sessions_spanned : (S, N) int, 0 without a bar.
    class_index : (N,) int, asset class, -1 where unknown.
    prior_observations : the peers weigh as much as so many returns of the fund.
    min_peers : funds a class needs to be a fund's peers; else it has none. All funds would not do: cash and leveraged
        funds are a hundred times apart.
    max_stale_sessions : a forecast stands for this many sessions without a bar.

    Returns
    -------
    ServedVolatility. ``constant`` with variance zero for a price that has never moved. EWMA forecasts of h sessions are
    h times those of one.

    Notes
    -----
    The peers' variance of a session is the median over the funds with a GARCH forecast on it; own and peers' are averaged
    in logarithms.
    """
    stale = sessions_since(sessions_spanned > 0)
    row = np.arange(len(stale))[:, None] - np.maximum(stale, 0)
    served = np.take_along_axis(garch.served_variance(), row[None], axis=1)
    served = np.where((stale >= 0) & (stale <= max_stale_sessions), served, np.nan)
    # The model that made it: a refit without a bar may have chosen another since, or none.
    in_force = np.take_along_axis(garch.model_in_force(), row, axis=0)
    names = np.array([*garch.models, None], dtype=object)
    has = ~np.isnan(served[0])
    model: np.ndarray = np.where(has, names[in_force], None)  # type: ignore[assignment]
    peers = _peer_variance(served[0], class_index, min_peers)
    own = observations / (observations + prior_observations)
    known = ~np.isnan(ewma_variance)
    still = known & ~has & (ewma_variance == 0.0)
    # In logarithms: a quiet fund among restless ones is as far from them as a restless one among quiet ones. Without
    # peers on the session the fund's own estimate stands alone.
    alone = np.isnan(peers) | (peers <= 0.0) | ~(ewma_variance > 0.0)
    ratio = np.where(alone, 1.0, peers) / np.where(alone, 1.0, ewma_variance)
    shrunk = ewma_variance * ratio ** (1.0 - own)
    fall_back = known & ~has
    for h, horizon in enumerate(garch.horizons):
        served[h] = np.where(fall_back, horizon * shrunk, served[h])
    model = np.where(fall_back, np.where(still, CONSTANT, SHRUNK_EWMA), model)
    return ServedVolatility(served, model)


def _peer_variance(variance: np.ndarray, class_index: np.ndarray, min_peers: int) -> np.ndarray:
    """(S, N) median variance of the fund's class on the session; NaN where the class has too few, or none is known."""
    out = np.full(variance.shape, np.nan)
    for group in np.unique(class_index[class_index >= 0]):
        columns = np.flatnonzero(class_index == group)
        enough = (~np.isnan(variance[:, columns])).sum(axis=1) >= min_peers
        out[np.ix_(enough, columns)] = _median(variance[:, columns])[enough, None]
    return out


def _median(values: np.ndarray) -> np.ndarray:
    """(S,) median over the columns with a value; NaN where none has one."""
    ordered = np.sort(values, axis=1)
    count = (~np.isnan(values)).sum(axis=1)
    row = np.arange(len(values))
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    middle = 0.5 * (ordered[row, low] + ordered[row, np.minimum(high, values.shape[1] - 1)])
    return np.where(count > 0, middle, np.nan)
