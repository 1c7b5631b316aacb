"""What the account holds: by asset class and risk category through time, and today."""

from __future__ import annotations

from datetime import date

from etf_pipeline.tear_sheet.chart import CASH, stacked_chart
from etf_pipeline.tear_sheet.page import Markup, Sheet, amount, missing, pct, section, shown, table, words

# The fund's class is the newest known; its risk category that of the last ranking before the trade.
_HELD = """
    WITH held AS (SELECT * FROM validation.backtest_holdings WHERE strategy = ?)
    SELECT h.session, h.ticker, h.units, h.value, h.weight, l.name, l.asset_class, r.risk_category
    FROM held h
    LEFT JOIN raw.listings_as_of(TIMESTAMP '9999-12-31') l USING (ticker)
    ASOF LEFT JOIN (
        SELECT ticker, session, risk_category FROM scoring.composite_ranking
        WHERE ticker IN (SELECT ticker FROM held)
    ) r ON r.ticker = h.ticker AND r.session < h.session
"""


def exposures(sheet: Sheet) -> Markup:
    """Weights by asset class and by risk category after each day of orders; what is left is cash."""
    charts = []
    for column, title, unknown in (
        ("asset_class", "Weights by asset class", "unknown class"),
        ("risk_category", "Weights by risk category when decided", "MEDIUM (no category)"),
    ):
        days, layers = weights(sheet, column, unknown)
        charts.append(
            stacked_chart(
                title, days, layers, simulated=sheet.simulated,
                note="After each day of orders, until the next. Classes are the newest known, categories those of the day."
                if days else "",
            )
        )  # fmt: skip
    if not days:
        charts = [missing("validation.backtest_holdings", "It has held nothing yet.")]
    return section("exposures", "Exposures through time", *charts)


def weights(sheet: Sheet, column: str, unknown: str) -> tuple[list[date], dict[str, list[float]]]:
    """Days of orders, and the share of the account in each value of a column on each of them, cash last."""
    rows = sheet.rows(
        "validation.backtest_holdings",
        f"SELECT session, {column} AS part, sum(weight) AS weight FROM ({_HELD}) GROUP BY ALL ORDER BY session, part",  # noqa: S608
        sheet.strategy,
    )
    days = sorted({row["session"] for row in rows})
    at = {day: n for n, day in enumerate(days)}
    layers: dict[str, list[float]] = {}
    for row in rows:
        name = words(row["part"]) if row["part"] else unknown
        layers.setdefault(name, [0.0] * len(days))[at[row["session"]]] += row["weight"]
    order = ["LOW", "MEDIUM", "MEDIUM (no category)", "HIGH"]
    largest = sorted(layers, key=lambda k: (order.index(k) if k in order else len(order), -sum(layers[k]), k))
    out = {name: layers[name] for name in largest}
    if days:
        out[CASH] = [1.0 - sum(own[n] for own in layers.values()) for n in range(len(days))]
    return days, out


def current(sheet: Sheet) -> Markup:
    """The ten largest holdings after the newest day of orders."""
    rows = sheet.rows(
        "validation.backtest_holdings",
        f"SELECT * FROM ({_HELD}) WHERE session = (SELECT max(session) FROM validation.backtest_holdings "  # noqa: S608
        "WHERE strategy = ?) ORDER BY weight DESC, ticker",
        sheet.strategy,
        sheet.strategy,
    )
    if not rows:
        return section(
            "holdings",
            "Largest holdings",
            missing("validation.backtest_holdings", "It has held nothing yet."),
        )
    top = rows[:10]
    return section(
        "holdings",
        "Largest holdings",
        table(
            ["ticker", "name", "asset class", "risk", ">weight", ">value", ">units"],
            [
                [r["ticker"], r["name"] or "", words(r["asset_class"]), r["risk_category"] or "unknown",
                 shown(r["weight"], pct), shown(r["value"], amount), shown(r["units"], lambda v: f"{v:,.2f}")]
                for r in top
            ],
            caption=f"The {len(top)} largest of {len(rows)} funds after the orders of {rows[0]['session']}: "
            f"{pct(sum(r['weight'] for r in top))} of the account",
        ),
    )  # fmt: skip
