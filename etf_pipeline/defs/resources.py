"""What assets are handed: the settings, the warehouse and the source, opened when first used."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import cached_property

import dagster as dg
import numpy as np

from etf_pipeline.core.market.calendar import last_final_session
from etf_pipeline.core.parallel import set_workers
from etf_pipeline.core.scoring.rules import (
    PeerRules,
    Penalty,
    PositionRules,
    ScoringRules,
    SpreadRules,
)
from etf_pipeline.scoring_settings import Scoring
from etf_pipeline.settings import Settings
from etf_pipeline.sources import Source, open_source
from etf_pipeline.sources.ingest import refuse_missing_benchmark
from etf_pipeline.storage.bitemporal import refuse_other_market
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.io_manager import WarehouseIOManager
from etf_pipeline.storage.lineage import RunInfo
from etf_pipeline.storage.run_lock import run_lock


def scoring_rules(scoring: Scoring) -> ScoringRules:
    """The settings' rules of a score, as the core takes them."""
    rules = scoring.model_dump()
    penalties = rules["penalties"]
    return ScoringRules(
        base_weights=rules["base_weights"],
        multipliers=rules["multipliers"],
        penalties={
            name: Penalty(rule["when"], tuple(rule["thresholds"]), tuple(rule["points"]))
            for name, rule in penalties.items()
            if name not in ("cap", "share")
        },
        penalty_share=penalties["share"],
        penalty_cap=penalties["cap"],
        position=PositionRules(**rules["position"]),
        peers=PeerRules(**rules["peers"]),
        spread=SpreadRules(**rules["spread"]),
    )


class Pipeline:
    """One configured installation: settings, warehouse, source, clock.

    Parameters
    ----------
    clock : returns the time now, time-zone aware; replaced in tests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        source: Source | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = settings
        set_workers(settings.workers)
        self.warehouse = Warehouse(settings.warehouse)
        self.clock = clock
        self._source = source

    @cached_property
    def source(self) -> Source:
        """The source that the settings name."""
        return self._source or open_source(self.settings)

    @cached_property
    def rules(self) -> ScoringRules:
        """The settings' rules of a score, as the core takes them."""
        return scoring_rules(self.settings.scoring)

    def run_info(self, run_id: str) -> RunInfo:
        """What the lineage tables record of a run."""
        return RunInfo(run_id, self.settings.settings_hash(), self.settings.research_settings())

    def refuse_other_market(self) -> None:
        """Raise MixedSourcesError where the warehouse holds another market, or simulated beside real data."""
        refuse_other_market(
            self.warehouse,
            market=self.settings.market,
            simulated=self.source.simulated,
            source=self.source.name,
        )

    def refuse_missing_benchmark(self) -> None:
        """Raise BenchmarkMissingError where neither warehouse nor source has the market fund; nothing is written."""
        refuse_missing_benchmark(
            self.source, self.warehouse, benchmark=self.settings.benchmark_ticker, market=self.settings.market
        )

    def last_final_session(self) -> date:
        """The newest session that has closed, or the settings' ``end`` if that is earlier."""
        final = last_final_session(self.settings.market, self.clock(), margin_minutes=45)
        if self.settings.end is not None:
            final = min(final, np.datetime64(self.settings.end, "D"))
        return final.astype(object)


def build_resources(pipeline: Pipeline) -> dict[str, object]:
    """The resources of every job, for one installation."""

    @dg.resource(
        description="Settings, warehouse and source; holds the warehouse's run lock while a run lasts."
    )
    def locked_pipeline(_: dg.InitResourceContext) -> Iterator[Pipeline]:
        with run_lock(pipeline.warehouse.directory):
            pipeline.refuse_other_market()
            pipeline.refuse_missing_benchmark()
            yield pipeline

    return {
        "pipeline": locked_pipeline,
        "io_manager": WarehouseIOManager(
            pipeline.warehouse, pipeline.settings.settings_hash(), pipeline.settings.research_settings()
        ),
    }


PipelineResource = dg.ResourceParam[Pipeline]
