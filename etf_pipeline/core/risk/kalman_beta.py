"""Beta as a random walk, filtered by Kalman's recursion, its variances by maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.risk.beta_kernels import FLAT
from etf_pipeline.core.risk.kalman_kernels import (
    CANDIDATES,
    filter_slope,
    first_informative,
    fit_ratio,
    log_likelihood,
    walk_forward,
)
from etf_pipeline.core.risk.paired_returns import pair_returns


@dataclass(frozen=True)
class KalmanBetaPanel:
    """Filtered betas, and the fits they rest on.

    Attributes
    ----------
    beta : (S, N) float64, given the returns up to the session.
    standard_error : (S, N) float64, of the filtered beta about the true one, with what is not known of the variances.
    refit_rows : (R,) int64, rows at which the variances were estimated.
    observation_variance : (R, N) float64, of the residual, a session.
    state_variance : (R, N) float64, of beta's step, a session; 0 where a constant beta fits best.
    log_likelihood : (R, N) float64, exact diffuse, at the optimum.
    observations : (R, N) int64, common one-session returns in the window.
    """

    beta: np.ndarray
    standard_error: np.ndarray
    refit_rows: np.ndarray
    observation_variance: np.ndarray
    state_variance: np.ndarray
    log_likelihood: np.ndarray
    observations: np.ndarray


def kalman_beta(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    benchmark_return: np.ndarray,
    benchmark_spanned: np.ndarray,
    refit_rows: np.ndarray,
    *,
    window: int = 756,
    min_observations: int = 252,
    max_stale_sessions: int = 5,
) -> KalmanBetaPanel:
    """Filtered beta of ``r_t = alpha + beta_t r_m,t + e_t``, ``beta_t = beta_{t-1} + w_t``.

    At every refit row the ratio var w / var e is fitted by maximum likelihood to the last ``window`` sessions,
    var e being concentrated out, and the filter starts anew at the window's first return. From there to the row
    before the next refit it goes on with the variances and means of that refit.

    Parameters
    ----------
    total_return, sessions_spanned : (S, N), as for ``rolling_beta``.
    benchmark_return, benchmark_spanned : (S,) or (S, N).
    refit_rows : (R,) int, ascending, such as ``month_starts(sessions)``.
    window : sessions.
    min_observations : common one-session returns needed for a fit, at least 3.
    max_stale_sessions : the estimate stands for this many sessions without a bar of the fund.

    Returns
    -------
    KalmanBetaPanel. NaN before the first refit, where a refit has too few common returns or a benchmark that did
    not move (until the next refit), and where the fund's last bar is too long ago. A fund that did not move, or
    that follows the benchmark on an exact line, has a constant beta without error and an infinite likelihood.

    Notes
    -----
    alpha: fund and benchmark are taken about their means in the window. Beta starts diffuse (Durbin and Koopman
    2012, Time Series Analysis by State Space Methods, 2nd ed., sections 2.9 and 5.2): the first return alone
    determines it, with infinite prior variance. Beta wanders on over sessions without a common return, which are
    left out otherwise. Ratios are searched from 0 to 1,000 / mean squared benchmark return.

    Where beta moves little the likelihood often has its maximum at a state variance of zero though the truth is
    above it (Shephard and Harvey 1990, Journal of Time Series Analysis 11), and a filter that takes it as known is
    too sure of itself. So the standard error is the root mean squared error over all ratios that the likelihood does
    not rule out, beta's step and the residual's log standard deviation being uniform beforehand: the mean of the
    filter's variance, and of the squared distance of its slope from ``beta`` (Hamilton 1986, Journal of Econometrics
    33, with the posterior in place of the normal approximation, which fails at zero). On a constant beta it is
    conservative.

    The sums of each fit start at its window and end at its refit row, so cutting the panel changes nothing.
    """
    if min_observations < 3 or window < min_observations:
        raise ValueError(f"3 <= min_observations ({min_observations}) <= window ({window}) must hold")
    refits = np.ascontiguousarray(refit_rows, dtype=np.int64)
    if refits.size and (refits[0] < 0 or refits[-1] >= len(total_return) or (np.diff(refits) <= 0).any()):
        raise ValueError(f"refit_rows must ascend within 0..{len(total_return) - 1}")
    p = pair_returns(total_return, sessions_spanned, benchmark_return, benchmark_spanned, max_stale_sessions)
    shape = p.fund.shape
    beta, error = np.full(shape, np.nan), np.full(shape, np.nan)
    fits = np.full((4, len(refits), shape[1]), np.nan)

    def work(funds: np.ndarray) -> None:
        walk_forward(
            funds,
            p.fund,
            p.benchmark,
            p.usable,
            p.serves,
            refits,
            window,
            min_observations,
            FLAT,
            beta,
            error,
            fits,
        )

    over_columns(work, shape[1], p.usable.sum(axis=0))
    return KalmanBetaPanel(beta, error, refits, fits[0], fits[1], fits[2], fits[3].astype(np.int64))


@dataclass(frozen=True)
class RandomWalkSlope:
    """One series' regression on one variable with a slope that is a random walk.

    Attributes
    ----------
    slope : (S,) float64, filtered; NaN before the first observation whose regressor is not zero.
    standard_error : (S,) float64, of the filtered slope.
    observation_variance, state_variance : of the residual and of the slope's step.
    log_likelihood : exact diffuse.
    """

    slope: np.ndarray
    standard_error: np.ndarray
    observation_variance: float
    state_variance: float
    log_likelihood: float


def filter_random_walk(
    y: np.ndarray, x: np.ndarray, observation_variance: float, state_variance: float
) -> RandomWalkSlope:
    """Filter one series under known variances; with ``x`` of ones this is the local level model.

    Parameters
    ----------
    y : (S,) float64; NaN is an observation missed, over which the slope wanders on.
    x : (S,) float64 without NaN, not all zero.
    observation_variance : positive.
    state_variance : 0 or more.

    Returns
    -------
    RandomWalkSlope. No mean is taken off.

    Raises
    ------
    ValueError : variances out of range.
    """
    if not (observation_variance > 0 and state_variance >= 0):
        raise ValueError(
            f"observation_variance ({observation_variance}) must be positive, "
            f"state_variance ({state_variance}) not negative"
        )
    rows, a, b, gap = _observed(y, x)
    slope, variance = np.empty(len(rows)), np.empty(len(rows))
    ratio = float(state_variance / observation_variance)
    squares, logs = filter_slope(a, b, gap, ratio, slope, variance)
    first = b[first_informative(b)]
    likelihood = log_likelihood(squares, logs, len(rows), first, float(observation_variance))
    # The last observation at or before each session.
    last = np.searchsorted(rows, np.arange(len(y)), side="right") - 1
    age = np.arange(len(y)) - rows[last]
    path = np.where(last >= 0, slope[last], np.nan)
    spread = np.where(last >= 0, variance[last] + ratio * age, np.nan)
    return RandomWalkSlope(
        path, np.sqrt(observation_variance * spread), observation_variance, state_variance, likelihood
    )


def fit_random_walk(y: np.ndarray, x: np.ndarray) -> RandomWalkSlope:
    """Estimate both variances by maximum likelihood, then filter.

    Parameters
    ----------
    y : (S,) float64, at least 3 observed; NaN is an observation missed.
    x : (S,) float64 without NaN, not all zero. ``y`` must not be an exact multiple of it.

    Returns
    -------
    RandomWalkSlope at the optimum. No mean is taken off.
    """
    rows, a, b, gap = _observed(y, x)
    ratio = fit_ratio(a, b, gap, np.empty((6, CANDIDATES)))
    squares, _ = filter_slope(a, b, gap, ratio, np.empty(len(rows)), np.empty(len(rows)))
    variance = squares / (len(rows) - 1)
    return filter_random_walk(y, x, variance, variance * ratio)


def _observed(y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows, values, regressor and gaps of the observations that are not missed."""
    rows = np.flatnonzero(~np.isnan(y))
    gap = np.diff(rows, prepend=rows[:1] - 1).astype(np.float64)
    return rows, np.asarray(y, dtype=np.float64)[rows], np.asarray(x, dtype=np.float64)[rows], gap


def random_walk_reference(
    y: np.ndarray, x: np.ndarray, observation_variance: float, state_variance: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Log-likelihood, filtered slope and its variance by the textbook recursion in the variances themselves.

    Parameters
    ----------
    y, x : (S,) float64, NaN in y is missing; the first x is not zero and the first y not missing.
    """
    slope, variance = np.empty(len(y)), np.empty(len(y))
    slope[0], variance[0] = y[0] / x[0], observation_variance / x[0] ** 2
    likelihood = -0.5 * (np.log(2 * np.pi) + np.log(x[0] ** 2))
    for t in range(1, len(y)):
        slope[t], variance[t] = slope[t - 1], variance[t - 1] + state_variance
        if np.isnan(y[t]):
            continue
        innovation = y[t] - x[t] * slope[t]
        f = x[t] ** 2 * variance[t] + observation_variance
        likelihood -= 0.5 * (np.log(2 * np.pi) + np.log(f) + innovation**2 / f)
        gain = variance[t] * x[t] / f
        slope[t] += gain * innovation
        variance[t] -= gain * x[t] * variance[t]
    return float(likelihood), slope, variance
