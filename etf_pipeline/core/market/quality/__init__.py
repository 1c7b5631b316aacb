"""Data quality: every bar judged with what was known at its close, and a reason for every doubt."""

from etf_pipeline.core.market.quality.assess import QualityResult, assess
from etf_pipeline.core.market.quality.duplicates import find_duplicates
from etf_pipeline.core.market.quality.events import EVENT_COLUMNS
from etf_pipeline.core.market.quality.rules import QualityRules

__all__ = ["EVENT_COLUMNS", "QualityResult", "QualityRules", "assess", "find_duplicates"]
