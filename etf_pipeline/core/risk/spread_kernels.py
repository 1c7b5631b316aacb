"""Rolling bid-ask spread estimators: the compiled walk over each fund's bars, and plain references."""

from __future__ import annotations

import numpy as np
from numba import njit

from etf_pipeline.core.risk.window_sums import advance

_TERMS = 37
_CORWIN_SCHULTZ = 3.0 - 2.0 * np.sqrt(2.0)


@njit(cache=True, nogil=True)
def rolling_spreads(
    columns: np.ndarray,
    open_: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    shift: np.ndarray,
    window: int,
    min_pairs: int,
    block: int,
    edge_squared: np.ndarray,
    edge_squared_error: np.ndarray,
    abdi_ranaldo_squared: np.ndarray,
    corwin_schultz: np.ndarray,
    pairs: np.ndarray,
) -> None:
    """Fill the five outputs of the funds in ``columns``.

    Parameters
    ----------
    columns : (K,) int64.
    open_, high, low, close : (N, S) float64, logarithms of prices; NaN where there is no bar (``open_`` also
        where only that is unknown).
    shift : (N, S) float64, to be added to the previous session's logarithms; NaN where there is no
        comparable bar on it.
    window : sessions, at least 3; the first serves only as the bar before the second.
    min_pairs : bars with a bar before needed, at least 1.
    block : sessions of the blocks, at absolute rows, whose estimates give the standard error.
    edge_squared, abdi_ranaldo_squared : (N, S) float64, receive squared spreads, which may be negative.
    edge_squared_error : (N, S) float64, receives the standard error of the first, from the
        ``window // block`` blocks completed last.
    corwin_schultz : (N, S) float64, receives the mean of the signed two-session spreads.
    pairs : (N, S) int32, receives how many sessions of the window have a comparable bar before.
    """
    terms, head, total, own = np.zeros(_TERMS), np.zeros(_TERMS), np.zeros(_TERMS), np.zeros(_TERMS)
    stored = np.zeros((window - 1, _TERMS))
    parts = np.zeros(window // block)
    needed = min_pairs * block / window
    for j in columns:
        head.fill(0.0)
        stored.fill(0.0)
        own.fill(0.0)
        parts.fill(np.nan)
        error = np.nan
        for t in range(open_.shape[1]):
            terms.fill(0.0)
            if not np.isnan(close[j, t]):
                _lone_bar(open_[j, t], high[j, t], low[j, t], terms)
                # The bar before has no logarithm where one of its prices is unusable, accepted or not.
                if not np.isnan(shift[j, t]) and not np.isnan(close[j, t - 1]):
                    move = shift[j, t]
                    _pair(
                        open_[j, t],
                        high[j, t],
                        low[j, t],
                        high[j, t - 1] + move,
                        low[j, t - 1] + move,
                        close[j, t - 1] + move,
                        terms,
                    )
            advance(terms, stored, head, total, t)
            for m in range(_TERMS):
                own[m] += terms[m]
            if t % block == block - 1:
                parts[t // block % len(parts)] = _edge_from_sums(own) if own[2] >= needed else np.nan
                error = _standard_error(parts)
                own.fill(0.0)
            pairs[j, t] = int(total[2])
            if total[2] >= min_pairs:
                edge_squared[j, t] = _edge_from_sums(total)
                edge_squared_error[j, t] = error
                abdi_ranaldo_squared[j, t] = -4.0 * total[6] / total[2]
                corwin_schultz[j, t] = total[7] / total[2]


@njit(cache=True, nogil=True)
def _lone_bar(o: float, h: float, low: float, terms: np.ndarray) -> None:
    """What a bar says without the one before: from the open to the middle of its range."""
    if not np.isnan(o):
        terms[0] = 1.0
        terms[1] = 0.5 * (h + low) - o


@njit(cache=True, nogil=True)
def _pair(o: float, h: float, low: float, h1: float, l1: float, c1: float, terms: np.ndarray) -> None:
    """Products of a bar (o, h, low) and the comparable bar before (h1, l1, c1).

    Names follow the paper: r1 to r5 its returns, tau whether there was any price but the last close.
    """
    middle, middle1 = 0.5 * (h + low), 0.5 * (h1 + l1)
    tau = 1.0 if h != low or low != c1 else 0.0
    r3, r4 = middle - c1, c1 - middle1
    terms[2] = 1.0
    terms[3] = tau
    terms[4] = r3
    terms[5] = tau * ((1.0 if c1 != h1 else 0.0) + (1.0 if c1 != l1 else 0.0))
    terms[6] = r3 * r4
    terms[7] = corwin_schultz_pair(h, low, h1, l1, c1)
    if np.isnan(o):
        return
    r1, r2, r5 = middle - o, o - middle1, o - c1
    r12, r34, r15, r45 = r1 * r2, r3 * r4, r1 * r5, r4 * r5
    terms[8] = 1.0
    terms[9] = r5
    terms[10] = tau * ((1.0 if o != h else 0.0) + (1.0 if o != low else 0.0))
    terms[11] = r12
    terms[12] = r34
    terms[13] = r15
    terms[14] = r45
    terms[15] = r12 * r12
    terms[16] = r34 * r34
    terms[17] = r15 * r15
    terms[18] = r45 * r45
    terms[19] = r12 * r34
    terms[20] = r15 * r45
    terms[21] = tau * r2
    terms[22] = tau * r4
    terms[23] = tau * r5
    terms[24] = tau * r2 * r2
    terms[25] = tau * r4 * r4
    terms[26] = tau * r5 * r5
    terms[27] = tau * r2 * r4
    terms[28] = tau * r4 * r5
    terms[29] = tau * r2 * r12
    terms[30] = tau * r4 * r34
    terms[31] = tau * r5 * r15
    terms[32] = tau * r4 * r45
    terms[33] = tau * r4 * r12
    terms[34] = tau * r2 * r34
    terms[35] = tau * r4 * r15
    terms[36] = tau * r5 * r45


@njit(cache=True, nogil=True)
def corwin_schultz_pair(h: float, low: float, h1: float, l1: float, c1: float) -> float:
    """Signed spread of two sessions from the logarithms of their ranges.

    Where the later range does not hold the earlier close, it is moved until it does (their overnight
    adjustment).
    """
    move = max(c1 - h, 0.0) + min(c1 - low, 0.0)
    beta = (h - low) ** 2 + (h1 - l1) ** 2
    gamma = (max(h + move, h1) - min(low + move, l1)) ** 2
    alpha = (np.sqrt(2.0 * beta) - np.sqrt(beta)) / _CORWIN_SCHULTZ - np.sqrt(gamma / _CORWIN_SCHULTZ)
    return 2.0 * np.tanh(0.5 * alpha)


@njit(cache=True, nogil=True)
def _edge_from_sums(s: np.ndarray) -> float:
    """Squared EDGE spread of a window from the sums of its terms; NaN where it is not defined.

    The two moment conditions are ``x1 = a (r1 - k1 tau) r2 + c (r3 - k3 tau) r4`` and
    ``x2 = a (r1 - k1 tau) r5 + c (r5 - k5 tau) r4``.
    """
    n = s[8]
    if s[3] < 2.0 or n == 0.0 or s[10] == 0.0 or s[5] == 0.0:
        return np.nan
    share = s[3] / s[2]
    a, c = -4.0 * n / s[10], -4.0 * s[2] / s[5]
    k1, k3, k5 = s[1] / s[0] / share, s[4] / s[2] / share, s[9] / n / share
    e1 = (a * (s[11] - k1 * s[21]) + c * (s[12] - k3 * s[22])) / n
    e2 = (a * (s[13] - k1 * s[23]) + c * (s[14] - k5 * s[22])) / n
    v1 = (
        a * a * (s[15] - 2.0 * k1 * s[29] + k1 * k1 * s[24])
        + c * c * (s[16] - 2.0 * k3 * s[30] + k3 * k3 * s[25])
        + 2.0 * a * c * (s[19] - k3 * s[33] - k1 * s[34] + k1 * k3 * s[27])
    ) / n - e1 * e1
    v2 = (
        a * a * (s[17] - 2.0 * k1 * s[31] + k1 * k1 * s[26])
        + c * c * (s[18] - 2.0 * k5 * s[32] + k5 * k5 * s[25])
        + 2.0 * a * c * (s[20] - k5 * s[35] - k1 * s[36] + k1 * k5 * s[28])
    ) / n - e2 * e2
    if v1 + v2 > 0.0:
        return (v2 * e1 + v1 * e2) / (v1 + v2)
    return 0.5 * (e1 + e2)


@njit(cache=True, nogil=True)
def _standard_error(parts: np.ndarray) -> float:
    """Standard error of the mean of the known values; NaN with fewer than four."""
    known, mean = 0, 0.0
    for part in parts:
        if not np.isnan(part):
            known += 1
            mean += part
    if known < 4:
        return np.nan
    mean /= known
    deviations = 0.0
    for part in parts:
        if not np.isnan(part):
            deviations += (part - mean) ** 2
    return np.sqrt(deviations / (known - 1.0) / known)
