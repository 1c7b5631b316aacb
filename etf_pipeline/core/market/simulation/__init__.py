"""A deterministic market in the image of the ASX, with the truth beside it.

Regimes, factors with GARCH volatility and fat tails, funds of every asset class that list, pay, split and
die, trades with spreads and thin days, and a vendor with all the habits of a real one. For demonstration and
as the known truth of statistical tests; never a forecast of anything.
"""

from etf_pipeline.core.market.simulation.engine import simulate
from etf_pipeline.core.market.simulation.model import (
    BENCHMARK,
    DEFECT_KINDS,
    REGIMES,
    VERSION,
    SimulatedMarket,
    SimulationConfig,
    SimulationTruth,
)
from etf_pipeline.core.market.simulation.styles import (
    STYLES,
    StyleReturns,
    daily_styles,
    monthly_styles,
)

__all__ = [
    "BENCHMARK",
    "DEFECT_KINDS",
    "REGIMES",
    "STYLES",
    "VERSION",
    "SimulatedMarket",
    "SimulationConfig",
    "SimulationTruth",
    "StyleReturns",
    "daily_styles",
    "monthly_styles",
    "simulate",
]
