"""The table macro ``explain_score``: one score from its measures to the number, a row a step."""

from __future__ import annotations

from dataclasses import dataclass

from etf_pipeline.core.scoring.components import COMPONENTS
from etf_pipeline.core.scoring.rules import PENALTY_LABELS
from etf_pipeline.storage.contracts.scoring import PENALTY_INPUTS

NUMBERS = ("value", "percentile", "contrast", "score", "weight", "points")


@dataclass(frozen=True)
class _Step:
    """A row of the derivation; the numbers are expressions in SQL."""

    step: int
    kind: str
    item: str
    adds_to: str = ""
    value: str = "NULL"
    percentile: str = "NULL"
    contrast: str = "NULL"
    score: str = "NULL"
    weight: str = "NULL"
    points: str = "NULL"


_FACTORS = {
    "position_base": "base of its risk category",
    "quality_factor": "quality of momentum",
    "confidence_factor": "confidence in the forecast",
    "volatility_factor": "volatility target",
}


def _steps() -> list[_Step]:
    steps: list[_Step] = []
    for component, parts in COMPONENTS.items():
        known = " + ".join(f"(c.{item.name}_score IS NOT NULL)::INT" for item in parts)
        for item in parts:
            score = f"c.{item.name}_score"
            share = f"CASE WHEN {score} IS NOT NULL THEN 1.0 / ({known}) END"
            steps.append(
                _Step(
                    1, f"measure of {component}", item.label, f"{component}_average", value=f"c.{item.name}",
                    percentile=score, score=score, weight=share, points=f"{score} * {share}",
                )
            )  # fmt: skip
    for component in COMPONENTS:
        score, weight = f"r.{component}_score", f"r.{component}_weight"
        contrast = f"c.{component}_contrast"
        away = f"({score} - 50) / 50"
        steps.append(
            _Step(
                2, "component", component, "raw_score", value=f"c.{component}_average",
                percentile=f"50 + 50 * sign({away}) * abs({away}) ** {contrast}", contrast=contrast,
                score=score, weight=weight, points=f"{weight} * {score}",
            )
        )  # fmt: skip
    steps.append(
        _Step(3, "raw score", "sum of the components", "final_score", weight="1.0", points="r.raw_score")
    )
    for name, label in PENALTY_LABELS.items():
        lost = (
            f"-r.raw_score / 100 * r.{name}_points * a.penalty_share * "
            "CASE WHEN a.penalty_total > 0 THEN r.penalty_points / a.penalty_total ELSE 0 END"
        )
        steps.append(
            _Step(
                4, "penalty", label, "final_score", value=f"a.{PENALTY_INPUTS[name].name}",
                score=f"r.{name}_points", weight="a.penalty_share", points=lost,
            )
        )  # fmt: skip
    steps.append(_Step(5, "final score", "raw score less penalties", points="r.final_score"))
    for column, label in _FACTORS.items():
        steps.append(_Step(6, "factor of the position", label, value=f"a.{column}"))
    steps.append(_Step(7, "position", "product of the factors", value="r.position_size"))
    return steps


def _row(place: int, step: _Step) -> str:
    adds_to = f"'{step.adds_to}'" if step.adds_to else "NULL::VARCHAR"
    cells = [
        f"'step': {step.step}", f"'place': {place}", f"'kind': '{step.kind}'", f"'item': '{step.item}'",
        f"'adds_to': {adds_to}",
    ]  # fmt: skip
    cells += [f"'{name}': ({getattr(step, name)})::DOUBLE" for name in NUMBERS]
    return "{" + ", ".join(cells) + "}"


EXPLAIN_SCORE = f"""
    CREATE OR REPLACE MACRO main.explain_score(fund, day) AS TABLE
    WITH "__asked" AS (SELECT fund AS "__ticker", day::DATE AS "__session")
    SELECT ticker, session, s.step, s.kind, s.item, {", ".join(f"s.{name}" for name in NUMBERS)}, s.adds_to
    FROM (
        SELECT r.ticker, r.session,
               unnest([{", ".join(_row(place, step) for place, step in enumerate(_steps()))}]) AS s
        FROM "__asked"
        JOIN scoring.composite_ranking r ON r.ticker = "__ticker" AND r.session = "__session"
        JOIN scoring.component_scores c ON c.ticker = r.ticker AND c.session = r.session
        JOIN scoring.adjustments a ON a.ticker = r.ticker AND a.session = r.session
        WHERE r.rank IS NOT NULL
    )
    ORDER BY s.place
    """  # noqa: S608
