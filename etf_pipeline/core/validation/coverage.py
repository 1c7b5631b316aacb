"""Do exceptions come as often as they should, and apart from each other: likelihood-ratio tests."""

from __future__ import annotations

import numpy as np
from scipy import special

ACCEPTED_BELOW = float(special.chdtri(1, 0.05))
"""3.841, the 95 % point of chi-squared with one degree of freedom."""


def kupiec_statistic(
    exceptions: np.ndarray | float, observations: np.ndarray | float, probability: np.ndarray | float
) -> np.ndarray:
    """Likelihood ratio of unconditional coverage, chi-squared with one degree of freedom.

    Parameters
    ----------
    exceptions, observations, probability : arrays or numbers that broadcast; ``probability`` of an
        exception, e.g. 0.01.

    Returns
    -------
    float64 of the common shape, never negative; NaN without observations.

    Notes
    -----
    Kupiec (1995), Techniques for verifying the accuracy of risk measurement models, J. Derivatives 3, with
    0 log 0 = 0.
    """
    x, n = np.asarray(exceptions, dtype=np.float64), np.asarray(observations, dtype=np.float64)
    share = x / np.where(n > 0, n, np.nan)
    supposed = special.xlogy(x, probability) + special.xlog1py(n - x, -np.asarray(probability))
    observed = special.xlogy(x, share) + special.xlog1py(n - x, -share)
    return np.maximum(2.0 * (observed - supposed), 0.0)


def acceptance_band(
    observations: np.ndarray, probability: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Fewest and most exceptions that Kupiec's test does not reject at 95 %.

    Parameters
    ----------
    observations : (K,) int.
    probability : of an exception; a number or (K,).

    Returns
    -------
    lowest, highest : (K,) int64, both accepted; 0 and 0 without observations.

    Notes
    -----
    The region of the likelihood ratio, as in the published table of Kupiec (1995), not an exact binomial
    interval: the band and the p-value always agree.
    """
    n = np.asarray(observations, dtype=np.int64)
    middle = n * np.asarray(probability)

    def edge(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
        """The accepted count furthest from ``inner``, which is accepted, by bisection towards ``outer``."""
        while (np.abs(outer - inner) > 1).any():
            halfway = (inner + outer) // 2
            accepted = kupiec_statistic(halfway, n, probability) <= ACCEPTED_BELOW
            inner, outer = np.where(accepted, halfway, inner), np.where(accepted, outer, halfway)
        return inner

    # The statistic rises on either side of the expected count; outside 0..n nothing can be observed.
    below, above = np.floor(middle).astype(np.int64), np.ceil(middle).astype(np.int64)
    inside = np.where(kupiec_statistic(below, n, probability) <= ACCEPTED_BELOW, below, above)
    lowest = edge(inside, np.full_like(n, -1))
    inside = np.where(kupiec_statistic(above, n, probability) <= ACCEPTED_BELOW, above, below)
    return lowest, edge(inside, n + 1)


def independence_statistic(transitions: np.ndarray) -> np.ndarray:
    """Likelihood ratio of independence against a first-order Markov chain, chi-squared with one degree.

    Parameters
    ----------
    transitions : (..., 2, 2) counts: [..., i, j] times state j followed state i; state 1 is an exception.

    Returns
    -------
    (...) float64, never negative; zero where no exception was followed or follows (nothing speaks against
    independence), NaN without transitions.

    Notes
    -----
    Christoffersen (1998), Evaluating interval forecasts, International Economic Review 39.
    """
    n = np.asarray(transitions, dtype=np.float64)
    before = n.sum(axis=-1)
    after = n.sum(axis=-2)
    total = before.sum(axis=-1)

    def likelihood(calm: np.ndarray, hit: np.ndarray) -> np.ndarray:
        trials = np.where(calm + hit > 0, calm + hit, 1.0)
        return special.xlogy(hit, hit / trials) + special.xlogy(calm, calm / trials)

    alike = likelihood(after[..., 0], after[..., 1])
    apart = likelihood(n[..., 0, 0], n[..., 0, 1]) + likelihood(n[..., 1, 0], n[..., 1, 1])
    return np.where(total > 0, np.maximum(2.0 * (apart - alike), 0.0), np.nan)


def chi_squared_p_value(statistic: np.ndarray | float, degrees_of_freedom: int) -> np.ndarray:
    """Probability of a larger statistic; NaN where it is NaN."""
    return special.chdtrc(degrees_of_freedom, statistic)
