"""Student-t distributions fitted to rolling windows by maximum likelihood."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.special import gammaln, stdtrit

from etf_pipeline.core.parallel import over_columns

MIN_DEGREES_OF_FREEDOM = 2.1
MAX_DEGREES_OF_FREEDOM = 100.0
_MAX_STEPS = 200
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class StudentTPanel:
    """The distribution in force on each session, as last fitted.

    Attributes
    ----------
    location, scale : (S, N) float64, in the unit of the observations; the scale is not the standard
        deviation, which is ``scale * sqrt(nu / (nu - 2))``.
    degrees_of_freedom : (S, N) float64, nu, in 2.1..100.
    """

    location: np.ndarray
    scale: np.ndarray
    degrees_of_freedom: np.ndarray


def rolling_student_t(
    values: np.ndarray, refit: np.ndarray, *, window: int = 1000, min_observations: int = 250
) -> StudentTPanel:
    """Location, scale and degrees of freedom of the last ``window`` observations.

    Fitted on the first session with enough observations and from then on where ``refit`` says so, with
    the observations up to and including that session; in between, the last fit stands.

    Parameters
    ----------
    values : (S, N) float64, NaN is not observed and takes no place in the window.
    refit : (S,) bool.
    window : observations.
    min_observations : needed for a fit, at least 20.

    Returns
    -------
    StudentTPanel. NaN before the first fit, and from a refit on whose window has no density to fit: more
    than half of the observations are exactly zero (a price that mostly stood still; the likelihood can be
    unbounded there) or all are equal.

    Notes
    -----
    Fisher scoring in (location, log scale, 1 / nu) with the expected information of Lange, Little and
    Taylor (1989), appendix B, halving steps that lower the likelihood; each fit starts from the last. In
    1 / nu the normal distribution is an ordinary point, so a thin-tailed window is no special case. The
    lower bound keeps the variance finite and the likelihood bounded, the upper is all but normal.
    """
    if not 20 <= min_observations <= window:
        raise ValueError(f"20 <= min_observations ({min_observations}) <= window ({window}) must hold")
    panel = np.ascontiguousarray(values, dtype=np.float64)
    fitted = np.full((3, *panel.shape), np.nan)
    when = np.ascontiguousarray(refit, dtype=np.bool_)
    over_columns(
        lambda funds: _rolling_fits(panel, funds, when, window, min_observations, fitted),
        panel.shape[1],
        cost=(~np.isnan(panel)).sum(axis=0),
    )
    return StudentTPanel(fitted[0], fitted[1], fitted[2])


def student_t_tail(
    probability: float, location: np.ndarray, scale: np.ndarray, degrees_of_freedom: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lower quantile of a Student-t distribution and the mean beyond it, in closed form.

    Parameters
    ----------
    probability : of falling below the quantile, in (0, 0.5).
    location, scale, degrees_of_freedom : (S, N) float64; the last above 1.

    Returns
    -------
    quantile, mean_beyond : (S, N) float64, NaN where a parameter is.

    Notes
    -----
    McNeil, Frey and Embrechts (2015), Quantitative Risk Management, 2nd ed., example 2.15: with q the
    standard quantile and g the density, the mean beyond is
    ``location - scale * g(q) / p * (nu + q**2) / (nu - 1)``.
    """
    # A fit stands for a month: solve where the degrees of freedom change, repeat in between.
    changed = np.ones(degrees_of_freedom.shape, dtype=bool)
    changed[1:] = degrees_of_freedom[1:] != degrees_of_freedom[:-1]
    row = np.arange(len(changed))[:, None]
    solved_at = np.maximum.accumulate(np.where(changed, row, 0), axis=0)
    changed &= ~np.isnan(degrees_of_freedom)
    nu = degrees_of_freedom[changed]
    q = stdtrit(nu, probability)
    log_constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
    density = np.exp(log_constant - (nu + 1) / 2 * np.log1p(q * q / nu))
    tails = []
    for solved in (q, -density / probability * (nu + q * q) / (nu - 1)):
        standard = np.full(changed.shape, np.nan)
        standard[changed] = solved
        tails.append(location + scale * np.take_along_axis(standard, solved_at, axis=0))
    return tails[0], tails[1]


@njit(cache=True, nogil=True)
def _rolling_fits(
    values: np.ndarray,
    funds: np.ndarray,
    refit: np.ndarray,
    window: int,
    min_observations: int,
    fitted: np.ndarray,
) -> None:
    """Fit where it is time and something new was observed; carry the last fit otherwise."""
    rows = values.shape[0]
    seen = np.empty(rows)
    current = np.empty(3)
    for j in funds:
        count = 0
        used = 0
        current[0] = current[1] = current[2] = np.nan
        for t in range(rows):
            if not np.isnan(values[t, j]):
                seen[count] = values[t, j]
                count += 1
            if count >= min_observations and count > used and (refit[t] or used == 0):
                used = count
                _fit(seen[max(0, count - window) : count], current)
            fitted[0, t, j] = current[0]
            fitted[1, t, j] = current[1]
            fitted[2, t, j] = current[2]
    return


@njit(cache=True, nogil=True)
def _fit(x: np.ndarray, current: np.ndarray) -> None:
    """Maximise the likelihood over (location, log scale, 1 / nu); start from ``current`` unless NaN."""
    n = len(x)
    mean = 0.0
    largest = 0.0
    zeros = 0
    for i in range(n):
        mean += x[i]
        largest = max(largest, abs(x[i]))
        zeros += x[i] == 0.0
    mean /= n
    spread = 0.0
    for i in range(n):
        spread += (x[i] - mean) ** 2
    spread = math.sqrt(spread / n)
    if 2 * zeros > n or spread <= 1e-12 * largest:
        current[0] = current[1] = current[2] = np.nan
        return
    lowest, highest = 1.0 / MAX_DEGREES_OF_FREEDOM, 1.0 / MIN_DEGREES_OF_FREEDOM
    place, log_scale, g = mean, math.log(0.8 * spread), 0.2
    if not np.isnan(current[0]):
        place, log_scale, g = current[0], math.log(current[1]), 1.0 / current[2]
    score = np.empty(3)
    likelihood = _likelihood_and_score(x, place, log_scale, g, score)
    for _ in range(_MAX_STEPS):
        nu = 1.0 / g
        step_place = math.exp(2.0 * log_scale) * (nu + 3.0) / (nu + 1.0) * score[0] / n
        scale_scale = n * 2.0 * nu / (nu + 3.0)
        scale_g = n * 2.0 * nu * nu / ((nu + 1.0) * (nu + 3.0))
        trigamma_gap = _trigamma(nu / 2.0) - _trigamma(nu / 2.0 + 0.5)
        g_g = n * nu**4 * (trigamma_gap / 4.0 - (nu + 5.0) / (2.0 * nu * (nu + 1.0) * (nu + 3.0)))
        determinant = scale_scale * g_g - scale_g * scale_g
        step_scale = (g_g * score[1] - scale_g * score[2]) / determinant
        step_g = (scale_scale * score[2] - scale_g * score[1]) / determinant
        if (g == lowest and step_g < 0.0) or (g == highest and step_g > 0.0):
            step_g = 0.0
            step_scale = score[1] / scale_scale
        share = 1.0
        for _ in range(30):
            new_place = place + share * step_place
            new_scale = log_scale + share * step_scale
            new_g = min(highest, max(lowest, g + share * step_g))
            value = _likelihood_and_score(x, new_place, new_scale, new_g, score)
            if value >= likelihood - 1e-9:
                break
            share *= 0.5
        moved = max(abs(new_place - place) / math.exp(log_scale), abs(new_scale - log_scale))
        moved = max(moved, abs(new_g - g))
        place, log_scale, g, likelihood = new_place, new_scale, new_g, value
        if moved < _TOLERANCE:
            break
    current[0] = place
    current[1] = math.exp(log_scale)
    current[2] = 1.0 / g
    return


@njit(cache=True, nogil=True)
def _likelihood_and_score(
    x: np.ndarray, place: float, log_scale: float, g: float, score: np.ndarray
) -> float:
    """Log-likelihood; its derivatives by location, log scale and g = 1 / nu. One logarithm for 8 values."""
    n = len(x)
    inverse = math.exp(-log_scale)
    sum_wz = 0.0
    sum_wzz = 0.0
    logs = 0.0
    product = 1.0
    for i in range(n):
        z = (x[i] - place) * inverse
        q = 1.0 + g * z * z
        weighted = z / q
        sum_wz += weighted
        sum_wzz += weighted * z
        product *= q
        if i % 8 == 7:
            logs += math.log(product)
            product = 1.0
    logs += math.log(product)
    nu = 1.0 / g
    score[0] = (1.0 + g) * sum_wz * inverse
    score[1] = (1.0 + g) * sum_wzz - n
    by_nu = 0.5 * n * (_digamma(nu / 2.0 + 0.5) - _digamma(nu / 2.0) - g)
    by_nu += 0.5 * (g * (1.0 + g) * sum_wzz - logs)
    score[2] = -nu * nu * by_nu
    constant = math.lgamma(nu / 2.0 + 0.5) - math.lgamma(nu / 2.0) - 0.5 * math.log(math.pi * nu)
    return n * (constant - log_scale) - 0.5 * (nu + 1.0) * logs


@njit(cache=True, nogil=True)
def _digamma(x: float) -> float:
    """Recurrence up to 10, then the asymptotic series (Abramowitz and Stegun 6.3.5, 6.3.18)."""
    total = 0.0
    while x < 10.0:
        total -= 1.0 / x
        x += 1.0
    r = 1.0 / (x * x)
    series = r * (1 / 12 - r * (1 / 120 - r * (1 / 252 - r * (1 / 240 - r * (1 / 132 - r * 691 / 32760)))))
    return total + math.log(x) - 0.5 / x - series


@njit(cache=True, nogil=True)
def _trigamma(x: float) -> float:
    """Recurrence up to 10, then the asymptotic series (Abramowitz and Stegun 6.4.6, 6.4.12)."""
    total = 0.0
    while x < 10.0:
        total += 1.0 / (x * x)
        x += 1.0
    r = 1.0 / (x * x)
    series = r * (1 / 6 - r * (1 / 30 - r * (1 / 42 - r * (1 / 30 - r * (5 / 66 - r * 691 / 2730)))))
    return total + (1.0 + 0.5 / x + series) / x
