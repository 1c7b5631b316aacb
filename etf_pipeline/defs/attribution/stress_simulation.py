"""The next month of funds and accounts, simulated from past shocks at the volatility of the day."""

from __future__ import annotations

import numpy as np
import pandas as pd

from etf_pipeline.core.attribution.period_ends import period_ends
from etf_pipeline.core.attribution.stress import (
    FACTORS,
    ewma_parameters,
    filter_returns,
    joint_residuals,
    simulate_returns,
    simulated_tail,
)
from etf_pipeline.defs.attribution.stress_scene import Scene
from etf_pipeline.defs.validation.backtest import together

SIMULATED_WINDOW = 1000
LEAST_SIMULATED = 126
LEAST_COVERED = 0.95
"""Share of what an account holds that must be simulated for the account to be: the rest would pass for cash."""


def simulated_months(scene: Scene) -> pd.DataFrame:
    """The next month of every fund and account at quarters' ends, from shocks of the past at the volatility of the day."""
    settings = scene.pipeline.settings.attribution
    equity = scene.market.moves[scene.market.offset :, FACTORS.index("equity")]
    frames = []
    for row in period_ends(scene.panel.sessions, scene.pipeline.settings.market, 3):
        rows = slice(max(0, int(row) + 1 - SIMULATED_WINDOW - 260), int(row) + 1)
        recent = np.isfinite(scene.single[rows][-SIMULATED_WINDOW:]).sum(axis=0) >= LEAST_SIMULATED
        funds = np.flatnonzero(recent & scene.alive(int(row)))
        driver = equity[rows]
        if not len(funds) or np.isfinite(driver[-SIMULATED_WINDOW:]).sum() < LEAST_SIMULATED:
            continue
        own = np.where(scene.single[rows][:, funds] > -1.0, scene.single[rows][:, funds], np.nan)
        filtered = filter_returns(np.column_stack([own, driver]), ewma_parameters(len(funds) + 1))
        residuals = joint_residuals(
            filtered.standardised[:, :-1], filtered.standardised[:, -1:], window=SIMULATED_WINDOW,
            min_observations=LEAST_SIMULATED, seed=settings.seed,
        )  # fmt: skip
        drawn = simulate_returns(
            residuals,
            filtered.variance[:-1],
            ewma_parameters(len(funds)),
            paths=settings.paths,
            seed=settings.seed,
        )
        there, filled = np.isfinite(drawn[0]), np.nan_to_num(drawn)
        held = {
            name: weight[row, funds]
            for name, weight in scene.weight.items()
            if _share(weight[row], funds[there]) >= LEAST_COVERED
        }
        accounts = [filled @ weight for weight in held.values()]
        tail = simulated_tail(np.column_stack([drawn, *accounts]))
        frames.append(
            pd.DataFrame(
                {
                    "kind": ["fund"] * len(funds) + ["strategy"] * len(held),
                    "name": [*scene.panel.tickers[funds], *held],
                    "session": scene.panel.sessions[row].astype("datetime64[s]"),
                    "value_at_risk_95": tail.value_at_risk[0],
                    "value_at_risk_99": tail.value_at_risk[1],
                    "expected_shortfall_95": tail.expected_shortfall[0],
                    "expected_shortfall_99": tail.expected_shortfall[1],
                    "probability_of_losing_10": tail.probability_of_loss[0],
                    "probability_of_losing_20": tail.probability_of_loss[1],
                    "paths": np.int32(settings.paths),
                }
            )
        )
    frame = together(frames, "attribution.simulated_losses")
    return frame[frame["value_at_risk_95"].notna()]


def _share(weight: np.ndarray, funds: np.ndarray) -> float:
    """Part of the gross weight that the funds are; 0 where nothing is held."""
    held = np.flatnonzero(weight)
    gross = float(np.abs(weight[held]).sum())
    return float(np.abs(weight[np.intersect1d(held, funds)]).sum()) / gross if gross > 0 else 0.0
