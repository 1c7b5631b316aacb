"""Choosing the best of many strategies again and again, each time from the past alone: what is left of its performance.

What was chosen in a window earns its return in the sessions after it; joined, the windows' returns are a history somebody
could have had. Combinatorial cross-validation gives many such histories, though not in order of time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.validation.annual_performance import (
    SESSIONS_PER_YEAR,
    annual_return,
    annual_sharpe,
    scopes,
)
from etf_pipeline.core.validation.periods import complete_years
from etf_pipeline.core.validation.splits import CrossValidation, WalkForwardWindows, assemble_paths

_VARIES = 1e-12
"""A variance below this share of the mean square counts as none."""


@dataclass(frozen=True)
class WalkForward:
    """The choice of each of W windows and what became of it: (W,) arrays, Sharpe ratios annualised.

    Attributes
    ----------
    windows : WalkForwardWindows.
    candidates : int64, strategies with a return in every training session and some variation; others cannot be chosen.
    chosen : int64, the one of the largest training ratio, the first of several; -1 without candidates.
    training_sharpe, test_sharpe : float64, of the one chosen. NaN where there is none or it does not vary.
    median_test_sharpe : float64, of all candidates.
    test_return : float64, of the one chosen over the test window, compounded, fraction.
    test_rank : int64, its place among the candidates by test ratio, 1 the best; 0 where it has none.
    returns : (S,) float64, daily returns of what was chosen; NaN where nothing was. Where test windows overlap, the later
        choice counts.
    window : (S,) int64, window that each return belongs to; -1 for none.
    """

    windows: WalkForwardWindows
    candidates: np.ndarray
    chosen: np.ndarray
    training_sharpe: np.ndarray
    test_sharpe: np.ndarray
    median_test_sharpe: np.ndarray
    test_return: np.ndarray
    test_rank: np.ndarray
    returns: np.ndarray
    window: np.ndarray


@dataclass(frozen=True)
class WalkForwardEfficiency:
    """How much of what training promised was kept: (P, 2) arrays by year and ``periods.SCOPES``.

    Attributes
    ----------
    year : (P,) int32.
    sessions : int64, with a return.
    annual_return, sharpe : float64, of the joined history; the ratio annualised.
    training_sharpe : float64, of the strategies held, mean over these sessions.
    efficiency : float64, ``sharpe / training_sharpe``; NaN where training promised nothing.
    """

    year: np.ndarray
    sessions: np.ndarray
    annual_return: np.ndarray
    sharpe: np.ndarray
    training_sharpe: np.ndarray
    efficiency: np.ndarray


@dataclass(frozen=True)
class CrossValidatedChoice:
    """The choice of each of C splits, and the phi histories it leads to; Sharpe ratios annualised.

    Attributes
    ----------
    chosen : (C,) int64; training_sharpe, test_sharpe : (C,) float64, of the one chosen.
    returns : (phi, S) float64, daily, of each path.
    path_sharpe, path_annual_return : (phi,) float64.
    """

    chosen: np.ndarray
    training_sharpe: np.ndarray
    test_sharpe: np.ndarray
    returns: np.ndarray
    path_sharpe: np.ndarray
    path_annual_return: np.ndarray


def walk_forward(
    returns: np.ndarray, windows: WalkForwardWindows, *, periods_per_year: float = SESSIONS_PER_YEAR
) -> WalkForward:
    """In each window choose the strategy of the best training Sharpe ratio, and hold it through the test.

    Parameters
    ----------
    returns : (S, K) float64, daily, after costs, in excess of cash or a benchmark if ratios are to be; NaN before a
        strategy begins.
    windows : of ``walk_forward_windows``, rolling or expanding. Those of a horizon of at least the strategies' delay
        from decision to trade leave time to act: what is chosen at the close of session t can be traded at that of
        t + 1, and earns from t + 2.
    periods_per_year : for annualising.

    Returns
    -------
    WalkForward. Row w depends on the sessions before ``windows.test_end[w]`` alone, bit for bit.

    Raises
    ------
    ValueError : an infinite return, no strategy, or windows beyond the returns.

    Notes
    -----
    Pardo (2008), The evaluation and optimization of trading strategies, ch. 11. Returns are the strategies' own: what
    changing from one to another costs is not in them.
    """
    r = _finite_or_nan(returns)
    if len(windows) and windows.test_end[-1] > len(r):
        raise ValueError(f"windows end at row {windows.test_end[-1]}, the {len(r)} returns before")
    count = len(windows)
    sums = _prefix_sums(r)
    year = math.sqrt(periods_per_year)
    chosen = np.full(count, -1, dtype=np.int64)
    candidates, rank = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    training, test, median, gained = (np.full(count, np.nan) for _ in range(4))
    joined, window = np.full(len(r), np.nan), np.full(len(r), -1, dtype=np.int64)
    for w in range(count):
        own = slice(int(windows.train_begin[w]), int(windows.train_end[w]))
        tested = slice(int(windows.test_begin[w]), int(windows.test_end[w]))
        trained = _sharpe(sums[:, own.stop] - sums[:, own.start], own.stop - own.start)
        candidates[w] = np.isfinite(trained).sum()
        if not candidates[w]:
            continue
        best = int(np.nanargmax(trained))
        after = _sharpe(sums[:, tested.stop] - sums[:, tested.start])
        among = after[np.isfinite(trained) & np.isfinite(after)]
        chosen[w], training[w], test[w] = best, year * trained[best], year * after[best]
        median[w] = year * np.median(among) if len(among) else np.nan
        rank[w] = 1 + (among > after[best]).sum() if np.isfinite(after[best]) else 0
        gained[w] = np.prod(1.0 + np.nan_to_num(r[tested, best])) - 1.0
        joined[tested] = r[tested, best]
        window[tested] = np.where(np.isfinite(r[tested, best]), w, -1)
    return WalkForward(
        windows, candidates, chosen, training, test, median, gained, rank, returns=joined, window=window
    )


def walk_forward_efficiency(
    found: WalkForward, sessions: np.ndarray, *, periods_per_year: float = SESSIONS_PER_YEAR
) -> WalkForwardEfficiency:
    """What the joined history of a walk-forward kept of its training ratios, by complete year and to date.

    Parameters
    ----------
    found : WalkForward; sessions : (S,) datetime64[D], ascending.

    Returns
    -------
    WalkForwardEfficiency. Cutting the sessions leaves the years that were over before as they are, provided that windows
        tested in them are complete.
    """
    years = complete_years(sessions)
    shape = (len(years.year), 2)
    count = np.zeros(shape, dtype=np.int64)
    out = np.full((4, *shape), np.nan)
    for p, scope, rows in scopes(years):
        own, window = found.returns[rows], found.window[rows]
        held = window >= 0
        count[p, scope] = held.sum()
        if held.any():
            promised = float(found.training_sharpe[window[held]].mean())
            kept = float(annual_sharpe(own, periods_per_year)[0])
            growth = float(annual_return(own, periods_per_year)[0])
            out[:, p, scope] = growth, kept, promised, kept / promised if promised > 0 else np.nan
    return WalkForwardEfficiency(years.year, count, *out)


def cross_validated_choice(
    returns: np.ndarray, splits: CrossValidation, *, periods_per_year: float = SESSIONS_PER_YEAR
) -> CrossValidatedChoice:
    """In each split choose the strategy of the best training Sharpe ratio; join the splits' tests to paths.

    Parameters
    ----------
    returns : (S, K) float64 without NaN, daily, after costs.
    splits : of ``combinatorial_purged``.

    Returns
    -------
    CrossValidatedChoice. The spread of ``path_sharpe`` shows how much of a walk-forward's result is its one history; paths
        share splits and are not independent.

    Raises
    ------
    ValueError : a NaN, or splits of another number of sessions.

    Notes
    -----
    Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 12. A strategy that does not vary in training is not
    chosen unless none does.
    """
    r = _finite_or_nan(returns)
    if len(r) != splits.test.shape[1] or not np.isfinite(r).all():
        raise ValueError(f"splits of {splits.test.shape[1]} sessions need as many finite returns; {r.shape}")
    sums = _prefix_sums(r)
    count = len(splits.test)
    chosen = np.empty(count, dtype=np.int64)
    training, test = np.empty(count), np.empty(count)
    results = np.full(splits.test.shape, np.nan)
    for c in range(count):
        trained, tested = _sharpe(_over(sums, splits.train[c])), _sharpe(_over(sums, splits.test[c]))
        best = int(np.argmax(np.where(np.isfinite(trained), trained, -np.inf)))
        chosen[c], training[c], test[c] = best, trained[best], tested[best]
        results[c, splits.test[c]] = r[splits.test[c], best]
    paths = assemble_paths(splits, results)
    year = math.sqrt(periods_per_year)
    return CrossValidatedChoice(
        chosen=chosen,
        training_sharpe=year * training,
        test_sharpe=year * test,
        returns=paths,
        path_sharpe=annual_sharpe(paths.T, periods_per_year),
        path_annual_return=annual_return(paths.T, periods_per_year),
    )


def _finite_or_nan(returns: np.ndarray) -> np.ndarray:
    r = np.asarray(returns, dtype=np.float64)
    if r.ndim != 2 or not r.shape[1] or np.isinf(r).any():
        raise ValueError(f"returns must be (S, K) of one strategy or more, finite or NaN; given is {r.shape}")
    return r


def _prefix_sums(returns: np.ndarray) -> np.ndarray:
    """(3, S + 1, K) running counts, sums and sums of squares: from the beginning on, so that the past stays as it is."""
    there = np.isfinite(returns)
    kept = np.where(there, returns, 0.0)
    out = np.zeros((3, len(returns) + 1, returns.shape[1]))
    for part, values in zip(out, (there, kept, kept * kept), strict=True):
        np.cumsum(values, axis=0, out=part[1:])
    return out


def _over(sums: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(3, K) sums over the rows marked: differences at the ends of their runs."""
    edge = np.diff(np.concatenate([[0], rows.astype(np.int8), [0]]))
    return sums[:, np.flatnonzero(edge < 0)].sum(axis=1) - sums[:, np.flatnonzero(edge > 0)].sum(axis=1)


def _sharpe(sums: np.ndarray, complete: int | None = None) -> np.ndarray:
    """(K,) Sharpe ratios per period from counts, sums and sums of squares; NaN with fewer than ``complete`` returns."""
    count, total, square = sums
    n = np.maximum(count, 2.0)
    mean = total / n
    variance = (square - total * mean) / (n - 1.0)
    known = (count >= max(complete or 2, 2)) & (variance > _VARIES * square / n)
    return np.where(known, mean / np.sqrt(np.where(known, variance, 1.0)), np.nan)
