"""Risk of each fund on each session, from data up to that session."""

from etf_pipeline.core.risk.beta import BetaPanel, rolling_beta
from etf_pipeline.core.risk.volatility import RISKMETRICS_HALF_LIFE, VolatilityPanel, ewma_volatility

__all__ = ["RISKMETRICS_HALF_LIFE", "BetaPanel", "VolatilityPanel", "ewma_volatility", "rolling_beta"]
