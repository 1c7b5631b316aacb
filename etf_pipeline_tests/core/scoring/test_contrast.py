"""Contrast spreads scores and changes no order."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_pipeline.core.scoring.contrast import STEPS, _fullest_band, contrast, flatten, sharpen
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.scoring.shipped_rules import RULES

NAN = float("nan")
WEIGHTS = dict(RULES.base_weights)


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


def contrast_of(panels, rules=RULES.spread, kept=1.0):
    shape = next(iter(panels.values())).shape
    return contrast(panels, weights_of(panels), np.broadcast_to(kept, shape), rules)


def weighted(panels, value, kept=1.0):
    return kept * sum(WEIGHTS[name] * sharpen(panel, value[:, None]) for name, panel in panels.items())


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
    value = contrast_of(panels, kept=kept)
    assert (value > 1.0).any(), "four unrelated components average to a deviation of 15"
    for row in weighted(panels, value, kept):
        assert span(row) >= RULES.spread.span - 1e-9
        # A session that keeps the contrast of one before may be a little fuller in the middle of its range.
        assert _fullest_band(row) <= RULES.spread.band_share + 0.03


def test_no_more_than_is_needed():
    assert (contrast_of(percentiles(common=5.0)) == 1.0).all()
    alone = dataclasses.replace(RULES.spread, hold=1)
    panels = percentiles()
    step = np.searchsorted(STEPS, contrast_of(panels, alone))
    less = weighted(panels, STEPS[np.maximum(step - 1, 0)])
    for row, steps in zip(less, step, strict=True):
        assert steps == 0 or span(row) < alone.span or _fullest_band(row) > alone.band_share


def test_a_contrast_once_needed_is_kept_for_a_while():
    panels = {name: p.copy() for name, p in percentiles(sessions=60, common=5.0).items()}
    for name, other in percentiles(sessions=60, seed=1).items():
        panels[name][10] = 50.0 + (other[10] - 50.0) / 2.0
    value = contrast_of(panels)
    hold = RULES.spread.hold
    assert value[10] > 1.0
    assert (value[10 : 10 + hold] == value[10]).all()
    assert (np.delete(value, np.arange(10, 10 + hold)) == 1.0).all()


def test_few_or_no_scored_funds_and_scores_that_cannot_spread():
    panels = percentiles(sessions=3)
    weights = weights_of(panels)
    for weight in weights.values():
        weight[:, 9:] = NAN
    assert contrast(panels, weights, np.ones((3, 80)), RULES.spread).tolist() == [1.0, 1.0, 1.0]
    same = {name: np.full((3, 80), 50.0) for name in WEIGHTS}
    assert (contrast_of(same) == 1.0).all(), "no contrast comes nearer, so none is used"


def test_cutting_changes_nothing_earlier():
    panels = percentiles(sessions=90, funds=20)
    kept = 0.7 + 0.3 * np.random.default_rng(3).random((90, 20))

    def stage(kept, *columns):
        given = dict(zip(WEIGHTS, columns, strict=True))
        return {"contrast": contrast(given, weights_of(given), kept, RULES.spread)}

    assert_causal(stage, (kept, *panels.values()), (1, 2, 30, 61, 89))
