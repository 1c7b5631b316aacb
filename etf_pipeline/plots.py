"""Small plots and tables for asset pages: frames in, Markdown out."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#2b6cb0", "#dd6b20", "#a0aec0"


def markdown_table(frame: pd.DataFrame) -> str:
    """A frame as a Markdown table; "none" for an empty one."""
    if frame.empty:
        return "none"
    head = "| " + " | ".join(map(str, frame.columns)) + " |"
    rule = "|" + "---|" * frame.shape[1]
    rows = [
        "| "
        + " | ".join(f"{v:.4g}" if isinstance(v, float) else str(v).replace("|", "/") for v in row)
        + " |"
        for row in frame.itertuples(index=False)
    ]
    return "\n".join([head, rule, *rows])


def lines(series: Mapping[str, pd.Series], title: str, unit: str) -> str:
    """Lines over sessions, one per entry."""
    figure, axes = _figure()
    for (name, values), colour in zip(
        series.items(), (BLUE, ORANGE, GREY, "#38a169", "#805ad5"), strict=False
    ):
        axes.plot(values.index.to_numpy(), values.to_numpy(), label=name, color=colour, linewidth=1)
    axes.set_title(title)
    axes.set_ylabel(unit)
    axes.legend(frameon=False, fontsize=8)
    return _markdown(figure, title)


def band(panel: pd.DataFrame, title: str, unit: str) -> str:
    """Median and 10-90 % band over time of a long frame with columns session and value."""
    if panel.empty:
        return "no values yet"
    quantiles = panel.groupby("session")["value"].quantile(np.array([0.1, 0.5, 0.9])).unstack()  # noqa: PD010
    figure, axes = _figure()
    x = quantiles.index.to_numpy()
    axes.fill_between(x, quantiles[0.1], quantiles[0.9], color=BLUE, alpha=0.2, label="10-90 % of funds")
    axes.plot(x, quantiles[0.5], color=BLUE, linewidth=1, label="median fund")
    axes.set_title(title)
    axes.set_ylabel(unit)
    axes.legend(frameon=False, fontsize=8)
    return _markdown(figure, title)


def cone(history: Mapping[int, np.ndarray], now: Mapping[int, float], title: str) -> str:
    """Volatility cone: range of a volatility by window length in the past, and where it stands now.

    Parameters
    ----------
    history : window in sessions -> past values, NaN left out; now : window -> newest value.
    """
    windows = [w for w, values in history.items() if np.isfinite(values).any()]
    if not windows:
        return "no values yet"
    quantiles = np.array([np.nanquantile(history[w], [0.05, 0.25, 0.5, 0.75, 0.95]) for w in windows]).T
    figure, axes = _figure()
    axes.fill_between(windows, quantiles[0], quantiles[4], color=BLUE, alpha=0.15, label="5-95 % of the past")
    axes.fill_between(windows, quantiles[1], quantiles[3], color=BLUE, alpha=0.25, label="25-75 %")
    axes.plot(windows, quantiles[2], color=BLUE, linewidth=1, label="median")
    axes.plot(windows, [now[w] for w in windows], "o-", color=ORANGE, linewidth=1, label="now")
    axes.set_xscale("log")
    axes.set_xticks(windows, [str(w) for w in windows])
    axes.minorticks_off()
    axes.set_title(title)
    axes.set_xlabel("window, sessions")
    axes.set_ylabel("fraction a year")
    axes.legend(frameon=False, fontsize=8)
    return _markdown(figure, title)


def ribbon(index: pd.Series, probabilities: Mapping[str, pd.Series], title: str) -> str:
    """An index over time with the probabilities of its regimes stacked as a ribbon underneath."""
    if index.empty:
        return "no values yet"
    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    top.plot(index.index.to_numpy(), index.to_numpy(), color=BLUE, linewidth=1)
    top.set_yscale("log", base=2)
    top.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    top.set_title(title)
    top.set_ylabel("growth of 1")
    colours = dict(zip(probabilities, ("#c6f6d5", "#faf089", "#f56565"), strict=False))
    days = next(iter(probabilities.values())).index.to_numpy()
    bottom.stackplot(
        days,
        *(p.to_numpy() for p in probabilities.values()),
        colors=[*colours.values()],
        labels=[*probabilities],
    )
    bottom.set_ylim(0, 1)
    bottom.set_ylabel("probability")
    figure.legend(frameon=False, fontsize=7, loc="outside lower center", ncols=3)
    for axes in (top, bottom):
        axes.spines[["top", "right"]].set_visible(False)
    return _markdown(figure, title)


def weights_and_regimes(
    weights: Mapping[str, pd.Series], probabilities: Mapping[str, pd.Series], title: str
) -> str:
    """Weights that sum to one, stacked over time, above the probabilities of the regimes they follow."""
    index = next(iter(weights.values())).index
    if index.empty:
        return "no values yet"
    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    for axes, parts, colours in (
        (top, weights, (BLUE, ORANGE, "#38a169", GREY)),
        (bottom, probabilities, ("#c6f6d5", "#faf089", "#f56565")),
    ):
        values = [part.to_numpy() for part in parts.values()]
        axes.stackplot(index.to_numpy(), *values, colors=colours, labels=[*parts])
        axes.set_ylim(0, 1)
        axes.spines[["top", "right"]].set_visible(False)
    top.set_title(title)
    top.set_ylabel("weight")
    bottom.set_ylabel("probability")
    figure.legend(frameon=False, fontsize=7, loc="outside lower center", ncols=7)
    return _markdown(figure, title)


def bars(counts: pd.Series, title: str, unit: str) -> str:
    """Horizontal bars, largest on top."""
    ordered = counts.sort_values()
    figure, axes = _figure(height=max(2.0, 0.25 * len(ordered) + 1))
    axes.barh(ordered.index.astype(str), ordered.to_numpy(), color=BLUE)
    axes.set_title(title)
    axes.set_xlabel(unit)
    return _markdown(figure, title)


def histogram(values: np.ndarray, title: str, unit: str, simulated: bool = False) -> str:
    """Distribution of one cross-section."""
    figure, axes = _figure()
    axes.hist(values[np.isfinite(values)], bins=20, color=BLUE)
    axes.set_title(title + (" (SIMULATED)" if simulated else ""))
    axes.set_xlabel(unit)
    axes.set_ylabel("funds")
    return _markdown(figure, title)


def _figure(height: float | None = None):  # type: ignore[no-untyped-def]
    # Figure without pyplot: no global state, safe in threads. Fixed margins: finding them draws everything twice more.
    figure = Figure(figsize=(8, height or 3.0), layout="constrained" if height else None)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if not height:
        figure.subplots_adjust(left=0.115, right=0.98, top=0.9, bottom=0.16)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _markdown(figure: Figure, alt: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return f"![{alt}](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})"
