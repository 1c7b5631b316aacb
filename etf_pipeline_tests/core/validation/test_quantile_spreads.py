"""Quantiles, their returns, what trading them costs: by hand and against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from etf_pipeline.core import parallel
from etf_pipeline.core.validation.quantile_spreads import (
    filled_half_spread,
    monotonicity,
    quantile_series,
    quantiles_of,
)

EVERYONE = np.array([[0, 10]])


def test_equal_parts_of_distinct_signals():
    signal = np.random.default_rng(0).permutation(10).astype(float)[None]
    bucket = quantiles_of(signal, EVERYONE, 5)
    np.testing.assert_array_equal(bucket[0], signal[0].astype(int) // 2)


def test_equal_signals_share_a_quantile():
    signal = np.array([[0.0, 0, 0, 0, 1, 2, 3, 4, 5, 6]])
    assert quantiles_of(signal, EVERYONE, 5)[0].tolist() == [1, 1, 1, 1, 2, 2, 3, 3, 4, 4]


def test_too_few_signals_are_no_quantiles():
    signal = np.arange(10.0)[None].copy()
    signal[0, 4] = np.nan
    assert (quantiles_of(signal, EVERYONE, 5) == -1).all()
    bucket = quantiles_of(signal, EVERYONE, 4)
    assert bucket[0, 4] == -1
    assert set(bucket[0]) == {-1, 0, 1, 2, 3}


def test_costs_and_turnover_by_hand():
    bucket = np.array([[0, 0, 1, 1], [0, 1, 1, 0]], dtype=np.int8)
    forward = np.array([[0.01, 0.03, 0.05, np.nan], [0.0, 0.0, 0.0, 0.0]])
    half = np.array([[0.001] * 4, [0.001, 0.002, 0.003, 0.004]])
    series = quantile_series(bucket, forward, half, np.array([[0, 4]]), 2, 1)
    np.testing.assert_allclose(series.mean_return[0, 0], [0.02, 0.05])  # what is not known is not in the mean
    assert series.spread[0, 0] == pytest.approx(0.03)
    # At first everything is bought on both sides; then fund 1 changes from the bottom to the top, and 3 back.
    assert series.cost[0, 0] == pytest.approx(0.002)
    assert series.cost[0, 1] == pytest.approx(0.5 * (0.002 + 0.004) * 2)
    assert np.isnan(series.turnover[0, 0])
    assert series.turnover[0, 1] == pytest.approx(0.5)
    assert series.spread_after_costs[0, 0] == pytest.approx(0.028)


def market(seed=3, sessions=90, funds=24):
    rng = np.random.default_rng(seed)
    signal = np.cumsum(rng.normal(0, 1, (sessions, funds)), axis=0)
    signal[rng.random(signal.shape) < 0.08] = np.nan
    forward = np.where(rng.random(signal.shape) < 0.05, np.nan, rng.normal(0, 0.02, signal.shape))
    return signal, forward, rng.uniform(0.0001, 0.003, signal.shape)


@pytest.mark.parametrize("horizon", [1, 5])
def test_plain_loops_agree(horizon):
    signal, forward, half = market()
    bounds = np.array([[0, 13], [13, 24]])
    bucket = quantiles_of(signal, bounds, 5)
    series = quantile_series(bucket, forward, half, bounds, 5, horizon)

    def weights(t, g, q):
        inside = np.zeros(signal.shape[1])
        if t >= 0:
            inside[bounds[g, 0] : bounds[g, 1]] = bucket[t, bounds[g, 0] : bounds[g, 1]] == q
        return inside / max(inside.sum(), 1.0)

    for g, t in np.ndindex(2, len(signal)):
        for q in range(5):
            returns = forward[t, (weights(t, g, q) > 0) & np.isfinite(forward[t])]
            expected = returns.mean() if len(returns) else np.nan
            assert series.mean_return[g, t, q] == pytest.approx(expected, nan_ok=True)
        if weights(t, g, 4).sum() == 0:
            assert np.isnan(series.cost[g, t])
            continue
        change = [weights(t, g, q) - weights(t - horizon, g, q) for q in (0, 4)]
        assert series.cost[g, t] == pytest.approx(sum(np.abs(c) @ half[t] for c in change))
        if weights(t - horizon, g, 4).sum() > 0:
            assert series.turnover[g, t] == pytest.approx(np.abs(change[1]).sum() / 2)


def test_a_signal_that_stands_still_trades_once():
    signal = np.tile(np.arange(10.0), (6, 1))
    bucket = quantiles_of(signal, EVERYONE, 5)
    series = quantile_series(bucket, np.zeros(signal.shape), np.full(signal.shape, 0.002), EVERYONE, 5, 2)
    np.testing.assert_allclose(series.cost[0], [0.004, 0.004, 0, 0, 0, 0], atol=1e-15)
    np.testing.assert_array_equal(series.turnover[0, 2:], 0.0)


def test_an_unknown_spread_is_the_members_median():
    spread = np.array([[0.002, np.nan, 0.006, 0.1], [np.nan] * 4])
    member = np.array([[True, True, True, False]] * 2)
    half = filled_half_spread(spread, member)
    np.testing.assert_allclose(half[0], [0.001, 0.002, 0.003, 0.05])
    assert np.isnan(half[1]).all()


def test_monotonicity_is_the_rank_correlation_with_the_number():
    rng = np.random.default_rng(4)
    returns = np.round(rng.normal(0, 1, (50, 5)), 1)
    expected = [stats.spearmanr(range(5), row).statistic for row in returns]
    np.testing.assert_allclose(monotonicity(returns), expected, atol=1e-12)
    assert monotonicity(np.arange(5.0)) == 1.0
    assert np.isnan(monotonicity(np.ones(5)))
    assert np.isnan(monotonicity(np.array([1, 2, np.nan, 4, 5])))


def test_causal_whatever_the_workers():
    signal, forward, half = market(5, 200)
    try:
        results = []
        for count in (1, 4):
            parallel.set_workers(count)
            bucket = quantiles_of(signal, EVERYONE, 5)
            results.append(quantile_series(bucket, forward, half, EVERYONE, 5, 5))
    finally:
        parallel.set_workers(0)
    part = quantile_series(bucket[:80], forward[:80], half[:80], EVERYONE, 5, 5)
    for name in ("mean_return", "cost", "turnover"):
        one, many, early = (getattr(r, name) for r in (*results, part))
        assert one.tobytes() == many.tobytes()
        assert early.tobytes() == np.ascontiguousarray(one[:, :80]).tobytes()


def test_one_quantile_is_none():
    with pytest.raises(ValueError, match="at least 2"):
        quantiles_of(np.zeros((1, 10)), EVERYONE, 1)
