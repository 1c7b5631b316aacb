"""Charts as inline SVG: the plot stretches to the page, text and line widths do not; colours follow the page's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from etf_pipeline.tear_sheet.page import Markup, escaped

SIDE = 1000.0
"""The plot's own coordinates, both ways."""
YEAR_LABELS = 7
CASH, GREY = "in cash", "a11"
"""The layer that is no choice, and the class of its colour."""


@dataclass(frozen=True)
class Line:
    """A curve over days; None leaves a gap.

    Attributes
    ----------
    colour : number of one of the page's series colours. said : what the legend adds, such as the newest value.
    """

    name: str
    days: Sequence[date]
    values: Sequence[float | None]
    colour: int
    said: str = ""
    thin: bool = False


@dataclass(frozen=True)
class Band:
    """The area between two curves over days."""

    name: str
    days: Sequence[date]
    low: Sequence[float]
    high: Sequence[float]
    colour: int
    faint: bool = False


def time_chart(
    title: str,
    marks: Sequence[Line | Band],
    *,
    simulated: bool,
    form: Callable[[float], str],
    note: str = "",
    log: bool = False,
    level: float | None = None,
) -> Markup:
    """Curves and bands over time.

    Parameters
    ----------
    form : how a value on the vertical axis is written. level : a value to draw a line at.
    """
    days = [day for mark in marks for day in mark.days]
    values = [v for mark in marks for v in _values(mark) if v is not None and (v > 0 or not log)]
    if len(set(days)) < 2 or not values:
        return Markup("<p class='none'>Not enough days for a chart yet.</p>")
    first, last = min(days), max(days)
    low, high = min(values), max(values)
    if level is not None:
        low, high = min(low, level), max(high, level)
    ticks = log_ticks(low, high) if log else linear_ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])

    def up(value: float) -> float:
        share = math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)
        return SIDE * (1 - share)

    def across(day: date) -> float:
        return SIDE * (day - first).days / (last - first).days

    drawn = [_grid(up(tick)) for tick in ticks]
    if level is not None:
        drawn.append(_grid(up(level), "level"))
    for mark in sorted(marks, key=lambda m: isinstance(m, Line)):
        if isinstance(mark, Band):
            there = [mark.days, mark.low, mark.high]
            upper = [f"{across(d):.1f},{up(h):.1f}" for d, _, h in zip(*there, strict=True)]
            lower = [f"{across(d):.1f},{up(w):.1f}" for d, w, _ in zip(*there, strict=True)]
            points = " ".join([*upper, *reversed(lower)])
            drawn.append(
                f'<polygon class="f{mark.colour}{" faint" if mark.faint else ""}" points="{points}"/>'
            )
        else:
            drawn.append(_path(mark, across, up, log))
    labels = [_left(up(tick), form(tick)) for tick in ticks] + _years(first, last, across)
    legend = [(mark.name, mark.colour, isinstance(mark, Band), getattr(mark, "said", "")) for mark in marks]
    return _figure(title, legend, drawn, labels, simulated, note)


def stacked_chart(
    title: str,
    days: Sequence[date],
    layers: Mapping[str, Sequence[float]],
    *,
    simulated: bool,
    note: str = "",
) -> Markup:
    """Shares of an account piled up from zero, each held from its day to the next one; ``CASH`` is grey."""
    if len(days) < 2 or not layers:
        return Markup("<p class='none'>Not enough days for a chart yet.</p>")
    first, last = days[0], days[-1]
    top = max(1.0, max(sum(max(0.0, own[n]) for own in layers.values()) for n in range(len(days))))

    def across(day: date) -> float:
        return SIDE * (day - first).days / (last - first).days

    below = [0.0] * len(days)
    drawn: list[str] = []
    colours = [GREY if name == CASH else f"a{n % 11}" for n, name in enumerate(layers)]
    for colour, values in zip(colours, layers.values(), strict=True):
        above = [b + max(0.0, v) for b, v in zip(below, values, strict=True)]
        upper, lower = (
            _steps([across(d) for d in days], [SIDE * (1 - v / top) for v in edge]) for edge in (above, below)
        )
        drawn.append(f'<polygon class="{colour}" points="{" ".join([*upper, *reversed(lower)])}"/>')
        below = above
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    drawn += [_grid(SIDE * (1 - tick / top)) for tick in ticks]
    labels = [_left(SIDE * (1 - t / top), f"{100 * t:.0f} %") for t in ticks] + _years(first, last, across)
    said = [f"{100 * own[-1]:.0f} %" for own in layers.values()]
    legend = [(name, c, True, share) for name, c, share in zip(layers, colours, said, strict=True)]
    return _figure(title, legend, drawn, labels, simulated, note)  # fmt: skip


def linear_ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round values that enclose low and high, about ``wanted`` of them."""
    span = (high - low) or abs(high) or 1.0
    size = 10.0 ** math.floor(math.log10(span / wanted))
    step = next(size * m for m in (1, 2, 5, 10) if span / (size * m) <= wanted)
    begin, end = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(n * step, 12) for n in range(begin, max(end, begin + 1) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Round values between low and high for a logarithmic axis: 1, 2, 5, 10 where that gives enough, else linear ones."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [m * 10.0**p for p in powers for m in (1, 2, 5) if low <= m * 10.0**p <= high]
    if len(ticks) >= 3:
        return ticks
    return [tick for tick in linear_ticks(low, high) if tick > 0]


def _values(mark: Line | Band) -> list[float | None]:
    return list(mark.values) if isinstance(mark, Line) else [*mark.low, *mark.high]


def _path(line: Line, across: Callable[[date], float], up: Callable[[float], float], log: bool) -> str:
    parts, pen = [], "M"
    for day, value in zip(line.days, line.values, strict=True):
        if value is None or (log and value <= 0):
            pen = "M"
            continue
        parts.append(f"{pen}{across(day):.1f} {up(value):.1f}")
        pen = "L"
    return f'<path class="s{line.colour}{" thin" if line.thin else ""}" d="{"".join(parts)}"/>'


def _steps(xs: Sequence[float], ys: Sequence[float]) -> list[str]:
    out = [f"{xs[0]:.1f},{ys[0]:.1f}"]
    for n in range(1, len(xs)):
        out += [f"{xs[n]:.1f},{ys[n - 1]:.1f}", f"{xs[n]:.1f},{ys[n]:.1f}"]
    return out


def _grid(y: float, kind: str = "grid") -> str:
    return f'<path class="{kind}" d="M0 {y:.1f}H{SIDE:.0f}"/>'


def _left(y: float, text: str) -> str:
    return f'<text x="-6" y="{y / SIDE:.2%}" dy="0.32em" text-anchor="end">{escaped(text)}</text>'


def _years(first: date, last: date, across: Callable[[date], float]) -> list[str]:
    """Labels at the beginnings of years, or at both ends where no year begins in between."""
    starts = [date(year, 1, 1) for year in range(first.year + 1, last.year + 1)]
    if len(starts) < 2:
        ends = ((first, "start"), (last, "end"))
        return [
            f'<text x="{across(d) / SIDE:.2%}" y="100%" dy="1.3em" text-anchor="{a}">{d}</text>'
            for d, a in ends
        ]
    stride = math.ceil(len(starts) / YEAR_LABELS)
    return [
        f'<text x="{across(day) / SIDE:.2%}" y="100%" dy="1.3em" text-anchor="middle">{day.year}</text>'
        for day in starts
        if (day.year - starts[0].year) % stride == 0
    ]  # fmt: skip


def _figure(
    title: str,
    legend: Sequence[tuple[str, int | str, bool, str]],
    drawn: Sequence[str],
    labels: Sequence[str],
    simulated: bool,
    note: str,
) -> Markup:
    keys = "".join(
        f'<span class="key"><i class="{"k" if area else "l"}{colour}"></i>{escaped(name)}'
        + (f" <b>{escaped(said)}</b>" if said else "")
        + "</span>"
        for name, colour, area, said in legend
    )
    mark = (
        '<text class="mark" x="50%" y="50%" dy="0.3em" text-anchor="middle">SIMULATED</text>'
        if simulated
        else ""
    )
    told = " (SIMULATED)" if simulated else ""
    return Markup(
        f'<figure><figcaption>{escaped(title)}{told}</figcaption><p class="legend">{keys}</p>'
        f'<div class="plot"><svg role="img" aria-label="{escaped(title)}{told}" width="100%" height="100%">'
        f'<svg width="100%" height="100%" viewBox="0 0 {SIDE:.0f} {SIDE:.0f}" preserveAspectRatio="none">'
        f"{''.join(drawn)}</svg>{''.join(labels)}{mark}</svg></div>"
        + (f'<p class="note">{escaped(note)}</p>' if note else "")
        + "</figure>"
    )  # fmt: skip
