"""The IO manager: a frame in, a table replaced in one transaction with its lineage; a table out, a frame."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pandas as pd

from etf_pipeline.storage.column_lineage import COLUMN_LINEAGE
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.contracts import CONTRACTS, Contract
from etf_pipeline.storage.lineage import RunInfo, Written
from etf_pipeline.storage.tables import read_table, write_table


def table_name(key: dg.AssetKey) -> str:
    """The warehouse table of an asset: its key's parts joined by a point."""
    return ".".join(key.path)


def table_schema(contract: Contract) -> dg.TableSchema:
    """The contract as Dagster shows it on an asset's page."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                c.name,
                c.type,
                description=c.comment,
                constraints=dg.TableColumnConstraints(nullable=c.nullable),
            )
            for c in contract.columns
        ],
        constraints=dg.TableConstraints(other=[f"unique ({', '.join(contract.key)})", contract.grain]),
    )


class WarehouseIOManager(dg.IOManager):
    """Writes each asset's frame to the table of its name, under that table's contract.

    Parameters
    ----------
    warehouse : where the tables are.
    settings_hash, settings : recorded with every materialisation.
    """

    def __init__(self, warehouse: Warehouse, settings_hash: str, settings: dict[str, object]) -> None:
        self._warehouse = warehouse
        self._settings_hash = settings_hash
        self._settings = settings

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame) -> None:
        """Replace the asset's table, or its partitions in this run, by ``obj``."""
        table = table_name(context.asset_key)
        partitions = None
        if CONTRACTS[table].partitioned_by is not None:
            partitions = list(context.asset_partition_keys)
        written = write_table(
            self._warehouse,
            table,
            obj,
            RunInfo(context.run_id, self._settings_hash, self._settings),
            inputs=[table_name(dep.asset_key) for dep in context.asset_spec.deps],
            partitions=partitions,
            started=_step_start(context),
        )
        context.add_output_metadata(_metadata(written, table))

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """The whole table; for a partitioned reader of a partitioned table, its partitions only."""
        table = table_name(context.asset_key)
        contract = CONTRACTS[table]
        where = ""
        if contract.partitioned_by is not None and context.has_asset_partitions:
            keys = ", ".join(f"DATE '{key}'" for key in context.asset_partition_keys)
            where = f'"{contract.partitioned_by}" IN ({keys})'
        return read_table(self._warehouse, table, where)


def column_lineage(table: str) -> dg.TableColumnLineage:
    """Where the columns of ``table`` come from, as Dagster shows it."""
    return dg.TableColumnLineage(
        {
            column: [
                dg.TableColumnDep(asset_key=dg.AssetKey(asset.split(".")), column_name=name)
                for asset, _, name in (source.rpartition(".") for source in sources)
            ]
            for column, sources in COLUMN_LINEAGE.get(table, {}).items()
        }
    )


def _metadata(written: list[Written], table: str) -> dict[str, dg.MetadataValue]:
    return {
        "dagster/column_lineage": dg.MetadataValue.column_lineage(column_lineage(table)),
        "dagster/row_count": dg.MetadataValue.int(sum(w.row_count for w in written)),
        "dagster/table_name": dg.MetadataValue.text(table),
        "content_hash": dg.MetadataValue.text(", ".join(dict.fromkeys(w.content_hash for w in written[-3:]))),
        "changed": dg.MetadataValue.bool(any(w.changed for w in written)),
        "materialization_id": dg.MetadataValue.int(written[-1].materialization_id),
    }


def _step_start(context: dg.OutputContext) -> datetime | None:
    """When the step that made this output began, UTC without a time zone, as the event log has it."""
    stats = context.step_context.instance.get_run_step_stats(context.run_id, [context.step_key])
    if not stats or stats[0].start_time is None:
        return None
    return datetime.fromtimestamp(stats[0].start_time, UTC).replace(tzinfo=None)
