"""The ``files`` source: a Parquet or CSV file, or a directory of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from etf_pipeline.core.market.calendar import Market, timezone_name
from etf_pipeline.sources.base import LISTING_COLUMNS, Fetch, SourceError
from etf_pipeline.sources.files.finality import last_closed_day
from etf_pipeline.sources.files.frames import (
    actions_frame,
    bars_frame,
    coverage_frame,
    rows_of,
    unknown_coverage,
)
from etf_pipeline.sources.files.pool import Pool, build_pools
from etf_pipeline.sources.files.reference import read_reference
from etf_pipeline.sources.files.table import FileBars, NoBars, read_bars
from etf_pipeline.sources.universe_file import empty_listings

log = logging.getLogger(__name__)

FILES_PER_FETCH = 200
TICKER_SUFFIX: dict[Market, str] = {"asx": ".AX", "us": ""}


class FilesSource:
    """Bars, actions and reference series as files hold them.

    Parameters
    ----------
    path : a Parquet or CSV file (.parquet, .pq, .csv, .csv.gz), or a directory of such files, each named
        by its ticker or with a ticker column. Files of a directory that hold no bars are logged and
        passed over.
    market : where the tickers trade: it gives their suffix, the time zone of a bar's date and the
        session's close.
    adjusted : True for prices adjusted for splits and distributions, False for prices that are not, None
        to infer it from the files. See ``basis`` for what is checked.
    known_at : when the files were downloaded, time-zone aware. Bars of sessions that closed before are
        final. By default it is the time of the fetch, and a bar on a download's edge is not final (see
        ``finality``).
    reference_path : directory of reference series; none by default.
    listings : LISTING_COLUMNS, from a universe file; files of bars do not say.
    clock : the time now, UTC.

    Notes
    -----
    Files are read once, on first use. Rows are passed on as they are, duplicates too; a row without a
    close is not a bar and is counted in the ticker's coverage. Tickers are passed on as written, unless
    none of them carries the market's suffix: then the files use bare exchange codes, and it is added.

    Raises
    ------
    SourceError
        The path does not exist or ``known_at`` has no time zone; later, a file that cannot be read, has
        ambiguous columns or dates, contradicts ``adjusted``, or a directory without bars.
    """

    name = "files"
    simulated = False
    resumable = False

    def __init__(
        self,
        path: Path,
        *,
        market: Market,
        adjusted: bool | None = None,
        known_at: datetime | None = None,
        reference_path: Path | None = None,
        listings: pd.DataFrame | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if market not in TICKER_SUFFIX:
            raise SourceError(f"market {market!r} is unknown; use one of {', '.join(TICKER_SUFFIX)}")
        self.path = Path(path)
        if not self.path.exists():
            raise SourceError(f"{self.path} does not exist; set path to a Parquet or CSV file or directory")
        if known_at is not None and known_at.tzinfo is None:
            raise SourceError(f"known_at {known_at} needs a time zone, e.g. 2021-01-27T08:00:00Z")
        if listings is not None and list(listings.columns) != LISTING_COLUMNS:
            raise SourceError(f"listings has columns {list(listings.columns)}, not {LISTING_COLUMNS}")
        self.market: Market = market
        self.ticker_suffix = TICKER_SUFFIX[market]
        self.adjusted = adjusted
        self.known_at = known_at
        self.reference_path = reference_path
        self._listings = listings
        self._clock = clock

    def tickers(self) -> list[str]:
        """Every ticker in the files, sorted."""
        return sorted({str(name) for pool in self._pools for name in pool.names})

    def fetch(self, tickers: Sequence[str], start: date | None, end: date | None) -> Iterator[Fetch]:
        """One batch for a file; of a directory, one for every 200 files of one basis.

        A ticker's ``requested_start`` and ``requested_end`` are the window asked for as far as its file
        vouches for it, NaT where it does not. A ticker that no file has comes back as ``no_such_symbol``.
        """
        wanted = sorted(set(tickers))
        if not wanted:
            return
        known_at = (self.known_at or self._clock()).astimezone(UTC)
        closed = last_closed_day(self.market, known_at)
        unknown = sorted(set(wanted) - set(self.tickers()))
        batches = [(pool, chosen) for pool in self._pools for chosen in _batches(pool, wanted)]
        if not batches:
            batches = [(self._pools[0], np.array([], dtype=np.int64))]
        for i, (pool, chosen) in enumerate(batches):
            rows = rows_of(pool, chosen, start, end)
            coverage = coverage_frame(pool, rows, chosen, start, end)
            if i == 0 and unknown:
                extra = unknown_coverage(unknown, str(self.path))
                coverage = pd.concat([coverage, extra], ignore_index=True) if len(coverage) else extra
                coverage = coverage.sort_values("ticker", ignore_index=True)
            yield Fetch(
                source=self.name,
                known_at=known_at,
                detail=self._detail(pool),
                basis=pool.basis,
                basis_evidence=pool.evidence,
                bars=bars_frame(pool, rows, closed=closed, edges_are_final=self.known_at is not None),
                actions=actions_frame(pool, rows),
                coverage=coverage,
                has_distributions=pool.has_distributions,
            )

    def listings(self) -> pd.DataFrame:
        """The listings given; empty without."""
        return empty_listings() if self._listings is None else self._listings.copy()

    def reference(self, start: date | None, end: date | None) -> pd.DataFrame:
        """The series known by name in ``reference_path``; empty where none is set."""
        return read_reference(self.reference_path, start, end)

    def _detail(self, pool: Pool) -> str:
        files = str(pool.paths[0]) if len(pool.paths) == 1 else f"{self.path} ({len(pool.paths)} files)"
        return f"{files}; {self.ticker_suffix} added to bare codes" if self._bare_codes else files

    @cached_property
    def _files(self) -> list[FileBars]:
        zone = timezone_name(self.market)
        if self.path.is_file():
            read = read_bars(self.path, zone=zone)
            if isinstance(read, NoBars):
                raise SourceError(
                    f"{self.path} holds no bars: {read.reason}; set path to a file with at least a date "
                    "and a close"
                )
            return [read]
        files: list[FileBars] = []
        refused: list[NoBars] = []
        for path in sorted(self.path.iterdir()):
            if path.name.startswith("."):
                continue
            read = NoBars(path, "a directory") if path.is_dir() else read_bars(path, zone=zone)
            if isinstance(read, NoBars):
                log.info("%s passed over: %s", path, read.reason)
                refused.append(read)
            else:
                files.append(read)
        if not files:
            seen = "".join(f"\n  {no.path.name}: {no.reason}" for no in refused[:20]) or " it is empty"
            more = f"\n  and {len(refused) - 20} more" if len(refused) > 20 else ""
            raise SourceError(f"no file in {self.path} holds bars:{seen}{more}")
        for file in files:
            if file.unusable:
                log.warning("%s: %d rows without a ticker or a date left out", file.path, file.unusable)
        return files

    @cached_property
    def _bare_codes(self) -> bool:
        """No ticker carries the market's suffix."""
        suffix = self.ticker_suffix
        return bool(suffix) and not any(n.endswith(suffix) for file in self._files for n in file.names)

    @cached_property
    def _pools(self) -> list[Pool]:
        suffix = self.ticker_suffix if self._bare_codes else ""
        return build_pools(self._files, suffix=suffix, adjusted=self.adjusted)


def _batches(pool: Pool, wanted: list[str]) -> list[np.ndarray]:
    """Indices of the wanted tickers of a pool, a batch for every FILES_PER_FETCH files."""
    chosen = np.flatnonzero(np.isin(pool.names, np.array(wanted, dtype=object)))
    batch = pool.first_file[chosen] // FILES_PER_FETCH
    return [chosen[batch == number] for number in np.unique(batch)]
