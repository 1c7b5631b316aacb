"""Factor returns as Ken French publishes them: from a directory of files, or from his data library."""

from etf_pipeline.sources.french.directory import FactorFiles
from etf_pipeline.sources.french.http import FrenchLibrary

__all__ = ["FactorFiles", "FrenchLibrary"]
