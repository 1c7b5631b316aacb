"""Returns of funds and a benchmark, as the beta estimators take them."""

from __future__ import annotations

import numpy as np

from etf_pipeline.core.market.returns import total_return
from etf_pipeline_tests.core.random_market import random_market


def inputs(seed, **options):
    m = random_market(seed, **options)
    p = total_return(m.close, m.accepted, m.scale, m.split, m.distribution, basis="as_traded")
    return p.total_return, p.sessions_spanned, p.total_return[:, 0], p.sessions_spanned[:, 0]


def consecutive(y):
    return np.ones(y.shape, dtype=np.int32)


def own_benchmarks(seed):
    """The same with a benchmark of its own for each fund."""
    y, spanned, _, _ = inputs(seed)
    order = np.random.default_rng(seed).permutation(y.shape[1])
    return y, spanned, y[:, order], spanned[:, order]
