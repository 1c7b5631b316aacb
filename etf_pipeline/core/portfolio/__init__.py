"""What holding and trading costs."""

from etf_pipeline.core.portfolio.costs import CostRules, TradingCosts, carry, trading_costs

__all__ = ["CostRules", "TradingCosts", "carry", "trading_costs"]
