"""The asset graph as review sees it, and what every asset owes the person who opens its page.

A change of the graph shows in ``asset_graph.txt``. To write the file anew::

    UPDATE_ASSET_GRAPH=1 pytest etf_pipeline_tests/defs/test_defs.py
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from pathlib import Path

import dagster as dg
import pytest

from etf_pipeline.definitions import defs
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline.storage.io_manager import table_schema

SNAPSHOT = Path(__file__).with_name("asset_graph.txt")
STAGES = ["ingest", "market", "risk", "signals", "scoring", "validation", "attribution", "production"]
# Assets that hold a raw table under another name, and the one that is a file.
TABLE = {
    "raw.price_history": "raw.bars",
    "raw.raw_prices": "raw.bars",
    "raw.reference_series": "raw.macro",
    "raw.factor_returns": "raw.factors",
    "production.published_snapshot": None,
    "production.tear_sheets": None,
}


def specs() -> list[dg.AssetSpec]:
    return sorted(defs.resolve_all_asset_specs(), key=lambda s: (STAGES.index(str(s.group_name)), s.key))


def table_of(spec: dg.AssetSpec) -> str | None:
    name = ".".join(spec.key.path)
    return TABLE.get(name, name)


def describe_graph() -> str:
    """One paragraph an asset, in the order of the stages; then jobs and schedules."""
    graph = defs.resolve_asset_graph()
    lines = []
    for spec in specs():
        name = spec.key.to_user_string()
        partitions = " partitioned" if spec.partitions_def else ""
        lines.append(f"{name} [{spec.group_name}; {', '.join(sorted(spec.kinds))}]{partitions}")
        lines += [
            f"    from {dep.asset_key.to_user_string()}"
            for dep in sorted(spec.deps, key=lambda d: d.asset_key)
        ]
        for key in sorted(graph.get_check_keys_for_assets({spec.key}), key=lambda k: k.name):
            blocking = " (blocking)" if graph.get(key).blocking else ""
            lines.append(f"    check {key.name}{blocking}")
    for job in ("build", "daily"):
        selected = defs.resolve_job_def(job).asset_layer.selected_asset_keys
        left_out = [s.key.to_user_string() for s in specs() if s.key not in selected]
        lines.append(f"job {job}: all but {', '.join(left_out)}")
    schedule = defs.resolve_schedule_def("daily_after_close")
    lines.append(f"schedule {schedule.name}: {schedule.job_name} at {schedule.cron_schedule}")
    return "\n".join(lines) + "\n"


def test_graph_is_the_one_that_was_reviewed() -> None:
    if os.environ.get("UPDATE_ASSET_GRAPH"):
        SNAPSHOT.write_text(describe_graph(), encoding="utf-8")
    assert describe_graph() == SNAPSHOT.read_text(encoding="utf-8"), f"see the head of {__file__}"


@pytest.mark.parametrize("spec", specs(), ids=lambda s: s.key.to_user_string())
class TestEveryAsset:
    def test_says_what_it_is(self, spec: dg.AssetSpec) -> None:
        assert spec.description
        assert len(spec.description) > 20
        assert spec.owners
        assert spec.kinds

    def test_group_is_the_folder_that_defines_it(self, spec: dg.AssetSpec) -> None:
        package = importlib.import_module(f"etf_pipeline.defs.{spec.group_name}")
        modules = [
            importlib.import_module(f"{package.__name__}.{module.name}")
            for module in pkgutil.iter_modules(package.__path__)
        ]
        defined = {
            key
            for module in modules
            for value in vars(module).values()
            if isinstance(value, dg.AssetsDefinition)
            for key in value.keys
        }
        assert spec.key in defined

    def test_shows_the_contract_of_its_table(self, spec: dg.AssetSpec) -> None:
        table = table_of(spec)
        if table is None:
            assert "dagster/column_schema" not in spec.metadata
        else:
            assert spec.metadata["dagster/column_schema"] == table_schema(CONTRACTS[table])

    def test_takes_its_turn_as_the_one_writer(self, spec: dg.AssetSpec) -> None:
        assert defs.resolve_assets_def(spec.key).op.pool == "warehouse"

    def test_is_partitioned_as_its_table(self, spec: dg.AssetSpec) -> None:
        name = ".".join(spec.key.path)
        if name in CONTRACTS:
            assert (spec.partitions_def is not None) == (CONTRACTS[name].partitioned_by is not None)


def test_stages_read_from_left_to_right() -> None:
    backwards = [
        f"{dep.asset_key.to_user_string()} -> {spec.key.to_user_string()}"
        for spec in specs()
        for dep in spec.deps
        if STAGES.index(str(defs.resolve_assets_def(dep.asset_key).group_names_by_key[dep.asset_key]))
        > STAGES.index(str(spec.group_name))
    ]
    assert not backwards


def test_every_table_of_the_research_tier_has_its_asset_and_contract_check() -> None:
    checked = {k.asset_key for k in defs.resolve_asset_graph().asset_check_keys if k.name == "contract"}
    research = [
        name
        for name in CONTRACTS
        if name.split(".")[0] in {"market", "risk", "signals", "scoring", "validation", "attribution"}
    ]
    assert checked == {dg.AssetKey(name.split(".")) for name in research}


def test_errors_block_and_warnings_do_not() -> None:
    from etf_pipeline.storage.checks import RULES

    graph = defs.resolve_asset_graph()
    for rule in RULES:
        key = dg.AssetCheckKey(dg.AssetKey(rule.table.split(".")), rule.name)
        assert graph.get(key).blocking == (rule.severity == "error"), rule.name
