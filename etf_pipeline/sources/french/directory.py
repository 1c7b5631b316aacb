"""Factor files of a directory: original files of Ken French's library and Parquet tables, of whatever vintages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from etf_pipeline.sources.base import SourceError
from etf_pipeline.sources.factors import FactorVintage
from etf_pipeline.sources.french.read import SUFFIXES, read_content
from etf_pipeline.sources.french.tables import table_of_name

log = logging.getLogger(__name__)


class FactorFiles:
    """Every factor file of a directory.

    Parameters
    ----------
    directory : files named as Ken French names them, with or without a month before the name. Others are logged and
        passed over.
    known_at : when files were learned that do not say it themselves, time-zone aware; those that do keep their own.
    clock : the time now.

    Raises
    ------
    SourceError : the directory does not exist.
    """

    name = "files"
    simulated = False

    def __init__(
        self,
        directory: Path,
        known_at: datetime | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if not directory.is_dir():
            raise SourceError(f"factor_path {directory} is not a directory; set it to one, or leave it out")
        self.directory, self.known_at, self._clock = directory, known_at, clock

    def factor_vintages(self) -> Iterator[FactorVintage]:
        """The vintages of every file, in the order of their names; SourceError naming the first that is unusable."""
        found = False
        for path in sorted(self.directory.iterdir()):
            if not path.is_file() or path.name.startswith("."):
                continue
            if path.suffix.lower() not in SUFFIXES or table_of_name(path.name) is None:
                log.info("%s passed over: not named as a table of factors that is known", path)
                continue
            found = True
            yield from self._read(path)
        if not found:
            raise SourceError(
                f"factor_path {self.directory} holds no factor file; they are named as Ken French names them, e.g. "
                "202511_F-F_Research_Data_5_Factors_2x3_daily.csv"
            )

    def _read(self, path: Path) -> list[FactorVintage]:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SourceError(f"{path}: cannot be read ({error})") from error
        return read_content(
            path.name, content, now=self._clock(), fallback_known_at=self.known_at, source=self.name
        )
