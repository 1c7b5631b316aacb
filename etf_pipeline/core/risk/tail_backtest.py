"""Whether value-at-risk forecasts held: how often they were broken, whether in clusters, and how deep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, xlogy

from etf_pipeline.core.risk.tail import one_session_return


@dataclass(frozen=True)
class TailBacktest:
    """Calibration of one model, per fund.

    Attributes
    ----------
    forecasts, violations : (N,) int64, returns that met a forecast, and those that fell below it.
    coverage_p_value : (N,) float64, Kupiec's test that violations have the stated probability.
    independence_p_value : (N,) float64, Christoffersen's test that a violation does not make one on the
        next forecast more or less likely.
    shortfall_ratio : (N,) float64, mean return on violations over mean expected shortfall forecast for
        them; above 1 losses were deeper than forecast. NaN without violations.
    """

    forecasts: np.ndarray
    violations: np.ndarray
    coverage_p_value: np.ndarray
    independence_p_value: np.ndarray
    shortfall_ratio: np.ndarray


def backtest_tail(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    value_at_risk: np.ndarray,
    expected_shortfall: np.ndarray,
    probability: float,
) -> TailBacktest:
    """Hold each one-session return against the forecast made at the close it starts from.

    Parameters
    ----------
    total_return, sessions_spanned : (S, N).
    value_at_risk, expected_shortfall : (S, N) float64, returns forecast at the close of the row.
    probability : stated probability of falling below ``value_at_risk``, in (0, 1).

    Returns
    -------
    TailBacktest. A fund without forecasts has p-values of NaN.

    Notes
    -----
    Kupiec (1995), proportion of failures; Christoffersen (1998), first-order Markov alternative: both are
    likelihood ratios with one degree of freedom.
    """
    if not 0.0 < probability < 1.0:
        raise ValueError(f"probability must lie in (0, 1), not {probability}")
    start = np.maximum(np.arange(len(total_return))[:, None] - sessions_spanned, 0)
    limit = np.take_along_axis(value_at_risk, start, axis=0)
    expected = np.take_along_axis(expected_shortfall, start, axis=0)
    returns = one_session_return(total_return, sessions_spanned)
    met = ~(np.isnan(returns) | np.isnan(limit))
    broken = met & (np.where(met, returns, 0.0) < np.where(met, limit, 0.0))
    funds = total_return.shape[1]
    coverage, independence, ratio = (np.full(funds, np.nan) for _ in range(3))
    for j in range(funds):
        if met[:, j].any():
            hits = broken[met[:, j], j]
            coverage[j] = kupiec_p_value(len(hits), int(hits.sum()), probability)
            independence[j] = christoffersen_p_value(hits)
        if broken[:, j].any():
            ratio[j] = returns[broken[:, j], j].mean() / expected[broken[:, j], j].mean()
    return TailBacktest(met.sum(axis=0), broken.sum(axis=0), coverage, independence, ratio)


def kupiec_p_value(forecasts: int, violations: int, probability: float) -> float:
    """Chance of a violation count at least as far from the stated rate, by the likelihood ratio."""
    held = forecasts - violations
    rate = violations / forecasts
    stated = xlogy(violations, probability) + xlogy(held, 1.0 - probability)
    found = xlogy(violations, rate) + xlogy(held, 1.0 - rate)
    return float(chdtrc(1, max(0.0, 2.0 * (found - stated))))


def christoffersen_p_value(hits: np.ndarray) -> float:
    """Chance of at least this much first-order dependence between violations, by the likelihood ratio.

    Parameters
    ----------
    hits : (K,) bool, in order of time.
    """
    before, after = hits[:-1], hits[1:]
    count = np.array([[np.sum((before == i) & (after == k)) for k in (False, True)] for i in (False, True)])
    row = count.sum(axis=1, keepdims=True)
    share = np.divide(count, row, out=np.zeros((2, 2)), where=row > 0)
    total = count.sum(axis=0)
    pooled = xlogy(total, total / max(1, total.sum())).sum()
    return float(chdtrc(1, max(0.0, 2.0 * (xlogy(count, share).sum() - pooled))))
