"""The contract every data source meets.

A source turns a vendor (files, Yahoo, the simulated market) into frames of one shape. It never
interprets: what the vendor said is passed on as it was said, with a status per ticker, and the quality
stage judges it later. Frames have exactly the columns listed here, in this order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol, runtime_checkable

import pandas as pd

Basis = Literal["as_traded", "split_adjusted", "total_return_adjusted"]
"""What the prices are.

``as_traded``: the price paid that day; splits and distributions are in ``actions``.
``split_adjusted``: divided by later splits (and so are the distributions in ``actions``); splits must
not be applied again.
``total_return_adjusted``: divided by later splits and distributions; the close ratio is the total return
and ``actions`` are for information only.
"""

FetchStatus = Literal["ok", "no_such_symbol", "rate_limited", "server_error", "empty"]
"""Why a ticker has, or has not, bars. ``empty`` is a valid symbol with nothing in the window."""

ActionKind = Literal["dividend", "capital_gain", "split"]

BAR_COLUMNS = [
    "ticker",  # str, the vendor's symbol, e.g. "VAS.AX"
    "session",  # datetime64, midnight, no time zone: the exchange's local date
    "open",  # float64, quote currency; NaN where the vendor has none
    "high",
    "low",
    "close",
    "adj_close",  # float64, the vendor's dividend-adjusted close, NaN where it gives none
    "volume",  # float64, units traded; NaN where the vendor has none
    "is_final",  # bool, False for a bar that may still change (session open, or download time unknown)
]
ACTION_COLUMNS = [
    "ticker",
    "ex_date",  # datetime64, midnight, no time zone
    "kind",  # ActionKind
    "value",  # dividend, capital_gain: quote currency a unit; split: new units for one old unit (2.0, 0.05)
]
COVERAGE_COLUMNS = [
    "ticker",
    "status",  # FetchStatus
    "requested_start",  # datetime64: the window the vendor was asked about ...
    "requested_end",  # ... inclusive; NaT where the file does not say
    "first_session",  # datetime64: first and last bar received; NaT without bars
    "last_session",
    "rows",  # int64 bars received
    "message",  # str: what the vendor said, "" if nothing
]
LISTING_COLUMNS = [
    "ticker",
    "name",  # str or None
    "asset_class",  # str or None, one of ASSET_CLASSES
    "currency",  # str or None, ISO code of the quote currency
    "listed_on",  # datetime64, NaT where unknown
    "delisted_on",  # datetime64, last day quoted, NaT while listed or where unknown
    "is_leveraged",  # object: True, False or None where unknown (leveraged, inverse or geared fund)
    "expense_ratio",  # float64, fraction a year (0.0020 = 0.20 %), NaN where unknown
    "fund_size",  # float64, net assets in the quote currency, NaN where unknown
    "former_ticker_of",  # str or None: an earlier fund that used this code ("AMP ... until 2020-12-04")
]
REFERENCE_COLUMNS = [
    "series",  # str: "vix", "us_10y_yield", "audusd", ...
    "session",  # datetime64: the day the value is about
    "value",  # float64
    "unit",  # str: "index points", "percent", "USD per AUD", ...
]

ASSET_CLASSES = (
    "australian_equity",
    "us_equity",
    "global_equity",
    "emerging_equity",
    "sector_equity",
    "property",
    "infrastructure",
    "fixed_income",
    "cash",
    "commodity",
    "currency",
    "crypto",
    "multi_asset",
    "leveraged_inverse",
)


class SourceError(RuntimeError):
    """A source cannot do what was asked; the message names what, why and the remedy."""


@dataclass(frozen=True)
class Fetch:
    """What one call to a source learned, to be stored in one transaction.

    Attributes
    ----------
    known_at : when the vendor told us, time-zone aware UTC.
    detail : where it came from (a path, a URL, a seed), for the record.
    basis_evidence : how ``basis`` is known ("declared", "assumed: the file holds no actions", ...).
    bars, actions, coverage : frames with BAR_COLUMNS, ACTION_COLUMNS, COVERAGE_COLUMNS. Within
        ``[requested_start, requested_end]`` of an ``ok`` ticker the bars are all the vendor has, so a
        session held in the warehouse and absent here has been withdrawn.
    has_distributions : whether this source supplies distributions at all (of whichever fund and day).
    """

    source: str
    known_at: datetime
    detail: str
    basis: Basis
    basis_evidence: str
    bars: pd.DataFrame
    actions: pd.DataFrame
    coverage: pd.DataFrame
    has_distributions: bool = True


@runtime_checkable
class Source(Protocol):
    """Bars, actions, listings and reference series of one vendor."""

    name: str
    simulated: bool
    """True where the data is invented; shown wherever its results are."""
    resumable: bool
    """True where each request costs, so that tickers already stored must not be asked for again."""
    ticker_suffix: str
    """What every ticker of this market ends with (".AX", ".SIM", "" for none)."""

    def tickers(self) -> list[str]:
        """Every ticker on offer, sorted."""
        ...

    def fetch(self, tickers: Sequence[str], start: date | None, end: date | None) -> Iterator[Fetch]:
        """Bars and actions of ``tickers`` in ``[start, end]``, inclusive, in one or more batches.

        Every ticker asked for appears in the coverage of exactly one batch. Trouble with one ticker is a
        status, not an exception; an exception means that the source as a whole cannot work.
        """
        ...

    def listings(self) -> pd.DataFrame:
        """LISTING_COLUMNS, one row a ticker known; empty where the vendor does not say."""
        ...

    def reference(self, start: date | None, end: date | None) -> pd.DataFrame:
        """REFERENCE_COLUMNS of every reference series on offer; empty where there is none."""
        ...
