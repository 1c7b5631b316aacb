"""Component weights that follow the market's regimes."""

from collections.abc import Iterator

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.long import from_long_column
from etf_pipeline.core.scoring.adaptive_weights import AdaptiveWeights
from etf_pipeline.core.scoring.adaptive_weights import adaptive_weights as compute_adaptive_weights
from etf_pipeline.core.scoring.rules import COMPONENT_NAMES
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_out
from etf_pipeline.plots import markdown_table, weights_and_regimes
from etf_pipeline.storage.panels import regime_probabilities, return_panel

REGIMES = ("calm", "normal", "stress")


@dg.multi_asset(
    outs={
        "adaptive_weights": table_out(
            "scoring.adaptive_weights",
            "Base weights of the components as the market's regime would have them.",
        ),
        "adaptive_weight_fits": table_out(
            "scoring.adaptive_weight_fits", "What each component was worth in each regime, at each refit."
        ),
    },
    ins={
        "scores": dg.AssetIn(["scoring", "component_scores"]),
        "returns": dg.AssetIn(["market", "total_return"]),
        "regime": dg.AssetIn(["risk", "regime"]),
        "sessions": dg.AssetIn(["market", "sessions"]),
    },
    name="regime_adaptive_weights",
    pool="warehouse",
)
def regime_adaptive_weights(
    scores: pd.DataFrame,
    returns: pd.DataFrame,
    regime: pd.DataFrame,
    sessions: pd.DataFrame,
    pipeline: PipelineResource,
) -> Iterator[dg.Output[pd.DataFrame]]:
    """Weights by regime from past information coefficients, drawn strongly to the base weights, slow to change."""
    panel = return_panel(returns, sessions)
    base = pipeline.rules.base_weights
    probability = regime_probabilities(regime, panel.sessions, REGIMES)
    known = scores[scores["ticker"].isin(panel.tickers)]
    result = compute_adaptive_weights(
        {
            name: from_long_column(known, f"{name}_score", panel.sessions, panel.tickers)
            for name in COMPONENT_NAMES
        },
        panel.total_return,
        panel.spanned,
        probability,
        panel.sessions,
        base,
    )
    frame = pd.DataFrame({"session": panel.sessions.astype("datetime64[s]"), "turnover": result.turnover})
    frame = frame.assign(
        **{f"{name}_weight": result.weights[:, c] for c, name in enumerate(result.components)},
        **{f"{name}_probability": probability[:, k] for k, name in enumerate(REGIMES)},
    )
    days = pd.DatetimeIndex(frame["session"])
    fits = _fits(result, panel.sessions, np.array([base[name] for name in result.components]))
    newest = fits[fits["session"] == fits["session"].max()]
    yield dg.Output(
        frame,
        "adaptive_weights",
        metadata={
            "weights_and_regimes": dg.MetadataValue.md(
                weights_and_regimes(
                    {name: pd.Series(frame[f"{name}_weight"].to_numpy(), days) for name in result.components},
                    {name: pd.Series(probability[:, k], days) for k, name in enumerate(REGIMES)},
                    "Adaptive base weights and the regimes they follow",
                )
            ),
            "turnover_a_year": float(252.0 * result.turnover.mean()),
        },
    )
    yield dg.Output(
        fits,
        "adaptive_weight_fits",
        metadata={"newest_refit": dg.MetadataValue.md(markdown_table(newest.drop(columns="session")))},
    )


def _fits(result: AdaptiveWeights, sessions: np.ndarray, base: np.ndarray) -> pd.DataFrame:
    """A row a refit, regime and component."""
    refits, regimes, components = result.regime_weights.shape
    return pd.DataFrame(
        {
            "session": np.repeat(sessions[result.refit_rows].astype("datetime64[s]"), regimes * components),
            "regime": np.tile(np.repeat(np.array(REGIMES, dtype=object), components), refits),
            "component": np.tile(np.array(result.components, dtype=object), refits * regimes),
            "base_weight": np.tile(base, refits * regimes),
            "weight": result.regime_weights.ravel(),
            "information_coefficient": result.information_coefficient.ravel(),
            "shrinkage": result.shrinkage.ravel(),
            "effective_windows": result.effective_windows.ravel(),
        }
    )
