"""The account's record: figures to date, growth, drawdowns, the rolling Sharpe ratio, monthly returns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np

from etf_pipeline.backtest_evidence import YARDSTICKS
from etf_pipeline.core.validation.sharpe_ratio import sharpe_estimates
from etf_pipeline.tear_sheet.chart import Band, Line, time_chart
from etf_pipeline.tear_sheet.page import (
    MISSING,
    Markup,
    Sheet,
    cell,
    label,
    missing,
    pct,
    ratio,
    section,
    shown,
    table,
    tinted,
    words,
)

YEAR = 252
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FIGURES: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("annual_return", "return a year, after costs", pct),
    ("gross_annual_return", "before spread and impact", pct),
    ("annual_return_low_costs", "if spreads are at the low end", pct),
    ("annual_return_high_costs", "if spreads are at the high end", pct),
    ("cash_annual_return", "cash", pct),
    ("volatility_annualised", "volatility a year", pct),
    ("sharpe", "Sharpe ratio", ratio),
    ("sortino", "Sortino ratio", ratio),
    ("maximum_drawdown", "deepest drawdown", pct),
    ("calmar", "Calmar ratio", ratio),
    ("value_at_risk_95", "value at risk, one session, 95 %", pct),
    ("worst_session", "worst session", pct),
    ("worst_month", "worst month", pct),
    ("positive_months", "months above zero", pct),
    ("excess_annual_return", "more than the market fund, a year", pct),
    ("tracking_error", "tracking error", pct),
    ("information_ratio", "information ratio", ratio),
    ("beta", "beta to the market fund", ratio),
    ("traded_annual", "turnover, times a year", ratio),
    ("average_funds", "funds held", ratio),
    ("average_cash_share", "cash share", pct),
    ("average_largest_weight", "largest holding", pct),
)


def summary(sheet: Sheet) -> Markup:
    """Figures to date of the strategy beside its yardsticks."""
    rows = sheet.rows(
        "validation.backtest_summary",
        "SELECT * FROM validation.backtest_summary WHERE scope = 'to_date' AND year = "
        "(SELECT max(year) FROM validation.backtest_summary WHERE scope = 'to_date' AND strategy = ?) ORDER BY strategy",
        sheet.strategy,
    )
    names = sorted({row["strategy"] for row in rows}, key=lambda name: (name != sheet.strategy, name))
    if sheet.strategy not in names:
        return section("summary", "In figures", missing("validation.backtest_summary"))
    own = {row["strategy"]: row for row in rows}
    return section(
        "summary",
        "In figures",
        table(
            ["to the end of " + str(rows[0]["year"]), *(f">{words(name)}" for name in names)],
            [[told, *(shown(own[name][key], form) for name in names)] for key, told, form in FIGURES],
            caption="; ".join(label(name) for name in names),
        ),
    )


def growth(sheet: Sheet) -> Markup:
    """What one unit became, beside the yardsticks and the range of random portfolios."""
    rows = sheet.rows(
        "validation.backtest_daily",
        "SELECT strategy, max(session) AS day, arg_max(end_value, session) AS value FROM validation.backtest_daily "
        "WHERE strategy IN (?, 'benchmark', 'equal_weight') AND session >= ? "
        "GROUP BY strategy, date_trunc('week', session) ORDER BY strategy, day",
        sheet.strategy,
        sheet.first,
    )
    start = {
        row["strategy"]: row["start_value"]
        for row in sheet.rows(
            "validation.backtest_daily",
            "SELECT strategy, start_value FROM validation.backtest_daily WHERE session >= ? "
            "QUALIFY row_number() OVER (PARTITION BY strategy ORDER BY session) = 1",
            sheet.first,
        )
    }
    marks: list[Line | Band] = [*_random(sheet)]
    for colour, name in enumerate((sheet.strategy, *YARDSTICKS)):
        own = [row for row in rows if row["strategy"] == name]
        if own:
            values = [row["value"] / start[name] for row in own]
            marks.append(
                Line(name, [row["day"] for row in own], values, colour, f"{values[-1]:.2f}", thin=colour > 0)
            )
    note = "Closes of each week, after costs; logarithmic scale."
    if any(isinstance(mark, Band) for mark in marks):
        note += (
            " Random portfolios are known at the ends of years: 90 % and 50 % of them lie within the two areas, "
            "which are drawn straight in between."
        )
    return section(
        "growth",
        "Growth of the account",
        time_chart(
            "What 1 became", marks, simulated=sheet.simulated, form=lambda v: f"{v:g}", log=True, note=note
        ),
    )


def _random(sheet: Sheet) -> list[Line | Band]:
    """Random portfolios' compound returns to date as what one unit became."""
    rows = sheet.rows(
        "validation.random_portfolios",
        """
        SELECT r.*, s.sessions, d.day FROM validation.random_portfolios r
        JOIN validation.backtest_summary s USING (strategy, year, scope)
        JOIN (SELECT year(session) AS year, max(session) AS day FROM validation.backtest_daily WHERE strategy = ?
              GROUP BY 1) d USING (year)
        WHERE r.strategy = ? AND r.scope = 'to_date' ORDER BY r.year
        """,
        sheet.strategy,
        sheet.strategy,
    )
    quantiles = [f"random_annual_return_{q}" for q in ("05", "25", "50", "75", "95")]
    rows = [row for row in rows if all(row[q] is not None for q in quantiles)]
    if not rows:
        return []
    days = [sheet.first, *(row["day"] for row in rows)]

    def became(quantile: str) -> list[float]:
        return [1.0] + [
            (1.0 + row[f"random_annual_return_{quantile}"]) ** (row["sessions"] / YEAR) for row in rows
        ]

    return [
        Band("90 % of random portfolios", days, became("05"), became("95"), 5, faint=True),
        Band("50 %", days, became("25"), became("75"), 5),
        Line("their median", days, [*became("50")], 5, thin=True),
    ]


def drawdowns(sheet: Sheet) -> Markup:
    """How far below its highest close the account was, and the deepest falls."""
    rows = sheet.rows(
        "validation.backtest_daily",
        "SELECT strategy, max(session) AS day, min(drawdown) AS drawdown FROM validation.backtest_daily "
        "WHERE strategy IN (?, 'benchmark') GROUP BY strategy, date_trunc('week', session) ORDER BY strategy, day",
        sheet.strategy,
    )
    marks = [
        Line(name, [r["day"] for r in own], [r["drawdown"] for r in own], colour, thin=colour > 0)
        for colour, name in enumerate((sheet.strategy, "benchmark"))
        if (own := [row for row in rows if row["strategy"] == name])
    ]
    falls = _falls(sheet)
    return section(
        "drawdowns",
        "Drawdowns",
        time_chart(
            "Below the highest close so far", marks, simulated=sheet.simulated, form=lambda v: f"{100 * v:.0f} %",
            note="The deepest close of each week.",
        ),
        table(
            ["from the close of", "deepest on", "back on", ">depth"],
            [
                [*(cell(f[day] or "not yet", "nb") for day in ("peak", "trough", "back")), pct(f["depth"])]
                for f in falls
            ],
            caption="The five deepest falls",
        )
        if falls
        else Markup(""),
    )  # fmt: skip


def _falls(sheet: Sheet) -> list[dict[str, Any]]:
    """The five deepest stretches below a highest close."""
    return sheet.rows(
        "validation.backtest_daily",
        """
        WITH marked AS (
            SELECT session, drawdown, drawdown < 0 AS below, count(*) FILTER (drawdown >= 0) OVER (ORDER BY session) AS top
            FROM validation.backtest_daily WHERE strategy = ?
        )
        SELECT coalesce(min(session) FILTER (NOT below), min(session)) AS peak, arg_min(session, drawdown) AS trough,
               (SELECT min(session) FROM marked n WHERE n.top = m.top + 1) AS back, min(drawdown) AS depth
        FROM marked m GROUP BY top HAVING min(drawdown) < 0 ORDER BY depth, peak LIMIT 5
        """,
        sheet.strategy,
    )


def rolling_sharpe(sheet: Sheet) -> Markup:
    """The Sharpe ratio of each year of sessions up to a month's end, with the interval chance alone would explain."""
    days, values, errors = rolling_estimates(sheet)
    kept = [n for n, value in enumerate(values) if np.isfinite(value) and np.isfinite(errors[n])]
    days, values, errors = [days[n] for n in kept], values[kept], errors[kept]
    covers = int((values - 1.96 * errors <= 0).sum())
    note = "The 252 sessions up to each month's last, over cash; cash by the year's rate. "
    if kept:
        note += f"In {covers} of {len(kept)} of these years zero lies within the interval, or above it."
    return section(
        "rolling-sharpe",
        "Rolling Sharpe ratio",
        time_chart(
            "Sharpe ratio of one year, with its 95 % interval",
            [
                Band("95 % interval", days, [*(values - 1.96 * errors)], [*(values + 1.96 * errors)], 0),
                Line(sheet.strategy, days, [*values], 0),
            ],
            simulated=sheet.simulated, form=lambda v: f"{v:g}", level=0.0, note=note,
        ),
    )  # fmt: skip


def rolling_estimates(sheet: Sheet) -> tuple[list[date], np.ndarray, np.ndarray]:
    """Months' last sessions, the Sharpe ratio of the 252 sessions up to each, and its robust standard error."""
    rows = sheet.rows(
        "validation.backtest_daily",
        """
        SELECT d.session, d.net_return, c.cash_annual_return AS cash,
               max(d.session) OVER (PARTITION BY date_trunc('month', d.session)) = d.session AS month_end
        FROM validation.backtest_daily d
        ASOF LEFT JOIN (
            SELECT year, cash_annual_return FROM validation.backtest_summary
            WHERE strategy = ? AND scope = 'year' AND cash_annual_return IS NOT NULL
        ) c ON year(d.session) >= c.year
        WHERE d.strategy = ? ORDER BY d.session
        """,
        sheet.strategy,
        sheet.strategy,
    )
    ends = [n for n, row in enumerate(rows) if row["month_end"] and n + 1 >= YEAR]
    if not ends:
        return [], np.empty(0), np.empty(0)
    excess = np.array(
        [row["net_return"] - ((1.0 + (row["cash"] or 0.0)) ** (1.0 / YEAR) - 1.0) for row in rows]
    )
    found = sharpe_estimates(np.column_stack([excess[n + 1 - YEAR : n + 1] for n in ends]))
    return [rows[n]["session"] for n in ends], found.sharpe_annualised, found.error_robust_annualised


def monthly(sheet: Sheet) -> Markup:
    """Returns of calendar months and years after costs."""
    rows = sheet.rows(
        "validation.backtest_daily",
        "SELECT year(session) AS year, month(session) AS month, strategy, product(1 + net_return) - 1 AS net "
        "FROM validation.backtest_daily WHERE strategy IN (?, 'benchmark') AND session >= ? "
        "GROUP BY GROUPING SETS ((1, 2, 3), (1, 3)) ORDER BY ALL",
        sheet.strategy,
        sheet.first,
    )
    net = {(row["strategy"], row["year"], row["month"]): row["net"] for row in rows}
    lines = []
    for year in sorted({row["year"] for row in rows}):
        own, base = net.get((sheet.strategy, year, None)), net.get(("benchmark", year, None))
        months = [tinted(net.get((sheet.strategy, year, m)), 0.08, _points) for m in range(1, 13)]
        market = cell(shown(base, _points), "n")
        ahead = cell(MISSING if own is None or base is None else f"{100 * (own - base):+.1f}", "n")
        lines.append([year, *months, tinted(own, 0.3, _points, "n total"), market, ahead])
    inner = table(
        ["%", *(f">{month}" for month in MONTHS), ">year", ">market fund", ">ahead by"],
        lines,
        caption="Per cent after costs. The first and the last month and year are as long as the account.",
    )
    title = "Monthly returns" + (" (SIMULATED)" if sheet.simulated else "")
    return section("monthly", title, Markup(f'<div class="dense">{inner}</div>'))


def _points(value: float) -> str:
    return f"{round(100 * value, 1) + 0.0:.1f}"
