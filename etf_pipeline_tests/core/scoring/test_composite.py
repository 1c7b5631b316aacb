"""The composite: arithmetic, ranking, what is left out and why."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.market.universe import REASONS
from etf_pipeline.core.scoring import (
    COMPONENT_NAMES,
    COMPONENTS,
    COMPOSITE_REASONS,
    component_scores,
    composite,
    exclusion_reasons,
)
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.scoring.shipped_rules import RULES

NAN = float("nan")
LOW, MEDIUM, HIGH = range(3)


def run(
    momentum, risk, volume, *, member=None, value=None, tickers=None, forecast=None, category=None, **options
):
    """One session."""
    scores = {"momentum": momentum, "risk": risk, "volume": volume}
    if forecast is not None:
        scores["forecast"] = forecast
    panels = {name: np.array([row], dtype=float) for name, row in scores.items()}
    funds = len(momentum)
    return composite(
        panels,
        np.ones((1, funds), bool) if member is None else np.array([member]),
        np.full((1, funds), MEDIUM) if category is None else np.array([category]),
        np.zeros((1, funds)) if value is None else np.array([value], dtype=float),
        np.array([f"T{j}" for j in range(funds)]) if tickers is None else np.array(tickers),
        rules=RULES,
        **{"min_cross_section": 1, **options},
    )


def test_all_four_components():
    panel = run([90], [70], [61.5], forecast=[60.3])
    # 0.35 * 90 + 0.25 * 60.3 + 0.25 * 70 + 0.15 * 61.5
    assert panel.raw_score[0, 0] == pytest.approx(73.3, abs=1e-12)
    assert panel.confidence[0, 0] == pytest.approx(1.0)


def test_weights_of_what_is_missing_are_shared_out():
    panel = run([90, 90], [70, NAN], [60, 60])
    assert panel.raw_score[0, 0] == pytest.approx((0.35 * 90 + 0.25 * 70 + 0.15 * 60) / 0.75, rel=1e-14)
    assert panel.raw_score[0, 1] == pytest.approx((0.35 * 90 + 0.15 * 60) / 0.5, rel=1e-14)
    assert panel.confidence[0].tolist() == pytest.approx([0.75, 0.5])
    assert panel.weights["risk"][0].tolist() == pytest.approx([1 / 3, 0.0])
    assert panel.weights["forecast"][0].tolist() == [0.0, 0.0]


def test_penalties_are_taken_off_as_a_percentage_and_ranked_by():
    panel = run([90, 80], [90, 80], [90, 80], forecast=[90, 80], penalty_points=np.array([[30.0, 0.0]]))
    assert panel.raw_score[0].tolist() == pytest.approx([90.0, 80.0])
    assert panel.final_score[0].tolist() == pytest.approx([63.0, 80.0])
    assert panel.rank.tolist() == [[2, 1]]


def test_multipliers_turn_the_weights_and_the_unadjusted_score_has_none():
    panel = run([90] * 3, [10] * 3, [50] * 3, forecast=[50] * 3, category=[LOW, MEDIUM, HIGH])
    low, medium, high = panel.raw_score[0]
    assert low < medium < high
    assert panel.unadjusted_score[0].tolist() == pytest.approx([medium] * 3)
    total = 0.35 * 1.3 + 0.25 * 1.2 + 0.25 * 0.7 + 0.15 * 1.1
    assert panel.weights["momentum"][0, 2] == pytest.approx(0.35 * 1.3 / total)


def test_adjusted_components_averaged_by_the_base_weights_give_the_raw_score():
    panel = run([90, 30], [10, NAN], [50, 60], forecast=[40, 70], category=[LOW, HIGH])
    summed = sum(RULES.base_weights[n] * np.nan_to_num(panel.adjusted[n]) for n in COMPONENT_NAMES)
    np.testing.assert_allclose(summed, panel.raw_score)
    assert np.isnan(panel.adjusted["risk"][0, 1])


def test_ranks_within_the_category():
    panel = run([90, 80, 70, 60], [50] * 4, [50] * 4, category=[LOW, HIGH, LOW, HIGH])
    assert panel.rank.tolist() == [[1, 2, 3, 4]] or panel.rank[0, 1] < panel.rank[0, 3]
    for code in (LOW, HIGH):
        members = [i for i, c in enumerate([LOW, HIGH, LOW, HIGH]) if c == code]
        order = sorted(members, key=lambda i: panel.rank[0, i])
        assert [panel.rank_in_category[0, i] for i in order] == [1, 2]


def test_known_shares_of_inputs_lower_the_confidence():
    share = {"momentum": np.array([[0.6]]), "forecast": np.array([[0.5]])}
    panel = run([90], [70], [60], forecast=[50], input_share=share)
    assert panel.confidence[0, 0] == pytest.approx(0.35 * 0.6 + 0.25 * 0.5 + 0.25 + 0.15)


def test_weights_of_the_session_in_place_of_the_base_weights():
    base = {"momentum": np.array([1.0]), "forecast": np.zeros(1), "risk": np.zeros(1), "volume": np.zeros(1)}
    panel = run([90, 10], [0, 100], [0, 100], forecast=[0, 100], base_weights=base)
    assert panel.raw_score[0].tolist() == pytest.approx([90.0, 10.0])


def test_a_fund_without_momentum_is_not_ranked():
    panel = run([90, NAN, 10], [70, 99, 20], [60, 99, 30])
    assert panel.rank.tolist() == [[1, 0, 2]]
    assert [COMPOSITE_REASONS[c] for c in panel.reason[0]] == ["ranked", "momentum_missing", "ranked"]
    assert np.isnan(panel.raw_score[0, 1])
    assert np.isnan(panel.confidence[0, 1])
    assert np.isnan(panel.weights["risk"][0, 1])
    assert panel.ranked.tolist() == [2]


def test_outsiders_are_not_ranked_even_with_scores():
    panel = run([90, 80], [70, 99], [60, 99], member=[True, False])
    assert panel.rank.tolist() == [[1, 0]]
    assert COMPOSITE_REASONS[panel.reason[0, 1]] == "not_in_universe"


def test_too_small_a_cross_section_has_no_ranking():
    options = {"momentum": [90, 80, 70, 60, NAN], "risk": [50] * 5, "volume": [50] * 5}
    panel = run(**options, min_cross_section=5)
    assert (panel.rank == 0).all()
    assert np.isnan(panel.raw_score).all()
    names = [COMPOSITE_REASONS[c] for c in panel.reason[0]]
    assert names == ["cross_section_too_small"] * 4 + ["momentum_missing"]
    assert run(**options, min_cross_section=4).rank.tolist() == [[1, 2, 3, 4, 0]]


def test_ties_go_to_the_more_traded_then_to_the_alphabet():
    panel = run(
        [50] * 5, [50] * 5, [50] * 5,
        value=[10, 30, NAN, 30, NAN], tickers=["E", "D", "C", "B", "A"],
    )  # fmt: skip
    assert panel.rank.tolist() == [[3, 2, 5, 1, 4]]


def test_rounding_of_the_sum_does_not_break_a_tie():
    # 0.15 * 40 = 0.25 * 15 + 0.15 * 15, but not in binary: the sums differ in the last bit.
    panel = run([0, 0], [0, 15], [40, 15], value=[2, 1])
    assert 0 < panel.raw_score[0, 1] - panel.raw_score[0, 0] < 1e-12
    assert panel.rank.tolist() == [[1, 2]]


def classes_of(member):
    return np.arange(member.shape[1]) % 4 - 1


def categories_of(member):
    return np.broadcast_to(np.arange(member.shape[1]) % 3, member.shape)


def random_inputs(seed, shape):
    """A realistic cross-section: risk and momentum correlate, some inputs are missing."""
    rng = np.random.default_rng(seed)
    volatility = rng.lognormal(-2, 0.5, shape)
    beta = 4 * volatility + rng.normal(0, 0.25, shape)
    strength = 0.08 * beta + volatility * rng.normal(0.2, 1, shape)
    inputs = {
        item.name: (0.7 * strength / strength.std() if component == "momentum" else 0.0)
        + rng.normal(size=shape)
        for component, parts in COMPONENTS.items()
        for item in parts
    } | {"volatility_annualised": volatility, "beta": beta, "cvar_95_annualised": -2 * volatility}
    for panel in inputs.values():
        panel[rng.random(shape) < 0.03] = NAN
    return inputs, rng.random(shape) < 0.9, rng.lognormal(12, 2, shape)


def test_ranks_are_a_permutation_ordered_by_score_whatever_the_column_order():
    inputs, member, value = random_inputs(1, (40, 60))
    tickers = np.array([f"T{j:02d}" for j in range(60)])
    scores = component_scores(inputs, member, classes_of(member), RULES).scores
    panel = composite(scores, member, categories_of(member), value, tickers, rules=RULES)
    for t in range(40):
        on = panel.rank[t] > 0
        assert sorted(panel.rank[t, on]) == list(range(1, panel.ranked[t] + 1))
        by_rank = panel.raw_score[t, on][np.argsort(panel.rank[t, on])]
        assert (np.diff(by_rank) <= 1e-8).all()
        total = sum(w[t, on] for w in panel.weights.values())
        np.testing.assert_allclose(total, 1.0, rtol=1e-14)
        assert ((panel.raw_score[t, on] >= 0) & (panel.raw_score[t, on] <= 100)).all()
    shuffle = np.random.default_rng(2).permutation(60)
    shuffled = composite(
        {n: s[:, shuffle] for n, s in scores.items()},
        member[:, shuffle],
        categories_of(member)[:, shuffle],
        value[:, shuffle],
        tickers[shuffle],
        rules=RULES,
    )
    np.testing.assert_array_equal(shuffled.rank, panel.rank[:, shuffle])


def test_scores_spread_over_the_range():
    inputs, member, value = random_inputs(3, (60, 200))
    panel = composite(
        component_scores(inputs, member, classes_of(member), RULES).scores,
        member,
        categories_of(member),
        value,
        np.array([f"T{j:03d}" for j in range(200)]),
        rules=RULES,
    )
    for row in panel.final_score:
        low, first, third, high = np.nanpercentile(row, [5, 25, 75, 95])
        assert third - first > 15
        assert high - low > 45
        seen = row[~np.isnan(row)]
        assert len(np.unique(np.round(seen, 6))) > 0.95 * len(seen)


def test_the_best_in_everything_is_first():
    inputs, member, value = random_inputs(4, (10, 50))
    inputs = {name: panel.copy() for name, panel in inputs.items()}
    member[:, 7] = True
    for item in (i for parts in COMPONENTS.values() for i in parts):
        best = 99.0 if item.higher_is_better else -99.0
        inputs[item.name][:, 7] = 0.0 if item.magnitude else best
    panel = composite(
        component_scores(inputs, member, classes_of(member), RULES).scores,
        member,
        categories_of(member),
        value,
        np.array([f"T{j:02d}" for j in range(50)]),
        rules=RULES,
    )
    assert (panel.rank[:, 7] == 1).all()


def test_cutting_changes_nothing_earlier():
    inputs, member, value = random_inputs(5, (100, 20))
    scores = component_scores(inputs, member, classes_of(member), RULES).scores
    tickers = np.array([f"T{j:02d}" for j in range(20)])

    def stage(member, value, momentum, forecast, risk, volume):
        scores = {"momentum": momentum, "forecast": forecast, "risk": risk, "volume": volume}
        panel = composite(scores, member, categories_of(member), value, tickers, rules=RULES)
        fields = {k: v for k, v in vars(panel).items() if k not in ("weights", "adjusted")}
        return (
            fields
            | {f"weight {k}": v for k, v in panel.weights.items()}
            | {f"adjusted {k}": v for k, v in panel.adjusted.items()}
        )

    assert_causal(stage, (member, value, *scores.values()), (1, 2, 33, 64, 99))


def test_every_fund_that_is_not_ranked_has_a_reason_and_no_other():
    universe_reason = np.array([[0, 0, 0, REASONS.index("illiquid"), REASONS.index("quarantined")]], np.int8)
    composite_reason = np.array([[0, 2, 3, 1, 1]], np.int8)
    assert exclusion_reasons(universe_reason, composite_reason).tolist() == [
        ["", "momentum_missing", "cross_section_too_small", "illiquid", "quarantined"]
    ]


@pytest.mark.parametrize("weights", [{"momentum": 0.5, "risk": 0.4}, {"momentum": 1.2, "risk": -0.2}])
def test_weights_that_are_no_weights(weights):
    with pytest.raises(ValueError, match="must not be negative and must sum to one"):
        run([1], [1], [1], base_weights=weights)


def test_a_score_without_a_weight_is_named():
    with pytest.raises(ValueError, match="no weight for component volume"):
        run([1], [1], [1], base_weights={"momentum": 0.5, "risk": 0.5})
