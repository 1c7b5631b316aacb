"""Component weights that follow the market's regimes, learned from what the components' scores were worth in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit

from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.validation.forward_return import DELAY, forward_return
from etf_pipeline.core.validation.information_coefficient import rank_correlation

MIN_FUNDS = 10
"""Funds a cross-section needs for an information coefficient."""
MIN_EFFECTIVE = 4.0
"""Windows that do not overlap, as many as a regime's weights need to leave the base weights."""
_POOLED = 12.0
"""A regime's spread of information coefficients is drawn to that of all regimes with the weight of so many windows."""


@dataclass(frozen=True)
class AdaptiveWeights:
    """Weights at each close, and the estimates behind them. S sessions, C components, K regimes, R refits.

    Attributes
    ----------
    components : names of the C components, in the order of the base weights.
    weights : (S, C) float64, not negative, summing to one; the base weights until something is learned.
    turnover : (S,) float64, half the sum of the weights' absolute changes since the session before.
    refit_rows : (R,) int64.
    regime_weights : (R, K, C) float64, weights of each regime from the refit on.
    information_coefficient : (R, K, C) float64, mean of past rank information coefficients in each regime; NaN
        without any.
    shrinkage : (R, K, C) float64, share of a regime's deviation from the component's own mean that is believed,
        0 to 1; NaN without an estimate.
    effective_windows : (R, K, C) float64, observations behind each mean, in windows that do not overlap.
    """

    components: tuple[str, ...]
    weights: np.ndarray
    turnover: np.ndarray
    refit_rows: np.ndarray
    regime_weights: np.ndarray
    information_coefficient: np.ndarray
    shrinkage: np.ndarray
    effective_windows: np.ndarray


def adaptive_weights(
    scores: Mapping[str, np.ndarray],
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    regime_probability: np.ndarray,
    sessions: np.ndarray,
    base_weights: Mapping[str, float],
    *,
    horizon: int = 21,
    delay: int = DELAY,
    step: int = 5,
    refit_months: int = 3,
    prior_information_ratio: float = 0.2,
    max_multiple: float = 2.0,
    half_life: float = 10.0,
    max_turnover: float = 0.02,
) -> AdaptiveWeights:
    """Weights by regime, refitted on the past, mixed by the regimes' probabilities and slow to change.

    Parameters
    ----------
    scores : component -> (S, N) float64, NaN where missing. A component of ``base_weights`` that is not given,
        or has no past, keeps its base weight up to the normalisation.
    total_return, sessions_spanned : (S, N), simple returns and the sessions each spans, as ``forward_return`` takes
        them.
    regime_probability : (S, K) float64, filtered: known at the session's close; NaN before the first estimate.
    sessions : (S,) datetime64[D], ascending.
    base_weights : component -> weight, positive, summing to one.
    horizon, delay : an information coefficient compares the scores of a session with the returns of the
        ``horizon`` sessions after the ``delay`` sessions that trading takes.
    step : sessions between two information coefficients; their windows may overlap.
    refit_months : 1 (monthly) to 12; refits are on the first session of a month.
    prior_information_ratio : what a component is expected to be worth before anything is known: the mean of its
        information coefficients over their standard deviation. Where its past mean is larger, that counts. A
        regime in which it is believed to be worth twice as much doubles its weight before normalisation; in one
        in which it is worth nothing, it has none.
    max_multiple : no more than that many times the base weight, before normalisation.
    half_life : sessions after which half of a change of the target is followed.
    max_turnover : largest turnover of a session.

    Returns
    -------
    AdaptiveWeights.

    Raises
    ------
    ValueError : weights that are not positive or do not sum to one, shapes that do not fit, other arguments out
        of range.

    Notes
    -----
    Empirical Bayes as in Efron and Morris (1973), JASA 68, 117-130. In regime k the information coefficient of
    component c has mean ``m_c + d_ck``. The weights answer to d alone: how good a component is in general is
    what the base weights say, which also hold what no return tells (a score of risk is not there to earn more).
    The estimate of d has a variance v from the spread of the coefficients and the number of windows that do not
    overlap, and the d of all components and regimes come from N(0, tau2). With ``Q = sum d2 / v`` over M
    estimates of C (K - 1) degrees of freedom, ``tau2 = max(0, Q - M - M sqrt(2 / (C (K - 1)))) / sum 1 / v``
    (DerSimonian and Laird 1986, less one standard error of Q): differences that noise would often show count
    as none, and then the base weights stay as they are. Believed is ``d tau2 / (tau2 + v)``, and the weight
    ``base (1 + believed / max(m_c, prior_information_ratio sigma))``, sigma the coefficients' standard deviation.

    A refit uses windows that had ended before its session. Sums run in order of time and pass over missing
    funds, so that neither later sessions nor later funds change a bit of an earlier row.
    """
    names = tuple(base_weights)
    base = np.array([base_weights[name] for name in names], dtype=np.float64)
    probability = np.ascontiguousarray(regime_probability, dtype=np.float64)
    days = np.asarray(sessions, dtype="datetime64[D]")
    _validate(base, scores, names, total_return, probability, days)
    if step < 1 or not 1 <= refit_months <= 12:
        raise ValueError("step must be at least 1, refit_months 1 to 12")
    if not (prior_information_ratio > 0 and max_multiple >= 1 and half_life > 0 and max_turnover > 0):
        raise ValueError(
            "prior_information_ratio, half_life, max_turnover must be positive, max_multiple >= 1"
        )

    begin = np.arange(0, len(days), step, dtype=np.int64)
    end = begin + delay + horizon  # a window that has not ended has no returns yet, and no refit after it
    forward = forward_return(total_return, sessions_spanned, horizon, delay=delay)[begin]
    everyone = np.array([[0, total_return.shape[1]]])
    coefficient = np.full((len(begin), len(names)), np.nan)
    for c, name in enumerate(names):
        if name in scores:
            rows = np.ascontiguousarray(scores[name][begin])
            coefficient[:, c] = rank_correlation(rows, forward, everyone, min_funds=MIN_FUNDS)[0][0]
    starts = month_starts(days)
    month = days[starts].astype("datetime64[M]").astype(np.int64) % 12
    refit_rows = starts[month % refit_months == 0].astype(np.int64)
    known = np.searchsorted(end, refit_rows)  # windows that ended before the session
    overlap = min(1.0, step / horizon)
    mean, variance, windows = _moments(coefficient, probability[begin], known, overlap)
    believed, level, shrinkage = _shrink(mean, variance, windows)
    prior = prior_information_ratio * np.sqrt(_mean_over_components(variance, windows))
    with np.errstate(invalid="ignore", divide="ignore"):
        tilt = believed / np.fmax(level, prior[:, None, None])
    multiple = np.clip(1.0 + np.where(np.isfinite(tilt), tilt, 0.0), 0.0, max_multiple)
    regime_weights = base * multiple
    total = np.zeros(regime_weights.shape[:2])
    for c in range(len(names)):
        total += regime_weights[:, :, c]
    # All components worthless in a regime: nothing to choose between.
    regime_weights = np.where(
        total[:, :, None] > 0, regime_weights / np.where(total > 0, total, 1.0)[:, :, None], base
    )
    weights, turnover = np.empty((len(days), len(names))), np.empty(len(days))
    _follow(
        base,
        regime_weights,
        np.searchsorted(refit_rows, np.arange(len(days)), side="right") - 1,
        probability,
        1.0 - 0.5 ** (1.0 / half_life),
        max_turnover,
        weights,
        turnover,
    )
    return AdaptiveWeights(names, weights, turnover, refit_rows, regime_weights, mean, shrinkage, windows)


def _validate(
    base: np.ndarray,
    scores: Mapping[str, np.ndarray],
    names: tuple[str, ...],
    total_return: np.ndarray,
    probability: np.ndarray,
    days: np.ndarray,
) -> None:
    if not len(base) or base.min() <= 0 or abs(base.sum() - 1.0) > 1e-12:
        raise ValueError(f"base weights must be positive and sum to one: {base}")
    unknown = sorted(set(scores) - set(names))
    if unknown:
        raise ValueError(f"no weight for component {', '.join(unknown)}: known are {', '.join(names)}")
    for name, panel in scores.items():
        if panel.shape != total_return.shape:
            raise ValueError(f"scores of {name} have shape {panel.shape}, returns {total_return.shape}")
    if probability.ndim != 2 or not len(days) == len(total_return) == len(probability):
        raise ValueError(
            f"{len(days)} sessions, returns of {total_return.shape}, probabilities of {probability.shape}: "
            "all must have one row a session"
        )


def _moments(
    coefficient: np.ndarray, probability: np.ndarray, known: np.ndarray, overlap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted mean, variance and effective number of the coefficients in each regime: (R, K, C) each.

    ``known`` (R,): how many of the (W, C) coefficients each refit may use.
    """
    seen = np.isfinite(coefficient)[:, None, :] & np.isfinite(probability).all(axis=1)[:, None, None]
    p = np.where(seen, probability[:, :, None], 0.0)
    x = np.where(seen, coefficient[:, None, :], 0.0)

    def total(values: np.ndarray) -> np.ndarray:
        zero = np.zeros((1, *values.shape[1:]))
        return np.concatenate([zero, np.cumsum(values, axis=0)])[known]

    weight, squares = total(p), total(p * p)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total(p * x) / weight
        variance = np.maximum(total(p * x * x) / weight - mean * mean, 0.0)
        windows = np.where(weight > 0, overlap * weight * weight / squares, 0.0)
    return mean, variance, windows


def _sum_of_regimes(values: np.ndarray) -> np.ndarray:
    """(R, 1, C): sum over regimes, one after the other, missing ones left out."""
    total = np.zeros((len(values), 1, values.shape[2]))
    for k in range(values.shape[1]):
        total[:, 0] += np.where(np.isfinite(values[:, k]), values[:, k], 0.0)
    return total


def _mean_over_components(variance: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """(R,): mean variance within regimes, over regimes by their windows and components alike."""
    weight = _sum_of_regimes(windows)[:, 0]
    total = _sum_of_regimes(windows * np.where(windows > 0, variance, 0.0))[:, 0]
    out, count = np.zeros(len(variance)), np.zeros(len(variance))
    for c in range(variance.shape[2]):
        there = weight[:, c] > 0
        out += np.where(there, total[:, c] / np.where(there, weight[:, c], 1.0), 0.0)
        count += there
    return np.where(count > 0, out / np.maximum(count, 1.0), np.nan)


def _shrink(
    mean: np.ndarray, variance: np.ndarray, windows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is believed of each regime's deviation from the component's mean, that mean, the share believed.

    (R, K, C), (R, 1, C) and (R, K, C).
    """
    enough = windows >= MIN_EFFECTIVE
    n = np.where(enough, windows, 0.0)
    all_n = _sum_of_regimes(n)
    with np.errstate(invalid="ignore", divide="ignore"):
        level = _sum_of_regimes(n * np.where(enough, mean, 0.0)) / all_n
        deviation = mean - level
        pooled = _sum_of_regimes(n * np.where(enough, variance, 0.0)) / all_n
        spread = (n * variance + _POOLED * pooled) / (n + _POOLED)
        noise = spread / n * (1.0 - n / all_n)
    usable = enough & (noise > 0)
    regimes = usable.sum(axis=1)
    count = usable.sum(axis=(1, 2)).astype(np.float64)
    freedom = np.maximum(regimes - 1, 0).sum(axis=1)
    d2, v = np.where(usable, deviation**2, 0.0), np.where(usable, noise, 1.0)
    q, precision = np.zeros(len(mean)), np.zeros(len(mean))
    for k in range(mean.shape[1]):
        for c in range(mean.shape[2]):
            q += d2[:, k, c] / v[:, k, c]
            precision += np.where(usable[:, k, c], 1.0 / v[:, k, c], 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        tau2 = np.maximum(0.0, q - count - count * np.sqrt(2.0 / freedom)) / precision
    tau2 = np.where(freedom > 0, tau2, 0.0)[:, None, None]
    shrinkage = np.where(usable, tau2 / (tau2 + v), np.nan)
    return np.where(usable, deviation * shrinkage, np.nan), level, shrinkage


@njit(cache=True, nogil=True)
def _follow(
    base: np.ndarray,
    regime_weights: np.ndarray,
    refit: np.ndarray,
    probability: np.ndarray,
    speed: float,
    max_turnover: float,
    weights: np.ndarray,
    turnover: np.ndarray,
) -> None:
    """Weights that move towards the mixture of the regimes' weights; a session without probabilities stays."""
    components = len(base)
    now = base.copy()
    target = np.empty(components)
    for t in range(len(weights)):
        turnover[t] = 0.0
        known = refit[t] >= 0
        for k in range(probability.shape[1]):
            known = known and np.isfinite(probability[t, k])
        if known:
            target[:] = 0.0
            for k in range(probability.shape[1]):
                for c in range(components):
                    target[c] += probability[t, k] * regime_weights[refit[t], k, c]
            total = 0.0
            for c in range(components):
                total += target[c]
            distance = 0.0
            for c in range(components):
                target[c] /= total
                distance += 0.5 * abs(target[c] - now[c])
            share = speed
            if distance * share > max_turnover:
                share = max_turnover / distance
            total = 0.0
            for c in range(components):
                target[c] = now[c] + share * (target[c] - now[c])
                total += target[c]
            for c in range(components):
                moved = target[c] / total
                turnover[t] += 0.5 * abs(moved - now[c])
                now[c] = moved
        weights[t] = now
