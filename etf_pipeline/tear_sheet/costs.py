"""What trading costs, year by year, and what is left as the account grows."""

from __future__ import annotations

from etf_pipeline.tear_sheet.page import (
    Markup,
    Sheet,
    amount,
    missing,
    pct,
    pct2,
    ratio,
    section,
    shown,
    table,
    text,
)


def costs(sheet: Sheet) -> Markup:
    """Gross and net return of each year, and what lies between them."""
    rows = sheet.rows(
        "validation.backtest_summary",
        "SELECT * FROM validation.backtest_summary WHERE strategy = ? AND scope = 'year' ORDER BY year",
        sheet.strategy,
    )
    to_date = sheet.rows(
        "validation.backtest_summary",
        "SELECT * FROM validation.backtest_summary WHERE strategy = ? AND scope = 'to_date' ORDER BY year DESC LIMIT 1",
        sheet.strategy,
    )
    if not rows:
        return section("costs", "Costs", missing("validation.backtest_summary"))
    return section(
        "costs",
        "Costs",
        table(
            ["year", ">gross", ">spread", ">impact", ">haircut", ">net", ">net, low spreads", ">net, high spreads",
             ">turnover"],
            [
                [
                    r["year"] if r["scope"] == "year" else "to date",
                    shown(r["gross_annual_return"], pct),
                    *(shown(r[key], pct2) for key in ("spread_cost_annual", "impact_cost_annual", "haircut_annual")),
                    *(
                        shown(r[key], pct)
                        for key in ("annual_return", "annual_return_low_costs", "annual_return_high_costs")
                    ),
                    shown(r["traded_annual"], ratio),
                ]
                for r in (*rows, *to_date)
            ],
            caption="A year, of the account. Gross is before spread and impact; haircuts are lost on funds that were gone.",
        ),
    )  # fmt: skip


def capacity(sheet: Sheet) -> Markup:
    """The return at other sizes of the account."""
    rows = sheet.rows(
        "validation.capacity",
        "SELECT * FROM validation.capacity WHERE strategy = ? AND year = "
        "(SELECT max(year) FROM validation.capacity WHERE strategy = ?) ORDER BY capital",
        sheet.strategy,
        sheet.strategy,
    )
    if not rows:
        return section("capacity", "Capacity", missing("validation.capacity"))
    behind = [r for r in rows if r["excess_annual_return"] is not None and r["excess_annual_return"] <= 0]
    if len(behind) == len(rows):
        said = "It is not ahead of the market fund at any size."
    elif behind:
        said = f"From {amount(behind[0]['capital'])} on it is no longer ahead of the market fund."
    else:
        said = "It is ahead of the market fund at every size where both are known."
    return section(
        "capacity",
        "Capacity",
        table(
            [">capital at the start", ">return a year", ">spread", ">impact", ">more than the market fund"],
            [
                [amount(r["capital"]), shown(r["annual_return"], pct), shown(r["spread_cost_annual"], pct2),
                 shown(r["impact_cost_annual"], pct2), shown(r["excess_annual_return"], pct)]
                for r in rows
            ],
            caption=f"To the end of {rows[0]['year']}, after costs",
        ),
        text(said),
    )  # fmt: skip
