"""Filtered historical simulation: the past's shocks, at today's volatility, on funds together.

Barone-Adesi, Giannopoulos and Vosper (1999), VaR without correlations for portfolios of derivative securities, Journal of
Futures Markets 19, 583-602. Returns divided by their conditional volatilities are drawn by whole sessions, so that funds
crash together as they did; each is multiplied by the volatility its fund has by then, which the drawn returns update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.attribution.stress.filtered_simulation_kernels import filter_variance, simulate_paths
from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.validation.stationary_bootstrap import block_law

START = 60
"""Observations whose mean square is the variance that the filter starts from."""


@dataclass(frozen=True)
class FilteredReturns:
    """Of N funds up to a session.

    Attributes
    ----------
    standardised : (S, N) float64, log returns over their conditional volatilities; NaN where there was no return.
    variance : (N,) float64, conditional variance of the session after the last; NaN with fewer than ``START`` returns.
    """

    standardised: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True)
class SimulatedTail:
    """Of N funds or portfolios over the horizon; L levels, M losses. NaN for those without paths.

    Attributes
    ----------
    value_at_risk, expected_shortfall : (L, N) float64, simple returns, losses negative.
    probability_of_loss : (M, N) float64, share of paths that lose at least as much.
    """

    value_at_risk: np.ndarray
    expected_shortfall: np.ndarray
    probability_of_loss: np.ndarray


def ewma_parameters(funds: int, decay: float = 0.94) -> np.ndarray:
    """Parameters (4, N) of exponentially weighted variances, the filter of RiskMetrics (1996)."""
    if not 0 < decay < 1:
        raise ValueError(f"decay lies between 0 and 1, not {decay}")
    return np.repeat(np.array([[0.0], [1.0 - decay], [0.0], [decay]]), funds, axis=1)


def filter_returns(total_return: np.ndarray, parameters: np.ndarray) -> FilteredReturns:
    """Divide returns by their conditional volatilities.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns of one session, above -1; NaN otherwise.
    parameters : (4, N) float64, omega, alpha, gamma, beta by fund, of log returns as fractions: GARCH, GJR-GARCH, or
        ``ewma_parameters``. As estimated from these sessions or earlier.

    Returns
    -------
    FilteredReturns. A session without a return leaves the variance to its expectation.

    Raises
    ------
    ValueError : parameters of another shape or negative, or a return of -1 or below.
    """
    if parameters.shape != (4, total_return.shape[1]):
        raise ValueError(f"parameters are (4, {total_return.shape[1]}), not {parameters.shape}")
    if (parameters < 0).any():
        raise ValueError(f"a parameter of fund {int(np.argwhere(parameters < 0)[0, 1])} is negative")
    if (total_return <= -1).any():
        row, column = np.argwhere(total_return <= -1)[0]
        raise ValueError(
            f"the return of session {row}, fund {column} is -100 % or less: a log return needs more"
        )
    returns = np.log1p(total_return)
    known = ~np.isnan(returns)
    first = known & (np.cumsum(known, axis=0) <= START)
    start = (np.where(first, returns, 0.0) ** 2).sum(axis=0) / START
    start[known.sum(axis=0) < START] = np.nan
    standardised = np.full(returns.shape, np.nan)
    variance = np.full(returns.shape[1], np.nan)
    over_columns(
        lambda funds: filter_variance(funds, returns, parameters, start, standardised, variance),
        returns.shape[1],
    )
    return FilteredReturns(standardised, variance)


def joint_residuals(
    standardised: np.ndarray,
    drivers: np.ndarray,
    *,
    window: int = 1000,
    min_observations: int = 126,
    seed: int = 0,
) -> np.ndarray:
    """Complete rows to draw from, although funds were listed on different days.

    Parameters
    ----------
    standardised : (S, N) float64, ``FilteredReturns.standardised``.
    drivers : (S, K) float64, what moves all funds: standardised factor moves or market returns. Sessions on which one is
        NaN are left out.
    window : rows at the end that are used.
    min_observations : of a fund within them; fewer: NaN throughout, the fund is not simulated.
    seed : of the draws that fill gaps.

    Returns
    -------
    (J, N) float64. A missing entry is the regression of the fund on the drivers, at that session's drivers, plus a draw
    from the regression's own residuals: its common part falls on the day it fell for others, its own is its own. Columns
    are then centred (no drift is predicted) and scaled to variance one.

    Raises
    ------
    ValueError : drivers of other sessions, or too few of them to fit.
    """
    if len(drivers) != len(standardised):
        raise ValueError(f"{len(standardised)} sessions of returns beside {len(drivers)} of drivers")
    if min_observations <= drivers.shape[1] + 1:
        raise ValueError(f"min_observations must exceed {drivers.shape[1] + 1}, not {min_observations}")
    z, x = standardised[-window:], drivers[-window:]
    complete = ~np.isnan(x).any(axis=1)
    z, x = z[complete], x[complete]
    design = np.column_stack([np.ones(len(x)), x])
    out = np.full(z.shape, np.nan)
    for j in range(z.shape[1]):
        known = ~np.isnan(z[:, j])
        if known.sum() < min_observations:
            continue
        column = z[:, j].copy()
        if not known.all():
            slope = np.linalg.lstsq(design[known], column[known], rcond=None)[0]
            own = column[known] - design[known] @ slope
            draw = np.random.default_rng([seed, j]).integers(0, len(own), int((~known).sum()))
            column[~known] = design[~known] @ slope + own[draw]
        deviation = column - column.mean()
        spread = np.sqrt((deviation**2).mean())
        if spread > 0:
            out[:, j] = deviation / spread
    return out


def simulate_returns(
    residuals: np.ndarray,
    variance: np.ndarray,
    parameters: np.ndarray,
    *,
    horizon: int = 21,
    paths: int = 10_000,
    block_length: float = 1.0,
    seed: int = 0,
) -> np.ndarray:
    """Returns of all funds over the horizon, path by path.

    Parameters
    ----------
    residuals : (J, N) float64, from ``joint_residuals``: complete, or NaN throughout for a fund.
    variance : (N,) float64, of the first session simulated.
    parameters : (4, N) float64, as in ``filter_returns``.
    horizon : sessions; paths : how many.
    block_length : mean length in sessions of the blocks drawn (stationary bootstrap); 1: every session by itself.
    seed : every path draws from a stream of its own, named by seed and number: the result depends neither on the number of
        workers nor on that of paths.

    Returns
    -------
    (paths, N) float64, simple returns above -1, without drift; NaN for funds without residuals or variance. A
    portfolio that is held is ``returns @ weights``.

    Raises
    ------
    ValueError : shapes, a fund with some residuals missing, or a horizon or number of paths below 1.
    """
    n = residuals.shape[1]
    if variance.shape != (n,) or parameters.shape != (4, n):
        raise ValueError(
            f"variance ({n},) and parameters (4, {n}) are needed, not {variance.shape}, {parameters.shape}"
        )
    if horizon < 1 or paths < 1 or not len(residuals):
        raise ValueError(
            f"horizon ({horizon}), paths ({paths}) and rows ({len(residuals)}) must be at least 1"
        )
    missing = np.isnan(residuals)
    partly = missing.any(axis=0) & ~missing.all(axis=0)
    if partly.any():
        raise ValueError(
            f"fund {int(np.argmax(partly))} misses some residuals: complete them by joint_residuals"
        )
    usable = np.flatnonzero(
        ~missing.any(axis=0) & np.isfinite(variance) & np.isfinite(parameters).all(axis=0)
    )
    drawn = np.empty((paths, len(usable)))
    z, law = np.ascontiguousarray(residuals[:, usable]), block_law(block_length, circular=False)
    chosen, first = np.ascontiguousarray(parameters[:, usable]), variance[usable]

    def work(numbers: np.ndarray) -> None:
        simulate_paths(numbers, z, chosen, first, horizon, law, np.uint64(seed), drawn)

    over_columns(work, paths)
    out = np.full((paths, n), np.nan)
    out[:, usable] = np.expm1(drawn)
    return out


def simulated_tail(
    returns: np.ndarray, *, levels: Sequence[float] = (0.95, 0.99), losses: Sequence[float] = (0.10, 0.20)
) -> SimulatedTail:
    """Quantiles and shortfalls of simulated returns (paths, N).

    Parameters
    ----------
    levels : confidence, e.g. 0.95: the worst 5 % of paths, rounded up to whole paths.
    losses : fractions, positive.

    Returns
    -------
    SimulatedTail. Value at risk is the best of the worst paths, expected shortfall their mean.
    """
    paths = len(returns)
    worst = [max(1, int(np.ceil(paths * (1.0 - level) - 1e-9))) for level in levels]
    deepest = max(worst)
    columns = np.ascontiguousarray(returns.T)
    tail = np.empty((len(columns), deepest))
    chance = np.empty((len(losses), len(columns)))

    def work(numbers: np.ndarray) -> None:
        for j in numbers:
            # The worst paths alone are put in order.
            tail[j] = np.sort(np.partition(columns[j], deepest - 1)[:deepest])
            chance[:, j] = [(columns[j] <= -loss).mean() for loss in losses]

    over_columns(work, len(columns))
    unknown = np.isnan(columns).any(axis=1)
    shortfall = np.array([tail[:, :k].mean(axis=1) for k in worst])
    shortfall[:, unknown] = np.nan
    chance[:, unknown] = np.nan
    quantile = np.array([np.where(unknown, np.nan, tail[:, k - 1]) for k in worst])
    return SimulatedTail(quantile, shortfall, chance)
