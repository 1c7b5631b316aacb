"""Overfitting: the tables against a plain loop over splits, the number of splits, and markets whose answer is known."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from etf_pipeline.core.parallel import set_workers
from etf_pipeline.core.validation.overfitting import probability_of_backtest_overfitting, training_halves


def ratios(r: np.ndarray) -> np.ndarray:
    deviation = r.std(axis=0, ddof=1)
    varies = deviation > 1e-9
    return np.where(varies, r.mean(axis=0) / np.where(varies, deviation, 1.0), 0.0)


def plain_loop(r: np.ndarray, blocks: int) -> tuple[np.ndarray, ...]:
    """(C,) chosen, rank, training ratio, test ratio, and (C, K) all test ratios: every split written out."""
    parts = np.array_split(np.arange(len(r)), blocks)
    rows = []
    for half in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[b] for b in half])
        outside = np.concatenate([parts[b] for b in range(blocks) if b not in half])
        trained, tested = ratios(r[inside]), ratios(r[outside])
        n = int(trained.argmax())
        rank = (tested < tested[n] - 1e-12).sum() + ((np.abs(tested - tested[n]) <= 1e-12).sum() + 1) / 2
        rows.append((n, rank, trained[n], tested[n], tested))
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def strategies(seed: int, count: int = 320, width: int = 12, spread: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 0.01 * rng.standard_t(5, (count, width)) + spread * np.linspace(0, 1, width)


@pytest.mark.parametrize("blocks", [2, 4, 6, 10])
@pytest.mark.parametrize("count", [320, 331])
def test_a_plain_loop_finds_the_same(blocks: int, count: int) -> None:
    r = strategies(blocks, count, spread=0.001)
    r[:, 3] = r[:, 9]  # a duplicate: ties in every split
    r[: count // 2, 5] = 0.0  # in cash half of the time
    r[:, 6] = 0.0002  # without variation throughout
    found = probability_of_backtest_overfitting(r, blocks=blocks)
    chosen, rank, trained, tested, everyone = plain_loop(r, blocks)
    np.testing.assert_array_equal(found.chosen, chosen)
    np.testing.assert_allclose(found.training_sharpe, trained, rtol=1e-9)
    np.testing.assert_allclose(found.test_sharpe, tested, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(found.logit, np.log(rank / (13 - rank)), atol=1e-12)
    assert found.probability == pytest.approx((np.log(rank / (13 - rank)) <= 1e-12).mean())
    assert found.probability_of_loss == pytest.approx((tested < 0).mean())
    if blocks > 2:
        slope, intercept = np.polyfit(trained, tested, 1)
        assert found.slope == pytest.approx(slope, rel=1e-6)
        assert found.intercept == pytest.approx(intercept, rel=1e-6)
        assert found.r_squared == pytest.approx(np.corrcoef(trained, tested)[0, 1] ** 2, rel=1e-6)
        exact = second_order(tested, everyone.ravel())
        assert found.least_second_order == pytest.approx(exact, abs=0.002 * np.ptp(everyone))


def second_order(chosen: np.ndarray, everyone: np.ndarray) -> float:
    """Least integral of the difference of the distribution functions, at every point where either jumps."""
    points = np.unique(np.concatenate([chosen, everyone]))
    ours = np.searchsorted(np.sort(chosen), points, side="right") / len(chosen)
    theirs = np.searchsorted(np.sort(everyone), points, side="right") / len(everyone)
    return float(np.concatenate([[0.0], np.cumsum((theirs - ours)[:-1] * np.diff(points))]).min())


def test_sixteen_blocks_make_12870_splits() -> None:
    halves = training_halves(16)
    assert len(halves) == len(np.unique(halves)) == comb(16, 8) == 12_870
    assert {int(h).bit_count() for h in halves} == {8}
    assert len(probability_of_backtest_overfitting(strategies(0), blocks=16).logit) == 12_870


def test_worthless_strategies_are_overfitted_half_of_the_time() -> None:
    """Mean over 60 markets of 10 strategies of equal worth: 0.50 within two standard errors of 0.02."""
    found = [
        probability_of_backtest_overfitting(strategies(s, width=10), blocks=8).probability for s in range(60)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)
    assert np.std(found) > 0.1


def test_a_strategy_that_is_better_is_no_overfitting() -> None:
    r = strategies(1, 1200, 20)
    r[:, 7] += 0.004
    found = probability_of_backtest_overfitting(r, blocks=10)
    assert found.probability == 0.0
    assert (found.chosen == 7).all()
    assert found.probability_of_loss == 0.0
    assert found.second_order_dominance
    assert found.first_order_dominance
    assert found.least_second_order == 0.0
    # A training half that looks better leaves a test half that looks worse: the two share one history.
    assert found.slope < 0


def test_overfitting_by_construction() -> None:
    """Each strategy is good in some blocks and as bad in the others: what wins in training loses in the test."""
    rng = np.random.default_rng(2)
    good = np.array([[(m >> b) & 1 for b in range(6)] for m in training_halves(6)]).T * 2.0 - 1.0
    r = np.repeat(good, 50, axis=0) * 0.01 + 0.001 * rng.standard_normal((300, 20))
    found = probability_of_backtest_overfitting(r, blocks=6)
    assert found.probability == 1.0
    assert found.probability_of_loss == 1.0
    assert not found.second_order_dominance
    assert found.least_second_order < 0


def test_ranks_are_over_one_more_than_the_strategies() -> None:
    """Two strategies that never tie: rank 1 of 2 is 1/3, rank 2 is 2/3."""
    logit = probability_of_backtest_overfitting(strategies(3, width=2), blocks=6).logit
    assert set(np.round(logit, 12)) == {round(-np.log(2), 12), round(np.log(2), 12)}


def test_identical_strategies_are_at_the_median() -> None:
    r = np.repeat(strategies(4, width=1), 5, axis=1)
    found = probability_of_backtest_overfitting(r, blocks=6)
    assert (found.logit == 0.0).all()
    assert (found.chosen == 0).all()
    assert not found.first_order_dominance
    assert not found.second_order_dominance
    nothing = probability_of_backtest_overfitting(np.zeros((40, 3)), blocks=4)
    assert (nothing.logit == 0.0).all()
    assert np.isnan(nothing.slope)


def test_leverage_does_not_matter_and_workers_do_not() -> None:
    r = strategies(5)
    found = probability_of_backtest_overfitting(r, blocks=10)
    levered = probability_of_backtest_overfitting(r * 2.0 ** np.arange(12), blocks=10)
    np.testing.assert_array_equal(found.chosen, levered.chosen)
    assert found.logit.tobytes() == levered.logit.tobytes()
    try:
        set_workers(1)
        alone = probability_of_backtest_overfitting(r, blocks=10)
    finally:
        set_workers(0)
    assert alone.test_sharpe.tobytes() == found.test_sharpe.tobytes()
    assert alone.least_second_order == found.least_second_order


def test_refusals() -> None:
    r = strategies(6, 60)
    for blocks in (3, 0, 22, 62):
        with pytest.raises(ValueError, match="blocks must be even"):
            probability_of_backtest_overfitting(r, blocks=blocks)
    with pytest.raises(ValueError, match="2 strategies"):
        probability_of_backtest_overfitting(r[:, :1], blocks=4)
    r[3, 3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        probability_of_backtest_overfitting(r, blocks=4)
