"""The daily job after each close, in the exchange's own time zone."""

import dagster as dg

from etf_pipeline.core.market.calendar import is_session, timezone_name
from etf_pipeline.defs.jobs import daily
from etf_pipeline.settings import load_settings

TIMEZONE = timezone_name(load_settings().market)


@dg.schedule(
    job=daily,
    cron_schedule="30 18 * * 1-5",
    execution_timezone=TIMEZONE,
    description="18:30 exchange time on weekdays; holidays are skipped.",
)
def daily_after_close(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Ask for the session that closed this afternoon; a run key makes it happen once."""
    settings = load_settings()
    today = context.scheduled_execution_time.date()
    if not is_session(settings.market, today):
        return dg.SkipReason(f"{today} is not a session of the {settings.market} calendar")
    if today < settings.operate_from:
        return dg.SkipReason(f"{today} is before operate_from {settings.operate_from}")
    return dg.RunRequest(run_key=today.isoformat(), partition_key=today.isoformat())
