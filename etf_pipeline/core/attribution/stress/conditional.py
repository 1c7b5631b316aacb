"""What factors are expected to do, given what others do: the regression that a factor covariance implies."""

from __future__ import annotations

import numpy as np

_FLAT = 1e-12
"""Variances of directions below this part of the largest are rounding: such a direction tells nothing."""


def conditional_moves(
    known: np.ndarray, covariance: np.ndarray, *, others: str = "conditional"
) -> tuple[np.ndarray, np.ndarray]:
    """Fill unnamed moves by their expectation given the named ones.

    Parameters
    ----------
    known : (D, K) float64, moves of one session; NaN where not named (or not observed).
    covariance : (K, K) float64, of one session's moves.
    others : "conditional", or "unchanged" for a move of zero, certain by assumption.

    Returns
    -------
    moves : (D, K) float64 without NaN.
    uncertainty : (D, K, K) float64, covariance of what was filled given what was known; zero elsewhere, and zero
        throughout where the others are unchanged.

    Raises
    ------
    ValueError : an unknown ``others``, a covariance that is not (K, K), finite and symmetric.

    Notes
    -----
    ``E[b | a] = S_ba S_aa^-1 a`` and ``S_bb - S_ba S_aa^-1 S_ab`` (a normal or any elliptical distribution), as in
    Kupiec (1998), Stress testing in a value at risk framework, Journal of Derivatives 6, 7-24. A pseudo-inverse: a
    factor that does not move in the covariance tells nothing about others. With nothing known all are expected to
    stand still, with their whole covariance as uncertainty.
    """
    x = np.asarray(known, dtype=np.float64)
    k = x.shape[1]
    check_covariance(covariance, k)
    if others not in ("conditional", "unchanged"):
        raise ValueError(f"others is {others!r}: allowed are 'conditional' and 'unchanged'")
    missing = np.isnan(x)
    moves = np.where(missing, 0.0, x)
    uncertainty = np.zeros((len(x), k, k))
    if others == "unchanged" or not missing.any():
        return moves, uncertainty
    if (missing == missing[0]).all():
        patterns, which = missing[:1], np.zeros(len(x), dtype=np.int64)
    else:
        patterns, which = np.unique(missing, axis=0, return_inverse=True)
    for number, unknown in enumerate(patterns):
        if not unknown.any():
            continue
        rows = np.flatnonzero(which.ravel() == number)
        a, b = np.flatnonzero(~unknown), np.flatnonzero(unknown)
        within = covariance[np.ix_(b, b)]
        if len(a):
            slope = covariance[np.ix_(b, a)] @ inverse_covariance(covariance[np.ix_(a, a)])
            moves[np.ix_(rows, b)] = x[np.ix_(rows, a)] @ slope.T
            within = within - slope @ covariance[np.ix_(a, b)]
        part = np.zeros((k, k))
        part[np.ix_(b, b)] = 0.5 * (within + within.T)
        uncertainty[rows] = part
    return moves, uncertainty


def check_covariance(covariance: np.ndarray, k: int) -> None:
    """Refuse what is no covariance of K factors.

    Raises
    ------
    ValueError : another shape, not finite, not symmetric or a negative variance.
    """
    if covariance.shape != (k, k) or not np.isfinite(covariance).all():
        raise ValueError(f"a covariance of {k} factors is ({k}, {k}) and finite; given is {covariance.shape}")
    scale = np.sqrt(np.abs(np.diag(covariance)))
    unequal = np.abs(covariance - covariance.T) > 1e-9 * np.outer(scale, scale)
    if unequal.any() or (np.diag(covariance) < 0).any():
        raise ValueError("the factor covariance is not symmetric with variances of at least 0")


def inverse_covariance(matrix: np.ndarray) -> np.ndarray:
    """Pseudo-inverse by correlations, so that the units of the factors do not matter."""
    scale = np.sqrt(np.diag(matrix))
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    correlation = matrix * np.outer(inverse, inverse)
    size, direction = np.linalg.eigh(correlation)
    told = size > _FLAT * size[-1]
    root = direction[:, told] / np.sqrt(size[told]) * inverse[:, None]
    return np.asarray(root @ root.T)
