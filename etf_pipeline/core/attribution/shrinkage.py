"""Loadings of funds with short histories, drawn towards those of their peers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import optimize

from etf_pipeline.core.parallel import over_columns

HUBER = 2.5
"""Standard deviations beyond which a fund counts no more for its group than one at that distance."""
# Expected min(z**2, HUBER**2) of a standard normal z: what the clipped squares average to under the right variance.
_TAIL = math.erfc(HUBER / math.sqrt(2.0))
_CLIPPED_SQUARE = (
    1.0 - _TAIL - HUBER * math.sqrt(2.0 / math.pi) * math.exp(-0.5 * HUBER**2) + HUBER**2 * _TAIL
)
_ROUNDS = 60


@dataclass(frozen=True)
class ShrunkLoadings:
    """Posterior of each fund's loadings at R sessions.

    Attributes
    ----------
    loading : (R, N, K) float64, posterior mean.
    standard_deviation : (R, N, K) float64, posterior, with the uncertainty of the group's mean in it.
    own_weight : (R, N, K) float64, 0..1: weight of the fund's own estimate.
    prior_mean, prior_sd : (R, N, K) float64, of the group the fund was drawn to: the mean of its loadings and how far the
        true ones spread.
    prior_group : (R, N, K) int64: the group, -1 for all funds together, -2 for none.
    """

    loading: np.ndarray
    standard_deviation: np.ndarray
    own_weight: np.ndarray
    prior_mean: np.ndarray
    prior_sd: np.ndarray
    prior_group: np.ndarray


def shrunk_loadings(
    loading: np.ndarray,
    standard_error: np.ndarray,
    group: np.ndarray,
    *,
    wanted: np.ndarray | None = None,
    min_funds: int = 5,
) -> ShrunkLoadings:
    """Normal posterior of each loading, given its estimate and the cross-section of the fund's group on that session.

    With estimate b of error s, and group mean m of variance v_m and true spread tau,
    ``w = tau**2 / (tau**2 + s**2)``; mean ``w b + (1 - w) m``, variance ``w s**2 + (1 - w)**2 v_m``.

    Parameters
    ----------
    loading, standard_error : (R, N, K) float64, NaN where not estimated; the error best robust (``factor_regression``).
    group : (N,) int, 0.. the asset class, -1 where it is not known: such a fund is drawn to all funds, as are those of
        groups with fewer than ``min_funds`` estimates.
    wanted : (R, N) bool, funds that get the prior itself where they have no estimate; by default none.
    min_funds : estimates needed for a cross-section, at least 3.

    Returns
    -------
    ShrunkLoadings. NaN where there is no estimate (and none is wanted), or where not even all funds together are enough.
    An estimate without error stays as it is.

    Raises
    ------
    ValueError : shapes that do not belong together, too few ``min_funds``.

    Notes
    -----
    Prior of each factor by itself, by the method of moments: tau is where the squared distances from the mean, over
    ``tau**2 + s**2``, average to what they should (Paule and Mandel 1982, Journal of Research of the National Bureau of
    Standards 87, 377-385), so that the sampling error of the estimates is not taken for a spread of the funds. Robust as
    Huber's "proposal 2": both moments clip at 2.5 deviations, so that a leveraged fund does not widen its group. Each
    session's cross-section stands alone: nothing later enters.
    """
    count, funds, factors = loading.shape
    if standard_error.shape != loading.shape or group.shape != (funds,):
        raise ValueError(
            f"loading {loading.shape}, standard_error {standard_error.shape} and group {group.shape} must belong together"
        )
    if min_funds < 3:
        raise ValueError(f"min_funds must be at least 3, not {min_funds}")
    served = np.zeros((count, funds), dtype=bool) if wanted is None else np.asarray(wanted, dtype=bool)
    if served.shape != (count, funds):
        raise ValueError(f"wanted {served.shape} must be ({count}, {funds})")
    out = np.full((factors, 5, count, funds), np.nan)
    used = np.full((factors, count, funds), -2, dtype=np.int64)
    classes = np.ascontiguousarray(group, dtype=np.int64)
    drawn = np.ascontiguousarray(served)

    def work(indices: np.ndarray) -> None:
        for k in indices:
            _shrink(
                np.ascontiguousarray(loading[:, :, k], dtype=np.float64),
                np.ascontiguousarray(standard_error[:, :, k], dtype=np.float64),
                classes,
                drawn,
                int(group.max(initial=-1)) + 1,
                min_funds,
                out[k],
                used[k],
            )

    over_columns(work, factors)
    mean, deviation, weight, prior_mean, prior_sd = np.moveaxis(out, 0, -1)
    return ShrunkLoadings(mean, deviation, weight, prior_mean, prior_sd, np.moveaxis(used, 0, -1))


@njit(cache=True, nogil=True, error_model="numpy")
def _shrink(
    loading: np.ndarray,
    error: np.ndarray,
    group: np.ndarray,
    wanted: np.ndarray,
    groups: int,
    min_funds: int,
    out: np.ndarray,
    used: np.ndarray,
) -> None:
    """Moments of each group and, as the last, of all funds; then every fund's posterior."""
    rows, funds = loading.shape
    mean = np.empty(groups + 1)
    spread = np.empty(groups + 1)
    doubt = np.empty(groups + 1)
    enough = np.empty(groups + 1, dtype=np.bool_)
    b = np.empty(funds)
    s = np.empty(funds)
    for t in range(rows):
        for g in range(groups + 1):
            n = 0
            for j in range(funds):
                if (
                    (g == groups or group[j] == g)
                    and not np.isnan(loading[t, j])
                    and not np.isnan(error[t, j])
                ):
                    b[n] = loading[t, j]
                    s[n] = error[t, j] * error[t, j]
                    n += 1
            enough[g] = n >= min_funds
            if enough[g]:
                mean[g], spread[g], doubt[g] = moment_prior(b[:n], s[:n])
        for j in range(funds):
            own = not np.isnan(loading[t, j]) and not np.isnan(error[t, j])
            if not own and not wanted[t, j]:
                continue
            g = group[j]
            if g < 0 or not enough[g]:
                g = groups
            if not enough[g]:
                continue
            used[t, j] = g if g < groups else -1
            weight = 0.0
            if own:
                noise = error[t, j] * error[t, j]
                weight = spread[g] / (spread[g] + noise) if noise > 0.0 else 1.0
                out[0, t, j] = weight * loading[t, j] + (1.0 - weight) * mean[g]
                out[1, t, j] = np.sqrt(weight * noise + (1.0 - weight) ** 2 * doubt[g])
            else:
                out[0, t, j] = mean[g]
                out[1, t, j] = np.sqrt(spread[g] + doubt[g])
            out[2, t, j] = weight
            out[3, t, j] = mean[g]
            out[4, t, j] = np.sqrt(spread[g])


@njit(cache=True, nogil=True, error_model="numpy")
def moment_prior(b: np.ndarray, noise: np.ndarray) -> tuple[float, float, float]:
    """Mean of the true values, their variance, and the mean's own variance, from estimates (n,) and their variances."""
    middle = np.median(b)
    widest = 0.0
    for i in range(len(b)):
        widest = max(widest, (b[i] - middle) ** 2)
    if widest == 0.0:
        return middle, 0.0, 0.0
    # Never exactly zero, where estimates without error would divide by it.
    low = 1e-12 * widest
    high = 4.0 * widest
    at = low
    if _excess(b, noise, low, middle) > 0.0:
        for _ in range(_ROUNDS):
            at = np.sqrt(low * high)
            if _excess(b, noise, at, middle) > 0.0:
                low = at
            else:
                high = at
    mean = _huber_mean(b, noise, at, middle)
    total = 0.0
    for i in range(len(b)):
        total += 1.0 / (noise[i] + at)
    return mean, at, 1.0 / total


@njit(cache=True, nogil=True, error_model="numpy")
def _huber_mean(b: np.ndarray, noise: np.ndarray, spread: float, start: float) -> float:
    """Mean weighted by ``1 / (noise + spread)``, and by less beyond HUBER deviations."""
    mean = start
    for _ in range(_ROUNDS):
        total = 0.0
        weighted = 0.0
        for i in range(len(b)):
            scale = np.sqrt(noise[i] + spread)
            weight = 1.0 / (noise[i] + spread)
            distance = abs(b[i] - mean) / scale
            if distance > HUBER:
                weight *= HUBER / distance
            total += weight
            weighted += weight * b[i]
        step = weighted / total - mean
        mean += step
        if abs(step) <= 1e-13 * (abs(mean) + abs(start)):
            break
    return mean


@njit(cache=True, nogil=True, error_model="numpy")
def _excess(b: np.ndarray, noise: np.ndarray, spread: float, start: float) -> float:
    """How far the clipped squared distances average above what they should."""
    mean = _huber_mean(b, noise, spread, start)
    total = 0.0
    for i in range(len(b)):
        total += min((b[i] - mean) ** 2 / (noise[i] + spread), HUBER * HUBER)
    return total / (len(b) - 1.0) - _CLIPPED_SQUARE


def moment_prior_reference(b: np.ndarray, noise: np.ndarray) -> tuple[float, float, float]:
    """What ``moment_prior`` computes, by scipy's root finders; ``b`` not all equal."""

    def mean(spread: float) -> float:
        scale = np.sqrt(noise + spread)
        found = optimize.brentq(
            lambda m: float((np.clip((b - m) / scale, -HUBER, HUBER) / scale).sum()),
            b.min() - 1.0,
            b.max() + 1.0,
            xtol=1e-14,
        )
        return float(found)

    def excess(spread: float) -> float:
        square = (b - mean(spread)) ** 2 / (noise + spread)
        return float(np.minimum(square, HUBER**2).sum() / (len(b) - 1) - _CLIPPED_SQUARE)

    widest = float(((b - np.median(b)) ** 2).max())
    least = 1e-12 * widest
    spread = least if excess(least) <= 0 else float(optimize.brentq(excess, least, 4 * widest, xtol=1e-15))
    return mean(spread), spread, float(1.0 / (1.0 / (noise + spread)).sum())
