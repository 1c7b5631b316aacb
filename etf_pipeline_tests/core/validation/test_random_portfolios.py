"""Random portfolios: they trade as the strategy does, know nothing, and depend on nothing but their names."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from etf_pipeline.core.parallel import set_workers
from etf_pipeline.core.validation.backtest import BacktestError, backtest_returns, best_ranked, month_ends
from etf_pipeline.core.validation.random_portfolios import (
    MOST_PERSISTENT,
    draw_noise,
    random_portfolios,
    rank_by_noise,
    standing,
)
from etf_pipeline_tests.core.validation.plain_market import market_of, ranked_by, weekdays

FUNDS, SESSIONS = 40, 1000
NAMES = np.arange(10, 10 + FUNDS, dtype=np.uint64)


def persistent(seed: int, count: int, stay: float, funds: int = FUNDS) -> np.ndarray:
    """(count, funds) scores of a strategy."""
    rng = np.random.default_rng(seed)
    out = rng.standard_normal((count, funds))
    for r in range(1, count):
        out[r] = stay * out[r - 1] + np.sqrt(1 - stay**2) * out[r]
    return out


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(0)
    returns = (
        0.0003 + 0.006 * rng.standard_normal((SESSIONS, 1)) + 0.01 * rng.standard_normal((SESSIONS, FUNDS))
    )
    rows = month_ends(weekdays(SESSIONS))
    score = persistent(1, len(rows), 0.8)
    score[:5] = np.nan
    score[:20, 30:] = np.nan
    return market_of(returns, half_spread=0.001), ranked_by(score), rows


def run(scene, **more):
    market, rank, rows = scene
    return random_portfolios(market, rank, rows, **{"top": 10, "keep": 15, "draws": 40, **more})


def test_noise_is_normal_and_independent() -> None:
    """Kolmogorov-Smirnov and the correlations of neighbours in draw, fund and day, 200,000 numbers."""
    draws = np.array([draw_noise(NAMES, np.arange(500), np.uint64(7), k) for k in range(10)])
    assert stats.kstest(draws.ravel(), "norm").pvalue > 0.001
    for one, other in (
        (draws[1:], draws[:-1]),
        (draws[:, 1:], draws[:, :-1]),
        (draws[..., 1:], draws[..., :-1]),
        (draws, draw_noise(NAMES, np.arange(500), np.uint64(8), 0)[None] + 0 * draws),
    ):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 4 / np.sqrt(one.size / 10)


def test_persistence_is_the_autocorrelation_of_the_noise() -> None:
    """Against a plain loop."""
    noise = draw_noise(NAMES, np.arange(60), np.uint64(1), 0)
    stay = np.linspace(0, 0.99, 60)
    ranked = np.random.default_rng(2).random(noise.shape) < 0.7
    level = np.zeros(FUNDS)
    rank = rank_by_noise(ranked, noise, stay, level)
    x = np.zeros(FUNDS)
    for r in range(60):
        x = stay[r] * x + np.sqrt(1 - stay[r] ** 2) * noise[r]
        np.testing.assert_array_equal(rank[r], ranked_by(np.where(ranked[r], x, np.nan)[None])[0])
    np.testing.assert_allclose(level, x)


@pytest.mark.parametrize("stay", [0.5, 0.95])
def test_draws_trade_as_much_as_the_strategy_in_every_year(scene, stay: float) -> None:
    """Mean share bought a year within 0.03 of the strategy's."""
    market, _, rows = scene
    rank = ranked_by(persistent(3, len(rows), stay))
    found = random_portfolios(market, rank, rows, top=10, keep=15, draws=100)
    year = market.sessions[rows].astype("datetime64[Y]")
    for one in np.unique(year):
        own = (year == one) & np.isfinite(found.strategy_turnover)
        assert found.turnover[own].mean() == pytest.approx(found.strategy_turnover[own].mean(), abs=0.03)
    assert abs(np.median(found.persistence[1:]) - stay) < 0.15


def test_strategies_that_trade_beyond_all_noise_get_the_ends(scene) -> None:
    market, _, rows = scene
    still = np.broadcast_to(np.arange(1, FUNDS + 1), (len(rows), FUNDS))
    assert (random_portfolios(market, still, rows, top=5, draws=2).persistence[1:] > 0.999).all()
    swings = np.where(np.arange(len(rows))[:, None] % 2 == 0, still, FUNDS + 1 - still)
    assert (random_portfolios(market, swings, rows, top=5, draws=2).persistence == 0).all()
    assert MOST_PERSISTENT < 1


def test_they_hold_ranked_funds_only_and_as_many(scene) -> None:
    """Funds that are ranked earn 0.1 % a day, others 5 %; four are ranked until the tenth ranking, of ten to be held."""
    _, _, rows = scene
    rank = np.tile(np.arange(1, FUNDS + 1), (len(rows), 1))
    rank[:, 30:] = 0
    rank[:10, 4:] = 0
    rank[:2] = 0
    returns = np.full((SESSIONS, FUNDS), 0.001)
    returns[:, 30:] = 0.05
    found = random_portfolios(market_of(returns), rank, rows, top=10, draws=5).returns
    assert np.isnan(found[: rows[2] + 1]).all()
    np.testing.assert_allclose(found[rows[2] + 2], 0.0004)
    assert (found[rows[2] + 2 : rows[10] + 2] < 0.0005).all()
    np.testing.assert_allclose(found[rows[10] + 2 :], 0.001)


def test_draws_depend_on_neither_their_number_nor_the_workers(scene) -> None:
    few, many = run(scene, draws=3), run(scene, draws=300)
    np.testing.assert_array_equal(few.returns, many.returns[:, :3])
    set_workers(1)
    try:
        np.testing.assert_array_equal(run(scene, draws=300).returns, many.returns)
    finally:
        set_workers(0)
    assert not np.array_equal(run(scene, draws=3, seed=1).returns, few.returns)


def test_more_history_and_more_funds_change_no_year_that_is_over(scene) -> None:
    _, rank, rows = scene
    rng = np.random.default_rng(9)
    returns = 0.01 * rng.standard_normal((SESSIONS, FUNDS + 5))
    wider = np.concatenate([rank, np.zeros((len(rows), 5), dtype=int)], axis=1)
    late = rows > 800
    wider[late, FUNDS:] = wider[late, :FUNDS].max(axis=1)[:, None] + np.arange(1, 6)
    whole = random_portfolios(market_of(returns), wider, rows, top=10, keep=15, draws=20)
    part = random_portfolios(
        market_of(returns[:800, :FUNDS]), rank[rows < 800], rows[rows < 800], top=10, keep=15, draws=20
    )
    sessions = market_of(returns).sessions
    over = sessions < np.datetime64("2008-01-01")  # row 780
    np.testing.assert_array_equal(part.returns[over[:800]], whole.returns[over])
    own = standing(part.returns[:, 0], part.returns, sessions[:800])
    other = standing(whole.returns[:, 0], whole.returns, sessions)
    np.testing.assert_array_equal(own.sharpe_percentile, other.sharpe_percentile[: len(own.year)])


def test_a_strategy_that_knows_nothing_stands_anywhere(scene) -> None:
    """20 worthless strategies: their percentiles are uniform by Kolmogorov and Smirnov, at 0.1 %."""
    market, _, rows = scene
    places = []
    for seed in range(20):
        rank = ranked_by(persistent(100 + seed, len(rows), 0.8))
        panel = np.zeros((SESSIONS, FUNDS), dtype=np.int64)
        panel[rows] = rank
        own = backtest_returns(market, [best_ranked(panel, rows, top=10, keep=15)])[:, 0]
        draws = random_portfolios(market, rank, rows, top=10, keep=15, draws=30, seed=seed)
        places.append(standing(own, draws.returns, market.sessions).sharpe_percentile[-1, 1])
    assert stats.kstest(np.array(places) / 100.0, "uniform").pvalue > 0.001


def test_one_that_knows_stands_at_the_top(scene) -> None:
    market, _, rows = scene
    ahead = np.array([market.mark[min(r + 22, SESSIONS - 1)] / market.mark[r + 1] for r in rows])
    rank = ranked_by(ahead)
    panel = np.zeros((SESSIONS, FUNDS), dtype=np.int64)
    panel[rows] = rank
    own = backtest_returns(market, [best_ranked(panel, rows, top=10)])[:, 0]
    found = standing(own, random_portfolios(market, rank, rows, top=10, draws=50).returns, market.sessions)
    assert (found.annual_return_percentile[:, 1] == 100.0).all()
    np.testing.assert_allclose(found.annual_return_p_value[:, 1], 1 / 51)


def test_percentiles_by_hand() -> None:
    sessions = weekdays(300)
    rng = np.random.default_rng(3)
    draws = 0.01 * rng.standard_normal((300, 4))
    draws[:10] = np.nan
    found = standing(draws[:, 2], draws, sessions)
    year = np.flatnonzero(sessions >= np.datetime64("2006-01-01"))[0]
    growth = np.prod(1 + draws[10:year], axis=0) ** (252 / (year - 10)) - 1
    below = (growth < growth[2]).sum()
    assert found.annual_return[0, 0] == pytest.approx(growth[2])
    assert found.annual_return_percentile[0, 0] == 100 * (below + 0.5) / 4
    assert found.annual_return_p_value[0, 0] == (1 + 4 - below) / 5
    np.testing.assert_array_equal(found.year, [2005])


def test_what_cannot_be_meant_is_refused(scene) -> None:
    market, rank, rows = scene
    with pytest.raises(BacktestError, match="rows ascending"):
        random_portfolios(market, rank[1:], rows, top=3)
    with pytest.raises(BacktestError, match="keep at least top"):
        run(scene, top=10, keep=9)
    with pytest.raises(BacktestError, match="no session"):
        random_portfolios(market, 0 * rank, rows, top=3)
