"""Scores: component percentiles, their weighted composite, penalties, the ranking, position sizes and the explanation."""

from etf_pipeline.core.scoring.components import (
    COMPONENTS,
    ComponentScores,
    Input,
    Standing,
    component_scores,
    cross_section,
)
from etf_pipeline.core.scoring.composite import (
    COMPOSITE_REASONS,
    CompositePanel,
    composite,
    exclusion_reasons,
)
from etf_pipeline.core.scoring.explain import (
    EXCLUSIONS,
    PENALTY_FORMS,
    Contribution,
    Deduction,
    Explanation,
    InputStanding,
    PenaltyRecord,
    PositionRecord,
    ScoreRecord,
    explain,
)
from etf_pipeline.core.scoring.penalties import PenaltyPanel, graduated, penalties, take_off, unknown_inputs
from etf_pipeline.core.scoring.position import PositionPanel, position_size
from etf_pipeline.core.scoring.rules import (
    CATEGORY_NAMES,
    COMPONENT_NAMES,
    PENALTY_LABELS,
    PeerRules,
    Penalty,
    PositionRules,
    ScoringRules,
    SpreadRules,
)
from etf_pipeline.core.scoring.weights import weights_used

__all__ = [
    "CATEGORY_NAMES",
    "COMPONENTS",
    "COMPONENT_NAMES",
    "COMPOSITE_REASONS",
    "EXCLUSIONS",
    "PENALTY_FORMS",
    "PENALTY_LABELS",
    "ComponentScores",
    "CompositePanel",
    "Contribution",
    "Deduction",
    "Explanation",
    "Input",
    "InputStanding",
    "PeerRules",
    "Penalty",
    "PenaltyPanel",
    "PenaltyRecord",
    "PositionPanel",
    "PositionRecord",
    "PositionRules",
    "ScoreRecord",
    "ScoringRules",
    "SpreadRules",
    "Standing",
    "component_scores",
    "composite",
    "cross_section",
    "exclusion_reasons",
    "explain",
    "graduated",
    "penalties",
    "position_size",
    "take_off",
    "unknown_inputs",
    "weights_used",
]
