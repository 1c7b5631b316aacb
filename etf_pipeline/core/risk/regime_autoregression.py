"""Autoregression about a mean that switches between states: the model of Hamilton (1989)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import optimize

from etf_pipeline.core.risk.regime_fit import TRANSITION_FLOOR, ergodic_share

_LARGEST_LOG_ODDS = 16.0
_LOG_VARIANCE = (-14.0, 5.0)


@dataclass(frozen=True)
class SwitchingAutoregression:
    """``y_t - mean[s_t] = sum_k autoregression[k - 1] (y_{t-k} - mean[s_{t-k}]) + e_t``, e normal, s Markov.

    Attributes
    ----------
    mean : (K,) of each state, ascending.
    variance : of e, the same in all states.
    autoregression : (p,) coefficients of lags 1 to p.
    transition : (K, K) probability of moving from row to column.
    log_likelihood : of all but the first p values, given these.
    """

    mean: np.ndarray
    variance: float
    autoregression: np.ndarray
    transition: np.ndarray
    log_likelihood: float


def switching_autoregression_filter(
    series: np.ndarray,
    mean: np.ndarray,
    variance: float,
    autoregression: np.ndarray,
    transition: np.ndarray,
) -> tuple[np.ndarray, float]:
    """Probability of each state given the series so far, and the log-likelihood.

    Parameters
    ----------
    series : (T,) without NaN: every value is a lag of the next ones.
    mean : (K,), K is 2 or 3; variance : positive; autoregression : (p,), p at least 1; transition : (K, K),
        from row to column.

    Returns
    -------
    (T, K) filtered probabilities, NaN in the first p rows, and the log-likelihood of the others given these.
    The state p sessions before the first is drawn from the ergodic distribution.

    Raises
    ------
    ValueError : NaN in the series, a variance that is not positive, no lag, or no value beyond the lags.

    Notes
    -----
    The filter runs over the K ** (p + 1) joint states of a value and its lags: Hamilton (1989), section 4.
    """
    y = np.ascontiguousarray(series, dtype=np.float64)
    if not variance > 0.0:
        raise ValueError(f"the variance must be positive, not {variance}")
    if np.isnan(y).any():
        raise ValueError("the series must have no NaN: every value is a lag of the next ones")
    if not 1 <= len(autoregression) < len(y):
        raise ValueError(f"lags ({len(autoregression)}) must be at least 1 and fewer than values ({len(y)})")
    chain = np.maximum(transition, TRANSITION_FLOOR)
    probability = np.full((len(y), len(mean)), np.nan)
    log_likelihood = _filter(
        y,
        np.ascontiguousarray(mean, dtype=np.float64),
        float(variance),
        np.ascontiguousarray(autoregression, dtype=np.float64),
        chain,
        ergodic_share(chain),
        probability,
    )
    return probability, log_likelihood


def fit_switching_autoregression(series: np.ndarray, order: int) -> SwitchingAutoregression:
    """Two-state model of highest likelihood from a few fixed starts.

    Parameters
    ----------
    series : (T,) without NaN, not constant; some dozens of values at least.
    order : p, lags, at least 1.

    Returns
    -------
    SwitchingAutoregression, the state with the lower mean first.

    Raises
    ------
    ValueError : NaN, a constant series, or fewer than ``order + 8`` values.

    Notes
    -----
    Quasi-Newton with numerical derivatives; means, log variance, coefficients and log odds are free. Meant
    for short series such as quarterly output: the work grows with T 2 ** (p + 1).
    """
    y = np.asarray(series, dtype=np.float64)
    if len(y) < order + 8:
        raise ValueError(f"{len(y)} values are too few for {order} lags: {order + 8} at least")
    deviation = float(y.std())
    if not deviation > 1e-12 * float(np.abs(y).max()):
        raise ValueError("the series must have no NaN and must not be constant")
    z = (y - y.mean()) / deviation

    def model(theta: np.ndarray) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
        leave = 1.0 / (1.0 + np.exp(-np.clip(theta[3:5], -_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS)))
        transition = np.array([[1.0 - leave[0], leave[0]], [leave[1], 1.0 - leave[1]]])
        return theta[:2], float(np.exp(np.clip(theta[2], *_LOG_VARIANCE))), theta[5:], transition

    def loss(theta: np.ndarray) -> float:
        return -switching_autoregression_filter(z, *model(theta))[1]

    starts = []
    for apart in (0.5, 1.2):
        for stay_low, stay_high in ((0.9, 0.9), (0.7, 0.9), (0.9, 0.7)):
            odds = [np.log(1.0 / stay - 1.0) for stay in (stay_low, stay_high)]
            starts.append(np.array([-apart, apart, np.log(0.6), *odds, *np.zeros(order)]))
    ends = [optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-5}) for start in starts]
    best = min(ends, key=lambda end: float(end.fun))
    mean, variance, autoregression, transition = model(best.x)
    ascending = np.argsort(mean, kind="stable")
    return SwitchingAutoregression(
        mean=y.mean() + deviation * mean[ascending],
        variance=variance * deviation**2,
        autoregression=autoregression,
        transition=transition[np.ix_(ascending, ascending)],
        log_likelihood=-float(best.fun) - (len(y) - order) * float(np.log(deviation)),
    )


@njit(cache=True, nogil=True)
def _filter(
    y: np.ndarray,
    mean: np.ndarray,
    variance: float,
    autoregression: np.ndarray,
    transition: np.ndarray,
    initial: np.ndarray,
    probability: np.ndarray,
) -> float:
    """A joint state is a number in base K: the current state its first digit, that of lag p its last."""
    states, order = len(mean), len(autoregression)
    lagged = states**order
    joint, predicted = np.empty(states * lagged), np.empty(states * lagged)
    digits = np.empty((states * lagged, order + 1), dtype=np.int64)
    for i in range(states * lagged):
        rest = i
        for k in range(order, -1, -1):
            digits[i, k] = rest % states
            rest //= states
        predicted[i] = initial[digits[i, order]]
        for k in range(order, 0, -1):
            predicted[i] *= transition[digits[i, k], digits[i, k - 1]]
    log_likelihood = 0.0
    for t in range(order, len(y)):
        greatest = -np.inf
        for i in range(states * lagged):
            error = y[t] - mean[digits[i, 0]]
            for k in range(order):
                error -= autoregression[k] * (y[t - 1 - k] - mean[digits[i, k + 1]])
            joint[i] = -0.5 * (error * error / variance + np.log(2.0 * np.pi * variance))
            greatest = max(greatest, joint[i])
        total = 0.0
        for i in range(states * lagged):
            joint[i] = predicted[i] * np.exp(joint[i] - greatest)
            total += joint[i]
        log_likelihood += greatest + np.log(total)
        for s in range(states):
            probability[t, s] = 0.0
        for i in range(states * lagged):
            joint[i] /= total
            probability[t, digits[i, 0]] += joint[i]
        for i in range(states * lagged):
            # Lags 1 to p of the next row are lags 0 to p - 1 of this one, whose lag p is summed out.
            recent = (i % lagged) * states
            predicted[i] = 0.0
            for oldest in range(states):
                predicted[i] += joint[recent + oldest]
            predicted[i] *= transition[digits[i, 1], digits[i, 0]]
    return log_likelihood
