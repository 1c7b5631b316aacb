"""Explanations add up and read well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from etf_pipeline.core.market.universe import REASONS
from etf_pipeline.core.scoring import (
    CATEGORY_NAMES,
    COMPONENTS,
    COMPOSITE_REASONS,
    EXCLUSIONS,
    InputStanding,
    PenaltyRecord,
    PositionRecord,
    ScoreRecord,
    component_scores,
    composite,
    explain,
    penalties,
)
from etf_pipeline.core.scoring.explain import ordinal
from etf_pipeline_tests.core.scoring.shipped_rules import RULES

NAN = float("nan")
WEIGHTS = {"momentum": 0.35 / 0.75, "risk": 0.25 / 0.75, "volume": 0.15 / 0.75, "forecast": 0.0}
RAW = WEIGHTS["momentum"] * 98 + WEIGHTS["risk"] * 40 + WEIGHTS["volume"] * 62
RECORD = ScoreRecord(
    ticker="VAS.AX",
    session="2025-10-31",
    raw_score=RAW,
    final_score=RAW * 0.895,
    rank=3,
    ranked=181,
    rank_in_category=2,
    category="MEDIUM",
    confidence=0.75,
    scores={"momentum": 98.0, "risk": 40.0, "volume": 62.0, "forecast": NAN},
    weights=WEIGHTS,
    averages={"momentum": 97.0, "risk": 41.0, "volume": 60.0},
    inputs={
        "momentum_12_1": InputStanding(0.1834, 4, 181, 97.0),
        "volatility_annualised": InputStanding(0.1521, 92, 181, 52.0),
        "beta": InputStanding(0.987, 127, 180, 30.0),
        "accumulation": InputStanding(0.214, 70, 181, 60.0),
    },
    penalties={
        "cvar": PenaltyRecord(-0.12, 0.0),
        "units": PenaltyRecord(300_000.0, 5.0),
        "amihud": PenaltyRecord(0.2, 0.0),
        "silence": PenaltyRecord(0.0, 0.0),
        "expense": PenaltyRecord(0.006, 5.0),
        "size": PenaltyRecord(75e6, 5.0),
    },
    penalty_share=0.7,
    penalty_total=10.5,
    penalty_points=10.5,
    position=PositionRecord(0.12, 0.99, 0.5, 0.8, 0.12 * 0.99 * 0.5 * 0.8),
)


def test_contributions_less_deductions_add_up():
    explanation = explain(RECORD)
    assert explanation.raw == pytest.approx(RECORD.raw_score, abs=1e-12)
    assert explanation.total == pytest.approx(RECORD.final_score, abs=1e-12)
    assert [c.component for c in explanation.contributions] == ["momentum", "risk", "volume"]
    assert all(c.points == c.weight * c.score for c in explanation.contributions)
    assert explanation.missing == ("forecast",)


def test_inputs_add_up_to_their_average():
    explanation = explain(RECORD)
    for component, average in RECORD.averages.items():
        parts = [p for p in explanation.input_contributions if p.component == component]
        assert sum(p.points for p in parts) == pytest.approx(average, abs=1e-12)


def test_a_capped_penalty_is_shared_out():
    capped = replace(
        RECORD,
        penalties={name: PenaltyRecord(p.value, 15.0) for name, p in RECORD.penalties.items()},
        penalty_total=63.0,
        penalty_points=30.0,
        final_score=RAW * 0.7,
    )
    explanation = explain(capped)
    assert [d.lost for d in explanation.deductions] == pytest.approx([RAW * 0.3 / 6] * 6)
    assert explanation.total == pytest.approx(capped.final_score)
    assert "penalties of 63.0 per cent are capped at 30.0." in explanation.reasons


def test_it_reads_well():
    assert explain(RECORD).reasons == (
        "VAS.AX ranks 3rd of 181, 2nd among MEDIUM risk on 2025-10-31 with 64.0 of 100 points.",
        "momentum scores 98.0 at weight 46.7 %, 45.7 points; momentum 12-1 of +18.3 % ranks 4th of 181.",
        "risk scores 40.0 at weight 33.3 %, 13.3 points; market beta of 0.99 ranks 127th of 180; "
        "annualised volatility of 15.2 % ranks 92nd of 181.",
        "volume scores 62.0 at weight 20.0 %, 12.4 points; accumulation of +0.21 ranks 70th of 181.",
        "units traded a day of 300,000 costs 2.5 points.",
        "expense ratio of 0.60 % costs 2.5 points.",
        "fund size of 75,000,000 costs 2.5 points.",
        "a position of at most 4.8 %.",
        "forecast has no score: its weight is shared out among the others, confidence 75 %.",
    )


def test_the_most_telling_component_comes_first():
    scores = {"momentum": 52.0, "risk": 1.0, "volume": 50.0}
    raw = sum(RECORD.weights[n] * s for n, s in scores.items())
    reasons = explain(replace(RECORD, scores=scores, raw_score=raw, final_score=raw * 0.895)).reasons
    assert [r.split()[0] for r in reasons[1:4]] == ["risk", "momentum", "volume"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"raw_score": RAW + 1e-5}, "the contributions add up to"),
        ({"raw_score": NAN}, "add up to"),
        ({"final_score": RAW}, "contributions less deductions add up to"),
        ({"averages": {"risk": 42.0}}, "the inputs of risk add up to"),
        ({"position": PositionRecord(0.12, 1.0, 1.0, 1.0, 0.11)}, "the factors of the position add up to"),
    ],
)
def test_a_record_that_does_not_add_up_is_refused(changes, message):
    with pytest.raises(ValueError, match=rf"VAS.AX on 2025-10-31: .*{message}"):
        explain(replace(RECORD, **changes))


def test_what_is_unknown_is_listed():
    explanation = explain(replace(RECORD, penalties=RECORD.penalties | {"size": PenaltyRecord(NAN, 0.0)},
                                  penalty_total=7.0, penalty_points=7.0, final_score=RAW * 0.93))  # fmt: skip
    assert "fund size" in explanation.unknown
    assert "momentum 6-1" in explanation.unknown
    assert "momentum 12-1" not in explanation.unknown


def test_inputs_and_penalties_are_optional():
    bare = replace(
        RECORD, inputs={}, penalties={}, penalty_total=0.0, penalty_points=0.0, final_score=RAW, position=None
    )
    explanation = explain(bare)
    assert explanation.input_contributions == ()
    assert explanation.reasons[1] == "momentum scores 98.0 at weight 46.7 %, 45.7 points."


@pytest.mark.parametrize("reason", [*REASONS[1:], *COMPOSITE_REASONS[2:]])
def test_every_exclusion_has_its_sentence(reason):
    record = replace(RECORD, rank=0, raw_score=NAN, final_score=NAN, exclusion=reason)
    (sentence,) = explain(record).reasons
    assert sentence == f"VAS.AX on 2025-10-31 is not ranked: {EXCLUSIONS[reason]}."
    assert explain(record).contributions == ()


def test_an_unknown_exclusion_is_shown_as_it_is():
    (sentence,) = explain(replace(RECORD, rank=0, exclusion="moon_phase")).reasons
    assert "moon_phase" in sentence


def test_every_ranked_fund_of_a_panel_can_be_explained():
    rng = np.random.default_rng(1)
    shape = (3, 40)
    inputs = {i.name: rng.normal(size=shape) for parts in COMPONENTS.values() for i in parts}
    inputs["beta"][rng.random(shape) < 0.2] = NAN
    member = rng.random(shape) < 0.9
    category = rng.integers(-1, 3, shape)
    components = component_scores(inputs, member, np.arange(40) % 3, RULES)
    values = {"cvar": -rng.random(shape), "units": rng.lognormal(12, 2, shape), "amihud": rng.lognormal(0, 2, shape),
              "silence": rng.integers(0, 40, shape).astype(float), "expense": rng.random(shape) / 50,
              "size": np.where(rng.random(shape) < 0.5, NAN, 4e7)}  # fmt: skip
    taken = penalties(values, category, RULES)
    panel = composite(
        components.scores, member, category, np.ones(shape), np.array([f"T{j:02d}" for j in range(40)]),
        rules=RULES, penalty_points=taken.applied, input_share=components.confidence,
    )  # fmt: skip
    explained = 0
    for t, j in np.argwhere(panel.rank > 0):
        name = CATEGORY_NAMES[category[t, j]] if category[t, j] >= 0 else "MEDIUM"
        record = ScoreRecord(
            f"T{j:02d}", f"session {t}", panel.raw_score[t, j], panel.final_score[t, j], panel.rank[t, j],
            panel.ranked[t], panel.confidence[t, j],
            {n: s[t, j] for n, s in components.scores.items()},
            {n: w[t, j] for n, w in panel.weights.items()},
            {n: a[t, j] for n, a in components.averages.items()},
            {n: c[t] for n, c in components.contrast.items()},
            {n: InputStanding(inputs[n][t, j], 1, 40, s[t, j]) for n, s in components.input_scores.items()
             if np.isfinite(s[t, j])},
            {n: PenaltyRecord(values[n][t, j], p[t, j]) for n, p in taken.points.items()},
            RULES.penalty_share[name], taken.total[t, j], taken.applied[t, j],
        )  # fmt: skip
        explanation = explain(record)
        assert abs(explanation.total - panel.final_score[t, j]) < 1e-9
        explained += 1
    assert explained > 90


def test_ordinals():
    expected = "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 101st 111th 113th 123rd"
    assert " ".join(ordinal(int(word[:-2])) for word in expected.split()) == expected
