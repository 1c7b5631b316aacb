"""One HTML page on one strategy: what it earned, whether that is luck, and what it rests on. Opens without a network."""

from __future__ import annotations

from pathlib import Path

import duckdb

from etf_pipeline.backtest_evidence import gather, strategy_or_error
from etf_pipeline.reports import is_simulated
from etf_pipeline.tear_sheet import about, costs, explained, holdings, luck, record, stability
from etf_pipeline.tear_sheet.page import Sheet, label, page
from etf_pipeline.verdict import judge

__all__ = ["tear_sheet", "write_page"]


def tear_sheet(connection: duckdb.DuckDBPyConnection, strategy: str) -> str:
    """The page as HTML; the same for the same warehouse.

    A section whose table has no rows says so; a value that is not known is a dash.

    Raises
    ------
    NoBacktestError : no strategy has an account, or not this one.
    """
    strategy = strategy_or_error(connection, strategy)
    span = connection.execute(
        "SELECT min(session), max(session) FROM validation.backtest_daily WHERE strategy = ?", [strategy]
    ).fetchone()
    first, last = span or (None, None)
    sheet = Sheet(connection, strategy, is_simulated(connection), first, last)
    verdict = judge(gather(connection, strategy))
    return page(
        f"Tear sheet of {label(strategy)}, {first} to {last}",
        [
            luck.verdict_box(verdict),
            record.summary(sheet),
            record.growth(sheet),
            record.drawdowns(sheet),
            record.rolling_sharpe(sheet),
            record.monthly(sheet),
            holdings.exposures(sheet),
            holdings.current(sheet),
            explained.by_factor(sheet),
            explained.stress(sheet),
            costs.costs(sheet),
            costs.capacity(sheet),
            luck.luck(sheet, verdict),
            luck.random_portfolios(sheet),
            stability.stability(sheet),
            stability.walk_forward(sheet),
            luck.survivorship(sheet),
            about.readiness(sheet),
            about.definitions(),
            about.provenance_of(sheet),
        ],
        sheet.simulated,
    )


def write_page(warehouse: Path, strategy: str, html: str, output: Path | None = None) -> Path:
    """Write a page at one stroke to ``output``, or to reports/STRATEGY.html in the warehouse's folder; where it went."""
    path = output or warehouse / "reports" / f"{strategy}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(html, encoding="utf-8")
    draft.replace(path)
    return path
