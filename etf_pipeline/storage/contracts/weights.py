"""Weights that follow the regimes, and the gate that every overlay has to pass."""

from __future__ import annotations

from etf_pipeline.core.scoring.rules import COMPONENT_NAMES
from etf_pipeline.storage.contracts.base import Column, Contract, session
from etf_pipeline.storage.contracts.risk import count, optional

WEIGHT_CONTRACTS = (
    Contract(
        "scoring.adaptive_weights",
        "Base weights of the components as the market's regime would have them. Served only where the gate says so.",
        "one row a session",
        (
            session(),
            *(
                Column(f"{name}_weight", "DOUBLE", "they add up to 1; the base weight until learned", "0-1")
                for name in COMPONENT_NAMES
            ),
            Column("turnover", "DOUBLE", "half the sum of changes since the session before", "0-1"),
            *(
                optional(f"{name}_probability", "filtered, as known at the close", "0-1")
                for name in ("calm", "normal", "stress")
            ),
        ),
        ("session",),
    ),
    Contract(
        "scoring.adaptive_weight_fits",
        "What each refit learned: how well each component ordered returns in each regime, and the weight that follows.",
        "one row a refit, regime and component",
        (
            session("first session of a quarter: the refit holds returns that were complete before"),
            Column("regime", "VARCHAR", "calm, normal or stress"),
            Column("component", "VARCHAR", "of the score"),
            Column("base_weight", "DOUBLE", "of the component in every regime", "0-1"),
            Column("weight", "DOUBLE", "of the component in the regime, from the refit on", "0-1"),
            optional("information_coefficient", "mean of past rank correlations with 21 sessions' returns"),
            optional("shrinkage", "share of its deviation from the component's mean that is believed", "0-1"),
            Column(
                "effective_windows",
                "DOUBLE",
                "observations, in windows of returns that do not overlap",
                "windows",
            ),
        ),
        ("session", "regime", "component"),
        allow_empty=True,
    ),
    Contract(
        "scoring.ablation_gate",
        "Whether each overlay is served: only while it has beaten what is served without it by Hansen's test.",
        "one row a month and overlay",
        (
            session("first session of a month: decided at its close, in force until the next decision"),
            Column("overlay", "VARCHAR", "what is judged, e.g. adaptive_weights"),
            Column("decision", "VARCHAR", "waiting, refused, admitted, kept or withdrawn"),
            Column("served", "BOOLEAN", "the overlay is served from this session's close on"),
            optional("p_value", "consistent p-value of Hansen's test on the history to date", "0-1"),
            optional(
                "mean_gain", "rank information coefficient with the overlay less without, mean of months"
            ),
            count("observations", "months whose performance was known before the session", "months"),
            count("differing", "of them those in which the overlay changed anything", "months"),
            optional(
                "mean_gain_after_costs",
                "the same of the best less the worst fifth's return, after spreads; told, not decided on",
                "fraction in 21 sessions",
            ),
            Column("reason", "VARCHAR", "the decision in words"),
        ),
        ("session", "overlay"),
        allow_empty=True,
    ),
)
