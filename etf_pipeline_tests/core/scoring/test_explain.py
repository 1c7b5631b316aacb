"""Explanations add up and read well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from etf_pipeline.core.market.universe import REASONS
from etf_pipeline.core.scoring import (
    COMPONENTS,
    COMPOSITE_REASONS,
    EXCLUSIONS,
    InputStanding,
    ScoreRecord,
    component_scores,
    composite,
    explain,
)
from etf_pipeline.core.scoring.explain import ordinal

NAN = float("nan")
RECORD = ScoreRecord(
    ticker="VAS.AX",
    session="2025-10-31",
    raw_score=0.35 / 0.75 * 98 + 0.25 / 0.75 * 40 + 0.15 / 0.75 * 62,
    rank=3,
    ranked=181,
    confidence=0.75,
    scores={"momentum": 98.0, "risk": 40.0, "volume": 62.0, "forecast": NAN},
    weights={"momentum": 0.35 / 0.75, "risk": 0.25 / 0.75, "volume": 0.15 / 0.75, "forecast": 0.0},
    inputs={
        "momentum_12_1": InputStanding(0.1834, 4, 181, 98.0),
        "volatility_annualised": InputStanding(0.1521, 92, 181, 50.0),
        "beta": InputStanding(0.987, 127, 180, 30.0),
        "accumulation": InputStanding(0.214, 70, 181, 62.0),
    },
)


def test_contributions_add_up():
    explanation = explain(RECORD)
    assert explanation.total == pytest.approx(RECORD.raw_score, abs=1e-12)
    assert [c.component for c in explanation.contributions] == ["momentum", "risk", "volume"]
    assert all(c.points == c.weight * c.score for c in explanation.contributions)
    assert explanation.missing == ("forecast",)


def test_inputs_add_up_to_their_component():
    explanation = explain(RECORD)
    for contribution in explanation.contributions:
        parts = [p for p in explanation.input_contributions if p.component == contribution.component]
        assert sum(p.points for p in parts) == pytest.approx(contribution.points, abs=1e-12)


def test_it_reads_well():
    assert explain(RECORD).reasons == (
        "VAS.AX ranks 3rd of 181 on 2025-10-31 with 71.5 of 100 points.",
        "momentum scores 98.0 at weight 46.7 %, 45.7 points; momentum 12-1 of +18.3 % ranks 4th of 181.",
        "risk scores 40.0 at weight 33.3 %, 13.3 points; annualised volatility of 15.2 % ranks 92nd of 181; "
        "market beta of 0.99 ranks 127th of 180.",
        "volume scores 62.0 at weight 20.0 %, 12.4 points; accumulation of +0.21 ranks 70th of 181.",
        "forecast has no score: its base weight of 25 % is shared out among the others, confidence 75 %.",
    )


def test_the_most_telling_component_comes_first():
    scores = {"momentum": 52.0, "risk": 1.0, "volume": 50.0}
    raw = sum(RECORD.weights[n] * s for n, s in scores.items())
    reasons = explain(replace(RECORD, scores=scores, raw_score=raw)).reasons
    assert [r.split()[0] for r in reasons[1:4]] == ["risk", "momentum", "volume"]


def test_a_record_that_does_not_add_up_is_refused():
    for wrong in (RECORD.raw_score + 1e-6, NAN):
        with pytest.raises(ValueError, match=r"VAS.AX on 2025-10-31: contributions add up to"):
            explain(replace(RECORD, raw_score=wrong))


def test_inputs_are_optional():
    explanation = explain(replace(RECORD, inputs={}))
    assert explanation.input_contributions == ()
    assert explanation.reasons[1] == "momentum scores 98.0 at weight 46.7 %, 45.7 points."


@pytest.mark.parametrize("reason", [*REASONS[1:], *COMPOSITE_REASONS[2:]])
def test_every_exclusion_has_its_sentence(reason):
    record = replace(RECORD, rank=0, raw_score=NAN, exclusion=reason)
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
    components = component_scores(inputs, member)
    tickers = np.array([f"T{j:02d}" for j in range(40)])
    panel = composite(components.scores, member, np.ones(shape), tickers)
    explained = 0
    for t, j in np.argwhere(panel.rank > 0):
        explanation = explain(
            ScoreRecord(
                tickers[j], f"session {t}", panel.raw_score[t, j], panel.rank[t, j], panel.ranked[t],
                panel.confidence[t, j],
                {name: s[t, j] for name, s in components.scores.items()},
                {name: w[t, j] for name, w in panel.weights.items()},
                {
                    name: InputStanding(inputs[name][t, j], s.rank[t, j], s.count[t], s.score[t, j])
                    for name, s in components.standings.items() if s.rank[t, j]
                },
            )
        )  # fmt: skip
        assert abs(explanation.total - panel.raw_score[t, j]) < 1e-12
        explained += 1
    assert explained > 90


def test_ordinals():
    expected = "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 101st 111th 113th 123rd"
    assert " ".join(ordinal(int(word[:-2])) for word in expected.split()) == expected
