"""What ``etf rank`` and ``etf explain`` print, read from the published snapshot."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from etf_pipeline.core.scoring import COMPONENTS, EXCLUSIONS, InputStanding, ScoreRecord, explain

SIMULATED = "SIMULATED MARKET: every fund and number below is invented."


# A session that ranks less than this share of the fullest recent one is worth a hint.
FEW = 0.7


class NotRankedError(LookupError):
    """There is nothing to show for what was asked; the message says what there is."""


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
    day = _session(connection, session)
    rows = connection.execute(
        """
        SELECT r.rank, r.ticker, l.name, r.final_score, s.momentum_score, s.risk_score, s.volume_score,
               r.confidence, s.momentum_12_1, s.volatility_annualised, s.beta, u.median_traded_value
        FROM scoring.composite_ranking r
        JOIN scoring.component_scores s USING (ticker, session)
        JOIN market.universe u USING (ticker, session)
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
    table = Table(title=f"Ranking at the close of {day}: {counts[0]} funds ranked, {counts[1]} left out")
    for name, right in (
        ("rank", True), ("ticker", False), ("name", False), ("score", True), ("momentum", True),
        ("risk", True), ("volume", True), ("conf.", True), ("12-1", True),
        ("vol.", True), ("beta", True), ("traded a day", True),
    ):  # fmt: skip
        table.add_column(
            name,
            justify="right" if right else "left",
            no_wrap=True,
            overflow="ellipsis" if name == "name" else "fold",
            max_width=34 if name == "name" else None,
        )
    for r in rows:
        table.add_row(
            str(r[0]), r[1], escape(r[2] or ""), _points(r[3]), _points(r[4]), _points(r[5]), _points(r[6]),
            percent(r[7], 0), percent(r[8], 1, sign=True), percent(r[9], 1),
            "" if r[10] is None else f"{r[10]:.2f}", "" if r[11] is None else f"{r[11]:,.0f}",
        )  # fmt: skip
    console.print(table)
    _left_out(connection, console, day, excluded)
    if session is None:
        _point_to_fullest(connection, console, day, counts[0])
    console.print(
        "Scores are 0-100 among that day's funds. Conf. is the share of the base weights whose component "
        "exists; 12-1 is the return from twelve months to one month ago. [bold]etf explain TICKER[/] takes one apart."
    )


def explanation(
    connection: duckdb.DuckDBPyConnection, console: Console, *, ticker: str, session: str | None
) -> None:
    """Print where one fund stands, what its score is made of, and what is odd about its data.

    Raises
    ------
    NotRankedError : the fund is not in the warehouse.
    """
    day = _session(connection, session)
    record = score_record(connection, ticker, day)
    if is_simulated(connection):
        console.print(f"[bold yellow]{SIMULATED}[/]")
    about = connection.execute(
        "SELECT name, asset_class FROM raw.listings_as_of(TIMESTAMP '9999-12-31') WHERE ticker = ?", [ticker]
    ).fetchone()
    if about and about[0]:
        kind = f" ({about[1].replace('_', ' ')})" if about[1] else ""
        console.print(f"[bold]{ticker}[/] {escape(about[0])}{kind}", highlight=False)
    told = explain(record)
    for line in told.reasons:
        console.print(escape(line), highlight=False)
    if told.contributions:
        table = Table("component", "measure", "score", "weight", "points", title="What the score is made of")
        for c in told.contributions:
            table.add_row(c.component, "", f"{c.score:.2f}", f"{c.weight:.4f}", f"{c.points:.4f}")
            for part in told.input_contributions:
                if part.component == c.component:
                    table.add_row(
                        "", part.input, f"{part.score:.2f}", f"{part.weight:.4f}", f"{part.points:.4f}"
                    )
        table.add_section()
        table.add_row(
            "raw score", "", "", f"{sum(c.weight for c in told.contributions):.4f}", f"{told.total:.4f}"
        )
        console.print(table)
    if record.exclusion == "not_seasoned":
        row = connection.execute(
            "SELECT observed_sessions FROM market.universe WHERE ticker = ? AND session = ?::DATE",
            [ticker, day],
        ).fetchone()
        console.print(f"It has {row[0] if row else 0} observed sessions.")
    if record.rank == 0:
        _last_ranked(connection, console, ticker, day)
    events = connection.execute(
        "SELECT detected_on, severity, rule, action, evidence FROM market.quality_events WHERE ticker = ? "
        "AND detected_on <= ?::DATE AND severity <> 'info' ORDER BY detected_on DESC LIMIT 8",
        [ticker, day],
    ).fetchall()
    if events:
        table = Table(
            "detected", "severity", "rule", "action", "evidence", title="Newest doubts about its data"
        )
        for e in events:
            table.add_row(*(escape(str(v)) for v in e))
        console.print(table)
    source = connection.execute(
        """
        SELECT count(*), min(b.session), max(b.session), max(b.known_at), any_value(f.source), any_value(f.detail)
        FROM raw.bars b JOIN raw.fetches f USING (fetch_id) WHERE b.ticker = ? AND b.session <= ?::DATE
        """,
        [ticker, day],
    ).fetchone()
    if source and source[0]:
        console.print(
            f"From {source[0]} raw bar versions of {source[1]} to {source[2]}, last learned {source[3]:%Y-%m-%d %H:%M} "
            f"UTC, source {source[4]}: {escape(str(source[5]))}",
            highlight=False,
        )


def score_record(connection: duckdb.DuckDBPyConnection, ticker: str, day: str) -> ScoreRecord:
    """Everything stored about one fund's score, for ``core.scoring.explain``."""
    inputs = [item.name for parts in COMPONENTS.values() for item in parts]
    columns = ", ".join(f"s.{i}, s.{i}_rank, s.{i}_count, s.{i}_percentile" for i in inputs)
    row = connection.execute(
        f"""
        SELECT r.raw_score, r.rank, r.ranked_funds, r.confidence, r.exclusion_reason, s.momentum_score,
               s.risk_score, s.volume_score, r.momentum_weight, r.risk_weight, r.volume_weight, {columns}
        FROM scoring.composite_ranking r LEFT JOIN scoring.component_scores s USING (ticker, session)
        WHERE r.ticker = ? AND r.session = ?::DATE
        """,  # noqa: S608
        [ticker, day],
    ).fetchone()
    if row is None:
        raise NotRankedError(unknown_fund(connection, ticker, day))
    standings = {}
    for n, name in enumerate(inputs):
        value, rank, count, score = row[11 + 4 * n : 15 + 4 * n]
        if rank is not None:
            standings[name] = InputStanding(value, rank, count, score)
    names = ("momentum", "risk", "volume")
    return ScoreRecord(
        ticker=ticker,
        session=day,
        raw_score=np.nan if row[0] is None else row[0],
        rank=row[1] or 0,
        ranked=row[2],
        confidence=np.nan if row[3] is None else row[3],
        scores={n: v for n, v in zip(names, row[5:8], strict=True) if v is not None},
        weights={n: v for n, v in zip(names, row[8:11], strict=True) if v is not None},
        inputs=standings,
        exclusion=row[4] or "",
    )


def _session(connection: duckdb.DuckDBPyConnection, session: str | None) -> str:
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
            f"The source covers only part of the market on {day}: it was not asked about {row[2]} funds. The "
            f"fullest of the last 60 sessions is {row[0]} with {row[1]} funds ranked: "
            f"[bold]etf rank --session {row[0]}[/]",
            highlight=False,
            soft_wrap=True,
        )


def _last_ranked(connection: duckdb.DuckDBPyConnection, console: Console, ticker: str, day: str) -> None:
    row = connection.execute(
        "SELECT session, rank, ranked_funds FROM scoring.composite_ranking WHERE ticker = ? AND rank IS NOT NULL "
        "AND session < ?::DATE ORDER BY session DESC LIMIT 1",
        [ticker, day],
    ).fetchone()
    if row is None:
        console.print("It was never ranked before.")
        return
    console.print(
        f"It was last ranked on {row[0]}, at {row[1]} of {row[2]}: [bold]etf explain {ticker} --session {row[0]}[/]",
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
    near = connection.execute(
        "SELECT ticker FROM (SELECT DISTINCT ticker FROM raw.bars) "
        "ORDER BY jaro_winkler_similarity(upper(ticker), upper(?)) DESC, ticker LIMIT 3",
        [ticker],
    ).fetchall()
    return f"{ticker} is not in this warehouse; nearest are {', '.join(str(n[0]) for n in near)}"


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
