"""Regimes of the market: calm, normal, stress."""

from collections.abc import Iterator

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.risk import RegimeHistory, walk_forward_regimes
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_out
from etf_pipeline.plots import markdown_table, ribbon
from etf_pipeline.storage.panels import column_of, return_panel


@dg.multi_asset(
    outs={
        "regime": table_out(
            "risk.regime", "Filtered probabilities of calm, normal and stress at each close."
        ),
        "regime_states": table_out("risk.regime_states", "What each regime meant in numbers at each refit."),
    },
    ins={
        "returns": dg.AssetIn(["market", "total_return"]),
        "sessions": dg.AssetIn(["market", "sessions"]),
    },
    name="market_regimes",
    pool="warehouse",
)
def market_regimes(
    returns: pd.DataFrame, sessions: pd.DataFrame, pipeline: PipelineResource
) -> Iterator[dg.Output[pd.DataFrame]]:
    """Markov-switching models of the market fund with two and three states, refitted monthly on the past."""
    panel = return_panel(returns, sessions)
    benchmark = pipeline.settings.benchmark_ticker
    market = column_of(panel.tickers, benchmark)
    series = panel.total_return[:, market], panel.spanned[:, market]
    window = pipeline.settings.risk.regime_window
    three = walk_forward_regimes(*series, panel.sessions, states=3, window=window)
    two = walk_forward_regimes(*series, panel.sessions, states=2, window=window)
    known = np.isfinite(three.probability).all(axis=1)
    frame = pd.DataFrame(
        {
            "session": panel.sessions[known].astype("datetime64[s]"),
            **{f"{name}_probability": three.probability[known, k] for k, name in enumerate(three.names)},
            "two_state_stress_probability": two.probability[known, 1],
        }
    ).assign(benchmark=benchmark)
    states = pd.concat([_numbers(two, panel.sessions), _numbers(three, panel.sessions)], ignore_index=True)
    growth = pd.Series(np.cumprod(1.0 + np.nan_to_num(series[0])), pd.DatetimeIndex(panel.sessions))
    days = frame.set_index("session")
    newest = states[(states["states"] == 3) & (states["session"] == states["session"].max())]
    yield dg.Output(
        frame,
        "regime",
        metadata={
            "regime_ribbon": dg.MetadataValue.md(
                ribbon(
                    growth[growth.index >= days.index.min()] if len(days) else growth[:0],
                    {name: days[f"{name}_probability"] for name in three.names},
                    f"{benchmark} and its regimes, probabilities as known at each close",
                )
            )
        },
    )
    yield dg.Output(
        states,
        "regime_states",
        metadata={
            "newest_states": dg.MetadataValue.md(
                markdown_table(
                    newest[
                        [
                            "state",
                            "mean_return_annualised",
                            "volatility_annualised",
                            "expected_duration_sessions",
                            "ergodic_share",
                        ]
                    ]
                )
            ),
            "refits_without_admissible_fit": int(states["log_likelihood"].isna().sum()),
        },
    )


def _numbers(history: RegimeHistory, sessions: np.ndarray) -> pd.DataFrame:
    """A row a refit and state."""
    refits, states = history.ergodic_share.shape
    return pd.DataFrame(
        {
            "session": np.repeat(sessions[history.refit_rows].astype("datetime64[s]"), states),
            "states": np.full(refits * states, states, dtype=np.int32),
            "state": np.tile(np.array(history.names, dtype=object), refits),
            "mean_return_annualised": history.mean_return_annualised.ravel(),
            "volatility_annualised": history.volatility_annualised.ravel(),
            "expected_duration_sessions": history.expected_duration_sessions.ravel(),
            "ergodic_share": history.ergodic_share.ravel(),
            "stay_probability": np.diagonal(history.transition, axis1=1, axis2=2).ravel(),
            "occupation": history.occupation.ravel(),
            "log_likelihood": np.repeat(history.log_likelihood, states),
            "observations": np.repeat(history.observations, states),
        }
    )
