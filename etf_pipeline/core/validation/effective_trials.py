"""How many independent things were tried: trials that do the same count once.

Many trials are variations of few ideas. What the best of them owes to luck depends on the number of ideas and on how far
their Sharpe ratios lie apart (``deflated_sharpe_ratio``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from etf_pipeline.core.parallel import over_tasks
from etf_pipeline.core.validation.sharpe_ratio import sharpe_ratio

_SAME = 1e-6
"""Distance up to which two trials are the same: a correlation of 1 within 2e-12."""
_STRUCTURE = 0.25
"""Mean silhouette below which clusters are no substantial structure (Kaufman and Rousseeuw 1990)."""
_COLUMNS = 256
"""Trials correlated with all others at a time."""


@dataclass(frozen=True)
class EffectiveTrials:
    """K trials in C clusters.

    Attributes
    ----------
    number : C, effective number of independent trials.
    participation : number of equal and independent trials that would have as much correlation in sum, 1 to K, not
        whole. Duplicates and what correlation chance alone makes are left out.
    cluster : (K,) int64, cluster of each trial, numbered in order of their first trials.
    silhouette : mean silhouette of the trials in these clusters; NaN for one cluster or one trial.
    sharpe : (C,) float64 per period, of the mean of each cluster's trials, all at the same volatility; NaN where that
        does not vary.
    sharpe_variance : between clusters (divisor C - 1); NaN with fewer than two.
    """

    number: int
    participation: float
    cluster: np.ndarray
    silhouette: float
    sharpe: np.ndarray
    sharpe_variance: float


def effective_trials(
    returns: np.ndarray, *, min_correlation: float = 0.5, min_overlap: int = 60
) -> EffectiveTrials:
    """Cluster trials by the correlation of their returns.

    Parameters
    ----------
    returns : (T, K) float64, K at least 1, NaN outside the dates of a trial.
    min_correlation : clusters are joined only while their members correlate so much with each other, as their mean distance
        has it; 0.5 of two trials means that they have half of their variance in common.
    min_overlap : periods that two trials must have in common to be compared; others count as uncorrelated.

    Returns
    -------
    EffectiveTrials. A trial without variation, or without a neighbour of ``min_overlap`` periods, is a cluster of its own.

    Raises
    ------
    ValueError : no trial, an infinite return, a correlation that is not between 0 and 1.

    Notes
    -----
    As Lopez de Prado and Lewis (2019), Detection of false investment strategies using unsupervised learning methods,
    Quantitative Finance 19, 1555-1565, with two departures. Clusters come from average linkage on ``sqrt((1 - r) / 2)``:
    the same whatever the order, without a seed. And the number of clusters is that of the largest mean silhouette (Rousseeuw
    1987) only among those in which all joins are above ``min_correlation``; if even this is below 0.25, they are joined
    as far as that goes. A silhouette can say neither "one cluster" nor "no clusters": left alone it puts
    independent trials into few clusters, which makes the best of them look better than it is.

    What is correlated by less than ``min_correlation`` counts in full, which errs against the best trial: where one weak
    correlation runs through all trials, ``participation`` says how much. It is the larger of the two where clusters are
    loose.
    """
    r = np.asarray(returns, dtype=np.float64)
    if r.ndim != 2 or not r.shape[1] or np.isinf(r).any():
        raise ValueError(f"trials must be (T, K) returns, K at least 1, finite or NaN; given is {r.shape}")
    if not 0.0 < min_correlation < 1.0:
        raise ValueError(f"the correlation must lie between 0 and 1, not {min_correlation}")
    correlation, overlap = trial_correlation(r, min_overlap=min_overlap)
    label, silhouette = _clusters(correlation, min_correlation)
    sharpe = _cluster_sharpe(r, label)
    known = sharpe[~np.isnan(sharpe)]
    return EffectiveTrials(
        number=int(label.max()) + 1,
        participation=participation_number(correlation, overlap),
        cluster=label,
        silhouette=silhouette,
        sharpe=sharpe,
        sharpe_variance=float(known.var(ddof=1)) if len(known) > 1 else float("nan"),
    )


def trial_correlation(returns: np.ndarray, *, min_overlap: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of every two trials over the periods both have, and how many these are.

    Parameters
    ----------
    returns : (T, K) float64, NaN outside the dates of a trial; min_overlap : as in ``effective_trials``.

    Returns
    -------
    correlation : (K, K) float64, 1 on the diagonal; 0 with too few common periods or where one does not vary in them.
    overlap : (K, K) float64. The matrix of pairwise correlations need not be positive semidefinite.
    """
    r = np.asarray(returns, dtype=np.float64)
    there = np.isfinite(r)
    count = np.maximum(there.sum(axis=0), 1)
    x = np.where(there, r - np.where(there, r, 0.0).sum(axis=0) / count, 0.0)
    size = np.sqrt((x * x).sum(axis=0) / count)
    x = x / np.where(size > 0, size, 1.0)
    present = there.astype(np.float64)
    complete = bool(there.all())
    width = r.shape[1]

    def rows(task: int) -> tuple[np.ndarray, ...]:
        own = slice(task * _COLUMNS, (task + 1) * _COLUMNS)
        product = x[:, own].T @ x
        if complete:
            return (product,)
        # Periods in common, and sums of the one over the other's periods: of values, and of squares.
        return product, present[:, own].T @ present, x[:, own].T @ present, (x[:, own] ** 2).T @ present

    parts = over_tasks(rows, -(-width // _COLUMNS))
    found = [np.concatenate(part) for part in zip(*parts, strict=True)]
    if complete:
        overlap = np.full((width, width), float(len(r)))
        covariance = found[0]
        one = np.broadcast_to(np.diag(covariance)[:, None], covariance.shape)
        other = one.T
    else:
        product, overlap, total, square = found
        n = np.maximum(overlap, 1.0)
        covariance = product - total * total.T / n
        one = square - total**2 / n
        other = one.T
    varies = (one > 1e-12) & (other > 1e-12) & (overlap >= max(min_overlap, 2))
    correlation = np.where(varies, covariance / np.sqrt(np.where(varies, one * other, 1.0)), 0.0)
    correlation = np.clip(0.5 * (correlation + correlation.T), -1.0, 1.0)
    np.fill_diagonal(correlation, 1.0)
    return correlation, overlap


def participation_number(correlation: np.ndarray, overlap: np.ndarray) -> float:
    """Participation number of the eigenvalues of a correlation matrix, without its duplicates and its noise.

    Parameters
    ----------
    correlation, overlap : (K, K), of ``trial_correlation``.

    Returns
    -------
    Between 1 and the number of trials that are not the same.

    Notes
    -----
    ``(sum l)**2 / sum l**2 = K**2 / sum r**2``. Of uncorrelated trials over n periods, r squared is 1 / (n - 1) on average;
    ``1 - (1 - r**2) (n - 1) / (n - 2)``, as adjusted R squared, takes that off. Matrices with all eigenvalues equal have K,
    a single one different from zero 1.
    """
    distinct = _first_of_each(np.sqrt(0.5 * (1.0 - correlation)) <= _SAME)
    rho = correlation[np.ix_(distinct, distinct)]
    n = np.maximum(overlap[np.ix_(distinct, distinct)], 3.0)
    square = np.where(rho == 0.0, 0.0, 1.0 - (1.0 - rho * rho) * (n - 1.0) / (n - 2.0))
    np.fill_diagonal(square, 0.0)
    count = len(distinct)
    return float(np.clip(count**2 / (count + max(float(square.sum()), 0.0)), 1.0, count))


def _first_of_each(same: np.ndarray) -> np.ndarray:
    """Indices of the trials that no earlier one is the same as."""
    return np.flatnonzero(~np.tril(same, -1).any(axis=1))


def _clusters(correlation: np.ndarray, min_correlation: float) -> tuple[np.ndarray, float]:
    """(K,) cluster of each trial, and their mean silhouette."""
    count = len(correlation)
    if count == 1:
        return np.zeros(1, dtype=np.int64), float("nan")
    distance = np.sqrt(0.5 * (1.0 - correlation))
    np.fill_diagonal(distance, 0.0)
    tree = hierarchy.linkage(squareform(distance, checks=False), method="average")
    height = tree[:, 2]
    fewest = count - int((height <= np.sqrt(0.5 * (1.0 - min_correlation))).sum())
    most = count - int((height <= _SAME).sum())
    silhouette = np.full(count + 1, np.nan)
    _silhouettes(distance, tree[:, :2].astype(np.int64), silhouette)
    number = fewest
    candidates = np.arange(max(fewest, 2), most + 1)
    if len(candidates):
        # Of several with the same silhouette the most clusters: the judgement that is less kind.
        best = int(candidates[::-1][np.argmax(silhouette[candidates][::-1])])
        number = best if silhouette[best] >= _STRUCTURE else fewest
    return _cut(tree, count, number), float(silhouette[number])


def _cut(tree: np.ndarray, count: int, number: int) -> np.ndarray:
    """(K,) clusters after ``count - number`` joins, numbered in order of their first trials."""
    parent = np.arange(2 * count - 1)
    for step in range(count - number):
        parent[tree[step, :2].astype(np.int64)] = count + step
    for node in range(2 * count - 2, -1, -1):  # parents have larger numbers: they are resolved first
        parent[node] = parent[parent[node]]
    _, first, label = np.unique(parent[:count], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first, kind="stable"), kind="stable")[label]


def _cluster_sharpe(returns: np.ndarray, label: np.ndarray) -> np.ndarray:
    """(C,) Sharpe ratio of the mean of each cluster's members that are there, each over its own volatility."""
    there = np.isfinite(returns)
    count = np.maximum(there.sum(axis=0), 1)
    filled = np.where(there, returns, 0.0)
    mean = filled.sum(axis=0) / count
    size = np.sqrt((np.where(there, returns - mean, 0.0) ** 2).sum(axis=0) / count)
    scaled = filled / np.where(size > 0, size, 1.0)
    order = np.argsort(label, kind="stable")
    begins = np.searchsorted(label[order], np.arange(int(label.max()) + 1))
    members = np.add.reduceat(there[:, order].astype(np.float64), begins, axis=1)
    total = np.add.reduceat(scaled[:, order], begins, axis=1)
    return sharpe_ratio(np.where(members > 0, total / np.maximum(members, 1.0), np.nan))


@njit(cache=True, nogil=True)
def _nearest(sums: np.ndarray, size: np.ndarray, alive: np.ndarray, i: int, own: int) -> int:
    """The cluster, other than its own, to which trial i has the smallest mean distance; -1 if there is none."""
    best, least = -1, np.inf
    for c in alive:
        if c != own and sums[i, c] < least * size[c]:
            best, least = c, sums[i, c] / size[c]
    return best


@njit(cache=True, nogil=True)
def _silhouettes(distance: np.ndarray, joins: np.ndarray, out: np.ndarray) -> None:
    """Mean silhouette after each join of a tree.

    Parameters
    ----------
    distance : (K, K); joins : (K - 1, 2), of scipy's linkage.
    out : (K + 1,), written to at the numbers of clusters from K to 2. A cluster of one has silhouette 0.

    Notes
    -----
    A join leaves the nearest cluster of all trials but those whose nearest took part in it.
    """
    count = len(distance)
    sums = distance.copy()
    size = np.ones(count)
    own = np.arange(count)
    slot = np.empty(2 * count - 1, np.int64)  # where the sums of a node of the tree are kept
    slot[:count] = own
    alive = own.copy()
    nearest = np.empty(count, np.int64)
    for i in range(count):
        nearest[i] = _nearest(sums, size, alive, i, own[i])
    out[count] = 0.0
    for step in range(count - 2):
        a, b = slot[joins[step, 0]], slot[joins[step, 1]]
        slot[count + step] = a
        size[a] += size[b]
        alive = alive[alive != b]
        for i in range(count):
            sums[i, a] += sums[i, b]
            if own[i] == b:
                own[i] = a
        total = 0.0
        for i in range(count):
            if nearest[i] == a or nearest[i] == b:
                nearest[i] = _nearest(sums, size, alive, i, own[i])
            if size[own[i]] > 1.0:
                inside = sums[i, own[i]] / (size[own[i]] - 1.0)
                outside = sums[i, nearest[i]] / size[nearest[i]]
                if max(inside, outside) > 0.0:
                    total += (outside - inside) / max(inside, outside)
        out[count - step - 1] = total / count
