"""Weights used: base x multipliers, one again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_pipeline.core.scoring import CATEGORY_NAMES, COMPONENT_NAMES, weights_used
from etf_pipeline_tests.core.scoring.shipped_rules import RULES

EVERYTHING = {name: np.ones((1, 1), dtype=bool) for name in COMPONENT_NAMES}


def used(code, present=EVERYTHING, multipliers=RULES.multipliers, base=RULES.base_weights):
    weights = weights_used(base, multipliers, np.array([[code]]), present)
    return {name: float(w[0, 0]) for name, w in weights.items()}


def test_documented_base_weights_and_multipliers():
    assert dict(RULES.base_weights) == {"momentum": 0.35, "forecast": 0.25, "risk": 0.25, "volume": 0.15}
    assert dict(RULES.multipliers["LOW"]) == {"momentum": 0.8, "forecast": 0.9, "risk": 1.3, "volume": 1.0}
    assert dict(RULES.multipliers["HIGH"]) == {"momentum": 1.3, "forecast": 1.2, "risk": 0.7, "volume": 1.1}


def test_by_hand():
    low = used(CATEGORY_NAMES.index("LOW"))
    total = 0.35 * 0.8 + 0.25 * 0.9 + 0.25 * 1.3 + 0.15
    assert low["risk"] == pytest.approx(0.25 * 1.3 / total)
    assert used(CATEGORY_NAMES.index("MEDIUM")) == pytest.approx(dict(RULES.base_weights))
    assert used(-1) == used(CATEGORY_NAMES.index("MEDIUM"))
    assert used(0, multipliers=None) == pytest.approx(dict(RULES.base_weights))


@given(st.integers(-1, 2), st.sets(st.sampled_from(COMPONENT_NAMES)))
def test_they_sum_to_one_over_what_is_present(code, missing):
    present = {name: np.array([[name not in missing]]) for name in COMPONENT_NAMES}
    weights = used(code, present)
    if len(missing) == len(COMPONENT_NAMES):
        assert all(np.isnan(w) for w in weights.values())
        return
    assert sum(weights.values()) == pytest.approx(1.0)
    assert all(weights[name] == 0.0 for name in missing)


def test_weights_by_session():
    base = {name: np.array([w, 0.25]) for name, w in RULES.base_weights.items()}
    present = {name: np.ones((2, 1), dtype=bool) for name in COMPONENT_NAMES}
    weights = weights_used(base, None, np.ones((2, 1), int), present)
    assert weights["momentum"][:, 0].tolist() == pytest.approx([0.35, 0.25])
