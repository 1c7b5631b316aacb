"""One page that needs nothing but itself: sections, tables and figures, everything from the warehouse escaped."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb

from etf_pipeline.backtest_evidence import LABELS, records
from etf_pipeline.reports import percent
from etf_pipeline.tear_sheet.style import STYLE

MISSING = "–"


class Markup(str):
    """Text that is HTML already; all other text is escaped when it is put on the page."""

    __slots__ = ()


@dataclass(frozen=True)
class Sheet:
    """What every section reads from: the warehouse, and the strategy it is about.

    Attributes
    ----------
    first, last : sessions of its account.
    """

    connection: duckdb.DuckDBPyConnection
    strategy: str
    simulated: bool
    first: date
    last: date

    def rows(self, table: str, query: str, *values: object) -> list[dict[str, Any]]:
        """A query's rows; none where a warehouse of an earlier version lacks ``table``."""
        return records(self.connection, table, query, values)


def escaped(value: object) -> str:
    """Text for the page, whatever is in it."""
    if isinstance(value, Markup):
        return str(value)
    # A line is not broken between a number and its sign.
    return html.escape(str(value)).replace(" %", "\N{NO-BREAK SPACE}%")


def page(title: str, sections: Sequence[Markup], simulated: bool) -> str:
    """The whole document."""
    banner = (
        '<p class="simulated">SIMULATED MARKET: every fund and number below is invented.</p>'
        if simulated
        else ""
    )
    told = f"{title} (SIMULATED)" if simulated else title
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escaped(told)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escaped(told)}</h1>\n{banner}\n" + "\n".join(sections) + "\n</main>\n</body>\n</html>\n"
    )


def section(name: str, title: str, *parts: Markup) -> Markup:
    """A section under its heading; ``name`` is its address on the page."""
    return Markup(f'<section id="{name}">\n<h2>{escaped(title)}</h2>\n' + "\n".join(parts) + "\n</section>")


def text(words: str, kind: str = "") -> Markup:
    """A paragraph."""
    return Markup(f"<p{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{escaped(words)}</p>")


def cell(value: object, kind: str = "", style: str = "") -> Markup:
    """A cell with a class and a style of its own."""
    attributes = (f' class="{kind}"' if kind else "") + (f' style="{style}"' if style else "")
    return Markup(f"<td{attributes}>{escaped(value)}</td>")


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> Markup:
    """A table; columns written ``>name`` are aligned to the right, and so are the cells below that are plain text."""
    head = "".join(
        f'<th scope="col"{_right(column)}>{escaped(column.removeprefix(">"))}</th>' for column in columns
    )
    body = "".join(
        "<tr>"
        + "".join(
            str(value) if isinstance(value, Markup) else f"<td{_right(column)}>{escaped(value)}</td>"
            for column, value in zip(columns, row, strict=True)
        )
        + "</tr>\n"
        for row in rows
    )
    # Outside of what scrolls: on a phone a caption as wide as its table would be cut off.
    told = f'<p class="caption">{escaped(caption)}</p>' if caption else ""
    return Markup(
        f'{told}<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>'
    )


def _right(column: str) -> str:
    return ' class="n"' if column.startswith(">") else ""


def missing(table_name: str, what: str = "Nothing is known of this yet.") -> Markup:
    """What stands where a section has no rows."""
    return text(f"{what} It is read from {table_name}, which has no rows for it; etf build fills it.", "none")


def tinted(value: float | None, full: float, show: Callable[[float], str], kind: str = "n") -> Markup:
    """A number on a ground of blue above zero, of orange below, the stronger the nearer to ``full``."""
    if value is None:
        return cell(MISSING, kind)
    strength = 0.65 * min(1.0, abs(value) / full) if full > 0 else 0.0
    colour = "43,108,176" if value >= 0 else "221,107,32"
    return cell(show(value), kind, f"background:rgba({colour},{strength:.2f})")


def shown(value: float | None, show: Callable[[float], str]) -> str:
    """The value as ``show`` writes it, or the sign for a missing one."""
    return MISSING if value is None else show(value)


def pct(value: float) -> str:
    """A fraction as a percentage with one decimal."""
    return percent(round(value, 3) + 0.0, 1)


def pct2(value: float) -> str:
    """A fraction as a percentage with two decimals: costs are small."""
    return percent(round(value, 4) + 0.0, 2)


def whole(value: float) -> str:
    """A fraction as a percentage without decimals."""
    return percent(round(value, 2) + 0.0, 0)


def ratio(value: float) -> str:
    """Two decimals."""
    return f"{round(value, 2) + 0.0:.2f}"


def amount(value: float) -> str:
    """Money, or a count, with separators."""
    return f"{value:,.0f}"


def label(strategy: str) -> str:
    """A strategy's name and what it is."""
    return f"{strategy}: {LABELS[strategy]}" if strategy in LABELS else strategy


def words(name: str | None) -> str:
    """A stored name as words: ``us_equity`` is us equity."""
    return (name or "unknown").replace("_", " ")
