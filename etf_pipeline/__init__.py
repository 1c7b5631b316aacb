"""Point-in-time ETF ranking on Dagster and DuckDB."""

__version__ = "0.1.0"
