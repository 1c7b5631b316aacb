"""Position sizes: base by category, and never more than that."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_pipeline.core.scoring import CATEGORY_NAMES, position_size
from etf_pipeline_tests.core.scoring.shipped_rules import RULES

NAN = float("nan")


def size(category=0, momentum=100.0, confidence=1.0, volatility=0.10, ranked=True):
    panel = position_size(
        np.array([[ranked]]), np.array([[category]]), np.array([[momentum]]), np.array([[confidence]]),
        np.array([[volatility]]), RULES.position,
    )  # fmt: skip
    return float(panel.size[0, 0])


def test_the_best_quiet_fund_of_each_category_gets_the_base():
    assert [size(c) for c in range(3)] == pytest.approx([0.15, 0.12, 0.08])
    assert size(-1) == pytest.approx(0.12)


def test_each_factor_by_hand():
    assert size(momentum=0.0) == pytest.approx(0.075)
    assert size(confidence=0.0) == size(confidence=NAN) == pytest.approx(0.075)
    assert size(volatility=0.30) == pytest.approx(0.075)
    assert size(2, 50.0, 0.5, 0.6) == pytest.approx(0.08 * 0.75 * 0.75 * 0.25)


def test_no_position_without_rank_or_volatility():
    assert np.isnan(size(ranked=False))
    assert np.isnan(size(volatility=NAN))
    assert size(volatility=0.0) == pytest.approx(0.15)


@given(st.integers(-1, 2), st.floats(0, 100), st.floats(0, 1), st.floats(0.001, 3.0), st.floats(0, 50))
def test_within_the_base_and_monotone(category, momentum, confidence, volatility, more):
    held = size(category, momentum, confidence, volatility)
    assert 0.0 < held <= max(RULES.position.base.values())
    assert size(category, min(momentum + more, 100.0), confidence, volatility) >= held
    assert size(category, momentum, confidence, volatility + more) <= held


def test_categories_are_those_of_the_rules():
    assert set(RULES.position.base) == set(CATEGORY_NAMES)
