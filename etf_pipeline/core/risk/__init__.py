"""Risk of each fund on each session, from data up to that session."""

from etf_pipeline.core.risk.beta import BetaPanel, downside_beta, ewma_beta, hac_standard_error, rolling_beta
from etf_pipeline.core.risk.category import (
    DECIDING_MEASURES,
    RISK_CATEGORIES,
    CategoryRules,
    RiskCategoryPanel,
    Thresholds,
    flips_per_fund_year,
    risk_category,
)
from etf_pipeline.core.risk.class_benchmark import class_return
from etf_pipeline.core.risk.dimson_beta import DimsonPanel, dimson_beta
from etf_pipeline.core.risk.drawdown import DrawdownPanel, drawdowns
from etf_pipeline.core.risk.garch import GarchHistory, fit_garch, walk_forward
from etf_pipeline.core.risk.kalman_beta import KalmanBetaPanel, kalman_beta
from etf_pipeline.core.risk.liquidity import LiquidityPanel, liquidity
from etf_pipeline.core.risk.range_volatility import RangeVolatilityPanel, range_volatility
from etf_pipeline.core.risk.regime import REGIME_NAMES, RegimeHistory, walk_forward_regimes
from etf_pipeline.core.risk.served_volatility import ServedVolatility, served_volatility
from etf_pipeline.core.risk.shrunk_beta import ShrunkBetaPanel, shrunk_beta
from etf_pipeline.core.risk.spread import SpreadPanel, spread_estimates
from etf_pipeline.core.risk.tail import TAIL_MODELS, TailEstimate, TailPanel, tail_risk
from etf_pipeline.core.risk.volatility import RISKMETRICS_HALF_LIFE, VolatilityPanel, ewma_volatility

__all__ = [
    "DECIDING_MEASURES",
    "REGIME_NAMES",
    "RISKMETRICS_HALF_LIFE",
    "RISK_CATEGORIES",
    "TAIL_MODELS",
    "BetaPanel",
    "CategoryRules",
    "DimsonPanel",
    "DrawdownPanel",
    "GarchHistory",
    "KalmanBetaPanel",
    "LiquidityPanel",
    "RangeVolatilityPanel",
    "RegimeHistory",
    "RiskCategoryPanel",
    "ServedVolatility",
    "ShrunkBetaPanel",
    "SpreadPanel",
    "TailEstimate",
    "TailPanel",
    "Thresholds",
    "VolatilityPanel",
    "class_return",
    "dimson_beta",
    "downside_beta",
    "drawdowns",
    "ewma_beta",
    "ewma_volatility",
    "fit_garch",
    "flips_per_fund_year",
    "hac_standard_error",
    "kalman_beta",
    "liquidity",
    "range_volatility",
    "risk_category",
    "rolling_beta",
    "served_volatility",
    "shrunk_beta",
    "spread_estimates",
    "tail_risk",
    "walk_forward",
    "walk_forward_regimes",
]
