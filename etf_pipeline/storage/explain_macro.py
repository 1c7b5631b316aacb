"""The table macro ``explain_score``: one score from its measures to the number, a row a step."""

from __future__ import annotations

from etf_pipeline.core.scoring.components import COMPONENTS
from etf_pipeline.core.scoring.rules import PENALTY_LABELS
from etf_pipeline.storage.contracts.scoring import PENALTY_INPUTS

Step = tuple[int, str, str, str, str, str, str]
"""step, kind, item, and as expressions in SQL: value, score, weight, points."""

_FACTORS = {
    "position_base": "base of its risk category",
    "quality_factor": "quality of momentum",
    "confidence_factor": "confidence in the forecast",
    "volatility_factor": "volatility target",
}


def _steps() -> list[Step]:
    steps: list[Step] = []
    for component, parts in COMPONENTS.items():
        known = " + ".join(f"(c.{item.name}_score IS NOT NULL)::INT" for item in parts)
        for item in parts:
            score = f"c.{item.name}_score"
            share = f"CASE WHEN {score} IS NOT NULL THEN 1.0 / ({known}) END"
            steps.append(
                (
                    1,
                    f"measure of {component}",
                    item.label,
                    f"c.{item.name}",
                    score,
                    share,
                    f"{score} * {share}",
                )
            )
    for component in COMPONENTS:
        score, weight = f"r.{component}_score", f"r.{component}_weight"
        steps.append(
            (2, "component", component, f"c.{component}_average", score, weight, f"{weight} * {score}")
        )
    steps.append((3, "raw score", "sum of the components", "NULL", "NULL", "1.0", "r.raw_score"))
    for name, label in PENALTY_LABELS.items():
        value = f"a.{PENALTY_INPUTS[name].name}"
        lost = (
            f"-r.raw_score / 100 * r.{name}_points * a.penalty_share * "
            "CASE WHEN a.penalty_total > 0 THEN r.penalty_points / a.penalty_total ELSE 0 END"
        )
        steps.append((4, "penalty", label, value, f"r.{name}_points", "a.penalty_share", lost))
    steps.append((5, "final score", "raw score less penalties", "NULL", "NULL", "NULL", "r.final_score"))
    for column, label in _FACTORS.items():
        steps.append((6, "factor of the position", label, f"a.{column}", "NULL", "NULL", "NULL"))
    steps.append((7, "position", "product of the factors", "r.position_size", "NULL", "NULL", "NULL"))
    return steps


def _row(place: int, step: Step) -> str:
    number, kind, item, *expressions = step
    numbers = zip(("value", "score", "weight", "points"), expressions, strict=True)
    cells = [f"'step': {number}", f"'place': {place}", f"'kind': '{kind}'", f"'item': '{item}'"]
    return "{" + ", ".join(cells + [f"'{name}': ({text})::DOUBLE" for name, text in numbers]) + "}"


EXPLAIN_SCORE = f"""
    CREATE OR REPLACE MACRO main.explain_score(fund, day) AS TABLE
    SELECT ticker, session, s.step, s.kind, s.item, s.value, s.score, s.weight, s.points
    FROM (
        SELECT r.ticker, r.session,
               unnest([{", ".join(_row(place, step) for place, step in enumerate(_steps()))}]) AS s
        FROM scoring.composite_ranking r
        JOIN scoring.component_scores c USING (ticker, session)
        JOIN scoring.adjustments a USING (ticker, session)
        WHERE r.ticker = fund AND r.session = day::DATE AND r.rank IS NOT NULL
    )
    ORDER BY s.place
    """  # noqa: S608
"""The points of a component's measures add up to its average (``value`` of step 2), those of step 2 to the raw score, those
of steps 2 and 4 to the final score."""
