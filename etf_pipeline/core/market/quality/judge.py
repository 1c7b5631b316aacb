"""Is a move plausible, and what is a new level that has been confirmed?

Small compiled functions of plain numbers, used by the walk in ``levels``.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from etf_pipeline.core.market.quality.codes import (
    ADJUSTMENT_BREAK,
    CONSOLIDATION_UNADJUSTED,
    DISTRIBUTION_WRONG_DATE,
    LARGE_MOVE_CONFIRMED,
    SPLIT_UNADJUSTED,
)
from etf_pipeline.core.market.quality.rules import QualityRules

# Ratios seen in practice and how common they are among splits and consolidations of funds; 10, 100 and
# 1,000 also stand for prices in another unit (cents for dollars). Ratios below 3:2 are left out: a price
# can move as far.
SPLIT_RATIOS = np.array(
    [1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10, 12, 15, 16, 20, 25, 30, 40, 50, 60, 75, 80, 100, 200, 500, 1000]
)
SPLIT_WEIGHTS = np.array(
    [2, 20, 1, 9, 9, 12, 2, 1, 4, 16, 1, 4, 1, 6, 4, 1, 1, 3, 0.3, 0.3, 0.3, 6, 0.3, 0.3, 1.0]
)
IS_UNIT = (SPLIT_RATIOS == 10) | (SPLIT_RATIOS == 100) | (SPLIT_RATIOS == 1000)
SPLIT_LOG = np.log(SPLIT_RATIOS)
T4_LOG_PEAK = np.log(0.375)
"""Log density at zero of Student's t with four degrees of freedom: the return beside the split."""
SPLIT_LOG_PRIOR = np.log(SPLIT_WEIGHTS / SPLIT_WEIGHTS.sum())


class LevelParameters(NamedTuple):
    """The rules the compiled walk needs, as plain numbers; meanings in ``QualityRules``."""

    sigma_multiple: float
    minimum_log_move: float
    fiscal_sigma_multiple: float
    fiscal_minimum_log_move: float
    sigma_decay: float
    sigma_start: float
    sigma_start_weight: float
    sigma_clip: float
    sigma_floor: float
    dispersion_multiple: float
    market_multiple: float
    beta_decay: float
    beta_start: float
    beta_start_variance: float
    reversal_share: float
    peer_fraction: float
    peer_limit: float
    surge_threshold: float
    surge_weight: float
    surge_boost: float
    volume_window: int
    instant_limit: float
    confirmations: int
    small_log_move: float
    small_confirmations: int
    level_tolerance: float
    undecided_bars: int
    print_surge: float
    genuine_surge: float
    break_sigma: float
    fiscal_break_sigma: float
    lasting_share: float
    scale_log_move: float
    distribution_limit: float
    split_odds: float
    split_sigma_limit: float
    break_decay: float
    fiscal_break_odds: float
    volume_log_sigma: float
    doubt_sessions: int
    flip_window: int
    flip_count: int
    flip_cooldown: int
    listing_bars: int
    nav_share: float
    nav_flip_log_move: float
    liquid_window: int
    liquid_low_share: float
    deferred_bars: int
    stale_bars: int
    stale_traded_bars: int
    restart_sessions: int


def level_parameters(rules: QualityRules) -> LevelParameters:
    """The walk's share of the rules."""
    return LevelParameters(**{name: getattr(rules, name) for name in LevelParameters._fields})


@nb.njit(cache=True)
def median_of(values: np.ndarray, count: int) -> float:
    """Median of the first ``count`` values; NaN without any."""
    if count == 0:
        return np.nan
    ordered = np.sort(values[:count])
    middle = count // 2
    if count % 2:
        return ordered[middle]
    return 0.5 * (ordered[middle - 1] + ordered[middle])


@nb.njit(cache=True)
def low_volume_share(values: np.ndarray, count: int) -> float:
    """Tenth percentile of the first ``count`` values over their median; 0 without any."""
    if count == 0:
        return 0.0
    ordered = np.sort(values[:count])
    return ordered[count // 10] / max(median_of(values, count), 1e-300)


@nb.njit(cache=True)
def log_volume_ratio(fresh: np.ndarray, past: np.ndarray, count: int) -> float:
    """Log of the median of ``fresh`` over that of the first ``count`` of ``past``; NaN where unknown."""
    if count < 5:
        return np.nan
    new, old = median_of(fresh, len(fresh)), median_of(past, count)
    if not (new > 0 and old > 0):
        return np.nan
    return np.log(new / old)


@nb.njit(cache=True)
def volume_surge(volume: float, price: float, units: np.ndarray, values: np.ndarray, count: int) -> float:
    """Volume over its past median, in units or in value, whichever is smaller; 1 where unknown."""
    if count < 5 or not volume > 0:
        return 1.0
    in_units = volume / median_of(units, count)
    in_value = volume * price / median_of(values, count)
    return min(in_units, in_value)


@nb.njit(cache=True)
def plausible(
    move: float,
    sigma: float,
    expected: float,
    market_move: float,
    strict: bool,
    surge: float,
    peer_move: float,
    p: LevelParameters,
) -> bool:
    """Whether a log move can be believed on its first day.

    Parameters
    ----------
    move : log ratio of the comparable close to the last accepted one.
    sigma : the fund's deviation for the span of the move.
    expected : the fund's beta times the market's log move over the span.
    market_move : absolute log move of the market's median fund over the span.
    strict : around a fiscal year end, or without volume: the tighter pair of limits, and no peers.
    surge : volume over its past median.
    peer_move : the second-largest move of that day in the same direction, absolute; 0 where unknown.
    """
    size = abs(move)
    if size > p.instant_limit:
        return False
    multiple = p.fiscal_sigma_multiple if strict else p.sigma_multiple
    least = p.fiscal_minimum_log_move if strict else p.minimum_log_move
    excess = surge / (2.0 * p.surge_threshold) if strict else surge / p.surge_threshold
    boost = 1.0
    if excess > 1.0:
        boost = min(p.surge_boost, 1.0 + p.surge_weight * np.log2(excess))
    allowed = max(least, multiple * sigma * boost) + p.market_multiple * market_move
    if abs(move - expected) <= allowed:
        return True
    return (not strict) and size <= p.peer_limit and p.peer_fraction * size <= peer_move


@nb.njit(cache=True)
def split_evidence(
    level: float, sigma: float, volume_ratio: float, fiscal: bool, p: LevelParameters
) -> tuple[float, float]:
    """Likeliest simple split behind a level, and the log odds for it.

    Odds of "the price moved by a simple ratio times an ordinary return, units traded by its inverse"
    against everything else: the next-best ratio, and a break of any size (log size Laplace distributed)
    with unchanged volume.

    Parameters
    ----------
    level : log ratio of the first comparable close at the new level to the last at the old, less what
        the market explains.
    sigma : deviation of the ordinary return left after the split.
    volume_ratio : log of the median units traded at the new level over the past median; NaN where
        unknown.
    fiscal : around a fiscal year end.

    Returns
    -------
    log_ratio : signed log of the ratio new price / old price; 0 where none fits.
    log_odds : natural log of the odds; -inf where none fits.
    """
    size = abs(level)
    sign = 1.0 if level > 0 else -1.0
    known = not np.isnan(volume_ratio)
    best, best_score, rest = -1, -np.inf, 0.0
    scores = np.empty(len(SPLIT_LOG))
    for i in range(len(SPLIT_LOG)):
        z = (size - SPLIT_LOG[i]) / sigma
        score = SPLIT_LOG_PRIOR[i] + T4_LOG_PEAK - np.log(sigma) - 2.5 * np.log1p(0.25 * z * z)
        if known:
            u = (volume_ratio + sign * SPLIT_LOG[i]) / p.volume_log_sigma
            off = u * u
            if IS_UNIT[i]:
                # Cents for dollars: the price is in another unit, the number of shares is not.
                off = min(off, (volume_ratio / p.volume_log_sigma) ** 2)
            score -= 0.5 * off
        scores[i] = score
        if abs(z) <= p.split_sigma_limit and score > best_score:
            best, best_score = i, score
    if best < 0:
        return 0.0, -np.inf
    other = -np.log(2.0 * p.break_decay) - size / p.break_decay
    if known:
        u = volume_ratio / p.volume_log_sigma
        other -= 0.5 * u * u
    if fiscal:
        other += np.log(p.fiscal_break_odds)
    rest = np.exp(other - best_score)
    for i in range(len(SPLIT_LOG)):
        if i != best:
            rest += np.exp(scores[i] - best_score)
    return sign * SPLIT_LOG[best], -np.log(rest)


@nb.njit(cache=True)
def confirmed_level(
    level: float,
    level_now: float,
    expected: float,
    sigma: float,
    volume_ratio: float,
    surge: float,
    fiscal: bool,
    p: LevelParameters,
) -> tuple[int, float, float]:
    """What a confirmed level is.

    Parameters
    ----------
    level, level_now : log ratio to the old level of the first bar of the new one, and of the last.
    expected : what the market explains of ``level``.
    sigma, volume_ratio, surge, fiscal : of the first bar, as in ``split_evidence``.

    Returns
    -------
    rule : code of the rule that names it.
    log_ratio : log of the scale to repair by; 0 for a genuine move; NaN where the levels cannot be
        compared.
    log_odds : of the split, where one was considered; NaN otherwise.
    """
    size = abs(level)
    if size >= p.scale_log_move:
        if surge >= p.genuine_surge:
            return LARGE_MOVE_CONFIRMED, 0.0, np.nan
        log_ratio, log_odds = split_evidence(level - expected, sigma, volume_ratio, fiscal, p)
        settled = abs(level_now - level) <= p.split_sigma_limit * sigma * np.sqrt(float(p.confirmations))
        if settled and log_odds >= np.log(p.split_odds):
            if log_ratio > 0:
                return CONSOLIDATION_UNADJUSTED, log_ratio, log_odds
            return SPLIT_UNADJUSTED, log_ratio, log_odds
        if size <= (p.fiscal_break_sigma if fiscal else p.break_sigma) * sigma:
            return LARGE_MOVE_CONFIRMED, 0.0, log_odds
        return ADJUSTMENT_BREAK, np.nan, log_odds
    lasting = abs(level_now) >= p.lasting_share * size
    if fiscal and lasting and size > p.fiscal_break_sigma * sigma and surge < 0.5 * p.genuine_surge:
        if size <= p.distribution_limit:
            return DISTRIBUTION_WRONG_DATE, np.nan, np.nan
        return ADJUSTMENT_BREAK, np.nan, np.nan
    if lasting and size > p.break_sigma * sigma and surge < p.surge_threshold:
        return ADJUSTMENT_BREAK, np.nan, np.nan
    return LARGE_MOVE_CONFIRMED, 0.0, np.nan
