"""Compiled Kalman filters of the local linear trend, a bank of them side by side.

Each filter of the bank has its own pair of ratios: ``a`` the variance of the observation's noise, ``b`` that of the
slope's step, both over the variance s of the level's step. Filters run in units of s. ``y`` is the log index of the
window, 0 at its first bar; level and slope start diffuse there, so that the first return fixes the slope exactly
(Durbin and Koopman 2012, section 5.2).

``bank`` is (8 K,): rows of K for a, b, level, slope, variance of the level, covariance, variance of the slope, sum of
squared standardised innovations. It is flat and K is fixed, so that the compiler knows that its rows do not overlap and
takes several filters at once.
"""

from __future__ import annotations

import numpy as np
from numba import njit

K = 32
"""Filters in a bank."""
_A, _B, _LEVEL, _SLOPE, _P11, _P12, _P22, _SQUARES = (row * K for row in range(8))
BANK = 8 * K
_LOGGED_EVERY = 8  # steps whose prediction variances are multiplied before their logarithm is taken


@njit(cache=True, nogil=True, error_model="numpy")
def _predict(bank: np.ndarray, sessions: int) -> None:
    """The state as expected ``sessions`` on."""
    for _ in range(sessions):
        for k in range(K):
            bank[_LEVEL + k] += bank[_SLOPE + k]
            bank[_P11 + k] += 2.0 * bank[_P12 + k] + bank[_P22 + k] + 1.0
            bank[_P12 + k] += bank[_P22 + k]
            bank[_P22 + k] += bank[_B + k]


@njit(cache=True, nogil=True, error_model="numpy")
def _rebase(bank: np.ndarray, y: float) -> None:
    """Nothing is known of the level any more but what is observed now; the slope stays."""
    for k in range(K):
        bank[_LEVEL + k] = y
        bank[_P11 + k] = bank[_A + k]
        bank[_P12 + k] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _fix_slope(bank: np.ndarray, y: float, sessions: int) -> None:
    """First known return, over ``sessions``: the diffuse slope is determined by it."""
    n = float(sessions)
    for k in range(K):
        f = bank[_P11 + k] + bank[_A + k]
        bank[_SLOPE + k] = (y - bank[_LEVEL + k]) / n
        bank[_LEVEL + k] = y
        bank[_P22 + k] += f / (n * n) - 2.0 * bank[_P12 + k] / n
        bank[_P11 + k] = bank[_A + k]
        bank[_P12 + k] = bank[_A + k] / n


@njit(cache=True, nogil=True, error_model="numpy")
def _update(bank: np.ndarray, y: float, product: np.ndarray) -> None:
    """Take in an observation; ``product`` is multiplied by its prediction variance."""
    for k in range(K):
        f = bank[_P11 + k] + bank[_A + k]
        inverse = 1.0 / f
        v = y - bank[_LEVEL + k]
        to_level = bank[_P11 + k] * inverse
        to_slope = bank[_P12 + k] * inverse
        bank[_SQUARES + k] += v * v * inverse
        product[k] *= f
        bank[_LEVEL + k] += to_level * v
        bank[_SLOPE + k] += to_slope * v
        bank[_P22 + k] -= to_slope * bank[_P12 + k]
        bank[_P11 + k] = bank[_A + k] * to_level
        bank[_P12 + k] = bank[_A + k] * to_slope


@njit(cache=True, nogil=True, error_model="numpy")
def run_bank(
    growth: np.ndarray, spanned: np.ndarray, known: np.ndarray, bank: np.ndarray, deviance: np.ndarray
) -> tuple[int, float, bool]:
    """Filter the bars of a window from its first, and judge each filter by its likelihood.

    Parameters
    ----------
    growth, spanned, known : (M,) log returns, the sessions each spans, and whether it is known.
    bank : with a and b given; receives the states at the last bar.
    deviance : (K,), receives -2 log likelihood with s concentrated out, but for a constant.

    Returns
    -------
    Innovations in the likelihood, the log index at the last bar, and whether the slope is determined.
    """
    product = np.ones(K)
    y = 0.0
    innovations = 0
    fixed = False
    for k in range(K):
        deviance[k] = 0.0
        bank[_LEVEL + k] = bank[_SLOPE + k] = bank[_P12 + k] = bank[_P22 + k] = bank[_SQUARES + k] = 0.0
        bank[_P11 + k] = bank[_A + k]
    for i in range(len(growth)):
        _predict(bank, spanned[i])
        if not known[i]:
            _rebase(bank, y)
            if not fixed:
                for k in range(K):
                    bank[_P22 + k] = 0.0
            continue
        y += growth[i]
        if not fixed:
            _fix_slope(bank, y, spanned[i])
            fixed = True
            continue
        _update(bank, y, product)
        innovations += 1
        if innovations % _LOGGED_EVERY == 0:
            for k in range(K):
                deviance[k] += np.log(product[k])
                product[k] = 1.0
    for k in range(K):
        deviance[k] += np.log(product[k]) + innovations * np.log(bank[_SQUARES + k])
    return innovations, y, fixed


@njit(cache=True, nogil=True, error_model="numpy")
def walk_forward(
    funds: np.ndarray,
    growth: np.ndarray,
    spanned: np.ndarray,
    known: np.ndarray,
    serves: np.ndarray,
    refit_rows: np.ndarray,
    ratios: np.ndarray,
    window: int,
    min_observations: int,
    flat: float,
    slope: np.ndarray,
    error: np.ndarray,
    state: np.ndarray,
    weights: np.ndarray,
) -> None:
    """At each refit weigh the filters by the window that ends there; run them on with these weights until the next.

    ``ratios`` is (2, K). ``slope`` and ``error`` receive the mixture's mean slope and its standard error, a session.
    ``state`` (S, N) int8 tells of the last refit: 0 none yet, 1 served, 2 too few returns, 3 the price stood still.
    ``weights`` is (R, K, N).
    """
    rows = growth.shape[0]
    row = np.empty(rows, dtype=np.int64)
    g = np.empty(rows)
    span = np.empty(rows, dtype=np.int64)
    is_known = np.empty(rows, dtype=np.bool_)
    bank = np.empty(BANK)
    deviance = np.empty(K)
    weight = np.empty(K)
    scale = np.empty(K)
    unused = np.ones(K)
    for j in funds:
        bars = 0
        for t in range(rows):
            if spanned[t, j] > 0:
                row[bars] = t
                g[bars] = growth[t, j]
                span[bars] = spanned[t, j]
                is_known[bars] = known[t, j]
                bars += 1
        low = high = 0
        for r in range(len(refit_rows)):
            begin = refit_rows[r]
            end = refit_rows[r + 1] if r + 1 < len(refit_rows) else rows
            while high < bars and row[high] <= begin:
                high += 1
            while low < high and row[low] <= begin - window:
                low += 1
            usable = 0
            squares = total = 0.0
            sessions = 0
            for i in range(low, high):
                if is_known[i]:
                    usable += 1
                    squares += g[i] * g[i] / span[i]
                    total += g[i]
                    sessions += span[i]
            verdict = 1
            if usable < min_observations:
                verdict = 2
            elif squares - total * total / sessions <= flat * squares:
                verdict = 3
            if verdict != 1:
                for t in range(begin, end):
                    state[t, j] = verdict
                continue
            bank[: 2 * K] = ratios.ravel()
            innovations, y, _ = run_bank(g[low:high], span[low:high], is_known[low:high], bank, deviance)
            least = deviance.min()
            together = 0.0
            for k in range(K):
                weight[k] = np.exp(0.5 * (least - deviance[k]))
                together += weight[k]
            for k in range(K):
                weight[k] /= together
                scale[k] = bank[_SQUARES + k] / innovations
                weights[r, k, j] = weight[k]
            _predict(bank, begin - row[high - 1])
            ahead = high
            for t in range(begin, end):
                state[t, j] = 1
                if t > begin:
                    _predict(bank, 1)
                if ahead < bars and row[ahead] == t:
                    if is_known[ahead]:
                        y += g[ahead]
                        _update(bank, y, unused)
                    else:
                        _rebase(bank, y)
                    ahead += 1
                if serves[t, j]:
                    mean = 0.0
                    for k in range(K):
                        mean += weight[k] * bank[_SLOPE + k]
                    spread = 0.0
                    for k in range(K):
                        spread += weight[k] * (scale[k] * bank[_P22 + k] + (bank[_SLOPE + k] - mean) ** 2)
                    slope[t, j] = mean
                    error[t, j] = np.sqrt(spread)
