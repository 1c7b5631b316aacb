"""Compiled passes behind ``beta``, fund by fund.

``y`` is (S, N), ``x`` (S, 1) or (S, N). Each call writes the columns ``funds`` only, so that threads can share the
panels. ``out`` is (4, S, N): slope, intercept, correlation and the slope's standard error.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_SUMS = 6  # observations, x, y, x*x, x*y, y*y
# A centred sum of squares below this part of the raw one is rounding: the series did not move.
FLAT = 1e-13


@njit(cache=True, nogil=True, error_model="numpy")
def rolling_ols(
    funds: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    usable: np.ndarray,
    serves: np.ndarray,
    window: int,
    min_observations: int,
    out: np.ndarray,
    observations: np.ndarray,
) -> None:
    """Sums of the current block so far (head) plus those of the previous block's tail, then the formulas."""
    rows = y.shape[0]
    step = 1 if x.shape[1] > 1 else 0
    head = np.empty(_SUMS)
    tail = np.empty((window + 1, _SUMS))  # tail[k]: rows k.. of the previous block
    for j in funds:
        head[:] = 0.0
        tail[:] = 0.0
        for t in range(rows):
            place = t % window
            if place == 0 and t > 0:
                head[:] = 0.0
                for k in range(window - 1, -1, -1):
                    s = t - window + k
                    for m in range(_SUMS):
                        tail[k, m] = tail[k + 1, m]
                    if usable[s, j]:
                        _add(tail[k], x[s, j * step], y[s, j])
            if usable[t, j]:
                _add(head, x[t, j * step], y[t, j])
            n = head[0] + tail[place + 1, 0]
            observations[t, j] = int(n)
            if n < min_observations or not serves[t, j]:
                continue
            sx = head[1] + tail[place + 1, 1]
            sy = head[2] + tail[place + 1, 2]
            raw_xx = head[3] + tail[place + 1, 3]
            raw_yy = head[5] + tail[place + 1, 5]
            sxx = raw_xx - sx * sx / n
            sxy = head[4] + tail[place + 1, 4] - sx * sy / n
            syy = raw_yy - sy * sy / n
            if sxx <= FLAT * raw_xx:
                continue
            slope = sxy / sxx
            out[0, t, j] = slope
            out[1, t, j] = (sy - slope * sx) / n
            if syy > FLAT * raw_yy:
                out[2, t, j] = min(1.0, max(-1.0, sxy / np.sqrt(sxx * syy)))
            out[3, t, j] = np.sqrt(max(syy - slope * sxy, 0.0) / (n - 2.0) / sxx)


@njit(cache=True, nogil=True)
def _add(sums: np.ndarray, x: float, y: float) -> None:
    """One observation more."""
    sums[0] += 1.0
    sums[1] += x
    sums[2] += y
    sums[3] += x * x
    sums[4] += x * y
    sums[5] += y * y


@njit(cache=True, nogil=True, error_model="numpy")
def hac_errors(
    funds: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    usable: np.ndarray,
    beta: np.ndarray,
    alpha: np.ndarray,
    window: int,
    lags: int,
    out: np.ndarray,
) -> None:
    """Newey-West error of each window's slope: the scores afresh for every window, nothing carried over."""
    rows = y.shape[0]
    step = 1 if x.shape[1] > 1 else 0
    row = np.empty(rows, dtype=np.int64)
    xs = np.empty(rows)
    ys = np.empty(rows)
    dx = np.empty(window)
    score = np.zeros(lags + window)  # ``lags`` zeros, then the window's scores
    smooth = np.empty(window)
    for j in funds:
        low = 0
        high = 0
        for t in range(rows):
            if usable[t, j]:
                row[high] = t
                xs[high] = x[t, j * step]
                ys[high] = y[t, j]
                high += 1
            while low < high and row[low] <= t - window:
                low += 1
            slope = beta[t, j]
            if np.isnan(slope):
                continue
            n = high - low
            xw = xs[low:high]
            yw = ys[low:high]
            centre = _sum(xw) / n
            start = alpha[t, j]
            own = score[lags : lags + n]
            for i in range(n):
                dx[i] = xw[i] - centre
                own[i] = dx[i] * (yw[i] - start - slope * xw[i])
                smooth[i] = own[i]
            for lag in range(1, lags + 1):
                weight = 2.0 * (1.0 - lag / (lags + 1.0))
                earlier = score[lags - lag : lags - lag + n]
                for i in range(n):
                    smooth[i] += weight * earlier[i]
            spread = _dot(dx[:n], dx[:n])
            variance = _dot(smooth[:n], own)
            out[t, j] = np.sqrt(max(variance, 0.0) * n / (n - 2.0)) / spread


@njit(cache=True, nogil=True)
def _sum(a: np.ndarray) -> float:
    """Sum in eight interleaved parts, which the processor adds at once."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    whole = len(a) - len(a) % 8
    for i in range(0, whole, 8):
        s0 += a[i]
        s1 += a[i + 1]
        s2 += a[i + 2]
        s3 += a[i + 3]
        s4 += a[i + 4]
        s5 += a[i + 5]
        s6 += a[i + 6]
        s7 += a[i + 7]
    for i in range(whole, len(a)):
        s0 += a[i]
    return ((s0 + s4) + (s1 + s5)) + ((s2 + s6) + (s3 + s7))


@njit(cache=True, nogil=True)
def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """Sum of products in eight interleaved parts."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    whole = len(a) - len(a) % 8
    for i in range(0, whole, 8):
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
        s4 += a[i + 4] * b[i + 4]
        s5 += a[i + 5] * b[i + 5]
        s6 += a[i + 6] * b[i + 6]
        s7 += a[i + 7] * b[i + 7]
    for i in range(whole, len(a)):
        s0 += a[i] * b[i]
    return ((s0 + s4) + (s1 + s5)) + ((s2 + s6) + (s3 + s7))


@njit(cache=True, nogil=True, error_model="numpy")
def ewma_moments(
    funds: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    usable: np.ndarray,
    serves: np.ndarray,
    decay: float,
    min_observations: int,
    out: np.ndarray,
    observations: np.ndarray,
) -> None:
    """Sums that fade by ``decay`` a session; ``out`` holds beta, alpha, correlation and error."""
    rows = y.shape[0]
    step = 1 if x.shape[1] > 1 else 0
    for j in funds:
        count = 0
        w = sx = sy = raw_xx = raw_xy = raw_yy = 0.0
        w2 = w2x = w2xx = 0.0  # under squared weights, for the error
        for t in range(rows):
            w *= decay
            sx *= decay
            sy *= decay
            raw_xx *= decay
            raw_xy *= decay
            raw_yy *= decay
            w2 *= decay * decay
            w2x *= decay * decay
            w2xx *= decay * decay
            if usable[t, j]:
                a = x[t, j * step]
                b = y[t, j]
                count += 1
                w += 1.0
                sx += a
                sy += b
                raw_xx += a * a
                raw_xy += a * b
                raw_yy += b * b
                w2 += 1.0
                w2x += a
                w2xx += a * a
            observations[t, j] = count
            if count < min_observations or not serves[t, j]:
                continue
            sxx = raw_xx - sx * sx / w
            if not sxx > FLAT * raw_xx:
                continue
            sxy = raw_xy - sx * sy / w
            syy = raw_yy - sy * sy / w
            slope = sxy / sxx
            out[0, t, j] = slope
            out[1, t, j] = (sy - slope * sx) / w
            if syy > FLAT * raw_yy:
                out[2, t, j] = min(1.0, max(-1.0, sxy / np.sqrt(sxx * syy)))
            effective = w * w / w2
            if effective > 2.0:
                mean = sx / w
                leverage = max(w2xx - 2.0 * mean * w2x + mean * mean * w2, 0.0)
                residual = max(syy - slope * sxy, 0.0) / w * effective / (effective - 2.0)
                out[3, t, j] = np.sqrt(residual * leverage) / sxx


@njit(cache=True, nogil=True, error_model="numpy")
def downside_moments(
    funds: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    usable: np.ndarray,
    serves: np.ndarray,
    window: int,
    min_observations: int,
    out: np.ndarray,
    observations: np.ndarray,
) -> None:
    """Each window afresh: the benchmark's mean, then moments of the sessions below it, about that mean."""
    rows = y.shape[0]
    step = 1 if x.shape[1] > 1 else 0
    row = np.empty(rows, dtype=np.int64)
    xs = np.empty(rows)
    ys = np.empty(rows)
    for j in funds:
        low = 0
        high = 0
        for t in range(rows):
            if usable[t, j]:
                row[high] = t
                xs[high] = x[t, j * step]
                ys[high] = y[t, j]
                high += 1
            while low < high and row[low] <= t - window:
                low += 1
            n = high - low
            if n == 0:
                continue
            xw = xs[low:high]
            yw = ys[low:high]
            centre = _sum(xw) / n
            count = sx = sy = raw_xx = raw_xy = raw_yy = 0.0
            for i in range(n):
                # Without a branch: which side of the mean a session lies on cannot be predicted.
                below = 1.0 if xw[i] < centre else 0.0
                a = below * (xw[i] - centre)
                b = below * yw[i]
                count += below
                sx += a
                sy += b
                raw_xx += a * a
                raw_xy += a * b
                raw_yy += b * b
            observations[t, j] = int(count)
            if count < min_observations or not serves[t, j]:
                continue
            sxx = raw_xx - sx * sx / count
            if sxx <= FLAT * (raw_xx + count * centre * centre):
                continue
            sxy = raw_xy - sx * sy / count
            syy = raw_yy - sy * sy / count
            slope = sxy / sxx
            out[0, t, j] = slope
            out[1, t, j] = (sy - slope * sx) / count - slope * centre
            if syy > FLAT * raw_yy:
                out[2, t, j] = min(1.0, max(-1.0, sxy / np.sqrt(sxx * syy)))
            out[3, t, j] = np.sqrt(max(syy - slope * sxy, 0.0) / (count - 2.0) / sxx)
