"""Plots for the asset pages: PNG in Markdown, whatever gaps the data have."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from etf_pipeline.plots import cone, ribbon

NOTHING = "no values yet"
DAYS = pd.date_range("2024-01-01", periods=300)


def picture(markdown: str) -> np.ndarray:
    """The pixels, (height, width, 3)."""
    found = re.search(r"data:image/png;base64,([^)]+)\)", markdown)
    assert found, markdown[:80]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found.group(1)))).convert("RGB"), dtype=int)


def near(pixels: np.ndarray, colour: str, distance: int = 40) -> int:
    """How many pixels have about this colour."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(pixels - wanted).sum(axis=2) < distance).sum())


@pytest.fixture
def history() -> dict[int, np.ndarray]:
    rng = np.random.default_rng(0)
    values = {w: rng.gamma(4.0, 0.04, 500) for w in (10, 63, 252)}
    values[252][:251] = np.nan
    return values


def test_a_cone_is_a_picture_that_shows_where_it_stands_now(history: dict[int, np.ndarray]) -> None:
    with_now = picture(cone(history, dict.fromkeys(history, 0.2), "Cone"))
    without = picture(cone(history, dict.fromkeys(history, np.nan), "Cone"))
    assert with_now.shape[0] > 200
    assert with_now.shape[1] > 400
    assert np.abs(with_now - without).sum() > 0


def test_a_cone_leaves_out_a_window_without_values(history: dict[int, np.ndarray]) -> None:
    history[504] = np.full(500, np.nan)
    shorter = {w: v for w, v in history.items() if w != 504}
    now = dict.fromkeys(history, 0.2)
    np.testing.assert_array_equal(picture(cone(history, now, "Cone")), picture(cone(shorter, now, "Cone")))


def test_a_cone_of_nothing_says_so() -> None:
    assert cone({}, {}, "Cone") == NOTHING
    assert cone({10: np.full(5, np.nan)}, {10: np.nan}, "Cone") == NOTHING


def regimes(stress: float) -> dict[str, pd.Series]:
    rest = 1.0 - stress
    return {
        "calm": pd.Series(0.7 * rest, DAYS),
        "normal": pd.Series(0.3 * rest, DAYS),
        "stress": pd.Series(stress, DAYS),
    }


def test_a_ribbon_shows_the_regimes_in_proportion() -> None:
    index = pd.Series(np.linspace(1.0, 2.0, 300), DAYS)
    much, little = (picture(ribbon(index, regimes(p), "Regimes")) for p in (0.8, 0.1))
    red = "#f56565"
    assert near(much, red) > 4 * near(little, red) > 0


def test_a_ribbon_has_room_for_gaps_and_a_later_start() -> None:
    index = pd.Series(np.linspace(1.0, 2.0, 300), DAYS)
    index.iloc[40:60] = np.nan
    late = {name: values.iloc[100:] for name, values in regimes(0.5).items()}
    for values in late.values():
        values.iloc[20:30] = np.nan
    pixels = picture(ribbon(index, late, "Regimes"))
    assert near(pixels, "#f56565") > 0


def test_a_ribbon_of_nothing_says_so() -> None:
    assert ribbon(pd.Series(dtype=float), {}, "Regimes") == NOTHING
