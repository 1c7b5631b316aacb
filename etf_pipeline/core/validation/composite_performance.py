"""What a composite score was worth, month by month: the performance that an ablation compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.scoring.composite import REQUIRED
from etf_pipeline.core.scoring.weights import Weights, weights_used
from etf_pipeline.core.validation.forward_return import DELAY, forward_return
from etf_pipeline.core.validation.information_coefficient import rank_correlation
from etf_pipeline.core.validation.quantile_spreads import filled_half_spread, quantile_series, quantiles_of

HORIZON = 21
QUINTILES = 5
MIN_FUNDS = 10
"""Funds a month needs, for the correlation as for quintiles."""


@dataclass(frozen=True)
class Months:
    """M months whose returns are complete.

    Attributes
    ----------
    formed : (M,) int64, rows of the first sessions of calendar months: the scores are those of their closes.
    known : (M,) int64, rows at whose closes the returns of the 21 sessions after the trade are known.
    forward : (S, N) float64, forward returns of every session, NaN where not complete.
    """

    formed: np.ndarray
    known: np.ndarray
    forward: np.ndarray


def complete_months(
    total_return: np.ndarray, sessions_spanned: np.ndarray, sessions: np.ndarray, *, delay: int = DELAY
) -> Months:
    """The months a score can be judged on. Cutting the panels leaves the months before as they are.

    Parameters
    ----------
    total_return, sessions_spanned : (S, N), as ``forward_return`` takes them.
    sessions : (S,) datetime64[D], ascending.
    delay : sessions between a score and the trade on it.
    """
    starts = month_starts(np.asarray(sessions, dtype="datetime64[D]")).astype(np.int64)
    formed = starts[starts + delay + HORIZON < len(sessions)]
    forward = forward_return(total_return, sessions_spanned, HORIZON, delay=delay)
    return Months(formed, formed + delay + HORIZON, forward)


def weighted_score(
    scores: Mapping[str, np.ndarray],
    weights: Weights,
    multipliers: Mapping[str, Mapping[str, float]] | None,
    category: np.ndarray,
) -> np.ndarray:
    """Raw composite score: components by their weights and the risk category's multipliers, before penalties.

    Parameters
    ----------
    scores : component -> (S, N) float64, NaN where missing; one for each of ``weights``.
    weights : component -> weight, or (S,) weights.
    multipliers, category : as ``weights_used`` takes them.

    Returns
    -------
    (S, N) float64; NaN where a component without which no fund is ranked is missing.
    """
    present = {name: np.isfinite(scores[name]) for name in weights}
    used = weights_used(weights, multipliers, category, present)
    total = np.zeros(category.shape)
    for name in weights:
        total += np.where(present[name], used[name] * scores[name], 0.0)
    for name in REQUIRED:
        total = np.where(present[name], total, np.nan)
    return total


def monthly_information_coefficient(score: np.ndarray, months: Months) -> np.ndarray:
    """Rank information coefficient of each month's score.

    Parameters
    ----------
    score : (S, N) float64, higher is better, NaN where not ranked.

    Returns
    -------
    (M,) float64; NaN with fewer than 10 funds. Columns without a score change nothing.
    """
    everyone = np.array([[0, score.shape[1]]])
    chosen = np.ascontiguousarray(score[months.formed])
    forward = months.forward[months.formed]
    return rank_correlation(chosen, forward, everyone, min_funds=MIN_FUNDS)[0][0]


def monthly_spread_after_costs(score: np.ndarray, months: Months, spread: np.ndarray) -> np.ndarray:
    """What the best fifth of each month's funds returned over the worst, after the costs of trading both.

    Parameters
    ----------
    score : (S, N) float64, higher is better, NaN where not ranked.
    spread : (S, N) float64, bid-ask spreads as a fraction of the price, NaN where unknown; half is paid on each trade.

    Returns
    -------
    (M,) float64, fraction in 21 sessions; NaN with fewer than 10 funds, or where costs are not known.
    """
    everyone = np.array([[0, score.shape[1]]])
    # The portfolio a month's trades start from is that of 21 sessions before: every session has one.
    bucket = quantiles_of(np.ascontiguousarray(score), everyone, QUINTILES)
    half = filled_half_spread(spread, np.isfinite(score))
    series = quantile_series(bucket, months.forward, half, everyone, QUINTILES, HORIZON)
    return series.spread_after_costs[0, months.formed]
