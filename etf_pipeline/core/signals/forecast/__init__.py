"""Return forecasts: a pooled ensemble, walked forward, corrected for how wrong it has been."""

from etf_pipeline.core.signals.forecast.ensemble import MEMBERS, EnsembleForecast, walk_forward
from etf_pipeline.core.signals.forecast.features import (
    FeatureTable,
    as_known,
    causal_score,
    change,
    feature_table,
)
from etf_pipeline.core.signals.forecast.forecast import HORIZONS, ForecastRules, Forecasts, forecast_returns
from etf_pipeline.core.signals.forecast.inputs import FUND_FEATURES
from etf_pipeline.core.signals.forecast.market_state import (
    CONTEXT_STATES,
    MACRO_STATES,
    across_funds,
    context_state,
    macro_state,
)
from etf_pipeline.core.signals.forecast.served import ServedForecast, serve

__all__ = [
    "CONTEXT_STATES",
    "FUND_FEATURES",
    "HORIZONS",
    "MACRO_STATES",
    "MEMBERS",
    "EnsembleForecast",
    "FeatureTable",
    "ForecastRules",
    "Forecasts",
    "ServedForecast",
    "across_funds",
    "as_known",
    "causal_score",
    "change",
    "context_state",
    "feature_table",
    "forecast_returns",
    "macro_state",
    "serve",
    "walk_forward",
]
