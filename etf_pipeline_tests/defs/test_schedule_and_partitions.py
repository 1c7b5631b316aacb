"""When the daily job runs, and for which sessions it can."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from etf_pipeline.definitions import defs
from etf_pipeline.defs.partitions import daily_partitions
from etf_pipeline.defs.schedules import daily_after_close
from etf_pipeline.settings import Settings

SYDNEY = ZoneInfo("Australia/Sydney")


def evening(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T18:30:00").replace(tzinfo=SYDNEY)


@pytest.fixture(autouse=True)
def _defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings as shipped, whatever the machine's own ``etf.toml`` says."""
    (tmp_path / "etf.toml").touch()
    monkeypatch.setenv("ETF_CONFIG", str(tmp_path / "etf.toml"))
    monkeypatch.delenv("ETF_OPERATE_FROM", raising=False)
    monkeypatch.delenv("ETF_MARKET", raising=False)


def ask(day: str) -> dg.RunRequest | dg.SkipReason:
    with dg.build_schedule_context(scheduled_execution_time=evening(day)) as context:
        answer = daily_after_close(context)
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


class TestSchedule:
    def test_asks_for_the_session_that_closed_this_afternoon(self) -> None:
        request = ask("2026-02-20")
        assert isinstance(request, dg.RunRequest)
        assert request.partition_key == "2026-02-20"

    def test_the_run_key_makes_it_happen_once(self) -> None:
        assert ask("2026-02-20").run_key == ask("2026-02-20").run_key == "2026-02-20"
        assert ask("2026-02-19").run_key != ask("2026-02-20").run_key

    @pytest.mark.parametrize("holiday", ["2026-01-26", "2026-04-03", "2026-12-25"])
    def test_skips_a_holiday_and_says_so(self, holiday: str) -> None:
        skipped = ask(holiday)
        assert isinstance(skipped, dg.SkipReason)
        assert f"{holiday} is not a session of the asx calendar" in str(skipped.skip_message)

    def test_skips_sessions_before_operations_began(self) -> None:
        skipped = ask("2025-12-18")
        assert isinstance(skipped, dg.SkipReason)
        assert "before operate_from 2026-01-05" in str(skipped.skip_message)

    def test_what_it_asks_for_is_a_partition_of_the_job(self) -> None:
        partitions = defs.resolve_job_def("daily").partitions_def
        assert partitions is not None
        for day in ("2026-01-05", "2026-02-20"):
            key = ask(day).partition_key
            assert key in partitions.get_partition_keys(current_time=evening("2026-03-02"))

    def test_speaks_exchange_time(self) -> None:
        schedule = defs.resolve_schedule_def("daily_after_close")
        assert schedule.execution_timezone == "Australia/Sydney"
        assert schedule.cron_schedule == "30 18 * * 1-5"

    def test_is_off_until_someone_switches_it_on(self) -> None:
        schedule = defs.resolve_schedule_def("daily_after_close")
        assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED


class TestPartitions:
    partitions = daily_partitions(Settings(market="asx"))

    def keys(self, now: datetime) -> list[str]:
        return list(self.partitions.get_partition_keys(current_time=now))

    def test_begin_at_operate_from(self) -> None:
        assert self.keys(evening("2026-03-02"))[0] == "2026-01-05"
        later = daily_partitions(Settings(market="asx", operate_from=date(2026, 2, 2)))
        assert later.get_partition_keys(current_time=evening("2026-03-02"))[0] == "2026-02-02"

    def test_are_sessions_only(self) -> None:
        keys = self.keys(evening("2026-12-31"))
        assert not {"2026-01-26", "2026-04-03", "2026-04-06", "2026-06-08", "2026-12-25"} & set(keys)
        assert all(date.fromisoformat(key).weekday() < 5 for key in keys)
        assert {"2026-01-27", "2026-04-07", "2026-12-24", "2026-12-31"} <= set(keys)
        # 259 weekdays from 5 January on, less the five above and the Monday after Boxing Day's Saturday.
        assert len(keys) == 253

    def test_today_is_there_the_same_evening(self) -> None:
        assert self.keys(evening("2026-02-20"))[-1] == "2026-02-20"

    def test_tomorrow_is_not(self) -> None:
        assert "2026-02-20" not in self.keys(evening("2026-02-19"))

    def test_the_day_begins_in_sydney(self) -> None:
        assert self.partitions.timezone == "Australia/Sydney"
        midnight = datetime(2026, 2, 19, 13, 1, tzinfo=ZoneInfo("UTC"))  # 00:01 on the 20th in Sydney
        assert self.keys(midnight)[-1] == "2026-02-20"

    def test_another_market_has_its_own_calendar(self) -> None:
        partitions = daily_partitions(Settings(market="us", source="simulated"))
        assert partitions.timezone == "America/New_York"
        keys = partitions.get_partition_keys(current_time=evening("2026-12-31"))
        assert "2026-01-26" in keys  # Australia Day only
        assert not {"2026-01-19", "2026-07-03", "2026-11-26"} & set(keys)

    def test_a_range_is_one_run(self) -> None:
        for key in (["raw", "raw_prices"], ["production", "published_ranking"]):
            policy = defs.resolve_assets_def(dg.AssetKey(key)).backfill_policy
            assert policy == dg.BackfillPolicy.single_run()
