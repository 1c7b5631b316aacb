"""Research tier, a pure function of the raw tier; and the production record, one partition a session."""

from __future__ import annotations

from etf_pipeline.core.scoring.rules import COMPONENT_NAMES
from etf_pipeline.storage.contracts.backtest import BACKTEST_CONTRACTS
from etf_pipeline.storage.contracts.base import Column, Contract, session, ticker
from etf_pipeline.storage.contracts.evaluation import EVALUATION_CONTRACTS
from etf_pipeline.storage.contracts.forecast import FORECAST_CONTRACTS
from etf_pipeline.storage.contracts.risk import RISK_CONTRACTS
from etf_pipeline.storage.contracts.scoring import SCORING_CONTRACTS
from etf_pipeline.storage.contracts.signals import SIGNAL_CONTRACTS
from etf_pipeline.storage.contracts.trials import TRIAL_CONTRACTS
from etf_pipeline.storage.contracts.validation import VALIDATION_CONTRACTS
from etf_pipeline.storage.contracts.weights import WEIGHT_CONTRACTS

PRICE = "quote currency a unit"
SCORE = "0-100"


MARKET_CONTRACTS = (
    Contract(
        "market.sessions",
        "The exchange's sessions from the first bar held to the last.",
        "one row a session",
        (
            session(),
            Column("closes_at", "TIMESTAMP", "end of trading, UTC"),
            Column("bars", "BIGINT", "raw bars held for it, final or not", "rows"),
        ),
        ("session",),
    ),
    Contract(
        "market.quality_events",
        "Every bar dropped, repaired or doubted, and why. An event never changes once detected.",
        "one row an event",
        (
            ticker("fund, or * for the whole market"),
            Column("session_start", "DATE", "first day concerned"),
            Column("session_end", "DATE", "last day concerned"),
            Column("detected_on", "DATE", "session at whose close the event could be known"),
            Column("rule", "VARCHAR", "which rule spoke"),
            Column("severity", "VARCHAR", "info, warning or error"),
            Column("action", "VARCHAR", "none, repaired, quarantined, dropped, excluded or resolved"),
            Column("evidence", "VARCHAR", "what was seen, with the numbers"),
        ),
        ("ticker", "session_start", "rule", "detected_on", "session_end"),
        allow_empty=True,
    ),
    Contract(
        "market.bars",
        "Bars as the quality stage judged them, at the close of their own session.",
        "one row a ticker and session with a raw bar or under doubt",
        (
            ticker(),
            session(),
            Column("open", "DOUBLE", "NULL where refused or missing", PRICE, nullable=True),
            Column("high", "DOUBLE", "NULL where refused", PRICE, nullable=True),
            Column("low", "DOUBLE", "NULL where refused", PRICE, nullable=True),
            Column("close", "DOUBLE", "NULL where refused", PRICE, nullable=True),
            Column("adj_close", "DOUBLE", "the vendor's adjusted close, where given", PRICE, nullable=True),
            Column("volume", "DOUBLE", "NULL where refused or unknown", "units", nullable=True),
            Column("split", "DOUBLE", "units after for one before, ex this session", "ratio"),
            Column("distribution", "DOUBLE", "cash, ex this session", PRICE),
            Column("accepted", "BOOLEAN", "the bar is an observation"),
            Column("traded", "BOOLEAN", "accepted, and units changed hands (or volume is unknown)"),
            Column(
                "scale",
                "DOUBLE",
                "close / scale is on the basis of the previous accepted close; NULL: not comparable",
                "ratio",
                nullable=True,
            ),
            Column("doubt", "BOOLEAN", "under a corporate-action doubt at this close: not to be ranked"),
            Column(
                "basis", "VARCHAR", "what the prices are: as_traded, split_adjusted, total_return_adjusted"
            ),
            Column("has_actions", "BOOLEAN", "whether the source supplies distributions"),
        ),
        ("ticker", "session"),
    ),
    Contract(
        "market.total_return",
        "Total return from the previous accepted bar.",
        "one row a ticker and session with an accepted bar",
        (
            ticker(),
            session(),
            Column(
                "total_return",
                "DOUBLE",
                "NULL on the first bar and over a break that cannot be compared",
                "fraction",
                nullable=True,
            ),
            Column("sessions_spanned", "INTEGER", "sessions since the previous accepted bar", "sessions"),
            Column("return_basis", "VARCHAR", "actions, close_ratio, adj_close_ratio or price_only"),
        ),
        ("ticker", "session"),
    ),
    Contract(
        "market.universe",
        "Who could be ranked at each close, and why the others could not.",
        "one row a ticker and session from its first raw bar on, for ever",
        (
            ticker(),
            session(),
            Column("is_member", "BOOLEAN", "may be ranked at this close"),
            Column("exclusion_reason", "VARCHAR", "why not; NULL for members", nullable=True),
            Column("observed_sessions", "INTEGER", "accepted bars so far", "sessions"),
            Column("stale_sessions", "INTEGER", "sessions since the last accepted bar", "sessions"),
            Column(
                "median_traded_value",
                "DOUBLE",
                "median close x volume over the liquidity window, silent days as zero",
                "quote currency a session",
                nullable=True,
            ),
        ),
        ("ticker", "session"),
    ),
)

PUBLISHED_TOO = (
    "rank_in_category", "risk_category", "weights_from", "penalty_points", "unknown_inputs", "position_size",
    *(f"{name}_{part}" for part in ("score", "weight") for name in COMPONENT_NAMES),
)  # fmt: skip
"""Columns of the ranking that are part of the record, beside rank, scores and confidence."""

PRODUCTION_CONTRACTS = (
    Contract(
        "production.published_ranking",
        "What the system said at the close of each session, with what it knew then. Never rewritten.",
        "one row a fund and session",
        (
            session(),
            ticker(),
            Column("rank", "INTEGER", "1 is best; NULL for those left out", nullable=True),
            Column("raw_score", "DOUBLE", "weighted mean of the components", SCORE, nullable=True),
            Column("final_score", "DOUBLE", "raw score after penalties", SCORE, nullable=True),
            *(column for column in SCORING_CONTRACTS[1].columns if column.name in PUBLISHED_TOO),
            Column("confidence", "DOUBLE", "share of the base weights known", "0-1", nullable=True),
            Column("exclusion_reason", "VARCHAR", "why not ranked", nullable=True),
            Column("simulated", "BOOLEAN", "true where the market is invented"),
            Column("published_at", "TIMESTAMP", "when it was said, UTC", volatile=True),
        ),
        ("session", "ticker"),
        partitioned_by="session",
        immutable_slices=True,
    ),
)

RESEARCH_CONTRACTS = (
    *MARKET_CONTRACTS,
    *RISK_CONTRACTS,
    *SIGNAL_CONTRACTS,
    *FORECAST_CONTRACTS,
    *SCORING_CONTRACTS,
    *VALIDATION_CONTRACTS,
    *WEIGHT_CONTRACTS,
    *EVALUATION_CONTRACTS,
    *BACKTEST_CONTRACTS,
    *TRIAL_CONTRACTS,
    *PRODUCTION_CONTRACTS,
)
