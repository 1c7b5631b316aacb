"""Gradient boosting of small regression trees on binned features, compiled.

scikit-learn's ``HistGradientBoostingRegressor`` grows the same trees, and is what the kernel is tested against; but
its growing is driven from Python, so hundreds of small fits neither run fast nor side by side in threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit

BINS = 32


def to_bins(values: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Features as numbers of equally wide bins, fixed beforehand: no fit has to look for its own.

    Parameters
    ----------
    values : (R, K) finite; limit : (K,) positive, values beyond +-limit fall into the outermost bins.

    Returns
    -------
    (R, K) uint8, 0 to ``BINS - 1``.
    """
    place = np.floor((values / limit + 1.0) * (0.5 * BINS))
    return np.clip(place, 0, BINS - 1).astype(np.uint8)


@njit(cache=True, nogil=True)
def boost(
    binned: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    ahead: np.ndarray,
    rounds: int,
    rate: float,
    leaves: int,
    smallest_leaf: int,
) -> np.ndarray:
    """Fit by weighted least squares and forecast.

    Parameters
    ----------
    binned : (R, K) uint8 below ``BINS``; target : (R,) finite; weight : (R,) positive.
    ahead : (F, K) uint8, rows to forecast.
    rounds : trees; rate : share of each that is added; leaves : of a tree at most, the best split first.
    smallest_leaf : rows.

    Returns
    -------
    (F,) float64: the weighted mean plus the trees. Zeros without rows.

    Notes
    -----
    Friedman (2001), Annals of Statistics 29, 1189-1232. No randomness; equal gains go to the first feature and bin.
    """
    rows, features = binned.shape
    out = np.zeros(len(ahead))
    if rows == 0:
        return out
    total = 0.0
    mean = 0.0
    for i in range(rows):
        total += weight[i]
        mean += weight[i] * target[i]
    mean /= total
    out[:] = mean
    residual = target - mean
    order = np.empty(rows, dtype=np.int64)
    spare = np.empty(rows, dtype=np.int64)
    histogram = np.zeros((2 * leaves, features, BINS, 3))
    begin = np.zeros(2 * leaves, dtype=np.int64)
    end = np.zeros(2 * leaves, dtype=np.int64)
    split_feature = np.zeros(2 * leaves, dtype=np.int64)
    split_bin = np.zeros(2 * leaves, dtype=np.int64)
    gain = np.zeros(2 * leaves)
    child = np.zeros(2 * leaves, dtype=np.int64)
    value = np.zeros(2 * leaves)
    for _ in range(rounds):
        for i in range(rows):
            order[i] = i
        begin[0], end[0], child[0] = 0, rows, 0
        _fill(histogram[0], binned, residual, weight, order, 0, rows)
        gain[0], split_feature[0], split_bin[0] = _best_split(histogram[0], smallest_leaf)
        nodes = 1
        while nodes + 1 < 2 * leaves:
            best = -1
            for node in range(nodes):
                if child[node] == 0 and gain[node] > 0.0 and (best < 0 or gain[node] > gain[best]):
                    best = node
            if best < 0:
                break
            left, right = nodes, nodes + 1
            middle = _partition(
                order, spare, binned, begin[best], end[best], split_feature[best], split_bin[best]
            )
            child[best] = left
            begin[left], end[left], child[left] = begin[best], middle, 0
            begin[right], end[right], child[right] = middle, end[best], 0
            small, large = (
                (left, right) if end[left] - begin[left] <= end[right] - begin[right] else (right, left)
            )
            _fill(histogram[small], binned, residual, weight, order, begin[small], end[small])
            histogram[large] = histogram[best] - histogram[small]
            for node in (left, right):
                gain[node], split_feature[node], split_bin[node] = _best_split(histogram[node], smallest_leaf)
            nodes += 2
        for node in range(nodes):
            if child[node] == 0:
                moment, mass = 0.0, 0.0
                for i in order[begin[node] : end[node]]:
                    moment += weight[i] * residual[i]
                    mass += weight[i]
                value[node] = rate * moment / mass
                for i in order[begin[node] : end[node]]:
                    residual[i] -= value[node]
        for i in range(len(ahead)):
            node = 0
            while child[node] > 0:
                node = child[node] + (1 if ahead[i, split_feature[node]] > split_bin[node] else 0)
            out[i] += value[node]
    return out


@njit(cache=True, nogil=True)
def _fill(
    histogram: np.ndarray,
    binned: np.ndarray,
    residual: np.ndarray,
    weight: np.ndarray,
    order: np.ndarray,
    begin: int,
    end: int,
) -> None:
    """Sums of weighted residuals, of weights, and counts by feature and bin."""
    histogram[:] = 0.0
    for i in order[begin:end]:
        w = weight[i]
        wr = w * residual[i]
        for k in range(binned.shape[1]):
            cell = histogram[k, binned[i, k]]
            cell[0] += wr
            cell[1] += w
            cell[2] += 1.0


@njit(cache=True, nogil=True)
def _best_split(histogram: np.ndarray, smallest_leaf: int) -> tuple[float, int, int]:
    """Largest fall of the weighted squared error, with its feature and the last bin that goes left."""
    best, feature, place = 0.0, 0, 0
    for k in range(histogram.shape[0]):
        moment, mass, count = 0.0, 0.0, 0.0
        for b in range(histogram.shape[1]):
            moment += histogram[k, b, 0]
            mass += histogram[k, b, 1]
            count += histogram[k, b, 2]
        left_moment, left_mass, left_count = 0.0, 0.0, 0.0
        for b in range(histogram.shape[1] - 1):
            left_moment += histogram[k, b, 0]
            left_mass += histogram[k, b, 1]
            left_count += histogram[k, b, 2]
            if left_count < smallest_leaf or histogram[k, b, 2] == 0.0:
                continue
            if count - left_count < smallest_leaf:
                break
            right_moment, right_mass = moment - left_moment, mass - left_mass
            gain = (
                left_moment * left_moment / left_mass
                + right_moment * right_moment / right_mass
                - moment * moment / mass
            )
            if gain > best * (1.0 + 1e-12):
                best, feature, place = gain, k, b
    return best, feature, place


@njit(cache=True, nogil=True)
def _partition(
    order: np.ndarray, spare: np.ndarray, binned: np.ndarray, begin: int, end: int, feature: int, place: int
) -> int:
    """Rows of a node that go left first, both halves in their old order; returns where the right half begins."""
    middle, rest = begin, 0
    for at in range(begin, end):
        i = order[at]
        if binned[i, feature] <= place:
            order[middle] = i
            middle += 1
        else:
            spare[rest] = i
            rest += 1
    order[middle:end] = spare[:rest]
    return middle
