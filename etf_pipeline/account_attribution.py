"""What an account's returns came from, and what its volatility is made of, as ``etf exposure`` prints it."""

from __future__ import annotations

import duckdb
from rich.console import Console
from rich.markup import escape

from etf_pipeline.attribution_evidence import ACCOUNTS, Row, tell, tenths, unsigned_zero
from etf_pipeline.backtest_evidence import records
from etf_pipeline.risk_report import MISSING, grid, known, pct

STRATEGY, MODEL = "top_ranked", "house"
YEARS_SHOWN = 8
NOTHING_LEFT = 0.999
"""Share without exposures from which nothing is said of the rest."""
FACTORS = ("market", "term", "credit", "currency", "oil", "volatility")
COSTS = ("spread_cost", "impact_cost", "haircut")
REST = {
    "risk_free": "cash rate",
    "interest": "interest on its cash",
    "translation": "conversion of currencies",
    "unexplained": "funds without exposures",
    "other": "other",
}


def print_account_years(connection: duckdb.DuckDBPyConnection, console: Console, session: str | None) -> None:
    """Print what each of the last complete years' returns came from: factors, what was beyond them, and costs."""
    rows = records(
        connection,
        "attribution.annual_attribution",
        "SELECT strategy, year, part, contribution FROM attribution.annual_attribution WHERE model = ? "
        "AND list_contains(?, strategy) AND session <= coalesce(?::DATE, DATE '9999-12-31') ORDER BY year",
        [MODEL, list(ACCOUNTS), session],
    )
    by_year: dict[int, dict[str, float]] = {}
    market: dict[int, float] = {}
    for row in rows:
        if row["strategy"] == STRATEGY:
            by_year.setdefault(row["year"], {})[row["part"]] = row["contribution"]
        else:
            market[row["year"]] = market.get(row["year"], 0.0) + row["contribution"]
    if not by_year:
        tell(
            console,
            f"Where the returns of {STRATEGY} came from is not known: no complete year of the account is explained by the "
            "house's factors.",
        )
        return
    years = sorted(by_year)[-YEARS_SHOWN:]
    table = grid(
        f"Where the returns of {STRATEGY} came from, per cent a year, after costs",
        "part",
        *(f">{year}" for year in years),
    )
    silent = [name for name in FACTORS if not any(by_year[y].get(name) for y in years)]
    for name in FACTORS:
        if name not in silent:
            table.add_row(name, *(tenths(by_year[y].get(name)) for y in years))
    table.add_section()
    table.add_row("beyond the factors", *(tenths(by_year[y].get("specific")) for y in years))
    table.add_section()
    for part, name in REST.items():
        if any(abs(by_year[y].get(part, 0.0)) >= 0.0005 for y in years):
            table.add_row(name, *(tenths(by_year[y].get(part)) for y in years))
    table.add_row("spread, impact, haircuts", *(tenths(_sum(by_year[y], COSTS)) for y in years))
    others = sorted({p for y in years for p in by_year[y]} - {*FACTORS, "specific", *REST, *COSTS})
    for name in others:
        table.add_row(escape(name), *(tenths(by_year[y].get(name)) for y in years))
    table.add_section()
    table.add_row("[bold]return[/]", *(f"[bold]{tenths(sum(by_year[y].values()))}[/]" for y in years))
    table.add_row("market fund", *(tenths(market.get(y)) for y in years))
    console.print(table)
    tell(
        console,
        "Parts are linked so that they add up (Carino); exposures are those of the close before. Beyond the factors is what "
        "the funds did that their exposures do not explain.",
    )
    if silent:
        tell(
            console,
            f"Without a part in any of these years: {', '.join(silent)}; not in the model, or not known then.",
        )
    _say_years_left_out(connection, console, session, years)


def _sum(parts: dict[str, float], names: tuple[str, ...]) -> float:
    return sum(parts.get(name, 0.0) for name in names)


def _say_years_left_out(
    connection: duckdb.DuckDBPyConnection, console: Console, session: str | None, years: list[int]
) -> None:
    complete = records(
        connection,
        "validation.backtest_summary",
        "SELECT DISTINCT year FROM validation.backtest_summary WHERE strategy = ? AND scope = 'year' AND year >= ? "
        "AND session <= coalesce(?::DATE, DATE '9999-12-31') ORDER BY year",
        [STRATEGY, years[0], session],
    )
    absent = [str(row["year"]) for row in complete if row["year"] not in years]
    if absent:
        tell(
            console, f"Not shown: {', '.join(absent)}; on some session of it a factor has no value, so that the year would "
            "not add up."
        )  # fmt: skip


def print_volatility(connection: duckdb.DuckDBPyConnection, console: Console, session: str | None) -> None:
    """Print what the account's volatility is made of at the newest month's end, beside the market fund's."""
    rows = records(
        connection,
        "attribution.portfolio_risk",
        "SELECT * FROM attribution.portfolio_risk WHERE model = $1 AND list_contains($2, strategy) AND session = ("
        "SELECT max(session) FROM attribution.portfolio_risk WHERE model = $1 AND strategy = $3 "
        "AND session <= coalesce($4::DATE, DATE '9999-12-31'))",
        [MODEL, list(ACCOUNTS), STRATEGY, session],
    )
    accounts: dict[str, dict[str, Row]] = {}
    for row in rows:
        accounts.setdefault(row["strategy"], {})[row["part"]] = row
    if STRATEGY not in accounts:
        tell(
            console,
            f"What the volatility of {STRATEGY} is made of is not known: it has no holdings with exposures yet.",
        )
        return
    end = rows[0]["session"]
    columns = [name for name in ACCOUNTS if name in accounts]
    table = grid(
        f"What the volatility is made of at {end}: house factors",
        "part",
        *(
            heading
            for name in columns
            for heading in (f">{ACCOUNTS[name]}\nexposure", ">volatility\na year", ">share of\nvariance")
        ),
    )
    missing = {name: next(iter(accounts[name].values()))["unexplained_weight"] for name in columns}
    known_ = {name: accounts[name] if missing[name] < NOTHING_LEFT else {} for name in columns}
    for part in (*FACTORS, "specific"):
        if not any(part in accounts[name] for name in columns):
            continue
        table.add_row(part, *(cell for name in columns for cell in _risk_cells(known_[name].get(part))))
    table.add_section()
    total = []
    for name in columns:
        values = [row["volatility_annualised"] for row in known_[name].values()]
        total += ["", f"{100 * sum(v or 0.0 for v in values):.2f} %" if values else MISSING, ""]
    table.add_row("all", *total)
    console.print(table)
    for name in columns:
        if missing[name] >= NOTHING_LEFT:
            tell(
                console,
                f"{MISSING}: what {ACCOUNTS[name]} holds has no exposures at {end}: too few returns of late.",
            )
        elif missing[name] > 0.005:
            tell(
                console,
                f"{pct(missing[name])} of {ACCOUNTS[name]} is in funds without exposures at {end} and left out, as if it "
                "stood still: the account's own volatility is larger.",
            )
    tell(
        console, "Contributions add up (Euler); one below zero makes the account calmer. Specific is beside the factors."
    )  # fmt: skip


def _risk_cells(row: Row | None) -> tuple[str, str, str]:
    if row is None:
        return MISSING, MISSING, MISSING
    exposure = "" if row["part"] == "specific" else known(row["exposure"], lambda v: unsigned_zero(v, 2))
    return (
        exposure,
        known(row["volatility_annualised"], lambda v: f"{unsigned_zero(100 * v, 2)} %"),
        known(row["share_of_variance"], lambda v: f"{unsigned_zero(100 * v, 0)} %"),
    )
