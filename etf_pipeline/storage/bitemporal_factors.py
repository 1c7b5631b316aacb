"""Vintages of factor tables into the raw tier, in whatever order they come.

A vintage is the whole of a table as it was published at one moment. Between its first and its last session it holds all
there is, so a value held before and absent there is withdrawn. Old files turn up after new ones; a vintage put before
another that had found nothing to change then gets its own versions of what the older one says differently, and every
vintage still reads back as it was published.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

import duckdb
import pandas as pd
import pyarrow as pa

from etf_pipeline.storage.bitemporal import OutOfOrderError, naive_utc
from etf_pipeline.storage.connection import Warehouse, transaction
from etf_pipeline.storage.contracts.factors import CONSTRUCTION_FACTORS, FREQUENCIES


@dataclass(frozen=True)
class FactorVintage:
    """One table as published at one moment.

    Attributes
    ----------
    source : who gave it ("files", "french", "simulated").
    region, frequency, construction : which table, see ``storage.contracts.factors``.
    known_at : since when its values can have been known, time-zone aware.
    returns : factor (str), session (datetime64), value (float64, fraction a period, NaN for none), one row a cell.
    label : month of the database it was made from, "2021-10"; None where nobody says.
    detail : file name, address or seed.
    downloaded_at : when it was asked for over the network; None for what lay in a file.
    """

    source: str
    region: str
    frequency: str
    construction: str
    known_at: datetime
    returns: pd.DataFrame = field(repr=False)
    label: str | None
    detail: str
    downloaded_at: datetime | None = None

    @property
    def name(self) -> str:
        """The table in words, for messages."""
        return f"{self.region} {self.frequency} {self.construction}"

    @property
    def fetch_id(self) -> str:
        """16 hex digits: the same table of the same moment and origin is the same fetch."""
        text = f"{self.source}|{self.name}|{naive_utc(self.known_at).isoformat()}|{self.label}|{self.detail}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class UnusableVintageError(ValueError):
    """A vintage that cannot be stored: unknown factors, two values for one cell, or values from the future."""


def append_factors(warehouse: Warehouse, vintage: FactorVintage) -> int:
    """Store a vintage in one transaction: a version of each value that differs; returns how many were added.

    Vintages may come in any order: ``raw.factors_as_of`` gives each back as it was published. The same vintage again,
    unchanged, writes nothing.

    Raises
    ------
    UnusableVintageError : see there.
    OutOfOrderError : another content of the same table is held for exactly the same moment.
    """
    values = _checked(vintage)
    if values.empty:
        return 0
    moment = naive_utc(vintage.known_at)
    with warehouse.write() as connection:
        connection.register("in_values", pa.Table.from_pandas(values, preserve_index=False))
        with transaction(connection):
            _stage(connection, vintage, moment)
            _refuse_second_content(connection, vintage, moment)
            _stage_later_vintages(connection, moment)
            added = _insert(connection, vintage, moment)
            _log(connection, vintage, moment, values, added)
    return added


def newest_label(warehouse: Warehouse, vintage: FactorVintage) -> str | None:
    """The label of the newest vintage held of the same table; None where none is, or where it has none."""
    with warehouse.write() as connection:
        row = connection.execute(
            "SELECT vintage FROM raw.factor_vintages WHERE region = ? AND frequency = ? AND construction = ? "
            "ORDER BY known_at DESC LIMIT 1",
            [vintage.region, vintage.frequency, vintage.construction],
        ).fetchone()
    return row[0] if row else None


def _checked(vintage: FactorVintage) -> pd.DataFrame:
    """The vintage's known values; NaN is no observation."""
    if vintage.frequency not in FREQUENCIES:
        raise UnusableVintageError(f"{vintage.name}: frequency must be one of {', '.join(FREQUENCIES)}")
    allowed = CONSTRUCTION_FACTORS.get(vintage.construction)
    if allowed is None:
        raise UnusableVintageError(
            f"{vintage.name}: construction must be one of {', '.join(CONSTRUCTION_FACTORS)}"
        )
    values = vintage.returns[["factor", "session", "value"]].dropna(subset="value").reset_index(drop=True)
    unknown = sorted(set(values["factor"]) - set(allowed))
    if unknown:
        raise UnusableVintageError(
            f"{vintage.name} ({vintage.detail}): factor {', '.join(unknown)} is not one of {', '.join(allowed)}"
        )
    twice = values.duplicated(["factor", "session"])
    if twice.any():
        row = values[twice].iloc[0]
        raise UnusableVintageError(
            f"{vintage.name} ({vintage.detail}): {row['factor']} has two values on {row['session']:%Y-%m-%d}; "
            "correct the file"
        )
    late = values["session"] > pd.Timestamp(naive_utc(vintage.known_at))
    if late.any():
        raise UnusableVintageError(
            f"{vintage.name} ({vintage.detail}): holds {values.loc[late, 'session'].max():%Y-%m-%d}, and is said to be "
            f"known at {naive_utc(vintage.known_at):%Y-%m-%d %H:%M} UTC (rule: nothing is known before it happens). Say "
            "when it was learned (--known-at), or correct the file's dates."
        )
    return values


def _stage(connection: duckdb.DuckDBPyConnection, vintage: FactorVintage, moment: datetime) -> None:
    """Temp tables: versions of this table, what was held at ``moment``, and what the vintage says differently."""
    table = [vintage.region, vintage.frequency, vintage.construction]
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE versions AS
        SELECT factor, session, known_at, value, withdrawn FROM raw.factors
        WHERE region = ? AND frequency = ? AND construction = ?
        """,
        table,
    )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE logged AS
        SELECT known_at, any_value(fetch_id) AS fetch_id, min(first_session) AS first_session,
               max(last_session) AS last_session
        FROM raw.factor_vintages WHERE region = ? AND frequency = ? AND construction = ? GROUP BY known_at
        """,
        table,
    )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE held AS
        SELECT * FROM versions WHERE known_at <= ?
        QUALIFY row_number() OVER (PARTITION BY factor, session ORDER BY known_at DESC) = 1
        """,
        [moment],
    )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE new_versions AS
        WITH told AS (SELECT factor, session::DATE AS session, value::DOUBLE AS value FROM in_values),
        span AS (SELECT min(session) AS first_session, max(session) AS last_session FROM told)
        SELECT t.factor, t.session, t.value, false AS withdrawn
        FROM told t LEFT JOIN held h USING (factor, session)
        WHERE h.known_at IS NULL OR h.withdrawn OR t.value IS DISTINCT FROM h.value
        UNION ALL BY NAME
        SELECT h.factor, h.session, NULL::DOUBLE AS value, true AS withdrawn
        FROM held h JOIN span s ON h.session BETWEEN s.first_session AND s.last_session
        ANTI JOIN told t ON t.factor = h.factor AND t.session = h.session
        WHERE NOT h.withdrawn
        """
    )


def _refuse_second_content(
    connection: duckdb.DuckDBPyConnection, vintage: FactorVintage, moment: datetime
) -> None:
    """One moment, one content: what a vintage of exactly this moment said of a session stands."""
    row = connection.execute(
        """
        SELECT n.factor, n.session, h.value, n.value
        FROM new_versions n LEFT JOIN held h USING (factor, session)
        WHERE h.known_at = ? OR EXISTS (
            SELECT 1 FROM logged l WHERE l.known_at = ? AND n.session BETWEEN l.first_session AND l.last_session)
        ORDER BY ALL LIMIT 1
        """,
        [moment, moment],
    ).fetchone()
    if row:
        raise OutOfOrderError(
            f"{vintage.name} {row[0]} {row[1]}: {vintage.detail} says {row[3]}, and {row[2]} is held as known at the same "
            f"moment, {moment:%Y-%m-%d %H:%M:%S} UTC (rule: one moment, one value). Keep one of the two files, or say when "
            "this one was learned with known_at."
        )


def _stage_later_vintages(connection: duckdb.DuckDBPyConnection, moment: datetime) -> None:
    """Temp table kept: what the next vintage that covers a changed value said of it, if it had nothing to write then."""
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE kept AS
        WITH following AS (
            SELECT n.factor, n.session, min_by(l.fetch_id, l.known_at) AS fetch_id, min(l.known_at) AS known_at
            FROM new_versions n JOIN logged l
              ON l.known_at > ? AND n.session BETWEEN l.first_session AND l.last_session
            GROUP BY n.factor, n.session
        )
        SELECT f.factor, f.session, f.known_at, f.fetch_id,
               max_by(v.value, v.known_at) FILTER (NOT v.withdrawn) AS value,
               coalesce(max_by(v.withdrawn, v.known_at), true) AS withdrawn,
               coalesce(max(v.known_at) = f.known_at, false) AS has_its_own
        FROM following f LEFT JOIN versions v
          ON v.factor = f.factor AND v.session = f.session AND v.known_at <= f.known_at
        GROUP BY f.factor, f.session, f.known_at, f.fetch_id
        """,
        [moment],
    )


def _insert(connection: duckdb.DuckDBPyConnection, vintage: FactorVintage, moment: datetime) -> int:
    table = [vintage.region, vintage.frequency, vintage.construction]
    row = connection.execute(
        """
        INSERT INTO raw.factors BY NAME
        SELECT ? AS region, ? AS frequency, ? AS construction, * FROM (
            SELECT factor, session, ?::TIMESTAMP AS known_at, ? AS fetch_id, value, withdrawn FROM new_versions
            UNION ALL BY NAME
            SELECT factor, session, known_at, fetch_id, CASE WHEN NOT withdrawn THEN value END AS value, withdrawn
            FROM kept WHERE NOT has_its_own
        ) ORDER BY factor, session, known_at
        """,
        [*table, moment, vintage.fetch_id],
    ).fetchone()
    return int(row[0]) if row else 0


def _log(
    connection: duckdb.DuckDBPyConnection,
    vintage: FactorVintage,
    moment: datetime,
    values: pd.DataFrame,
    added: int,
) -> None:
    """Record the vintage, unless it is one read before that says nothing new; a longer reading of one widens its span."""
    table = [vintage.region, vintage.frequency, vintage.construction]
    first, last = values["session"].min(), values["session"].max()
    known = connection.execute(
        """
        SELECT 1 FROM raw.factor_vintages
        WHERE region = ? AND frequency = ? AND construction = ? AND first_session <= ? AND last_session >= ?
          AND (known_at = ? OR (vintage = ? AND known_at <= ?)) LIMIT 1
        """,
        [*table, first.date(), last.date(), moment, vintage.label, moment],
    ).fetchone()
    if known and not added:
        return
    before = connection.execute(
        "DELETE FROM raw.factor_vintages WHERE region = ? AND frequency = ? AND construction = ? AND fetch_id = ? "
        "RETURNING first_session, last_session",
        [*table, vintage.fetch_id],
    ).fetchone() or (first.date(), last.date())
    connection.execute(
        "INSERT INTO raw.factor_vintages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            *table, moment, vintage.fetch_id, vintage.source, vintage.label, vintage.detail,
            min(before[0], first.date()), max(before[1], last.date()), len(values), added,
        ],
    )  # fmt: skip
