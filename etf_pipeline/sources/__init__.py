"""Data in. ``open_source`` picks the one the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etf_pipeline.settings import Settings
from etf_pipeline.sources.base import Source, SourceError

if TYPE_CHECKING:
    from etf_pipeline.sources.factors import FactorSource
    from etf_pipeline.sources.reference import ReferenceSource

__all__ = ["Source", "SourceError", "open_factor_source", "open_reference_source", "open_source"]


def open_source(settings: Settings) -> Source:
    """The source that the settings name, ready to be asked.

    Raises
    ------
    SourceError : it cannot be opened; the message names the remedy.
    """
    # Imported here: a run on files need not load the Yahoo client, which costs a second.
    from etf_pipeline.sources.universe_file import default_universe, read_universe

    suffix = {"asx": ".AX", "us": ""}[settings.market]
    if settings.source == "simulated":
        from etf_pipeline.sources.simulated import SimulatedSource

        return SimulatedSource(
            seed=settings.seed,
            n_funds=settings.simulated_funds,
            market=settings.market,
            end=settings.end,
        )
    if settings.source == "files":
        from etf_pipeline.sources.files import FilesSource

        if settings.path is None:
            raise SourceError("source = 'files' needs path: a Parquet or CSV file, or a directory of them")
        universe = settings.universe_file or default_universe(settings.market)
        return FilesSource(
            settings.path,
            market=settings.market,
            adjusted=settings.adjusted,
            known_at=settings.known_at,
            reference_path=settings.reference_path,
            listings=read_universe(universe, suffix=suffix),
        )
    from etf_pipeline.sources.yahoo import YahooSource

    listings = read_universe(settings.universe_file or default_universe(settings.market), suffix=suffix)
    return YahooSource(
        sorted(listings["ticker"]),
        market=settings.market,
        listings=listings,
        requests_per_minute=settings.yahoo_requests_per_minute,
        base_url=settings.yahoo_url,
        cache_dir=settings.warehouse / ".cache" / "yfinance",
    )


def open_factor_source(settings: Settings, source: Source) -> FactorSource | None:
    """Where factor returns come from: what the settings name, else the source of prices if it has any, else nowhere.

    Raises
    ------
    SourceError : it cannot be opened; the message names the remedy.
    """
    from etf_pipeline.sources.factors import FactorSource

    if settings.factor_source == "french":
        from etf_pipeline.sources.french import FrenchLibrary

        return FrenchLibrary()
    if settings.factor_path is not None:
        from etf_pipeline.sources.french import FactorFiles

        return FactorFiles(settings.factor_path, settings.known_at)
    return source if isinstance(source, FactorSource) else None


def open_reference_source(settings: Settings, source: Source) -> ReferenceSource:
    """Where reference series come from: what the settings name, else the source of prices."""
    if settings.reference_source == "fred":
        from etf_pipeline.sources.fred import FredSource

        return FredSource()
    if settings.reference_source == "files" and settings.reference_path is not None:
        from etf_pipeline.sources.reference import ReferenceFiles

        return ReferenceFiles(settings.reference_path)
    return source
