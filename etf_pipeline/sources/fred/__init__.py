"""Reference series from the Federal Reserve Bank of St. Louis (FRED)."""

from etf_pipeline.sources.fred.source import FredSource

__all__ = ["FredSource"]
