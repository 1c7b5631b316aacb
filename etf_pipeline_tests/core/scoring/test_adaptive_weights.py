"""Adaptive weights: what a regime teaches and what noise does not, the past alone, and how fast weights move."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.scoring.adaptive_weights import AdaptiveWeights, adaptive_weights
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.validation.regime_market import (
    COMPONENTS,
    DEPENDENT,
    RegimeMarket,
    regime_market,
)

BASE = {"momentum": 0.35, "forecast": 0.25, "risk": 0.25, "volume": 0.15}
MOMENTUM, RISK = COMPONENTS.index("momentum"), COMPONENTS.index("risk")
CALM, STRESS = 0, 2


def weigh(market: RegimeMarket, **more: object) -> AdaptiveWeights:
    given = {"scores": market.scores, "base_weights": BASE} | more
    return adaptive_weights(
        given.pop("scores"),  # type: ignore[arg-type]
        market.total_return,
        market.spanned,
        market.probability,
        market.sessions,
        **given,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def market() -> RegimeMarket:
    return regime_market(1)


@pytest.fixture(scope="module")
def learned(market: RegimeMarket) -> AdaptiveWeights:
    return weigh(market)


def test_weights_are_weights(learned: AdaptiveWeights) -> None:
    for weights in (learned.weights, learned.regime_weights):
        assert weights.min() >= 0
        np.testing.assert_allclose(weights.sum(axis=-1), 1.0, atol=1e-12)


def test_what_works_in_a_regime_weighs_more_in_it(learned: AdaptiveWeights) -> None:
    last = learned.regime_weights[-1]
    assert last[CALM, MOMENTUM] > BASE["momentum"] > last[STRESS, MOMENTUM]
    assert last[STRESS, RISK] > BASE["risk"] > last[CALM, RISK]


def test_weights_follow_the_regimes_there_are(market: RegimeMarket, learned: AdaptiveWeights) -> None:
    late = np.arange(len(market.sessions)) > 2500
    calm = late & (market.probability[:, CALM] > 0.9)
    stress = late & (market.probability[:, STRESS] > 0.9)
    assert (
        learned.weights[calm, MOMENTUM].mean()
        > BASE["momentum"]
        > learned.weights[stress, MOMENTUM].mean() + 0.05
    )


def test_base_weights_until_something_is_learned(market: RegimeMarket, learned: AdaptiveWeights) -> None:
    before = learned.weights[: learned.refit_rows[0]]
    assert (before == np.array([*BASE.values()])).all()
    unknown = weigh(market, scores={})
    assert (unknown.weights == np.array([*BASE.values()])).all()
    assert not unknown.turnover.any()


def test_noise_leaves_the_base_weights_nearly_as_they_are() -> None:
    """Mean absolute change of the weights over a session, 12 seeds: regimes without meaning against with."""

    def moved(premium: np.ndarray) -> list[float]:
        return [
            float(
                np.abs(weigh(regime_market(seed, premium=premium)).weights - [*BASE.values()]).sum(1).mean()
            )
            for seed in range(12)
        ]

    flat, dependent = moved(np.tile([0.03, 0.02, 0.02, 0.01], (3, 1))), moved(DEPENDENT)
    assert np.median(flat) < 0.01
    assert np.mean(flat) < 0.2 * np.mean(dependent)


def test_a_component_good_everywhere_is_no_reason_to_move() -> None:
    """The base weights say how good a component is in general; only differences between regimes count."""
    everywhere = np.tile([0.0, 0.0, 0.08, 0.0], (3, 1))
    drifts = [
        weigh(regime_market(seed, premium=everywhere)).weights[:, RISK].mean() - BASE["risk"]
        for seed in range(6)
    ]
    assert abs(np.mean(drifts)) < 0.02


def test_missing_component_keeps_its_base_weight_beside_the_others(market: RegimeMarket) -> None:
    known = {name: panel for name, panel in market.scores.items() if name != "forecast"}
    for scores in (known, known | {"forecast": np.full(market.total_return.shape, np.nan)}):
        result = weigh(market, scores=scores)
        assert np.isnan(result.information_coefficient[:, :, 1]).all()
        assert (result.effective_windows[:, :, 1] == 0).all()
        assert (result.regime_weights[:, :, 1] > 0).all()
        np.testing.assert_allclose(result.weights.sum(axis=1), 1.0, atol=1e-12)


def test_turnover_is_what_the_weights_moved_and_is_capped(learned: AdaptiveWeights) -> None:
    moved = 0.5 * np.abs(np.diff(learned.weights, axis=0)).sum(axis=1)
    np.testing.assert_allclose(learned.turnover[1:], moved, atol=1e-15)
    assert learned.turnover.max() <= 0.02 + 1e-12
    assert learned.turnover.max() > 0.019  # the cap binds somewhere


def test_a_session_without_probabilities_changes_nothing(market: RegimeMarket) -> None:
    probability = market.probability.copy()
    probability[3000:3010] = np.nan
    result = adaptive_weights(
        market.scores, market.total_return, market.spanned, probability, market.sessions, BASE
    )
    assert (result.weights[3000:3010] == result.weights[2999]).all()
    assert not result.turnover[3000:3010].any()
    assert np.isfinite(result.weights).all()


def test_information_coefficients_of_the_last_refit_by_hand(
    market: RegimeMarket, learned: AdaptiveWeights
) -> None:
    from scipy.stats import spearmanr

    row = int(learned.refit_rows[-1])
    weight, total = 0.0, 0.0
    for t in range(0, len(market.sessions), 5):
        if t + 1 + 21 >= row:
            break
        forward = np.prod(1 + market.total_return[t + 2 : t + 23], axis=0) - 1
        p = market.probability[t, STRESS]
        total += p * spearmanr(market.scores["risk"][t], forward).statistic
        weight += p
    assert learned.information_coefficient[-1, STRESS, RISK] == pytest.approx(total / weight, rel=1e-9)


def test_returns_not_complete_before_a_refit_do_not_enter_it(
    market: RegimeMarket, learned: AdaptiveWeights
) -> None:
    row = int(learned.refit_rows[20])
    other = market.total_return.copy()
    other[row:] = np.random.default_rng(0).standard_normal(other[row:].shape)
    changed = adaptive_weights(
        market.scores, other, market.spanned, market.probability, market.sessions, BASE
    )
    assert changed.information_coefficient[:21].tobytes() == learned.information_coefficient[:21].tobytes()
    assert not np.array_equal(changed.information_coefficient[21], learned.information_coefficient[21])


def test_truncation() -> None:
    small = regime_market(5, premium=4 * DEPENDENT, sessions=900, funds=25)

    def stage(returns: np.ndarray, probability: np.ndarray, *scores: np.ndarray) -> dict[str, np.ndarray]:
        result = adaptive_weights(
            dict(zip(COMPONENTS, scores, strict=True)),
            returns,
            np.ones(returns.shape, dtype=np.int64),
            probability,
            small.sessions[: len(returns)],
            BASE,
        )
        return {"weights": result.weights, "turnover": result.turnover}

    panels = (small.total_return, small.probability, *small.scores.values())
    assert not np.array_equal(stage(*panels)["weights"][-1], [*BASE.values()])
    assert_causal(stage, panels, (1, 30, 251, 700, 899))


def test_funds_without_a_value_change_no_bit(market: RegimeMarket, learned: AdaptiveWeights) -> None:
    def wider(panel: np.ndarray) -> np.ndarray:
        return np.insert(panel, [0, 7, panel.shape[1]], np.nan, axis=1)

    result = adaptive_weights(
        {name: wider(panel) for name, panel in market.scores.items()},
        wider(market.total_return),
        np.insert(market.spanned, [0, 7, market.spanned.shape[1]], 0, axis=1),
        market.probability,
        market.sessions,
        BASE,
    )
    assert result.weights.tobytes() == learned.weights.tobytes()


def test_refusals(market: RegimeMarket) -> None:
    with pytest.raises(ValueError, match="sum to one"):
        weigh(market, base_weights={"momentum": 0.5, "risk": 0.4})
    with pytest.raises(ValueError, match="no weight for component volume"):
        weigh(market, base_weights={"momentum": 0.5, "forecast": 0.3, "risk": 0.2})
    with pytest.raises(ValueError, match="scores of momentum"):
        weigh(market, scores={"momentum": np.ones((3, 3))})
    with pytest.raises(ValueError, match="one row a session"):
        adaptive_weights(
            {}, market.total_return, market.spanned, market.probability[:-1], market.sessions, BASE
        )
    with pytest.raises(ValueError, match="refit_months"):
        weigh(market, refit_months=0)
