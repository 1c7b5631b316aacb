"""Do the settings matter too much? The grid around them, and choosing by the past."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from etf_pipeline.tear_sheet.page import (
    MISSING,
    Markup,
    Sheet,
    amount,
    cell,
    missing,
    pct,
    ratio,
    section,
    shown,
    table,
    text,
    tinted,
    whole,
)

SETTINGS = {
    "momentum_weight": "weight of momentum",
    "forecast_weight": "weight of the forecast",
    "risk_weight": "weight of calm",
    "volume_weight": "weight of volume",
    "multipliers": "multipliers by category",
    "penalties": "penalties",
    "top": "funds held",
    "kept": "places kept, for each fund held",
    "months": "months between decisions",
}
JUDGED = {
    "plateau": "on a plateau: their neighbours keep what they earned",
    "spike": "on a spike: their neighbours lose what they earned, as luck would",
    "nothing": "on nothing: they earned no more than cash, which neighbours cannot lose",
}


def stability(sheet: Sheet) -> Markup:
    """The default configuration among its neighbours, and the grid over the two settings that matter most."""
    rows = sheet.rows(
        "validation.parameter_sweep",
        "SELECT *, round(keep / top, 2) AS kept FROM validation.parameter_sweep WHERE year = "
        "(SELECT max(year) FROM validation.parameter_sweep) ORDER BY trial_id",
    )
    if not rows:
        return section("stability", "Stability of the settings", missing("validation.parameter_sweep"))
    ratios = [row["sharpe"] for row in rows if row["sharpe"] is not None]
    parts = [
        text(_of_the_default(next((row for row in rows if row["is_default"]), None), ratios)),
    ]
    if ratios:
        parts.append(_heat_map(rows))
    return section(
        "stability",
        "Stability of the settings" + (" (SIMULATED)" if sheet.simulated else ""),
        *parts,
        text(
            f"{amount(len(rows))} configurations to the end of {rows[0]['year']}; the sweep is of funds held in equal parts."
        ),
    )


def _of_the_default(own: dict[str, Any] | None, ratios: Sequence[float]) -> str:
    if own is None:
        return "The settings' own configuration is not on the grid."
    if own["sharpe"] is None:
        return "The Sharpe ratio of the settings' own configuration is not known yet."
    below = sum(value < own["sharpe"] for value in ratios) / len(ratios)
    judged = JUDGED.get(own["stability"], own["stability"])
    return (
        f"The settings in force are {judged}. Their Sharpe ratio is {own['sharpe']:.2f}, more than {whole(below)} of "
        f"the grid; their {own['neighbours']} neighbours have {shown(own['neighbours_sharpe'], ratio)} on average and "
        f"{shown(own['worst_neighbour_sharpe'], ratio)} at worst. The best configuration of the grid has {max(ratios):.2f}."
    )  # fmt: skip


def _heat_map(rows: Sequence[dict[str, Any]]) -> Markup:
    down, across = matter_most(rows)
    means = _means(rows, down, across)
    default = next(((_rounded(row[down]), _rounded(row[across])) for row in rows if row["is_default"]), None)
    full = max((abs(value) for value in means.values()), default=0.0)
    columns = sorted({key[1] for key in means})
    lines: list[list[object]] = []
    for value in sorted({key[0] for key in means}):
        line: list[object] = [cell(_setting(value), "n")]
        for other in columns:
            kind = "n default" if (value, other) == default else "n"
            line.append(tinted(means.get((value, other)), full, ratio, kind))
        lines.append(line)
    return table(
        [f"{SETTINGS[down]}, by {SETTINGS[across]}", *(f">{_setting(value)}" for value in columns)],
        lines,
        caption="Mean Sharpe ratio by the weight and the other setting that change it most; framed: in force",
    )


def matter_most(rows: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """The weight and the other setting whose values move the mean Sharpe ratio most; ties go to the one named first.

    Two weights would say the same twice: they add up to one.
    """
    spread = {}
    for name in SETTINGS:
        means = _means(rows, name, name).values()
        spread[name] = max(means) - min(means) if means else 0.0
    weights = [name for name in SETTINGS if name.endswith("_weight")]
    others = [name for name in SETTINGS if name not in weights]
    return max(weights, key=spread.__getitem__), max(others, key=spread.__getitem__)


def _means(rows: Sequence[dict[str, Any]], down: str, across: str) -> dict[tuple[Any, Any], float]:
    cells: dict[tuple[Any, Any], list[float]] = {}
    for row in rows:
        if row["sharpe"] is not None:
            cells.setdefault((_rounded(row[down]), _rounded(row[across])), []).append(row["sharpe"])
    return {key: fmean(own) for key, own in cells.items()}


def _rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}"


def walk_forward(sheet: Sheet) -> Markup:
    """What the best configuration of the past earned next, beside the default."""
    rows = sheet.rows(
        "validation.walk_forward",
        "SELECT * FROM validation.walk_forward ORDER BY scheme, window_number",
    )
    if not rows:
        return section(
            "walk-forward", "Choosing by the past",
            missing("validation.walk_forward", "No window of walking forward is over yet."),
        )  # fmt: skip
    return section(
        "walk-forward",
        "Choosing by the past",
        *(text(_chosen(scheme, [r for r in rows if r["scheme"] == scheme])) for scheme in _schemes(rows)),
        table(
            ["scheme", "chosen on", "held", ">its Sharpe ratio then", ">afterwards", ">return", ">of the default",
             ">beat of all"],
            [
                [r["scheme"], cell(f"{r['train_start']} to {r['train_end']}", "nb"),
                 cell(f"{r['test_start']} to {r['test_end']}", "nb"),
                 shown(r["train_sharpe"], ratio), shown(r["test_sharpe"], ratio), shown(r["test_return"], pct),
                 shown(r["default_test_return"], pct), shown(r["test_place"], whole)]
                for r in rows
            ],
            caption="The configuration with the best Sharpe ratio of a stretch, held in the next one",
        ),
    )  # fmt: skip


def _schemes(rows: Sequence[dict[str, Any]]) -> list[str]:
    return sorted({row["scheme"] for row in rows})


def _chosen(scheme: str, rows: Sequence[dict[str, Any]]) -> str:
    places = [row["test_place"] for row in rows if row["test_place"] is not None]
    pairs = [
        (row["test_return"], row["default_test_return"])
        for row in rows
        if row["test_return"] is not None and row["default_test_return"] is not None
    ]
    ahead = sum(own > default for own, default in pairs)
    place = whole(fmean(places)) if places else MISSING
    return (
        f"{scheme.capitalize()} windows: the one chosen beat {place} of all configurations afterwards on average (50 % is "
        f"chance), and the default in {ahead} of {len(pairs)} windows."
    )
