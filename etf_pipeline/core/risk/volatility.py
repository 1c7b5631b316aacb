"""Exponentially weighted volatility of total returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.rolling import sessions_since

SESSIONS_A_YEAR = 252
RISKMETRICS_HALF_LIFE = float(np.log(0.5) / np.log(0.94))
"""Half-life (11.2 sessions) at which the decay factor is the 0.94 of RiskMetrics (1996)."""


@dataclass(frozen=True)
class VolatilityPanel:
    """An estimate of volatility per session.

    Attributes
    ----------
    volatility_annualised : (S, N) float64, 0.20 = 20 % a year; NaN where there is no estimate.
    observations : (S, N) int32, known returns up to this session.
    half_life : sessions after which a return weighs half.
    """

    volatility_annualised: np.ndarray
    observations: np.ndarray
    half_life: float


def ewma_volatility(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    *,
    half_life: float = 33.0,
    min_observations: int = 60,
    max_stale_sessions: int = 5,
) -> VolatilityPanel:
    """Square root of the exponentially weighted mean of squared returns, annualised by sqrt(252).

    A session's weight falls by ``decay = 0.5 ** (1 / half_life)`` with every session that passes (33
    sessions: 0.979). A return r over n sessions stands for n sessions of variance r**2 / n each:

    ``v_t = (decay**n v_{t-n} + (1 - decay**n) r**2 / n)``, with weights that sum to one from the first
    return on, so that no start value is needed.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns; NaN where there is none or it is unknown.
    sessions_spanned : (S, N) int, sessions each return spans; 0 where there is no bar to compare.
    half_life : sessions, positive. ``RISKMETRICS_HALF_LIFE`` gives the decay factor 0.94.
    min_observations : known returns needed for an estimate.
    max_stale_sessions : the last estimate stands for this many sessions without a bar.

    Returns
    -------
    VolatilityPanel. Zero for a price that never moved. An unknown return ages the weights and adds
    nothing; the mean return is taken as zero.

    Notes
    -----
    J.P. Morgan/Reuters (1996), RiskMetrics Technical Document, 4th ed., section 5.2.
    """
    if not half_life > 0:
        raise ValueError(f"half_life must be positive, not {half_life}")
    length, funds = total_return.shape
    # Powers one by one: the same bits whatever the length of the panel.
    decay_by_age = np.array([0.5 ** (n / half_life) for n in range(length + 1)])
    volatility = np.full((length, funds), np.nan)
    weighted, weight = np.zeros(funds), np.zeros(funds)
    known = ~np.isnan(total_return) & (sessions_spanned > 0)
    observations = np.cumsum(known, axis=0, dtype=np.int32)
    stale = sessions_since(sessions_spanned > 0)
    serves = (observations >= min_observations) & (stale >= 0) & (stale <= max_stale_sessions)
    span = np.asarray(sessions_spanned, dtype=np.int64)
    squared = np.where(known, total_return, 0.0) ** 2 / np.maximum(span, 1)
    for t in range(length):
        decay = decay_by_age[span[t]]
        gain = np.where(known[t], 1.0 - decay, 0.0)
        weighted = decay * weighted + gain * squared[t]
        weight = decay * weight + gain
        at = serves[t]
        volatility[t, at] = np.sqrt(weighted[at] / weight[at] * SESSIONS_A_YEAR)
    return VolatilityPanel(volatility, observations, float(half_life))


def ewma_volatility_reference(
    total_return: np.ndarray, sessions_spanned: np.ndarray, half_life: float
) -> np.ndarray:
    """One fund's annualised volatility from the weighted mean spelled out, session by session.

    Parameters
    ----------
    total_return, sessions_spanned : (S,).

    Returns
    -------
    (S,) float64, NaN before the first known return; without minimum history or staleness limit.
    """
    length = len(total_return)
    out = np.full(length, np.nan)
    for t in range(length):
        top = bottom = 0.0
        for s in range(t + 1):
            n = int(sessions_spanned[s])
            if n == 0 or np.isnan(total_return[s]):
                continue
            last_bar = max(u for u in range(t + 1) if sessions_spanned[u] > 0)
            for k in range(n):
                importance = 0.5 ** ((last_bar - s + k) / half_life)
                top += importance * total_return[s] ** 2 / n
                bottom += importance
        if bottom > 0:
            out[t] = np.sqrt(top / bottom * SESSIONS_A_YEAR)
    return out
