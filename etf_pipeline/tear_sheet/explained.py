"""What the account's returns came from, factor by factor, and what it would have lost in crises and under shocks."""

from __future__ import annotations

from typing import Any

from etf_pipeline.account_attribution import COSTS, FACTORS, MODEL, REST
from etf_pipeline.tear_sheet.page import (
    Markup,
    Sheet,
    missing,
    pct,
    section,
    shown,
    table,
    text,
    tinted,
    words,
)

LEAST_COVERED = 0.8
"""Share of the account whose losses must be known: of the rest of it nothing is said."""

SMALL = 0.0005
"""Parts that are below this in every year are left out."""


def by_factor(sheet: Sheet) -> Markup:
    """Each complete year's return in parts that add up to it."""
    rows = sheet.rows(
        "attribution.annual_attribution",
        "SELECT year, part, contribution FROM attribution.annual_attribution WHERE strategy = ? AND model = ? ORDER BY year",
        sheet.strategy,
        MODEL,
    )
    if not rows:
        return section("by-factor", "Why it moved", missing("attribution.annual_attribution"))
    years: dict[int, dict[str, float]] = {}
    for row in rows:
        years.setdefault(row["year"], {})[row["part"]] = row["contribution"]
    groups: dict[str, tuple[str, ...]] = {name: (name,) for name in FACTORS}
    groups["beyond the factors"] = ("specific",)
    for name, title in REST.items():
        groups[title] = (name,)
    groups["trading costs"] = COSTS
    parts = {
        title: [sum(told.get(name, 0.0) for name in names) for told in years.values()]
        for title, names in groups.items()
    }
    parts = {title: values for title, values in parts.items() if any(abs(v) >= SMALL for v in values)}
    full = max((abs(v) for values in parts.values() for v in values), default=0.0)
    return section(
        "by-factor",
        "Why it moved",
        table(
            ["year", *(f">{title}" for title in parts), ">return"],
            [
                [
                    year,
                    *(tinted(values[n], full, pct) for values in parts.values()),
                    shown(sum(told.values()), pct),
                ]
                for n, (year, told) in enumerate(years.items())
            ],
            caption="Holdings of each close times what they load on, times what the house's factors did next; linked over "
            "the year so that the parts add up. Years in which a factor has no value are left out.",
        ),
    )


def stress(sheet: Sheet) -> Markup:
    """What the account, as last held, would have returned, worst first, beside the market fund."""
    rows = sheet.rows(
        "attribution.portfolio_stress",
        "SELECT s.session, s.kind, s.scenario, s.served_return, s.low_95, s.high_95, m.served_return AS market "
        "FROM attribution.portfolio_stress s LEFT JOIN attribution.portfolio_stress m "
        "ON m.strategy = 'benchmark' AND m.session = s.session AND m.kind = s.kind AND m.scenario = s.scenario "
        "AND m.others = s.others "
        "WHERE s.strategy = $1 AND s.others = 'conditional' AND s.served_return IS NOT NULL AND s.session = "
        "(SELECT max(session) FROM attribution.portfolio_stress WHERE strategy = $1 AND covered_weight >= $2) "
        "ORDER BY s.served_return, s.scenario",
        sheet.strategy,
        LEAST_COVERED,
    )
    if not rows:
        return section("stress", "What could break it", missing("attribution.portfolio_stress"))
    return section(
        "stress",
        "What could break it",
        text(
            f"As held at {rows[0]['session']}, the newest month's end at which the losses of four fifths of the account are "
            "known. Replays repeat a past crisis, by a fund's own prices where it lived then; "
            "shocks are supposed. Factors that a shock does not name move as they usually have with those it does."
        ),
        table(
            ["scenario", "kind", ">return", ">95 % interval", ">market fund"],
            [
                [
                    words(r["scenario"]),
                    {"hypothetical": "shock"}.get(r["kind"], r["kind"]),
                    shown(r["served_return"], pct),
                    _interval(r),
                    shown(r["market"], pct),
                ]
                for r in rows
            ],
        ),
    )


def _interval(row: dict[str, Any]) -> str:
    if row["low_95"] is None or row["high_95"] is None:
        return shown(None, pct)
    return f"{pct(row['low_95'])} to {pct(row['high_95'])}"
