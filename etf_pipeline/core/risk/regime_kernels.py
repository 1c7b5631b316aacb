"""Compiled forward and backward recursions of the Gaussian Markov-switching model.

Three states throughout: a model of two runs with a third that has no way in and density zero (its variance is
infinite), which spares a second set of kernels.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_RESCALE_BELOW = 1e-50


@njit(cache=True, nogil=True)
def forward(
    x: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    transition: np.ndarray,
    initial: np.ndarray,
    alpha: np.ndarray,
    density: np.ndarray,
    rescale: np.ndarray,
) -> float:
    """Hamilton's (1989) filter; the log-likelihood.

    Parameters
    ----------
    x : (T,) returns; NaN where there is none: such a row predicts and learns nothing.
    mean, variance, initial : (3,); transition : (3, 3), from row to column.
    alpha : (T, 3), receives what is proportional to the filtered probabilities.
    density : (T, 3), receives each state's density over the greatest of the three.
    rescale : (T,), receives what ``alpha[t]`` was multiplied by lest it underflow: rarely anything but one,
        which keeps divisions and logarithms out of the recursion.

    Notes
    -----
    No row depends on a later one. Every transition between used states must be possible, however unlikely:
    the density of the best state is one, so the rows' sums then never reach zero.
    """
    m0, m1, m2 = mean[0], mean[1], mean[2]
    h0, h1, h2 = 0.5 / variance[0], 0.5 / variance[1], 0.5 / variance[2]
    a0, a1, a2 = 0.5 * np.log(h0 / np.pi), 0.5 * np.log(h1 / np.pi), 0.5 * np.log(h2 / np.pi)
    p00, p01, p02 = transition[0, 0], transition[0, 1], transition[0, 2]
    p10, p11, p12 = transition[1, 0], transition[1, 1], transition[1, 2]
    p20, p21, p22 = transition[2, 0], transition[2, 1], transition[2, 2]
    q0, q1, q2 = initial[0], initial[1], initial[2]
    log_likelihood, c = 0.0, 1.0
    for t in range(len(x)):
        value = x[t]
        if np.isnan(value):
            f0 = f1 = f2 = 1.0
        else:
            f0 = a0 - h0 * (value - m0) ** 2
            f1 = a1 - h1 * (value - m1) ** 2
            f2 = a2 - h2 * (value - m2) ** 2
            greatest = max(f0, f1, f2)
            log_likelihood += greatest
            f0 = 1.0 if f0 == greatest else np.exp(f0 - greatest)
            f1 = 1.0 if f1 == greatest else np.exp(f1 - greatest)
            f2 = 1.0 if f2 == greatest else np.exp(f2 - greatest)
        q0, q1, q2 = q0 * f0, q1 * f1, q2 * f2
        c = q0 + q1 + q2
        scale = 1.0
        if c < _RESCALE_BELOW:
            log_likelihood += np.log(c)
            scale = 1.0 / c
            q0, q1, q2, c = q0 * scale, q1 * scale, q2 * scale, 1.0
        rescale[t] = scale
        density[t, 0], density[t, 1], density[t, 2] = f0, f1, f2
        alpha[t, 0], alpha[t, 1], alpha[t, 2] = q0, q1, q2
        q0, q1, q2 = (
            q0 * p00 + q1 * p10 + q2 * p20,
            q0 * p01 + q1 * p11 + q2 * p21,
            q0 * p02 + q1 * p12 + q2 * p22,
        )
    return log_likelihood + np.log(c)


@njit(cache=True, nogil=True)
def backward(
    x: np.ndarray,
    transition: np.ndarray,
    alpha: np.ndarray,
    density: np.ndarray,
    rescale: np.ndarray,
    moments: np.ndarray,
    moves: np.ndarray,
    first: np.ndarray,
) -> None:
    """Sums over the smoothed probabilities (Kim 1994): what the M-step and the gradient need.

    Parameters
    ----------
    x, transition : as ``forward`` had them; alpha, density, rescale : as it left them.
    moments : (3, 3), receives by state the expected number of returns, their sum, their sum of squares.
    moves : (3, 3), receives the expected number of transitions from row to column.
    first : (3,), receives the smoothed probabilities of the first row.
    """
    p00, p01, p02 = transition[0, 0], transition[0, 1], transition[0, 2]
    p10, p11, p12 = transition[1, 0], transition[1, 1], transition[1, 2]
    p20, p21, p22 = transition[2, 0], transition[2, 1], transition[2, 2]
    n0 = n1 = n2 = y0 = y1 = y2 = z0 = z1 = z2 = 0.0
    s00 = s01 = s02 = s10 = s11 = s12 = s20 = s21 = s22 = 0.0
    last = len(x) - 1
    b0 = b1 = b2 = 1.0 / (alpha[last, 0] + alpha[last, 1] + alpha[last, 2])
    for t in range(last, -1, -1):
        value = x[t]
        if not np.isnan(value):
            g0, g1, g2 = alpha[t, 0] * b0, alpha[t, 1] * b1, alpha[t, 2] * b2
            n0, n1, n2 = n0 + g0, n1 + g1, n2 + g2
            g0, g1, g2 = g0 * value, g1 * value, g2 * value
            y0, y1, y2 = y0 + g0, y1 + g1, y2 + g2
            z0, z1, z2 = z0 + g0 * value, z1 + g1 * value, z2 + g2 * value
        if t == 0:
            break
        scale = rescale[t]
        b0, b1, b2 = b0 * density[t, 0] * scale, b1 * density[t, 1] * scale, b2 * density[t, 2] * scale
        q0, q1, q2 = alpha[t - 1, 0], alpha[t - 1, 1], alpha[t - 1, 2]
        s00, s01, s02 = s00 + q0 * b0, s01 + q0 * b1, s02 + q0 * b2
        s10, s11, s12 = s10 + q1 * b0, s11 + q1 * b1, s12 + q1 * b2
        s20, s21, s22 = s20 + q2 * b0, s21 + q2 * b1, s22 + q2 * b2
        b0, b1, b2 = (
            p00 * b0 + p01 * b1 + p02 * b2,
            p10 * b0 + p11 * b1 + p12 * b2,
            p20 * b0 + p21 * b1 + p22 * b2,
        )
    first[0], first[1], first[2] = alpha[0, 0] * b0, alpha[0, 1] * b1, alpha[0, 2] * b2
    moments[0, 0], moments[0, 1], moments[0, 2] = n0, y0, z0
    moments[1, 0], moments[1, 1], moments[1, 2] = n1, y1, z1
    moments[2, 0], moments[2, 1], moments[2, 2] = n2, y2, z2
    moves[0, 0], moves[0, 1], moves[0, 2] = s00 * p00, s01 * p01, s02 * p02
    moves[1, 0], moves[1, 1], moves[1, 2] = s10 * p10, s11 * p11, s12 * p12
    moves[2, 0], moves[2, 1], moves[2, 2] = s20 * p20, s21 * p21, s22 * p22


@njit(cache=True, nogil=True)
def slope(
    floor: float,
    mean: np.ndarray,
    variance: np.ndarray,
    transition: np.ndarray,
    initial: np.ndarray,
    moments: np.ndarray,
    moves: np.ndarray,
    first: np.ndarray,
    gradient: np.ndarray,
    information: np.ndarray,
) -> None:
    """Gradient of the log-likelihood by Fisher's identity, and the diagonal of the complete data's information.

    Parameters
    ----------
    floor : lowest variance.
    mean, variance, transition, initial : as ``forward`` had them; moments, moves, first : from ``backward``.
    gradient, information : (K (K + 1),), receive the derivatives in the means, in the log variances above
        the floor and, row by row, in the log odds of leaving a state to staying.

    Notes
    -----
    The first row's ergodic distribution depends on the transition matrix P. With ``u = first / initial``, a
    change dP moves its log-likelihood by ``initial dP w``, where ``(I - P) w = u - 1``; the last w is zero.
    """
    p = transition
    states = 2 if initial[2] == 0.0 else 3
    u0, u1, w0, w1 = first[0] / initial[0] - 1.0, first[1] / initial[1] - 1.0, 0.0, 0.0
    if states == 2:
        w0 = u0 / p[0, 1]
    else:
        leave0, leave1 = p[0, 1] + p[0, 2], p[1, 0] + p[1, 2]
        determinant = p[0, 1] * p[1, 2] + p[0, 2] * leave1
        w0 = (leave1 * u0 + p[0, 1] * u1) / determinant
        w1 = (p[1, 0] * u0 + leave0 * u1) / determinant
    at = 2 * states
    for k in range(states):
        n, m, v = moments[k, 0], mean[k], variance[k]
        free = (v - floor) / v
        spread = moments[k, 2] - 2.0 * m * moments[k, 1] + n * m * m
        gradient[k] = (moments[k, 1] - n * m) / v
        gradient[states + k] = 0.5 * (spread / v - n) * free
        information[k] = n / v
        information[states + k] = 0.5 * n * free * free
        visits = moves[k, 0] + moves[k, 1] + moves[k, 2]
        mean_w = p[k, 0] * w0 + p[k, 1] * w1
        for j in range(states):
            if j != k:
                w = w0 if j == 0 else (w1 if j == 1 else 0.0)
                gradient[at] = moves[k, j] - visits * p[k, j] + p[k, j] * initial[k] * (w - mean_w)
                information[at] = visits * p[k, j] * (1.0 - p[k, j])
                at += 1


def recursions_reference(
    x: np.ndarray, mean: np.ndarray, variance: np.ndarray, transition: np.ndarray, initial: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Log-likelihood, filtered and smoothed probabilities and expected transitions, normalised row by row.

    Parameters
    ----------
    x : (T,); mean, variance, initial : (K,); transition : (K, K). Any number of states.
    """
    length, states = len(x), len(mean)
    filtered = np.empty((length, states))
    predicted = np.empty((length, states))
    log_likelihood, forecast = 0.0, initial
    for t, value in enumerate(x):
        predicted[t] = forecast
        joint = forecast.copy()
        if not np.isnan(value):
            joint *= np.exp(-0.5 * (value - mean) ** 2 / variance) / np.sqrt(2.0 * np.pi * variance)
            log_likelihood += float(np.log(joint.sum()))
        filtered[t] = joint / joint.sum()
        forecast = filtered[t] @ transition
    smoothed = filtered.copy()
    moves = np.zeros((states, states))
    for t in range(length - 2, -1, -1):
        both = filtered[t][:, None] * transition * (smoothed[t + 1] / predicted[t + 1])
        smoothed[t] = both.sum(axis=1)
        moves += both
    return log_likelihood, filtered, smoothed, moves
