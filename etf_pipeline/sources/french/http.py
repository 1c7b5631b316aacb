"""The same files from Ken French's data library, over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from etf_pipeline.sources.base import SourceError
from etf_pipeline.sources.download import Downloader
from etf_pipeline.sources.factors import FactorVintage
from etf_pipeline.sources.french.read import read_content
from etf_pipeline.sources.french.tables import REGIONS, remote_name
from etf_pipeline.storage.contracts.factors import CONSTRUCTION_FACTORS, FREQUENCIES

log = logging.getLogger(__name__)

BASE_URL = "https://mba.tuck.dartmouth.edu"
FOLDER = "/pages/faculty/ken.french/ftp/"
DEFAULT_REGIONS = ("us", "developed", "developed_ex_us", "asia_pacific_ex_japan")


class FrenchLibrary:
    """The newest vintage of every wanted table, downloaded.

    A vintage counts as known since the end of the month after its database's month, or since the download where that is
    earlier. The library keeps no older vintages: each download is kept here, so that they gather.

    Parameters
    ----------
    base_url : another host that has the library's folder.
    regions, constructions, frequencies : which tables; those that the library does not have are left out.
    downloader : time limit, attempts and pauses.
    clock : the time now.

    Raises
    ------
    SourceError : an unknown region.

    Notes
    -----
    Tested against a server of its own; it has never been run against the real site.
    """

    name = "french"
    simulated = False

    def __init__(
        self,
        base_url: str = BASE_URL,
        *,
        regions: Sequence[str] = DEFAULT_REGIONS,
        constructions: Sequence[str] = tuple(CONSTRUCTION_FACTORS),
        frequencies: Sequence[str] = FREQUENCIES,
        downloader: Downloader | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        unknown = sorted(set(regions) - set(REGIONS))
        if unknown:
            raise SourceError(f"region {', '.join(unknown)} is unknown; use some of {', '.join(REGIONS)}")
        self.base_url = base_url.rstrip("/")
        self._wanted = [
            (region, construction, frequency)
            for region in regions
            for construction in constructions
            for frequency in frequencies
            if region != "emerging" or (frequency == "monthly" and construction != "three_factor")
        ]
        self._downloader, self._clock = downloader or Downloader(), clock

    def factor_vintages(self) -> Iterator[FactorVintage]:
        """One table after the other, each handed on before the next is asked for; SourceError names the address."""
        for wanted in self._wanted:
            name = remote_name(*wanted)
            content = self._downloader.get(f"{self.base_url}{FOLDER}{name}")
            now = self._clock()
            log.info("%s: %d bytes", name, len(content))
            yield from read_content(name, content, now=now, source=self.name, downloaded_at=now)
