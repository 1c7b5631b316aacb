"""Component scores are mid-rank percentiles among members and peers, and nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.stats import rankdata

from etf_pipeline.core.scoring import COMPONENTS, PeerRules, SpreadRules, component_scores, cross_section
from etf_pipeline.core.scoring.components import peer_scores
from etf_pipeline.core.scoring.contrast import flatten
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.scoring.shipped_rules import RULES

NAN = float("nan")
# Few distinct values, so that ties are common.
values_of = st.one_of(st.integers(-4, 4).map(float), st.just(NAN), st.just(float("inf")))
shapes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=25)


def row(*values):
    return np.array([values], dtype=float)


def everyone(values):
    return np.ones(values.shape, dtype=bool)


def test_hand_computed():
    values = row(5, 1, 3, 3)
    standing = cross_section(values, everyone(values), higher_is_better=True)
    assert standing.score.tolist() == [[87.5, 12.5, 50.0, 50.0]]
    assert standing.count.tolist() == [4]


def test_direction_turns_the_scale_around():
    values = row(5, 1, 3, 3)
    standing = cross_section(values, everyone(values), higher_is_better=False)
    assert standing.score.tolist() == [[12.5, 87.5, 50.0, 50.0]]


@settings(deadline=None)
@given(arrays(np.float64, shapes, elements=values_of), st.booleans(), st.integers(0, 99))
def test_equals_average_ranks_of_the_members_with_a_value(values, higher, seed):
    member = np.random.default_rng(seed).random(values.shape) < 0.7
    standing = cross_section(values, member, higher_is_better=higher)
    for t in range(len(values)):
        use = member[t] & np.isfinite(values[t])
        assert standing.count[t] == use.sum()
        assert np.isnan(standing.score[t, ~use]).all()
        if use.any():
            signed = values[t, use] if higher else -values[t, use]
            n = use.sum()
            np.testing.assert_allclose(standing.score[t, use], 100 * (rankdata(signed) - 0.5) / n, rtol=1e-12)
            assert standing.score[t, use].mean() == pytest.approx(50.0)


@settings(deadline=None)
@given(arrays(np.float64, (1, 12), elements=st.integers(-50, 50).map(float)))
def test_only_the_order_matters(values):
    member = everyone(values)
    one = cross_section(values, member, higher_is_better=True)
    other = cross_section(np.expm1(values / 10), member, higher_is_better=True)
    np.testing.assert_array_equal(one.score, other.score)


def test_non_members_do_not_move_the_scores():
    values = row(1, 2, 3, 1e9)
    member = np.array([[True, True, True, False]])
    with_outsider = cross_section(values, member, higher_is_better=True).score[0, :3]
    alone = cross_section(values[:, :3], member[:, :3], higher_is_better=True).score[0]
    np.testing.assert_array_equal(with_outsider, alone)


def test_one_member_no_member_no_fund():
    assert cross_section(row(7.0), np.array([[True]]), higher_is_better=True).score.tolist() == [[50.0]]
    assert np.isnan(cross_section(row(7.0), np.array([[False]]), higher_is_better=True).score).all()
    assert cross_section(np.zeros((3, 0)), np.zeros((3, 0), bool), higher_is_better=True).score.shape == (
        3,
        0,
    )


RULES_ALONE = PeerRules(share=0.0, shrinkage=20.0, least=5)
PEERS = PeerRules(share=0.5, shrinkage=20.0, least=5)
UNKNOWN_CLASS = np.full(30, -1)
SPREAD = SpreadRules(span=1e-6, band_share=1.0, hold=1)  # always met: no contrast


def panels(seed=1, shape=(6, 30)):
    rng = np.random.default_rng(seed)
    names = [item.name for parts in COMPONENTS.values() for item in parts]
    return {name: rng.normal(size=shape) for name in names} | {
        "volatility_annualised": rng.lognormal(-2, 0.5, shape),
        "beta": rng.normal(0.8, 0.7, shape),
    }


def scores_of(inputs, member=None, asset_class=UNKNOWN_CLASS, peers=PEERS):
    shape = inputs["beta"].shape
    rules = dataclasses.replace(RULES, peers=peers, spread=SPREAD)
    return component_scores(
        inputs, np.ones(shape, dtype=bool) if member is None else member, asset_class, rules
    )


@pytest.mark.parametrize("item", [i for parts in COMPONENTS.values() for i in parts], ids=lambda i: i.name)
def test_each_component_is_monotone_in_each_of_its_measures(item):
    inputs = panels()
    classes = np.arange(30) % 2
    before = scores_of(inputs, asset_class=classes).scores
    best = 0.0 if item.magnitude else (9.0 if item.higher_is_better else -9.0)
    changed = {**inputs, item.name: inputs[item.name].copy()}
    changed[item.name][:, 4] = best
    after = scores_of(changed, asset_class=classes).scores
    for component, parts in COMPONENTS.items():
        if item in parts:
            assert (after[component][:, 4] >= before[component][:, 4]).all()
            assert (after[component][:, 4] > before[component][:, 4]).any()
        else:
            np.testing.assert_array_equal(after[component], before[component])


def test_an_inverse_fund_is_as_risky_as_a_geared_one():
    inputs = panels()
    for name in ("volatility_annualised", "cvar_95_annualised", "maximum_drawdown_252"):
        inputs[name] = np.full((6, 30), 0.2)
    inputs["beta"][:, 0], inputs["beta"][:, 1] = -2.5, 2.5
    risk = scores_of(inputs).scores["risk"]
    np.testing.assert_array_equal(risk[:, 0], risk[:, 1])
    assert (risk[:, 0] < 50).all()


def test_a_missing_measure_lowers_the_confidence_and_too_few_give_no_score():
    inputs = panels()
    inputs["beta"][2, 5] = NAN
    for name in ("beyond_risk_5", "beyond_risk_21"):
        inputs[name][3, 6] = NAN
    result = scores_of(inputs)
    assert result.confidence["risk"][2, 5] == 0.75
    assert np.isfinite(result.scores["risk"][2, 5])
    assert result.confidence["forecast"][3, 6] == pytest.approx(1 / 3)
    assert np.isnan(result.scores["forecast"][3, 6])
    assert sum(np.isnan(s).sum() for s in result.scores.values()) == 1


def test_a_component_is_the_percentile_of_the_average_of_its_measures():
    result = scores_of(panels())
    names = [i.name for i in COMPONENTS["risk"]]
    mean = sum(result.input_scores[n] for n in names) / len(names)
    np.testing.assert_allclose(result.averages["risk"], mean, rtol=1e-14)
    for t in range(6):
        expected = 100 * (rankdata(np.round(mean[t], 9)) - 0.5) / 30
        np.testing.assert_allclose(flatten(result.scores["risk"][t], result.contrast["risk"][t]), expected)


def test_a_component_uses_the_whole_range_whatever_the_number_of_its_measures():
    """An average of six uniform percentiles would have a standard deviation of 12, not of 29."""
    for score in scores_of(panels()).scores.values():
        assert (score.min(axis=1) < 5).all()
        assert (score.max(axis=1) > 95).all()
        assert (score.std(axis=1) > 28).all()


class TestPeers:
    """The asset class counts as far as it is large."""

    values = np.random.default_rng(8).normal(size=(3, 40))
    member = np.ones((3, 40), dtype=bool)

    def scores(self, classes, peers=PEERS):
        return peer_scores(self.values, self.member, classes, peers, higher_is_better=True)

    def test_without_classes_it_is_the_percentile_of_all(self):
        alone = cross_section(self.values, self.member, higher_is_better=True).score
        np.testing.assert_array_equal(self.scores(np.full(40, -1)), alone)
        np.testing.assert_array_equal(self.scores(np.zeros(40, int), RULES_ALONE), alone)

    def test_by_hand(self):
        classes = np.r_[np.zeros(20, int), np.ones(20, int)]
        among = cross_section(self.values[:, :20], self.member[:, :20], higher_is_better=True).score
        alone = cross_section(self.values, self.member, higher_is_better=True).score[:, :20]
        share = 0.5 * 20 / 40
        np.testing.assert_allclose(self.scores(classes)[:, :20], (1 - share) * alone + share * among)

    def test_a_small_class_is_compared_with_all(self):
        classes = np.r_[np.zeros(4, int), np.full(36, -1)]
        alone = cross_section(self.values, self.member, higher_is_better=True).score
        np.testing.assert_array_equal(self.scores(classes), alone)

    def test_the_best_of_its_class_gains(self):
        classes = np.r_[np.zeros(20, int), np.full(20, -1)]
        first = self.values[0, :20].argmax()
        assert self.scores(classes)[0, first] >= self.scores(np.full(40, -1))[0, first]


def test_a_forgotten_panel_is_named():
    inputs = panels()
    del inputs["beta"]
    with pytest.raises(KeyError, match="no panel for beta"):
        component_scores(inputs, np.ones((6, 30), dtype=bool), UNKNOWN_CLASS, RULES)


def test_cutting_changes_nothing_earlier():
    inputs = panels(shape=(120, 23))
    names = list(inputs)
    member = np.random.default_rng(0).random((120, 23)) < 0.8
    classes = np.arange(23) % 3

    def stage(member, *columns):
        result = component_scores(dict(zip(names, columns, strict=True)), member, classes, RULES)
        return {
            f"{part} {name}": panel
            for part in ("scores", "contrast", "averages", "confidence", "input_scores")
            for name, panel in getattr(result, part).items()
        }

    assert_causal(stage, (member, *inputs.values()), (1, 2, 40, 77, 119))
