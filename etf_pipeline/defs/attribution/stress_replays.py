"""How good replays of past crises are, and how much wider that says intervals must be."""

from __future__ import annotations

import numpy as np
import pandas as pd

from etf_pipeline.core.attribution.stress import (
    Comparison,
    coverage,
    inflation_factors,
    pretend_not_alive,
    window_rows,
)
from etf_pipeline.core.validation.periods import complete_years
from etf_pipeline.defs.attribution.stress_scene import LEVELS, Scene
from etf_pipeline.defs.validation.backtest import together
from etf_pipeline.storage.panels import read_classes


def replay_coverage(scene: Scene) -> tuple[pd.DataFrame, np.ndarray]:
    """How good replays of past crises are, by complete year; and (S, L) the factors on intervals known at each session."""
    sessions = scene.panel.sessions
    size = len(sessions)
    inflation = np.ones((size, len(LEVELS)))
    index, names, _ = read_classes(scene.pipeline.warehouse, scene.panel.tickers)
    frames = []
    years = complete_years(sessions)
    for year, stop in zip(years.year, years.end, strict=True):
        compared, funds = _compared(scene, int(stop))
        if compared is None:
            continue
        inflation[stop:] = inflation_factors(compared.surprise, LEVELS)
        group = index[funds]
        plain = coverage(compared, LEVELS, group)
        fitted = coverage(compared, LEVELS, group, calibrated=True)
        for one, other in zip(plain, fitted, strict=True):
            frames.append(
                pd.DataFrame(
                    {
                        "session": sessions[stop].astype("datetime64[s]"),
                        "year": np.int32(year),
                        "asset_class": "all" if one.group < 0 else str(names[one.group]),
                        "level": LEVELS,
                        "windows": np.int32(one.windows),
                        "pairs": np.int32(one.comparisons),
                        "covered_plain": one.covered,
                        "covered": other.covered,
                        "bias": one.bias,
                        "median_absolute_error": one.median_absolute_error,
                    }
                )
            )
    return together(frames, "attribution.replay_coverage"), inflation


def _compared(scene: Scene, stop: int) -> tuple[Comparison | None, np.ndarray]:
    """Funds that lived through the crises over by row ``stop - 1``, predicted by what came after; nothing later is read."""
    days, market = scene.panel.sessions[:stop], scene.market
    found = [
        window_rows(days, np.datetime64(one.start), np.datetime64(one.end), shift=market.shift)
        for one in scene.scenarios.replay.values()
    ]
    windows = [window for window in found if window is not None]
    funds = np.flatnonzero(scene.accepted[:stop].any(axis=0))
    if not windows or not len(funds):
        return None, funds
    compared = pretend_not_alive(
        scene.panel.total_return[:stop, funds],
        scene.accepted[:stop, funds],
        (scene.panel.spanned[:stop, funds] == 1),
        market.panel_moves(stop - 1)[:stop],
        windows,
        longest=scene.pipeline.settings.attribution.stress_window,
        lags=market.lags,
    )
    return (compared if np.isfinite(compared.surprise).any() else None), funds
