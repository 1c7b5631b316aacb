"""The probability of backtest overfitting: how often the strategy chosen on half the history disappoints on the other.

The history is cut into S blocks; each choice of S/2 of them is a training half, the rest its test half. A Sharpe ratio needs
counts, sums and sums of squares, and those of a half are those of its blocks added up: of its early blocks and its
late ones, from tables of all their combinations.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from threading import Lock

import numpy as np
from numba import njit

from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.validation.sharpe_ratio import NO_VARIATION

_GRID = 1_000
"""Points at which distributions of test Sharpe ratios are compared."""


@dataclass(frozen=True)
class Overfitting:
    """Combinatorially symmetric cross-validation of K strategies in C splits.

    Attributes
    ----------
    probability : of backtest overfitting, share of splits whose ``logit`` is not above 0: the strategy chosen in training is
        at the median or below in the test half.
    probability_of_loss : share of splits whose ``test_sharpe`` is negative.
    slope, intercept, r_squared : of the regression of ``test_sharpe`` on ``training_sharpe``: how performance degrades.
        NaN where the training ratio does not vary.
    first_order_dominance, second_order_dominance : whether choosing by training beats choosing at random, for everyone
        who prefers more (first order), or for all of them who shun risk (second order).
    least_second_order : smallest integral, up to any point, of the distribution function of all test ratios less that of the
        chosen ones: 0 where the second order holds, else negative, by how much it fails.
    logit : (C,) float64, ``log(w / (1 - w))`` with w the test rank of the strategy chosen over K + 1, ranks rising with
        performance, the mean rank for ties.
    chosen : (C,) int64, the strategy of the largest training ratio, the first one of several.
    training_sharpe, test_sharpe : (C,) float64 per period, of the strategy chosen.
    blocks : S.
    """

    probability: float
    probability_of_loss: float
    slope: float
    intercept: float
    r_squared: float
    first_order_dominance: bool
    second_order_dominance: bool
    least_second_order: float
    logit: np.ndarray
    chosen: np.ndarray
    training_sharpe: np.ndarray
    test_sharpe: np.ndarray
    blocks: int


def probability_of_backtest_overfitting(returns: np.ndarray, *, blocks: int = 16) -> Overfitting:
    """Cross-validate the choice of the best of K strategies by its Sharpe ratio.

    Parameters
    ----------
    returns : (T, K) float64 without NaN, K at least 2, in order of time, in excess of the risk-free rate: every
        strategy that was tried, not the good ones alone.
    blocks : S, even, 2 to 20, no more than T / 2. Lengths of blocks differ by one at most: no period is left out.

    Returns
    -------
    Overfitting, with ``S! / (S/2)!**2`` splits in lexicographic order of their training blocks: 12,870 for 16.

    Raises
    ------
    ValueError : fewer than two strategies, a NaN, a number of blocks that is odd, out of bounds, or too large for T.

    Notes
    -----
    Bailey, Borwein, Lopez de Prado and Zhu (2017), The probability of backtest overfitting, J. of Computational Finance
    20(4), 39-69. A strategy that does not vary in a half has a ratio of 0 there: it has done nothing. Among worthless
    strategies of odd number the median rank, of logit 0, makes the probability exceed one half by ``1 / 2K``. Halves of
    different lengths (S does not divide T) differ by S/2 periods at most.

    The distributions are compared on 1,001 points between the least and the largest ``test_sharpe``, the tails beyond
    exactly: dominance that fails between two neighbouring points alone is not seen.
    """
    r = np.asarray(returns, dtype=np.float64)
    if r.ndim != 2 or r.shape[1] < 2 or not np.isfinite(r).all():
        raise ValueError(f"the test needs (T, K) finite returns of 2 strategies or more; given is {r.shape}")
    if blocks % 2 or not 2 <= blocks <= min(20, len(r) // 2):
        raise ValueError(
            f"blocks must be even, from 2 to 20 and no more than half of {len(r)} periods, not {blocks}"
        )
    tables = _Tables.of(r, blocks)
    training = training_halves(blocks)
    chosen = np.empty(len(training), dtype=np.int64)
    found = np.empty((len(training), 3))

    def choose(splits: np.ndarray) -> None:
        _choose(*tables.arrays, training, splits, chosen, found)

    over_columns(choose, len(training))
    rank, trained, tested = found.T
    logit = np.log(rank / (r.shape[1] + 1.0 - rank))
    slope, intercept, fit = _regression(trained, tested)
    first, second, margin = _dominance(tables, training, tested, r.shape[1])
    return Overfitting(
        probability=float((logit <= 0.0).mean()),
        probability_of_loss=float((tested < 0.0).mean()),
        slope=slope,
        intercept=intercept,
        r_squared=fit,
        first_order_dominance=first,
        second_order_dominance=second,
        least_second_order=margin,
        logit=logit,
        chosen=chosen,
        training_sharpe=trained.copy(),
        test_sharpe=tested.copy(),
        blocks=blocks,
    )


def training_halves(blocks: int) -> np.ndarray:
    """(C,) int64: every choice of half the blocks, bit i for block i, in lexicographic order of the blocks."""
    bits = [1 << i for i in range(blocks)]
    return np.array([sum(half) for half in combinations(bits, blocks // 2)], dtype=np.int64)


@dataclass(frozen=True)
class _Tables:
    """Moments of every combination of the early blocks, and of the late ones.

    Attributes
    ----------
    moments : (2, 2**(S/2), 2, K), sums and sums of squares of deviations from the strategy's mean; [h, m] belongs to the
        blocks of half h of the history named by the bits of m.
    count : (2, 2**(S/2)), periods.
    mean : (K,); least_variance : (K,), not more of which is none.
    """

    moments: np.ndarray
    count: np.ndarray
    mean: np.ndarray
    least_variance: np.ndarray

    @classmethod
    def of(cls, returns: np.ndarray, blocks: int) -> _Tables:
        mean = returns.mean(axis=0)
        deviation = returns - mean
        edges = [part[0] for part in np.array_split(np.arange(len(returns)), blocks)]
        own = np.stack([np.add.reduceat(x, edges, axis=0) for x in (deviation, deviation**2)], axis=1)
        size = np.diff([*edges, len(returns)])
        half = blocks // 2
        moments = np.zeros((2, 1 << half, 2, returns.shape[1]))
        count = np.zeros((2, 1 << half))
        for mask in range(1, 1 << half):
            last = mask.bit_length() - 1
            rest = mask ^ (1 << last)
            for h in range(2):
                moments[h, mask] = moments[h, rest] + own[h * half + last]
                count[h, mask] = count[h, rest] + size[h * half + last]
        return cls(moments, count, mean, (NO_VARIATION * np.abs(returns).max(axis=0)) ** 2)

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return self.moments, self.count, self.mean, self.least_variance


def _regression(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Slope, intercept and R squared of y on x; NaN where x does not vary."""
    dx, dy = x - x.mean(), y - y.mean()
    spread = float(dx @ dx)
    if not spread > 1e-24 * float(x @ x):
        return float("nan"), float("nan"), float("nan")
    slope = float(dx @ dy) / spread
    total = float(dy @ dy)
    return slope, float(y.mean() - slope * x.mean()), slope * slope * spread / total if total > 0 else 1.0


def _dominance(
    tables: _Tables, training: np.ndarray, tested: np.ndarray, strategies: int
) -> tuple[bool, bool, float]:
    """Whether the strategies chosen dominate all of them in the first and the second order, and the least integral."""
    low, high = float(tested.min()), float(tested.max())
    width = (high - low) / _GRID * (1.0 + 1e-12)  # the largest one is not to fall off its end
    if not width > 0:
        width = max(abs(low), 1.0) * 1e-12
    at_or_below = np.zeros(_GRID + 2, dtype=np.int64)
    tails = np.empty((len(training), 2))
    lock = Lock()

    def count(splits: np.ndarray) -> None:
        own = np.zeros(_GRID + 2, dtype=np.int64)
        _count(*tables.arrays, training, splits, low, width, own, tails)
        with lock:  # whole numbers: their sum does not depend on who comes first
            at_or_below[:] += own

    over_columns(count, len(training))
    draws = len(training) * strategies
    anyone = np.cumsum(at_or_below)[:-1] / draws
    place = np.clip(np.ceil((tested - low) / width), 0, _GRID).astype(np.int64)
    selected = np.cumsum(np.bincount(place, minlength=_GRID + 1)) / len(tested)
    ahead = anyone - selected
    # Distribution functions stand at the right ends of the cells: within one their integral lies between its ends' sums.
    below, above = tails.sum(axis=0) / draws
    inside = np.concatenate([[0.0], np.cumsum(0.5 * width * (ahead[1:] + ahead[:-1]))])
    integral = np.concatenate([[0.0], below + inside, [below + inside[-1] - above]])
    first = bool((ahead >= 0.0).all() and (ahead > 0.0).any() and anyone[-1] == 1.0)
    return first, bool((integral >= 0.0).all() and (integral > 0.0).any()), float(integral.min())


@njit(cache=True, nogil=True)
def _sharpe(
    moments: np.ndarray,
    count: np.ndarray,
    mean: np.ndarray,
    least_variance: np.ndarray,
    half: int,
    out: np.ndarray,
) -> None:
    """Sharpe ratios (K,) over the blocks named by the bits of ``half``; 0 where a strategy does not vary in them."""
    combined = moments.shape[1]
    low, high = half & (combined - 1), half // combined
    periods = count[0, low] + count[1, high]
    early_sum, late_sum = moments[0, low, 0], moments[1, high, 0]
    early_square, late_square = moments[0, low, 1], moments[1, high, 1]
    share, unbiased = 1.0 / periods, periods / (periods - 1.0)
    for k in range(len(out)):
        shift = (early_sum[k] + late_sum[k]) * share
        variance = ((early_square[k] + late_square[k]) * share - shift * shift) * unbiased
        varies = variance > least_variance[k]
        out[k] = (mean[k] + shift) / np.sqrt(variance if varies else 1.0) if varies else 0.0


@njit(cache=True, nogil=True)
def _choose(
    moments: np.ndarray,
    count: np.ndarray,
    mean: np.ndarray,
    least_variance: np.ndarray,
    training: np.ndarray,
    splits: np.ndarray,
    chosen: np.ndarray,
    found: np.ndarray,
) -> None:
    """The strategy chosen in each split named; its test rank, training and test ratio (C, 3)."""
    everything = moments.shape[1] ** 2 - 1
    trained, tested = np.empty(len(mean)), np.empty(len(mean))
    for c in splits:
        _sharpe(moments, count, mean, least_variance, training[c], trained)
        _sharpe(moments, count, mean, least_variance, everything ^ training[c], tested)
        best = 0
        for k in range(1, len(trained)):
            if trained[k] > trained[best]:
                best = k
        own = tested[best]
        worse, same = 0, 0
        for k in range(len(tested)):
            worse += tested[k] < own
            same += tested[k] == own
        chosen[c] = best
        found[c, 0], found[c, 1], found[c, 2] = worse + 0.5 * (same + 1.0), trained[best], own


@njit(cache=True, nogil=True)
def _count(
    moments: np.ndarray,
    count: np.ndarray,
    mean: np.ndarray,
    least_variance: np.ndarray,
    training: np.ndarray,
    splits: np.ndarray,
    low: float,
    width: float,
    at_or_below: np.ndarray,
    tails: np.ndarray,
) -> None:
    """Test ratios of all strategies by the first grid point not below them, and what lies beyond the grid.

    Parameters
    ----------
    at_or_below : (G + 2,), added to; the last one counts what exceeds every grid point.
    tails : (C, 2), sums of ``low - ratio`` where positive, and of ``ratio - high``.
    """
    everything = moments.shape[1] ** 2 - 1
    last = len(at_or_below) - 2
    tested = np.empty(len(mean))
    for c in splits:
        _sharpe(moments, count, mean, least_variance, everything ^ training[c], tested)
        below, above = 0.0, 0.0
        for k in range(len(tested)):
            place = (tested[k] - low) / width
            if place <= 0.0:
                at_or_below[0] += 1
                below -= place
            elif place > last:
                at_or_below[last + 1] += 1
                above += place - last
            else:
                at_or_below[int(np.ceil(place))] += 1
        tails[c, 0], tails[c, 1] = below * width, above * width
