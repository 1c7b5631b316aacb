"""Scores: component percentiles, their weighted composite, the ranking and its explanation."""

from etf_pipeline.core.scoring.components import (
    COMPONENTS,
    ComponentScores,
    Input,
    Standing,
    component_scores,
    cross_section,
)
from etf_pipeline.core.scoring.composite import (
    BASE_WEIGHTS,
    COMPOSITE_REASONS,
    CompositePanel,
    composite,
    exclusion_reasons,
)
from etf_pipeline.core.scoring.explain import (
    EXCLUSIONS,
    Contribution,
    Explanation,
    InputStanding,
    ScoreRecord,
    explain,
)

__all__ = [
    "BASE_WEIGHTS",
    "COMPONENTS",
    "COMPOSITE_REASONS",
    "EXCLUSIONS",
    "ComponentScores",
    "CompositePanel",
    "Contribution",
    "Explanation",
    "Input",
    "InputStanding",
    "ScoreRecord",
    "Standing",
    "component_scores",
    "composite",
    "cross_section",
    "exclusion_reasons",
    "explain",
]
