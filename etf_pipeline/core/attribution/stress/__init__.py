"""Stress tests: what funds and portfolios lose in past crises, supposed shocks, simulated months and dry markets."""

from etf_pipeline.core.attribution.stress.conditional import conditional_moves
from etf_pipeline.core.attribution.stress.correlations import (
    CorrelationStress,
    correlations_to_one,
    exposure_covariance,
)
from etf_pipeline.core.attribution.stress.coverage import (
    Comparison,
    Coverage,
    coverage,
    inflation_factors,
    pretend_not_alive,
)
from etf_pipeline.core.attribution.stress.exposures import Exposures, fit_exposures, from_standard_errors
from etf_pipeline.core.attribution.stress.factors import FACTORS, factor_moves
from etf_pipeline.core.attribution.stress.filtered_simulation import (
    FilteredReturns,
    SimulatedTail,
    ewma_parameters,
    filter_returns,
    joint_residuals,
    simulate_returns,
    simulated_tail,
)
from etf_pipeline.core.attribution.stress.liquidity import LiquidityRules, LiquidityStress, liquidity_stress
from etf_pipeline.core.attribution.stress.losses import (
    Losses,
    PortfolioLosses,
    fund_losses,
    portfolio_losses,
)
from etf_pipeline.core.attribution.stress.path_loss import PathLoss, path_loss
from etf_pipeline.core.attribution.stress.replay import REASONS, Window, realised_returns, window_rows
from etf_pipeline.core.attribution.stress.reverse import ReverseStress, reverse_stress
from etf_pipeline.core.attribution.stress.scenario_set import NamedPath, hypothetical_paths, replay_paths
from etf_pipeline.core.attribution.stress.scenarios import (
    FactorPath,
    hypothetical_path,
    replay_path,
    shock_to,
    turbulence,
)

__all__ = [
    "FACTORS",
    "REASONS",
    "Comparison",
    "CorrelationStress",
    "Coverage",
    "Exposures",
    "FactorPath",
    "FilteredReturns",
    "LiquidityRules",
    "LiquidityStress",
    "Losses",
    "NamedPath",
    "PathLoss",
    "PortfolioLosses",
    "ReverseStress",
    "SimulatedTail",
    "Window",
    "conditional_moves",
    "correlations_to_one",
    "coverage",
    "ewma_parameters",
    "exposure_covariance",
    "factor_moves",
    "filter_returns",
    "fit_exposures",
    "from_standard_errors",
    "fund_losses",
    "hypothetical_path",
    "hypothetical_paths",
    "inflation_factors",
    "joint_residuals",
    "liquidity_stress",
    "path_loss",
    "portfolio_losses",
    "pretend_not_alive",
    "realised_returns",
    "replay_path",
    "replay_paths",
    "reverse_stress",
    "shock_to",
    "simulate_returns",
    "simulated_tail",
    "turbulence",
    "window_rows",
]
