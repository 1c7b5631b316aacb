"""GARCH, GJR-GARCH and EGARCH with normal and Student-t errors: fits, filters, forecasts."""

from etf_pipeline.core.risk.garch.fit import (
    MODELS,
    GarchFits,
    Search,
    Specification,
    fit_garch,
    specification,
)
from etf_pipeline.core.risk.garch.history import HORIZONS, GarchHistory
from etf_pipeline.core.risk.garch.likelihood import PARAMETERS
from etf_pipeline.core.risk.garch.standard_errors import StandardErrors, standard_errors
from etf_pipeline.core.risk.garch.walk_forward import walk_forward

__all__ = [
    "HORIZONS",
    "MODELS",
    "PARAMETERS",
    "GarchFits",
    "GarchHistory",
    "Search",
    "Specification",
    "StandardErrors",
    "fit_garch",
    "specification",
    "standard_errors",
    "walk_forward",
]
