"""The raw tier's one way in: a fetch becomes new versions of what differs, and nothing else.

A version is never overwritten. What the vendor no longer has is a version too (``withdrawn``), so that
``raw.bars_as_of(ts)`` gives back what was known at ``ts``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import pandas as pd
import pyarrow as pa

from etf_pipeline.storage.connection import Warehouse, transaction
from etf_pipeline.storage.lineage import utc_now


class MixedSourcesError(ValueError):
    """A fetch does not belong into this warehouse: other market, other kind of price, simulated or not."""


class OutOfOrderError(ValueError):
    """A fetch claims to be older than what is already held for the same ticker."""


@dataclass(frozen=True)
class RawFetch:
    """One answer of a source, as frames (columns as in ``sources.base``) and where it came from."""

    source: str
    market: str
    simulated: bool
    detail: str
    basis: str
    basis_evidence: str
    known_at: datetime
    bars: pd.DataFrame
    actions: pd.DataFrame
    coverage: pd.DataFrame
    has_distributions: bool = True


@dataclass(frozen=True)
class Appended:
    """How many versions a fetch added, by table."""

    fetch_id: str
    bars: int
    actions: int

    @property
    def total(self) -> int:
        """Versions added in all."""
        return self.bars + self.actions


BAR_VALUES = ("open", "high", "low", "close", "adj_close", "volume", "basis", "is_final")
LISTING_VALUES = (
    "name", "asset_class", "currency", "listed_on", "delisted_on", "is_leveraged", "expense_ratio",
    "fund_size", "former_ticker_of",
)  # fmt: skip


def append_fetch(warehouse: Warehouse, fetch: RawFetch, run_id: str) -> Appended:
    """Store one fetch in one transaction: log, coverage, and a version of each bar and action that differs.

    Where prices are ``as_traded`` and distributions come with them, the adjusted close says nothing that
    they do not, and vendors rewrite all of it at each one: a change of that column alone is then no new
    version.

    A bar is withdrawn where an ``ok`` ticker's answer covers its session and does not hold it. Running
    the same fetch again adds no version.

    Raises
    ------
    MixedSourcesError : the warehouse holds another market, kind of price, or simulated beside real data.
    OutOfOrderError : a ticker would get a version older than, or as old as, one already held with other
        content. Load older downloads first, or into another warehouse.
    """
    known_at = naive_utc(fetch.known_at)
    bars = _to_arrow(fetch.bars.assign(occurrence=fetch.bars.groupby(["ticker", "session"]).cumcount()))
    actions = _to_arrow(
        fetch.actions.groupby(["ticker", "ex_date", "kind"], sort=True)["value"].sum().reset_index()
        if len(fetch.actions)
        else fetch.actions
    )
    fetch_id = hashlib.sha256(
        f"{fetch.source}|{fetch.detail}|{known_at.isoformat()}|{run_id}|{sorted(fetch.coverage['ticker'])}".encode()
    ).hexdigest()[:16]
    with warehouse.write() as connection:
        connection.register("in_bars", bars)
        connection.register("in_actions", actions)
        connection.register("in_coverage", _to_arrow(fetch.coverage))
        with transaction(connection):
            _refuse_mixture(connection, fetch)
            _stage(connection, fetch.basis, known_at, adj_close_counts=not fetch.has_distributions)
            _refuse_out_of_order(connection, known_at, fetch.detail)
            added = {
                table: _insert_versions(connection, table, staged, columns, known_at, fetch_id)
                for table, staged, columns in (
                    ("raw.bars", "new_bars", ("ticker", "session", "occurrence", *BAR_VALUES, "withdrawn")),
                    ("raw.actions", "new_actions", ("ticker", "ex_date", "kind", "value", "withdrawn")),
                )
            }
            connection.execute("DELETE FROM raw.coverage WHERE fetch_id = ?", [fetch_id])
            connection.execute("DELETE FROM raw.fetches WHERE fetch_id = ?", [fetch_id])
            connection.execute(
                "INSERT INTO raw.coverage BY NAME SELECT ?::VARCHAR AS fetch_id, ?::TIMESTAMP AS known_at, * "
                "REPLACE (coalesce(message, '') AS message) FROM in_coverage",
                [fetch_id, known_at],
            )
            connection.execute(
                "INSERT INTO raw.fetches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    fetch_id, fetch.source, fetch.market, fetch.simulated, fetch.detail, fetch.basis,
                    fetch.basis_evidence, fetch.has_distributions, known_at, utc_now(), len(fetch.bars),
                    added["raw.bars"], run_id,
                ],
            )  # fmt: skip
    return Appended(fetch_id, added["raw.bars"], added["raw.actions"])


def append_listings(warehouse: Warehouse, listings: pd.DataFrame, known_at: datetime, fetch_id: str) -> int:
    """Add a version for each fund whose listing facts differ from what is held; returns how many."""
    return _append_facts(warehouse, "raw.listings", ("ticker",), LISTING_VALUES, listings, known_at, fetch_id)


def append_reference(warehouse: Warehouse, series: pd.DataFrame, known_at: datetime, fetch_id: str) -> int:
    """Add a version for each (series, session) whose value differs from what is held; returns how many."""
    return _append_facts(
        warehouse, "raw.macro", ("series", "session"), ("value", "unit"), series, known_at, fetch_id
    )


def _append_facts(
    warehouse: Warehouse,
    table: str,
    key: tuple[str, ...],
    values: tuple[str, ...],
    frame: pd.DataFrame,
    known_at: datetime,
    fetch_id: str,
) -> int:
    if frame.empty:
        return 0
    moment = naive_utc(known_at)
    on = " AND ".join(f"f.{k} = h.{k}" for k in key)
    differs = " OR ".join(f"f.{v} IS DISTINCT FROM h.{v}" for v in values)
    columns = ", ".join(f"f.{c}" for c in (*key, *values))
    keys = ", ".join(key)
    with warehouse.write() as connection:
        connection.register("in_facts", _to_arrow(frame[[*key, *values]]))
        with transaction(connection):
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE held AS SELECT * FROM {table} WHERE known_at <= ? "  # noqa: S608
                f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY known_at DESC) = 1",
                [moment],
            )
            types = connection.execute(f"SELECT * FROM {table} LIMIT 0").description  # noqa: S608
            cast = ", ".join(f"CAST({c[0]} AS {c[1]}) AS {c[0]}" for c in types if c[0] in (*key, *values))
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE new_facts AS SELECT {columns}, false AS withdrawn "  # noqa: S608
                f"FROM (SELECT {cast} FROM in_facts) f LEFT JOIN held h ON {on} "
                f"WHERE h.known_at IS NULL OR h.withdrawn OR {differs}"
            )
            twice = connection.execute(
                f"SELECT n.* FROM new_facts n JOIN held h USING ({keys}) WHERE h.known_at = ? ORDER BY ALL LIMIT 1",  # noqa: S608
                [moment],
            ).fetchone()
            if twice:
                raise OutOfOrderError(
                    f"{table} {', '.join(str(v) for v in twice[: len(key)])}: another value known at "
                    f"{moment:%Y-%m-%d %H:%M} UTC is already held (rule: one moment, one value). Say when this one "
                    "was learned with known_at, or use another warehouse."
                )
            return _insert_versions(
                connection, table, "new_facts", (*key, *values, "withdrawn"), moment, fetch_id
            )


def refuse_other_market(warehouse: Warehouse, *, market: str, simulated: bool, source: str) -> None:
    """Refuse a run before it writes anything where the warehouse holds another market or kind of data.

    Raises
    ------
    MixedSourcesError : it names what is held, what was asked for, and what to do.
    """
    if not warehouse.path.exists():
        return
    with warehouse.write() as connection:
        held = connection.execute(
            "SELECT market, simulated, source, detail FROM raw.fetches WHERE bars > 0 LIMIT 1"
        ).fetchone()
    if held and (held[0], held[1]) != (market, simulated):
        raise MixedSourcesError(
            f"{warehouse.directory} holds {'simulated' if held[1] else 'real'} data of market {held[0]} from "
            f"{held[2]} ({held[3]}), and this run is for source {source}, market {market}. Nothing was written: "
            "name another directory (--warehouse DIR or ETF_WAREHOUSE), set source and market to what it holds, or delete "
            "the folder to start over."
        )


def _refuse_mixture(connection: duckdb.DuckDBPyConnection, fetch: RawFetch) -> None:
    """One warehouse holds one market, one kind of price, and either simulated or real data."""
    held = connection.execute(
        "SELECT market, simulated, basis, has_distributions, source, detail FROM raw.fetches "
        "WHERE bars > 0 LIMIT 1"
    ).fetchone()
    if held is None or fetch.bars.empty:
        return
    names = ["market", "simulated", "price basis", "has distributions"]
    new = (fetch.market, fetch.simulated, fetch.basis, fetch.has_distributions)
    if fetch.simulated and held[1] and held[5] != fetch.detail:
        raise MixedSourcesError(
            f"this warehouse holds the {held[5]}; the {fetch.detail} is another invention. Nothing was stored: "
            "give each its own directory (--warehouse DIR or ETF_WAREHOUSE)."
        )
    if fetch.basis == "total_return_adjusted":
        names.pop()  # such prices have the distributions in them, listed or not
    unlike = [f"{n}: {h} held, {f} offered" for n, h, f in zip(names, held, new, strict=False) if h != f]
    if unlike:
        raise MixedSourcesError(
            f"this warehouse holds bars of {held[4]} ({held[5]}); {fetch.source} ({fetch.detail}) differs in "
            f"{'; '.join(unlike)}. Returns and rankings across them would mean nothing, so nothing was stored: "
            "give each its own directory (--warehouse DIR or ETF_WAREHOUSE)."
        )


def _stage(
    connection: duckdb.DuckDBPyConnection, basis: str, known_at: datetime, *, adj_close_counts: bool
) -> None:
    """Temp tables new_bars and new_actions: what differs from what was held at ``known_at``, withdrawals too."""
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE fresh AS
        SELECT ticker, session::DATE AS session, occurrence::SMALLINT AS occurrence, open::DOUBLE AS open,
               high::DOUBLE AS high, low::DOUBLE AS low, close::DOUBLE AS close, adj_close::DOUBLE AS adj_close,
               volume::DOUBLE AS volume, is_final::BOOLEAN AS is_final
        FROM in_bars
        """
    )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE answered AS
        SELECT ticker, coalesce(requested_start::DATE, DATE '0001-01-01') AS first_day,
               coalesce(requested_end::DATE, last_session::DATE) AS last_day
        FROM in_coverage WHERE status = 'ok'
        """
    )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE held AS
        SELECT * FROM raw.bars WHERE ticker IN (SELECT ticker FROM in_coverage) AND known_at <= ?
        QUALIFY row_number() OVER (PARTITION BY ticker, session, occurrence ORDER BY known_at DESC) = 1
        """,
        [known_at],
    )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE new_bars AS
        SELECT f.*, ?::VARCHAR AS basis, false AS withdrawn
        FROM fresh f LEFT JOIN held h USING (ticker, session, occurrence)
        WHERE h.known_at IS NULL OR h.withdrawn OR h.basis <> ?
           OR (f.open, f.high, f.low, f.close, f.volume, f.is_final)
              IS DISTINCT FROM (h.open, h.high, h.low, h.close, h.volume, h.is_final)
           OR ((? OR ? <> 'as_traded') AND f.adj_close IS DISTINCT FROM h.adj_close)
        UNION ALL BY NAME
        SELECT h.ticker, h.session, h.occurrence, NULL::DOUBLE AS open, NULL::DOUBLE AS high,
               NULL::DOUBLE AS low, NULL::DOUBLE AS close, NULL::DOUBLE AS adj_close, NULL::DOUBLE AS volume,
               h.is_final, h.basis, true AS withdrawn
        FROM held h JOIN answered a ON a.ticker = h.ticker AND h.session BETWEEN a.first_day AND a.last_day
        LEFT JOIN fresh f ON f.ticker = h.ticker AND f.session = h.session AND f.occurrence = h.occurrence
        WHERE f.ticker IS NULL AND NOT h.withdrawn
        """,
        [basis, basis, adj_close_counts, basis],
    )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE held_actions AS
        SELECT * FROM raw.actions WHERE ticker IN (SELECT ticker FROM in_coverage) AND known_at <= ?
        QUALIFY row_number() OVER (PARTITION BY ticker, ex_date, kind ORDER BY known_at DESC) = 1
        """,
        [known_at],
    )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE new_actions AS
        SELECT f.ticker, f.ex_date::DATE AS ex_date, f.kind, f.value::DOUBLE AS value, false AS withdrawn
        FROM in_actions f LEFT JOIN held_actions h
          ON h.ticker = f.ticker AND h.ex_date = f.ex_date::DATE AND h.kind = f.kind
        WHERE h.known_at IS NULL OR h.withdrawn OR f.value::DOUBLE IS DISTINCT FROM h.value
        UNION ALL BY NAME
        SELECT h.ticker, h.ex_date, h.kind, NULL::DOUBLE AS value, true AS withdrawn
        FROM held_actions h
        JOIN answered a ON a.ticker = h.ticker AND h.ex_date BETWEEN a.first_day AND a.last_day
        LEFT JOIN in_actions f ON f.ticker = h.ticker AND f.ex_date::DATE = h.ex_date AND f.kind = h.kind
        WHERE f.ticker IS NULL AND NOT h.withdrawn
        """
    )


def _refuse_out_of_order(connection: duckdb.DuckDBPyConnection, known_at: datetime, detail: str) -> None:
    row = connection.execute(
        """
        SELECT n.ticker, n.session, h.known_at
        FROM (SELECT ticker, session FROM new_bars UNION ALL SELECT ticker, ex_date FROM new_actions) n
        JOIN (
            SELECT ticker, max(known_at) AS known_at FROM (
                SELECT ticker, known_at FROM raw.bars UNION ALL SELECT ticker, known_at FROM raw.actions
            ) GROUP BY ticker
        ) h USING (ticker)
        WHERE h.known_at > ? OR (h.known_at = ? AND EXISTS (
            SELECT 1 FROM raw.bars b WHERE b.ticker = n.ticker AND b.session = n.session AND b.known_at = ?
            UNION ALL
            SELECT 1 FROM raw.actions a WHERE a.ticker = n.ticker AND a.ex_date = n.session AND a.known_at = ?))
        ORDER BY ALL LIMIT 1
        """,
        [known_at, known_at, known_at, known_at],
    ).fetchone()
    if row:
        raise OutOfOrderError(
            f"{row[0]} {row[1]}: {detail} is said to be known at {known_at:%Y-%m-%d %H:%M} UTC, but versions of "
            f"this fund known at {row[2]:%Y-%m-%d %H:%M} UTC are already held and the content differs (rule: "
            "versions are appended in the order they were learned). Load older downloads first, or use another "
            "warehouse."
        )


def _insert_versions(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    staged: str,
    columns: tuple[str, ...],
    known_at: datetime,
    fetch_id: str,
) -> int:
    names = ", ".join(columns)
    row = connection.execute(
        f"INSERT INTO {table} BY NAME SELECT {names}, ?::TIMESTAMP AS known_at, ? AS fetch_id FROM {staged}",  # noqa: S608
        [known_at, fetch_id],
    ).fetchone()
    return int(row[0]) if row else 0


def _to_arrow(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def naive_utc(moment: datetime) -> datetime:
    """The moment in UTC, without its zone, as tables hold it; ValueError where it has none."""
    if moment.tzinfo is None:
        raise ValueError(f"known_at {moment} needs a time zone")
    return moment.astimezone(UTC).replace(tzinfo=None)
