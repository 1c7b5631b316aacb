"""Replacing a table, or a partition of it, in one transaction under its contract."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb
import pandas as pd
import pyarrow as pa

from etf_pipeline.storage.connection import Warehouse, stored_columns, transaction
from etf_pipeline.storage.contracts import CONTRACTS, Contract, ContractError
from etf_pipeline.storage.hashing import content_hash
from etf_pipeline.storage.lineage import RunInfo, Written, latest, record, utc_now

ARROW_TYPES = {
    "VARCHAR": pa.string(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "DOUBLE": pa.float64(),
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "SMALLINT": pa.int16(),
    "BOOLEAN": pa.bool_(),
}


def to_arrow(frame: pd.DataFrame, contract: Contract) -> pa.Table:
    """The frame with exactly the contract's columns, order and types; NaN and NaT become NULL.

    Raises
    ------
    ContractError : a column is missing, surplus, or cannot be its type.
    """
    missing = [name for name in contract.names if name not in frame.columns]
    surplus = [str(name) for name in frame.columns if name not in contract.names]
    if missing or surplus:
        raise ContractError(
            f"{contract.table}: missing columns {missing}, unknown columns {surplus}; "
            f"the contract has {list(contract.names)}"
        )
    arrays = []
    for column in contract.columns:
        values = frame[column.name]
        if column.type == "DATE":
            values = pd.to_datetime(values).astype("datetime64[s]")
        try:
            array = pa.Array.from_pandas(values, type=ARROW_TYPES[column.type])
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise ContractError(f"{contract.table}.{column.name} must be {column.type}: {error}") from error
        if not column.nullable and array.null_count:
            at = array.is_null().to_pylist().index(True)
            row = {k: str(frame[k].iloc[at]) for k in contract.key}
            raise ContractError(
                f"{contract.table}.{column.name} may not be NULL: {array.null_count} rows, the first {row}"
            )
        arrays.append(array)
    return pa.Table.from_arrays(arrays, names=list(contract.names))


def check_key(connection: duckdb.DuckDBPyConnection, rows: str, contract: Contract) -> None:
    """Raise ContractError where two rows of the registered relation ``rows`` share the contract's key."""
    key = ", ".join(f'"{k}"' for k in contract.key)
    twice = connection.execute(
        f"SELECT {key}, count(*) FROM {rows} GROUP BY {key} HAVING count(*) > 1 ORDER BY ALL LIMIT 1"  # noqa: S608
    ).fetchone()
    if twice:
        named = dict(zip(contract.key, map(str, twice), strict=False))
        raise ContractError(f"{contract.table}: {twice[-1]} rows share the key {named}")


def write_table(
    warehouse: Warehouse,
    table: str,
    frame: pd.DataFrame,
    run: RunInfo,
    *,
    inputs: Sequence[str] = (),
    partitions: Sequence[str] | None = None,
    started: datetime | None = None,
) -> list[Written]:
    """Replace ``table`` (or the named partitions of it) by ``frame``; all or nothing.

    Where the content is what the table already holds, nothing is rewritten and ``changed`` is False. A
    partition of a contract with ``immutable_slices`` that already has rows is left as it stands.

    Parameters
    ----------
    partitions : ISO dates of the slices replaced, for a contract with ``partitioned_by``; None replaces
        the whole table.

    Raises
    ------
    ContractError : the frame breaks the contract, has rows outside the slice, or would empty a table
        that may not be empty. The old rows stand.
    """
    contract = CONTRACTS[table]
    started = started or utc_now()
    if partitions is not None and contract.partitioned_by is None:
        raise ContractError(f"{table} is not partitioned, yet partitions {list(partitions)} were given")
    arrow = to_arrow(frame, contract)
    slices: list[tuple[str | None, pd.DataFrame]] = [(None, frame)]
    if partitions is not None:
        slices = _split(frame, contract, partitions)
    written = []
    with warehouse.write() as connection:
        connection.register("incoming", arrow)
        check_key(connection, "incoming", contract)
        with transaction(connection):
            for name, part in slices:
                written.append(_replace(connection, contract, name, part, run, inputs, started))
    return written


def _replace(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    partition: str | None,
    part: pd.DataFrame,
    run: RunInfo,
    inputs: Sequence[str],
    started: datetime,
) -> Written:
    table = contract.table
    digest = content_hash(part, contract)
    held = latest(connection, table, partition)
    rows = len(part)
    where = "" if partition is None else f" WHERE \"{contract.partitioned_by}\" = DATE '{partition}'"
    row = connection.execute(f"SELECT count(*) FROM {table}{where}").fetchone()  # noqa: S608
    stored = int(row[0]) if row else 0
    # A young market has no betas yet: an empty table may stay empty. What is held is not replaced by nothing.
    if rows == 0 and not contract.allow_empty and (stored or partition is not None):
        raise ContractError(
            f"{f'partition {partition} of ' if partition else ''}{table}: refused to replace {stored} rows by "
            "nothing. If the stage above it really has no rows, look at its quality events and exclusions; "
            "the old rows stand."
        )
    if contract.immutable_slices and held is not None and stored:
        return record(
            connection, run, asset=table, partition=partition, inputs=inputs, row_count=held[1],
            content_hash=held[0], changed=False, started=started,
        )  # fmt: skip
    held_columns = stored_columns(connection, table)
    outdated = partition is None and sorted(held_columns) != sorted(contract.names)
    changed = outdated or held is None or held[0] != digest or stored != rows
    if not changed:
        # The record may be right and the rows not: somebody may have written to the table by hand.
        actual = connection.execute(f"SELECT * FROM {table}{where}").to_arrow_table()  # noqa: S608
        changed = content_hash(from_arrow(actual), contract) != digest
    if changed:
        if outdated:
            # Made by an earlier version with other columns; the whole of it is being replaced.
            connection.execute(f"DROP TABLE {table}")
            connection.execute(contract.ddl())
        else:
            connection.execute(f"DELETE FROM {table}{where}")  # noqa: S608
        connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming{where}")  # noqa: S608
    return record(
        connection, run, asset=table, partition=partition, inputs=inputs, row_count=rows,
        content_hash=digest, changed=changed, started=started,
    )  # fmt: skip


def _split(
    frame: pd.DataFrame, contract: Contract, partitions: Sequence[str]
) -> list[tuple[str | None, pd.DataFrame]]:
    days = pd.to_datetime(frame[contract.partitioned_by]).dt.strftime("%Y-%m-%d")
    outside = sorted(set(days) - set(partitions))
    if outside:
        raise ContractError(
            f"{contract.table}: rows outside the slice {partitions[0]}..{partitions[-1]}: {outside[:5]}"
        )
    groups = {str(name): part for name, part in frame.groupby(days, sort=False)}
    return [(name, groups.get(name, frame.iloc[:0])) for name in partitions]


def read_table(warehouse: Warehouse, table: str, where: str = "") -> pd.DataFrame:
    """A whole table, or the rows of ``WHERE where``, in key order, dates as datetime64[s]."""
    contract = CONTRACTS[table]
    with warehouse.read() as connection:
        order = ", ".join(f'"{k}"' for k in contract.key)
        clause = f" WHERE {where}" if where else ""
        arrow = connection.execute(f"SELECT * FROM {table}{clause} ORDER BY {order}").to_arrow_table()  # noqa: S608
    return from_arrow(arrow)


def from_arrow(arrow: pa.Table) -> pd.DataFrame:
    """Arrow to pandas with DATE as datetime64[s] and NULL as NaN, NaT or None."""
    return arrow.to_pandas(date_as_object=False).pipe(_seconds)


def _seconds(frame: pd.DataFrame) -> pd.DataFrame:
    dates = [c for c in frame.columns if str(frame[c].dtype).startswith("datetime64[ms")]
    return frame.astype(dict.fromkeys(dates, "datetime64[s]")) if dates else frame


RAW_TABLE = {
    "raw.price_history": "raw.bars",
    "raw.raw_prices": "raw.bars",
    "raw.listings": "raw.listings",
    "raw.reference_series": "raw.macro",
    "raw.factor_returns": "raw.factors",
}


def record_raw(warehouse: Warehouse, asset: str, partition: str | None, run: RunInfo) -> Written:
    """Record that a raw asset was materialised, with the hash of everything its table now holds.

    ``partition`` narrows rows and hash to that session.
    """
    contract = CONTRACTS[RAW_TABLE[asset]]
    started = utc_now()
    with warehouse.write() as connection:
        where = f" WHERE session = DATE '{partition}'" if partition else ""
        frame = from_arrow(connection.execute(f"SELECT * FROM {contract.table}{where}").to_arrow_table())  # noqa: S608
        digest = content_hash(frame, contract)
        held = latest(connection, asset, partition)
        with transaction(connection):
            return record(
                connection, run, asset=asset, partition=partition, inputs=(), row_count=len(frame),
                content_hash=digest, changed=held is None or held[0] != digest, started=started,
            )  # fmt: skip
