"""Contracts: DDL that DuckDB takes, comments in the warehouse, refusals that name the row."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.contracts import CONTRACTS, Column, Contract, ContractError
from etf_pipeline.storage.lineage import RunInfo
from etf_pipeline.storage.tables import read_table, to_arrow, write_table

RUN = RunInfo("run-1", "0" * 16, {"market": "asx"})


def volatility(tickers: list[str], day: str = "2024-01-02", value: float = 0.2) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ticker": tickers,
            "session": pd.Timestamp(day),
            "volatility_annualised": value,
            "volatility_1_annualised": value,
            "volatility_5_annualised": value,
            "ewma_annualised": value,
            "model": "ewma_shrunk",
        }
    )


def published(day: str, tickers: list[str], score: float = 50.0) -> pd.DataFrame:
    contract = CONTRACTS["production.published_ranking"]
    frame = pd.DataFrame({name: [None] * len(tickers) for name in contract.names})
    return frame.assign(
        session=pd.Timestamp(day), ticker=tickers, final_score=score, simulated=True,
        published_at=datetime.now(UTC).replace(tzinfo=None),
        rank=range(1, len(tickers) + 1),
    )  # fmt: skip


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


@pytest.mark.parametrize("table", sorted(CONTRACTS))
def test_every_contract_is_a_table_with_comments(table: str) -> None:
    contract = CONTRACTS[table]
    connection = duckdb.connect()
    connection.execute(f"CREATE SCHEMA {contract.schema}")
    connection.execute(contract.ddl())
    rows = connection.execute(
        "SELECT column_name, comment, is_nullable FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? "
        "ORDER BY column_index",
        table.split("."),
    ).fetchall()
    assert [r[0] for r in rows] == list(contract.names)
    assert all(r[1] for r in rows), "a column without a doc"
    assert [r[2] for r in rows] == [c.nullable for c in contract.columns]


def test_key_outside_the_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        Contract("market.x", "doc", "grain", (Column("ticker", "VARCHAR", "doc"),), ("nowhere",))


def test_missing_and_surplus_columns_are_named() -> None:
    frame = volatility(["A"]).rename(columns={"model": "modell"})
    with pytest.raises(ContractError, match=r"missing columns \['model'\], unknown columns \['modell'\]"):
        to_arrow(frame, CONTRACTS["risk.volatility"])


def test_null_in_a_not_null_column_names_the_row() -> None:
    frame = volatility(["A", "B"])
    frame.loc[1, "volatility_annualised"] = np.nan
    with pytest.raises(
        ContractError, match=r"volatility_annualised may not be NULL: 1 rows, the first .*'B'"
    ):
        to_arrow(frame, CONTRACTS["risk.volatility"])


def test_wrong_type_is_refused_by_name() -> None:
    frame = volatility(["A"]).assign(volatility_annualised="much")
    with pytest.raises(ContractError, match=r"risk\.volatility\.volatility_annualised must be DOUBLE"):
        to_arrow(frame, CONTRACTS["risk.volatility"])


def test_a_bad_frame_leaves_the_old_rows(warehouse: Warehouse) -> None:
    write_table(warehouse, "risk.volatility", volatility(["A", "B"]), RUN)
    with pytest.raises(ContractError, match="2 rows share the key"):
        write_table(warehouse, "risk.volatility", volatility(["C", "C"]), RUN)
    with pytest.raises(ContractError, match="refused to replace 2 rows by nothing"):
        write_table(warehouse, "risk.volatility", volatility([]), RUN)
    assert list(read_table(warehouse, "risk.volatility")["ticker"]) == ["A", "B"]


def test_an_empty_table_may_stay_empty_but_a_published_session_may_not(warehouse: Warehouse) -> None:
    assert write_table(warehouse, "risk.volatility", volatility([]), RUN)[0].row_count == 0
    with pytest.raises(
        ContractError, match=r"partition 2026-01-05 of production\.published_ranking: refused"
    ):
        write_table(
            warehouse,
            "production.published_ranking",
            published("2026-01-05", []),
            RUN,
            partitions=["2026-01-05"],
        )


def test_writes_go_by_name_not_position(warehouse: Warehouse) -> None:
    shuffled = volatility(["A"]).iloc[:, ::-1]
    write_table(warehouse, "risk.volatility", shuffled, RUN)
    assert read_table(warehouse, "risk.volatility").loc[0, "ticker"] == "A"


def test_rows_outside_the_partition_are_refused(warehouse: Warehouse) -> None:
    frame = pd.concat([published("2026-01-05", ["A"]), published("2026-01-06", ["A"])])
    with pytest.raises(ContractError, match=r"outside the slice .*2026-01-06"):
        write_table(warehouse, "production.published_ranking", frame, RUN, partitions=["2026-01-05"])


def test_partitions_on_an_unpartitioned_table_are_refused(warehouse: Warehouse) -> None:
    with pytest.raises(ContractError, match="is not partitioned"):
        write_table(warehouse, "risk.volatility", volatility(["A"]), RUN, partitions=["2024-01-02"])


def test_a_published_session_is_never_rewritten(warehouse: Warehouse) -> None:
    table = "production.published_ranking"
    write_table(warehouse, table, published("2026-01-05", ["A", "B"]), RUN, partitions=["2026-01-05"])
    again = write_table(
        warehouse, table, published("2026-01-05", ["A", "B"], score=99.0), RUN, partitions=["2026-01-05"]
    )
    assert not again[0].changed
    assert set(read_table(warehouse, table)["final_score"]) == {50.0}


def test_other_partitions_stay(warehouse: Warehouse) -> None:
    table = "production.published_ranking"
    for day in ("2026-01-05", "2026-01-06"):
        write_table(warehouse, table, published(day, ["A"]), RUN, partitions=[day])
    assert len(read_table(warehouse, table)) == 2


def test_the_same_content_is_written_once(warehouse: Warehouse) -> None:
    first = write_table(warehouse, "risk.volatility", volatility(["A", "B"]), RUN)
    shuffled = volatility(["B", "A"])
    second = write_table(warehouse, "risk.volatility", shuffled, RUN)
    third = write_table(warehouse, "risk.volatility", volatility(["A", "B"], value=0.3), RUN)
    assert first[0].changed
    assert not second[0].changed
    assert third[0].changed
    assert first[0].content_hash == second[0].content_hash != third[0].content_hash


def test_lineage_walks_from_reader_to_what_it_read(warehouse: Warehouse) -> None:
    write_table(warehouse, "risk.volatility", volatility(["A"]), RUN)
    write_table(warehouse, "risk.volatility", volatility(["A"], value=0.4), RUN)
    momentum = pd.DataFrame(
        {
            "ticker": ["A"],
            "session": pd.Timestamp("2024-01-02"),
            **{name: [0.1] for name in CONTRACTS["signals.momentum"].names[2:]},
        }
    )
    top = write_table(warehouse, "signals.momentum", momentum, RUN, inputs=["risk.volatility"])
    with warehouse.read() as connection:
        rows = connection.execute(
            "SELECT asset, depth, settings_hash FROM meta.ancestry(?) ORDER BY depth",
            [top[0].materialization_id],
        ).fetchall()
        read = connection.execute(
            "SELECT input_id FROM meta.inputs WHERE materialization_id = ?", [top[0].materialization_id]
        ).fetchall()
    assert [r[:2] for r in rows] == [("signals.momentum", 0), ("risk.volatility", 1)]
    assert read == [(2,)], "the newest materialisation of the input is what was read"


def test_rows_changed_by_hand_are_found_and_replaced(warehouse: Warehouse) -> None:
    write_table(warehouse, "risk.volatility", volatility(["A", "B"]), RUN)
    with warehouse.write() as connection:
        connection.execute("UPDATE risk.volatility SET volatility_annualised = -5 WHERE ticker = 'A'")
    assert write_table(warehouse, "risk.volatility", volatility(["A", "B"]), RUN)[0].changed
    assert set(read_table(warehouse, "risk.volatility")["volatility_annualised"]) == {0.2}


def test_a_dropped_table_comes_back(warehouse: Warehouse) -> None:
    write_table(warehouse, "risk.volatility", volatility(["A"]), RUN)
    with warehouse.write() as connection:
        connection.execute("DROP TABLE risk.volatility")
    write_table(warehouse, "risk.volatility", volatility(["A"]), RUN)
    assert len(read_table(warehouse, "risk.volatility")) == 1


def test_a_research_table_of_an_earlier_version_is_made_anew_when_written(warehouse: Warehouse) -> None:
    """Columns it has lost go with the whole replacement, and the NOT NULLs of its contract hold again."""
    write_table(warehouse, "risk.volatility", volatility(["A"]), RUN)
    with warehouse.write() as connection:
        connection.execute("ALTER TABLE risk.volatility ADD COLUMN bygone DOUBLE")
    assert list(read_table(warehouse, "risk.volatility")["ticker"]) == ["A"]
    written = write_table(warehouse, "risk.volatility", volatility(["A"]), RUN)
    assert written[0].changed
    with warehouse.read() as connection:
        columns = connection.execute("DESCRIBE risk.volatility").fetchall()
    assert [c[0] for c in columns] == list(CONTRACTS["risk.volatility"].names)
    assert {c[0]: c[2] for c in columns}["model"] == "NO"
