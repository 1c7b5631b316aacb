"""The contract of a source of reference series, and the one that reads a directory whatever prices come from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

import pandas as pd

from etf_pipeline.sources.files.reference import read_reference


class ReferenceSource(Protocol):
    """Reference series of one vendor; every ``Source`` is one."""

    @property
    def name(self) -> str:
        """Which source, for the record."""
        ...

    def reference(self, start: date | None, end: date | None) -> pd.DataFrame:
        """REFERENCE_COLUMNS of every reference series on offer; empty where there is none."""
        ...


@dataclass(frozen=True)
class ReferenceFiles:
    """The series known by their ids in a directory."""

    directory: Path
    name: str = "files"

    def reference(self, start: date | None, end: date | None) -> pd.DataFrame:
        """See ``files.reference.read_reference``."""
        return read_reference(self.directory, start, end)
