"""What daily returns amount to in a year: compound growth and Sharpe ratio, in all or by complete calendar year."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from etf_pipeline.core.validation.periods import CompleteYears
from etf_pipeline.core.validation.sharpe_ratio import sharpe_ratio

SESSIONS_PER_YEAR = 252.0


def annual_return(returns: np.ndarray, periods_per_year: float = SESSIONS_PER_YEAR) -> np.ndarray:
    """Compound growth a year.

    Parameters
    ----------
    returns : (T, K) or (T,) float64 per period, NaN where there is none: such periods do not count.
    periods_per_year : periods that make a year.

    Returns
    -------
    (K,) float64, fraction a year: ``prod(1 + r) ** (periods_per_year / T) - 1``; -1 after a return of -1 or less, NaN
    without returns.
    """
    r = np.asarray(returns, dtype=np.float64)
    r = r[:, None] if r.ndim == 1 else r
    there = np.isfinite(r)
    kept = np.where(there, r, 0.0)
    lost = (kept <= -1.0).any(axis=0)
    growth = np.log1p(np.where(kept > -1.0, kept, 0.0)).sum(axis=0)
    count = there.sum(axis=0)
    yearly = np.expm1(periods_per_year * growth / np.maximum(count, 1))
    return np.where(count > 0, np.where(lost, -1.0, yearly), np.nan)


def annual_sharpe(returns: np.ndarray, periods_per_year: float = SESSIONS_PER_YEAR) -> np.ndarray:
    """(K,) Sharpe ratio of (T, K) or (T,) returns, annualised; NaN as in ``sharpe_ratio``."""
    return np.sqrt(periods_per_year) * sharpe_ratio(returns)


def scopes(years: CompleteYears) -> Iterator[tuple[int, int, slice]]:
    """Number of the year, number of the scope (``periods.SCOPES``) and its rows, for all that is judged."""
    for p in range(len(years.year)):
        yield p, 0, slice(int(years.begin[p]), int(years.end[p]))
        yield p, 1, slice(int(years.begin[0]), int(years.end[p]))
