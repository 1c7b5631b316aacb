"""What ``etf risk TICKER`` prints: one fund's risk by every measure, and how good its forecasts have been."""

from __future__ import annotations

import duckdb
from rich.console import Console
from rich.markup import escape

from etf_pipeline.core.risk import CategoryRules
from etf_pipeline.core.risk.garch import HORIZONS, MODELS
from etf_pipeline.core.scoring import EXCLUSIONS
from etf_pipeline.reports import SIMULATED, NoRiskError, is_simulated, percent, unknown_fund
from etf_pipeline.risk_exotic import print_exotic
from etf_pipeline.risk_report import (
    MISSING,
    Row,
    bps,
    grid,
    known,
    one,
    pct,
    pct2,
    ratio,
    records,
    risk_session,
    spread,
)
from etf_pipeline.risk_track_record import print_track_record

SESSIONS_A_YEAR = 252
STANDS_FOR = CategoryRules().max_stale_sessions
FALL_BACKS = {
    "ewma_shrunk": "too few returns for a GARCH model: weighted past squares, drawn towards the fund's peers",
    "constant": "its price has never moved",
}


def risk_card(
    connection: duckdb.DuckDBPyConnection,
    console: Console,
    *,
    ticker: str,
    session: str | None,
    exotic: bool = False,
) -> None:
    """Print a fund's category and why, volatility, betas, tails, drawdowns, liquidity, and its track record.

    With ``exotic`` also what rarer volatility models say, fitted on the spot.

    Raises
    ------
    NoRiskError : the fund has no row on the session, or the session no estimates; the message names what has.
    """
    day = risk_session(connection, session)
    fund = one(
        connection,
        "SELECT u.*, l.name, l.asset_class, l.currency, l.is_leveraged FROM market.universe u LEFT JOIN "
        "raw.listings_as_of(TIMESTAMP '9999-12-31') l USING (ticker) WHERE ticker = ? AND session = ?::DATE",
        ticker,
        day,
    )
    if fund is None:
        raise NoRiskError(unknown_fund(connection, ticker, day))
    if is_simulated(connection):
        console.print(f"[bold yellow]{SIMULATED}[/]")
    kind = f" ({fund['asset_class'].replace('_', ' ')})" if fund["asset_class"] else ""
    console.print(
        f"[bold]{ticker}[/] {escape(fund['name'] or '')}{kind}, risk at the close of {day}", highlight=False
    )
    if not fund["is_member"]:
        reason = fund["exclusion_reason"]
        console.print(f"It is not in the universe: {reason}: {EXCLUSIONS.get(reason, '')}", highlight=False)
    if fund["stale_sessions"]:
        console.print(
            f"Its last bar is {fund['stale_sessions']} sessions old; an estimate stands for at most {STANDS_FOR}.",
            highlight=False,
        )
    _category(connection, console, fund)
    _volatility(connection, console, fund)
    if exotic:
        print_exotic(connection, console, ticker, day)
    _betas(connection, console, fund)
    _tails(connection, console, fund)
    _drawdown(connection, console, fund)
    _liquidity(connection, console, fund)
    print_track_record(connection, console, ticker, day)


def _at(connection: duckdb.DuckDBPyConnection, table: str, fund: Row) -> Row | None:
    query = f"SELECT * FROM {table} WHERE ticker = ? AND session = ?"  # noqa: S608
    return one(connection, query, fund["ticker"], fund["session"])


def _tell(console: Console, text: str) -> None:
    console.print(text, highlight=False)


def _category(connection: duckdb.DuckDBPyConnection, console: Console, fund: Row) -> None:
    rules, held = CategoryRules(), _at(connection, "risk.risk_category", fund)
    volatility, tail, drawdown = (
        _at(connection, f"risk.{table}", fund) or {} for table in ("volatility", "tail", "drawdown")
    )
    measures = (
        ("volatility", "volatility, 21 sessions, annualised", volatility.get("volatility_annualised"),
         rules.volatility_annualised, "21 returns"),
        ("cvar", "CVaR 95, historical, annualised", tail.get("cvar_95_annualised_historical"),
         rules.cvar_95_annualised, "250 returns"),
        ("maximum_drawdown", "deepest drawdown, 756 sessions", drawdown.get("maximum_drawdown_756"),
         rules.maximum_drawdown, "126 returns"),
    )  # fmt: skip
    table = grid(
        f"Risk category: {held['category'] if held else 'none'}",
        "measure", ">value", ">MEDIUM from", ">HIGH from", "alone it says", "",
    )  # fmt: skip
    for code, name, value, limit, needs in measures:
        size = None if value is None else abs(value)
        says = (
            f"{MISSING}: {_too_few(fund, needs)}" if size is None else _level(size, limit.medium, limit.high)
        )
        table.add_row(
            name, known(size, pct), percent(limit.medium, 0), percent(limit.high, 0), says,
            "decides" if held and held["decided_by"] == code else "",
        )  # fmt: skip
    console.print(table)
    if held is None:
        _tell(console, "A category needs all three measures.")
        return
    if held["decided_by"] == "leveraged":
        _tell(console, "Leveraged and inverse funds are HIGH, whatever their measures say.")
    since = one(
        connection,
        "SELECT min(session) AS since, (SELECT max_by(category, session) FROM risk.risk_category WHERE ticker = $1 "
        "AND session <= $2 AND category <> $3) AS before FROM risk.risk_category WHERE ticker = $1 AND session <= $2 AND "
        "session > coalesce((SELECT max(session) FROM risk.risk_category WHERE ticker = $1 AND session <= $2 "
        "AND category <> $3), DATE '0001-01-01')",
        fund["ticker"], fund["session"], held["category"],
    ) or {}  # fmt: skip
    before = f", {since['before']} before" if since["before"] else ", its first category"
    _tell(console, f"{held['category']} since {since['since']}{before}.")
    if held["category"] != held["raw_category"]:
        falling = ("LOW", "MEDIUM", "HIGH").index(held["raw_category"]) < ("LOW", "MEDIUM", "HIGH").index(
            held["category"]
        )
        _tell(
            console,
            f"The measures of this session alone say {held['raw_category']}. It changes once they have been "
            f"{100 * rules.margin:.0f} % {'below' if falling else 'beyond'} the threshold for "
            f"{rules.sessions_down if falling else rules.sessions_up} sessions on end.",
        )


def _level(size: float, medium: float, high: float) -> str:
    return "HIGH" if size >= high else "MEDIUM" if size >= medium else "LOW"


def _volatility(connection: duckdb.DuckDBPyConnection, console: Console, fund: Row) -> None:
    served = _at(connection, "risk.volatility", fund)
    if served is None:
        _tell(console, f"No volatility forecast: {_too_few(fund, '21 returns')}.")
        return
    fits = {
        fit["model"]: fit
        for fit in records(
            connection,
            "SELECT * FROM risk.garch_fits WHERE ticker = ? AND session <= ? "
            "QUALIFY row_number() OVER (PARTITION BY model ORDER BY session DESC) = 1",
            fund["ticker"],
            fund["session"],
        )
    }
    table = grid(
        "Volatility forecasts, annualised", "model", ">1 session", ">5 sessions", ">21 sessions", "",
        ">fitted", ">returns", ">persistence", ">deg. of freedom",
    )  # fmt: skip
    columns = ("volatility_1_annualised", "volatility_5_annualised", "volatility_annualised")
    table.add_row("[bold]served[/]", *(f"[bold]{pct(served[c])}[/]" for c in columns), served["model"])
    table.add_section()
    forecasts = _at(connection, "risk.volatility_forecasts", fund)
    for model in MODELS if forecasts else ():
        variances = [(forecasts or {})[f"{model}_variance_{h}"] for h in HORIZONS]
        fit = fits.get(model)
        numbers = [MISSING] * 4
        if fit is not None:
            freedom = "normal" if fit["nu"] is None else f"{fit['nu']:.1f}"
            numbers = [str(fit["session"]), str(fit["observations"]), f"{fit['persistence']:.3f}", freedom]
        annual = [
            None if v is None else (v * SESSIONS_A_YEAR / h) ** 0.5
            for v, h in zip(variances, HORIZONS, strict=True)
        ]
        table.add_row(
            model, *(known(v, pct) for v in annual), "serves" if model == served["model"] else "", *numbers
        )
    table.add_row("ewma", *[known(served["ewma_annualised"], pct)] * 3, "for comparison")
    console.print(table)
    if served["model"] in FALL_BACKS:
        _tell(console, f"{served['model']}: {FALL_BACKS[served['model']]}.")
    elif forecasts is None:
        _tell(console, "There is no bar on this session: the served forecast is that of the last one.")
    ranges = _at(connection, "risk.range_volatility", fund) or {}
    names = ("parkinson", "garman_klass", "yang_zhang")
    values = [known(ranges.get(f"{name}_annualised"), pct) for name in names]
    _tell(
        console,
        f"Measured from the daily ranges of 63 sessions: Parkinson {values[0]}, Garman-Klass {values[1]} (both without "
        f"the overnight move), Yang-Zhang {values[2]}.",
    )


def _betas(connection: duckdb.DuckDBPyConnection, console: Console, fund: Row) -> None:
    market = _at(connection, "risk.beta", fund)
    peers = _at(connection, "risk.class_beta", fund)
    if market is None and peers is None:
        _tell(console, f"No beta: {_too_few(fund, '126 returns')}.")
        return
    against = market["benchmark"] if market else "the market fund"
    asset_class = (fund["asset_class"] or "funds of its class").replace("_", " ")
    table = grid(
        "Beta",
        "estimator",
        f">to {against}",
        ">std. error",
        f">to other {asset_class}",
        ">std. error",
        "what it is",
    )
    for name, column, error, about in (
        ("least squares", "beta", "standard_error", "over 252 sessions"),
        ("", None, "hac_standard_error", "its error robust to correlated residuals (Newey-West)"),
        ("weighted", "ewma_beta", None, "half-life 63 sessions"),
        ("random walk", "kalman_beta", "kalman_standard_error", "Kalman filter"),
        (
            "lagged (Dimson)",
            "dimson_beta",
            "dimson_standard_error",
            "this and the previous session's benchmark",
        ),
        ("downside", "downside_beta", None, "sessions with the benchmark below its mean"),
        ("shrunk (Vasicek)", "shrunk_beta", "shrunk_standard_error", "drawn towards the fund's peers"),
        ("static", "static_beta", None, "over all past returns"),
        ("correlation", "correlation", None, "over 252 sessions"),
    ):
        cells = []
        for row in (market, peers):
            for key in (column, error):
                absent = key is None or (row is not None and key not in row)
                cells.append("" if absent else known((row or {}).get(str(key)), lambda v: f"{v:.3f}"))
        table.add_row(name, *cells, about)
    console.print(table)
    for row, why in ((market, "the market fund"), (peers, "its class")):
        if row is None:
            more = " The class needs other members with returns." if why == "its class" else ""
            _tell(console, f"{MISSING}: fewer than 126 common returns with {why}.{more}")
        elif row["kalman_beta"] is None:
            _tell(
                console,
                f"{MISSING}: a random-walk beta needs 252 common returns with {why} at a month's start.",
            )


def _tails(connection: duckdb.DuckDBPyConnection, console: Console, fund: Row) -> None:
    tail = _at(connection, "risk.tail", fund)
    if tail is None:
        _tell(console, f"No value at risk: {_too_few(fund, '250 returns')}.")
        return
    table = grid(
        "Tails: the next session's return",
        "model",
        ">VaR 95",
        ">CVaR 95",
        ">VaR 99",
        ">CVaR 99",
        "",
        "what it is",
    )
    for model, name, about in (
        ("historical", "historical", "the last 1,000 returns as they were"),
        ("student_t", "Student t", "a distribution fitted to them monthly"),
        ("filtered", "filtered", "them over their forecasts, times today's: filtered historical simulation"),
    ):
        values = [tail[f"{m}_{level}_{model}"] for level in (95, 99) for m in ("var", "cvar")]
        serves = model == tail["model"]
        cells = [known(v, pct2) for v in values]
        table.add_row(
            name, *(f"[bold]{c}[/]" if serves else c for c in cells), "served" if serves else "", about
        )
    console.print(table)
    _tell(
        console,
        f"A year, CVaR 95 is {known(tail['cvar_95_annualised'], pct)} by the served model, {tail['model']}, which the "
        f"score takes, and {known(tail['cvar_95_annualised_historical'], pct)} by the historical "
        "one, which the risk category takes.",
    )
    if tail["var_95_filtered"] is None:
        _tell(
            console,
            f"{MISSING}: the filtered model needs 250 returns that were met by a volatility forecast, and a price "
            "that a tenth of the last 250 returns moved.",
        )
    if tail["var_95_student_t"] is None:
        _tell(
            console,
            f"{MISSING}: Student t needs 250 returns at a month's start, and a price that mostly moves.",
        )


def _drawdown(connection: duckdb.DuckDBPyConnection, console: Console, fund: Row) -> None:
    row = _at(connection, "risk.drawdown", fund)
    if row is None:
        _tell(
            console,
            f"No drawdown: {_too_few(fund, 'a return')}.",
        )
        return
    table = grid("Drawdown of the total return", "measure", ">value", "what it is")
    under = row["sessions_under_water"]
    where = (
        f"from its highest close ever, {under} sessions ago"
        if under
        else "it stands at its highest close ever"
    )
    for name, value, about in (
        ("drawdown", known(row["drawdown"], pct), where),
        ("deepest, 252 sessions", known(row["maximum_drawdown_252"], pct), "from a peak within them"),
        ("deepest, 756 sessions", known(row["maximum_drawdown_756"], pct), "the same; what the risk category uses"),
        ("Ulcer index", known(row["ulcer_index"], pct), "root mean square drawdown, 252 sessions"),
        ("downside deviation", known(row["downside_deviation_annualised"], pct), "below zero, 252 sessions, annualised"),
        ("tail ratio", known(row["tail_ratio"], ratio), "best 5 % over worst 5 % of 252 returns; below 1: larger losses"),
    ):  # fmt: skip
        table.add_row(name, value, about)
    console.print(table)
    if row["maximum_drawdown_252"] is None:
        _tell(console, f"{MISSING}: too few returns in the window.")
    if row["unknown_returns"]:
        _tell(
            console, f"The index was carried over {row['unknown_returns']} breaks whose return is not known."
        )


def _liquidity(connection: duckdb.DuckDBPyConnection, console: Console, fund: Row) -> None:
    row = _at(connection, "risk.liquidity", fund)
    if row is None:
        _tell(console, "No liquidity measures: the fund has no accepted bar yet.")
        return
    money = fund["currency"] or "quote currency"
    table = grid("Liquidity, 252 sessions", "measure", ">value", "unit", "what it is")
    low = row["spread_lower"] is not None and row["spread_lower"] <= 0.0
    for name, value, unit, about in (
        ("spread (EDGE)", spread(row), "bps",
         "what buying and selling again costs" + ("; too small to be told from none" if low else "")),
        ("  with its sign", known(row["edge_signed"], bps), "bps", f"from {row['spread_pairs']} pairs of sessions"),
        ("spread (Corwin-Schultz)", known(row["corwin_schultz_signed"], bps), "bps", "for comparison, with its sign"),
        ("spread (Abdi-Ranaldo)", known(row["abdi_ranaldo_signed"], bps), "bps", "for comparison, with its sign"),
        ("Amihud illiquidity", known(row["amihud_per_million"], pct2), f"a million {money}",
         "mean move of the price for each million traded"),
        ("sessions without trade", str(row["zero_volume_sessions"]), f"of {row['known_sessions']} known", ""),
        ("median traded value", known(row["median_traded_value"], lambda v: f"{v:,.0f}"), f"{money} a session", ""),
        ("average volume", known(row["average_volume"], lambda v: f"{v:,.0f}"), "units a session",
         f"{known(row['recent_average_volume'], lambda v: f'{v:,.0f}')} over the last 21 sessions"),
    ):  # fmt: skip
        table.add_row(name, value, unit, about)
    console.print(table)
    if row["spread"] is None:
        _tell(
            console,
            f"{MISSING}: a spread needs 60 pairs of sessions with prices that move and a bar of the last five sessions.",
        )


def _too_few(fund: Row, needed: str) -> str:
    if (fund["stale_sessions"] or 0) > STANDS_FOR:
        return f"its last bar is {fund['stale_sessions']} sessions old"
    return f"it needs {needed} and has {fund['observed_sessions']} observed sessions"
