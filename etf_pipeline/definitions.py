"""The entry point Dagster loads: everything under ``defs/``, with the resources the settings pick."""

from __future__ import annotations

import dagster as dg

from etf_pipeline import defs as stages
from etf_pipeline.defs import checks, jobs, schedules
from etf_pipeline.defs.resources import Pipeline, build_resources
from etf_pipeline.settings import load_settings

pipeline = Pipeline(load_settings())

defs = dg.Definitions(
    assets=dg.load_assets_from_package_module(stages),
    asset_checks=checks.checks,
    jobs=[jobs.build, jobs.daily],
    schedules=[schedules.daily_after_close],
    resources=build_resources(pipeline),
    executor=dg.in_process_executor,
)
