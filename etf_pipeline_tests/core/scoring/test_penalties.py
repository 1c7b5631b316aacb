"""Penalties: the documented thresholds, their sum by category, the cap."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_pipeline.core.scoring import CATEGORY_NAMES, Penalty, composite, graduated, penalties
from etf_pipeline_tests.core.scoring.shipped_rules import RULES

NAN = float("nan")
CLEAN = {"cvar": -0.1, "units": 1e6, "amihud": 0.1, "silence": 0.0, "expense": 0.002, "size": 1e9}
WORST = {"cvar": -0.9, "units": 10.0, "amihud": 99.0, "silence": 200.0, "expense": 0.02, "size": 1e6}
CODE = {name: code for code, name in enumerate(CATEGORY_NAMES)}


def one(category: str = "MEDIUM", **changes: float):
    inputs = {name: np.array([[value]]) for name, value in {**CLEAN, **changes}.items()}
    return penalties(inputs, np.array([[CODE.get(category, -1)]]), RULES)


def scored(category: str, scores: dict[str, float], **changes: float):
    panel = one(category, **changes)
    return composite(
        {name: np.array([[value]]) for name, value in scores.items()},
        np.array([[True]]),
        np.array([[CODE[category]]]),
        np.array([[1e6]]),
        np.array(["A"]),
        rules=RULES,
        penalty_points=panel.applied,
        min_cross_section=1,
    )


def test_four_components_of_a_medium_fund():
    panel = scored("MEDIUM", {"risk": 70, "momentum": 90, "forecast": 60.3, "volume": 61.5})
    assert round(panel.raw_score[0, 0], 1) == 73.3
    assert panel.final_score[0, 0] == panel.raw_score[0, 0]


def test_every_penalty_triggered_takes_thirty_per_cent():
    panel = scored("MEDIUM", {"risk": 20, "momentum": 90, "forecast": 60.33, "volume": 61.5}, **WORST)
    assert round(panel.raw_score[0, 0], 1) == 60.8
    assert round(panel.final_score[0, 0], 1) == 42.6
    assert one("MEDIUM", **WORST).applied[0, 0] == 30.0


def test_a_medium_fund_with_three_mild_ones_loses_ten_and_a_half():
    panel = one("MEDIUM", units=300_000.0, expense=0.006, size=75e6)
    assert panel.applied[0, 0] == pytest.approx(10.5, abs=1e-12)
    assert {n: float(p[0, 0]) for n, p in panel.points.items() if p[0, 0]} == {
        "units": 5.0,
        "expense": 5.0,
        "size": 5.0,
    }


def test_a_clean_fund_loses_nothing():
    for category in CATEGORY_NAMES:
        assert one(category).applied[0, 0] == 0.0


@pytest.mark.parametrize(
    ("name", "values", "points"),
    [
        ("cvar", [-0.51, -0.5, -0.31, -0.3, -0.21, -0.2, 0.0], [20, 15, 15, 10, 10, 0, 0]),
        ("units", [49_999, 50_000, 199_999, 200_000, 499_999, 500_000], [15, 10, 10, 5, 5, 0]),
        ("amihud", [10.1, 10, 5.1, 5, 0], [10, 5, 5, 0, 0]),
        ("silence", [26, 25, 16, 15, 9, 8, 0], [15, 10, 10, 5, 5, 0, 0]),
        ("expense", [0.0101, 0.01, 0.0076, 0.0075, 0.0051, 0.005], [15, 10, 10, 5, 5, 0]),
        ("size", [24e6, 25e6, 49e6, 50e6, 99e6, 100e6], [15, 10, 10, 5, 5, 0]),
    ],
)
def test_thresholds_and_points(name, values, points):
    assert graduated(np.array([values]), RULES.penalties[name]).tolist() == [[float(p) for p in points]]


def test_the_category_shares_the_points():
    changes = {"silence": 10.0, "expense": 0.006}
    assert [one(c, **changes).total[0, 0] for c in CATEGORY_NAMES] == pytest.approx([10.0, 7.0, 4.0])
    assert one("none", **changes).total[0, 0] == pytest.approx(7.0)


def test_an_unknown_input_costs_nothing_and_is_told():
    panel = one("LOW", **dict.fromkeys(CLEAN, NAN))
    assert panel.applied[0, 0] == 0.0
    assert not any(known[0, 0] for known in panel.known.values())


@given(
    st.fixed_dictionaries(
        {
            "cvar": st.floats(-3, 0),
            "units": st.floats(0, 1e7),
            "amihud": st.floats(0, 1e4),
            "silence": st.integers(0, 252).map(float),
            "expense": st.floats(0, 0.05),
            "size": st.floats(0, 1e10),
        }
    ),
    st.sampled_from(CATEGORY_NAMES),
    st.sampled_from(sorted(CLEAN)),
)
def test_no_fund_loses_more_than_the_cap_and_worse_never_costs_less(values, category, name):
    panel = one(category, **values)
    assert 0.0 <= panel.applied[0, 0] <= 30.0
    worse = one(category, **{**values, name: WORST[name]})
    assert worse.points[name][0, 0] >= panel.points[name][0, 0]
    assert worse.applied[0, 0] >= panel.applied[0, 0]


@pytest.mark.parametrize(
    ("thresholds", "points", "message"),
    [
        ((1.0, 2.0), (5.0, 3.0), "worst first"),
        ((2.0, 1.0), (3.0, 5.0), "must not be negative nor rise"),
        ((2.0, 1.0), (3.0,), "need as many points"),
    ],
)
def test_rules_that_contradict_themselves_are_refused(thresholds, points, message):
    with pytest.raises(ValueError, match=message):
        Penalty("above", thresholds, points)


def test_an_input_without_a_penalty_is_named():
    with pytest.raises(KeyError, match="size"):
        penalties({"cvar": np.zeros((1, 1))}, np.zeros((1, 1), int), RULES)


def test_a_rule_for_a_component_that_is_missing_is_refused():
    with pytest.raises(ValueError, match="base_weights: missing"):
        dataclasses.replace(RULES, base_weights={"momentum": 1.0})
