"""Returns-based style analysis: which mix of indices, held long and in full, a fund behaves like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from etf_pipeline.core.attribution.style_kernels import best_supports, choose, resampled_weights
from etf_pipeline.core.validation.heteroskedasticity_autocorrelation import newey_west_lags
from etf_pipeline.core.validation.stationary_bootstrap import optimal_block_length, resampled_means

Criterion = Literal["none", "aic", "bic"]
MOST_INDICES = 15
_TRACKED = 1e-14  # of the fund's variance: below it nothing is left to explain


@dataclass(frozen=True)
class StyleFit:
    """The mix of indices that tracks a fund best.

    Attributes
    ----------
    weight : (K,) float64, not negative, sum 1; 0 for indices not chosen.
    standard_error : (K,) float64, Newey-West, given the chosen indices; NaN for the others. The search among subsets and
        the bound at zero are not in it: ``bootstrap_style`` has both.
    chosen : (K,) bool.
    r_squared : share of the fund's variance that the mix has in common with it; may be negative, NaN for a fund that did
        not move.
    tracking_error : standard deviation of the difference, a period, divisor n.
    selection_return : mean difference a period: what the fund earned beyond its style.
    observations : periods on which fund and all indices are known.
    """

    weight: np.ndarray
    standard_error: np.ndarray
    chosen: np.ndarray
    r_squared: float
    tracking_error: float
    selection_return: float
    observations: int


@dataclass(frozen=True)
class StyleInterval:
    """Resampled weights: (K,) lower and upper end, and the share of resamples in which an index is chosen."""

    lower: np.ndarray
    upper: np.ndarray
    chosen_share: np.ndarray


def style_analysis(
    fund_return: np.ndarray,
    index_return: np.ndarray,
    *,
    max_indices: int | None = None,
    criterion: Criterion = "none",
    min_observations: int = 60,
    lags: int | None = None,
) -> StyleFit:
    """Weights ``w >= 0``, ``sum w = 1`` with the least variance of ``fund - index @ w``.

    Parameters
    ----------
    fund_return : (T,) float64, total or excess, NaN where unknown; in order of time and in the indices' currency.
    index_return : (T, K) float64, K <= 15. Periods on which one is NaN do not count.
    max_indices : the mix holds no more than these; by default all may.
    criterion : ``aic`` or ``bic`` also chooses how many, by ``n log(tracking variance)`` plus 2 or ``log n`` an index.
    min_observations : periods needed.
    lags : of Bartlett's kernel for the errors; by default ``newey_west_lags``.

    Returns
    -------
    StyleFit; all NaN with too few periods or where every index stands still.

    Raises
    ------
    ValueError : too many indices, shapes, an unknown criterion.

    Notes
    -----
    Sharpe (1992), Asset allocation: management style and performance measurement, Journal of Portfolio Management 18(2),
    7-19. All subsets are tried, each solved in closed form, so that the optimum is exact: it has some set of positive
    weights, and given that set it is the solution under the budget alone. Errors: in terms of returns over one of the
    chosen indices the fit is a regression (Lobosco and DiBartolomeo 1997, Financial Analysts Journal 53(4), 80-85).
    """
    x, y = _known(fund_return, index_return)
    count = x.shape[1]
    most, penalty = _search(count, len(y), max_indices, criterion)
    nothing = np.full(count, np.nan)
    empty = StyleFit(nothing, nothing, np.zeros(count, bool), np.nan, np.nan, np.nan, len(y))
    if len(y) < max(min_observations, count + 3):
        return empty
    dx, dy = x - x.mean(axis=0), y - y.mean()
    best, weights = np.empty(most), np.empty((most, count))
    best_supports(dx.T @ dx / len(y), dx.T @ dy / len(y), float(dy @ dy) / len(y), best, weights)
    place = choose(best, penalty, len(y))
    if place < 0:
        return empty
    weight = weights[place] / weights[place].sum()
    rest = y - x @ weight
    tracking, moved = float(rest.var()), float(y.var())
    return StyleFit(
        weight=weight,
        standard_error=_errors(x, y, weight, newey_west_lags(len(y)) if lags is None else lags),
        chosen=weight > 0,
        r_squared=1.0 - tracking / moved if moved > _TRACKED * float(y @ y) / len(y) else float("nan"),
        tracking_error=float(np.sqrt(tracking)),
        selection_return=float(rest.mean()),
        observations=len(y),
    )


def style_at(
    fund_return: np.ndarray,
    index_return: np.ndarray,
    ends: np.ndarray,
    *,
    window: int | None = 252,
    max_indices: int | None = None,
    criterion: Criterion = "none",
    min_observations: int = 126,
) -> list[StyleFit]:
    """``style_analysis`` of one fund (S,) over the ``window`` sessions (None: all) up to each row of ``ends``."""
    fits = []
    for end in np.asarray(ends, dtype=np.int64):
        rows = slice(0 if window is None else max(0, int(end) - window + 1), int(end) + 1)
        fits.append(
            style_analysis(
                fund_return[rows],
                index_return[rows],
                max_indices=max_indices,
                criterion=criterion,
                min_observations=min_observations,
            )
        )
    return fits


def bootstrap_style(
    fund_return: np.ndarray,
    index_return: np.ndarray,
    *,
    max_indices: int | None = None,
    criterion: Criterion = "none",
    level: float = 0.95,
    replications: int = 1_000,
    block_length: float | None = None,
    seed: int = 0,
) -> StyleInterval:
    """Percentile intervals of the weights, the choice of indices made anew in each resample.

    Parameters
    ----------
    fund_return, index_return, max_indices, criterion : as for ``style_analysis``.
    level : of the intervals, within 0..1.
    replications, seed : of the stationary bootstrap of whole periods.
    block_length : mean block in periods; by default what the fund's squared returns call for.

    Returns
    -------
    StyleInterval; NaN with fewer than K + 3 periods.
    """
    x, y = _known(fund_return, index_return)
    count = x.shape[1]
    most, penalty = _search(count, len(y), max_indices, criterion)
    if len(y) < count + 3:
        nothing = np.full(count, np.nan)
        return StyleInterval(nothing, nothing, nothing)
    # About the sample's means: the moments then lose no digits.
    both = np.column_stack([y - y.mean(), x - x.mean(axis=0)])
    upper = np.triu_indices(count + 1)
    products = both[:, upper[0]] * both[:, upper[1]]
    length = optimal_block_length(both[:, 0] ** 2) if block_length is None else block_length
    moments = resampled_means(np.hstack([both, products]), length, replications, seed)
    drawn = np.empty((replications, count))
    resampled_weights(np.ascontiguousarray(moments), count, most, penalty, len(y), drawn)
    tail = 50.0 * (1.0 - level)
    low, high = np.nanpercentile(drawn, [tail, 100.0 - tail], axis=0)
    return StyleInterval(low, high, (drawn > 0).mean(axis=0))


def _known(fund_return: np.ndarray, index_return: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if index_return.ndim != 2 or fund_return.shape != index_return.shape[:1]:
        raise ValueError(
            f"fund_return {fund_return.shape} must be (T,) and index_return {index_return.shape} (T, K)"
        )
    known = np.isfinite(fund_return) & np.isfinite(index_return).all(axis=1)
    return index_return[known], fund_return[known]


def _search(count: int, observations: int, max_indices: int | None, criterion: str) -> tuple[int, float]:
    """How many indices at most, and the price of one."""
    if not 1 <= count <= MOST_INDICES:
        raise ValueError(f"{count} indices: give 1 to {MOST_INDICES}, the asset classes the fund may hold")
    penalties = {"none": 0.0, "aic": 2.0, "bic": float(np.log(max(observations, 1)))}
    if criterion not in penalties:
        raise ValueError(f"criterion {criterion!r} is none of {', '.join(penalties)}")
    if max_indices is not None and max_indices < 1:
        raise ValueError(f"max_indices must be at least 1, not {max_indices}")
    return min(count, max_indices or count), penalties[criterion]


def _errors(x: np.ndarray, y: np.ndarray, weight: np.ndarray, lags: int) -> np.ndarray:
    """(K,) Newey-West errors of the weights in the chosen set; 0 for an only index, NaN for those not chosen."""
    out = np.full(len(weight), np.nan)
    chosen = np.flatnonzero(weight > 0)
    free, base = chosen[:-1], chosen[-1]
    if not len(free):
        out[base] = 0.0
        return out
    design = np.column_stack([np.ones(len(y)), x[:, free] - x[:, [base]]])
    influence = np.linalg.pinv(design)[1:].T * (y - x @ weight - (y - x @ weight).mean())[:, None]
    influence = np.column_stack([influence, -influence.sum(axis=1)])
    total = (influence**2).sum(axis=0)
    for lag in range(1, min(lags, len(y) - 1) + 1):
        total += 2.0 * (1.0 - lag / (lags + 1.0)) * (influence[lag:] * influence[:-lag]).sum(axis=0)
    out[chosen] = np.sqrt(np.maximum(total, 0.0) * len(y) / (len(y) - design.shape[1]))
    return out
