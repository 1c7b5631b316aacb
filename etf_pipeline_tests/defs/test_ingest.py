"""The assets of factor returns and reference series write what the settings name, with lineage, once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from etf_pipeline.defs.ingest.assets import factor_returns, reference_series
from etf_pipeline.defs.resources import Pipeline, build_resources
from etf_pipeline.settings import Settings
from etf_pipeline_tests.harness import rows
from etf_pipeline_tests.sources.french_texts import US_DAILY
from etf_pipeline_tests.sources.test_ingest import FakeVendor

ASSETS = [factor_returns, reference_series]


def materialize(directory: Path, **settings: object) -> tuple[Pipeline, dg.ExecuteInProcessResult]:
    chosen = Settings(source="yahoo", benchmark="A", warehouse=directory / "warehouse", **settings)  # type: ignore[arg-type]
    pipeline = Pipeline(chosen, source=FakeVendor(), clock=lambda: datetime(2024, 1, 5, 9, tzinfo=UTC))
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            ASSETS, instance=instance, resources=build_resources(pipeline),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )  # fmt: skip
    return pipeline, result


def new_versions(result: dg.ExecuteInProcessResult, asset: str) -> object:
    (found,) = result.asset_materializations_for_node(f"raw__{asset}")
    return found.metadata["new_versions"].value


def test_factor_files_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "ff").mkdir()
    (tmp_path / "ff" / "F-F_Research_Data_Factors_daily.CSV").write_text(US_DAILY)
    for expected in (12, 0):
        pipeline, result = materialize(tmp_path, factor_path=tmp_path / "ff")
        assert new_versions(result, "factor_returns") == expected
    (found,) = result.asset_materializations_for_node("raw__factor_returns")
    assert found.metadata["dagster/row_count"].value == 12
    assert "us daily three_factor" in str(found.metadata["vintages"].value)
    recorded = rows(pipeline.warehouse, "meta.materializations", "asset = 'raw.factor_returns'")
    assert recorded["row_count"].tolist() == [12, 12]
    assert recorded["content_hash"].nunique() == 1


def test_without_factors_the_table_is_empty(tmp_path: Path) -> None:
    pipeline, result = materialize(tmp_path)
    assert new_versions(result, "factor_returns") == 0
    assert len(rows(pipeline.warehouse, "raw.factors")) == 0
    assert new_versions(result, "reference_series") == 1


def test_reference_series_from_files_beside_another_source(tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "VIXCLS.csv").write_text("date,value\n2024-01-02,13.2\n2024-01-03,14.0\n")
    pipeline, result = materialize(tmp_path, reference_source="files", reference_path=tmp_path / "series")
    assert new_versions(result, "reference_series") == 2
    assert set(rows(pipeline.warehouse, "raw.macro")["fetch_id"]) == {"files-reference"}
