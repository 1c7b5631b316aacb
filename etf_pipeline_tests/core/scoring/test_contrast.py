"""Contrast spreads scores and changes no order."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_pipeline.core.scoring.contrast import STEPS, _fullest_band, _lack, _lacks, contrast, flatten, sharpen
from etf_pipeline.core.scoring.rules import SpreadRules
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.scoring.shipped_rules import RULES

NAN = float("nan")
WEIGHTS = dict(RULES.base_weights)
ALONE = dataclasses.replace(RULES.spread, hold=1)


def percentiles(sessions=30, funds=80, seed=0, common=0.0):
    """Uniform percentiles; ``common`` draws the components together."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(sessions, funds))
    out = {}
    for name in WEIGHTS:
        mixed = common * shared + rng.normal(size=(sessions, funds))
        out[name] = 100.0 * (mixed.argsort(axis=1).argsort(axis=1) + 0.5) / funds
    return out


def weights_of(panels):
    return {name: np.full(panel.shape, WEIGHTS[name]) for name, panel in panels.items()}


def contrasts_of(panels, rules=RULES.spread, kept=1.0, weights=None):
    shape = next(iter(panels.values())).shape
    return contrast(panels, weights or weights_of(panels), np.broadcast_to(kept, shape), rules)


def common_of(panels, rules=RULES.spread, kept=1.0):
    """(S,) contrast, where all components have the same."""
    first, *others = contrasts_of(panels, rules, kept).values()
    for other in others:
        np.testing.assert_array_equal(other, first)
    return first


def weighted(panels, values, kept=1.0, weights=None):
    if not isinstance(values, dict):
        values = dict.fromkeys(panels, values)
    weights = weights or weights_of(panels)
    return kept * sum(weights[name] * sharpen(panel, values[name][:, None]) for name, panel in panels.items())


def lacks_of(panels, values, rules=RULES.spread):
    return np.array([_lack(row, rules) for row in weighted(panels, values)])


def span(scores):
    low, high = np.percentile(scores, [5, 95])
    return high - low


@given(st.floats(0, 100), st.floats(1, 10))
def test_it_can_be_undone_and_leaves_the_middle_and_the_ends(percentile, value):
    assert flatten(sharpen(np.array(percentile), value), value) == pytest.approx(percentile, abs=1e-6)
    np.testing.assert_allclose(sharpen(np.array([0.0, 50.0, 100.0]), value), [0.0, 50.0, 100.0])


@given(st.lists(st.floats(0, 100), min_size=2, max_size=10), st.floats(1, 10))
def test_it_keeps_the_order_and_moves_away_from_the_middle(values, value):
    before = np.sort(np.array(values))
    after = sharpen(before, value)
    assert (np.diff(after) >= 0).all()
    assert (np.abs(after - 50) >= np.abs(before - 50) - 1e-9).all()


@pytest.mark.parametrize("kept", [1.0, 0.9])
def test_scores_spread_as_asked(kept):
    panels = percentiles()
    value = common_of(panels, kept=kept)
    assert (value > 1.0).any(), "four unrelated components average to a deviation of 15"
    for row in weighted(panels, value, kept):
        assert span(row) >= RULES.spread.span - 1e-9
        assert _fullest_band(row) <= RULES.spread.band_share + 1e-9


def test_no_more_than_is_needed():
    assert (common_of(percentiles(common=5.0)) == 1.0).all()
    panels = percentiles()
    step = np.searchsorted(STEPS, common_of(panels, ALONE))
    less = weighted(panels, STEPS[np.maximum(step - 1, 0)])
    for row, steps in zip(less, step, strict=True):
        assert steps == 0 or span(row) < ALONE.span or _fullest_band(row) > ALONE.band_share


def test_components_that_contradict_each_other_need_contrasts_of_their_own():
    """With one contrast for both all scores are within 0.4 * 50 points of 50, whatever it is."""
    rising = (np.arange(40) + 0.5)[None] * 100.0 / 40
    panels = {"momentum": rising, "risk": 100.0 - rising}
    weights = {"momentum": np.full((1, 40), 0.7), "risk": np.full((1, 40), 0.3)}
    rules = SpreadRules(span=46.0, band_share=0.6, hold=1)
    for step in STEPS:
        assert span(weighted(panels, np.array([step]), weights=weights)[0]) <= 40.0
    value = contrasts_of(panels, rules, weights=weights)
    assert value["momentum"][0] > value["risk"][0]
    row = weighted(panels, value, weights=weights)[0]
    assert span(row) >= 46.0
    assert _fullest_band(row) <= 0.6


def test_contrasts_of_their_own_are_those_least_apart_from_the_common_one():
    """Against every combination, tried one by one, on the sessions on which no common contrast suffices."""
    panels = percentiles(sessions=60, funds=14, seed=4)
    rules = dataclasses.replace(ALONE, band_share=0.40)
    value = contrasts_of(panels, rules)
    got = np.stack([np.searchsorted(STEPS, v) for v in value.values()], axis=1)
    common = np.array([lacks_of(panels, np.full(60, step), rules) for step in STEPS])
    short = common.min(axis=0) > 0.0
    own = (got != got[:, :1]).any(axis=1)
    assert not own[~short].any()
    np.testing.assert_array_equal(got[~short, 0], (common <= 0.0).argmax(axis=0)[~short])
    left = lacks_of(panels, value, rules)
    assert (left <= common.min(axis=0)).all()
    solved, open_still = (np.flatnonzero(short & mask)[:2] for mask in (left <= 1e-9, left > 1e-9))
    assert len(solved) == len(open_still) == 2
    for t in (*solved, *open_still):
        one = {name: panel[t : t + 1] for name, panel in panels.items()}
        sharp = {name: [sharpen(p[0], step) for step in STEPS] for name, p in one.items()}
        told = {}
        for steps in itertools.product(range(0, len(STEPS), 2), repeat=4):
            row = sum(WEIGHTS[name] * sharp[name][k] for name, k in zip(one, steps, strict=True))
            told[steps] = _lack(row, rules)
        nearest = min(told.values())
        # The smallest common step of those that come nearest.
        usual = int((common[:, t] <= common[:, t].min() + 1e-9).argmax())
        good = [k for k, lack in told.items() if lack <= nearest + 1e-9]
        best = min((sum(abs(step - usual) for step in k), sum(k)) for k in good)
        assert left[t] == pytest.approx(min(nearest, common[:, t].min()), abs=1e-9)
        if own[t]:
            assert (np.abs(got[t] - usual).sum(), got[t].sum()) == best


def test_many_rows_lack_what_each_lacks():
    rng = np.random.default_rng(5)
    for funds in (1, 2, 10, 41):
        # Whole numbers: some are exactly a band apart.
        rows = np.concatenate([rng.integers(0, 101, (50, funds)), rng.normal(50, 9, (50, funds))])
        rows[0] = 50.0
        for rules in (RULES.spread, SpreadRules(span=20.0, band_share=1.0, hold=1)):
            expected = [_lack(row, rules) for row in rows]
            np.testing.assert_allclose(_lacks(rows, rules), expected, atol=1e-12)


def test_a_contrast_once_needed_is_kept_for_a_while():
    panels = {name: p.copy() for name, p in percentiles(sessions=60, common=5.0).items()}
    for name, other in percentiles(sessions=60, seed=1).items():
        panels[name][10] = 50.0 + (other[10] - 50.0) / 2.0
    value = common_of(panels)
    hold = RULES.spread.hold
    assert value[10] > 1.0
    assert (value[10 : 10 + hold] == value[10]).all()
    assert (np.delete(value, np.arange(10, 10 + hold)) == 1.0).all()


def test_what_is_kept_never_spreads_scores_less_than_the_sessions_own():
    panels = percentiles(sessions=200, funds=20, seed=6)
    own = contrasts_of(panels, ALONE)
    kept = contrasts_of(panels, dataclasses.replace(ALONE, hold=4))
    assert (lacks_of(panels, kept) <= lacks_of(panels, own) + 1e-9).all()
    changed = np.any([kept[name] != own[name] for name in own], axis=0)
    unequal = np.any([kept[name] != kept["momentum"] for name in own], axis=0)
    largest = {
        name: np.max([np.r_[np.ones(k), v[: 200 - k]] for k in range(4)], axis=0) for name, v in own.items()
    }
    for name, value in kept.items():
        np.testing.assert_array_equal(value, np.where(changed, largest[name], own[name]))
    assert (changed & unequal).any()
    refused = ~changed & np.any([largest[name] != own[name] for name in own], axis=0)
    assert refused.any()


@pytest.mark.parametrize("funds", [12, 80])
def test_an_order_within_a_component_does_not_change_and_scores_give_percentiles_back(funds):
    panels = percentiles(sessions=40, funds=funds, seed=7)
    value = contrasts_of(panels)
    assert (value["momentum"] != value["risk"]).any() == (funds == 12)
    for name, panel in panels.items():
        score = sharpen(panel, value[name][:, None])
        np.testing.assert_array_equal(score.argsort(axis=1), panel.argsort(axis=1))
        np.testing.assert_allclose(flatten(score, value[name][:, None]), panel, atol=1e-9)


def test_few_or_no_scored_funds_and_scores_that_cannot_spread():
    panels = percentiles(sessions=3)
    weights = weights_of(panels)
    for weight in weights.values():
        weight[1:, 9:] = NAN
    value = contrasts_of(panels, weights=weights)
    for name in WEIGHTS:
        assert value[name][0] > 1.0
        assert value[name][1:].tolist() == [1.0, 1.0], "kept by no session with few funds"
    same = {name: np.full((3, 80), 50.0) for name in WEIGHTS}
    assert (common_of(same) == 1.0).all(), "no contrast comes nearer, so none is used"
    with np.errstate(all="raise"):
        nobody = {name: np.full((3, 80), NAN) for name in WEIGHTS}
        assert (contrasts_of(nobody, weights=nobody)["risk"] == 1.0).all()


def test_cutting_changes_nothing_earlier():
    panels = percentiles(sessions=90, funds=20)
    kept = 0.7 + 0.3 * np.random.default_rng(3).random((90, 20))

    def stage(kept, *columns):
        return contrasts_of(dict(zip(WEIGHTS, columns, strict=True)), kept=kept)

    whole = stage(kept, *panels.values())
    assert (whole["momentum"] != whole["risk"]).any()
    assert_causal(stage, (kept, *panels.values()), (1, 2, 30, 61, 89))
