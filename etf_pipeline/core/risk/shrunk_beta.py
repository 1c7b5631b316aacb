"""Vasicek's beta: an uncertain estimate is drawn towards its peers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit


@dataclass(frozen=True)
class ShrunkBetaPanel:
    """Betas drawn towards the mean of the cross-section.

    Attributes
    ----------
    beta : (S, N) float64.
    own_weight : (S, N) float64, 0..1: weight of the fund's own estimate.
    standard_error : (S, N) float64, posterior, never above the own estimate's.
    """

    beta: np.ndarray
    own_weight: np.ndarray
    standard_error: np.ndarray


def shrunk_beta(
    beta: np.ndarray, standard_error: np.ndarray, class_index: np.ndarray, *, min_funds: int = 5
) -> ShrunkBetaPanel:
    """Weighted mean of each fund's beta and its asset class's mean beta of the same session.

    With the estimate b of error s, and mean m and variance v of the estimates of the class (or of all funds, where
    the class has fewer than ``min_funds`` estimates or is not known), ``w = v / (v + s**2)`` and
    ``beta = w b + (1 - w) m``; the error is ``s sqrt(w)``.

    Parameters
    ----------
    beta, standard_error : (S, N) float64; the error best robust to autocorrelation (``hac_standard_error``).
    class_index : (N,) int, 0.. the asset class, -1 where it is not known.
    min_funds : estimates needed for a cross-section, at least 2.

    Returns
    -------
    ShrunkBetaPanel. NaN where beta or error is NaN, or not even all funds together are enough. A beta without error
    stays as it is. Funds without an estimate on the session do not count.

    Notes
    -----
    Vasicek (1973), Journal of Finance 28, 1233-1239. The prior's variance is, as usual, that of the estimates
    (divisor n - 1) with their errors in it, which shrinks too little rather than too much.
    """
    if min_funds < 2:
        raise ValueError(f"min_funds must be at least 2, not {min_funds}")
    out = np.full((3, *beta.shape), np.nan)
    _shrink(
        np.ascontiguousarray(beta, dtype=np.float64),
        np.ascontiguousarray(standard_error, dtype=np.float64),
        np.ascontiguousarray(class_index, dtype=np.int64),
        int(class_index.max(initial=-1)) + 1,
        min_funds,
        out,
    )
    return ShrunkBetaPanel(*out)


@njit(cache=True, nogil=True, error_model="numpy")
def _shrink(
    beta: np.ndarray,
    error: np.ndarray,
    class_index: np.ndarray,
    classes: int,
    min_funds: int,
    out: np.ndarray,
) -> None:
    """Mean and variance of each class and, as the last class, of all funds; then every fund's weighted mean."""
    rows, funds = beta.shape
    count = np.empty(classes + 1)
    mean = np.empty(classes + 1)
    square = np.empty(classes + 1)
    for t in range(rows):
        count[:] = 0.0
        mean[:] = 0.0
        square[:] = 0.0
        for j in range(funds):
            if np.isnan(beta[t, j]) or np.isnan(error[t, j]):
                continue
            # Welford's update: no cancellation, however large the betas.
            for c in (class_index[j], classes):
                if c >= 0:
                    count[c] += 1.0
                    step = beta[t, j] - mean[c]
                    mean[c] += step / count[c]
                    square[c] += step * (beta[t, j] - mean[c])
        for j in range(funds):
            if np.isnan(beta[t, j]) or np.isnan(error[t, j]):
                continue
            c = class_index[j]
            if c < 0 or count[c] < min_funds:
                c = classes
            if count[c] < min_funds:
                continue
            noise = error[t, j] * error[t, j]
            variance = square[c] / (count[c] - 1.0)
            weight = variance / (variance + noise) if noise > 0.0 else 1.0
            out[0, t, j] = weight * beta[t, j] + (1.0 - weight) * mean[c]
            out[1, t, j] = weight
            out[2, t, j] = error[t, j] * np.sqrt(weight)


def shrunk_beta_reference(
    beta: np.ndarray, standard_error: np.ndarray, class_index: np.ndarray, min_funds: int
) -> np.ndarray:
    """Shrunk betas (N,) of one session from the formula.

    Parameters
    ----------
    beta, standard_error : (N,) float64.
    class_index : (N,) int.
    min_funds : estimates needed for a cross-section.
    """
    out = np.full(len(beta), np.nan)
    known = ~np.isnan(beta) & ~np.isnan(standard_error)
    for j in np.flatnonzero(known):
        peers = known & (class_index == class_index[j])
        if class_index[j] < 0 or peers.sum() < min_funds:
            peers = known
        if peers.sum() < min_funds:
            continue
        prior, noise = beta[peers].var(ddof=1), standard_error[j] ** 2
        out[j] = (prior * beta[j] + noise * beta[peers].mean()) / (prior + noise) if noise else beta[j]
    return out
