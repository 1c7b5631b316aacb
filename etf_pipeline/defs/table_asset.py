"""What every asset that is a table has in common, said once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline.storage.io_manager import table_schema


def table_out(table: str, description: str, owner: str = "team:research") -> dg.AssetOut:
    """One output of an asset that makes several tables at once."""
    stage, name = table.split(".")
    return dg.AssetOut(
        key=[stage, name],
        group_name=stage,
        kinds={"duckdb", "numpy"},
        owners=[owner],
        description=description,
        metadata={"dagster/column_schema": table_schema(CONTRACTS[table])},
    )


def table_asset(
    table: str,
    *,
    reads: Mapping[str, str],
    after: Sequence[str] = (),
    owner: str = "team:research",
    **more: Any,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """An asset that is the warehouse table ``table`` ("stage.name"), in the group of its stage.

    Parameters
    ----------
    reads : parameter of the function -> the table it is handed.
    after : assets it depends on without being handed them.
    more : passed on to ``dg.asset``.
    """
    stage, name = table.split(".")
    return dg.asset(
        key=[stage, name],
        ins={parameter: dg.AssetIn(read.split(".")) for parameter, read in reads.items()},
        deps=[dg.AssetKey(key.split(".")) for key in after],
        group_name=stage,
        kinds={"duckdb", "numpy"},
        owners=[owner],
        pool="warehouse",
        metadata={"dagster/column_schema": table_schema(CONTRACTS[table])},
        **more,
    )
