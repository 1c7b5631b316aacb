"""Daily partitions: the exchange's sessions from go-live on, holidays left out."""

from datetime import timedelta

import dagster as dg

from etf_pipeline.core.market.calendar import holidays, timezone_name
from etf_pipeline.settings import Settings, load_settings


def daily_partitions(settings: Settings) -> dg.TimeWindowPartitionsDefinition:
    """One partition a session from ``operate_from``; ``end_offset=1`` so that today's exists tonight."""
    horizon = settings.operate_from + timedelta(days=3650)
    return dg.TimeWindowPartitionsDefinition(
        start=settings.operate_from.isoformat(),
        cron_schedule="0 0 * * 1-5",
        fmt="%Y-%m-%d",
        timezone=timezone_name(settings.market),
        exclusions=holidays(settings.market, settings.operate_from, horizon),
        end_offset=1,
    )


# The calendar is part of the graph, so it is read when the definitions are loaded.
daily_sessions = daily_partitions(load_settings())
