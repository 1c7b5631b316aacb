"""Charts in SVG: where a value lies, what an axis says, and gaps."""

from __future__ import annotations

import re
from datetime import date, timedelta
from itertools import pairwise

import pytest

from etf_pipeline.tear_sheet.chart import Band, Line, linear_ticks, log_ticks, stacked_chart, time_chart

DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(5)]


def drawn(*marks: Line | Band, log: bool = False, simulated: bool = False) -> str:
    return time_chart("Chart", marks, simulated=simulated, form=lambda v: f"{v:g}", log=log)


def points(chart: str) -> list[tuple[str, float, float]]:
    """Pen, x and y of the first line, in thousandths of the plot."""
    path = re.search(r'<path class="s0[^"]*" d="([^"]*)"', chart)
    assert path is not None
    return [(pen, float(x), float(y)) for pen, x, y in re.findall(r"([ML])([\d.]+) ([\d.]+)", path[1])]


def test_a_line_runs_from_edge_to_edge_between_round_values() -> None:
    chart = drawn(Line("a", DAYS, [0.0, 1.0, 2.0, 3.0, 4.0], 0))
    assert points(chart) == [("M" if n == 0 else "L", 250.0 * n, 1000.0 - 250.0 * n) for n in range(5)]
    assert re.findall(r'text-anchor="end">([^<]*)</text>', chart)[:5] == ["0", "1", "2", "3", "4"]


def test_equal_ratios_are_equal_steps_on_a_logarithmic_scale() -> None:
    heights = [y for _, _, y in points(drawn(Line("a", DAYS, [1.0, 2.0, 4.0, 8.0, 16.0], 0), log=True))]
    steps = [a - b for a, b in pairwise(heights)]
    assert steps == pytest.approx([steps[0]] * 4, abs=0.2)


def test_a_gap_lifts_the_pen() -> None:
    pens = [pen for pen, _, _ in points(drawn(Line("a", DAYS, [1.0, None, 2.0, 3.0, 4.0], 0)))]
    assert "".join(pens) == "MMLL"


def test_a_band_is_closed_and_lies_behind_the_line() -> None:
    chart = drawn(Line("a", DAYS, [1.0] * 5, 0), Band("b", DAYS, [0.0] * 5, [2.0] * 5, 1))
    assert chart.index("<polygon") < chart.index('<path class="s0')
    polygon = re.search(r'points="([^"]*)"', chart)
    assert polygon is not None
    xs = [float(point.split(",")[0]) for point in polygon[1].split()]
    assert xs == [0, 250, 500, 750, 1000, 1000, 750, 500, 250, 0], "along its top and back along its bottom"


@pytest.mark.parametrize("marks", [[], [Line("a", DAYS[:1], [1.0], 0)], [Line("a", DAYS, [None] * 5, 0)]])
def test_nothing_to_draw_says_so(marks: list[Line | Band]) -> None:
    assert "Not enough days" in drawn(*marks)


def test_values_that_do_not_vary_are_drawn() -> None:
    for log in (False, True):
        assert len(points(drawn(Line("a", DAYS, [3.0] * 5, 0), log=log))) == 5
    assert len(points(drawn(Line("a", DAYS, [0.0] * 5, 0)))) == 5


def test_names_are_escaped_and_the_market_is_labelled() -> None:
    chart = drawn(Line("<i>", DAYS, [1.0, 2.0, 3.0, 4.0, 5.0], 0), simulated=True)
    assert "&lt;i&gt;" in chart
    assert chart.count("SIMULATED") == 3
    assert "SIMULATED" not in drawn(Line("a", DAYS, [1.0, 2.0, 3.0, 4.0, 5.0], 0))


def test_layers_are_held_until_the_next_day_and_pile_up() -> None:
    chart = stacked_chart(
        "Parts", DAYS[:3], {"a": [0.5, 0.25, 0.25], "in cash": [0.5, 0.75, 0.75]}, simulated=False
    )
    shapes = re.findall(r'<polygon class="(\w+)" points="([^"]*)"', chart)
    assert [shape[0] for shape in shapes] == ["a0", "a11"]
    assert shapes[0][1].split()[:3] == ["0.0,500.0", "500.0,500.0", "500.0,750.0"]
    assert shapes[1][1].split()[0] == "0.0,0.0"


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 4.0, [0, 1, 2, 3, 4]),
        (-0.31, 0.0, [-0.4, -0.3, -0.2, -0.1, 0.0]),
        (-2.4, 5.1, [-4, -2, 0, 2, 4, 6]),
        (3.0, 3.0, [3.0, 4.0]),
    ],
)
def test_linear_ticks(low: float, high: float, ticks: list[float]) -> None:
    assert linear_ticks(low, high) == pytest.approx(ticks)


def test_log_ticks() -> None:
    assert log_ticks(0.6, 14.0) == pytest.approx([1, 2, 5, 10])
    narrow = log_ticks(1.0, 1.4)
    assert len(narrow) >= 3
    assert narrow[0] <= 1.0 < 1.4 <= narrow[-1] + 1e-9
