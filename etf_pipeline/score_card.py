"""What ``etf explain`` prints: where a fund stands, and every step that made its score."""

from __future__ import annotations

import duckdb
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from etf_pipeline.core.scoring import (
    COMPONENT_NAMES,
    COMPONENTS,
    PENALTY_FORMS,
    PENALTY_LABELS,
    Explanation,
    InputStanding,
    PenaltyRecord,
    PositionRecord,
    ScoreRecord,
    explain,
)
from etf_pipeline.core.scoring.contrast import flatten
from etf_pipeline.reports import (
    SIMULATED,
    NotRankedError,
    is_simulated,
    near_names,
    percent,
    print_other_rules,
    session_or_newest,
    unknown_fund,
)
from etf_pipeline.storage.contracts.scoring import PENALTY_INPUTS

BASE_WEIGHTS = {
    "static": "base weights of the settings, by risk category",
    "adaptive": "base weights of the market's regime, by risk category",
}


def explanation(
    connection: duckdb.DuckDBPyConnection, console: Console, *, ticker: str, session: str | None
) -> None:
    """Print where one fund stands, what its score is made of, and what is odd about its data.

    Raises
    ------
    NotRankedError : the fund is not in the warehouse.
    """
    day = session_or_newest(connection, session)
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
        console.print(_derivation(record, told))
        _contrasts(console, record)
        print_other_rules(connection, console)
        _shortfall_model(connection, console, ticker, day)
        if told.unknown:
            console.print(
                f"Not known, and therefore neither good nor bad: {', '.join(told.unknown)}.", highlight=False
            )
        _rank_interval(connection, console, ticker, day)
    if record.exclusion == "not_seasoned":
        row = connection.execute(
            "SELECT observed_sessions FROM market.universe WHERE ticker = ? AND session = ?::DATE",
            [ticker, day],
        ).fetchone()
        console.print(f"It has {row[0] if row else 0} observed sessions.")
    if record.exclusion == "wrong_namespace":
        meant = [name for name in near_names(connection, ticker) if name.startswith(f"{ticker}.")]
        if meant:
            console.print(f"Did you mean {meant[0]}? [bold]etf explain {meant[0]}[/]", highlight=False)
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


def _contrasts(console: Console, record: ScoreRecord) -> None:
    """How a component's percentile became its score, where it did not stay as it is."""
    values = {name: record.contrast.get(name, 1.0) for name in record.scores}
    if not any(value > 1.0 for value in values.values()):
        return
    if len(set(values.values())) == 1:
        by = f"the session's contrast, {next(iter(values.values())):.4g}"
    else:
        by = f"its contrast of the session ({', '.join(f'{n} {v:.4g}' for n, v in values.items())})"
    console.print(
        f"A component's score is its percentile moved away from 50 by {by}: 50 ± 50 |x|^(1/contrast), "
        "x = (percentile - 50) / 50.",
        highlight=False,
    )


def _derivation(record: ScoreRecord, told: Explanation) -> Table:
    """Measures to components, components to the raw score, penalties to the final one, and the position."""
    table = Table("step", "measure", "value", "score", "weight", "points", title="What the score is made of")
    for column in table.columns[2:]:
        column.justify = "right"
    forms = {item.name: item for parts in COMPONENTS.values() for item in parts}
    for c in told.contributions:
        table.add_row(
            c.component, "", "", f"{c.score:.2f}", f"{c.weight:.4f}", f"{c.points:.4f}", style="bold"
        )
        for part in told.input_contributions:
            if part.component == c.component:
                standing = record.inputs[part.input]
                value = format(standing.value, forms[part.input].form).replace("%", " %")
                standing_text = f"{forms[part.input].label}, {standing.rank} of {standing.count}"
                table.add_row("", standing_text, value, f"{part.score:.2f}", f"{part.weight:.4f}", "")
        if c.component in record.averages:
            contrast = record.contrast.get(c.component, 1.0)
            percentile = float(flatten(c.score, contrast))
            average = f"average {record.averages[c.component]:.2f} stands at percentile {percentile:.2f}"
            if contrast > 1.0:
                x = (percentile - 50.0) / 50.0
                average += f": 50 {'-' if x < 0 else '+'} 50 x {abs(x):.4f}^(1/{contrast:.4g})"
            table.add_row("", average, "", "", "", "", style="dim")
    table.add_section()
    summed = sum(c.weight for c in told.contributions)
    table.add_row("raw score", BASE_WEIGHTS[record.weights_from], "", "", f"{summed:.4f}", f"{told.raw:.4f}")
    for d in told.deductions:
        value = (
            "unknown" if np.isnan(d.value) else format(d.value, PENALTY_FORMS[d.penalty]).replace("%", " %")
        )
        cost = f"{d.points:g} x {record.penalty_share:g} = {d.shared:.1f} %" if d.points else ""
        table.add_row("", PENALTY_LABELS[d.penalty], value, "", cost, f"{-d.lost:.4f}" if d.lost else "0")
    capped = " (capped)" if record.penalty_total > record.penalty_points + 1e-9 else ""
    table.add_row(
        "final score",
        f"less {record.penalty_points:.1f} %{capped}",
        "",
        "",
        "",
        f"{told.total:.4f}",
        style="bold",
    )
    place = record.position
    if place is not None:
        table.add_section()
        product = (
            f"{place.base:.0%} x momentum {place.quality_factor:.3f} x forecast {place.confidence_factor:.3f} x "
            f"volatility {place.volatility_factor:.3f}"
        ).replace("%", " %")
        table.add_row("position", product, percent(place.size, 2), "", "", "")
    return table


def _shortfall_model(connection: duckdb.DuckDBPyConnection, console: Console, ticker: str, day: str) -> None:
    """Which model the shortfall is by: the risk category takes another."""
    row = connection.execute(
        "SELECT model, cvar_95_annualised, cvar_95_annualised_historical FROM risk.tail "
        "WHERE ticker = ? AND session = ?::DATE",
        [ticker, day],
    ).fetchone()
    if row:
        console.print(
            f"The shortfall of the score and of its penalty is by the model that serves, {row[0]}: "
            f"{percent(row[1], 1)} a year; the risk category looks at the historical one, "
            f"{percent(row[2], 1) or 'not known'}.",
            highlight=False,
        )


def _rank_interval(connection: duckdb.DuckDBPyConnection, console: Console, ticker: str, day: str) -> None:
    """How sure the rank is, where that was estimated on the session or the last one before it."""
    row = connection.execute(
        "SELECT session, rank_10, rank_90, top_20_probability FROM scoring.rank_uncertainty "
        "WHERE ticker = ? AND session <= ?::DATE ORDER BY session DESC LIMIT 1",
        [ticker, day],
    ).fetchone()
    if row and row[1] is not None:
        console.print(
            f"Had the past year's days fallen otherwise, its rank on {row[0]} would lie between {row[1]:.0f} and "
            f"{row[2]:.0f} four times in five; it is among the first 20 with probability {percent(row[3], 0)}.",
            highlight=False,
        )


def score_record(connection: duckdb.DuckDBPyConnection, ticker: str, day: str) -> ScoreRecord:
    """Everything stored about one fund's score, for ``core.scoring.explain``."""
    answer = connection.execute(
        "SELECT r.*, a.* EXCLUDE (ticker, session) FROM scoring.composite_ranking r "
        "LEFT JOIN scoring.adjustments a USING (ticker, session) WHERE r.ticker = ? AND r.session = ?::DATE",
        [ticker, day],
    )
    row = _named(answer)
    if row is None:
        raise NotRankedError(unknown_fund(connection, ticker, day))
    answer = connection.execute(
        "SELECT * FROM scoring.component_scores WHERE ticker = ? AND session = ?::DATE", [ticker, day]
    )
    measured = _named(answer) or {}

    def number(name: str, source: dict[str, object] = row) -> float:
        value = source.get(name)
        return np.nan if value is None else float(value)  # type: ignore[arg-type]

    def by_component(part: str, source: dict[str, object] = row) -> dict[str, float]:
        values = {name: number(f"{name}_{part}", source) for name in COMPONENT_NAMES}
        return {name: value for name, value in values.items() if np.isfinite(value)}

    position = None
    if row["position_size"] is not None:
        position = PositionRecord(
            base=number("position_base"),
            quality_factor=number("quality_factor"),
            confidence_factor=number("confidence_factor"),
            volatility_factor=number("volatility_factor"),
            size=number("position_size"),
        )
    return ScoreRecord(
        ticker=ticker,
        session=day,
        raw_score=number("raw_score"),
        final_score=number("final_score"),
        rank=int(number("rank")) if row["rank"] else 0,
        ranked=int(number("ranked_funds")),
        confidence=number("confidence"),
        scores=by_component("score"),
        weights=by_component("weight"),
        contrast=by_component("contrast", measured),
        averages=by_component("average", measured),
        inputs=_standings(connection, measured, day),
        penalties={
            name: PenaltyRecord(number(PENALTY_INPUTS[name].name), number(f"{name}_points"))
            for name in PENALTY_LABELS
            if row[f"{name}_points"] is not None
        },
        penalty_share=number("penalty_share"),
        penalty_total=number("penalty_total"),
        penalty_points=number("penalty_points"),
        rank_in_category=int(number("rank_in_category")) if row["rank_in_category"] else 0,
        category=str(row["risk_category"] or ""),
        position=position,
        weights_from=str(row["weights_from"] or "static"),
        exclusion=str(row["exclusion_reason"] or ""),
    )


def _standings(
    connection: duckdb.DuckDBPyConnection, measured: dict[str, object], day: str
) -> dict[str, InputStanding]:
    """Value, rank, number compared and score of each known measure."""
    items = [i for parts in COMPONENTS.values() for i in parts if measured.get(f"{i.name}_score") is not None]
    if not items:
        return {}
    counts = []
    for item in items:
        value, mine = (
            (f"abs({item.name})", f"abs(${item.name})") if item.magnitude else (item.name, f"${item.name}")
        )
        better = ">" if item.higher_is_better else "<"
        counts.append(f"count(*) FILTER ({value} {better} {mine}), count({item.name})")
    found = connection.execute(
        f"SELECT {', '.join(counts)} FROM scoring.component_scores WHERE session = $day::DATE",  # noqa: S608
        {"day": day} | {item.name: measured[item.name] for item in items},
    ).fetchone()
    if found is None:
        return {}
    return {
        item.name: InputStanding(
            float(measured[item.name]),  # type: ignore[arg-type]
            int(found[2 * n]) + 1,
            int(found[2 * n + 1]),
            float(measured[f"{item.name}_score"]),  # type: ignore[arg-type]
        )
        for n, item in enumerate(items)
    }


def _named(answer: duckdb.DuckDBPyConnection) -> dict[str, object] | None:
    row = answer.fetchone()
    return None if row is None else dict(zip([c[0] for c in answer.description or ()], row, strict=True))


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
