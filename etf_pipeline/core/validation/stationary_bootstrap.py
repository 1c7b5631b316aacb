"""The stationary bootstrap: means of resampled series at the price of their blocks, not of their observations.

A resample joins blocks of the series, closed to a ring, that begin anywhere and have geometric lengths. The sum of a
block is a difference of two prefix sums, so that a resample costs as many operations as it has blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numba import njit

from etf_pipeline.core.parallel import over_columns

_WORTH_SHARING = 2e6
"""Block sums below which threads cost more than they save."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_UNIT = 1.0 / 9007199254740992.0
_PARTS = 4096  # of the unit interval, whose lengths of blocks are looked up
_LONGEST = 32767.0  # length of a block that the table can hold


def resampled_means(
    values: np.ndarray, block_length: float, replications: int, seed: int, *, circular: bool = False
) -> np.ndarray:
    """Means of block-bootstrap resamples, all series resampled by the same blocks.

    Parameters
    ----------
    values : (T, K) float64 without NaN, in order of time.
    block_length : mean length of a block in observations, at least 1 (1: independent observations).
    replications : B, how many resamples.
    seed : every replicate draws from a stream of its own, named by seed and number, so that the result
        depends neither on the number of workers nor on B.
    circular : blocks are all of one length, the last cut short (Politis and Romano 1992), instead of geometric ones.

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
    law = block_law(block_length, circular)
    centre = x.mean(axis=0)
    # Deviations: the prefix sums stay small, and a difference of two loses no digits.
    ring = prefix_sums(x - centre)
    out = np.empty((replications, x.shape[1]))

    def work(replicates: np.ndarray) -> None:
        if x.shape[1] == 4:
            _means_of_four(ring, law, np.uint64(seed), replicates, out)
        else:
            _means(ring, law, np.uint64(seed), replicates, out)

    share_replicates(work, replications, replications * x.size / block_length)
    out += centre
    return out


def resampled_t_values(values: np.ndarray, block_length: float, replications: int, seed: int) -> np.ndarray:
    """How many of its own standard errors the mean of each resample lies from the mean of the series.

    Parameters
    ----------
    As ``resampled_means``, whose resamples they are.

    Returns
    -------
    (B, K) float64; 0 where a resample has no error, its blocks having all the same mean.

    Notes
    -----
    Blocks are independent, so that the squared error of a resample's mean m is the sum over its blocks of
    ``(s - l m)**2`` over T squared, with s the sum and l the length of a block (Götze and Künsch 1996, Annals of
    Statistics 24, 1914-1933). That the error is itself uncertain shows in the tails.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or not len(x) or not np.isfinite(x).all():
        raise ValueError(f"a resample needs (T, K) finite values, T at least 1; given is shape {x.shape}")
    law = block_law(block_length, circular=False)
    ring = prefix_sums(x - x.mean(axis=0))
    out = np.empty((replications, x.shape[1]))

    def work(replicates: np.ndarray) -> None:
        _t_values(ring, law, np.uint64(seed), replicates, out)

    share_replicates(work, replications, replications * x.size / block_length)
    return out


def prefix_sums(deviations: np.ndarray) -> np.ndarray:
    """Prefix sums (2T + 1, K) of series (T, K) gone through twice."""
    twice = np.cumsum(np.concatenate([deviations, deviations]), axis=0)
    return np.concatenate([np.zeros((1, deviations.shape[1])), twice])


def share_replicates(work: Callable[[np.ndarray], None], replications: int, sums: float) -> None:
    """Call ``work(numbers)`` until each replicate has been done, on all cores where ``sums``, block sums, are many."""
    if sums < _WORTH_SHARING:
        work(np.arange(replications))
    else:
        over_columns(work, replications)


def resample_indices(
    observations: int, block_length: float, replicate: int, seed: int, *, circular: bool = False
) -> np.ndarray:
    """(T,) int64: the observations that make up one replicate of ``resampled_means``, written out. The reference."""
    indices = np.empty(observations, dtype=np.int64)
    _indices(block_law(block_length, circular), np.uint64(seed), replicate, indices)
    return indices


def optimal_block_length(values: np.ndarray, *, circular: bool = False) -> float:
    """Mean block length of the stationary bootstrap that estimates the variance of the mean best.

    Parameters
    ----------
    values : (T,) float64 without NaN.
    circular : for blocks of one length, as in ``resampled_means``.

    Returns
    -------
    At least 1; 1 for fewer than 10 observations or a series that does not vary.

    Notes
    -----
    Politis and White (2004), Econometric Reviews 23, 53-70, corrected by Patton, Politis and White (2009),
    28, 372-375. The same numbers as ``arch.bootstrap.optimal_block_length``. The error of circular blocks is two thirds
    of the squared one of stationary blocks, which is all that sets the two apart.
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
    # 2 slope**2 / D with D = 2 variance**2 (stationary) or 4/3 variance**2 (circular).
    curvature = (1.5 if circular else 1.0) * slope * slope / (variance * variance)
    best = (curvature * count) ** (1.0 / 3.0)
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
def _bits(state: np.uint64) -> tuple[np.uint64, np.int64]:
    """Next state and 53 random bits: splitmix64 (Steele, Lea and Flood 2014)."""
    state = state + _GOLDEN
    z = state
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    z = z ^ (z >> np.uint64(31))
    return state, np.int64(z >> np.uint64(11))


@njit(cache=True, nogil=True, inline="always")
def _uniform(state: np.uint64) -> tuple[np.uint64, float]:
    """Next state and a draw in [0, 1)."""
    state, bits = _bits(state)
    return state, float(bits) * _UNIT


@njit(cache=True, nogil=True)
def stream(seed: np.uint64, replicate: int) -> np.uint64:
    """Where a replicate's stream begins: a mix of both numbers, so that streams are far apart."""
    z = (seed + np.uint64(1)) * _MIX_2 + np.uint64(replicate) * _GOLDEN
    z = (z ^ (z >> np.uint64(33))) * _MIX_1
    return z ^ (z >> np.uint64(29))


@njit(cache=True, nogil=True, inline="always")
def draw_block(state: np.uint64, observations: int, law: float, left: int) -> tuple[np.uint64, int, int]:
    """Next state, where a block begins, and its length by ``block_law``, no longer than what is ``left`` to fill."""
    state, u = _uniform(state)
    start = min(int(u * observations), observations - 1)
    if law > 0.0:
        return state, start, min(int(law), left)
    if law == -np.inf:
        return state, start, 1
    state, u = _uniform(state)
    length = 1.0 + math.floor(math.log(1.0 - u) / law)
    return state, start, left if length > left else int(length)


def block_law(block_length: float, circular: bool) -> float:
    """How long blocks are, in one number: the logarithm of the probability that one goes on, or their fixed length.

    Parameters
    ----------
    circular : all blocks are of ``block_length``, rounded; else lengths are geometric with this mean.

    Raises
    ------
    ValueError : a block length below 1.
    """
    if not block_length >= 1:
        raise ValueError(f"the mean block length must be at least 1 observation, not {block_length}")
    if circular:
        return float(round(block_length))
    return math.log(1.0 - 1.0 / block_length) if block_length > 1.0 else -math.inf


@njit(cache=True, nogil=True)
def length_table(law: float) -> np.ndarray:
    """Lengths of blocks by the leading bits of their draw, so that few logarithms need be taken.

    Returns
    -------
    (4096,) int16: the length where all draws of this 4096th of the unit interval give the same, else 0.
    """
    table = np.zeros(_PARTS, np.int16)
    if law == -np.inf:
        table[:] = 1
    elif law < 0.0:
        # 1 - u = 0 at the very end has no logarithm.
        for i in range(_PARTS - 1):
            least = 1.0 + math.floor(math.log(1.0 - i / _PARTS) / law)
            most = 1.0 + math.floor(math.log(1.0 - (i + 1.0) / _PARTS) / law)
            if least == most and most <= _LONGEST:
                table[i] = int(least)
    return table


@njit(cache=True, nogil=True, inline="always")
def next_block(
    state: np.uint64, observations: int, law: float, table: np.ndarray, left: int
) -> tuple[np.uint64, int, int]:
    """``draw_block`` with the table of lengths at hand."""
    state, u = _uniform(state)
    start = min(int(u * observations), observations - 1)
    if law > 0.0:
        return state, start, min(int(law), left)
    if law == -np.inf:
        return state, start, 1
    state, bits = _bits(state)
    known = int(table[bits >> 41])
    if known > 0:
        return state, start, min(known, left)
    length = 1.0 + math.floor(math.log(1.0 - float(bits) * _UNIT) / law)
    return state, start, left if length > left else int(length)


@njit(cache=True, nogil=True)
def _means(ring: np.ndarray, law: float, seed: np.uint64, replicates: np.ndarray, out: np.ndarray) -> None:
    """Means of the named replicates from the prefix sums (2T + 1, K) of the series gone through twice."""
    observations = (len(ring) - 1) // 2
    series = ring.shape[1]
    table = length_table(law)
    begins, ends = np.empty(observations, np.uint32), np.empty(observations, np.uint32)
    total = np.empty(series)
    for r in replicates:
        state = stream(seed, r)
        left, blocks = observations, 0
        while left > 0:
            state, start, length = next_block(state, observations, law, table, left)
            begins[blocks], ends[blocks] = start, start + length
            left -= length
            blocks += 1
        total[:] = 0.0
        j = 0
        # Four blocks a pass, in their order: the sums are the same, and are fetched and kept a quarter as often.
        while j + 4 <= blocks:
            a, b = ring[begins[j]], ring[ends[j]]
            c, d = ring[begins[j + 1]], ring[ends[j + 1]]
            e, f = ring[begins[j + 2]], ring[ends[j + 2]]
            g, h = ring[begins[j + 3]], ring[ends[j + 3]]
            for k in range(series):
                total[k] = total[k] + (b[k] - a[k]) + (d[k] - c[k]) + (f[k] - e[k]) + (h[k] - g[k])
            j += 4
        while j < blocks:
            a, b = ring[begins[j]], ring[ends[j]]
            for k in range(series):
                total[k] += b[k] - a[k]
            j += 1
        for k in range(series):
            out[r, k] = total[k] / observations


@njit(cache=True, nogil=True)
def _means_of_four(
    ring: np.ndarray, law: float, seed: np.uint64, replicates: np.ndarray, out: np.ndarray
) -> None:
    """``_means`` of four series, those of a Sharpe difference, whose sums need not be kept in memory."""
    observations = (len(ring) - 1) // 2
    table = length_table(law)
    for r in replicates:
        state = stream(seed, r)
        left = observations
        a = b = c = d = 0.0
        while left > 0:
            state, start, length = next_block(state, observations, law, table, left)
            begin, end = np.uint64(start), np.uint64(start + length)  # not negative: no index from the end
            a += ring[end, 0] - ring[begin, 0]
            b += ring[end, 1] - ring[begin, 1]
            c += ring[end, 2] - ring[begin, 2]
            d += ring[end, 3] - ring[begin, 3]
            left -= length
        out[r, 0], out[r, 1] = a / observations, b / observations
        out[r, 2], out[r, 3] = c / observations, d / observations


@njit(cache=True, nogil=True)
def _t_values(ring: np.ndarray, law: float, seed: np.uint64, replicates: np.ndarray, out: np.ndarray) -> None:
    """``resampled_t_values`` of the named replicates; the series have mean zero."""
    observations = (len(ring) - 1) // 2
    series = ring.shape[1]
    table = length_table(law)
    total, square, weighted = np.empty(series), np.empty(series), np.empty(series)
    for r in replicates:
        total[:], square[:], weighted[:] = 0.0, 0.0, 0.0
        squared_length = 0.0
        state = stream(seed, r)
        left = observations
        while left > 0:
            state, start, length = next_block(state, observations, law, table, left)
            a, b = ring[start], ring[start + length]
            for k in range(series):
                moved = b[k] - a[k]
                total[k] += moved
                square[k] += moved * moved
                weighted[k] += length * moved
            squared_length += float(length) * length
            left -= length
        for k in range(series):
            mean = total[k] / observations
            variance = square[k] - 2.0 * mean * weighted[k] + mean * mean * squared_length
            out[r, k] = total[k] / math.sqrt(variance) if variance > 1e-12 * square[k] else 0.0


@njit(cache=True, nogil=True)
def _indices(law: float, seed: np.uint64, replicate: int, out: np.ndarray) -> None:
    observations = len(out)
    state = stream(seed, replicate)
    filled = 0
    while filled < observations:
        state, start, length = draw_block(state, observations, law, observations - filled)
        for i in range(length):
            out[filled + i] = (start + i) % observations
        filled += length
