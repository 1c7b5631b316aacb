"""Bars and reference series from Parquet and CSV files, detected rather than configured."""

from etf_pipeline.sources.files.source import FilesSource

__all__ = ["FilesSource"]
