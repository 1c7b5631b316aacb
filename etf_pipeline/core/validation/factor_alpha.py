"""What strategies earn beyond their exposure to factors, and which of them do so by more than chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from etf_pipeline.core.validation.false_discovery import benjamini_yekutieli
from etf_pipeline.core.validation.familywise_error import holm, step_down
from etf_pipeline.core.validation.heteroskedasticity_autocorrelation import (
    bartlett_variance,
    newey_west_lags,
)
from etf_pipeline.core.validation.stationary_bootstrap import optimal_block_length, resampled_t_values


@dataclass(frozen=True)
class FactorAlphas:
    """Regressions of K strategies on F factors: (K,) float64 arrays but for the exposures, NaN where not estimated.

    Attributes
    ----------
    alpha : mean return per period that the factors do not explain.
    alpha_annualised : times the periods a year.
    standard_error : of ``alpha``, robust to autocorrelation and changing variance.
    t_value : ``alpha`` over its error.
    p_value : two-sided, of Student's t with T - F - 1 degrees of freedom.
    p_holm, p_romano_wolf : adjusted: the chance of any false finding. The second learns from resamples how the
        strategies depend on each other.
    p_benjamini_yekutieli : adjusted: the expected share of false findings.
    exposure : (F, K), the slopes.
    r_squared : share of the variance that the factors explain.
    observations : (K,) int64.
    """

    alpha: np.ndarray
    alpha_annualised: np.ndarray
    standard_error: np.ndarray
    t_value: np.ndarray
    p_value: np.ndarray
    p_holm: np.ndarray
    p_romano_wolf: np.ndarray
    p_benjamini_yekutieli: np.ndarray
    exposure: np.ndarray
    r_squared: np.ndarray
    observations: np.ndarray


def factor_alphas(
    returns: np.ndarray,
    factors: np.ndarray,
    *,
    lags: int | None = None,
    periods_per_year: float = 252.0,
    block_length: float | None = None,
    replications: int = 10_000,
    seed: int = 0,
) -> FactorAlphas:
    """Regress each strategy on the factors and judge the constants together.

    Parameters
    ----------
    returns : (T, K) or (T,) float64 per period, in excess of the risk-free rate unless the factors hold it, NaN where a
        strategy has none; in order of time.
    factors : (T, F) or (T,) float64, returns of the factors. Periods in which one is NaN do not count. F may be 0: the
        mean returns themselves are judged.
    lags : of Bartlett's kernel, counted in a strategy's own periods; by default the rule of Newey and West (1994).
    periods_per_year : for annualising.
    block_length : mean block of the resamples; by default the longest ``optimal_block_length`` that the strategies' terms
        call for. replications, seed : of the resamples.

    Returns
    -------
    FactorAlphas. NaN with fewer than F + 3 periods or where the returns are explained without a rest.

    Raises
    ------
    ValueError : different numbers of periods, an infinite value, factors that depend linearly on each other (or are
        constant) in the periods of a strategy.

    Notes
    -----
    Newey and West (1987) with the correction ``T / (T - F - 1)``: the numbers of statsmodels' OLS with ``cov_type="HAC"``
    and ``use_correction=True``. Romano and Wolf (2016): the estimate of alpha is a mean of terms, residuals weighted by
    the inverse design; these are resampled in blocks, all strategies by the same, and centred by construction. Each
    resample has an error of its own (``resampled_t_values``), so that its t values spread as those of short samples do.
    A strategy's terms are 0 outside its periods.
    """
    y = np.asarray(returns, dtype=np.float64)
    y = y[:, None] if y.ndim == 1 else y
    f = np.asarray(factors, dtype=np.float64)
    f = f[:, None] if f.ndim == 1 else f
    if len(y) != len(f):
        raise ValueError(f"returns have {len(y)} periods and factors {len(f)}; they must have the same")
    if np.isinf(y).any() or np.isinf(f).any():
        raise ValueError("returns and factors must be finite or NaN")
    count, width = y.shape
    there = np.isfinite(y) & np.isfinite(f).all(axis=1, keepdims=True)
    design = np.column_stack([np.ones(count), f])
    alpha, error, explained = (np.full(width, np.nan) for _ in range(3))
    exposure = np.full((f.shape[1], width), np.nan)
    observations = there.sum(axis=0)
    term = np.zeros((count, width))
    for columns in _same_periods(there):
        rows = there[:, columns[0]]
        n, parameters = int(rows.sum()), design.shape[1]
        if n < parameters + 2:
            continue
        x, own = design[rows], y[np.ix_(rows, columns)]
        if np.linalg.matrix_rank(x / np.linalg.norm(x, axis=0).clip(min=1e-300)) < parameters:
            raise ValueError(
                f"factors are constant or depend on each other in the {n} periods of strategy {columns[0]}: leave one out"
            )
        coefficients = np.linalg.lstsq(x, own, rcond=None)[0]
        rest = own - x @ coefficients
        weight = n * np.linalg.pinv(x)[0]
        terms = weight[:, None] * rest
        used = newey_west_lags(n) if lags is None else lags
        total = ((own - own.mean(axis=0)) ** 2).sum(axis=0)
        square = (rest**2).sum(axis=0)
        varies = square > 1e-20 * (own**2).sum(axis=0)
        variance = bartlett_variance(terms, used) / (n - parameters)
        alpha[columns], exposure[:, columns] = coefficients[0], coefficients[1:]
        error[columns] = np.where(varies, np.sqrt(variance), np.nan)
        explained[columns] = 1.0 - square / np.where(total > 0, total, np.nan)
        term[np.ix_(rows, columns)] = np.where(varies, terms, 0.0)
    t_value = alpha / np.where(error > 0, error, np.nan)
    freedom = np.maximum(observations - design.shape[1], 1)
    p_value = 2.0 * special.stdtr(freedom, -np.abs(t_value))
    return FactorAlphas(
        alpha=alpha,
        alpha_annualised=periods_per_year * alpha,
        standard_error=error,
        t_value=t_value,
        p_value=p_value,
        p_holm=holm(p_value),
        p_romano_wolf=_romano_wolf(np.abs(t_value), term, block_length, replications, seed),
        p_benjamini_yekutieli=benjamini_yekutieli(p_value),
        exposure=exposure,
        r_squared=explained,
        observations=observations,
    )


def _same_periods(there: np.ndarray) -> list[np.ndarray]:
    """Columns of (T, K) that have the same periods, together."""
    groups: dict[bytes, list[int]] = {}
    for k, packed in enumerate(np.packbits(there, axis=0).T):
        groups.setdefault(packed.tobytes(), []).append(k)
    return [np.array(columns) for columns in groups.values()]


def _romano_wolf(
    statistic: np.ndarray, term: np.ndarray, block_length: float | None, replications: int, seed: int
) -> np.ndarray:
    """(K,) adjusted p-values of ``|t|`` from resamples of the terms (T, K) whose means are the errors of alpha."""
    tested = np.flatnonzero(~np.isnan(statistic))
    adjusted = np.full(len(statistic), np.nan)
    if not len(tested):
        return adjusted
    own = term[:, tested]
    if block_length is None:
        block_length = max(optimal_block_length(column) for column in own.T)
    null = np.abs(resampled_t_values(own, block_length, replications, seed))
    adjusted[tested] = step_down(statistic[tested], null)
    return adjusted
