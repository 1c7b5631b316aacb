"""Are losses beyond value at risk as large as expected shortfall says: Acerbi and Szekely's tests.

With severity = return / expected shortfall of each exception (both negative, so about one), the statistics are

``Z1 = 1 - mean severity`` and ``Z2 = 1 - sum of severities / (observations * probability)``,

expected zero, and negative where risk is underestimated. Their distribution depends on the forecast
distribution beyond value at risk, of which the two forecasts fix the start and the mean. The p-values take
what lies beyond as exponential: given both, the distribution of greatest entropy, with a tail between the normal's
and Student's t. Exceptions being binomial, the sum of severities is then a compound of binomial and gamma
and its tail probability a finite sum: no simulation, no seed.

Acerbi and Szekely (2014), Backtesting expected shortfall, Risk. At 250 sessions and 2.5 % their critical
values of Z2 under normal returns are -0.70 (5 %) and -1.8 (0.01 %); these p-values give -0.702 and -1.801.
"""

from __future__ import annotations

import numpy as np
from scipy import special


def z1_p_value(z1: np.ndarray, exceptions: np.ndarray, tail_ratio: np.ndarray) -> np.ndarray:
    """Probability of a Z1 as low or lower, given the number of exceptions.

    Parameters
    ----------
    z1 : (K,) float64.
    exceptions : (K,) int.
    tail_ratio : (K,) float64, value at risk / expected shortfall, in (0, 1]; the mean where it varies.

    Returns
    -------
    (K,) float64, NaN without exceptions. At ``tail_ratio`` one, losses beyond value at risk are held
    impossible: zero for any negative Z1.
    """
    count = np.asarray(exceptions, dtype=np.float64)
    return np.where(count > 0, _at_least(count, count * (1.0 - np.asarray(z1)), tail_ratio), np.nan)


def z2_p_value(
    z2: np.ndarray,
    observations: np.ndarray,
    probability: np.ndarray,
    tail_ratio: np.ndarray,
) -> np.ndarray:
    """Probability of a Z2 as low or lower.

    Parameters
    ----------
    z2 : (K,) float64.
    observations : (K,) int.
    probability : (K,) float64, of an exception.
    tail_ratio : (K,) float64, as in ``z1_p_value``.

    Returns
    -------
    (K,) float64, one where there was no exception (Z2 = 1), NaN without observations.
    """
    n, p = np.asarray(observations, dtype=np.float64), np.asarray(probability, dtype=np.float64)
    observed = n * p * (1.0 - np.asarray(z2))
    exceeds = (n > 0) & (observed > 0)
    # Binomial terms further than this from the mean are below 1e-12 in sum.
    reach = 8.0 * np.sqrt(n * p) + 24.0
    first = np.maximum(np.floor(n * p - reach), 1.0)
    terms = np.where(exceeds, np.minimum(np.ceil(n * p + reach), n) - first + 1.0, 0.0).astype(np.int64)
    row = np.repeat(np.arange(len(n)), terms)
    count = first[row] + (np.arange(len(row)) - np.repeat(np.cumsum(terms) - terms, terms))
    log_weight = (
        special.gammaln(n[row] + 1)
        - special.gammaln(count + 1)
        - special.gammaln(n[row] - count + 1)
        + special.xlogy(count, p[row])
        + special.xlog1py(n[row] - count, -p[row])
    )
    # special.exp2 is a scalar loop: the same bits wherever a row stands in the table.
    weight = special.exp2(log_weight / np.log(2.0))
    tail = weight * _at_least(count, observed[row], np.asarray(tail_ratio)[row])
    # bincount adds in order, row by row.
    total = np.minimum(np.bincount(row, weights=tail, minlength=len(n)), 1.0)
    return np.where(n > 0, np.where(exceeds, total, 1.0), np.nan)


def _at_least(count: np.ndarray, severity: np.ndarray, tail_ratio: np.ndarray) -> np.ndarray:
    """Probability that ``count`` severities ``v + (1 - v) E``, E exponential, sum to ``severity`` or more."""
    beyond = severity - count * tail_ratio
    spread = 1.0 - np.asarray(tail_ratio)
    # Rounding of the sum must not pass for a loss where none can lie beyond.
    certain = beyond <= 1e-12 * count
    scaled = np.where(certain, 0.0, beyond) / np.where(spread > 0, spread, np.nan)
    return np.where(
        certain, 1.0, np.where(spread > 0, special.gammaincc(np.maximum(count, 1.0), scaled), 0.0)
    )
