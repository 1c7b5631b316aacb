"""From a source into the raw tier: batch by batch, each stored before the next is asked for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd

from etf_pipeline.core.market.calendar import session_close_utc
from etf_pipeline.sources.base import Fetch, Source
from etf_pipeline.sources.factors import FactorSource, FactorVintage
from etf_pipeline.sources.reference import ReferenceSource
from etf_pipeline.storage.bitemporal import (
    OutOfOrderError,
    RawFetch,
    append_fetch,
    append_listings,
    append_reference,
)
from etf_pipeline.storage.bitemporal_factors import append_factors, newest_label
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.panels import BenchmarkMissingError

log = logging.getLogger(__name__)

# A vendor corrects recent days and announces distributions late; each daily fetch asks for them again.
CORRECTION_DAYS = 35
# The vendor's last bar can still change for so long after the close.
FINAL_AFTER = np.timedelta64(45, "m")


@dataclass
class IngestReport:
    """What an ingestion brought, and exactly what it did not."""

    tickers: int = 0
    already_stored: int = 0
    bars_received: int = 0
    new_versions: int = 0
    missing: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame({"ticker": [], "status": [], "message": []})
    )
    fetch_id: str = ""

    def summary(self) -> str:
        """One line for a log."""
        by_status = self.missing.groupby("status").size().to_dict() if len(self.missing) else {}
        return (
            f"{self.tickers} tickers asked, {self.already_stored} stored before, {self.bars_received} bars "
            f"received, {self.new_versions} new versions, missing: {by_status or 'none'}"
        )


def ingest(
    source: Source,
    warehouse: Warehouse,
    *,
    market: str,
    start: date | None,
    end: date | None,
    run_id: str,
    refetch: bool = False,
    tickers: Sequence[str] | None = None,
) -> IngestReport:
    """Ask the source for every ticker's bars in ``[start, end]`` and store what is new.

    A source whose requests cost (``resumable``) is not asked again for a ticker that was answered for
    this window after its last session closed, so an interrupted run goes on where it stopped.
    """
    wanted = list(tickers) if tickers is not None else source.tickers()
    report = IngestReport(tickers=len(wanted))
    todo = wanted
    missing = []
    if source.resumable and not refetch:
        known = answered(warehouse, source.name, market, start, end)
        known = known[known["ticker"].isin(wanted)]
        done = set(known["ticker"])
        todo = [t for t in wanted if t not in done]
        report.already_stored = len(done)
        missing.append(known[known["status"] != "ok"])
    for fetch in source.fetch(todo, start, end) if todo else ():
        stored = append_fetch(warehouse, _raw(fetch, market, source.simulated), run_id)
        report.bars_received += len(fetch.bars)
        report.new_versions += stored.total
        report.fetch_id = stored.fetch_id
        missing.append(fetch.coverage.loc[fetch.coverage["status"] != "ok", ["ticker", "status", "message"]])
    if missing:
        report.missing = pd.concat(missing, ignore_index=True)
    log.info("%s: %s", source.name, report.summary())
    return report


def refuse_missing_benchmark(source: Source, warehouse: Warehouse, *, benchmark: str, market: str) -> None:
    """Refuse a run before it writes anything where betas could not be computed at its end.

    Raises
    ------
    BenchmarkMissingError : the market fund is neither held nor on offer: perhaps the market is another.
    """
    if warehouse.path.exists():
        with warehouse.write() as connection:
            if connection.execute("SELECT 1 FROM raw.bars WHERE ticker = ? LIMIT 1", [benchmark]).fetchone():
                return
    offered = source.tickers()
    if benchmark in offered:
        return
    others = " or ".join(f"--market {name}" for name in ("asx", "us") if name != market)
    raise BenchmarkMissingError(
        f"benchmark {benchmark} of market {market} is not among the {len(offered)} funds of source {source.name} "
        f"({', '.join(offered[:5])}{', ...' if len(offered) > 5 else ''}). Are they of another market ({others})? "
        "Otherwise name a broad market fund that is among them: --benchmark TICKER or ETF_BENCHMARK. Nothing was written; a "
        f"warehouse built for the wrong market is got rid of by deleting its folder, {warehouse.directory}."
    )


def daily_window(warehouse: Warehouse, first: date, start: date | None) -> date | None:
    """From which day on a daily run must ask, so that nothing is glued together that does not fit.

    Adjusted prices are restated back to the first day at every distribution or split, so all of them are
    asked for again. Prices as traded stay as they are: the last CORRECTION_DAYS, for the vendor's corrections
    and late distributions, or all since the newest session held, so that no gap is left.

    Parameters
    ----------
    first : first session of the run.  start : the settings' first session, None for all on offer.
    """
    if not warehouse.path.exists():
        return start
    with warehouse.read() as connection:
        row = connection.execute(
            "SELECT (SELECT max(session) FROM raw.bars), "
            "(SELECT bool_and(basis = 'as_traded') FROM raw.fetches WHERE bars > 0)"
        ).fetchone()
    if not row or row[0] is None or not row[1]:
        return start
    return min(first - timedelta(days=CORRECTION_DAYS), row[0] + timedelta(days=1))


def incomplete_sessions(
    warehouse: Warehouse, sessions: Sequence[str], min_share: float
) -> list[tuple[str, int, int]]:
    """(session, funds with a bar, funds usual) where too few funds have a bar to be ranked against each other.

    Usual is the median of the five sessions before. Up to three funds may always be missing: thin funds do
    not trade every day.
    """
    found = []
    with warehouse.read() as connection:
        for day in sessions:
            row = connection.execute(
                """
                WITH counts AS (
                    SELECT session, count(DISTINCT ticker) AS funds FROM raw.bars_latest
                    WHERE session <= ?::DATE AND session > ?::DATE - 15 GROUP BY session
                ),
                before AS (SELECT funds FROM counts WHERE session < ?::DATE ORDER BY session DESC LIMIT 5)
                SELECT coalesce((SELECT funds FROM counts WHERE session = ?::DATE), 0),
                       coalesce((SELECT median(funds) FROM before), 0)
                """,
                [day, day, day, day],
            ).fetchone()
            held, usual = (int(row[0]), int(row[1])) if row else (0, 0)
            if held == 0 or (held < min_share * usual and usual - held > 3):
                found.append((day, held, usual))
    return found


def ingest_listings(source: Source, warehouse: Warehouse) -> int:
    """Store what the source says of each fund; returns how many facts are new."""
    return append_listings(warehouse, source.listings(), datetime.now(UTC), f"{source.name}-listings")


def ingest_reference(
    source: ReferenceSource,
    warehouse: Warehouse,
    start: date | None,
    end: date | None,
    *,
    known_at: datetime | None = None,
) -> int:
    """Store the source's reference series; returns how many values are new.

    ``known_at`` is when they were downloaded, now by default; values of later days cannot have been in that download
    and count as learned now.
    """
    series, now, fetch_id = source.reference(start, end), datetime.now(UTC), f"{source.name}-reference"
    if known_at is None:
        return append_reference(warehouse, series, now, fetch_id)
    later = series["session"] > pd.Timestamp(known_at.astimezone(UTC).date())
    return append_reference(warehouse, series[~later], known_at, fetch_id) + append_reference(
        warehouse, series[later], now, fetch_id
    )


@dataclass
class FactorReport:
    """What an ingestion of factor returns brought."""

    vintages: pd.DataFrame
    """One row a table read: table, vintage, known_at, rows, new_versions, detail."""

    @property
    def new_versions(self) -> int:
        """Versions added in all."""
        return int(self.vintages["new_versions"].sum())


def ingest_factors(
    source: FactorSource | None, warehouse: Warehouse, start: date | None, end: date | None
) -> FactorReport:
    """Store every vintage of the source, each in a transaction of its own, cut to ``[start, end]``.

    A download that differs from what is held for the same vintage has been issued again; it counts as known since it
    was downloaded, unless a newer vintage is held. None as the source stores nothing.

    Raises
    ------
    OutOfOrderError, UnusableVintageError : see ``storage.bitemporal_factors``; vintages before it are stored.
    """
    rows = []
    for vintage in source.factor_vintages() if source is not None else ():
        cut = _within(vintage, start, end)
        new = (
            append_factors(warehouse, cut) if cut.downloaded_at is None else _append_download(warehouse, cut)
        )
        rows.append((cut.name, cut.label, cut.known_at, len(cut.returns), new, cut.detail))
        log.info("%s, vintage %s: %d new versions (%s)", cut.name, cut.label, new, cut.detail)
    return FactorReport(
        pd.DataFrame(rows, columns=["table", "vintage", "known_at", "rows", "new_versions", "detail"])
    )


def _append_download(warehouse: Warehouse, vintage: FactorVintage) -> int:
    """As of its publication where that is news, and as of the download where it has been issued again since."""
    try:
        new = append_factors(warehouse, vintage)
    except OutOfOrderError as error:
        new = 0
        log.warning("%s: issued again with other values (%s)", vintage.detail, error)
    if vintage.downloaded_at is not None and newest_label(warehouse, vintage) == vintage.label:
        new += append_factors(warehouse, replace(vintage, known_at=vintage.downloaded_at))
    return new


def _within(vintage: FactorVintage, start: date | None, end: date | None) -> FactorVintage:
    keep = pd.Series(True, index=vintage.returns.index)
    if start is not None:
        keep &= vintage.returns["session"] >= pd.Timestamp(start)
    if end is not None:
        keep &= vintage.returns["session"] <= pd.Timestamp(end)
    return vintage if keep.all() else replace(vintage, returns=vintage.returns[keep].reset_index(drop=True))


def answered(
    warehouse: Warehouse, source: str, market: str, start: date | None, end: date | None
) -> pd.DataFrame:
    """Tickers for which the vendor has given a final answer on this window, with the newest such answer.

    An answer is final when it is data, "no such symbol" or "nothing in the window", covers the window, and
    came when the window's last session was final. Refusals and server trouble are asked again.

    Returns
    -------
    DataFrame with columns ticker, status, message, one row a ticker, sorted.
    """
    if not warehouse.path.exists() or end is None:
        return pd.DataFrame({"ticker": [], "status": [], "message": []}, dtype=str)
    closed = session_close_utc(market, np.array([end], dtype="datetime64[D]"))[0] + FINAL_AFTER  # type: ignore[arg-type]
    with warehouse.read() as connection:
        return connection.execute(
            """
            SELECT c.ticker, arg_max(c.status, c.known_at) AS status, arg_max(c.message, c.known_at) AS message
            FROM raw.coverage c JOIN raw.fetches f USING (fetch_id)
            WHERE f.source = ? AND f.market = ? AND c.status IN ('ok', 'no_such_symbol', 'empty')
              AND coalesce(c.requested_start, DATE '0001-01-01') <= coalesce(?::DATE, DATE '0001-01-01')
              AND coalesce(c.requested_end, c.last_session) >= ?::DATE AND c.known_at >= ?::TIMESTAMP
            GROUP BY c.ticker ORDER BY c.ticker
            """,
            [source, market, start, end, pd.Timestamp(closed).to_pydatetime()],
        ).df()


def _raw(fetch: Fetch, market: str, simulated: bool) -> RawFetch:
    return RawFetch(
        source=fetch.source,
        market=market,
        simulated=simulated,
        detail=fetch.detail,
        basis=fetch.basis,
        basis_evidence=fetch.basis_evidence,
        known_at=fetch.known_at,
        bars=fetch.bars,
        actions=fetch.actions,
        coverage=fetch.coverage,
        has_distributions=fetch.has_distributions,
    )
