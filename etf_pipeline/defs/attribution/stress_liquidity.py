"""Accounts that have to be sold in a market that has dried up."""

from __future__ import annotations

import numpy as np
import pandas as pd

from etf_pipeline.core.attribution.stress import liquidity_stress
from etf_pipeline.defs.attribution.stress_scene import Scene
from etf_pipeline.defs.validation.backtest import together

CAPITALS = (1e5, 1e6, 1e7, 1e8)


def selling_losses(scene: Scene, rows: np.ndarray) -> pd.DataFrame:
    """What it takes to sell the accounts, larger ones too, held in the same parts."""
    found = []
    for strategy, weight in scene.weight.items():
        for row in rows:
            at = np.flatnonzero(weight[row])
            if not len(at):
                continue
            # The costs known at this close are those of the next session's row.
            half_spread, impact = scene.costs.half_spread[row + 1, at], scene.costs.impact[row + 1, at]
            if not (np.isfinite(half_spread) & np.isfinite(impact)).all():
                continue
            for name, one in scene.scenarios.liquidity.items():
                for capital in CAPITALS:
                    sold = liquidity_stress(
                        weight[row, at],
                        capital,
                        half_spread,
                        impact,
                        scene.traded_value[row, at],
                        rules=one.rules(),
                    )
                    found.append(
                        {
                            "strategy": strategy,
                            "session": scene.panel.sessions[row].astype("datetime64[s]"),
                            "scenario": name,
                            "capital": capital,
                            "days_to_sell_all": sold.days_to_sell_all,
                            **dict(
                                zip(
                                    ("share_sold_1", "share_sold_5", "share_sold_20"),
                                    sold.share_sold,
                                    strict=True,
                                )
                            ),
                            "cost_to_sell": sold.cost_of_portfolio,
                        }
                    )
    return pd.DataFrame(found) if found else together([], "attribution.liquidity_stress")
