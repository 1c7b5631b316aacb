"""The stationary bootstrap: means of resampled series at the price of their blocks, not of their observations.

A resample joins blocks of the series, closed to a ring, that begin anywhere and have geometric lengths. The sum of a
block is a difference of two prefix sums, so that a resample costs as many operations as it has blocks.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from etf_pipeline.core.parallel import over_columns

_WORTH_SHARING = 2e6
"""Block sums below which threads cost more than they save."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def resampled_means(values: np.ndarray, block_length: float, replications: int, seed: int) -> np.ndarray:
    """Means of stationary-bootstrap resamples, all series resampled by the same blocks.

    Parameters
    ----------
    values : (T, K) float64 without NaN, in order of time.
    block_length : mean length of a block in observations, at least 1 (1: independent observations).
    replications : B, how many resamples.
    seed : every replicate draws from a stream of its own, named by seed and number, so that the result
        depends neither on the number of workers nor on B.

    Returns
    -------
    (B, K) float64.

    Raises
    ------
    ValueError : no observation, a NaN, or a block length below 1.

    Notes
    -----
    Politis and Romano (1994), The stationary bootstrap, JASA 89, 1303-1313. ``resample_indices`` spells out the
    observations of one replicate.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or not len(x) or not np.isfinite(x).all():
        raise ValueError(f"a resample needs (T, K) finite values, T at least 1; given is shape {x.shape}")
    if not block_length >= 1:
        raise ValueError(f"the mean block length must be at least 1 observation, not {block_length}")
    centre = x.mean(axis=0)
    # Deviations: the prefix sums stay small, and a difference of two loses no digits.
    ring = np.concatenate([np.zeros((1, x.shape[1])), np.cumsum(np.tile(x - centre, (2, 1)), axis=0)])
    out = np.empty((replications, x.shape[1]))

    def work(replicates: np.ndarray) -> None:
        _means(ring, block_length, np.uint64(seed), replicates, out)

    if replications * len(x) * x.shape[1] / block_length < _WORTH_SHARING:
        work(np.arange(replications))
    else:
        over_columns(work, replications)
    return out + centre


def resample_indices(observations: int, block_length: float, replicate: int, seed: int) -> np.ndarray:
    """(T,) int64: the observations that make up one replicate of ``resampled_means``, written out. The reference."""
    indices = np.empty(observations, dtype=np.int64)
    _indices(block_length, np.uint64(seed), replicate, indices)
    return indices


def optimal_block_length(values: np.ndarray) -> float:
    """Mean block length of the stationary bootstrap that estimates the variance of the mean best.

    Parameters
    ----------
    values : (T,) float64 without NaN.

    Returns
    -------
    At least 1; 1 for fewer than 10 observations or a series that does not vary.

    Notes
    -----
    Politis and White (2004), Econometric Reviews 23, 53-70, corrected by Patton, Politis and White (2009),
    28, 372-375. The same numbers as ``arch.bootstrap.optimal_block_length``.
    """
    x = np.asarray(values, dtype=np.float64)
    count = len(x)
    if count < 10 or not np.ptp(x) > 0:
        return 1.0
    deviation = x - x.mean()
    run = max(5, int(math.log10(count)))
    longest = math.ceil(math.sqrt(count)) + run
    band = 2.0 * math.sqrt(math.log10(count) / count)
    covariance = np.zeros(longest + 1)
    correlation = np.ones(longest + 1)
    for lag in range(min(longest, count - 2) + 1):
        later, earlier = deviation[lag + 1 :], deviation[: count - lag - 1]
        product = float(deviation[lag:] @ deviation[: count - lag])
        covariance[lag] = product / count
        size = math.sqrt(float(later @ later) * float(earlier @ earlier))
        correlation[lag] = abs(product) / size if size > 0 else 1.0
    # The first lag after which ``run`` correlations in a row are within the band.
    quiet = np.lib.stride_tricks.sliding_window_view(correlation[:longest] < band, run).all(axis=1)
    lags = min(2 * max(int(np.argmax(quiet)), 1), longest) if quiet.any() else longest
    k = np.arange(1, lags + 1)
    weight = np.minimum(1.0, 2.0 * (1.0 - k / lags))
    slope = 2.0 * float((weight * k) @ covariance[1 : lags + 1])
    variance = covariance[0] + 2.0 * float(weight @ covariance[1 : lags + 1])
    if variance == 0:
        return 1.0
    best = (slope * slope / (variance * variance) * count) ** (1.0 / 3.0)
    return max(1.0, min(best, math.ceil(min(3.0 * math.sqrt(count), count / 3.0))))


def long_run_variance(values: np.ndarray, block_length: float) -> np.ndarray:
    """Variance of sqrt(T) times the mean that the stationary bootstrap has on average, exactly.

    Parameters
    ----------
    values : (T, K) float64 without NaN; block_length : as above.

    Returns
    -------
    (K,) float64, not negative.

    Notes
    -----
    Politis and Romano (1994), lemma 1: autocovariances of the ring, lag i weighted by
    ``(1 - i/T)(1 - 1/b)**i + (i/T)(1 - 1/b)**(T - i)``; equal to the sum over lags in Hansen (2005), section 3.2.
    """
    x = np.asarray(values, dtype=np.float64)
    count = len(x)
    spectrum = np.abs(np.fft.rfft(x - x.mean(axis=0), axis=0)) ** 2
    ring = np.fft.irfft(spectrum, n=count, axis=0) / count
    lag = np.arange(count)
    stay = 1.0 - 1.0 / block_length
    kernel = (1.0 - lag / count) * stay**lag + (lag / count) * stay ** (count - lag)
    return np.maximum((kernel[:, None] * ring).sum(axis=0), 0.0)


@njit(cache=True, nogil=True, inline="always")
def _uniform(state: np.uint64) -> tuple[np.uint64, float]:
    """Next state and a draw in [0, 1): splitmix64 (Steele, Lea and Flood 2014)."""
    state = state + _GOLDEN
    z = state
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    z = z ^ (z >> np.uint64(31))
    return state, float(z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True)
def _stream(seed: np.uint64, replicate: int) -> np.uint64:
    """Where a replicate's stream begins: a mix of both numbers, so that streams are far apart."""
    z = (seed + np.uint64(1)) * _MIX_2 + np.uint64(replicate) * _GOLDEN
    z = (z ^ (z >> np.uint64(33))) * _MIX_1
    return z ^ (z >> np.uint64(29))


@njit(cache=True, nogil=True, inline="always")
def _block(state: np.uint64, observations: int, log_stay: float, left: int) -> tuple[np.uint64, int, int]:
    """Next state, where a block begins, and its length, no longer than what is ``left`` to fill."""
    state, u = _uniform(state)
    start = min(int(u * observations), observations - 1)
    if log_stay == -np.inf:
        return state, start, 1
    state, u = _uniform(state)
    length = 1.0 + math.floor(math.log(1.0 - u) / log_stay)
    return state, start, left if length > left else int(length)


@njit(cache=True, nogil=True)
def _log_stay(block_length: float) -> float:
    return math.log(1.0 - 1.0 / block_length) if block_length > 1.0 else -np.inf


@njit(cache=True, nogil=True)
def _means(
    ring: np.ndarray, block_length: float, seed: np.uint64, replicates: np.ndarray, out: np.ndarray
) -> None:
    """Means of the named replicates from the prefix sums (2T + 1, K) of the series gone through twice."""
    observations = (len(ring) - 1) // 2
    series = ring.shape[1]
    log_stay = _log_stay(block_length)
    total = np.empty(series)
    for r in replicates:
        total[:] = 0.0
        state = _stream(seed, r)
        left = observations
        while left > 0:
            state, start, length = _block(state, observations, log_stay, left)
            for k in range(series):
                total[k] += ring[start + length, k] - ring[start, k]
            left -= length
        for k in range(series):
            out[r, k] = total[k] / observations


@njit(cache=True, nogil=True)
def _indices(block_length: float, seed: np.uint64, replicate: int, out: np.ndarray) -> None:
    observations = len(out)
    log_stay = _log_stay(block_length)
    state = _stream(seed, replicate)
    filled = 0
    while filled < observations:
        state, start, length = _block(state, observations, log_stay, observations - filled)
        for i in range(length):
            out[filled + i] = (start + i) % observations
        filled += length
