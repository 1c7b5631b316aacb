"""FRED's series as CSV over HTTP, by the ids and under the names of ``files.reference``."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa

from etf_pipeline.sources.base import REFERENCE_COLUMNS, SourceError
from etf_pipeline.sources.download import Downloader
from etf_pipeline.sources.files.dates import parse_numbers, parse_sessions
from etf_pipeline.sources.files.reference import KNOWN

log = logging.getLogger(__name__)

BASE_URL = "https://fred.stlouisfed.org"
GRAPH = "/graph/fredgraph.csv?id="
DATE_NAMES = ("observation_date", "DATE")
"""As FRED writes it now, and as it did."""
OFFERED = (
    "VIXCLS", "DGS2", "DGS10", "DGS30", "T10Y2Y", "T5YIE", "T10YIE", "BAMLC0A0CM", "BAMLH0A0HYM2", "DCOILWTICO",
    "SP500", "DFF",
)  # fmt: skip
"""Those of ``KNOWN`` that are FRED's; the others are ids of the Reserve Bank of Australia and of Yahoo."""


class FredSource:
    """Reference series from FRED, each downloaded whole.

    Parameters
    ----------
    ids : FRED's ids, all of ``OFFERED`` by default.
    base_url : another host that speaks FRED's format.
    downloader : time limit, attempts and pauses.

    Raises
    ------
    SourceError : an id that is not offered, or no id.

    Notes
    -----
    FRED serves only the last three years of the ICE BofA spreads (BAMLC0A0CM, BAMLH0A0HYM2), and the last ten of SP500.
    What is held of earlier days stays: a series that begins later withdraws nothing. A longer history has to come from
    files downloaded before (``reference_path``).

    A value is known since it was downloaded: FRED's file does not say when it appeared.

    Tested against a server of its own; it has never been run against the real site.
    """

    name = "fred"

    def __init__(
        self,
        ids: Sequence[str] = OFFERED,
        *,
        base_url: str = BASE_URL,
        downloader: Downloader | None = None,
    ) -> None:
        unknown = sorted(set(ids) - set(OFFERED))
        if unknown or not ids:
            raise SourceError(
                f"FRED series {', '.join(unknown) or 'none'}: no name is known for it; use some of {', '.join(OFFERED)}"
            )
        self.ids = tuple(ids)
        self.base_url = base_url.rstrip("/")
        self._downloader = downloader or Downloader()

    def reference(self, start: date | None, end: date | None) -> pd.DataFrame:
        """REFERENCE_COLUMNS of every series in ``[start, end]``, inclusive, sorted by series and session.

        Missing values ("." or empty) are left out. All or nothing: a series that cannot be had raises SourceError.
        """
        ids = sorted(self.ids, key=lambda vendor_id: KNOWN[vendor_id].name)
        return pd.concat([self._series(vendor_id, start, end) for vendor_id in ids], ignore_index=True)

    def _series(self, vendor_id: str, start: date | None, end: date | None) -> pd.DataFrame:
        url = f"{self.base_url}{GRAPH}{vendor_id}"
        session, value = parse_series(vendor_id, self._downloader.get(url), url)
        keep = np.isfinite(value)
        if start is not None:
            keep &= session >= np.datetime64(start, "D")
        if end is not None:
            keep &= session <= np.datetime64(end, "D")
        known = KNOWN[vendor_id]
        rows = int(keep.sum())
        log.info("%s (%s): %d values", known.name, vendor_id, rows)
        return pd.DataFrame(
            {
                "series": pd.array([known.name] * rows, dtype="str"),
                "session": session[keep].astype("datetime64[us]"),
                "value": value[keep],
                "unit": pd.array([known.unit] * rows, dtype="str"),
            }
        )[REFERENCE_COLUMNS]


def parse_series(vendor_id: str, content: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    """(n,) datetime64[D] days, ascending, and (n,) float64 values, NaN where missing, of FRED's CSV.

    Raises
    ------
    SourceError : it is another file (an error page, another series), or cannot be read.
    """
    try:
        rows = [row for row in csv.reader(content.decode("utf-8-sig").splitlines()) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{where}: not a CSV file ({error})") from error
    header = [cell.strip() for cell in rows[0]] if rows else []
    if len(header) != 2 or header[0] not in DATE_NAMES or header[1] != vendor_id:
        raise SourceError(
            f"{where}: begins with {','.join(header)[:80]!r} where observation_date,{vendor_id} is expected; is the series "
            "still served under this id?"
        )
    wrong = next((i for i, row in enumerate(rows, 1) if len(row) != 2), None)
    if wrong is not None:
        raise SourceError(
            f"{where} line {wrong}: {len(rows[wrong - 1])} cells where 2 are expected; try again"
        )
    dates, texts = ([row[i] for row in rows[1:]] for i in (0, 1))
    session = parse_sessions(pa.array(dates, pa.string()), zone="UTC", where=f"{where}: dates")
    value = parse_numbers(pa.array(texts, pa.string()), where=f"{where}: {vendor_id}")
    if np.isnat(session).any() or (np.diff(session).astype(int) <= 0).any():
        raise SourceError(
            f"{where}: its dates do not ascend, or some are missing (rule: one value a day); try again"
        )
    return session, value
