"""Compiled search behind ``style_analysis``: the best weights on every subset of indices."""

from __future__ import annotations

import numpy as np
from numba import njit

# A pivot below this part of its variance: the indices of the subset depend on each other.
_SINGULAR = 1e-10


@njit(cache=True, nogil=True, error_model="numpy")
def best_supports(
    covariance: np.ndarray, with_fund: np.ndarray, variance: float, best: np.ndarray, weights: np.ndarray
) -> None:
    """For each number of indices the subset, all of whose weights are positive, that tracks best.

    Least ``variance - 2 w'c + w'S w`` with sum(w) = 1, S ``covariance`` (K, K), c ``with_fund`` (K,), for each subset in
    closed form: ``w = S^-1 (c + l 1)``. A subset with a weight of zero or below is left to its smaller ones, which hold the
    constrained optimum. ``best`` (P,) is the least tracking variance with 1 .. P indices, infinite where there is none;
    ``weights`` (P, K).
    """
    count = len(with_fund)
    most = len(best)
    best[:] = np.inf
    weights[:] = 0.0
    member = np.empty(count, dtype=np.int64)
    lower = np.empty((count, count))
    a = np.empty(count)
    ones = np.empty(count)
    for subset in range(1, 1 << count):
        size = 0
        for k in range(count):
            if subset >> k & 1:
                member[size] = k
                size += 1
                if size > most:
                    break
        if size > most or not _solve_both(covariance, with_fund, member[:size], lower, a, ones):
            continue
        sum_a = 0.0
        sum_ones = 0.0
        for i in range(size):
            sum_a += a[i]
            sum_ones += ones[i]
        price = (1.0 - sum_a) / sum_ones
        positive = True
        tracking = variance
        for i in range(size):
            a[i] += price * ones[i]
            if not a[i] > 0.0:
                positive = False
                break
        if not positive:
            continue
        for i in range(size):
            tracking -= 2.0 * a[i] * with_fund[member[i]]
            for k in range(size):
                tracking += a[i] * a[k] * covariance[member[i], member[k]]
        if tracking < best[size - 1]:
            best[size - 1] = tracking
            weights[size - 1] = 0.0
            for i in range(size):
                weights[size - 1, member[i]] = a[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _solve_both(
    covariance: np.ndarray,
    with_fund: np.ndarray,
    member: np.ndarray,
    lower: np.ndarray,
    a: np.ndarray,
    ones: np.ndarray,
) -> bool:
    """``S a = c`` and ``S ones = 1`` on the members, by Cholesky; False where S is singular."""
    size = len(member)
    for i in range(size):
        for k in range(i + 1):
            value = covariance[member[i], member[k]]
            for m in range(k):
                value -= lower[i, m] * lower[k, m]
            if i == k:
                if not value > _SINGULAR * covariance[member[i], member[i]]:
                    return False
                lower[i, i] = np.sqrt(value)
            else:
                lower[i, k] = value / lower[k, k]
        first = with_fund[member[i]]
        second = 1.0
        for m in range(i):
            first -= lower[i, m] * a[m]
            second -= lower[i, m] * ones[m]
        a[i] = first / lower[i, i]
        ones[i] = second / lower[i, i]
    for i in range(size - 1, -1, -1):
        for m in range(i + 1, size):
            a[i] -= lower[m, i] * a[m]
            ones[i] -= lower[m, i] * ones[m]
        a[i] /= lower[i, i]
        ones[i] /= lower[i, i]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def resampled_weights(
    moments: np.ndarray, count: int, most: int, penalty: float, observations: int, out: np.ndarray
) -> None:
    """Weights (B, K) of the best subset by the criterion for each resample's moments.

    ``moments`` (B, ...) are the means of (fund, x1 ... xK) and then of their products, upper triangle row by row.
    """
    covariance = np.empty((count + 1, count + 1))
    best = np.empty(most)
    weights = np.empty((most, count))
    for r in range(len(moments)):
        place = count + 1
        for i in range(count + 1):
            for k in range(i, count + 1):
                covariance[i, k] = moments[r, place] - moments[r, i] * moments[r, k]
                covariance[k, i] = covariance[i, k]
                place += 1
        best_supports(covariance[1:, 1:].copy(), covariance[0, 1:].copy(), covariance[0, 0], best, weights)
        chosen = choose(best, penalty, observations)
        if chosen < 0:
            out[r] = np.nan
        else:
            out[r] = weights[chosen]


@njit(cache=True, nogil=True, error_model="numpy")
def choose(best: np.ndarray, penalty: float, observations: int) -> int:
    """Place of the number of indices with the least ``n log(tracking variance) + penalty * indices``; -1 if none."""
    chosen = -1
    least = np.inf
    for place in range(len(best)):
        if best[place] == np.inf:
            continue
        value = observations * np.log(max(best[place], 1e-300)) + penalty * (place + 1)
        if value < least:
            least = value
            chosen = place
    return chosen
