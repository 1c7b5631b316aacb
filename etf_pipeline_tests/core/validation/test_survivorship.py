"""Survivorship: a planted bias is recovered, and nobody's later death changes an earlier year."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.market.simulation import SimulationConfig, simulate
from etf_pipeline.core.validation.annual_performance import annual_return
from etf_pipeline.core.validation.backtest import AccountRules, BacktestError, TradingMarket, month_ends
from etf_pipeline.core.validation.information_coefficient import Groups, fund_groups
from etf_pipeline.core.validation.survivorship import SurvivorshipBias, gone_rows, survivorship_bias
from etf_pipeline_tests.core.validation.plain_market import market_of, ranked_by, weekdays

DRIFT, WINDOW = -0.001, 252
FREE = AccountRules(delisting_haircut=0.0)


def dying_market(
    seed: int, sessions: int = 1600, funds: int = 60, drift: float = DRIFT
) -> tuple[np.ndarray, np.ndarray]:
    """Returns (S, N) with NaN after death; the last year of the doomed drifts. And the last row of each."""
    rng = np.random.default_rng(seed)
    last = np.where(rng.random(funds) < 2 / 3, rng.integers(300, 2 * sessions, funds), sessions)
    last = np.minimum(last, sessions)
    returns = (
        0.0003 + 0.006 * rng.standard_normal((sessions, 1)) + 0.004 * rng.standard_normal((sessions, funds))
    )
    row = np.arange(sessions)[:, None]
    returns += np.where((row > last - WINDOW) & (row <= last) & (last < sessions), drift, 0.0)
    return np.where(row <= last, returns, np.nan), last


def everyone(returns: np.ndarray, last: np.ndarray) -> tuple[TradingMarket, np.ndarray, np.ndarray, Groups]:
    """All alive are ranked, and held in equal parts."""
    row = np.arange(len(returns))[:, None]
    market = market_of(returns, gone=row > last)
    rows = month_ends(market.sessions)
    alive = np.isfinite(returns[rows]) & (rows[:, None] < last)
    funds = returns.shape[1]
    rank = ranked_by(np.where(alive, -np.arange(funds, dtype=float), np.nan))
    return market, rank, rows, fund_groups(np.arange(funds) % 2, np.array(["one", "other"]))


def run(returns: np.ndarray, last: np.ndarray, **more: object) -> SurvivorshipBias:
    options = {"top": returns.shape[1], "account": FREE, "replications": 20, **more}
    return survivorship_bias(*everyone(returns, last), **options)


def true_bias(returns: np.ndarray, last: np.ndarray, end: int, drift: float) -> float:
    """Growth that the drift of those who had died by ``end`` costs all the funds, a year; exact for daily rebalancing."""
    row = np.arange(end)[:, None]
    doomed = (row > last - WINDOW) & (row <= last) & (last < len(returns))
    alive = np.isfinite(returns[:end])
    share = (doomed & alive).sum(axis=1) / np.maximum(alive.sum(axis=1), 1)
    base = np.full(end, 0.0003)
    # Of the doomed that still live at the end the drift is in both.
    living = alive & (last >= end)
    both = (doomed & living).sum(axis=1) / np.maximum(living.sum(axis=1), 1)
    return float(annual_return(base + drift * both)[0] - annual_return(base + drift * share)[0])


def test_a_planted_bias_is_recovered() -> None:
    """Twelve markets: the mean estimate is within 0.25 points a year of the true bias, about 1 (three errors)."""
    found, true = [], []
    for seed in range(12):
        returns, last = dying_market(seed)
        bias = run(returns, last)
        end = int(np.searchsorted(weekdays(1600), np.datetime64(f"{bias.year[-1] + 1}-01-01")))
        found.append(bias.difference[-1, 1, 0, 0, 0])
        true.append(true_bias(returns, last, end, DRIFT))
    assert np.mean(true) > 0.006
    assert np.mean(found) == pytest.approx(np.mean(true), abs=0.0025)


def test_without_a_planted_bias_none_is_found() -> None:
    """Twelve markets in which death has nothing to do with returns: within 0.25 percentage points of nothing."""
    found = [run(*dying_market(seed, drift=0.0)).difference[-1, 1, 0, 0, 0] for seed in range(12)]
    assert abs(np.mean(found)) < 0.0025


def test_on_the_simulated_market_what_is_planted_is_found() -> None:
    """Deaths are the simulation's. 38 % a year taken from the last year of those that died: the estimate rises by what that
    costs the equally weighted funds, within a tenth of it, and its interval lies above zero."""
    market = simulate(SimulationConfig(weekdays(3000), n_funds=150))
    truth = market.truth
    last = np.full(len(truth.tickers), len(truth.sessions))
    names = truth.tickers.tolist()
    for ticker, day in zip(truth.deaths["ticker"], truth.deaths["last_session"], strict=True):
        last[names.index(ticker)] = np.searchsorted(truth.sessions, np.datetime64(day, "D"))
    assert (last < len(truth.sessions)).sum() > 20
    row = np.arange(len(truth.sessions))[:, None]
    returns = np.where(row <= last, truth.total_return, np.nan)
    doomed = (row > last - WINDOW) & (row <= last) & (last < len(truth.sessions))
    planted = np.where(doomed, returns - 0.0015, returns)
    before, after = (run(r, last, replications=200) for r in (returns, planted))
    end = int(np.searchsorted(truth.sessions, np.datetime64(f"{after.year[-1] + 1}-01-01")))
    alive = np.isfinite(returns[:end])
    cost = 252 * 0.0015 * ((doomed[:end] & alive).sum(axis=1) / np.maximum(alive.sum(axis=1), 1))[1:].mean()
    assert cost > 0.005
    rise = after.difference[-1, 1, 0, 0, 0] - before.difference[-1, 1, 0, 0, 0]
    assert rise == pytest.approx(cost, rel=0.1)
    assert after.lower[-1, 1, 0, 0, 0] > 0
    assert (after.difference[-1, 1, 0, 1, 0]) < 0  # those that died did worse


def test_more_history_changes_no_year_that_is_over() -> None:
    returns, last = dying_market(3)
    whole = run(returns, last, top=10, keep=15)
    part = run(returns[:1100], np.where(last < 1100, last, 1100), top=10, keep=15)
    count = len(part.year)
    assert count == 4
    for name in ("funds", "sessions", "value", "difference", "lower", "upper"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:count])


def test_a_class_is_judged_by_its_own_funds_alone() -> None:
    returns, last = dying_market(4)
    whole = run(returns, last, top=8)
    market, rank, rows, _ = everyone(returns, last)
    own = np.where(np.arange(60) % 2 == 1, rank, 0)
    alone = survivorship_bias(
        market, own, rows, fund_groups(np.zeros(60), np.array([])), top=8, account=FREE, replications=20
    )
    np.testing.assert_array_equal(alone.value[:, :, 0], whole.value[:, :, 2])
    np.testing.assert_array_equal(alone.upper[:, :, 0], whole.upper[:, :, 2])


def test_nobody_died() -> None:
    returns = 0.01 * np.random.default_rng(5).standard_normal((600, 12))
    found = run(returns, np.full(12, 600), top=4)
    assert (found.difference[..., 0, :] == 0).all()
    assert np.isnan(found.difference[..., 1, :]).all()
    assert (found.funds[..., 2] == 0).all()
    np.testing.assert_array_equal(found.value[..., 0, :], found.value[..., 1, :])
    np.testing.assert_allclose(found.value[..., 0, 2], 0.5)


def test_ranks_of_the_doomed() -> None:
    """The doomed hold the last places: survivors' mean place falls by half the share of the doomed."""
    returns, last = dying_market(6)
    market, rank, rows, groups = everyone(returns, last)
    score = np.where(rank > 0, np.where(last < 1600, 0.0, 1.0), np.nan)
    found = survivorship_bias(market, ranked_by(score), rows, groups, top=10, replications=20)
    end = int(np.searchsorted(market.sessions, np.datetime64(f"{found.year[-1] + 1}-01-01")))
    used = rows < end
    gone = ((rank > 0) & (last < end))[used].sum(axis=1) / (rank > 0)[used].sum(axis=1)
    assert found.difference[-1, 1, 0, 0, 2] == pytest.approx(-0.5 * gone.mean(), abs=0.05)
    assert found.difference[-1, 1, 0, 1, 2] > 0
    assert (found.lower[-1, 1, 0, 1, 2]) > 0


def test_who_is_gone_since_when() -> None:
    returns, last = dying_market(7, 400, 8)
    market, *_ = everyone(returns, last)
    np.testing.assert_array_equal(gone_rows(market), np.minimum(last + 1, 400))


def test_what_cannot_be_meant_is_refused() -> None:
    returns, last = dying_market(8, 400, 8)
    market, rank, rows, groups = everyone(returns, last)
    with pytest.raises(BacktestError, match="must be"):
        survivorship_bias(market, rank[:-1], rows, groups, top=3)
    with pytest.raises(BacktestError, match="keep at least top"):
        survivorship_bias(market, rank, rows, groups, top=3, keep=2)
