"""Scenarios as ``etf stress`` lists them: their order, titles and windows, and which of them could not be asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from etf_pipeline.attribution_evidence import tell
from etf_pipeline.risk_report import MISSING
from etf_pipeline.stress_scenarios import Replay, StressScenarios

KINDS = ("replay", "hypothetical")
TITLE_WIDTH = 26

Key = tuple[str, str]
"""Kind and name of a scenario."""


def in_order(keys: set[Key], scenarios: StressScenarios) -> list[Key]:
    """Scenarios in the order of the settings file; those it no longer has come last of their kind."""
    listed_: list[Key] = [("replay", n) for n in scenarios.replay] + [
        ("hypothetical", n) for n in scenarios.hypothetical
    ]
    place = {key: n for n, key in enumerate(listed_)}
    return sorted(keys, key=lambda key: (KINDS.index(key[0]), place.get(key, len(place)), key[1]))


def title(key: Key, scenarios: StressScenarios) -> str:
    """What a scenario is called, as markup may hold it; its name where the settings no longer have it."""
    of_kind: Mapping[str, Any] = scenarios.replay if key[0] == "replay" else scenarios.hypothetical
    return escape(of_kind[key[1]].title if key[1] in of_kind else key[1])


def when(key: Key, scenarios: StressScenarios) -> str:
    """The months of a replay, or the sessions of a shock."""
    if key[0] == "replay":
        replay: Replay | None = scenarios.replay.get(key[1])
        return MISSING if replay is None else f"{replay.start:%Y-%m} to {replay.end:%Y-%m}"
    shock = scenarios.hypothetical.get(key[1])
    return MISSING if shock is None else f"{shock.horizon_sessions} sessions"


def narrow_titles(table: Table) -> Table:
    """Let the first column, the scenarios' titles, take a second line rather than push the numbers off the screen."""
    table.columns[0].no_wrap, table.columns[0].max_width = False, TITLE_WIDTH
    return table


def say_scenarios_left_out(console: Console, keys: set[Key], scenarios: StressScenarios, end: str) -> None:
    """Scenarios of the settings without a row at a month's end, with the reason."""
    later = [
        escape(o.title)
        for n, o in scenarios.replay.items()
        if ("replay", n) not in keys and str(o.end) >= end
    ]
    unknown = [
        escape(o.title) for n, o in scenarios.replay.items() if ("replay", n) not in keys and str(o.end) < end
    ]
    unknown += [escape(o.title) for n, o in scenarios.hypothetical.items() if ("hypothetical", n) not in keys]
    if later:
        tell(console, f"Not over at {end}: {', '.join(later)}.")
    if unknown:
        tell(
            console,
            f"Not asked: {', '.join(unknown)}; the factors that they need are not known then, as seen at {end}.",
        )
