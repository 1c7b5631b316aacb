"""Is it luck? The verdict, what it rests on, and portfolios drawn at random."""

from __future__ import annotations

from collections.abc import Callable

from etf_pipeline.tear_sheet.page import (
    MISSING,
    Markup,
    Sheet,
    amount,
    cell,
    escaped,
    missing,
    pct,
    ratio,
    section,
    shown,
    table,
    text,
    whole,
)
from etf_pipeline.verdict import Verdict

OUTCOME = {True: ("yes", "ruled out"), False: ("no", "not ruled out"), None: ("open", "not known")}


def verdict_box(found: Verdict) -> Markup:
    """The answer first, then what it rests on."""
    items = "".join(f"<li>{escaped(words)}</li>" for words in found.sentences)
    return Markup(
        f'<section id="verdict" class="verdict {found.answer}"><p class="headline">{escaped(found.headline)}</p>'
        f"<ul>{items}</ul></section>"
    )


def luck(sheet: Sheet, found: Verdict) -> Markup:
    """Each test of luck with its outcome, and the significance of the Sharpe ratio against each yardstick."""
    tests = table(
        ["explanation other than skill", "outcome"],
        [[test.name, cell(OUTCOME[test.passed][1], OUTCOME[test.passed][0])] for test in found.tests],
    )
    rows = sheet.rows(
        "validation.significance",
        "SELECT * FROM validation.significance WHERE strategy = ? AND year = "
        "(SELECT max(year) FROM validation.significance WHERE strategy = ?) "
        "ORDER BY list_position(['cash', 'benchmark', 'equal_weight'], against), against",
        sheet.strategy,
        sheet.strategy,
    )
    if not rows:
        return section("luck", "Is it luck?", tests, missing("validation.significance"))
    figures: list[tuple[str, str, Callable[[float], str]]] = [
        ("sharpe", "Sharpe ratio over it", ratio),
        ("sharpe_standard_error", "standard error", ratio),
        ("sharpe_lower", "95 % interval, lower end", ratio),
        ("sharpe_upper", "upper end", ratio),
        ("probabilistic_sharpe", "probability that it is above zero", whole),
        ("trials", "configurations tried", amount),
        ("effective_trials", "independent ones among them", lambda v: f"{v:.1f}"),
        ("expected_maximum_sharpe", "best of so many without skill", ratio),
        ("deflated_sharpe", "probability above zero, trials counted", whole),
        ("years", "years of record", lambda v: f"{v:.1f}"),
        ("minimum_track_record_years", "years for 95 % confidence", lambda v: f"{v:,.1f}"),
        ("years_for_power", "years to see it, 80 % power", lambda v: f"{v:,.1f}"),
        ("sharpe_difference", "Sharpe ratio less the yardstick's", ratio),
        ("difference_lower", "95 % interval, lower end", ratio),
        ("difference_upper", "upper end", ratio),
        ("difference_p_value", "p-value of the difference", ratio),
        ("alpha_annual", "alpha a year", pct),
        ("alpha_t_value", "its t-value", ratio),
        ("alpha_adjusted_p_value", "its p-value, Holm", ratio),
    ]
    return section(
        "luck",
        "Is it luck?",
        tests,
        table(
            [f"to the end of {rows[0]['year']}", *(f">over {row['against'].replace('_', ' ')}" for row in rows)],
            [[told, *(shown(row[key], form) for row in rows)] for key, told, form in figures],
        ),
        _overfitting(sheet),
    )  # fmt: skip


def _overfitting(sheet: Sheet) -> Markup:
    rows = sheet.rows(
        "validation.overfitting", "SELECT * FROM validation.overfitting ORDER BY year DESC LIMIT 1"
    )
    if not rows:
        return missing("validation.overfitting")
    r = rows[0]
    between = f"{shown(r['spa_lower_p_value'], ratio)} to {shown(r['spa_upper_p_value'], ratio)}"
    return table(
        ["over all configurations tried", f">to the end of {r['year']}"],
        [
            ["configurations with returns", amount(r["trials"])],
            [
                "independent ones, by clusters of returns",
                shown(r["effective_trials"], lambda v: f"{v:.1f}"),
            ],
            [
                "independent ones, by eigenvalues",
                shown(r["participation_trials"], lambda v: f"{v:.1f}"),
            ],
            [
                f"probability of overfitting, {amount(r['splits'])} splits",
                shown(r["probability_of_overfitting"], whole),
            ],
            ["slope of later on earlier Sharpe ratios", shown(r["degradation_slope"], ratio)],
            ["probability that the best one loses afterwards", shown(r["probability_of_loss"], whole)],
            ["Hansen's test that none beats the market fund, p", shown(r["spa_p_value"], ratio)],
            ["its bounds", between],
            ["configurations that beat it (Romano-Wolf, 5 %)", amount(r["step_m_rejections"])],
        ],
    )


def random_portfolios(sheet: Sheet) -> Markup:
    """The strategy's place among portfolios drawn at random, year by year."""
    rows = sheet.rows(
        "validation.random_portfolios",
        "SELECT * FROM validation.random_portfolios WHERE strategy = ? AND (scope = 'year' OR year = "
        "(SELECT max(year) FROM validation.random_portfolios WHERE strategy = ?)) ORDER BY scope DESC, year",
        sheet.strategy,
        sheet.strategy,
    )
    if not rows:
        return section(
            "random", "Beside portfolios drawn at random",
            missing("validation.random_portfolios", "This strategy was not held against random portfolios."),
        )  # fmt: skip
    last = rows[-1]
    quantiles = [f"random_annual_return_{q}" for q in ("05", "50", "95")]
    return section(
        "random",
        "Beside portfolios drawn at random",
        text(
            f"{amount(last['draws'])} portfolios from the same ranked funds, with as many funds, the same days of orders, "
            f"buffer and costs, and scores that persist from month to month as the ranking's do "
            f"({shown(last['persistence'], ratio)}). What beats few of them owes nothing to the ranking."
        ),
        table(
            ["year", ">strategy", ">random, 5 %", ">median", ">95 %", ">beaten in return", ">beaten in Sharpe ratio"],
            [
                [r["year"] if r["scope"] == "year" else "to date", shown(r["annual_return"], pct),
                 *(shown(r[q], pct) for q in quantiles), shown(r["beaten_in_return"], whole),
                 shown(r["beaten_in_sharpe"], whole)]
                for r in rows
            ],
        ),
    )  # fmt: skip


def survivorship(sheet: Sheet) -> Markup:
    """What forgetting funds that are gone would add."""
    rows = sheet.rows(
        "validation.survivorship",
        "SELECT * FROM validation.survivorship WHERE scope = 'to_date' AND year = "
        "(SELECT max(year) FROM validation.survivorship WHERE scope = 'to_date') "
        "ORDER BY list_position(['survivors_less_all', 'dead_less_all', 'survivors_less_dead'], comparison), comparison, "
        "asset_class <> 'all', asset_class",
    )
    if not rows:
        return section("survivorship", "Funds that are gone", missing("validation.survivorship"))
    return section(
        "survivorship",
        "Funds that are gone",
        table(
            ["comparison", "asset class", ">funds", ">gone", ">return a year", ">95 % interval", ">Sharpe ratio",
             ">95 % interval", ">place in the ranking"],
            [
                [
                    r["comparison"].replace("_", " "), r["asset_class"].replace("_", " "), r["funds"], r["dead_funds"],
                    shown(r["annual_return_difference"], pct),
                    _between(r["difference_lower"], r["difference_upper"], pct),
                    shown(r["sharpe_difference"], ratio),
                    _between(r["sharpe_difference_lower"], r["sharpe_difference_upper"], ratio),
                    shown(r["mean_rank_difference"], ratio),
                ]
                for r in rows
            ],
            caption=f"Differences to the end of {rows[0]['year']}, of equally weighted funds",
        ),
    )  # fmt: skip


def _between(low: float | None, high: float | None, form: Callable[[float], str]) -> str:
    return MISSING if low is None or high is None else f"{form(low)} to {form(high)}"
