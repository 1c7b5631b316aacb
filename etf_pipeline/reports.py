"""What ``etf rank`` prints, read from the published snapshot; and what the reports share."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from typing import TextIO

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from etf_pipeline.core.scoring import EXCLUSIONS
from etf_pipeline.scoring_settings import unlike_shipped

SIMULATED = "SIMULATED MARKET: every fund and number below is invented."


# A session that ranks less than this share of the fullest recent one is worth a hint.
FEW = 0.7


class NotRankedError(LookupError):
    """There is nothing to show for what was asked; the message says what there is."""


class ParameterError(duckdb.InvalidInputException):
    """A query's parameters and the values given do not match."""


class NoRiskError(LookupError):
    """There is no risk to show for what was asked; the message says what there is."""


def ranking(
    connection: duckdb.DuckDBPyConnection, console: Console, *, top: int, session: str | None, excluded: bool
) -> None:
    """Print the top of one session's ranking, and who was left out and why.

    Raises
    ------
    NotRankedError : no session with a ranking, or not this one.
    """
    day = session_or_newest(connection, session)
    rows = connection.execute(
        """
        SELECT r.rank, r.ticker, l.name, r.risk_category, r.final_score, r.raw_score, r.penalty_points, r.momentum_score,
               r.forecast_score, r.risk_score, r.volume_score, r.confidence, r.position_size, s.momentum_12_1,
               s.volatility_annualised
        FROM scoring.composite_ranking r
        JOIN scoring.component_scores s USING (ticker, session)
        LEFT JOIN raw.listings_as_of(TIMESTAMP '9999-12-31') l USING (ticker)
        WHERE r.session = ?::DATE AND r.rank IS NOT NULL ORDER BY r.rank LIMIT ?
        """,
        [day, top],
    ).fetchall()
    counts = connection.execute(
        "SELECT count(rank), count(*) - count(rank) FROM scoring.composite_ranking WHERE session = ?::DATE",
        [day],
    ).fetchone() or (0, 0)
    if is_simulated(connection):
        console.print(f"[bold yellow]{SIMULATED}[/]")
    if session is None:
        _point_to_fullest(connection, console, day, counts[0])
    table = Table(title=f"Ranking at the close of {day}: {counts[0]} funds ranked, {counts[1]} left out")
    for name, right in (
        ("rank", True), ("ticker", False), ("name", False), ("risk", False), ("score", True), ("raw", True),
        ("penalty", True), ("mom.", True), ("fcst", True), ("calm", True), ("vol.", True), ("conf.", True),
        ("hold", True), ("share", True), ("12-1", True), ("moves", True),
    ):  # fmt: skip
        table.add_column(
            name,
            justify="right" if right else "left",
            no_wrap=True,
            overflow="ellipsis" if name == "name" else "fold",
            max_width=20 if name == "name" else None,
        )
    together = sum(r[12] or 0.0 for r in rows)
    scale = 1.0 / max(1.0, together)
    for r in rows:
        table.add_row(
            str(r[0]), r[1], escape(r[2] or ""), r[3] or "?", *(_points(v) for v in r[4:6]),
            f"-{r[6]:.1f} %" if r[6] else "", *(_points(v) for v in r[7:11]), percent(r[11], 0), percent(r[12], 1),
            percent(None if r[12] is None else scale * r[12], 1), percent(r[13], 1, sign=True), percent(r[14], 1),
        )  # fmt: skip
    console.print(table)
    _left_out(connection, console, day, excluded)
    print_other_rules(connection, console)
    console.print(
        "Scores are 0-100 among that day's funds: momentum, forecast, calm (little risk) and volume make the raw score, "
        "penalties are taken off it. Conf. is the share of what goes into the score that is known; hold is the largest "
        f"single position; the holds of these {len(rows)} add up to {percent(together, 0)}, and share is what each "
        "gets in a portfolio of them, scaled down in proportion to at most 100 % in all; 12-1 the return from twelve "
        "months to one month ago; moves the annualised volatility forecast. "
        "[bold]etf explain TICKER[/] takes one apart."
    )


def session_or_newest(connection: duckdb.DuckDBPyConnection, session: str | None) -> str:
    row = connection.execute(
        "SELECT min(session), max(session) FROM scoring.composite_ranking WHERE rank IS NOT NULL"
    ).fetchone()
    if not row or row[1] is None:
        raise NotRankedError(
            "no session has a ranking; why: "
            '`etf sql "SELECT exclusion_reason, count(*) FROM scoring.composite_ranking GROUP BY 1"`'
        )
    if session is None:
        return str(row[1])
    known = connection.execute(
        "SELECT count(*) FROM scoring.composite_ranking WHERE session = ?::DATE", [session]
    ).fetchone()
    if not known or not known[0]:
        raise NotRankedError(
            f"{session} is not a session in this warehouse; rankings exist from {row[0]} to {row[1]}"
        )
    return session


def answer_query(
    connection: duckdb.DuckDBPyConnection,
    console: Console,
    query: str,
    values: Mapping[str, str],
    *,
    csv_file: TextIO | None,
    limit: int,
) -> None:
    """A query's answer: all of it as CSV where a file is given, else ``limit`` rows (0: all) as a table.

    Raises
    ------
    ParameterError : the query has parameters that ``values`` does not name, or the other way round.
    """
    try:
        answer = connection.execute(query, dict(values)) if values else connection.execute(query)
    except duckdb.InvalidInputException as error:
        if "prepared statement parameters" not in str(error):
            raise
        wanted = str(error).rsplit(":", 1)[-1].strip()
        raise ParameterError(
            f"{str(error).removeprefix('Invalid Input Error: ')}. A parameter is given as --param name=value, e.g. "
            f"--param {wanted.split(',')[0].strip()}=VALUE"
        ) from error
    names = [column[0] for column in answer.description or ()]
    everything = csv_file is not None or limit == 0
    rows = answer.fetchall() if everything else answer.fetchmany(limit + 1)
    if csv_file is not None:
        writer = csv.writer(csv_file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
        return
    print_rows(console, names, rows if everything else rows[:limit])
    if not everything and len(rows) > limit:
        console.print(f"The first {limit} rows; --limit 0 shows all, --csv writes all.", highlight=False)


def print_rows(console: Console, names: list[str], rows: Sequence[tuple[object, ...]]) -> None:
    """A query's rows as a table; as a list of name and value a row where the table would not fit."""
    table = Table()
    for name in names:
        table.add_column(escape(name), no_wrap=True)
    for row in rows:
        table.add_row(*(escape(_cell(value)) for value in row))
    # Beyond the widest screen there is, so that it measures what the table would like to be.
    wanted = Measurement.get(console, console.options.update(max_width=100_000), table).maximum
    if wanted <= console.width:
        console.print(table)
        return
    if not console.is_terminal:
        Console(file=console.file, width=wanted).print(table)
        return
    longest = max(map(len, names))
    for number, row in enumerate(rows, 1):
        console.rule(f"row {number}", align="left", style="dim")
        for name, value in zip(names, row, strict=True):
            console.print(f"{name:<{longest}}  {_cell(value)}", markup=False, highlight=False)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if 1e6 <= abs(value) < 1e15 else f"{value:.6g}"
    return str(value)


def _point_to_fullest(connection: duckdb.DuckDBPyConnection, console: Console, day: str, ranked: int) -> None:
    """Where the newest session ranks few because the source covers part of the market, say where more is."""
    row = connection.execute(
        """
        WITH counts AS (
            SELECT session, count(rank) AS ranked, count(*) FILTER (exclusion_reason = 'not_covered') AS uncovered
            FROM scoring.composite_ranking WHERE session <= ?::DATE GROUP BY session ORDER BY session DESC LIMIT 60
        )
        SELECT session, ranked, (SELECT uncovered FROM counts WHERE session = ?::DATE)
        FROM counts ORDER BY ranked DESC, session DESC LIMIT 1
        """,
        [day, day],
    ).fetchone()
    if row and row[2] and ranked < FEW * row[1]:
        console.print(
            f"Only {ranked} funds are ranked: the source covers only part of the market on {day}, it was not asked about "
            f"{row[2]} funds. The fullest of the last 60 sessions is {row[0]} with {row[1]} funds ranked: "
            f"[bold]etf rank --session {row[0]}[/]",
            highlight=False,
            soft_wrap=True,
        )


def _left_out(connection: duckdb.DuckDBPyConnection, console: Console, day: str, every_one: bool) -> None:
    rows = connection.execute(
        """
        SELECT exclusion_reason, count(*), string_agg(ticker, ', ' ORDER BY ticker)
        FROM scoring.composite_ranking WHERE session = ?::DATE AND rank IS NULL GROUP BY 1 ORDER BY 2 DESC, 1
        """,
        [day],
    ).fetchall()
    if not rows:
        return
    table = Table("reason", "funds", "which", title="Left out")
    for reason, count, who in rows:
        shown = who if every_one or len(who) < 70 else who[:66].rsplit(",", 1)[0] + ", ..."
        table.add_row(f"{reason}: {EXCLUSIONS.get(reason, '')}", str(count), shown)
    console.print(table)


def unknown_fund(connection: duckdb.DuckDBPyConnection, ticker: str, day: str) -> str:
    """What to say of a fund that has no row on the day: when it has, or which names are near."""
    row = connection.execute(
        "SELECT min(session), max(session) FROM scoring.composite_ranking WHERE ticker = ?", [ticker]
    ).fetchone()
    if row and row[0]:
        return f"{ticker} has no row on {day}; it is in the warehouse from {row[0]} to {row[1]}"
    return f"{ticker} is not in this warehouse; nearest are {', '.join(near_names(connection, ticker))}"


def near_names(connection: duckdb.DuckDBPyConnection, ticker: str) -> list[str]:
    """Three funds of nearly that name: first those that only have an exchange's ending more."""
    rows = connection.execute(
        "SELECT ticker FROM (SELECT DISTINCT ticker FROM raw.bars) WHERE ticker <> $1 "
        "ORDER BY starts_with(upper(ticker), upper($1) || '.') DESC, "
        "jaro_winkler_similarity(upper(ticker), upper($1)) DESC, ticker LIMIT 3",
        [ticker],
    ).fetchall()
    return [str(row[0]) for row in rows]


def print_other_rules(connection: duckdb.DuckDBPyConnection, console: Console) -> None:
    """Say so where the newest ranking was made by other rules than the shipped ones."""
    row = connection.execute(
        "SELECT s.settings FROM meta.materializations m JOIN meta.settings s USING (settings_hash) "
        "WHERE m.asset = 'scoring.composite_ranking' ORDER BY m.materialization_id DESC LIMIT 1"
    ).fetchone()
    used = json.loads(row[0]).get("scoring") if row else None
    changed = unlike_shipped(used) if used else []
    if changed:
        console.print(
            f"Scored by other rules than the shipped ones (scoring_file): {'; '.join(changed)}.",
            highlight=False,
            markup=False,
        )


def is_simulated(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether anything in the warehouse is invented."""
    row = connection.execute("SELECT coalesce(bool_or(simulated), false) FROM raw.fetches").fetchone()
    return bool(row and row[0])


def _points(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def percent(value: float | None, digits: int, sign: bool = False) -> str:
    """A fraction as a percentage; empty where it is not known."""
    if value is None:
        return ""
    return f"{100 * value:{'+' if sign else ''}.{digits}f} %"
