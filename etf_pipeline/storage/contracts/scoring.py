"""Scores: components and their measures, adjustments, the ranking."""

from __future__ import annotations

from etf_pipeline.core.scoring.components import COMPONENTS
from etf_pipeline.core.scoring.rules import COMPONENT_NAMES, PENALTY_LABELS
from etf_pipeline.storage.contracts.base import Column, Contract, session, ticker

SCORE = "0-100"
PER_CENT = "per cent of the raw score"


def _optional(name: str, doc: str, unit: str | None = None) -> Column:
    return Column(name, "DOUBLE", doc, unit, nullable=True)


COMPONENT_MEANING = {
    "momentum": "higher: stronger momentum",
    "forecast": "higher: a higher corrected forecast",
    "risk": "higher: calmer",
    "volume": "higher: more accumulation, easier to trade",
}

PENALTY_INPUTS = {
    "cvar": _optional("cvar_95_annualised", "expected shortfall, 95 %", "fraction"),
    "units": _optional("average_daily_units", "mean of 63 sessions, silent ones as zero", "units a session"),
    "amihud": _optional("amihud_per_million", "mean |return| for each million traded", "fraction a million"),
    "silence": _optional("zero_volume_sessions", "of the last 252 without trade", "sessions"),
    "expense": _optional("expense_ratio", "newest known", "fraction a year"),
    "size": _optional("fund_size", "as known on the session; NULL before it was", "quote currency"),
}
"""The value each penalty looks at."""


def _measure(name: str, label: str) -> tuple[Column, Column]:
    return (
        _optional(name, f"{label}, unit as in its own table"),
        _optional(f"{name}_score", "its percentile, 100 is best", SCORE),
    )


SCORING_CONTRACTS = (
    Contract(
        "scoring.component_scores",
        "Components as percentiles of that session's universe, and each measure in them.",
        "one row a member and session",
        (
            ticker(),
            session(),
            *(_optional(f"{name}_score", COMPONENT_MEANING[name], SCORE) for name in COMPONENT_NAMES),
            *(
                Column(
                    f"{name}_contrast",
                    "DOUBLE",
                    f"of {name} on the session: 1 leaves its percentiles as they are, more moves them from 50",
                )
                for name in COMPONENT_NAMES
            ),
            *(
                _optional(f"{name}_average", "mean of the known measures' percentiles; ranked again", SCORE)
                for name in COMPONENT_NAMES
            ),
            *(
                Column(f"{name}_known_share", "DOUBLE", "share of its measures that are known", "0-1")
                for name in COMPONENT_NAMES
            ),
            *(
                column
                for parts in COMPONENTS.values()
                for item in parts
                for column in _measure(item.name, item.label)
            ),
        ),
        ("ticker", "session"),
    ),
    Contract(
        "scoring.composite_ranking",
        "The ranking, all it is made of, and everyone left out with the reason.",
        "one row a fund and session from its first raw bar on",
        (
            ticker(),
            session(),
            Column("rank", "INTEGER", "1 is best; NULL for those left out", nullable=True),
            Column("rank_in_category", "INTEGER", "among the funds of its risk category", nullable=True),
            Column("risk_category", "VARCHAR", "LOW, MEDIUM or HIGH; NULL: treated as MEDIUM", nullable=True),
            *(_optional(f"{name}_score", "component", SCORE) for name in COMPONENT_NAMES),
            *(
                _optional(f"{name}_adjusted", "component x weight used / base weight", "points")
                for name in COMPONENT_NAMES
            ),
            *(
                _optional(f"{name}_weight", "weight used; they add up to 1", "0-1")
                for name in COMPONENT_NAMES
            ),
            Column("weights_from", "VARCHAR", "static or adaptive base weights", nullable=True),
            _optional("unadjusted_score", "by the base weights, without the category's multipliers", SCORE),
            _optional("raw_score", "weighted mean of the components", SCORE),
            *(
                _optional(f"{name}_points", f"penalty for {label}, before the category's share", "points")
                for name, label in PENALTY_LABELS.items()
            ),
            _optional("penalty_points", "taken off: the sum times the category's share, capped", PER_CENT),
            Column(
                "unknown_inputs", "VARCHAR", "what is not known of the fund and cost nothing", nullable=True
            ),
            _optional("final_score", "raw score x (1 - penalty_points / 100): ranked by this", SCORE),
            _optional("static_score", "final score by the static base weights", SCORE),
            _optional("adaptive_score", "final score by the regime's weights", SCORE),
            _optional(
                "position_size",
                "largest single position; a portfolio of several scales theirs down in proportion to a sum of at most one",
                "fraction of the portfolio",
            ),
            _optional("confidence", "share of the base weights known", "0-1"),
            Column("ranked_funds", "INTEGER", "funds ranked on the session", "funds"),
            Column("exclusion_reason", "VARCHAR", "why not ranked; NULL for ranked funds", nullable=True),
        ),
        ("ticker", "session"),
    ),
    Contract(
        "scoring.adjustments",
        "What lies behind the penalties and the position size of each ranked fund.",
        "one row a ranked fund and session",
        (
            ticker(),
            session(),
            *PENALTY_INPUTS.values(),
            Column("penalty_share", "DOUBLE", "the risk category's, on the sum of the points", "0-1"),
            Column("penalty_total", "DOUBLE", "sum of the points times the share, before the cap", PER_CENT),
            Column("position_base", "DOUBLE", "by risk category", "fraction of the portfolio"),
            Column("quality_factor", "DOUBLE", "from the momentum score", "0-1"),
            Column("confidence_factor", "DOUBLE", "from the forecast's confidence", "0-1"),
            _optional("volatility_factor", "target over forecast volatility, at most 1", "0-1"),
        ),
        ("ticker", "session"),
        allow_empty=True,
    ),
)
