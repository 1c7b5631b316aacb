"""Component scores are mid-rank percentiles among members, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.stats import rankdata

from etf_pipeline.core.scoring import COMPONENTS, component_scores, cross_section
from etf_pipeline_tests.core.random_market import assert_causal

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
    assert standing.rank.tolist() == [[1, 4, 2, 2]]
    assert standing.count.tolist() == [4]


def test_direction_turns_the_scale_around():
    values = row(5, 1, 3, 3)
    standing = cross_section(values, everyone(values), higher_is_better=False)
    assert standing.score.tolist() == [[12.5, 87.5, 50.0, 50.0]]
    assert standing.rank.tolist() == [[4, 1, 2, 2]]


@settings(deadline=None)
@given(arrays(np.float64, shapes, elements=values_of), st.booleans(), st.integers(0, 99))
def test_equals_average_ranks_of_the_members_with_a_value(values, higher, seed):
    member = np.random.default_rng(seed).random(values.shape) < 0.7
    standing = cross_section(values, member, higher_is_better=higher)
    for t in range(len(values)):
        use = member[t] & np.isfinite(values[t])
        assert standing.count[t] == use.sum()
        assert np.isnan(standing.score[t, ~use]).all()
        assert (standing.rank[t, ~use] == 0).all()
        if use.any():
            signed = values[t, use] if higher else -values[t, use]
            n = use.sum()
            np.testing.assert_allclose(standing.score[t, use], 100 * (rankdata(signed) - 0.5) / n, rtol=1e-12)
            np.testing.assert_array_equal(standing.rank[t, use], rankdata(-signed, method="min"))
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


def panels(seed=1, shape=(6, 30)):
    rng = np.random.default_rng(seed)
    return {
        "momentum_12_1": rng.normal(size=shape),
        "volatility_annualised": rng.lognormal(-2, 0.5, shape),
        "beta": rng.normal(0.8, 0.7, shape),
        "accumulation": rng.normal(size=shape),
    }


def test_each_component_is_monotone_in_what_it_claims():
    inputs = panels()
    member = np.ones((6, 30), dtype=bool)
    before = component_scores(inputs, member).scores
    better = {
        "momentum": {"momentum_12_1": 9.0},
        "risk": {"volatility_annualised": 0.001, "beta": 0.0},
        "volume": {"accumulation": 9.0},
    }
    for component, changes in better.items():
        for name, value in changes.items():
            changed = {**inputs, name: inputs[name].copy()}
            changed[name][:, 4] = value
            after = component_scores(changed, member).scores
            assert (after[component][:, 4] >= before[component][:, 4]).all(), name
            assert (after[component][:, 4] > before[component][:, 4]).any(), name
            for other in set(before) - {component}:
                np.testing.assert_array_equal(after[other], before[other])


def test_an_inverse_fund_is_as_risky_as_a_geared_one():
    inputs = {**panels(), "volatility_annualised": np.full((6, 30), 0.2)}
    inputs["beta"][:, 0], inputs["beta"][:, 1] = -2.5, 2.5
    risk = component_scores(inputs, np.ones((6, 30), dtype=bool)).scores["risk"]
    np.testing.assert_array_equal(risk[:, 0], risk[:, 1])
    assert (risk[:, 0] < 50).all()


def test_a_missing_input_is_a_missing_score_never_fifty():
    inputs = panels()
    inputs["beta"][2, 5] = NAN
    inputs["momentum_12_1"][3, 6] = NAN
    scores = component_scores(inputs, np.ones((6, 30), dtype=bool)).scores
    assert np.isnan(scores["risk"][2, 5])
    assert np.isnan(scores["momentum"][3, 6])
    assert sum(np.isnan(s).sum() for s in scores.values()) == 2


def test_a_component_is_the_average_of_its_inputs_standings():
    result = component_scores(panels(), np.ones((6, 30), dtype=bool))
    mean = (result.standings["volatility_annualised"].score + result.standings["beta"].score) / 2
    np.testing.assert_array_equal(result.scores["risk"], mean)
    assert set(result.standings) == {i.name for parts in COMPONENTS.values() for i in parts}


def test_a_forgotten_panel_is_named():
    inputs = panels()
    del inputs["beta"]
    with pytest.raises(KeyError, match="no panel for beta"):
        component_scores(inputs, np.ones((6, 30), dtype=bool))


def test_cutting_changes_nothing_earlier():
    inputs = panels(shape=(120, 23))
    names = list(inputs)
    member = np.random.default_rng(0).random((120, 23)) < 0.8

    def stage(member, *columns):
        result = component_scores(dict(zip(names, columns, strict=True)), member)
        out = dict(result.scores)
        for name, standing in result.standings.items():
            out |= {f"{name} {key}": value for key, value in vars(standing).items()}
        return out

    assert_causal(stage, (member, *inputs.values()), (1, 2, 40, 77, 119))
