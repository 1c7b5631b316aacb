"""The event log: what was found, when it could be known, and the evidence."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from etf_pipeline.core.market.quality.codes import SEVERITIES

EVENT_COLUMNS = [
    "ticker",
    "session_start",
    "session_end",
    "detected_on",
    "rule",
    "severity",
    "action",
    "evidence",
]
GRAVITY = ("none", "resolved", "repaired", "excluded", "dropped", "quarantined")
"""Actions, mildest first."""
MARKET = "*"
"""Ticker of an event that concerns the whole market."""


@dataclass
class EventLog:
    """Collects events as columns; ``frame`` sorts them."""

    rows: list[tuple[str, np.datetime64, np.datetime64, np.datetime64, str, str, str, str]] = field(
        default_factory=list
    )

    def add(
        self,
        ticker: str,
        start: np.datetime64,
        end: np.datetime64,
        detected: np.datetime64,
        rule: str,
        severity: str,
        action: str,
        evidence: str,
    ) -> None:
        """Append one event."""
        self.rows.append((str(ticker), start, end, detected, rule, severity, action, evidence))

    def frame(self) -> pd.DataFrame:
        """EVENT_COLUMNS, sorted by detected_on, ticker, session_start, rule, session_end.

        Findings that agree in all five are one event: the gravest severity and action, every sentence.
        """
        merged: dict[tuple[object, ...], tuple[int, int, set[str]]] = {}
        for ticker, start, end, detected, rule, severity, action, evidence in self.rows:
            key = (detected, ticker, start, rule, end)
            rank, step, sentences = merged.get(key, (0, 0, set()))
            sentences.add(evidence)
            merged[key] = max(rank, SEVERITIES.index(severity)), max(step, GRAVITY.index(action)), sentences
        rows = [
            (
                ticker,
                start,
                end,
                detected,
                rule,
                SEVERITIES[rank],
                GRAVITY[step],
                "; ".join(sorted(sentences)),
            )
            for (detected, ticker, start, rule, end), (rank, step, sentences) in sorted(merged.items())
        ]
        table: dict[str, object] = {}
        for position, name in enumerate(EVENT_COLUMNS):
            values = [row[position] for row in rows]
            if name in ("session_start", "session_end", "detected_on"):
                table[name] = np.array(values, dtype="datetime64[D]").astype("datetime64[ns]")
            else:
                table[name] = pd.Series(values, dtype="str")
        return pd.DataFrame(table)
