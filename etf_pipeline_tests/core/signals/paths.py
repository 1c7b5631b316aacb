"""Returns of a random market, as the signals of the price path take them."""

from __future__ import annotations

import numpy as np

from etf_pipeline.core.market.returns import total_return
from etf_pipeline_tests.core.random_market import RandomMarket, random_market

CUTS = (1, 2, 63, 64, 200, 301, 419)


def market_returns(seed: int, **options) -> tuple[RandomMarket, np.ndarray, np.ndarray]:
    """The market, its simple total returns and the sessions each spans."""
    m = random_market(seed, **options)
    p = total_return(m.close, m.accepted, m.scale, m.split, m.distribution, basis="as_traded")
    return m, p.total_return, p.sessions_spanned.astype(np.int64)


def one_fund(growth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log returns of one fund, the first bar before them, as (S + 1, 1) simple returns and sessions spanned."""
    simple = np.concatenate([[np.nan], np.expm1(growth)])[:, None]
    spanned = np.ones(simple.shape, dtype=np.int64)
    spanned[0] = 0
    return simple, spanned


def arrays(panel: object) -> dict[str, np.ndarray]:
    """The fields that are arrays."""
    return {name: value for name, value in vars(panel).items() if isinstance(value, np.ndarray)}


def dead_after(returns: np.ndarray, spanned: np.ndarray, row: int) -> tuple[np.ndarray, np.ndarray]:
    """The same without any bar after ``row``."""
    returns, spanned = returns.copy(), spanned.copy()
    returns[row + 1 :], spanned[row + 1 :] = np.nan, 0
    return returns, spanned
