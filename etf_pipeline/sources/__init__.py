"""Data in. ``open_source`` picks the one the settings name."""

from __future__ import annotations

from etf_pipeline.settings import Settings
from etf_pipeline.sources.base import Source, SourceError

__all__ = ["Source", "SourceError", "open_source"]


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
