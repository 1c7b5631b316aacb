"""Point-in-time ETF ranking on Dagster and DuckDB."""

from etf_pipeline.kernel_cache import use_own_cache

__version__ = "0.1.0"

use_own_cache()
