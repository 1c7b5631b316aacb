"""Gates that a strategy has to pass before money is put on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "fail", "unknown"]


@dataclass(frozen=True)
class Gate:
    """One question with a yes or no.

    Attributes
    ----------
    name : of the gate; question : in words.
    at_least : whether the value must be at least the threshold, or at most.
    threshold : a number, or None where the query brings it along.
    unit : of both: "%" for fractions, "p.a." for fractions a year, "" for plain numbers.
    query : SQL that answers one row: the value, and the threshold where it is not fixed; no row or NULL is "unknown".
    shown_by : SQL that anybody can run to see where the value is from; ``query`` where empty.
    """

    name: str
    question: str
    at_least: bool
    threshold: float | None
    unit: Literal["%", "p.a.", ""]
    query: str
    shown_by: str = ""

    @property
    def evidence(self) -> str:
        """SQL that shows where the value is from."""
        return self.shown_by or self.query


@dataclass(frozen=True)
class Judgement:
    """What a gate said. ``requirement`` and ``explanation`` are sentences."""

    verdict: Verdict
    requirement: str
    explanation: str


def judge_gate(gate: Gate, value: float | None, threshold: float | None) -> Judgement:
    """Hold a value against a gate's threshold.

    Parameters
    ----------
    value, threshold : numbers; None or NaN where not known, which makes the verdict "unknown": never a pass.
    """
    word = "at least" if gate.at_least else "at most"
    known = threshold is not None and math.isfinite(threshold)
    requirement = (
        f"{word} {_told(threshold, gate.unit)}"
        if known and threshold is not None
        else f"{word} what it is held against"
    )
    if value is None or threshold is None or not math.isfinite(value) or not known:
        return Judgement("unknown", requirement, "what this needs is not there yet")
    passed = value >= threshold if gate.at_least else value <= threshold
    relation = {
        (True, True): "reaches", (True, False): "is below", (False, True): "stays within", (False, False): "is above",
    }[gate.at_least, passed]  # fmt: skip
    return Judgement(
        "pass" if passed else "fail",
        requirement,
        f"{_told(value, gate.unit)} {relation} {_told(threshold, gate.unit)}",
    )


def _told(number: float, unit: str) -> str:
    if unit == "":
        return f"{number:.4g}"
    return f"{100.0 * number:.2f} %" + (" a year" if unit == "p.a." else "")
